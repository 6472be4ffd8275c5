"""Stylised facts against processes whose facts are known, and of real and simulated chains side by side."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.errors import CalculationError
from greekdrift.features.facts import Facts, facts
from greekdrift.features.history import Panel, example
from greekdrift.features.panel import assemble, build
from greekdrift.market.bates_world import BatesLaw
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.state import FACTORS

ROWS = 6000


def moved(panel: Panel, **factors: np.ndarray) -> Panel:
    state = panel.state.copy()
    for name, increments in factors.items():
        state[:, 0, panel.factors.index(name)] = np.concatenate([[0.0], np.cumsum(increments)])
    return replace(panel, state=state)


@pytest.fixture(scope="module")
def walk() -> Panel:
    return example(rows=ROWS, seed=4)


def test_a_random_walk_has_no_facts(walk: Panel) -> None:
    (found,) = facts(walk)
    assert found.count == ROWS - 1
    assert found.measures["volatility"] == pytest.approx(0.5, rel=0.05)
    assert found.measures["volatility_of_atm_7"] == pytest.approx(0.9, rel=0.05)
    for name, value in found.measures.items():
        if not name.startswith("volatility"):
            assert abs(value) < (0.3 if name.startswith("kurtosis") else 0.06), name


def test_dependence_is_found_with_its_size(walk: Panel) -> None:
    rng = np.random.default_rng(1)
    shock, other = rng.normal(size=(2, ROWS - 1))
    vol = -0.6 * shock + 0.8 * other
    repeating = shock.copy()
    for at in range(1, ROWS - 1):
        repeating[at] = 0.5 * repeating[at - 1] + shock[at]
    (found,) = facts(moved(walk, forward=shock, atm_30=vol, skew_30=np.zeros(ROWS - 1)))
    assert found.measures["spot_vol_30"] == pytest.approx(-0.6, abs=0.04)
    assert found.measures["spot_vol_put"] == pytest.approx(found.measures["spot_vol_call"], abs=1e-12)
    (found,) = facts(moved(walk, forward=repeating, atm_30=repeating))
    assert found.measures["repeats"] == pytest.approx(0.5, abs=0.04)
    assert found.measures["repeats_of_atm"] == pytest.approx(0.5, abs=0.04)


def test_jumps_clusters_and_leverage(walk: Panel) -> None:
    rng = np.random.default_rng(2)
    tailed = rng.standard_t(8, size=ROWS - 1)
    (found,) = facts(moved(walk, forward=tailed))
    assert 0.7 < found.measures["kurtosis"] < 4.0
    shock = rng.normal(size=ROWS - 1)
    size = np.ones(ROWS - 1)
    size[1:] = np.where(shock[:-1] < 0.0, 2.0, 1.0)
    (found,) = facts(moved(walk, forward=shock * size))
    assert found.measures["leverage"] < -0.2


def test_holes_and_missing_states_are_not_bridged(walk: Panel) -> None:
    state = walk.state.copy()
    state[100] = np.nan
    as_of = walk.as_of.copy()
    as_of[200:] += np.timedelta64(30, "D")
    (found,) = facts(replace(walk, state=state, as_of=as_of, known_at=as_of + np.timedelta64(5, "m")))
    assert found.count == ROWS - 1 - 2 - 1


def test_refusals(walk: Panel) -> None:
    with pytest.raises(CalculationError, match="of 30 needed"):
        facts(example(rows=20))
    with pytest.raises(CalculationError, match="never moves"):
        facts(moved(walk, forward=np.zeros(ROWS - 1)))


def truth(source: SimulatedSource) -> tuple[Facts, ...]:
    """Facts of the exact states, without fitting a surface."""
    moments = np.array([np.datetime64(moment.replace(tzinfo=None), "us") for moment in source.snapshots()])
    values = np.stack([source.true_state(moment).values for moment in source.snapshots()])
    return facts(
        assemble(
            source.underlyings, FACTORS, as_of=moments, known_at=moments, state=values, step_hours=6.0, features=()
        )
    )


def test_the_law_of_bates_has_the_tails_and_ties_that_its_page_tells() -> None:
    """docs/simulator.md: recorded BTC has a kurtosis of Δ ln σ of 27 and a tie of −0.59, the other law 2 and −0.35."""
    coin = SimulatedSource(
        venue=load_venue("deribit"), seed=9, days=180.0, model="bates", bates=BatesLaw(), underlyings=("BTC",)
    )
    (made,) = truth(coin)
    found = made.measures
    assert 0.3 < found["volatility"] < 0.8
    assert found["kurtosis"] > 1.0
    assert found["kurtosis_of_atm"] > 8.0
    assert -0.7 < found["spot_vol_30"] < -0.45
    assert found["volatility_of_atm_1"] > 1.8
    assert found["volatility_of_atm_7"] > found["volatility_of_atm_30"] > 2.0 * found["volatility_of_atm_180"]


@pytest.mark.shared
def test_simulated_chains_beside_the_recorded_ones(shared: Path) -> None:
    deribit = load_venue("deribit")
    source = ParquetSource(
        str(shared / "data" / "deribit_option_chain_6h"), venue=deribit, until=datetime(2026, 2, 20, tzinfo=UTC)
    )
    real = facts(build(source, features=()))
    made = truth(SimulatedSource(venue=deribit, seed=7, days=180.0))
    for one in (*real, *made):
        found = one.measures
        assert 0.15 < found["volatility"] < 1.5
        assert found["kurtosis"] > 0.5
        assert found["spot_vol_30"] < 0.0
        assert found["volatility_of_atm_7"] > found["volatility_of_atm_30"] > found["volatility_of_atm_180"]
