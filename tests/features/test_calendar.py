from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.features.calendar import (
    CycleNear,
    ExpiryNear,
    HourOfDay,
    StepHours,
    WeekendShare,
    days_to_third_friday,
    hours_to_last_friday,
    hours_to_weekly_expiry,
    weekend_share,
)
from greekdrift.features.history import example


def test_weekend_share_equals_counting_minutes() -> None:
    for hour in range(0, 24 * 7, 5):
        start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
        minutes = [start + timedelta(minutes=30 * i + 15) for i in range(2 * 60)]
        expected = np.mean([moment.weekday() >= 5 for moment in minutes])
        found = weekend_share(np.array([start.replace(tzinfo=None)], dtype="datetime64[us]"), 60.0)
        assert found[0] == pytest.approx(expected, abs=1e-9)


def test_the_weekly_expiry_is_friday_at_eight() -> None:
    for hour in range(0, 24 * 8, 3):
        start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
        at = np.array([start.replace(tzinfo=None)], dtype="datetime64[us]")
        expiry = start + timedelta(hours=float(hours_to_weekly_expiry(at)[0]))
        assert (expiry.weekday(), expiry.hour) == (4, 8)
        assert expiry - start < timedelta(days=7)


def test_columns_have_one_value_per_underlying() -> None:
    panel = example(rows=9, underlyings=("BTC", "ETH"))
    for feature in (HourOfDay(wave="sin"), HourOfDay(wave="cos"), WeekendShare(hours=24.0), ExpiryNear()):
        column = feature.compute(panel)
        assert column.shape == (9, 2)
        np.testing.assert_array_equal(column[:, 0], column[:, 1])
        assert feature.lookback_hours == 0.0
    noon = replace(panel, as_of=panel.as_of + np.timedelta64(12, "h"), known_at=panel.known_at + np.timedelta64(1, "D"))
    assert HourOfDay(wave="cos").compute(noon)[0, 0] == pytest.approx(-1.0)


def _at(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def test_the_last_friday_equals_walking_over_hours() -> None:
    moments = np.datetime64("2025-11-01T00:30", "us") + np.arange(0, 24 * 400, 7) * np.timedelta64(1, "h")
    for months, due in ((1, set(range(1, 13))), (3, {3, 6, 9, 12})):
        found = hours_to_last_friday(moments, months=months)
        for moment, hours in zip(moments, found, strict=True):
            day = (moment + np.timedelta64(round(hours * 3.6e9), "us")).astype(datetime)
            assert (day.weekday(), day.hour, day.minute) == (4, 8, 0)
            assert day.month in due
            assert (day + timedelta(days=7)).month != day.month
        gaps = np.diff(moments + (found * 3.6e9).round().astype("timedelta64[us]"))
        assert gaps.min() >= np.timedelta64(0, "us")
        assert gaps.max() <= np.timedelta64(35 if months == 1 else 98, "D")
    assert hours_to_last_friday(_at("2026-03-27T08:00"), months=3)[0] == 0.0
    assert hours_to_last_friday(_at("2026-01-30T08:01"), months=1)[0] == pytest.approx(28 * 24.0 - 1.0 / 60.0)


def test_the_third_friday_equals_walking_over_days() -> None:
    moments = np.datetime64("2025-11-01T21:00", "us") + np.arange(800) * np.timedelta64(1, "D")
    for moment, days in zip(moments, days_to_third_friday(moments), strict=True):
        ahead = [(moment + np.timedelta64(number, "D")).astype(datetime) for number in range(36)]
        assert days == next(n for n, one in enumerate(ahead) if one.weekday() == 4 and 15 <= one.day <= 21)


def test_cycles_are_near_at_their_expiry() -> None:
    panel = replace(
        example(rows=2), as_of=_at("2026-03-27T08:00", "2026-03-28T07:00"), known_at=_at("2026-03-28", "2026-03-29")
    )
    near = {cycle: CycleNear(cycle=cycle).compute(panel)[:, 0] for cycle in ("daily", "monthly", "quarterly")}
    assert [column[0] for column in near.values()] == [1.0, 1.0, 1.0]
    assert near["daily"][1] == pytest.approx(24.0 / 25.0)
    assert near["monthly"][1] == pytest.approx(1.0 / (1.0 + 27.0 + 1.0 / 24.0))
    assert near["quarterly"][1] == pytest.approx(1.0 / (1.0 + 90.0 + 1.0 / 24.0))
    assert CycleNear(cycle="daily").name == "daily_near"


def test_the_step_is_missing_at_the_first_row_and_over_a_hole() -> None:
    panel = example(rows=4, underlyings=("BTC", "ETH"))
    as_of = panel.as_of[0] + np.array([0, 6, 14, 200]) * np.timedelta64(1, "h")
    column = StepHours().compute(replace(panel, as_of=as_of, known_at=as_of))
    np.testing.assert_allclose(column[:, 1], [np.nan, np.log(6.0), np.log(8.0), np.nan])
