from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.surface.clock import Clock, Event

START = datetime(2026, 1, 2, 8, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
EVENT = Event(start=START + timedelta(days=3), end=START + timedelta(days=3, hours=6), weight=4.0)
BUSY = Clock(weekend=0.4, events=(EVENT, Event(start=START, end=START + timedelta(days=2), weight=0.5)))


def brute(clock: Clock, start: datetime, end: datetime) -> float:
    """Minute by minute."""
    total, moment = 0.0, start
    while moment < end:
        rate = clock.weekend if moment.weekday() >= 5 else 1.0
        total += rate * (1.0 + sum(one.weight - 1.0 for one in clock.events if one.start <= moment < one.end)) / 60.0
        moment += timedelta(minutes=1)
    return total


def test_weekends_and_events_are_weighed_exactly():
    for hours in (0, 1, 17, 40, 72, 78, 100, 24 * 14):
        end = START + timedelta(hours=hours)
        assert float(BUSY.hours(START, end)) == pytest.approx(brute(BUSY, START, end), rel=1e-12, abs=1e-12)


@given(first=MOMENTS, second=MOMENTS, third=MOMENTS)
def test_time_adds_up_and_never_runs_back(first, second, third):
    a, b, c = sorted((first, second, third))
    assert float(BUSY.hours(a, b) + BUSY.hours(b, c)) == pytest.approx(float(BUSY.hours(a, c)), abs=1e-7)
    assert float(BUSY.hours(a, b)) >= -1e-9
    assert float(BUSY.hours(b, a)) == pytest.approx(-float(BUSY.hours(a, b)), abs=1e-7)


@given(first=MOMENTS, second=MOMENTS)
def test_without_weights_it_is_the_calendar(first, second):
    years = (second - first).total_seconds() / (365 * 86_400)
    assert float(Clock().years(first, second)) == pytest.approx(years, abs=1e-12)


def test_many_moments_at_once():
    ends = np.datetime64("2026-01-02T08:00", "us") + np.arange(0, 200, 7) * np.timedelta64(1, "h")
    single = [float(BUSY.hours(START, START + timedelta(hours=int(h)))) for h in np.arange(0, 200, 7)]
    np.testing.assert_allclose(BUSY.hours(START, ends), single, atol=1e-12)


def test_a_clock_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="weekend weight -1"):
        Clock(weekend=-1.0)
    with pytest.raises(InputError, match="weekend weight nan"):
        Clock(weekend=float("nan"))
    with pytest.raises(InputError, match="has no length"):
        Event(start=START, end=START, weight=1.0)
    with pytest.raises(InputError, match="has weight inf"):
        Event(start=START, end=START + timedelta(hours=1), weight=float("inf"))
