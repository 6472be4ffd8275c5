"""The watch with a model: alarm where a band is likely to be left, unknown where the model cannot speak."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.cli.watched import Chance, Standing, State, standings, worst
from greekdrift.config import load_accounts
from greekdrift.market.parquet import write_chain

BOOK = """
accounts:
  - account_id: maker
    collateral: {{BTC: 3}}
    positions: {{BTC-27MAR26-70000-C: -5, BTC-PERPETUAL: 20000}}
    mandate:
      rule_set: derive_pm2
      venues: [deribit]
      bands:
        - {{greek: delta, underlying: BTC, lower: {lower}, upper: {upper}, view: net}}
        - {{greek: vega, underlying: BTC, lower: -1e9, upper: 1e9}}
      liquidity_buffer_usd: 1000
      max_order_notional_usd: 1000000
      max_cost_usd: 5000
  - account_id: coins
    collateral: {{BTC: 3}}
    positions: {{}}
    mandate:
      rule_set: derive_pm2
      venues: [deribit]
      bands: [{{greek: delta, underlying: BTC, lower: 1, upper: 9, view: collateral}}]
      liquidity_buffer_usd: 1000
      max_order_notional_usd: 1000000
      max_cost_usd: 5000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_small: Callable) -> Path:
    """Twenty-four snapshots of a small chain whose index and volatility wander, one file."""
    rng = np.random.default_rng(5)
    start = datetime(2026, 2, 1, 8, tzinfo=UTC)
    index, level, chains = 70_000.0, 0.6, []
    for step in range(24):
        chains.append(make_small(start + timedelta(hours=6 * step), level=level, index=index))
        index, level = index * np.exp(0.01 * rng.normal()), level * np.exp(0.02 * rng.normal())
    place = tmp_path_factory.mktemp("ahead")
    write_chain(chains, place / "chain.parquet")
    return place


@pytest.fixture(scope="module")
def make_small() -> Callable[..., Chain]:
    import importlib.util

    spec = importlib.util.spec_from_file_location("small", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["small"] = module
    spec.loader.exec_module(module)
    return module.small_chain


def delta_of(folder: Path, tmp_path: Path) -> float:
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import ParquetSource

    source = ParquetSource(str(folder), venue=load_venue("deribit"))
    (one, *_) = standings(source.chain(source.snapshots()[-1]), load_accounts(book(tmp_path)))
    assert one.value is not None
    return one.value


def book(tmp_path: Path, lower: float = -1e6, upper: float = 1e6) -> Path:
    path = tmp_path / "book.yaml"
    path.write_text(BOOK.format(lower=lower, upper=upper))
    return path


def test_a_band_that_will_likely_be_left_is_an_alarm(run: Callable, folder: Path, tmp_path: Path) -> None:
    now = delta_of(folder, tmp_path)
    shared = ["watch", "--chains", folder, "--once", "--json", "--runs", tmp_path / "runs", "--model", "historical"]
    calm = run(*shared, "--book", book(tmp_path))
    assert calm.code == 0, calm.err
    facts = json.loads(calm.out)
    assert [one["chance"] for one in facts["bands"]] == [0.0, 0.0, 0.0]
    assert {one["within_hours"] for one in facts["bands"]} == {24.0}
    assert facts["new_alarms"] == []
    narrow = book(tmp_path, now - 1e-3, now + 1e-3)
    done = run(*shared, "--book", narrow, "--alarm", "0.9", "--within", "12h")
    assert done.code == 1, done.err
    facts = json.loads(done.out)
    assert facts["state"] == "alarm"
    assert facts["new_alarms"] == [["maker", "BTC delta (net)"]]
    assert facts["new_breaches"] == []
    assert facts["bands"][0]["chance"] > 0.9
    assert run(*shared, "--book", narrow, "--alarm", "0.9", "--within", "12h").out == done.out
    plain = run("watch", "--chains", folder, "--once", "--json", "--book", narrow)
    assert plain.code == 0
    assert "chance" not in plain.out
    assert "new_alarms" not in plain.out


def test_an_alarm_runs_the_hook_and_is_shown(run: Callable, folder: Path, tmp_path: Path) -> None:
    now = delta_of(folder, tmp_path)
    note, script = tmp_path / "note", tmp_path / "hook.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read())")
    shared = ["watch", "--chains", folder, "--once", "--runs", tmp_path / "runs", "--model", "historical"]
    arguments = ["--book", book(tmp_path, now - 1e-3, now + 1e-3), "--hook", f"{sys.executable} {script} {note}"]
    done = run(*shared, *arguments)
    assert done.code == 1, done.err
    assert "100.0%" in done.out
    assert json.loads(note.read_text())["new_alarms"] == [["maker", "BTC delta (net)"]]


def test_without_a_past_what_is_inside_is_unknown(
    run: Callable, folder: Path, tmp_path: Path, chain_file: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "chain.parquet").write_bytes(chain_file.read_bytes())
    shared = ["watch", "--chains", alone, "--once", "--json", "--book", book(tmp_path), "--runs", tmp_path / "runs"]
    done = run(*shared, "--model", "historical")
    assert done.code == 3, done.err
    facts = json.loads(done.out)
    assert {one["state"] for one in facts["bands"]} == {"unknown"}
    assert all(one["reason"].startswith("no forecast:") for one in facts["bands"])
    with_past = run(*shared, "--model", "historical", "--history", folder)
    assert json.loads(with_past.out)["bands"][0]["chance"] is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alarm", "0.3"], "--alarm needs a forecast"),
        (["--within", "6h"], "--within needs a forecast"),
        (["--model", "historical", "--alarm", "1.5"], "is no probability"),
        (["--model", "historical", "--alarm", "nan"], "is no probability"),
        (["--model", "historical", "--within", "24"], "--within"),
        (["--model", "historicl"], 'did you mean "historical"'),
        (["--model", "production"], "greekdrift promote RUN"),
    ],
)
def test_usage_that_cannot_be_is_refused(
    run: Callable, folder: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run("watch", "--chains", folder, "--book", book(tmp_path), "--once", "--runs", tmp_path / "no", *arguments)
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_a_breach_stays_one_and_no_number_is_no_chance(folder: Path, tmp_path: Path) -> None:
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import ParquetSource

    source = ParquetSource(str(folder), venue=load_venue("deribit"))
    (one, *_) = standings(source.chain(source.snapshots()[-1]), load_accounts(book(tmp_path)))
    sure = Chance(value=1.0, hours=24.0, alarm=0.2, reason="")
    breach = replace(one, state=State.BREACH)
    assert breach.foreseen(sure).state is State.BREACH
    assert one.foreseen(sure).state is State.ALARM
    assert one.foreseen(replace(sure, value=0.2)).state is State.ALARM
    assert one.foreseen(replace(sure, value=0.19)).state is State.INSIDE
    assert one.foreseen(replace(sure, value=None, reason="why")).state is State.UNKNOWN
    assert one.foreseen(replace(sure, value=float("nan"))).state is State.UNKNOWN
    order: list[Standing] = [one, replace(one, state=State.UNKNOWN), one.foreseen(sure), breach]
    assert [worst(order[: count + 1]) for count in range(4)] == [
        State.INSIDE,
        State.UNKNOWN,
        State.ALARM,
        State.BREACH,
    ]
