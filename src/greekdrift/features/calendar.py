"""What the clock alone says: hour of the day, weekend within the horizon, time to the weekly expiry.

Timing: known long before; a calendar of the future is no leak. Times in UTC. The calendar is the largest single
gain in breach scores on markets that never close.
"""

from dataclasses import dataclass
from math import pi
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import HOUR, Instants, Panel

TIMING = "known in advance"
WEEK_HOURS = 168.0
EXPIRY_HOUR = 8.0
FRIDAY_0800_HOURS = 24.0 + EXPIRY_HOUR
MONDAY_HOURS = 96.0
SATURDAY_HOURS = 48.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfDay:
    """Sine or cosine of the hour of the day."""

    wave: Literal["sin", "cos"]
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "calendar"
    unit: str = "-1 to 1"

    @property
    def name(self) -> str:
        """Such as `hour_sin`."""
        return f"hour_{self.wave}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        angle = hours_since_thursday(panel.as_of) * (2.0 * pi / 24.0)
        return _same(panel, np.sin(angle) if self.wave == "sin" else np.cos(angle))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekendShare:
    """Share of the next `hours` that falls on Saturday or Sunday."""

    hours: float
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "calendar"
    unit: str = "share"

    @property
    def name(self) -> str:
        """Such as `weekend_share_24h`."""
        return f"weekend_share_{self.hours:g}h"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return _same(panel, weekend_share(panel.as_of, self.hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryNear:
    """1 / (1 + days to the next Friday 08:00), the weekly expiry: 1 at it, ⅛ a week before."""

    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "weekly expiries at 08:00 UTC on Fridays"
    unit: str = "0 to 1"
    name: str = "expiry_near"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return _same(panel, 1.0 / (1.0 + hours_to_weekly_expiry(panel.as_of) / 24.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleNear:
    """1 / (1 + days to the next expiry of a cycle): daily, on the last Friday of the month or of the quarter, 08:00."""

    cycle: Literal["daily", "monthly", "quarterly"]
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "listing rule of coin venues, 08:00 UTC"
    unit: str = "0 to 1"

    @property
    def name(self) -> str:
        """Such as `monthly_near`."""
        return f"{self.cycle}_near"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        if self.cycle == "daily":
            hours = np.mod(EXPIRY_HOUR - hours_since_thursday(panel.as_of), 24.0)
        else:
            hours = hours_to_last_friday(panel.as_of, months=1 if self.cycle == "monthly" else 3)
        return _same(panel, 1.0 / (1.0 + hours / 24.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHours:
    """Log hours from the row before to this one: snapshots are uneven, and a model is told by how much.

    Missing for the first row and across a hole.
    """

    timing: str = "known with the row, from it and the row before"
    source: str = "panel"
    unit: str = "log of hours"
    name: str = "log_step_hours"
    lookback_hours: float = 0.0

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        step = np.diff(panel.hours, prepend=np.nan)[: len(panel)]
        return _same(panel, np.log(np.where(panel.is_after_hole, np.nan, step)))


def hours_since_thursday(moments: Instants) -> Line:
    """Hours since the last Thursday 00:00 UTC (1970-01-01 was one).

    >>> hours_since_thursday(np.array(["2026-02-05T08:00"], dtype="datetime64[us]")).tolist()
    [8.0]
    """
    return np.mod((moments - np.datetime64(0, "us")) / HOUR, WEEK_HOURS)


def weekend_share(moments: Instants, hours: float) -> Line:
    """Share of the `hours` after each instant that falls on Saturday or Sunday (UTC).

    >>> weekend_share(np.array(["2026-02-06T12:00"], dtype="datetime64[us]"), 24.0).tolist()
    [0.5]
    """
    start = hours_since_thursday(moments)
    return (_weekend_before(start + hours) - _weekend_before(start)) / hours


def _weekend_before(hours: Line) -> Line:
    """Weekend hours between a Thursday 00:00 and `hours` later."""
    weeks, rest = np.divmod(hours, WEEK_HOURS)
    return weeks * (MONDAY_HOURS - SATURDAY_HOURS) + np.clip(rest, SATURDAY_HOURS, MONDAY_HOURS) - SATURDAY_HOURS


def hours_to_weekly_expiry(moments: Instants) -> Line:
    """Hours to the next Friday 08:00 UTC; 0 at it.

    >>> hours_to_weekly_expiry(np.array(["2026-02-06T07:00", "2026-02-06T09:00"], dtype="datetime64[us]")).tolist()
    [1.0, 167.0]
    """
    return np.mod(FRIDAY_0800_HOURS - hours_since_thursday(moments), WEEK_HOURS)


def hours_to_last_friday(moments: Instants, *, months: Literal[1, 3]) -> Line:
    """Hours to the next 08:00 UTC on the last Friday of a month, or of a quarter's last month (3); 0 at it.

    >>> at = np.array(["2026-03-27T07:00", "2026-03-27T09:00"], dtype="datetime64[us]")
    >>> hours_to_last_friday(at, months=3).tolist()
    [1.0, 2183.0]
    """
    month = moments.astype("datetime64[M]").astype(np.int64)
    due = _last_friday(month + np.mod(-1 - month, months))
    after = _last_friday(month + np.mod(-1 - month, months) + months)
    return (np.where(due >= moments, due, after) - moments) / HOUR


def _last_friday(month: Int[ndarray, " row"]) -> Instants:
    """08:00 on the last Friday of months counted from 1970-01."""
    last = (month + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    friday = last - np.mod(last - 1, 7)
    return friday.astype("datetime64[D]").astype("datetime64[us]") + np.timedelta64(8, "h")


def days_to_third_friday(moments: Instants) -> Line:
    """Days from the date of each instant (UTC) to the next third Friday, when listed monthly options expire; 0 on it.

    >>> days_to_third_friday(np.array(["2026-03-20T21:00", "2026-03-21T00:00"], dtype="datetime64[us]")).tolist()
    [0.0, 27.0]
    """
    day = moments.astype("datetime64[D]").astype(np.int64)
    month = moments.astype("datetime64[M]").astype(np.int64)
    due, after = _third_friday(month), _third_friday(month + 1)
    return np.where(due >= day, due, after) - day.astype(np.float64)


def _third_friday(month: Int[ndarray, " row"]) -> Int[ndarray, " row"]:
    """Days since 1970 of the third Friday of months counted from 1970-01 (1970-01-02 was a Friday)."""
    first = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first + np.mod(1 - first, 7) + 14


def _same(panel: Panel, line: Line) -> Column:
    return np.repeat(line[:, None], len(panel.underlyings), axis=1)
