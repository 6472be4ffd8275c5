"""`greekdrift margin simulate` as a user meets it: a simulated market, canonical and own books, shocks, bad input."""

import json
from pathlib import Path

import pytest

from greekdrift.config import load_venue
from greekdrift.market.parquet import write_chain
from greekdrift.market.simulate import SimulatedSource


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSource:
    return SimulatedSource(venue=load_venue("deribit"), seed=5, underlyings=("BTC",), days=12.0)


@pytest.fixture(scope="module")
def chains(market: SimulatedSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chains")
    write_chain([market.chain(moment) for moment in market.snapshots()], folder / "btc_chain.parquet")
    return folder


@pytest.fixture(scope="module")
def window(market: SimulatedSource) -> list[str]:
    return ["--since", market.snapshots()[-20].isoformat(), "--model", "historical", "--scenarios", "40"]


@pytest.fixture
def own(market: SimulatedSource, tmp_path: Path) -> Path:
    chain = market.chain(market.snapshots()[-1])
    options = [one for one in chain.instruments if one.is_option]
    last = max(one.expiry for one in options)
    name = min(
        (one for one in options if one.expiry == last), key=lambda one: abs(one.strike - chain.index_price["BTC"])
    ).name
    path = tmp_path / "own.yaml"
    path.write_text(f"accounts:\n  - account_id: mine\n    collateral: {{BTC: 5}}\n    positions: {{{name}: -4}}\n")
    return path


def test_a_book_of_ones_own_along_history_and_shocked(run, chains, window, own, tmp_path) -> None:
    out, plot, calm = (tmp_path / name for name in ("simulated.json", "path.html", "calm.png"))
    asked = ["margin", "simulate", "--chains", chains, "--book", own, *window, "--runs", tmp_path / "runs"]
    done = run(
        *asked,
        "--shock",
        "BTC:spot=-20%,vol=+15",
        "--shock",
        "BTC:vol=-10%",
        "--out",
        out,
        "--plot",
        plot,
        "--tradeoff",
        calm,
    )
    assert done.code == 0, done.err
    assert "Under stated shocks" in done.out
    values = json.loads(out.read_text())
    mine = values["accounts"]["mine"]
    assert len(mine["need_usd"]) == len(mine["addon_usd"]) == len(mine["overrides"]) == 20
    assert mine["realised_usd"][-1] is None
    assert set(mine["figures"]) == {"undressed", "dressed"}
    tested = mine["figures"]["dressed"]["coverage"]
    assert tested["thinned"]["every"] == 4
    assert tested["every_origin"]["power"][0]["alternative"] == pytest.approx(0.05)
    states = values["shocks"]["accounts"]["mine"]
    assert list(states) == ["now", "BTC:spot=-20%,vol=+15", "BTC:vol=-10%"]
    assert states["now"]["excess_usd"] != states["BTC:spot=-20%,vol=+15"]["excess_usd"]
    assert values["tradeoff"]["undressed"]["cost"] == 0.0
    assert plot.read_text().startswith("<!doctype html>")
    assert calm.stat().st_size > 10_000
    again = tmp_path / "again.json"
    assert run(*asked, "--out", again).code == 0
    assert json.loads(again.read_text())["accounts"] == values["accounts"]


def test_canonical_books_with_a_dressing_fitted_on_the_past(run, market, chains, window, tmp_path) -> None:
    out = tmp_path / "fitted.json"
    asked = ["margin", "simulate", "--chains", chains, "--reference", *window, "--runs", tmp_path / "runs"]
    done = run(*asked, "--fit-until", market.snapshots()[-10].isoformat(), "--out", out)
    assert done.code == 0, done.err
    assert "fitted before" in done.err
    values = json.loads(out.read_text())
    assert all(len(one["need_usd"]) == 10 for one in values["accounts"].values())
    assert values["dressing"] != {}


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ([], "which books"),
        (["--reference", "--model", "drift_net"], "cannot be fitted again"),
        (["--reference", "--model", "fsh"], 'did you mean "fhs"'),
        (["--reference", "--shock", "BTC:spot=-20"], "per cent"),
        (["--reference", "--shock", "XRP:spot=-20%"], "the chain has no XRP"),
        (["--reference", "--since", "2199-01-01T00:00Z"], "no snapshot from"),
        (["--reference", "--dressing", "none.yaml", "--fit-until", "2026-01-01T00:00Z"], "one of the two"),
    ],
)
def test_bad_input_is_one_clear_message(run, chains, window, tmp_path, extra, word) -> None:
    done = run("margin", "simulate", "--chains", chains, *window, *extra, "--runs", tmp_path / "runs")
    assert done.code == 2
    assert "Margin add-on" not in done.out
    assert word in " ".join(done.err.split())
