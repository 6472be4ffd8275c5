"""Margin ahead of the event: an add-on that covers what the requirement is likely to become, without sudden calls."""

from math import isfinite

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import InputError

Samples = Float[ndarray, "scenario horizon"]


def quantile(samples: Float[ndarray, " scenario"], weights: Float[ndarray, " scenario"], level: float) -> float:
    """Smallest sample whose weight with all below it reaches a level.

    >>> quantile(np.array([3.0, 1.0, 2.0, 4.0]), np.full(4, 0.25), 0.75)
    3.0
    """
    order = np.argsort(samples, kind="stable")
    reached = np.cumsum(weights[order])
    at = int(np.searchsorted(reached, level * reached[-1] * (1.0 - 1e-12)))
    return float(samples[order][min(at, samples.size - 1)])


def need(requirement: Samples, weights: Float[ndarray, " scenario"], *, now: float, level: float = 0.95) -> float:
    """What the requirement may rise to: the largest over horizons of its quantile, above the one of now; at least 0.

    max(0, max_h Q_level(IM(t + h)) − IM(t)), in USD. The quantile comes from the requirement computed in every
    scenario, never from a forecast of margin itself.
    """
    if not np.all(np.isfinite(requirement)) or not np.isfinite(now):
        raise InputError("a forecast requirement is not a number; no add-on follows from it.")
    likely = [quantile(requirement[:, at], weights, level) for at in range(requirement.shape[1])]
    return max(0.0, max(likely) - now)


def addon(
    wanted: float,
    *,
    requirement_now: float,
    previous: float | None = None,
    hours: float = 6.0,
    floor: float = 0.0,
    rise_per_day: float = 0.5,
    release_half_life_days: float = 5.0,
    dead_band: float = 0.1,
) -> float:
    """The add-on to hold now, given what is wanted and what was held some hours ago (None at the first decision).

    floor · IM at least. It rises by at most `rise_per_day` · IM a day and falls by half of what is too much in
    `release_half_life_days`, and not at all while what is held is within `dead_band` of what is wanted. What is
    held on beyond what is wanted is at most IM itself: a book that was closed keeps none.
    Rising slower than wanted gives calm at the price of coverage; report both. Source of the three devices:
    EU Regulation 153/2013, article 28, and Murphy, Vasios & Vause (Bank of England, 2014) on how to measure them.

    >>> addon(100.0, requirement_now=1_000.0)
    100.0
    >>> addon(900.0, requirement_now=1_000.0, previous=100.0, hours=12.0)
    350.0
    >>> round(addon(100.0, requirement_now=1_000.0, previous=300.0, hours=120.0), 9)
    200.0
    """
    if not all(isfinite(one) for one in (wanted, requirement_now, hours, previous or 0.0)):
        raise InputError(f"add-on from {wanted}, {requirement_now}, {previous} and {hours} h: each must be a number.")
    if hours < 0.0 or (previous is not None and previous < 0.0):
        raise InputError(f"an add-on of {previous} held {hours} h ago: neither can be negative.")
    least = max(wanted, floor * requirement_now, 0.0)
    if previous is None:
        return least
    if least > previous:
        return min(least, previous + rise_per_day * requirement_now * hours / 24.0)
    most = max(least, requirement_now)
    if previous - least <= dead_band * previous:
        return min(previous, most)
    return min(least + (previous - least) * 0.5 ** (hours / (24.0 * release_half_life_days)), most)
