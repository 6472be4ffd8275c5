"""What happens under the law of Heston and Bates is drawn from the law that its source offers for sampling."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.market.bates_world import BTC, BatesLaw
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.state import FACTORS

DRAWS = 200
NAMES = ("forward", "atm_1", "atm_7", "atm_90", "skew_30", "basis")


def simulated(seed: int) -> SimulatedSource:
    law = BatesLaw(laws={"BTC": replace(BTC, leave=(20.0, 60.0))})
    return SimulatedSource(
        venue=load_venue("deribit"), seed=seed, days=75.0, model="bates", bates=law, underlyings=("BTC",)
    )


@pytest.fixture(scope="module")
def ranks() -> dict[str, np.ndarray]:
    """Rank of the realised half-day increment among draws of the law, on spans that do not overlap, by factor."""
    columns = [FACTORS.index(name) for name in NAMES]
    found = []
    for seed in range(2):
        source = simulated(seed)
        snapshots = source.snapshots()
        for origin, target in zip(snapshots[:-2:2], snapshots[2::2], strict=True):
            hours = (target - origin).total_seconds() / 3600.0
            drawn = source.true_scenarios(origin, horizons=(hours,), n=DRAWS, seed=0).increments[:, 0, 0]
            realised = (source.true_state(target).values - source.true_state(origin).values)[0]
            found.append(np.mean(drawn < realised, axis=0)[columns])
    return dict(zip(NAMES, np.array(found).T, strict=True))


def distance(ranks: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance from the uniform law."""
    sample = np.sort(ranks)
    grid = np.arange(1, len(sample) + 1) / len(sample)
    return float(max(np.max(grid - sample), np.max(sample - grid + 1.0 / len(sample))))


@pytest.mark.parametrize("name", NAMES)
def test_ranks_are_uniform(name: str, ranks: dict[str, np.ndarray]) -> None:
    """Distance under 1.95/√n: a true law fails once in a thousand seeds, these seeds are fixed."""
    n = len(ranks[name])
    assert n > 250
    assert distance(ranks[name]) < 1.95 / np.sqrt(n) + 1.0 / DRAWS


def test_a_law_that_is_a_third_too_narrow_is_told_apart(ranks: dict[str, np.ndarray]) -> None:
    narrow = np.clip(0.5 + 1.5 * (ranks["forward"] - 0.5), 0.0, 1.0)
    assert distance(narrow) > 1.95 / np.sqrt(len(narrow)) + 1.0 / DRAWS


def test_the_law_knows_days_of_events_and_weekends() -> None:
    """The widest day of a month is the one of the release, and Saturdays are narrower than the days around them."""
    source = simulated(0)
    width: dict[int, list[float]] = {}
    of_release = []
    releases = [np.datetime64(at.removesuffix("Z")) for at in source.events]
    for origin in source.snapshots()[1:200:2]:
        at = source.snapshots().index(origin)
        hidden = source._path[at]
        drawn = source.true_scenarios(origin, horizons=(6.0,), n=400, seed=1).increments[:, 0, 0, 0]
        scaled = float(np.std(drawn) / np.sqrt(hidden.paths.variance[0, 0]))
        if hidden.regime[0] == 1:
            continue
        start = np.datetime64(origin.replace(tzinfo=None))
        if any(start <= release < start + np.timedelta64(5, "h") for release in releases):
            of_release.append(scaled)
        else:
            width.setdefault(origin.weekday(), []).append(scaled)
    weekday = np.mean([value for day in (0, 1, 2, 3) for value in width[day]])
    assert len(of_release) >= 1
    assert min(of_release) > 1.4 * weekday
    assert np.mean(width[5]) < 0.85 * weekday
