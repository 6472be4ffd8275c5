"""What a score accepts: numbers where numbers must be, shapes that fit, weights that sum to 1."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError

Samples = Float[ndarray, "scenario *cell"]
Weights = Float[ndarray, " scenario"]
Cells = Float[ndarray, "*cell"]


def cells(samples: ArrayLike, observed: ArrayLike) -> tuple[Samples, Cells]:
    """Samples (scenario, …) and observations (…) as finite doubles that fit each other."""
    drawn, seen = finite(samples, "samples"), finite(observed, "observed")
    if drawn.ndim == 0 or drawn.shape[1:] != seen.shape:
        raise InputError(
            f"samples of shape {drawn.shape} do not fit observations of shape {seen.shape}; scenarios go along axis 0."
        )
    return drawn, seen


def finite(values: ArrayLike, name: str) -> Any:
    """An array of doubles without NaN and infinity."""
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array)
    if np.any(bad):
        raise InputError(
            f"{name}: {int(bad.sum())} of {array.size} are no numbers; drop what is missing before scoring."
        )
    return array


def probabilities(values: ArrayLike, name: str) -> Any:
    """Numbers within [0, 1]."""
    array = finite(values, name)
    if np.any((array < 0.0) | (array > 1.0)):
        raise InputError(f"{name}: {float(array.min())} … {float(array.max())} is not within [0, 1].")
    return array


def events(values: ArrayLike) -> Any:
    """Numbers that are 0 or 1."""
    array = finite(values, "outcome")
    if np.any((array != 0.0) & (array != 1.0)):
        raise InputError("outcome: an event is 0 or 1.")
    return array


def shares(weights: ArrayLike | None, n: int) -> Weights:
    """Weights of n samples; equal ones where none are given."""
    if n == 0:
        raise InputError("samples: there are none.")
    if weights is None:
        return np.full(n, 1.0 / n)
    array: Weights = finite(weights, "weights")
    if array.shape != (n,) or np.any(array < 0.0) or not np.isclose(array.sum(), 1.0, rtol=0.0, atol=1e-9):
        raise InputError(f"weights: {array.shape} that sum to {array.sum():g}; one per sample, at least 0, sum 1.")
    return array
