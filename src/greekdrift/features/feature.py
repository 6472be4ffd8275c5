"""What a feature is, and windows over irregular time."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.features.history import Panel

Column = Float[ndarray, "row underlying"]
Line = Float[ndarray, " row"]
Values = Float[ndarray, " value"]


@runtime_checkable
class Feature(Protocol):
    """One number per row and underlying, made from what was known by the row's `known_at`.

    `lookback_hours` says how far back it reaches, `timing` what is known when, `source` where it comes from, `unit`
    what the number counts. Beside the panel's own rows it may read `panel.history(name)`: rows of a record whose own
    `known_at` is not after the row's. A panel without that history is refused, unless the feature says that it is
    then missing.
    """

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def lookback_hours(self) -> float:
        """How far back the feature reaches, hours of the panel's clock."""
        ...

    @property
    def timing(self) -> str:
        """What is known when."""
        ...

    @property
    def source(self) -> str:
        """Publication or data that the feature comes from."""
        ...

    @property
    def unit(self) -> str:
        """Unit of the number."""
        ...

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying), NaN where the look-back is not covered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The log index of one underlying at its recorded rows, in steps of uneven length.

    `rows` are the panel's rows that have a value; step i leads to value i and is `length[i]` hours long
    (0 for the first). `breaks` counts the holes up to each value: windows with another count at either end are
    missing.
    """

    rows: Int[ndarray, " value"]
    hours: Values
    value: Values
    breaks: Int[ndarray, " value"]
    least_hours: float

    @property
    def length(self) -> Values:
        """Hours of each step; 0 for the first."""
        return np.diff(self.hours, prepend=self.hours[:1])

    @property
    def step(self) -> Values:
        """Change over each step; 0 for the first and over a hole."""
        change = np.diff(self.value, prepend=self.value[:1])
        return np.where(np.diff(self.breaks, prepend=self.breaks[:1]) > 0, 0.0, change)

    def window(self, amount: Values, hours: float, *, least: float) -> tuple[Values, Values]:
        """Sum of an amount per step over the last `hours` and the hours so covered, by value.

        A step that begins before the window counts by the share of its time within; on a panel of sessions a window
        is at least one session long. NaN where a hole lies in
        the window or less than the share `least` of it is covered.
        """
        running = np.cumsum(amount)
        length = max(hours, self.least_hours)
        start = np.maximum(self.hours - length, self.hours[:1])
        total = running - np.interp(start, self.hours, running)
        covered = self.hours - start
        is_whole = (covered >= least * length) & (self.breaks_at(start) == self.breaks)
        return np.where(is_whole, total, np.nan), np.where(is_whole, covered, np.nan)

    def breaks_at(self, moment: Values) -> Int[ndarray, " value"]:
        """Number of holes before an instant; within a step, that of the step's beginning."""
        at = np.searchsorted(self.hours, moment, side="right") - 1
        return self.breaks[np.maximum(at, 0)]

    def spread(self, values: Values, rows: int) -> Line:
        """Values on the panel's rows; NaN where the underlying has no value."""
        out = np.full(rows, np.nan)
        out[self.rows] = values
        return out


def path(panel: Panel, underlying: int, *, factor: str = "forward") -> Path:
    """The path of one factor of one underlying, without the rows where it is missing.

    A missing row makes a longer step; more than `gap_steps` steps in a row make a hole.
    """
    values = panel.factor(factor)[:, underlying]
    rows = np.flatnonzero(np.isfinite(values))
    hours = panel.hours[rows]
    counted = np.cumsum(panel.is_after_hole)[rows]
    is_break: Bool[ndarray, " value"] = np.diff(counted, prepend=counted[:1]) > 0
    is_break |= np.diff(hours, prepend=hours[:1]) > panel.gap_steps * panel.step_hours
    return Path(
        rows=rows,
        hours=hours,
        value=values[rows],
        breaks=np.cumsum(is_break),
        least_hours=panel.step_hours if panel.clock == "sessions" else 0.0,
    )


def over_underlyings(panel: Panel, lines: list[Line]) -> Column:
    """Columns of the underlyings side by side.

    >>> from greekdrift.features.history import example
    >>> over_underlyings(example(rows=2), [np.array([1.0, 2.0])]).shape
    (2, 1)
    """
    return np.stack(lines, axis=1) if lines else np.empty((len(panel), 0))
