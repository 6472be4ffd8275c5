"""`greekdrift margin reserve`, and `liquidation` with the response of a forecast, on a simulated market."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.market.parquet import write_chain
from greekdrift.market.simulate import SimulatedSource

RESERVES = """
currencies:
  USDC: {haircut: 0.0, delay_hours: 0}
  BTC: {haircut: 0.1, delay_hours: 12}
holdings:
  desk: {USDC: 500, BTC: 0.05}
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The options that name a past, a chain and a book of two short options."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=5, days=5.0, underlyings=("BTC",))
    folder = tmp_path_factory.mktemp("market")
    chains = [source.chain(moment) for moment in source.snapshots()]
    write_chain(chains, folder / "chains.parquet")
    chain = chains[-1]
    options = np.flatnonzero(chain.is_option & (chain.time_to_expiry > 10.0 / 365.0))
    near = sorted(options, key=lambda row: abs(np.log(chain.strike[row] / chain.forward[row])))[:2]
    held = ", ".join(f"{chain.instruments[row].name}: -3" for row in near)
    book = tmp_path_factory.mktemp("book") / "book.yaml"
    book.write_text(f"accounts:\n  - {{account_id: desk, collateral: {{BTC: 2}}, positions: {{{held}}}}}\n")
    return ["--chains", folder, "--book", book, "--runs", tmp_path_factory.mktemp("runs"), "--samples", 200]


@pytest.fixture
def reserves(tmp_path: Path) -> Path:
    path = tmp_path / "reserves.yaml"
    path.write_text(RESERVES)
    return path


def test_the_reserve_lies_between_what_is_missing_and_what_is_at_risk(
    run: Callable, asked: list[object], reserves: Path, tmp_path: Path
) -> None:
    out = tmp_path / "reserve.json"
    done = run("margin", "reserve", *asked, "--reserves", reserves, "--horizons", "6,12,24", "--out", out)
    assert done.code == 0, done.err
    found = json.loads(out.read_text())["desk"]
    at_risk, raised = np.array(found["liquidity_at_risk_usd"]), np.array(found["raised_usd"])
    assert np.all(np.diff(at_risk) >= 0.0)
    assert raised[0] == 500.0
    assert raised[1] > raised[0]
    assert np.max(at_risk[0] - raised[0]) - 1e-6 <= found["reserve_usd"] <= at_risk[-1]
    assert "Reserve: cash at hand" in done.out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("BTC: 0.05", "SOL: 5", "nothing says how SOL becomes cash"),
        ("desk:", "desc:", 'did you mean "desk"'),
        ("haircut: 0.1", "haircut: 2", "haircut"),
    ],
)
def test_what_cannot_be_raised_is_said(
    run: Callable, asked: list[object], reserves: Path, old: str, new: str, words: str
) -> None:
    reserves.write_text(RESERVES.replace(old, new))
    done = run("margin", "reserve", *asked, "--reserves", reserves)
    assert done.code == 2
    assert words in done.err


def test_a_level_that_is_none_is_said(run: Callable, asked: list[object], reserves: Path) -> None:
    done = run("margin", "reserve", *asked, "--reserves", reserves, "--level", "1.0")
    assert done.code == 2
    assert "between 0 and 1" in done.err


def test_liquidation_answers_as_in_a_forecast(run: Callable, asked: list[object], tmp_path: Path) -> None:
    out = tmp_path / "prices.json"
    done = run("margin", "liquidation", *asked, "--model", "fhs", "--out", out)
    assert done.code == 0, done.err
    (found,) = json.loads(out.read_text())
    health = np.array(found["maintenance_health_usd"])
    told = [one for one in found["crossings"] if one["kind"] == "liquidation" and one["direction"] != "touching"]
    assert np.count_nonzero(np.diff(health >= 0.0)) <= len(told)
    assert "answers as in the scenarios of fhs" in done.err
