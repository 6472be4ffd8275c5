"""A table of others on its way into our columns: what was found in it, rows made of it, an account of each column."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Venue
from greekdrift.errors import DataError, nearest
from greekdrift.market import columns, figures, foreign
from greekdrift.units import SECONDS_PER_YEAR

Numbers = Float[ndarray, " row"]
TIMES = ("snapshot_ts_utc", "known_at_utc", "expiry_ts_utc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One of our columns: theirs it comes from, how it was read, its unit, and an example of both."""

    ours: str
    theirs: str
    how: str
    unit: str
    example: str


class Sheet:
    """One table: `rows` gets columns of ours, each with a line in `readings`."""

    def __init__(self, table: pd.DataFrame, found: columns.Found, venue: Venue, where: str) -> None:
        self.of = found.theirs
        self.given = found.given
        self.venue = venue
        self.where = where
        self.unread = found.unread
        self.rows: dict[str, Any] = {}
        self.readings: list[Reading] = []
        self._table = table

    def __len__(self) -> int:
        """Rows of the table."""
        return len(self._table)

    @property
    def names(self) -> list[str]:
        """Names of their columns."""
        return [str(one) for one in self._table.columns]

    def theirs(self, name: str) -> pd.Series:
        """One of their columns by its own name."""
        return self._table[name]

    def column(self, ours: str) -> pd.Series:
        """Their column that stands for one of ours."""
        return self._table[self.of[ours]]

    def numbers(self, ours: str) -> Numbers:
        """A column of numbers, missing cells NaN; text that is none is refused with its row."""
        remedy = f"correct it, or map another column with --map yours={ours}"
        return figures.numbers(self.column(ours), where=self.where, remedy=remedy)

    def instants(self, ours: str) -> tuple[np.ndarray, str]:
        """A column of times in UTC and how it was read; days without a clock get the venue's settlement hour."""
        beside = [self.column(one) for one in TIMES if one in self.of and one != ours]
        beside = [one for one in beside if one.dtype.kind not in "iufM"]
        found, how = foreign.instants(self.column(ours), where=self.where, beside=beside)
        if how.startswith("dates"):
            hour = self.venue.settlement_hour_utc
            found = found + np.timedelta64(hour, "h")
            how = f"{how}, at the venue's settlement hour {hour:02d}:00"
        return found, how

    @property
    def at(self) -> np.ndarray:
        """The snapshot of each row."""
        return np.asarray(self.rows["snapshot_ts_utc"])

    def years(self, expiry: np.ndarray) -> Numbers:
        """Years from each row's snapshot to its expiry; NaN where there is none."""
        micros = (expiry - self.at).astype(np.float64)
        return np.where(np.isnat(expiry), np.nan, micros / (1e6 * SECONDS_PER_YEAR))

    def put(self, ours: str, values: np.ndarray, how: str, unit: str, *, theirs: str = "") -> None:
        """A column of ours and its line."""
        self.rows[ours] = values
        self.note(ours, how, unit, theirs=theirs, values=values)

    def note(self, ours: str, how: str, unit: str, *, theirs: str = "", values: Any = None) -> None:
        """The line of a column that goes into others."""
        source = theirs or self.of[ours]
        raw = self._table[source].to_numpy() if source in self._table.columns else None
        self.readings.append(Reading(ours=ours, theirs=source, how=how, unit=unit, example=_example(raw, values)))

    def amend(self, ours: str, values: np.ndarray, how: str) -> None:
        """A column of ours that was put before, completed; its line says how, after what it said."""
        self.rows[ours] = values
        self.readings = [replace(one, how=f"{one.how}; {how}") if one.ours == ours else one for one in self.readings]

    def missing(self, ours: str, what: str, *, remedy: str = "") -> DataError:
        """What is said of a column that the table lacks: the nearest of theirs, and how to name or to give it."""
        near = nearest(ours, self.names).rstrip("?.")
        mark = "?" if near.startswith("did") else "."
        return DataError(
            f"{self.where}: no column can be read as {ours} ({what}); {near}{mark} Say which with --map yours={ours}, "
            f"or give one value for all rows with --set {ours}=value{remedy}."
        )


def _example(raw: Any, values: Any) -> str:
    """The first cell that is there, and what it became."""
    column = raw if values is None else values
    there = np.flatnonzero(pd.notna(column) & (True if raw is None else pd.notna(raw)))
    if not there.size:
        return "no cell is filled"
    at = int(there[0])
    shown = [_shown(one[at]) for one in (raw, values) if one is not None]
    return " → ".join(dict.fromkeys(shown))


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
    return f"{value:.8g}" if isinstance(value, float | np.floating) else str(value)
