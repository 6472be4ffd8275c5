"""Records beside the panel: one history per underlying, or one for all, read as it was known at each row."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import InputError, nearest
from greekdrift.features.feature import Column, Line, over_underlyings
from greekdrift.features.history import Panel
from greekdrift.market.series import Series

PLACE = "{underlying}"
LEAST_COVERED = 0.8


def record_lines(panel: Panel, history: str, line: Callable[[Series], Line]) -> Column:
    """A column made of one line per underlying from the history of that name, with the underlying in its `PLACE`.

    An underlying without such a history is missing (NaN); a panel without a single one is refused. A name without
    the place is one history for all.

    >>> from greekdrift.features.history import example
    >>> record_lines(example(rows=2), "spot/{underlying}", lambda one: one.column("close"))
    Traceback (most recent call last):
    ...
    greekdrift.errors.InputError: the panel has no history "spot/BTC"; it has none; build it with histories.
    """
    missing = np.full(len(panel), np.nan)
    records = _records(panel, history)
    made = {at: line(one) for at, one in {id(one): one for one in records if one is not None}.items()}
    return over_underlyings(panel, [made.get(id(one), missing) for one in records])


def pair_lines(panel: Panel, history: str, over: str, line: Callable[[Series, Series], Line]) -> Column:
    """The same from two histories of each underlying; missing where one of the two is."""
    pairs = zip(_records(panel, history), _records(panel, over), strict=True)
    missing = np.full(len(panel), np.nan)
    return over_underlyings(panel, [missing if a is None or b is None else line(a, b) for a, b in pairs])


def _records(panel: Panel, history: str) -> list[Series | None]:
    """The history of each underlying; none of them at all is refused."""
    names = [history.replace(PLACE, underlying) for underlying in panel.underlyings]
    found = [panel.histories.get(name) for name in names]
    if names and all(one is None for one in found):
        hint = nearest(names[0], panel.histories) if panel.histories else "it has none; build it with histories."
        raise InputError(f'the panel has no history "{names[0]}"; {hint}')
    return found


def present(record: Series, columns: Sequence[str]) -> Series:
    """The rows that came in order and have a number in each of these columns.

    >>> from greekdrift.market.series import example
    >>> len(present(example(rows=3), ("close",)))
    3
    """
    ordered = record.in_order()
    is_there = np.all([np.isfinite(ordered.column(name)) for name in columns], axis=0)
    return kept(ordered, is_there)


def kept(record: Series, is_kept: Bool[ndarray, " row"]) -> Series:
    """Some rows of a series in their order; a hole opens where too many are left out."""
    if bool(is_kept.all()):
        return record
    return replace(
        record,
        event_time=record.event_time[is_kept],
        known_at=record.known_at[is_kept],
        values=record.values[is_kept],
    )


def matched(left: Series, right: Series) -> Series:
    """The events that two series in order share, columns side by side, known when the later of both was.

    >>> from greekdrift.market.series import example
    >>> both = matched(example(rows=3), example(rows=2, lag_minutes=5))
    >>> both.columns, both.values.tolist(), both.known_at[0]
    (('0 close', '1 close'), [[100.0, 100.0], [101.0, 101.0]], np.datetime64('2026-01-01T01:05:00.000000'))
    """
    _, own, other = np.intersect1d(left.event_time, right.event_time, assume_unique=True, return_indices=True)
    return Series(
        name=f"{left.name} with {right.name}",
        event_time=left.event_time[own],
        known_at=np.maximum(left.known_at[own], right.known_at[other]),
        columns=tuple(f"{at} {name}" for at, one in enumerate((left, right)) for name in one.columns),
        units=(*left.units, *right.units),
        values=np.concatenate([left.values[own], right.values[other]], axis=1),
        hole_hours=max(left.hole_hours, right.hole_hours),
        lag_hours=max(left.lag_hours, right.lag_hours),
    )


def window_sum(record: Series, amount: Float[ndarray, " event"], panel: Panel, hours: float) -> tuple[Line, Line]:
    """Sum of an amount per event over the `hours` that end with the newest event known at each row, and their number.

    NaN where the window is not covered or a hole lies within.
    """
    start, stop = record.windows(panel.known_at, hours, least=LEAST_COVERED)
    running = np.concatenate([[0.0], np.cumsum(amount)])
    is_covered = stop > start
    return np.where(is_covered, running[stop] - running[start], np.nan), np.where(is_covered, stop - start, np.nan)


def newest(record: Series, amount: Float[ndarray, " event"], panel: Panel) -> Line:
    """Amount of the newest event known at each row; NaN where it is too old or there is none."""
    if len(record) == 0:
        return np.full(len(panel), np.nan)
    row = record.rows_at(panel.known_at)
    return np.where(row >= 0, amount[np.maximum(row, 0)], np.nan)


def label(history: str) -> str:
    """Short name of a history: the set where it has one history per underlying, else the key.

    >>> label("binance_spot_1h/{underlying}"), label("vol_indices_daily/VIX")
    ('binance_spot_1h', 'vix')
    """
    data_set, _, key = history.partition("/")
    return (data_set if PLACE in key or not key else key).lower()
