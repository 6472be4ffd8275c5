"""Bars of a long price history, and what adds up over the last hours of them as they were known at each row.

Every measure is a sum of an amount per bar, so that a window is the difference of two cumulative sums, however long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import HOUR, Panel
from greekdrift.features.records import kept, present, record_lines
from greekdrift.market.series import Instants, Series

LEAST_COVERED = 0.8
OHLC = ("open", "high", "low", "close")

Amount = Float[ndarray, " bar"]
Places = Int[ndarray, " row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Logarithms of open, high, low and close of one underlying's bars, in the order of time and of knowledge.

    `step` is the change of the log close from the bar before (0 for the first), `gap` that of the open over the
    close before. Bars that came late, lack one of the four prices or cannot be (a low above another price) are left
    out: missing, neither moved nor repaired. Whether the rest covers a window is decided by time.
    """

    history: Series
    open: Amount
    high: Amount
    low: Amount
    close: Amount
    step: Amount
    gap: Amount

    @classmethod
    def of(cls, history: Series) -> Self:
        """The bars of a series with the columns open, high, low and close."""
        possible = _possible(history)
        logs = {name: np.log(possible.column(name)) for name in OHLC}
        before = np.concatenate([logs["open"][:1], logs["close"][:-1]])
        step = logs["close"] - np.concatenate([logs["close"][:1], logs["close"][:-1]])
        return cls(history=possible, **logs, step=step, gap=logs["open"] - before)

    def window(self, panel: Panel, hours: float) -> "Window":
        """The bars of the `hours` that end with the newest bar known at each row of a panel."""
        start, stop = self.history.windows(panel.known_at, hours, least=LEAST_COVERED)
        return Window(event_time=self.history.event_time, start=start, stop=stop)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Bars start … stop − 1 of each row; start = stop where the window is not covered."""

    event_time: Instants
    start: Places
    stop: Places

    @property
    def count(self) -> Line:
        """Bars in each window; NaN where it is not covered."""
        return np.where(self.stop > self.start, (self.stop - self.start).astype(np.float64), np.nan)

    @property
    def hours(self) -> Line:
        """Hours over which the steps of each window lead: from the close before its first bar to its last close."""
        if len(self.event_time) == 0:
            return np.full(len(self.start), np.nan)
        first, last = np.maximum(self.start - 1, 0), np.maximum(self.stop - 1, 0)
        length = (self.event_time[last] - self.event_time[first]) / HOUR
        return np.where(self.stop > self.start, length, np.nan)

    def total(self, amount: Amount) -> Line:
        """Sum of an amount per bar; NaN where the window is not covered.

        >>> four = Window(event_time=np.zeros(4, "datetime64[us]"), start=np.array([1, 0]), stop=np.array([4, 0]))
        >>> four.total(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
        [9.0, nan]
        """
        running = np.concatenate([[0.0], np.cumsum(amount)])
        return np.where(self.stop > self.start, running[self.stop] - running[self.start], np.nan)

    def inner(self, amount: Amount) -> Line:
        """The same without the first bar of each window: for products with the bar before."""
        running = np.concatenate([[0.0], np.cumsum(amount)])
        first = np.minimum(self.start + 1, self.stop)
        return np.where(self.stop > self.start + 1, running[self.stop] - running[first], np.nan)


LineOf = Callable[[Bars, Panel], Line]


def bar_lines(panel: Panel, history: str, line: LineOf) -> Column:
    """A column made of one line per underlying from its bars; NaN for an underlying without bars."""

    def of(record: Series) -> Line:
        bars = Bars.of(record)
        return line(bars, panel) if len(bars.history) else np.full(len(panel), np.nan)

    return record_lines(panel, history, of)


def _possible(history: Series) -> Series:
    """The bars whose four prices a market can have made."""
    whole = present(history, OHLC)
    opened, high, low, close = (whole.column(name) for name in OHLC)
    return kept(whole, (low > 0.0) & (high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close)))
