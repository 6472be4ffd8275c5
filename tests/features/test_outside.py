from dataclasses import replace
from math import log

import numpy as np
import pytest

from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.outside import OutsideChange, OutsideLevel, OutsideSpread, RecordAge
from greekdrift.market.series import Series

START = np.datetime64("2026-01-01", "us")
DAY = 24 * HOUR


def _closes(values: list[float], *, lag_hours: float = 0.25) -> Series:
    """A close at 21:00 of every day, known a quarter of an hour later."""
    event = START + 21 * HOUR + np.arange(len(values)) * DAY
    return Series(
        name="vol/VIX",
        event_time=event,
        known_at=event + np.timedelta64(round(lag_hours * 3.6e9), "us"),
        columns=("close",),
        units=("per 1.00 a year",),
        values=np.array(values)[:, None],
        hole_hours=80.0,
        lag_hours=lag_hours,
    )


def _panel(record: Series, rows: int = 24) -> Panel:
    return replace(example(rows=rows, underlyings=("BTC", "ETH")), histories={"vol/VIX": record})


CLOSES = [0.20, 0.22, 0.30, 0.25, 0.24, 0.26]


def test_a_close_is_seen_after_it_was_known_and_by_all() -> None:
    column = OutsideLevel(history="vol/VIX").compute(_panel(_closes(CLOSES)))
    np.testing.assert_array_equal(column[:, 0], column[:, 1])
    assert np.isnan(column[:4, 0]).all()
    assert column[4, 0] == pytest.approx(log(0.20))
    assert column[7, 0] == pytest.approx(log(0.20))
    assert column[8, 0] == pytest.approx(log(0.22))
    late = OutsideLevel(history="vol/VIX").compute(_panel(_closes(CLOSES, lag_hours=8.0)))
    assert late[8, 0] == pytest.approx(log(0.20))
    assert late[9, 0] == pytest.approx(log(0.22))


def test_a_market_that_has_stopped_is_missing() -> None:
    panel = _panel(_closes(CLOSES[:2]))
    column = OutsideLevel(history="vol/VIX").compute(panel)[:, 0]
    age = RecordAge(history="vol/VIX").compute(panel)[:, 0]
    assert np.isfinite(column[4:21]).all()
    assert np.isnan(column[22:]).all()
    assert age[4] == pytest.approx(3.0 + 5.0 / 60.0)
    np.testing.assert_array_equal(np.isnan(age), np.isnan(column))


def test_the_change_over_closes() -> None:
    feature = OutsideChange(history="vol/VIX", hours=48.0)
    column = feature.compute(_panel(_closes(CLOSES)))[:, 0]
    assert column[12] == pytest.approx(log(0.30 / 0.20))
    assert column[16] == pytest.approx(log(0.25 / 0.22))
    assert np.isnan(column[:12]).all()
    assert (feature.name, feature.lookback_hours) == ("change_vix_48h", 48.0)


def test_the_spread_is_over_ones_own_level() -> None:
    panel = _panel(_closes([20.0, 22.0]))
    feature = OutsideSpread(history="vol/VIX", per=100.0)
    column = feature.compute(panel)
    np.testing.assert_allclose(column[4:8], log(0.20) - panel.factor("atm_30")[4:8], rtol=1e-12)
    assert feature.name == "vix_over_atm_30"


def test_what_is_not_positive_has_no_logarithm() -> None:
    column = OutsideLevel(history="vol/VIX").compute(_panel(_closes([0.2, 0.0, np.nan, 0.3])))[:, 0]
    assert column[8] == pytest.approx(log(0.2))
    assert column[16] == pytest.approx(log(0.3))
