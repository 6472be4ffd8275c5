"""Other markets beside one's own: levels and changes of any record, such as a volatility index, as known at each row.

A daily close is known after its day; each history says when (`Series.known_at`), and a value is used no longer than
the history allows (`Series.hole_hours`), so that a market that has stopped is missing.
"""

from dataclasses import dataclass

import numpy as np

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import Panel
from greekdrift.features.records import kept, label, newest, present, record_lines, window_sum
from greekdrift.market.series import Series

TIMING = "newest event known at or before the row's known_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideLevel:
    """Log of the newest value of a record: the level of a volatility index of another market."""

    history: str
    column: str = "close"
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "the history"
    unit: str = "log of the column's unit"

    @property
    def name(self) -> str:
        """Such as `log_vix`."""
        return f"log_{label(self.history)}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            priced = _positive(record, self.column)
            return newest(priced, np.log(priced.column(self.column)), panel)

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideChange:
    """Change of the log of a record's value over the `hours` that end with its newest event: ln x − ln x(−h).

    The last value at or before the window's beginning stands for x(−h).
    """

    history: str
    hours: float
    column: str = "close"
    timing: str = TIMING
    source: str = "the history"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `change_vix_120h`."""
        return f"change_{label(self.history)}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            priced = _positive(record, self.column)
            logs = np.log(priced.column(self.column))
            return window_sum(priced, np.diff(logs, prepend=logs[:1]), panel, self.hours)[0]

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideSpread:
    """Log of a record's newest value minus a log volatility of the state: ln(x / `per`) − factor.

    `per` brings the record to the state's unit, per 1.00: 100 for an index in points.
    """

    history: str
    column: str = "close"
    per: float = 1.0
    factor: str = "atm_30"
    lookback_hours: float = 0.0
    timing: str = f"{TIMING}; the factor known with the row"
    source: str = "the history and the fitted surface"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `vix_over_atm_30`."""
        return f"{label(self.history)}_over_{self.factor}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        level = OutsideLevel(history=self.history, column=self.column).compute(panel)
        return level - np.log(self.per) - panel.factor(self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAge:
    """Hours from a record's newest event to the instant at which the row was known: how stale the others are."""

    history: str
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "the history"
    unit: str = "hours"

    @property
    def name(self) -> str:
        """Such as `age_vix`."""
        return f"age_{label(self.history)}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return record_lines(panel, self.history, lambda record: record.age_hours(panel.known_at))


def _positive(record: Series, column: str) -> Series:
    valued = present(record, (column,))
    return kept(valued, valued.column(column) > 0.0)
