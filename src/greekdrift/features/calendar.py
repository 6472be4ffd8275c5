"""What the clock alone says: hour of the day, weekend within the horizon, time to the weekly expiry.

Timing: known long before; a calendar of the future is no leak. Times in UTC. The calendar is the largest single
gain in breach scores on markets that never close.
"""

from dataclasses import dataclass
from math import pi
from typing import Literal

import numpy as np

from greekdrift.features.feature import Column, Line
from greekdrift.features.history import HOUR, Instants, Panel

TIMING = "known in advance"
WEEK_HOURS = 168.0
FRIDAY_0800_HOURS = 24.0 + 8.0
MONDAY_HOURS = 96.0
SATURDAY_HOURS = 48.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfDay:
    """Sine or cosine of the hour of the day."""

    wave: Literal["sin", "cos"]
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "calendar"

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
    name: str = "expiry_near"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return _same(panel, 1.0 / (1.0 + hours_to_weekly_expiry(panel.as_of) / 24.0))


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


def _same(panel: Panel, line: Line) -> Column:
    return np.repeat(line[:, None], len(panel.underlyings), axis=1)
