"""A data file's description: where its numbers lie, what they mean, and when each of them was known.

One file a set in `configs/data/`. Paths are relative to the folder of the data, which the caller names.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from greekdrift.config.document import read
from greekdrift.config.problem import Section, parse
from greekdrift.errors import ConfigError, nearest

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9^][A-Za-z0-9_.^-]*$")]
Hours = Annotated[float, Field(gt=0.0)]


class Stamps(Section):
    """How a row's stamp becomes its two times.

    The event is the stamp, read in `zone`, plus `event_after_hours` on the clock of that zone (a bar's length for a
    stamp of the open; 16.25 for a close at 16:15 of a session's date); the row is known `lag_minutes` after it.
    """

    column: str
    zone: str
    event_after_hours: float
    lag_minutes: Annotated[float, Field(ge=0.0)]

    @field_validator("zone")
    @classmethod
    def _exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(f'there is no time zone "{zone}"; {nearest(zone, available_timezones())}') from None
        return zone

    @property
    def clock(self) -> ZoneInfo:
        """The zone."""
        return ZoneInfo(self.zone)


class Key(Section):
    """Rows of one name within a file: those whose columns have these values, and what is special about their time."""

    where: Mapping[str, str | int | float]
    event_shift_hours: Annotated[float, Field(le=0.0)] = 0.0
    """The event is earlier than the stamp says (a venue that settles the interval before); knowledge stays."""


class Measure(Section):
    """One column: its name in the file, its unit, a factor to that unit, and what a sound value may be."""

    of: str
    unit: str
    scale: float = 1.0
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None


class Points(Section):
    """A column that numbers several rows of one stamp, and the points that become columns `name_point`."""

    column: str
    at: Annotated[tuple[float, ...], Field(min_length=1)]
    scale: float = 1.0
    """Points = column × scale."""

    @field_validator("at")
    @classmethod
    def _increase(cls, at: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= earlier for earlier, later in pairwise(at)):
            raise ConfigError(f"points {list(at)} must increase")
        return at


class Defect(Section):
    """A known defect and what is done about it.

    It concerns rows whose `column` is at most, or at least, a number (of the rows `where`, of the days `weekdays`,
    Monday 0), or rows that repeat an earlier one to the last digit (`repeats`). They are dropped, or the value alone
    becomes missing; "kept" states the defect for the reader.
    """

    says: str
    becomes: Literal["dropped", "missing", "kept"]
    column: str | None = None
    where: Mapping[str, str | int | float] = Field(default_factory=dict)
    at_most: float | None = None
    at_least: float | None = None
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = ()
    repeats: bool = False

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        bounds = (self.at_most, self.at_least)
        is_told = bool(self.weekdays) or self.repeats or (self.column is not None and bounds != (None, None))
        if self.becomes != "kept" and not is_told:
            raise ConfigError(
                "a defect that is acted upon needs weekdays, repeats, or a column and at_most or at_least"
            )
        if self.becomes == "missing" and self.column is None:
            raise ConfigError("a value that becomes missing needs its column")
        return self


class Table(Section):
    """One file of a set. `spread` makes columns of numbered rows; `pillars` interpolates them linearly at points."""

    path: Path
    stamps: Stamps
    hole_hours: Hours
    keys: Annotated[Mapping[Name, Key], Field(min_length=1)]
    columns: Annotated[Mapping[Name, Measure], Field(min_length=1)]
    spread: Points | None = None
    pillars: Points | None = None
    defects: tuple[Defect, ...] = ()

    @field_validator("path")
    @classmethod
    def _is_inside(cls, path: Path) -> Path:
        if path.is_absolute() or ".." in path.parts:
            raise ConfigError(f"{path} must lie within the folder of the data; write it relative to that")
        return path

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.spread is not None and self.pillars is not None:
            raise ConfigError("give spread or pillars, not both")
        return self


class Chains(Section):
    """Option chains of a set: a folder or file of the columns of `market.schema`."""

    path: Path
    venue: str
    known_after_minutes: Annotated[float, Field(ge=0.0)]
    underlyings: tuple[str, ...] = ()


class DataSet(Section):
    """A set of data: source, licence, and its tables of numbers or its option chains."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    source: str
    licence: str
    tables: tuple[Table, ...] = ()
    chains: Chains | None = None

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if bool(self.tables) == (self.chains is not None):
            raise ConfigError("a set has tables or chains, one of the two")
        names = [key for table in self.tables for key in table.keys]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f'the key "{twice[0]}" stands in two tables; name them apart')
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the series of the set's tables."""
        return tuple(key for table in self.tables for key in table.keys)


def load_data_set(path: str | Path) -> DataSet:
    """The data set that a YAML file describes; all problems are raised together.

    The set has the file's name, so that one can be found from the other.
    """
    found = parse(DataSet, read(path))
    if found.name != Path(path).stem:
        raise ConfigError(f'{path}: the set is called "{found.name}"; call it {Path(path).stem} or rename the file.')
    return found
