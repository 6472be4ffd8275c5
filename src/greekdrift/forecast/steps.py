"""Base steps of a panel: the joint increments from row to row that paths are chained from.

A step starts at a row and ends at the row nearest to one base step later, if that one is near enough;
`following` links a step to the one that starts where it ends. No step bridges a hole.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.errors import DataError, InputError
from greekdrift.features.history import Panel

TOLERANCE = 0.5
"""A step may be this share of the base step shorter or longer."""
MOST_STEPS = 2_000
"""Base steps of the longest path: at six hours sixteen months, far beyond anything that was ever judged."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """Complete joint increments over about one base step, with their length in hours and the rows they join."""

    values: Float[ndarray, "step underlying factor"]
    elapsed: Float[ndarray, " step"]
    origin: Int[ndarray, " step"]
    target: Int[ndarray, " step"]

    @property
    def following(self) -> Int[ndarray, " step"]:
        """Number of the step that starts at the row where each step ends, −1 where there is none."""
        return links(self.origin, self.target)


def steps(panel: Panel) -> Steps:
    """All base steps on which every factor of every underlying is known at both ends; fewer than two are refused."""
    found = panel.increments(panel.step_hours, tolerance_hours=TOLERANCE * panel.step_hours)
    complete = np.all(np.isfinite(found.values), axis=(1, 2))
    if complete.sum() < 2:
        raise DataError(
            f"{int(complete.sum())} complete steps of {panel.step_hours:g} h in a panel of {len(panel)} rows; "
            "a forecaster needs 2: give more rows, or leave out the underlying or factor that is missing."
        )
    return Steps(
        values=found.values[complete],
        elapsed=found.elapsed_hours[complete],
        origin=found.origin[complete],
        target=found.target[complete],
    )


def links(origin: Int[ndarray, " step"], target: Int[ndarray, " step"]) -> Int[ndarray, " step"]:
    """Which step starts at the row where each step ends; origins increase.

    >>> links(np.array([0, 1, 5]), np.array([1, 2, 6]))
    array([ 1, -1, -1])
    """
    at = np.minimum(np.searchsorted(origin, target), origin.size - 1)
    return np.where(origin[at] == target, at, -1)


def usual_horizons(panel: Panel) -> tuple[float, ...]:
    """Hours ahead that a forecaster learns from where none are asked for: 1, 2, 4, 8 and 12 base steps, or sessions.

    A base step is a whole number of hours here, as snapshots are meant to come; the measured one drifts away from
    them. On sessions 1, 2, 5 and 10.

    >>> from greekdrift.features.history import example
    >>> usual_horizons(example(rows=3))
    (6.0, 12.0, 24.0, 48.0, 72.0)
    """
    if panel.clock == "sessions":
        return tuple(count * panel.step_hours for count in (1, 2, 5, 10))
    step = float(round(panel.step_hours)) if panel.step_hours >= 1.0 else panel.step_hours
    return tuple(count * step for count in (1, 2, 4, 8, 12))


def path_of_steps(
    horizons: Float[ndarray, " horizon"], step: float
) -> tuple[Float[ndarray, " length"], Int[ndarray, " horizon"]]:
    """Lengths of the steps of a path that meets every horizon exactly, and how many it takes to reach each.

    Between two horizons the path takes equal steps, as near to the base step as they divide; more than `MOST_STEPS`
    are refused.

    >>> path_of_steps(np.array([6.0, 23.4]), 6.0)
    (array([6. , 5.8, 5.8, 5.8]), array([1, 4]))
    """
    if horizons[-1] > MOST_STEPS * step:
        raise InputError(
            f"a path to {horizons[-1]:g} h takes more than {MOST_STEPS} base steps of {step:g} h; ask for horizons up "
            f"to {MOST_STEPS * step:g} h."
        )
    legs = np.diff(horizons, prepend=0.0)
    counts = np.maximum(np.rint(legs / step).astype(np.int64), 1)
    return np.repeat(legs / counts, counts), np.cumsum(counts)
