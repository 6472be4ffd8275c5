from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.features.calendar import ExpiryNear, HourOfDay, WeekendShare, hours_to_weekly_expiry, weekend_share
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
