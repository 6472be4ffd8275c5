from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import DataError, InputError, LeakError
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.units import from_datetime64, instant

MINUTE = np.timedelta64(1, "m")


def _panel(hours: list[float], **changed: object) -> Panel:
    as_of = np.datetime64("2026-01-01", "us") + (np.array(hours) * 3.6e9).astype("timedelta64[us]")
    state = np.array(hours)[:, None, None] * np.array([1.0, 10.0])
    return replace(
        example(rows=1),
        factors=("forward", "atm_30"),
        as_of=as_of,
        known_at=as_of + 5 * MINUTE,
        state=state,
        features=np.empty((len(hours), 1, 0)),
        **changed,
    )


def test_until_shows_what_was_known_and_nothing_else() -> None:
    panel = example(rows=20)
    moment = panel.as_of[7]
    assert len(panel.until(moment)) == 7
    assert len(panel.until(moment + 5 * MINUTE)) == 8
    assert len(panel.until(from_datetime64(moment + 4 * MINUTE))) == 7
    np.testing.assert_array_equal(panel.until(moment).state, panel.state[:7])
    with pytest.raises(LeakError, match="nothing was known"):
        panel.until(instant("2020-01-01T00:00Z"))


def test_until_does_not_copy() -> None:
    panel = example(rows=20)
    assert np.shares_memory(panel.until(panel.known_at[9]).state, panel.state)


def test_nothing_in_a_panel_can_be_written() -> None:
    panel = example(rows=3)
    with pytest.raises(ValueError, match="read-only"):
        panel.until(panel.known_at[1]).state[0, 0, 0] = 1.0


def test_increments_take_the_nearest_row_within_the_tolerance() -> None:
    panel = _panel([0.0, 5.5, 12.5, 18.0, 23.0, 25.1])
    increments = panel.increments(6.0, tolerance_hours=1.5)
    assert increments.origin.tolist() == [0, 1, 2, 3]
    assert increments.target.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(increments.elapsed_hours, [5.5, 7.0, 5.5, 5.0])
    np.testing.assert_allclose(increments.values[:, 0, 1], 10.0 * increments.elapsed_hours)
    assert len(panel.increments(6.0, tolerance_hours=0.5)) == 2


def test_increments_never_bridge_a_hole() -> None:
    panel = _panel([0.0, 6.0, 12.0, 34.0, 40.0])
    assert panel.is_after_hole.tolist() == [True, False, False, True, False]
    day = panel.increments(22.0)
    assert day.origin.tolist() == []
    assert panel.increments(6.0).origin.tolist() == [0, 1, 3]


def test_a_missing_state_makes_a_missing_increment_and_stays_listed() -> None:
    panel = _panel([0.0, 6.0, 12.0])
    state = panel.state.copy()
    state[1, 0, 1] = np.nan
    values = replace(panel, state=state).increments(6.0).values
    assert np.isnan(values[:, 0, 1]).all()
    assert np.isfinite(values[:, 0, 0]).all()


def test_sessions_count_rows_and_know_the_calendar() -> None:
    days = [0.0, 1.0, 4.0, 5.0, 20.0]
    panel = _panel([24.0 * day for day in days], clock="sessions", step_hours=24.0)
    one = panel.increments(24.0)
    assert one.origin.tolist() == [0, 1, 2]
    assert one.elapsed_hours.tolist() == [24.0, 24.0, 24.0]
    assert one.calendar_hours.tolist() == [24.0, 72.0, 24.0]
    assert panel.increments(48.0).target.tolist() == [2, 3]
    assert panel.hours_per_year == 252 * 24
    with pytest.raises(InputError, match="steps of 24"):
        panel.increments(6.0)


def test_rows_are_found_by_their_instant() -> None:
    panel = example(rows=5)
    assert panel.row(panel.as_of[3]) == 3
    assert panel.row(from_datetime64(panel.as_of[0])) == 0
    for wrong in (panel.as_of[0] + HOUR, panel.as_of[-1] + HOUR):
        with pytest.raises(DataError, match="no row at"):
            panel.row(wrong)


def test_select_and_names() -> None:
    panel = example(rows=4, underlyings=("BTC", "ETH"))
    np.testing.assert_array_equal(panel.select(("ETH",)).state[:, 0], panel.state[:, 1])
    with pytest.raises(InputError, match='did you mean "ETH"'):
        panel.select(("EHT",))
    with pytest.raises(InputError, match='did you mean "atm_30"'):
        panel.factor("atm_33")
    with pytest.raises(InputError, match='no feature "x"'):
        panel.feature("x")
    assert len(panel.since(panel.as_of[2])) == 2
    assert "4 rows of BTC, ETH" in panel.describe()


def test_a_panel_that_cannot_be_is_refused() -> None:
    panel = example(rows=4)
    with pytest.raises(DataError, match="does not follow"):
        replace(panel, as_of=panel.as_of[::-1].copy())
    with pytest.raises(DataError, match="known before it happened"):
        replace(panel, known_at=panel.known_at - HOUR)
    swapped = panel.known_at.copy()
    swapped[1] += 24 * HOUR
    with pytest.raises(DataError, match="known before an earlier"):
        replace(panel, known_at=swapped)
    with pytest.raises(DataError, match="state has shape"):
        replace(panel, state=panel.state[:2])
    with pytest.raises(DataError, match="infinite"):
        replace(panel, state=np.full(panel.state.shape, np.inf))
    with pytest.raises(DataError, match='clock "days"'):
        replace(panel, clock="days")
    with pytest.raises(DataError, match="usual spacing"):
        replace(panel, step_hours=0.0)
    with pytest.raises(InputError, match="positive horizon"):
        panel.increments(-1.0)
