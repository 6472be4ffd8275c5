"""Proper scoring rules; each is a loss, best (in the mean) at the true law.

Samples lie along axis 0, one cell per position of the other axes. The estimators are the *fair* ones
(pairs i ≠ j): their mean does not depend on the number of samples, so that forecasters with different
sample sizes can be compared. Source: Gneiting & Raftery (2007); Ferro (2014) for the fair form.
Weights are non-negative and sum to 1; a single sample is a point forecast and has no spread.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist

from greekdrift.errors import InputError
from greekdrift.score.samples import Cells, Samples, Weights, cells, events, finite, probabilities, shares


def crps(samples: ArrayLike, observed: ArrayLike, *, weights: ArrayLike | None = None) -> Cells:
    """Continuous ranked probability score of a sample, fair, in O(n log n); unit of the observation.

    CRPS = Σ wᵢ |xᵢ − y| − ½ Σ_{i≠j} wᵢ wⱼ |xᵢ − xⱼ| / (1 − Σ wᵢ²)

    With equal weights the second term is the mean over the n(n−1) pairs. Source: Ferro (2014), eq. 3-4.

    >>> float(crps([-1.0, 1.0], 0.0))
    0.0
    >>> float(crps([2.0], 0.5))
    1.5
    """
    drawn, seen = cells(samples, observed)
    weight = shares(weights, len(drawn))
    deviation = drawn - seen
    size = np.abs(deviation)
    distance = size.mean(axis=0) if weights is None else np.tensordot(weight, size, axes=1)
    return distance - 0.5 * _mean_difference(deviation, weight, is_equal=weights is None)


def _mean_difference(deviation: Samples, weight: Weights, *, is_equal: bool) -> Cells:
    """Σ_{i≠j} wᵢ wⱼ |xᵢ − xⱼ| / (1 − Σ w²): after sorting, each value counts by the weight on either side."""
    n = len(deviation)
    if n == 1 or weight.max() == 1.0:
        return np.zeros(deviation.shape[1:])
    if is_equal:
        rank = 2.0 * np.arange(1, n + 1) - n - 1.0
        return np.tensordot(rank, np.sort(deviation, axis=0), axes=1) * (2.0 / (n * (n - 1.0)))
    order = np.argsort(deviation, axis=0, kind="stable")
    value = np.take_along_axis(deviation, order, axis=0)
    share = weight[order]
    below = np.cumsum(share, axis=0) - share
    above = 1.0 - below - share
    return 2.0 * np.sum(share * (below - above) * value, axis=0) / (1.0 - np.sum(weight**2))


def energy(samples: ArrayLike, observed: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Energy score of a joint sample (scenario, dimension), fair: the CRPS of vectors.

    ES = Σ wᵢ ‖xᵢ − y‖ − ½ Σ_{i≠j} wᵢ wⱼ ‖xᵢ − xⱼ‖ / (1 − Σ wᵢ²)

    Source: Gneiting & Raftery (2007), eq. 22 with β = 1. Scale the dimensions first: the norm adds them up.

    >>> energy([[3.0, 0.0], [-3.0, 0.0]], [0.0, 4.0])
    2.0
    """
    drawn, seen = cells(samples, observed)
    if drawn.ndim != 2:
        raise InputError(f"energy score: samples have shape {drawn.shape}, expected (scenario, dimension).")
    weight = shares(weights, len(drawn))
    size = np.linalg.norm(drawn - seen, axis=1)
    distance = float(size.mean() if weights is None else weight @ size)
    if len(drawn) == 1 or weight.max() == 1.0:
        return distance
    pairs = pdist(drawn)
    if weights is None:
        return distance - 0.5 * float(pairs.mean())
    left, right = np.triu_indices(len(drawn), k=1)
    return distance - float(np.sum(weight[left] * weight[right] * pairs)) / (1.0 - float(np.sum(weight**2)))


def variogram(
    samples: ArrayLike, observed: ArrayLike, *, order: float = 0.5, weights: ArrayLike | None = None
) -> float:
    """Variogram score of a joint sample (scenario, dimension), fair, mean over the pairs of dimensions.

    VS = mean over a < b of (|y_a − y_b|ᵖ − Σ wᵢ |x_ia − x_ib|ᵖ)² − V_ab,   V_ab = s²_ab Σ w² / (1 − Σ w²)

    V_ab, with s² = Σ w (v − v̄)² of the sampled |x_a − x_b|ᵖ, is the squared error of their mean. The score sees
    wrong dependence, which the energy score hardly does, and is blind to a shift of all dimensions together.
    Source: Scheuerer & Hamill (2015), eq. 14 with equal weights. Scale the dimensions first. One dimension has no
    pair and is refused.

    >>> variogram([[0.0, 4.0], [0.0, 4.0]], [0.0, 9.0])
    1.0
    """
    drawn, seen = cells(samples, observed)
    if drawn.ndim != 2 or drawn.shape[1] < 2 or not order > 0.0:
        raise InputError(
            f"variogram score: samples of shape {drawn.shape}, order {order}; expected (scenario, dimension) with two "
            "dimensions or more and a positive order."
        )
    weight = shares(weights, len(drawn))
    left, right = np.triu_indices(drawn.shape[1], k=1)
    apart = np.abs(drawn[:, left] - drawn[:, right]) ** order
    expected = weight @ apart
    squared = (np.abs(seen[left] - seen[right]) ** order - expected) ** 2
    concentration = float(np.sum(weight**2))
    if concentration < 1.0:
        squared -= (weight @ (apart - expected) ** 2) * concentration / (1.0 - concentration)
    return float(squared.mean())


def quantile(
    samples: ArrayLike, levels: ArrayLike, *, weights: ArrayLike | None = None
) -> Float[ndarray, "level *cell"]:
    """Quantiles of a sample such that a new draw of the same law lies below the i-th of n with chance i/(n+1).

    The i-th smallest sample stands at level (w₍₁₎ + … + w₍ᵢ₎) · m/(m+1), with m = 1/Σw² (n where weights are
    equal); linear between, flat outside. Source: Hyndman & Fan (1996), definition 6.

    >>> quantile([3.0, 1.0, 2.0], [0.25, 0.5, 0.625]).tolist()
    [1.0, 2.0, 2.5]
    """
    drawn = finite(samples, "samples")
    wanted = np.atleast_1d(probabilities(levels, "level"))
    weight = shares(weights, len(drawn))
    size = 1.0 / float(np.sum(weight**2))
    if weights is None or np.ptp(weight) == 0.0:
        value = np.sort(drawn, axis=0)
        step = weight.reshape(-1, *(1,) * (drawn.ndim - 1))
    else:
        order = np.argsort(drawn, axis=0, kind="stable")
        value, step = np.take_along_axis(drawn, order, axis=0), weight[order]
    position = np.cumsum(step, axis=0) * (size / (size + 1.0))
    return np.stack([_at(position, value, float(level)) for level in wanted])


def _at(position: Samples, value: Samples, level: float) -> Cells:
    reached = np.sum(position <= level + 1e-12, axis=0)[None]
    lower, upper = np.clip(reached - 1, 0, None), np.clip(reached, None, len(value) - 1)
    low, high = np.take_along_axis(position, lower, axis=0), np.take_along_axis(position, upper, axis=0)
    gap = high - low
    share = np.clip(np.divide(level - low, gap, out=np.zeros_like(gap), where=gap > 0.0), 0.0, 1.0)
    at_low, at_high = np.take_along_axis(value, lower, axis=0), np.take_along_axis(value, upper, axis=0)
    return (at_low + share * (at_high - at_low))[0]


def pinball(quantile: ArrayLike, observed: ArrayLike, *, level: float) -> Cells:
    """Quantile loss (p − 1{y < q})(y − q), best at the p-quantile. Source: Gneiting & Raftery (2007), eq. 40.

    >>> float(pinball(1.0, 3.0, level=0.75)), float(pinball(3.0, 1.0, level=0.75))
    (1.5, 0.5)
    """
    probabilities(level, "level")
    error = finite(observed, "observed") - finite(quantile, "quantile")
    return np.where(error < 0.0, level - 1.0, level) * error


def interval_score(lower: ArrayLike, upper: ArrayLike, observed: ArrayLike, *, level: float) -> Cells:
    """Width of a central interval plus 2/α times the distance by which the observation misses it, α = 1 − level.

    Source: Gneiting & Raftery (2007), eq. 43.

    >>> float(interval_score(-1.0, 1.0, 2.0, level=0.5))
    6.0
    """
    probabilities(level, "level")
    low, high, seen = finite(lower, "lower"), finite(upper, "upper"), finite(observed, "observed")
    miss = np.maximum(low - seen, 0.0) + np.maximum(seen - high, 0.0)
    return (high - low) + 2.0 / (1.0 - level) * miss


def brier(probability: ArrayLike, outcome: ArrayLike, *, members: int | None = None) -> Cells:
    """Squared error of a probability, (p − o)².

    With `members`, p is the share among that many samples and the fair form takes away p(1 − p)/(m − 1).
    Source: Brier (1950); Ferro (2014), eq. 1 for the fair form.

    >>> float(brier(0.8, 1.0).round(12)), float(brier(0.5, 1.0, members=2))
    (0.04, 0.0)
    """
    chance, event = probabilities(probability, "probability"), events(outcome)
    squared = (chance - event) ** 2
    if members is None or members == 1:
        return squared
    return squared - chance * (1.0 - chance) / (members - 1.0)


def log_score(probability: ArrayLike, outcome: ArrayLike, *, floor: float = 1e-3) -> Cells:
    """Negative log-likelihood of an event in nats, −ln p or −ln(1 − p), the probability kept in [floor, 1 − floor].

    Without a floor one event that a finite sample called impossible would cost infinity. Source: Good (1952).

    >>> float(log_score(0.5, 0.0).round(4))
    0.6931
    """
    chance, event = np.clip(probabilities(probability, "probability"), floor, 1.0 - floor), events(outcome)
    return -np.where(event == 1.0, np.log(chance), np.log1p(-chance))
