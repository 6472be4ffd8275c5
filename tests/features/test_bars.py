from math import log

import numpy as np
import pytest

from greekdrift.features.bars import Bars, Window
from greekdrift.features.history import HOUR
from greekdrift.market.series import Series

START = np.datetime64("2026-01-01", "us")


def _bars(prices: list[tuple[float, float, float, float]], hours: list[float]) -> Series:
    event = START + (np.array(hours) * 3.6e9).astype("timedelta64[us]")
    return Series(
        name="spot/BTC",
        event_time=event,
        known_at=event,
        columns=("open", "high", "low", "close"),
        units=("USD",) * 4,
        values=np.array(prices).reshape(-1, 4),
        hole_hours=3.0,
    )


def test_steps_lead_from_close_to_close_and_gaps_from_close_to_open() -> None:
    bars = Bars.of(_bars([(10.0, 12.0, 9.0, 11.0), (11.5, 13.0, 11.0, 12.0), (12.0, 12.0, 8.0, 9.0)], [1.0, 2.0, 4.0]))
    np.testing.assert_allclose(bars.step, [0.0, log(12.0 / 11.0), log(9.0 / 12.0)], rtol=1e-12)
    np.testing.assert_allclose(bars.gap, [0.0, log(11.5 / 11.0), 0.0], atol=1e-12)
    assert bars.high[1] == pytest.approx(log(13.0))


def test_a_window_knows_its_bars_and_its_hours() -> None:
    event = START + np.array([1, 2, 4, 5]) * HOUR
    window = Window(event_time=event, start=np.array([1, 0, 0]), stop=np.array([4, 2, 0]))
    np.testing.assert_array_equal(window.count, [3.0, 2.0, np.nan])
    np.testing.assert_array_equal(window.hours, [4.0, 1.0, np.nan])
    amount = np.array([1.0, 10.0, 100.0, 1000.0])
    np.testing.assert_array_equal(window.total(amount), [1110.0, 11.0, np.nan])
    np.testing.assert_array_equal(window.inner(amount), [1100.0, 10.0, np.nan])


def test_no_bars_are_no_bars() -> None:
    bars = Bars.of(_bars([], []))
    assert len(bars.history) == 0
    assert bars.step.size == 0
    window = Window(event_time=bars.history.event_time, start=np.zeros(2, dtype=int), stop=np.zeros(2, dtype=int))
    assert np.isnan(window.hours).all()
    assert np.isnan(window.total(bars.step)).all()
