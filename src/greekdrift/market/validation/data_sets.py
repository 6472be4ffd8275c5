"""A described set of data, checked as described: its values, times and holes, and what its source states of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from greekdrift.book import Venue
from greekdrift.config.data_set import DataSet, Hole, Table, load_data_set
from greekdrift.errors import ConfigError, DataError, nearest
from greekdrift.market import series_files
from greekdrift.market.option_rows import option_rows
from greekdrift.market.series import HOUR, Series
from greekdrift.market.validation import spacing
from greekdrift.market.validation.finding import Finding, Hits, findings
from greekdrift.market.validation.stated import OfChains, Stated, of_options, of_series
from greekdrift.market.validation.validate import Advance, Validation, validate
from greekdrift.units import datetime64


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series or table of a set: rows, first and last event, usual step, and the share of values that are missing.

    Times are NaT, and the step is NaN, where there is none.
    """

    name: str
    rows: int
    first: np.datetime64
    last: np.datetime64
    step_hours: float
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValidation:
    """What a set holds, what is wrong with it, and what its source states of it, measured again.

    `chains` is the validation of its chains, where it has chains.
    """

    name: str
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...]
    stated: tuple[Stated, ...]
    chains: Validation | None = None


def validate_set(
    path: Path,
    root: Path,
    *,
    venue_of: Callable[[str], Venue],
    with_surfaces: bool = False,
    advance: Advance | None = None,
) -> SetValidation:
    """Everything that the description of a set says, held against the data in a folder; nothing is changed.

    Values, columns or rows that are not as described are refused (`DataError`). Sets that a check compares with
    are described beside this one.
    """
    data_set = load_data_set(path)
    if data_set.chains is not None:
        return _of_chains(data_set, root, venue_of, with_surfaces=with_surfaces, advance=advance)
    if data_set.options:
        tables = {one.name: option_rows(one, root) for one in data_set.options}
        lines = tuple(
            _line(
                name, rows["stamp"].to_numpy(dtype="datetime64[us]"), rows.drop(columns="stamp").to_numpy(dtype=float)
            )
            for name, rows in tables.items()
        )
        stated = tuple(of_options(one, tables) for one in data_set.checks)
        return SetValidation(name=data_set.name, lines=lines, findings=(), stated=stated)
    return _of_series(data_set, path, root)


def _of_chains(
    data_set: DataSet,
    root: Path,
    venue_of: Callable[[str], Venue],
    *,
    with_surfaces: bool,
    advance: Advance | None,
) -> SetValidation:
    chains = data_set.chains
    if chains is None:
        raise ConfigError(f"{data_set.name} has no chains")
    gathered = OfChains()
    found = validate(
        root / chains.path,
        venue=venue_of(chains.venue),
        with_surfaces=with_surfaces,
        advance=advance,
        holes=[_times(hole) for hole in chains.holes],
        observe=gathered.see if data_set.checks else None,
        join=np.timedelta64(round(chains.join_minutes * 6e7), "us") if chains.join_minutes else None,
    )
    for name in chains.underlyings:
        if name not in found.underlyings:
            raise DataError(f'{data_set.name}: there is no "{name}"; {nearest(name, found.underlyings)}')
    stated = tuple(gathered.measured(one, snapshots=found.instants.size) for one in data_set.checks)
    lines = tuple(
        _line(name, found.instants[counts > 0], np.empty((0, 1)), rows=int(counts.sum()))
        for name, counts in found.counts.items()
    )
    return SetValidation(name=data_set.name, lines=lines, findings=found.findings, stated=stated, chains=found)


def _of_series(data_set: DataSet, path: Path, root: Path) -> SetValidation:
    found = series_files.load(data_set, root)
    others: dict[str, dict[str, Series]] = {data_set.name: found}

    def series_of(name: str) -> Series:
        home, _, key = name.rpartition("/")
        home = home or data_set.name
        if home not in others:
            others[home] = series_files.load(load_data_set(path.with_name(f"{home}.yaml")), root)
        if f"{home}/{key}" not in others[home]:
            raise ConfigError(f'{path}: a check names "{name}"; {nearest(f"{home}/{key}", others[home])}')
        return others[home][f"{home}/{key}"]

    hits: list[Hits] = []
    for table in data_set.tables:
        for key in table.keys:
            hits += _of_times(found[f"{data_set.name}/{key}"], key, table)
    lines = tuple(_line(name.split("/")[1], one.event_time, one.values) for name, one in found.items())
    return SetValidation(
        name=data_set.name,
        lines=lines,
        findings=findings(hits, [], of=sum(one.rows for one in lines)),
        stated=tuple(of_series(one, series_of) for one in data_set.checks),
    )


def _of_times(one: Series, key: str, table: Table) -> list[Hits]:
    """Gaps beyond the hole_hours of a table that it does not declare, and events where it declares a hole."""
    holes = [_times(hole) for hole in table.holes if not hole.keys or key in hole.keys]
    events = np.unique(one.event_time)
    return [
        *spacing.gaps(events, key, holes, usual_hours=table.hole_hours),
        *spacing.within(events, key, holes),
    ]


def _times(hole: Hole) -> spacing.Hole:
    return datetime64(hole.after), datetime64(hole.before)


def _line(name: str, events: np.ndarray, values: np.ndarray, *, rows: int | None = None) -> Line:
    none = np.datetime64("NaT", "us")
    moments = np.unique(events)
    return Line(
        name=name,
        rows=events.size if rows is None else rows,
        first=moments[0] if moments.size else none,
        last=moments[-1] if moments.size else none,
        step_hours=float(np.median(np.diff(moments) / HOUR)) if moments.size > 1 else float("nan"),
        missing=float(np.mean(np.isnan(values))) if values.size else 0.0,
    )
