"""Joint scenarios of the market state: what every forecaster makes and everything else consumes."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError
from greekdrift.units import aware

LARGEST_INCREMENT = 100.0
"""Increments are of logarithms: beyond it prices and volatilities leave the range of a double."""

LONGEST_HORIZON = 876_000.0
"""A hundred years, in hours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """Increments of every factor of every underlying at every horizon, joint, as paths.

    `increments[s, h, u, f]` is state(t + h) − state(t) of path s; `horizons` are exact elapsed hours,
    increasing; `weights` sum to 1. `as_of` is the instant of the origin, `known_at` when the inputs were
    known; `provenance` names the forecaster, its digest and seed.
    """

    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    horizons: Float[ndarray, " horizon"]
    increments: Float[ndarray, "scenario horizon underlying factor"]
    weights: Float[ndarray, " scenario"]
    as_of: datetime
    known_at: datetime
    provenance: str

    def __post_init__(self) -> None:
        horizons = np.array(self.horizons, dtype=np.float64)
        increments = _kept(self.increments)
        weights = np.array(self.weights, dtype=np.float64)
        expected = (len(weights), len(horizons), len(self.underlyings), len(self.factors))
        if increments.shape != expected:
            raise InputError(f"scenarios: increments have shape {increments.shape}, expected {expected}.")
        twice = [name for name in self.underlyings if self.underlyings.count(name) > 1]
        if twice:
            raise InputError(f"scenarios of {self.provenance}: {twice[0]} is listed twice; give it one column.")
        if increments.size and not (increments.min() >= -LARGEST_INCREMENT and increments.max() <= LARGEST_INCREMENT):
            raise InputError(
                f"scenarios of {self.provenance}: an increment is not a number within ±{LARGEST_INCREMENT:g}; "
                "increments are of logarithms (0.05 = 5 %)."
            )
        is_hours = (horizons >= 0.0) & (horizons <= LONGEST_HORIZON)
        if horizons.size == 0 or not np.all(is_hours) or np.any(np.diff(horizons) <= 0.0):
            raise InputError(
                f"scenarios: horizons {horizons.tolist()} must be hours from 0 to {LONGEST_HORIZON:g}, increasing."
            )
        if np.any(weights < 0.0) or not np.isclose(weights.sum(), 1.0, rtol=0.0, atol=1e-9):
            raise InputError(f"scenarios: weights must be non-negative and sum to 1, got {weights.sum()}.")
        for name, array in (("horizons", horizons), ("increments", increments), ("weights", weights)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "as_of", aware(self.as_of))
        object.__setattr__(self, "known_at", aware(self.known_at))

    @property
    def n(self) -> int:
        """Number of scenarios."""
        return len(self.weights)


def _kept(given: ArrayLike) -> ndarray:
    """Doubles that nobody can change any more: the array itself if it is, as a copy else."""
    if isinstance(given, ndarray) and given.dtype == np.float64 and not given.flags.writeable and given.base is None:
        return given
    return np.array(given, dtype=np.float64)
