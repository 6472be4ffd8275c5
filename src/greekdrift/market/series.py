"""Long histories: numbers with two times, when they happened and since when they could be known.

Later rows may tell about earlier events (a correction, a backfill); what was known at an instant is always a
prefix of the rows. Nothing is resampled or filled: spacing stays as recorded, a hole stays a hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.errors import DataError, InputError, nearest
from greekdrift.units import datetime64

HOUR = np.timedelta64(3_600_000_000, "us")

Instants = Shaped[ndarray, " row"]
Moments = Shaped[ndarray, " moment"]
Line = Float[ndarray, " moment"]
Places = Int[ndarray, " moment"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Numbers by event and column, in the order in which they became known.

    `event_time` is the end of what a row measures (a bar's close, a payment, a snapshot), `known_at` the first
    instant at which the row could be used (both datetime64[us], UTC; rows are sorted by known_at, then event_time).
    `values[row, column]` is NaN where missing; `units` names the unit of each column. An event may stand several
    times: the row known last corrects the others. `lag_hours` is the usual time from event to knowledge. Events
    further apart than `hole_hours` have a hole between them, and a value is used no longer than that.
    """

    name: str
    event_time: Instants
    known_at: Instants
    columns: tuple[str, ...]
    units: tuple[str, ...]
    values: Float[ndarray, "row column"]
    hole_hours: float
    lag_hours: float = 0.0

    def __post_init__(self) -> None:
        rows = len(self.event_time)
        for name, kind, shape in (
            ("event_time", "datetime64[us]", (rows,)),
            ("known_at", "datetime64[us]", (rows,)),
            ("values", "float64", (rows, len(self.columns))),
        ):
            given = getattr(self, name)
            array = np.array(given, dtype=kind) if given.flags.writeable else np.asarray(given, dtype=kind)
            if array.shape != shape:
                raise DataError(f"{self.name}: {name} has shape {array.shape}, expected {shape}.")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check()

    def _check(self) -> None:
        if len(self.units) != len(self.columns) or len(set(self.columns)) != len(self.columns):
            raise DataError(
                f"{self.name}: {self.columns} and units {self.units} do not fit; give each column one unit."
            )
        if not self.hole_hours > 0.0 or not self.lag_hours >= 0.0:
            raise DataError(
                f"{self.name}: holes from {self.hole_hours} h on, known after {self.lag_hours} h; give positive hours."
            )
        self._refuse(np.isnat(self.event_time) | np.isnat(self.known_at), "has no time; drop the row")
        self._refuse(np.isinf(self.values).any(axis=1), "holds an infinite number; a missing one is NaN")
        self._refuse(self.known_at < self.event_time, "was known before it happened; check the lag and the zone")
        step, ahead = np.diff(self.known_at), np.diff(self.event_time)
        none = np.timedelta64(0, "us")
        is_wrong = (step < none) | ((step == none) & (ahead < none))
        self._refuse(np.append(False, is_wrong), "is out of order; sort by known_at and event_time")
        self._refuse(np.append(False, (step == none) & (ahead == none)), "stands twice; drop one of the two")

    def _refuse(self, is_wrong: Bool[ndarray, " row"], fact: str) -> None:
        if np.any(is_wrong[: len(self)]):
            at = int(np.argmax(is_wrong))
            raise DataError(f"{self.name}: row {at} at {self.event_time[at]} {fact}.")

    def __len__(self) -> int:
        return len(self.event_time)

    def column(self, name: str) -> Float[ndarray, " row"]:
        """One column, all rows."""
        return self.values[:, self._at(name)]

    def _at(self, name: str) -> int:
        if name not in self.columns:
            raise InputError(f'{self.name} has no column "{name}"; {nearest(name, self.columns)}')
        return self.columns.index(name)

    def until(self, moment: datetime | np.datetime64) -> "Series":
        """What was known at an instant; views, nothing is copied.

        >>> len(example(rows=5).until(np.datetime64("2026-01-01T02:05")))
        2
        """
        limit = datetime64(moment) if isinstance(moment, datetime) else moment
        return self._rows(slice(0, int(np.searchsorted(self.known_at, limit, side="right"))))

    def between(self, since: datetime | None, until: datetime | None) -> "Series":
        """The events within [since, until]; for shortening a history, never for hiding what is known."""
        kept = np.ones(len(self), dtype=np.bool_)
        if since is not None:
            kept &= self.event_time >= datetime64(since)
        if until is not None:
            kept &= self.event_time <= datetime64(until)
        return self._rows(np.flatnonzero(kept))

    def in_order(self) -> "Series":
        """The rows that told something newer than all rows before them: events and knowledge both increase.

        What came late (a correction, a backfill) is left out, not moved to its event: a window of the past then
        sees exactly what it could have seen. Whether a row stays depends on rows known before it alone.
        """
        newest = np.maximum.accumulate(self.event_time)
        is_new = np.append(True, self.event_time[1:] > newest[:-1])[: len(self)]
        return self if bool(is_new.all()) else self._rows(np.flatnonzero(is_new))

    def _rows(self, rows: slice | Int[ndarray, " kept"]) -> "Series":
        """Some rows in their order; what was checked need not be checked again."""
        part = object.__new__(Series)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, ndarray):
                value = value[rows]
                value.setflags(write=False)
            object.__setattr__(part, field.name, value)
        return part

    @property
    def is_after_hole(self) -> Bool[ndarray, " row"]:
        """True where more than `hole_hours` lie between an event and the one in the row before; the first too."""
        gap = np.diff(self.event_time) / HOUR
        return np.append(True, np.abs(gap) > self.hole_hours)[: len(self)]

    def rows_at(self, moments: Moments) -> Places:
        """Row of the newest event that was known at each instant, in its latest version then; −1 where none was.

        An event that ended longer than `hole_hours` + `lag_hours` ago counts as none.

        >>> hourly = example(rows=5)
        >>> hourly.rows_at(np.array(["2026-01-01T01:59", "2026-01-01T02:01", "2026-02-01"], dtype="datetime64[us]"))
        array([ 0,  1, -1])
        """
        if len(self) == 0:
            return np.full(len(moments), -1)
        newest = np.maximum.accumulate(self.event_time)
        best = np.maximum.accumulate(np.where(self.event_time == newest, np.arange(len(self)), 0))
        known = np.searchsorted(self.known_at, moments, side="right") - 1
        row = best[np.maximum(known, 0)]
        is_fresh = (moments - self.event_time[row]) / HOUR <= self.hole_hours + self.lag_hours
        return np.where((known >= 0) & is_fresh, row, -1)

    def as_of(self, moments: Moments, column: str) -> Line:
        """Value of the newest event that was known at each instant; NaN where there is none, or it is missing.

        >>> hourly = example(rows=5)
        >>> hourly.as_of(np.array(["2026-01-01T00:30", "2026-01-01T03:30"], dtype="datetime64[us]"), "close").tolist()
        [nan, 102.0]
        """
        if len(self) == 0:
            return np.full(len(moments), np.nan)
        row = self.rows_at(moments)
        return np.where(row >= 0, self.column(column)[np.maximum(row, 0)], np.nan)

    def age_hours(self, moments: Moments) -> Line:
        """Hours from the newest event that was known at each instant to that instant; NaN where there is none."""
        row = self.rows_at(moments)
        if len(self) == 0:
            return np.full(len(moments), np.nan)
        return np.where(row >= 0, (moments - self.event_time[np.maximum(row, 0)]) / HOUR, np.nan)

    def windows(self, moments: Moments, hours: float, *, least: float = 0.8) -> tuple[Places, Places]:
        """First row, and the row after the last, of the `hours` that end with the newest event known at each instant.

        Rows are those whose event lies in (end − hours, end]; of a running sum S with a leading 0 the window's sum
        is S[stop] − S[start], over the hours from event start − 1 to event stop − 1. Where nothing was known, a hole
        lies within, or these hours are fewer than the share `least` of the window, start = stop = 0: an empty window,
        whose measure is missing. Only for series in order.

        >>> hourly = example(rows=5)
        >>> hourly.windows(np.array(["2026-01-01T04:30"], dtype="datetime64[us]"), 3.0)
        (array([1]), array([4]))
        """
        if np.any(np.diff(self.event_time) <= np.timedelta64(0, "us")):
            raise DataError(f"{self.name}: windows need events in order; take in_order().")
        last = self.rows_at(moments)
        if len(self) == 0:
            return np.zeros(len(moments), dtype=np.int64), np.zeros(len(moments), dtype=np.int64)
        stop = last + 1
        reach = np.timedelta64(round(hours * 3.6e9), "us")
        end = self.event_time[np.maximum(last, 0)]
        start = np.searchsorted(self.event_time, end - reach, side="right")
        before = np.maximum(start - 1, 0)
        holes = np.cumsum(self.is_after_hole)
        covered = (end - self.event_time[before]) / HOUR
        is_whole = (last >= 0) & (covered >= least * hours) & (holes[before] == holes[np.maximum(last, 0)])
        return np.where(is_whole, start, 0), np.where(is_whole, stop, 0)


def series(
    name: str,
    *,
    event_time: Instants,
    known_at: Instants,
    columns: Sequence[str],
    units: Sequence[str],
    values: Float[ndarray, "row column"],
    hole_hours: float,
    lag_hours: float = 0.0,
) -> Series:
    """A series of rows in any order: sorted by known_at, then event_time.

    >>> days = np.array(["2026-01-02", "2026-01-01"], dtype="datetime64[us]")
    >>> given = {"columns": ["close"], "units": ["USD"], "values": np.array([[2.0], [1.0]]), "hole_hours": 48.0}
    >>> series("x", event_time=days, known_at=days, **given).column("close").tolist()
    [1.0, 2.0]
    """
    order = np.lexsort((event_time, known_at))
    return Series(
        name=name,
        event_time=event_time[order],
        known_at=known_at[order],
        columns=tuple(columns),
        units=tuple(units),
        values=values[order],
        hole_hours=hole_hours,
        lag_hours=lag_hours,
    )


def example(*, rows: int = 100, name: str = "example/BTC", lag_minutes: int = 1) -> Series:
    """Hourly closes 100, 101, … from 2026-01-01 01:00 on, known a minute later: for examples and tests.

    >>> example(rows=3).column("close").tolist()
    [100.0, 101.0, 102.0]
    """
    event_time = np.datetime64("2026-01-01T01:00", "us") + np.arange(rows) * HOUR
    return Series(
        name=name,
        event_time=event_time,
        known_at=event_time + np.timedelta64(lag_minutes, "m"),
        columns=("close",),
        units=("USD",),
        values=100.0 + np.arange(rows, dtype=np.float64)[:, None],
        hole_hours=3.0,
        lag_hours=lag_minutes / 60.0,
    )
