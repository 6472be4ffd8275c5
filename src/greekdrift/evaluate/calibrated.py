"""Whether forecasts are calibrated, with the bands in which a calibrated one would lie: PIT and reliability.

Outcomes of overlapping horizons and of many books at one origin depend on each other, so that bands from a binomial
law would be far too narrow. These resample origins in circular blocks, as every interval here does, and say how far
the estimate moves about its own value; around what is expected that is the band.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.evaluate.measures import Comparison
from greekdrift.score.calibration import pit_histogram
from greekdrift.score.compare import resampled_sums

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram:
    """Share of the realised drifts in each tenth of their predictive distributions, and the band of a calibrated one.

    0.1 each when calibrated. `lower` and `upper` are None where the origins are too few.
    """

    shares: tuple[float, ...]
    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None

    @property
    def outside(self) -> int:
        """Bins out of their band."""
        if self.lower is None or self.upper is None:
            return 0
        return sum(
            not low <= share <= high for low, share, high in zip(self.lower, self.shares, self.upper, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diagram:
    """Mean stated probability, observed frequency and number of cells by bin that is not empty, with the band."""

    forecast: tuple[float, ...]
    frequency: tuple[float, ...]
    count: tuple[int, ...]
    lower: tuple[float, ...] | None
    upper: tuple[float, ...] | None


def histogram(by: Comparison, name: str) -> Histogram:
    """PIT of all books and quantities by tenths."""
    ends = by.results.of(name).pit[:, by.results.horizon(by.hours)]
    is_there = np.isfinite(ends).all(axis=-1)
    count = is_there.reshape(len(ends), -1).sum(axis=1)
    mass = np.zeros((BINS, len(ends)))
    for at in np.flatnonzero(count):
        inside = ends[at][is_there[at]]
        mass[:, at] = count[at] * pit_histogram(inside[:, 0], inside[:, 1], bins=BINS)
    shares = mass.sum(axis=1) / count.sum()
    ends_of = _band(by, mass, np.broadcast_to(count, mass.shape).astype(np.float64))
    if ends_of is None:
        return Histogram(shares=tuple(shares.tolist()), lower=None, upper=None)
    lower, upper = (1.0 / BINS + (end - shares) for end in ends_of)
    return Histogram(shares=tuple(shares.tolist()), lower=tuple(lower.tolist()), upper=tuple(upper.tolist()))


def diagram(by: Comparison, name: str) -> Diagram | None:
    """Reliability of the breach probabilities within the horizon; None where no breach could be observed."""
    at = by.results.horizon(by.hours)
    chance, outcome = by.results.of(name).breach_probability[:, at], by.results.breach[:, at]
    is_there = np.isfinite(chance) & np.isfinite(outcome)
    if not np.any(is_there):
        return None
    origins = np.broadcast_to(np.arange(len(chance))[:, None, None], chance.shape)[is_there]
    bins = np.minimum((chance[is_there] * BINS).astype(np.int64), BINS - 1)
    number, stated, happened = (
        _sums(bins, origins, values, len(chance))
        for values in (np.ones(len(bins)), chance[is_there], outcome[is_there])
    )
    used = number.sum(axis=1) > 0
    total = number[used].sum(axis=1)
    forecast, frequency = stated[used].sum(axis=1) / total, happened[used].sum(axis=1) / total
    ends = _band(by, (happened - stated)[used], number[used])
    lower = upper = None
    if ends is not None:
        low, high = (np.clip(forecast + end - (frequency - forecast), 0.0, 1.0) for end in ends)
        lower, upper = tuple(low.tolist()), tuple(high.tolist())
    return Diagram(
        forecast=tuple(forecast.tolist()),
        frequency=tuple(frequency.tolist()),
        count=tuple(total.astype(int).tolist()),
        lower=lower,
        upper=upper,
    )


def _sums(
    bins: Int[ndarray, " cell"], origins: Int[ndarray, " cell"], values: Float[ndarray, " cell"], n: int
) -> Float[ndarray, "bin origin"]:
    return np.bincount(bins * n + origins, weights=values, minlength=BINS * n).reshape(BINS, n)


def _band(
    by: Comparison, top: Float[ndarray, "bin origin"], bottom: Float[ndarray, "bin origin"]
) -> tuple[ndarray, ndarray] | None:
    """95 % ends of Σ top / Σ bottom of each bin under the block bootstrap; None with fewer than four horizons."""
    block = 2 * by.steps
    if top.shape[1] < 2 * block:
        return None
    random = np.random.default_rng(by.seed)
    sums = resampled_sums(np.concatenate([top, bottom]), block=block, random=random, draws=by.draws)
    over, under = sums[: len(top)], sums[len(top) :]
    ratio = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0.0)
    lower, upper = np.nanquantile(ratio, (0.025, 0.975), axis=1)
    return lower, upper
