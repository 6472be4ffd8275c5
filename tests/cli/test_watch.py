"""The watch: inside, in breach, or unknown and never inside; exit codes, hooks, signals, and the same bytes again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import Account, Chain
from greekdrift.cli.watched import State, all_unknown, standings, unquoted, worst
from greekdrift.config import load_accounts
from greekdrift.greeks.bands import band_values
from greekdrift.market.parquet import read_chain, write_chain

AS_OF = datetime(2026, 2, 5, 8, tzinfo=UTC)

BANDS = """
accounts:
  - account_id: maker
    collateral: {{BTC: 3}}
    positions: {positions}
    mandate:
      rule_set: derive_pm2
      venues: [deribit]
      bands:
        - {{greek: delta, underlying: BTC, lower: {lower}, upper: 1, view: net}}
        - {{greek: delta, underlying: BTC, lower: -9, upper: 9, view: collateral}}
        - {{greek: vega, underlying: BTC, lower: -2000, upper: 2000, unit: venue, tenor_days: [0, 30]}}
        - {{greek: vega, underlying: BTC, lower: -2000, upper: 2000, unit: venue, tenor_days: [30, 90]}}
      liquidity_buffer_usd: 1000
      max_order_notional_usd: 1000000
      max_cost_usd: 5000
  - {{account_id: silent, collateral: {{BTC: 1}}, positions: {{BTC-27MAR26-80000-C: -1}}}}
"""

HELD = "{BTC-27MAR26-70000-C: -5, BTC-PERPETUAL: 20000}"
MISSING = "{BTC-27MAR26-70000-C: -5, BTC-27MAR26-71000-C: 1}"
INSIDE, OUTSIDE = -9, 0.9


def book(path: Path, positions: str = HELD, lower: float = INSIDE) -> Path:
    path.write_text(BANDS.format(positions=positions, lower=lower))
    return path


@pytest.fixture
def chains(chains_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "chains"
    folder.mkdir()
    (folder / "chain.parquet").write_bytes(chains_file.read_bytes())
    return folder


@pytest.fixture
def chain(chain_file: Path) -> Chain:
    from greekdrift.config import load_venue

    return read_chain(chain_file, venue=load_venue("deribit"))


def of(path: Path) -> Sequence[Account]:
    return load_accounts(path)


def test_values_are_those_of_the_bands(chain: Chain, tmp_path: Path) -> None:
    accounts = of(book(tmp_path / "b.yaml"))
    values = band_values(chain, accounts[0])
    found = standings(chain, accounts)
    assert {one.band.label: one.value for one in found} == values
    assert {one.state for one in found} == {State.INSIDE}
    outside = standings(chain, of(book(tmp_path / "b.yaml", lower=OUTSIDE)))
    assert [one.state for one in outside] == [State.BREACH, State.INSIDE, State.INSIDE, State.INSIDE]
    assert outside[0].outside == pytest.approx(OUTSIDE - values["BTC delta (net)"])
    assert worst(outside) is State.BREACH


def test_a_missing_quote_leaves_the_bands_that_it_enters_unknown(chain: Chain, tmp_path: Path) -> None:
    found = standings(chain, of(book(tmp_path / "b.yaml", MISSING)))
    assert [one.state for one in found] == [State.UNKNOWN, State.UNKNOWN, State.INSIDE, State.UNKNOWN]
    assert all("BTC-27MAR26-71000-C" in one.reason for one in found if one.state is State.UNKNOWN)
    assert all(one.value is None for one in found if one.state is State.UNKNOWN)
    assert worst(found) is State.UNKNOWN


def test_what_has_expired_enters_no_band_but_the_collateral_delta(chain: Chain, tmp_path: Path) -> None:
    found = standings(chain, of(book(tmp_path / "b.yaml", "{BTC-4FEB26-70000-C: -5, BTC-PERPETUAL: 2000}")))
    assert [one.state for one in found] == [State.INSIDE, State.UNKNOWN, State.INSIDE, State.INSIDE]
    assert "has settled" in found[1].reason


def test_a_coin_that_is_not_there_is_unknown(chain: Chain, tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(BANDS.format(positions="{}", lower=INSIDE).replace("underlying: BTC", "underlying: ETH"))
    assert {one.reason for one in standings(chain, of(path))} == {"the chain has no ETH"}
    assert {one.state for one in all_unknown(of(path), "why")} == {State.UNKNOWN}


def test_held_options_without_quotes_are_named(chain: Chain, tmp_path: Path) -> None:
    from dataclasses import replace

    accounts = of(book(tmp_path / "b.yaml"))
    assert unquoted(chain, accounts) == ()
    bare = replace(chain, bid=np.full(len(chain), np.nan), ask=np.full(len(chain), np.nan))
    assert unquoted(bare, accounts) == ("BTC-27MAR26-70000-C", "BTC-27MAR26-80000-C")


@pytest.mark.parametrize(
    ("positions", "lower", "code", "state"),
    [(HELD, INSIDE, 0, "inside"), (HELD, OUTSIDE, 1, "breach"), (MISSING, INSIDE, 3, "unknown")],
)
def test_one_look(
    run: Callable, chains: Path, tmp_path: Path, positions: str, lower: float, code: int, state: str
) -> None:
    path = book(tmp_path / "b.yaml", positions, lower)
    log = tmp_path / "log.jsonl"
    done = run("watch", "--chains", chains, "--book", path, "--once", "--log", log)
    assert done.code == code, done.err
    assert f"2026-02-06T08:00:00Z: {state}" in done.out
    assert "silent has no mandate" in done.err
    lines = [run("watch", "--chains", chains, "--book", path, "--once", "--json").out for _ in range(2)]
    assert lines[0] == lines[1]
    event = json.loads(lines[0])
    assert (event["state"], event["as_of"]) == (state, "2026-02-06T08:00:00Z")
    assert json.loads(log.read_text()) == event


def test_what_cannot_be_read_is_unknown(run: Callable, chains: Path, tmp_path: Path) -> None:
    (chains / "chain.parquet").write_bytes(b"PAR1")
    done = run("watch", "--chains", chains, "--book", book(tmp_path / "b.yaml"), "--once", "--json")
    assert done.code == 3
    event = json.loads(done.out)
    assert event["as_of"] is None
    assert all("cannot be read" in one["reason"] for one in event["bands"])


def test_an_old_snapshot_is_unknown_where_that_is_asked(run: Callable, chains: Path, tmp_path: Path) -> None:
    path = book(tmp_path / "b.yaml")
    done = run("watch", "--chains", chains, "--book", path, "--once", "--json", "--stale-after", "1h")
    assert done.code == 3
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == ["snapshot", "stale"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hook", "no-such-program-here x"], "no program that can be run"),
        (["--hook", "'open"], "close the quotes"),
        (["--every", "soon"], "is not a duration"),
    ],
)
def test_usage_that_cannot_be_is_refused(
    run: Callable, chains: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run("watch", "--chains", chains, "--book", book(tmp_path / "b.yaml"), *arguments)
    assert done.code == 2
    assert said in done.err


def test_an_empty_folder_and_a_book_without_bands_are_refused(run: Callable, chains: Path, tmp_path: Path) -> None:
    path = book(tmp_path / "b.yaml")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no snapshot" in run("watch", "--chains", empty, "--book", path, "--once").err
    path.write_text("accounts: [{account_id: a, collateral: {}, positions: {}}]")
    assert "nothing to watch" in run("watch", "--chains", chains, "--book", path, "--once").err


def test_a_breach_without_a_hook_ends_the_watch(run: Callable, chains: Path, tmp_path: Path) -> None:
    done = run("watch", "--chains", chains, "--book", book(tmp_path / "b.yaml", lower=OUTSIDE), "--every", "1s")
    assert done.code == 1


def hook(tmp_path: Path, code: int = 0) -> tuple[str, Path]:
    """A program that notes what it was given, and its note."""
    note = tmp_path / "note.jsonl"
    script = tmp_path / "hook.py"
    script.write_text(
        "import sys\nprint('noise')\n"
        "open(sys.argv[1], 'a').write(sys.argv[2] + '|' + sys.stdin.read() + '\\n')\n"
        f"sys.exit({code})\n"
    )
    return f'{sys.executable} {script} {note} "two words; $(touch {tmp_path}/shell)"', note


def test_a_hook_gets_the_breach_on_its_input_and_no_shell(run: Callable, chains: Path, tmp_path: Path) -> None:
    program, note = hook(tmp_path)
    path = book(tmp_path / "b.yaml", lower=OUTSIDE)
    done = run("watch", "--chains", chains, "--book", path, "--once", "--json", "--hook", program)
    assert done.code == 1
    words, _, event = note.read_text().strip().partition("|")
    assert words.startswith("two words; $(touch")
    assert not (tmp_path / "shell").exists()
    assert json.loads(event) == json.loads(done.out)
    assert json.loads(event)["new_breaches"] == [["maker", "BTC delta (net)"]]


def test_a_hook_that_fails_ends_the_watch(run: Callable, chains: Path, tmp_path: Path) -> None:
    program, _ = hook(tmp_path, code=7)
    path = book(tmp_path / "b.yaml", lower=OUTSIDE)
    done = run("watch", "--chains", chains, "--book", path, "--every", "1s", "--hook", program)
    assert done.code == 1
    assert "ended with code 7" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_cannot_be_written_ends_the_watch_after_the_hook(
    run: Callable, chains: Path, tmp_path: Path
) -> None:
    program, note = hook(tmp_path)
    path = book(tmp_path / "b.yaml", lower=OUTSIDE)
    asked = ("watch", "--chains", chains, "--book", path, "--every", "1s", "--hook", program)
    done = run(*asked, "--log", "/dev/full")
    assert done.code == 1
    assert "/dev/full: cannot be written" in done.err
    assert len(note.read_text().splitlines()) == 1
    done = run(*asked, "--log", chains / "chain.parquet" / "log.jsonl")
    assert done.code == 2
    assert len(note.read_text().splitlines()) == 1
    inside = book(tmp_path / "c.yaml")
    assert run("watch", "--chains", chains, "--book", inside, "--once", "--log", tmp_path / "new" / "l").code == 0
    assert len((tmp_path / "new" / "l").read_text().splitlines()) == 1


def test_a_watch_follows_until_it_is_told_to_stop(chains: Path, chain: Chain, tmp_path: Path) -> None:
    """The hook is run once for a breach that lasts, and again after the band has come back inside."""
    from dataclasses import replace

    program, note = hook(tmp_path)
    path = book(tmp_path / "b.yaml", lower=OUTSIDE)
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "greekdrift.cli", "watch", "--chains", chains, "--book", path]
    with subprocess.Popen(
        [*command, "--every", "1s", "--json", "--hook", program, "--log", log],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as watch:  # fmt: skip
        for number, has_perpetual in enumerate((True, False, True), start=1):
            _wait(lambda number=number: log.exists() and len(log.read_text().splitlines()) >= number, watch)
            moment = AS_OF + timedelta(days=1, hours=number)
            rows = np.arange(len(chain)) if has_perpetual else ~chain.is_option | (np.arange(len(chain)) > 0)
            later = replace(chain.take(rows), as_of=moment, known_at=moment)
            write_chain(later, tmp_path / "part.parquet")
            (tmp_path / "part.parquet").replace(chains / f"chain-{number}.parquet")
        _wait(lambda: len(log.read_text().splitlines()) >= 4, watch)
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=60)
    assert watch.returncode == 0, err
    assert "stopped after 4 snapshots" in err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["state"] for event in events] == ["breach"] * 4
    assert [event["as_of"] for event in events] == sorted(event["as_of"] for event in events)
    assert len(note.read_text().splitlines()) == 1


def _wait(is_done: Callable[[], bool], watch: subprocess.Popen, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not is_done():
        assert watch.poll() is None, watch.communicate()
        assert time.monotonic() < until, "the watch did not get there"
        time.sleep(0.05)
