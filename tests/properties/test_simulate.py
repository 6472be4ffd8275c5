"""The simulator's truth is the truth: what happens is drawn from the law that it offers for sampling."""

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.state import FACTORS

DRAWS = 200
HOURS = 24.0


@pytest.fixture(scope="module")
def ranks() -> dict[str, np.ndarray]:
    """Rank of the realised 24-hour increment among draws of the law, on days that do not overlap, by factor."""
    names = ("forward", "atm_7", "atm_90", "skew_30", "curvature_30", "basis")
    found: dict[str, list[float]] = {name: [] for name in names}
    columns = [FACTORS.index(name) for name in names]
    for seed in range(3):
        source = SimulatedSource(venue=load_venue("deribit"), seed=seed, days=120.0)
        snapshots = source.snapshots()
        for origin, target in zip(snapshots[:-4:5], snapshots[4::5], strict=False):
            hours = (target - origin).total_seconds() / 3600.0
            drawn = source.true_scenarios(origin, horizons=(hours,), n=DRAWS, seed=0).increments[:, 0]
            realised = source.true_state(target).values - source.true_state(origin).values
            below = np.mean(drawn < realised, axis=0)
            for name, column in zip(names, columns, strict=True):
                found[name].append(below[0, column])
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("name", ["forward", "atm_7", "atm_90", "skew_30", "curvature_30", "basis"])
def test_ranks_are_uniform(name: str, ranks: dict[str, np.ndarray]):
    """Kolmogorov-Smirnov distance under 1.95/√n: a true law fails once in a thousand seeds, these seeds are fixed."""
    sample = np.sort(ranks[name])
    n = len(sample)
    grid = np.arange(1, n + 1) / n
    distance = max(np.max(grid - sample), np.max(sample - grid + 1.0 / n))
    assert n > 250
    assert distance < 1.95 / np.sqrt(n) + 1.0 / DRAWS


def test_a_law_of_the_other_regime_is_told_apart(ranks: dict[str, np.ndarray]):
    """The test above has power: ranks of one regime's law squeezed by a third fail it."""
    squeezed = np.sort(np.clip(0.5 + 1.5 * (ranks["forward"] - 0.5), 0.0, 1.0))
    n = len(squeezed)
    grid = np.arange(1, n + 1) / n
    distance = max(np.max(grid - squeezed), np.max(squeezed - grid + 1.0 / n))
    assert distance > 1.95 / np.sqrt(n) + 1.0 / DRAWS


def test_the_stressed_regime_moves_more(ranks: dict[str, np.ndarray]):
    source = SimulatedSource(venue=load_venue("deribit"), seed=0, days=120.0)
    spread = {0: [], 1: []}
    for moment in source.snapshots()[::8]:
        drawn = source.true_scenarios(moment, horizons=(6.0,), n=200, seed=0).increments[:, 0, 0]
        spread[source.regime(moment)].append(drawn[:, FACTORS.index("atm_30")].std())
    assert np.mean(spread[1]) > 1.5 * np.mean(spread[0])
