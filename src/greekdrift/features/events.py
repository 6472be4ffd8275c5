"""The clock of scheduled events: central banks, upgrades, elections; as announced by each row.

Timing: an event counts from the instant on at which it had been announced. Beyond the last announced event nothing is
known of the schedule, so that features which reach there are missing, not zero.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.errors import DataError, InputError
from greekdrift.features.feature import Column, Line
from greekdrift.features.history import HOUR, Panel
from greekdrift.units import datetime64, instant

TIMING = "announced at or before the row's known_at"
HEADER = ("name", "at", "announced_at")

Moments = Shaped[ndarray, " event"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Events of one kind: when each happens → since when that was public, ISO 8601 with a zone.

    >>> Schedule(name="fomc", events={"2026-01-28T19:00Z": "2025-06-01T00:00Z"}).at.tolist()
    [datetime.datetime(2026, 1, 28, 19, 0)]
    """

    name: str
    events: Mapping[str, str]
    at: Moments = field(init=False)
    announced_at: Moments = field(init=False)

    def __post_init__(self) -> None:
        for name, texts in (("at", self.events), ("announced_at", self.events.values())):
            column = np.array([datetime64(instant(text)) for text in texts], dtype="datetime64[us]")
            column.setflags(write=False)
            object.__setattr__(self, name, column)

    def known(self, panel: Panel) -> Bool[ndarray, "row event"]:
        """Whether each event had been announced by each row."""
        return self.announced_at[None, :] <= panel.known_at[:, None]

    def hours_to(self, panel: Panel) -> Float[ndarray, "row event"]:
        """Hours from each row's prices to each event; negative afterwards."""
        return (self.at[None, :] - panel.as_of[:, None]) / HOUR


def read_schedules(path: str | Path) -> dict[str, Schedule]:
    """The schedules of a CSV file with the columns name, at, announced_at (ISO 8601 with a zone), by name."""
    found: dict[str, dict[str, str]] = {}
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != HEADER:
            raise DataError(f"{path}: has the columns {rows.fieldnames}; name them {', '.join(HEADER)}.")
        for row in rows:
            try:
                instant(row["at"] or ""), instant(row["announced_at"] or "")
            except InputError as problem:
                raise DataError(f"{path}, line {rows.line_num}: {problem}") from None
            events = found.setdefault(row["name"], {})
            if row["at"] in events:
                raise DataError(f"{path}, line {rows.line_num}: {row['name']} at {row['at']} stands twice; drop one.")
            events[row["at"]] = row["announced_at"]
    return {name: Schedule(name=name, events=events) for name, events in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsAhead:
    """Number of scheduled events within the next `hours`; missing where the announced schedule ends before that."""

    schedule: Schedule
    hours: float
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "list of scheduled events"
    unit: str = "events"

    @property
    def name(self) -> str:
        """Such as `fomc_ahead_24h`."""
        return f"{self.schedule.name}_ahead_{self.hours:g}h"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        known, distance = self.schedule.known(panel), self.schedule.hours_to(panel)
        count = np.sum(known & (distance > 0.0) & (distance <= self.hours), axis=1).astype(np.float64)
        reaches = np.any(known & (distance >= self.hours), axis=1)
        return _same(panel, np.where(reaches, count, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNear:
    """1 / (1 + days to the next announced event): 1 at it; missing where none is announced."""

    schedule: Schedule
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "list of scheduled events"
    unit: str = "0 to 1"

    @property
    def name(self) -> str:
        """Such as `fomc_near`."""
        return f"{self.schedule.name}_near"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        known, distance = self.schedule.known(panel), self.schedule.hours_to(panel)
        return _same(panel, _nearness(np.where(known & (distance >= 0.0), distance, np.inf)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPast:
    """1 / (1 + days since the last event): 1 at it; missing before the first."""

    schedule: Schedule
    lookback_hours: float = 0.0
    timing: str = TIMING
    source: str = "list of scheduled events"
    unit: str = "0 to 1"

    @property
    def name(self) -> str:
        """Such as `fomc_past`."""
        return f"{self.schedule.name}_past"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        known, distance = self.schedule.known(panel), self.schedule.hours_to(panel)
        return _same(panel, _nearness(np.where(known & (distance <= 0.0), -distance, np.inf)))


def _nearness(hours: Float[ndarray, "row event"]) -> Line:
    least = np.min(hours, axis=1, initial=np.inf)
    return np.where(np.isfinite(least), 1.0 / (1.0 + least / 24.0), np.nan)


def _same(panel: Panel, line: Line) -> Column:
    return np.repeat(line[:, None], len(panel.underlyings), axis=1)
