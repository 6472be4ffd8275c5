"""What the forecast asks of the margin add-on; `margin.addon` holds it within a budget."""

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
