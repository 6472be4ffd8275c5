"""Law: changing anything after `known_at` changes no feature, and the guard catches features that peek."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import LeakError
from greekdrift.features.history import Panel, example
from greekdrift.features.leak import leaks, refuse_leaks
from greekdrift.features.table import FEATURES


@dataclass(frozen=True)
class Planted:
    """A feature that sees what it must not."""

    name: str
    peek: Callable[[Panel], np.ndarray]
    lookback_hours: float = 0.0
    timing: str = "claims to be known with the row"
    source: str = "hindsight"

    def compute(self, panel: Panel) -> np.ndarray:
        return self.peek(panel)


def _next_step(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    return np.concatenate([np.diff(level, axis=0), np.full((1, level.shape[1]), np.nan)])


def _centred(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    return level - np.nanmean(level, axis=0)


def _ranked(panel: Panel) -> np.ndarray:
    return panel.factor("forward").argsort(axis=0).argsort(axis=0).astype(float)


def _smoothed(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    padded = np.concatenate([level[:1], level, level[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0


def _filled_back(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30").copy()
    for row in range(len(level) - 2, -1, -1):
        level[row] = np.where(np.isnan(level[row]) | (row % 5 == 0), level[row + 1], level[row])
    return level


def _scaled_by_the_last_row(panel: Panel) -> np.ndarray:
    return panel.factor("forward") / panel.factor("forward")[-1]


PEEKING = (_next_step, _centred, _ranked, _smoothed, _filled_back, _scaled_by_the_last_row)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return example(rows=260, underlyings=("BTC", "ETH"), seed=5)


@pytest.mark.parametrize("peek", PEEKING, ids=lambda peek: peek.__name__.strip("_"))
def test_the_guard_catches_planted_leaks(panel: Panel, peek: Callable[[Panel], np.ndarray]) -> None:
    planted = Planted(name=peek.__name__, peek=peek)
    found = leaks((planted,), panel, seed=1)
    assert len(found) == 1
    assert found[0].feature == peek.__name__
    assert found[0].known_at < found[0].changed
    with pytest.raises(LeakError, match="use only rows up to"):
        refuse_leaks((planted,), panel, seed=1)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_no_feature_sees_past_known_at(panel: Panel, feature: object) -> None:
    assert leaks((feature,), panel, seed=2) == ()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(0, 119), max_size=30), st.floats(3.0, 40.0))
def test_no_feature_sees_past_known_at_on_ragged_panels(seed: int, missing: list[int], stretch: float) -> None:
    random = np.random.default_rng(seed)
    bare = example(rows=120, underlyings=("BTC", "ETH"), seed=seed % 1000)
    state = bare.state.copy()
    state[missing, random.integers(2)] = np.nan
    hours = np.cumsum(random.exponential(6.0, size=120) + 0.1)
    hours[60:] += stretch
    as_of = bare.as_of[0] + (hours * 3.6e9).astype("timedelta64[us]")
    ragged = replace(bare, state=state, as_of=as_of, known_at=as_of + np.timedelta64(5, "m"))
    refuse_leaks(FEATURES, ragged, seed=seed)
