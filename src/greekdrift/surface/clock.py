"""Variance time: how much of a year counts, when weekends are quiet and scheduled events are not.

The rate at which variance accrues is 1 on weekdays, `weekend` on Saturdays and Sundays (UTC), and within each event it
is multiplied by the event's weight. Weighted time is its integral, exact over any interval:

    h(t₀, t₁) = ∫ rate dt,   events e add (weightₑ − 1) ∫ rate over their part of the interval

Between expiries total variance is linear in weighted time, so that its forward rate is flat (`Surface.total_variance`).
Weights only matter relative to each other; with none given the clock is act/365.
Source: Clark, "Foreign exchange option pricing" (2011), section 4.5.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError
from greekdrift.units import HOURS_PER_YEAR, aware, datetime64, stamp

Hours = Float[ndarray, "*moment"]

_HOUR = 3_600_000_000
_WEEK = 168 * _HOUR
_SATURDAY = np.datetime64("1970-01-03T00:00:00", "us").astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A window in which variance accrues `weight` times as fast as it would otherwise; events that overlap add up."""

    start: datetime
    end: datetime
    weight: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", aware(self.start))
        object.__setattr__(self, "end", aware(self.end))
        if not self.end > self.start:
            raise InputError(f"an event from {stamp(self.start)} to {stamp(self.end)} has no length; order its ends.")
        if not 0.0 <= self.weight < np.inf:
            raise InputError(f"the event at {stamp(self.start)} has weight {self.weight}; give a number of at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The rate of variance by day of the week, and events.

    >>> friday, monday = np.datetime64("2026-01-02T08:00"), np.datetime64("2026-01-05T08:00")
    >>> float(Clock(weekend=0.25).hours(friday, monday))
    36.0
    >>> float(Clock().hours(friday, monday))
    72.0
    """

    weekend: float = 1.0
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.weekend < np.inf:
            raise InputError(f"weekend weight {self.weekend} is not a number of at least 0; 1 is a day like any other.")

    def hours(self, start: ArrayLike | datetime, end: ArrayLike | datetime) -> Hours:
        """Weighted hours from one instant to another (datetimes, datetime64 or arrays of them, UTC); signed."""
        first, last = _micros(start), _micros(end)
        total = self._between(first, last)
        for event in self.events:
            low, high = _micros(event.start), _micros(event.end)
            total = total + (event.weight - 1.0) * self._between(np.clip(first, low, high), np.clip(last, low, high))
        return total

    def years(self, start: ArrayLike | datetime, end: ArrayLike | datetime) -> Hours:
        """Weighted time in years of 365 days."""
        return self.hours(start, end) / HOURS_PER_YEAR

    def _between(self, first: ndarray, last: ndarray) -> Hours:
        """Weighted hours between two instants in microseconds, events left out; exact before the weights."""
        quiet = _weekend(last) - _weekend(first)
        return ((last - first - quiet) + self.weekend * quiet) / _HOUR


def _weekend(micros: ndarray) -> ndarray:
    """Microseconds of Saturdays and Sundays since a Saturday."""
    week, inside = np.divmod(micros - _SATURDAY, _WEEK)
    return week * (48 * _HOUR) + np.minimum(inside, 48 * _HOUR)


def _micros(moment: ArrayLike | datetime) -> ndarray:
    value = datetime64(moment) if isinstance(moment, datetime) else moment
    return np.asarray(value, dtype="datetime64[us]").astype(np.int64)
