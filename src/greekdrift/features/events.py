"""The clock of scheduled events: central banks, upgrades, elections; as announced by each row.

Timing: an event counts from the instant on at which it had been announced. Beyond the last announced event nothing is
known of the schedule, so that features which reach there are missing, not zero.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
    """Events of one kind: when each happens and since when that was public (datetime64[us], UTC)."""

    name: str
    at: Moments
    announced_at: Moments

    def __post_init__(self) -> None:
        for field in ("at", "announced_at"):
            column = np.array(getattr(self, field), dtype="datetime64[us]")
            column.setflags(write=False)
            object.__setattr__(self, field, column)
        if self.at.shape != self.announced_at.shape or self.at.ndim != 1:
            raise DataError(f"{self.name}: {self.at.size} events, {self.announced_at.size} announcements; give pairs.")
        if np.any(np.isnat(self.at)) or np.any(np.isnat(self.announced_at)):
            raise DataError(f"{self.name}: an event without a time; drop it.")

    @classmethod
    def of(cls, name: str, events: Mapping[str, str]) -> Self:
        """A schedule of ISO 8601 times: when each event happens → when it was announced.

        >>> Schedule.of("fomc", {"2026-01-28T19:00Z": "2025-06-01T00:00Z"}).at.tolist()
        [datetime.datetime(2026, 1, 28, 19, 0)]
        """
        moments = [(datetime64(instant(at)), datetime64(instant(known))) for at, known in events.items()]
        at, announced_at = np.array(moments, dtype="datetime64[us]").reshape(-1, 2).T
        return cls(name=name, at=at, announced_at=announced_at)

    def known(self, panel: Panel) -> Bool[ndarray, "row event"]:
        """Whether each event had been announced by each row."""
        return self.announced_at[None, :] <= panel.known_at[:, None]

    def hours_to(self, panel: Panel) -> Float[ndarray, "row event"]:
        """Hours from each row's prices to each event; negative afterwards."""
        return (self.at[None, :] - panel.as_of[:, None]) / HOUR


def read_schedules(path: str | Path) -> dict[str, Schedule]:
    """The schedules of a CSV file with the columns name, at, announced_at (ISO 8601 with a zone), by name."""
    found: dict[str, list[tuple[str, str]]] = {}
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != HEADER:
            raise DataError(f"{path}: has the columns {rows.fieldnames}; name them {', '.join(HEADER)}.")
        for row in rows:
            try:
                instant(row["at"] or ""), instant(row["announced_at"] or "")
            except InputError as problem:
                raise DataError(f"{path}, line {rows.line_num}: {problem}") from None
            found.setdefault(row["name"], []).append((row["at"], row["announced_at"]))
    return {name: Schedule.of(name, dict(events)) for name, events in found.items()}


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
