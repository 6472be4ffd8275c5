"""Funding of perpetuals and the premium of one price over another, as they were known at each row."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import Panel
from greekdrift.features.records import kept, matched, newest, pair_lines, present, record_lines, window_sum
from greekdrift.market.series import Series
from greekdrift.units import HOURS_PER_YEAR

COLUMNS = ("rate", "interval")
TIMING = "payments known at or before the row's known_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """Mean funding of the payments of the last `hours`, a year: mean(Y fᵢ / Δᵢ). Positive: longs pay.

    fᵢ is the column `rate` per interval of Δᵢ hours, the column `interval`; Y = 8,760. Some
    venues print the previous interval's rate: the history's known_at says when a rate could be read.
    """

    history: str
    hours: float = 24.0
    timing: str = TIMING
    source: str = "venue's record of funding"
    unit: str = "rate a year"

    @property
    def name(self) -> str:
        """Such as `funding_24h`."""
        return f"funding_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            paid = _paid(record)
            total, count = window_sum(paid, _annual(paid), panel, self.hours)
            return total / count

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingShift:
    """Newest funding rate minus the mean of the last `hours`, a year: demand for leverage that has just changed."""

    history: str
    hours: float = 168.0
    timing: str = TIMING
    source: str = "venue's record of funding"
    unit: str = "rate a year"

    @property
    def name(self) -> str:
        """Such as `funding_shift_168h`."""
        return f"funding_shift_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(record: Series) -> Line:
            paid = _paid(record)
            annual = _annual(paid)
            total, count = window_sum(paid, annual, panel, self.hours)
            return newest(paid, annual, panel) - total / count

        return record_lines(panel, self.history, line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Premium:
    """Mean of ln(P/Q) of two prices of the same instants over the last `hours`: a perpetual's basis over spot.

    Only instants that both histories have count, so that no difference of clocks looks like a basis.
    """

    history: str
    over: str
    hours: float = 24.0
    column: str = "close"
    over_column: str = "close"
    timing: str = "events of both histories known at or before the row's known_at"
    source: str = "Makarov & Schoar (2020) for prices of one coin at several places"
    unit: str = "log of a ratio"

    @property
    def name(self) -> str:
        """Such as `premium_24h`."""
        return f"premium_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def line(left: Series, right: Series) -> Line:
            both = matched(_positive(left, self.column), _positive(right, self.over_column))
            ratio = np.log(both.column(f"0 {self.column}") / both.column(f"1 {self.over_column}"))
            total, count = window_sum(both, ratio, panel, self.hours)
            return total / count

        return pair_lines(panel, self.history, self.over, line)


def _paid(record: Series) -> Series:
    """The payments whose rate and interval are known."""
    paid = present(record, COLUMNS)
    return kept(paid, paid.column("interval") > 0.0)


def _annual(paid: Series) -> Float[ndarray, " event"]:
    return paid.column("rate") * (HOURS_PER_YEAR / paid.column("interval"))


def _positive(record: Series, column: str) -> Series:
    priced = present(record, (column,))
    return kept(priced, priced.column(column) > 0.0)
