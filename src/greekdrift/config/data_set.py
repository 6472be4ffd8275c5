"""A data file's description: where its numbers lie, what they mean, and when each of them was known.

One file a set in `configs/data/`. Paths are relative to the folder of the data, which the caller names.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_validator

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


class Hole(Section):
    """A time that the data do not cover, by the event: all keys of a table, or some. Nothing may bridge it."""

    says: str
    after: AwareDatetime
    before: AwareDatetime
    keys: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.before <= self.after:
            raise ConfigError(f"the hole ends {self.before} and begins {self.after}; write the earlier as after")
        return self

    @property
    def hours(self) -> float:
        """Its length."""
        return (self.before - self.after) / timedelta(hours=1)


def _inside(path: Path) -> Path:
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"{path} must lie within the folder of the data; write it relative to that")
    return path


RelativePath = Annotated[Path, AfterValidator(_inside)]
"""A path within the folder of the data."""


class Table(Section):
    """One file of a set. `spread` makes columns of numbered rows; `pillars` interpolates them linearly at points."""

    path: RelativePath
    stamps: Stamps
    hole_hours: Hours
    keys: Annotated[Mapping[Name, Key], Field(min_length=1)]
    columns: Annotated[Mapping[Name, Measure], Field(min_length=1)]
    spread: Points | None = None
    pillars: Points | None = None
    defects: tuple[Defect, ...] = ()
    holes: tuple[Hole, ...] = ()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.spread is not None and self.pillars is not None:
            raise ConfigError("give spread or pillars, not both")
        for hole in self.holes:
            if hole.hours <= self.hole_hours:
                raise ConfigError(
                    f"the hole after {hole.after} lasts {hole.hours:g} h, which hole_hours {self.hole_hours:g} "
                    "bridges; lower hole_hours"
                )
            for name in hole.keys:
                if name not in self.keys:
                    raise ConfigError(f'a hole names the key "{name}"; {nearest(name, self.keys)}')
        return self


class Chains(Section):
    """Option chains of a set: a folder or file of the columns of `market.schema`."""

    path: RelativePath
    venue: str
    known_after_minutes: Annotated[float, Field(ge=0.0)]
    underlyings: tuple[str, ...] = ()
    join_minutes: Annotated[float, Field(ge=0.0)] = 0.0
    """Stamps no further apart than this are one snapshot, as of the last (a collection that stamps single rows)."""
    holes: tuple[Hole, ...] = ()


class OptionTable(Section):
    """Option rows that make no chain, for want of prices or forwards or by another convention: to compare with.

    `name` tells the tables of a set apart. `stamp`, `expiry`, `strike`, `side`, `volatility`, `forward` and `price`
    name columns; `forward` may be missing. Dates expire at their own midnight. `where` and `unlike` pick rows, columns
    in `solved` must be above 0. `stated` are the source's own numbers: delta, gamma, vega per 1.00 and theta a year
    after `scale`.
    """

    name: Name
    path: RelativePath
    stamp: str
    expiry: str
    strike: str
    side: str
    volatility: str
    forward: str | None = None
    price: str | None = None
    where: Mapping[str, str | int | float] = Field(default_factory=dict)
    unlike: Mapping[str, str | int | float] = Field(default_factory=dict)
    solved: tuple[str, ...] = ()
    stated: Mapping[Literal["delta", "gamma", "vega", "theta"], Measure] = Field(default_factory=dict)


class Check(Section):
    """A number that the source states of its data, measured again: a figure of `market.validation.stated`.

    `key` and `column` say of what; `other` ("set/key") and `other_column` with what it is compared; `least_vega`
    leaves options below it out; events of `other` count `later_hours` later (of two bars that open at once, the end of
    the longer). Bounds are the stated number as far as it is written; where the data give another, `because` says why
    and the bounds hold what they give.
    """

    says: str
    because: str = ""
    figure: str
    key: str = ""
    column: str = ""
    other: str = ""
    other_column: str = ""
    quantile: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    hours: Hours | None = None
    later_hours: float = 0.0
    scale: float = 1.0
    least_vega: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ConfigError("a check needs at_least, at_most or both")
        return self


class DataSet(Section):
    """A set of data: source, licence, and its tables of numbers, its option chains, or option rows that make none."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    source: str
    licence: str
    tables: tuple[Table, ...] = ()
    chains: Chains | None = None
    options: tuple[OptionTable, ...] = ()
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _is_something(self) -> Self:
        if bool(self.tables) + (self.chains is not None) + bool(self.options) != 1:
            raise ConfigError("a set has tables, chains or options, one of the three")
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
