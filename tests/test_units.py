"""Units and instants convert in one place."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift import units
from greekdrift.errors import InputError


@given(st.sampled_from(sorted(units.VENUE_FACTOR)), st.floats(-1e12, 1e12))
def test_venue_units_survive_the_round_trip(name: str, value: float) -> None:
    assert units.from_venue(name, units.to_venue(name, value)) == pytest.approx(value, rel=1e-14)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)))
def test_instants_survive_the_round_trip(plain: datetime) -> None:
    moment = plain.replace(tzinfo=UTC)
    assert units.from_datetime64(units.datetime64(moment)) == moment
    assert units.instant(units.stamp(moment)) == moment


def test_times_without_a_zone_are_refused_and_others_become_utc() -> None:
    with pytest.raises(InputError, match="time zone"):
        units.instant("2026-02-05T08:00")
    with pytest.raises(InputError, match="ISO 8601"):
        units.instant("yesterday")
    tokyo = datetime(2026, 2, 5, 17, tzinfo=timezone(timedelta(hours=9)))
    assert units.stamp(tokyo) == "2026-02-05T08:00:00Z"
    with pytest.raises(InputError, match="did you mean"):
        units.to_venue("vegaa", 1.0)


def test_days_and_hours() -> None:
    assert units.days(np.array([1.0])).tolist() == [365.0]
    assert units.years_from_hours(24.0) == pytest.approx(1 / 365)


@pytest.mark.parametrize("moment", ["NaT", "20000-01-01"])
def test_a_stamp_beyond_the_calendar_is_refused(moment: str) -> None:
    with pytest.raises(InputError, match="no time between"):
        units.from_datetime64(np.datetime64(moment, "us"))


def test_a_day_without_a_zone_is_answered_with_an_instant() -> None:
    with pytest.raises(InputError, match="like 2026-06-01T00:00Z") as refused:
        units.instant("2026-06-01")
    assert units.instant(str(refused.value).rsplit("like ", maxsplit=1)[1].rstrip(".")).year == 2026
