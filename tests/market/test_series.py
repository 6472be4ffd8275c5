"""Series: what was known at an instant, against plain search on many random histories; holes; what is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from campaigns import leaks
from greekdrift.errors import DataError, InputError
from greekdrift.market.series import HOUR, Series, example, series
from greekdrift.units import instant

START = np.datetime64("2026-01-01", "us")
PART = leaks.HISTORIES // 20


def _of(*rows: tuple[float, float, float], hole_hours: float = 3.0, lag_hours: float = 0.0) -> Series:
    """A series of (event, known, value), hours after the start."""
    event, known, value = (np.array(column) for column in zip(*rows, strict=True))
    return series(
        "hand/made",
        event_time=_at(event),
        known_at=_at(known),
        columns=["x"],
        units=["1"],
        values=value[:, None],
        hole_hours=hole_hours,
        lag_hours=lag_hours,
    )


def _at(*hours: float | np.ndarray) -> np.ndarray:
    given = np.concatenate([np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in hours])
    return START + (given * 3.6e9).astype("timedelta64[us]")


@pytest.mark.parametrize("quarter", range(4))
def test_no_random_history_with_backfills_leaks(quarter: int) -> None:
    found = leaks.run(PART // 4, seed=100 + quarter)
    assert set(found) >= {"value as of an instant", "rows of a window", "another future", "panel cut at an instant"}
    assert found.total() == 0, found


def _by_event_alone(one: Series, moments: np.ndarray) -> np.ndarray:
    """What a careless join does: the newest event, whether known or not."""
    order = np.argsort(one.event_time, kind="stable")
    at = np.searchsorted(one.event_time[order], moments, side="right") - 1
    return np.where(at >= 0, order[np.maximum(at, 0)], -1) if len(one) else np.full(len(moments), -1)


def _first_version(one: Series, moments: np.ndarray) -> np.ndarray:
    """A join that never learns of a correction."""
    fresh = one.in_order()
    row = fresh.rows_at(moments)
    place = np.searchsorted(one.known_at, fresh.known_at) if len(one) else np.zeros(0, int)
    return np.where(row >= 0, place[np.maximum(row, 0)], -1) if len(one) else row


@pytest.mark.parametrize("careless", [_by_event_alone, _first_version], ids=["by event", "first version"])
def test_the_search_finds_a_careless_join(
    careless: Callable[[Series, np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Series.rows_at
    first = careless is _first_version
    monkeypatch.setattr(
        Series, "rows_at", lambda one, at: honest(one, at) if first and _is_ordered(one) else careless(one, at)
    )
    assert leaks.run(50, seed=1).total() > 0


def _is_ordered(one: Series) -> bool:
    return bool(np.all(np.diff(one.event_time) > np.timedelta64(0, "us")))


def test_a_correction_counts_from_its_own_instant_on() -> None:
    one = _of((1, 1, 10.0), (2, 2, 20.0), (1, 2.5, 11.0), (2, 3, 21.0))
    assert one.as_of(_at(1.0, 2.0, 2.7, 3.0), "x").tolist() == [10.0, 20.0, 20.0, 21.0]
    assert one.in_order().column("x").tolist() == [10.0, 20.0]


def test_an_event_told_late_is_not_moved_to_where_it_was() -> None:
    one = _of((1, 1, 1.0), (3, 3, 3.0), (2, 3.5, 2.0), (4, 4, 4.0))
    assert one.as_of(_at(2.5, 3.6), "x").tolist() == [1.0, 3.0]
    assert one.in_order().column("x").tolist() == [1.0, 3.0, 4.0]


def test_a_value_grows_old_and_a_hole_is_missing() -> None:
    one = _of((1, 1.5, 1.0), (2, 2.5, np.nan), (20, 20.5, 3.0), hole_hours=2.0, lag_hours=0.5)
    assert np.isnan(one.as_of(_at(1.4), "x"))[0]
    assert one.as_of(_at(1.5, 2.4), "x").tolist() == [1.0, 1.0]
    assert np.isnan(one.as_of(_at(2.5, 4.5, 4.6, 20.4), "x")).all()
    assert one.as_of(_at(20.5, 22.5, 22.6), "x")[:2].tolist() == [3.0, 3.0]
    assert np.isnan(one.as_of(_at(22.6), "x"))[0]
    assert one.age_hours(_at(1.5, 22.5)).tolist() == [0.5, 2.5]
    assert one.is_after_hole.tolist() == [True, False, True]


def test_windows_count_events_and_never_bridge_a_hole() -> None:
    one = _of(*((float(hour), hour + 0.1, float(hour)) for hour in (1, 2, 3, 4, 5, 12, 13, 14, 15, 16)))
    start, stop = one.windows(_at(5.1, 5.0, 12.1, 14.1, 15.1, 16.1), 3.0)
    assert list(zip(start.tolist(), stop.tolist(), strict=True)) == [(2, 5), (1, 4), (0, 0), (0, 0), (6, 9), (7, 10)]
    assert one.windows(_at(14.1), 3.0, least=0.6)[1].tolist() == [0]
    assert one.windows(_at(3.1), 3.0, least=0.6)[1].tolist() == [3]
    with pytest.raises(DataError, match="take in_order"):
        _of((1, 1, 1.0), (1, 2, 1.0)).windows(_at(3.0), 1.0)


def test_until_is_a_view_and_cannot_be_written() -> None:
    one = example(rows=10)
    cut = one.until(one.known_at[4])
    assert len(cut) == 5
    assert np.shares_memory(cut.values, one.values)
    with pytest.raises(ValueError, match="read-only"):
        cut.values[0, 0] = 1.0
    assert len(one.until(instant("2025-01-01T00:00Z"))) == 0
    assert np.isnan(one.until(instant("2025-01-01T00:00Z")).as_of(one.known_at, "close")).all()
    assert np.isnan(one.until(instant("2025-01-01T00:00Z")).age_hours(one.known_at)).all()
    assert len(one.between(instant("2026-01-01T02:00Z"), instant("2026-01-01T04:00Z"))) == 3


def test_what_a_series_cannot_be_is_refused() -> None:
    one = example(rows=5)
    with pytest.raises(DataError, match=r"row 2 .* out of order"):
        replace(one, known_at=one.known_at[[0, 2, 1, 3, 4]], event_time=one.event_time[[0, 2, 1, 3, 4]])
    with pytest.raises(DataError, match=r"row 0 .* known before it happened"):
        replace(one, known_at=one.known_at - HOUR)
    with pytest.raises(DataError, match=r"row 1 .* stands twice"):
        replace(one, known_at=one.known_at[[0, 0, 2, 3, 4]], event_time=one.event_time[[0, 0, 2, 3, 4]])
    with pytest.raises(DataError, match=r"row 3 .* infinite"):
        replace(one, values=np.where(np.arange(5)[:, None] == 3, np.inf, one.values))
    with pytest.raises(DataError, match="has no time"):
        replace(one, event_time=np.append(one.event_time[:4], np.datetime64("NaT")))
    with pytest.raises(DataError, match="values has shape"):
        replace(one, values=one.values[:4])
    with pytest.raises(DataError, match="one unit"):
        replace(one, units=())
    with pytest.raises(DataError, match="positive hours"):
        replace(one, hole_hours=0.0)
    with pytest.raises(InputError, match='did you mean "close"'):
        one.column("clos")
