"""The forecast command: scenarios that anyone can score, from what was known at an instant and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from greekdrift.config import load_venue
from greekdrift.market.parquet import write_chain
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import stamp

COLUMNS = ["scenario", "horizon_h", "account", "quantity", "value"]
KNOWN_AFTER = timedelta(minutes=5)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder of chains, a file a snapshot; a folder of the first ones alone; a book; and the origin of a forecast."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=5, days=6.0, underlyings=("BTC",))
    chains = [source.chain(moment) for moment in source.snapshots()]
    origin = 16
    whole, early = (tmp_path_factory.mktemp(name) for name in ("whole", "early"))
    for at, chain in enumerate(chains):
        write_chain(chain, whole / f"chain-{at:02d}.parquet")
        if at <= origin:
            write_chain(chain, early / f"chain-{at:02d}.parquet")
    chain = chains[origin]
    options = np.flatnonzero(chain.is_option & (chain.time_to_expiry > 10.0 / 365.0))
    near = sorted(options, key=lambda row: abs(np.log(chain.strike[row] / chain.forward[row])))[:2]
    held = ", ".join(f"{chain.instruments[row].name}: {-2 - at}" for at, row in enumerate(near))
    book = tmp_path_factory.mktemp("book") / "book.yaml"
    book.write_text(
        f"accounts:\n  - {{account_id: desk, collateral: {{BTC: 5}}, positions: {{{held}}}}}\n"
        "  - {account_id: idle, collateral: {BTC: 1}, positions: {BTC-PERPETUAL: 100}}\n"
    )
    return whole, early, book, chain


def _arguments(folder: Path, book: Path, chain: Any, tmp_path: Path, *more: object) -> list[object]:
    runs = tmp_path / "runs"
    return [
        "forecast", "--chains", folder, "--as-of", stamp(chain.known_at), "--book", book, "--model", "fhs",
        "--samples", 40, "--horizons", "6,24", "--runs", runs, *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(run: Callable, market: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    whole, _, book, chain = market
    tmp_path = tmp_path_factory.mktemp("made")
    out = tmp_path / "f.parquet"
    extra = ("--band", "BTC delta -3..3", "--split", "--plot", tmp_path / "f.html", "--out", out)
    return run(*_arguments(whole, book, chain, tmp_path, *extra)), out


def test_every_scenario_is_written_once(made: Any, market: Any) -> None:
    done, out = made
    assert done.code == 0, done.err
    table = pq.read_table(out)
    assert table.column_names == COLUMNS
    frame = table.to_pandas()
    assert np.isfinite(frame["value"]).all()
    assert set(frame["scenario"]) == set(range(40))
    assert set(frame["horizon_h"]) == {6.0, 24.0}
    assert set(frame["account"]) == {"desk", "idle"}
    assert (frame.groupby(["account", "quantity"]).size() == 80).all()
    assert not frame.duplicated(COLUMNS[:4]).any()
    desk = set(frame.loc[frame["account"] == "desk", "quantity"])
    assert desk >= {
        "pnl_usd", "value_usd of BTC", "delta_net of BTC", "gamma of BTC", "vega of BTC", "theta of BTC",
        "initial_margin_usd", "maintenance_margin_usd", "equity_usd", "BTC delta (net)", "pnl_usd: spot",
    }  # fmt: skip


def test_the_file_says_what_it_is(made: Any, market: Any) -> None:
    facts = json.loads(pq.read_schema(made[1]).metadata[b"greekdrift"])
    chain = market[3]
    assert (facts["as_of"], facts["known_at"]) == (stamp(chain.as_of), stamp(chain.known_at))
    assert facts["scenarios"] == 40
    assert facts["units"]["vega of BTC"] == "USD per 1.00"
    assert facts["units"]["BTC delta (net)"] == "coins"
    assert facts["now"]["desk"]["pnl_usd"] == 0.0
    assert facts["left_out"] == {}


def test_parts_of_the_drift_add_up_in_the_file(made: Any) -> None:
    frame = pq.read_table(made[1]).to_pandas()
    facts = json.loads(pq.read_schema(made[1]).metadata[b"greekdrift"])
    desk = frame[frame["account"] == "desk"]
    for name in ("pnl_usd", "vega of BTC"):
        whole = desk[desk["quantity"] == name].set_index(["scenario", "horizon_h"])["value"]
        parts = desk[desk["quantity"].str.startswith(f"{name}: ")].groupby(["scenario", "horizon_h"])["value"].sum()
        drift = whole - facts["now"]["desk"][name]
        pd.testing.assert_series_equal(parts, drift.loc[parts.index], rtol=1e-9, atol=1e-9 * float(np.abs(whole).max()))


def test_what_comes_later_changes_no_byte(run: Callable, made: Any, market: Any, tmp_path: Path) -> None:
    _, early, book, chain = market
    extra = ("--band", "BTC delta -3..3", "--split", "--out", tmp_path / "f.parquet")
    done = run(*_arguments(early, book, chain, tmp_path, *extra))
    assert done.code == 0, done.err
    assert (tmp_path / "f.parquet").read_bytes() == made[1].read_bytes()


def test_a_snapshot_that_is_not_yet_known_is_not_the_origin(run: Callable, market: Any, tmp_path: Path) -> None:
    source = SimulatedSource(venue=load_venue("deribit"), seed=5, days=6.0, underlyings=("BTC",))
    chain, early, book = market[3], market[1], market[2]
    asked = _arguments(early, book, chain, tmp_path, "--rules", "none", "--out", tmp_path / "f.parquet")
    asked[asked.index("--as-of") + 1] = stamp(chain.known_at - timedelta(seconds=1))
    done = run(*asked)
    assert done.code == 0, done.err
    facts = json.loads(pq.read_schema(tmp_path / "f.parquet").metadata[b"greekdrift"])
    assert facts["as_of"] == stamp(source.snapshots()[15])
    assert f"is known at {stamp(chain.known_at)} only" in done.err
    frame = pq.read_table(tmp_path / "f.parquet").to_pandas()
    assert "initial_margin_usd" not in set(frame["quantity"])


def test_the_summary_states_the_errors(run: Callable, market: Any, tmp_path: Path) -> None:
    whole, _, book, chain = market
    out, picture = tmp_path / "f.json", tmp_path / "f.png"
    extra = (
        "--quantity",
        "all",
        "--oversample",
        2,
        "--band",
        "desk: BTC vega -2000..2000 venue",
        "--out",
        out,
        "--plot",
        picture,
    )
    done = run(*_arguments(whole, book, chain, tmp_path, *extra))
    assert done.code == 0, done.err
    desk, idle = json.loads(out.read_text())["accounts"]
    by_label = {one["label"]: one for one in desk["quantities"]}
    assert {"vanna of BTC", "delta_collateral of BTC", "BTC vega"} <= set(by_label)
    assert "BTC vega" not in {one["label"] for one in idle["quantities"]}
    assert by_label["BTC vega"]["upper"] == pytest.approx(2000.0)
    for one in by_label.values():
        assert set(one["quantile_errors"]) == set(one["quantiles"])
        assert min(one["mean_error"]) >= 0.0
    assert by_label["pnl_usd"]["expected_shortfall"]["side"] == "low"
    assert by_label["pnl_usd"]["expected_shortfall"]["value"][-1] < by_label["pnl_usd"]["quantiles"]["0.1"][-1]
    assert by_label["BTC vega"]["breach_error"][-1] > 0.0
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--as-of", "2020-01-01T00:00Z"], "ask for a later --as-of"),
        (["--model", "fhss"], 'did you mean "fhs"'),
        (["--model", "fhs:hary"], "no filtered historical law"),
        (["--horizons", "6,1e9"], "ask for horizons up to"),
        (["--horizons", "24,6"], "must increase"),
        (["--horizons", "soon"], "hours are numbers"),
        (["--quantity", "vegga"], 'did you mean "vega"'),
        (["--band", "BTC delta"], "write underlying, Greek and two limits"),
        (["--band", "BTC dleta 0..1"], 'did you mean "delta"'),
        (["--band", "dsk: BTC delta 0..1"], 'did you mean "desk"'),
        (["--band", "BTC delta (nett) 0..1"], 'did you mean "net"'),
        (["--history", "x"], "leave --history out"),
        (["--out", "f.csv"], "write to a .json or .parquet file"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, market: Any, tmp_path: Path, more: list[str], message: str
) -> None:
    whole, _, book, chain = market
    given = _arguments(whole, book, chain, tmp_path)
    if more[0] in given:
        at = given.index(more[0])
        given[at : at + 2] = []
    done = run(*given, *more)
    assert done.code == 2, done.err
    assert message in done.err


def test_an_unlisted_contract_gets_the_nearest_of_its_expiry(run: Callable, market: Any, tmp_path: Path) -> None:
    whole, _, _, chain = market
    row = int(np.flatnonzero(chain.is_option & chain.is_call)[40])
    name = chain.instruments[row].name
    wrong = name.replace(f"-{chain.strike[row]:.0f}-", f"-{chain.strike[row] + 1.0:.0f}-")
    assert wrong != name
    book = tmp_path / "book.yaml"
    book.write_text(f"accounts: [{{account_id: a, collateral: {{BTC: 1}}, positions: {{{wrong}: 1}}}}]")
    done = run(*_arguments(whole, book, chain, tmp_path))
    assert done.code == 2
    assert f'did you mean "{name}"' in done.err


def test_the_old_origin_of_a_coin_that_went_missing_is_told(run: Callable, market: Any, tmp_path: Path) -> None:
    """ETH stops two days before BTC; the law goes by the name that scorecards give it."""
    _, _, book, chain = market
    source = SimulatedSource(venue=load_venue("deribit"), seed=5, days=6.0, underlyings=("BTC", "ETH"))
    moments, folder, shown = source.snapshots(), tmp_path / "coins", 16
    folder.mkdir()
    for at, moment in enumerate(moments):
        both = source.chain(moment)
        write_chain(
            both if at < shown else both.take(np.flatnonzero(both.underlying == "BTC")),
            folder / f"chain-{at:02d}.parquet",
        )
    asked = _arguments(folder, book, chain, tmp_path, "--rules", "none", "--out", tmp_path / "f.parquet")
    asked[asked.index("--as-of") + 1] = stamp(moments[-1] + KNOWN_AFTER)
    asked[asked.index("--model") + 1] = "fhs:haris-flat:pool"
    done = run(*asked)
    assert done.code == 0, done.err
    facts = json.loads(pq.read_schema(tmp_path / "f.parquet").metadata[b"greekdrift"])
    assert (facts["as_of"], facts["model"]) == (stamp(moments[shown - 1]), "fhs:haris-flat:pool")
    told = " ".join(done.err.split())
    assert f"left out, without one of BTC, ETH: {len(moments) - shown} snapshots, the last of" in told
    assert f"nothing newer than the snapshot of {stamp(moments[shown - 1])} is known" in told


def test_a_decision_takes_the_same_options_and_knows_no_more(run: Callable, market: Any, tmp_path: Path) -> None:
    whole, early, book, chain = market
    made = []
    for folder in (whole, early):
        shared = ("--chains", folder, "--as-of", stamp(chain.known_at), "--book", book, "--runs", tmp_path / "runs")
        out = tmp_path / folder.name
        done = run("propose", *shared, "--model", "fhs:hari", "--out", out)
        assert done.code == 0, done.err
        made.append(json.loads((out / "decisions.json").read_text()))
    assert made[0] == made[1]
    assert made[0]["chain"]["as_of"] == stamp(chain.as_of)
