"""Every forecaster on a simulated market whose conditional law is known."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from tests.forecast.registry import CASES, MOVING

from greekdrift.book import Scenarios
from greekdrift.config import load_venue
from greekdrift.features.history import Panel
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import datetime64, from_datetime64

HORIZONS = (6.0, 24.0)
FACTORS = ("forward", "atm_7", "atm_30", "skew_30")
FIRST = 560
ORIGINS = range(FIRST, 1000, 22)
DRAWS = 160
LEVEL = 0.8


@dataclass(frozen=True)
class Law:
    """Two sets of draws of the law given the hidden state at an origin, and its expected CRPS against itself."""

    truth: np.ndarray
    second: np.ndarray
    own: np.ndarray


@dataclass(frozen=True)
class Market:
    """States of the simulator at its snapshots, and its law at each origin."""

    panel: Panel
    laws: dict[int, Law]


@pytest.fixture(scope="module")
def market() -> Market:
    source = SimulatedSource(venue=load_venue("deribit"), seed=11, days=252.0)
    as_of = np.array([datetime64(moment) for moment in source.snapshots()])
    states = [source.true_state(moment) for moment in source.snapshots()]
    names = source.true_scenarios(source.snapshots()[0], horizons=(6.0,), n=1, seed=0).factors
    chosen = [names.index(name) for name in FACTORS]
    panel = Panel(
        underlyings=source.underlyings,
        factors=FACTORS,
        feature_names=(),
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.stack([state.values[:, chosen] for state in states]),
        features=np.empty((len(as_of), len(source.underlyings), 0)),
        step_hours=6.0,
    )

    def drawn(row: int, seed: int) -> np.ndarray:
        moment = from_datetime64(panel.as_of[row])
        made: Scenarios = source.true_scenarios(moment, horizons=HORIZONS, n=DRAWS, seed=seed)
        return made.increments[..., chosen]

    def law(row: int) -> Law:
        truth, second = drawn(row, 1), drawn(row, 2)
        return Law(truth=truth, second=second, own=_apart(second, truth) - 0.5 * _apart(second, second))

    return Market(panel=panel, laws={row: law(row) for row in ORIGINS})


@pytest.fixture(scope="module")
def forecasts(market):
    """Increments of a case at every origin, fitted once on what was known at the first."""

    @cache
    def made(name):
        panel = market.panel
        predictor = CASES[name].fit(panel.until(panel.known_at[FIRST]))
        return {
            row: predictor.predict(panel.until(panel.known_at[row]), horizons=HORIZONS, n=DRAWS, seed=row).increments
            for row in ORIGINS
        }

    return made


def _apart(left, right):
    """E|X − Y| of two samples, cell by cell; of a sample and itself without the pairs of one draw."""
    mean = np.abs(left[:, None] - right[None]).mean(axis=(0, 1))
    return mean * len(left) / (len(left) - 1.0) if left is right else mean


def _excess(made, law):
    """Expected CRPS under the law minus that of the law itself: ∫ (F − G)², estimated without bias.

    E|X − Y| − ½ E|X − X'| − E|Y − Y″| + ½ E|Y″ − Y‴|, in mean absolute moves of the law.
    """
    raw = _apart(made, law.truth) - 0.5 * _apart(made, made) - law.own
    return float((raw / np.abs(law.truth).mean(axis=0)).mean())


@pytest.mark.parametrize("name", CASES)
def test_nobody_beats_the_law_itself(name, market, forecasts):
    made = forecasts(name)
    excess = np.array([_excess(made[row], market.laws[row]) for row in ORIGINS])
    error = excess.std(ddof=1) / np.sqrt(len(excess))
    assert excess.mean() > -3.0 * error
    assert excess.mean() > -0.01


def test_a_cheat_would_be_seen_by_the_law(market):
    """The measure has teeth: the law with half its spread, and with twice, is clearly worse than the law."""
    for factor in (0.5, 2.0):
        excess = [_excess(factor * law.second, law) for law in market.laws.values()]
        assert np.mean(excess) > 0.02


def _coverage(made, truth):
    """Chance under the law of an increment within the central interval, by horizon, underlying and factor."""
    lower, upper = np.quantile(made, (0.5 - 0.5 * LEVEL, 0.5 + 0.5 * LEVEL), axis=0, method="weibull")
    return ((truth >= lower) & (truth <= upper)).mean(axis=0)


def _deviation(made, market):
    """How far the coverage is from its level at each horizon, in standard errors over the origins."""
    cells = [_coverage(made[row], market.laws[row].truth).mean(axis=(1, 2)) for row in ORIGINS]
    error = np.std(cells, axis=0, ddof=1) / np.sqrt(len(cells))
    return np.abs(np.mean(cells, axis=0) - LEVEL) / error


@pytest.mark.parametrize("name", MOVING)
def test_intervals_hold_as_often_as_they_say(name, market, forecasts):
    assert np.all(_deviation(forecasts(name), market) < 3.0)


def test_intervals_of_half_or_twice_the_width_are_seen(market, forecasts):
    made = forecasts("fhs=fhs:hari")
    for factor in (0.6, 1.6):
        assert np.all(_deviation({row: factor * one for row, one in made.items()}, market) > 3.0)
