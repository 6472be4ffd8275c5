"""Series from Parquet files as a data set describes them: units, both times, known defects, sound values."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.config.data_set import DataSet, Defect, Key, Measure, Points, Stamps, Table
from greekdrift.errors import DataError, nearest
from greekdrift.market.parquet import readable
from greekdrift.market.pruning import row_groups
from greekdrift.market.series import Series, series

WIDEST_OFFSET = timedelta(hours=26)
"""A stamp in any zone is at most so far from the same figures in UTC, a day of rest for the event included."""

Mask = Bool[ndarray, " row"]
Instants = Shaped[ndarray, " row"]


def load(
    data_set: DataSet,
    root: str | Path,
    *,
    keys: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> dict[str, Series]:
    """The series of a set by name ("set/key"), all keys or some, all time or the events within [since, until].

    A file, column, row or value that is not as described is refused with its place. Missing stays NaN.
    """
    if not data_set.tables:
        raise DataError(f"{data_set.name} holds option chains, no series; read it with market.parquet.ParquetSource.")
    for name in keys or ():
        if name not in data_set.keys:
            raise DataError(f'{data_set.name} has no "{name}"; {nearest(name, data_set.keys)}')
    found: dict[str, Series] = {}
    for table in data_set.tables:
        wanted = {name: key for name, key in table.keys.items() if keys is None or name in keys}
        if not wanted:
            continue
        path = Path(root) / table.path
        frame = _frame(path, table, since, until)
        for name, key in wanted.items():
            made = _series(f"{data_set.name}/{name}", frame, table, key, path.name)
            found[made.name] = _within(made, since, until)
    return found


def _frame(path: Path, table: Table, since: datetime | None, until: datetime | None) -> pd.DataFrame:
    """The columns that are needed, of the row groups that may hold the stretch; the index is the row in the file."""
    needed = _needed(table)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; name the folder of the data as root.")
    with readable(path), pq.ParquetFile(path) as file:
        lacking = [name for name in needed if name not in file.schema_arrow.names]
        if lacking:
            raise DataError(
                f'{path.name}: has no column "{lacking[0]}"; {nearest(lacking[0], file.schema_arrow.names)}'
            )
        _refuse_nested(file.schema_arrow, needed, path.name)
        reach = WIDEST_OFFSET + timedelta(hours=abs(table.stamps.event_after_hours)) + _longest_shift(table)
        groups = row_groups(
            file.metadata,
            table.stamps.column,
            since=None if since is None else since - reach,
            until=None if until is None else until + reach,
        )
        starts = np.cumsum([0, *(file.metadata.row_group(one).num_rows for one in range(file.num_row_groups))])
        rows = [np.arange(starts[one], starts[one + 1]) for one in groups]
        frame = file.read_row_groups(list(groups), columns=needed).to_pandas()
    return frame.set_index(pd.Index(np.concatenate(rows) if rows else [], dtype="int64"))


def _refuse_nested(columns: pa.Schema, needed: Collection[str], file: str) -> None:
    for name in needed:
        if pa.types.is_nested(columns.field(name).type):
            raise DataError(f"{file}: {name} holds {columns.field(name).type}, not one value a row; check the file.")


def _longest_shift(table: Table) -> timedelta:
    return timedelta(hours=max(abs(key.event_shift_hours) for key in table.keys.values()))


def _needed(table: Table) -> list[str]:
    names = [table.stamps.column, *(measure.of for measure in table.columns.values())]
    names += [column for key in table.keys.values() for column in key.where]
    names += [points.column for points in (table.spread, table.pillars) if points is not None]
    names += [defect.column for defect in table.defects if defect.column is not None and defect.becomes != "kept"]
    names += [column for defect in table.defects for column in defect.where]
    return list(dict.fromkeys(names))


def _series(name: str, frame: pd.DataFrame, table: Table, key: Key, file: str) -> Series:
    rows = frame.loc[_where(frame, key.where)]
    if frame.size and rows.empty:
        raise DataError(f"{file}: no row has {dict(key.where)} for {name}; check the key.")
    rows = _without_defects(rows, table, file)
    stamps = _stamps(rows, table.stamps, file)
    values = np.stack([_values(rows, measure, file) for measure in table.columns.values()], axis=1)
    names, units = list(table.columns), [measure.unit for measure in table.columns.values()]
    points = table.spread or table.pillars
    if points is None:
        _refuse_twice(stamps, rows.index, file, name)
    else:
        at = _column(rows, points.column, file) * points.scale
        place = _spread if table.spread is not None else _interpolated
        stamps, values = place(stamps, at, values, points, rows.index, file)
        names = [f"{column}_{point:g}" for column in names for point in points.at]
        units = [unit for unit in units for _ in points.at]
    events = _events(stamps, table.stamps)
    shift = np.timedelta64(round(key.event_shift_hours * 3.6e9), "us")
    lag = np.timedelta64(round(table.stamps.lag_minutes * 6e7), "us")
    return series(
        name,
        event_time=events + shift,
        known_at=events + lag,
        columns=names,
        units=units,
        values=values,
        hole_hours=table.hole_hours,
        lag_hours=table.stamps.lag_minutes / 60.0 - key.event_shift_hours,
    )


def _where(frame: pd.DataFrame, where: Mapping[str, str | int | float]) -> Mask:
    found = np.ones(len(frame), dtype=np.bool_)
    for column, value in where.items():
        found &= (frame[column] == value).to_numpy()
    return found


def _without_defects(rows: pd.DataFrame, table: Table, file: str) -> pd.DataFrame:
    for defect in table.defects:
        if defect.becomes == "kept":
            continue
        is_wrong = _is_wrong(rows, defect, table.stamps.column, file)
        if defect.becomes == "dropped":
            rows = rows.loc[~is_wrong]
        elif defect.column is not None:
            rows = rows.assign(**{defect.column: np.where(is_wrong, np.nan, _column(rows, defect.column, file))})
    return rows


def _is_wrong(rows: pd.DataFrame, defect: Defect, stamp: str, file: str) -> Mask:
    found = _where(rows, defect.where)
    if defect.repeats:
        found &= rows.duplicated().to_numpy()
    if defect.weekdays:
        found &= np.isin(_weekday(_instants(rows[stamp])), defect.weekdays)
    if defect.column is not None:
        values = _column(rows, defect.column, file)
        if defect.at_most is not None:
            found &= values <= defect.at_most
        if defect.at_least is not None:
            found &= values >= defect.at_least
    return found


def _column(rows: pd.DataFrame, name: str, file: str) -> Float[ndarray, " row"]:
    try:
        return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f'{file}: the column "{name}" holds {rows[name].dtype}, no numbers; check the file.') from None


def _values(rows: pd.DataFrame, measure: Measure, file: str) -> Float[ndarray, " row"]:
    """One column in its unit; a value outside its bounds is refused, a missing one passes."""
    values = _column(rows, measure.of, file) * measure.scale
    for is_wrong, bound in (
        (np.isinf(values), "finite"),
        (values <= (-np.inf if measure.above is None else measure.above), f"above {measure.above}"),
        (values < (-np.inf if measure.at_least is None else measure.at_least), f"at least {measure.at_least}"),
        (values > (np.inf if measure.at_most is None else measure.at_most), f"at most {measure.at_most}"),
    ):
        if np.any(is_wrong):
            at = int(np.argmax(is_wrong))
            raise DataError(
                f"{file}: row {rows.index[at]}: {measure.of} is {values[at]:g} {measure.unit}, must be {bound}; "
                "correct the file, or state it as a defect of the set."
            )
    return values


def _stamps(rows: pd.DataFrame, facts: Stamps, file: str) -> Instants:
    """Stamps as they stand; text or numbers are no stamps, and one with a zone must be in the set's."""
    column = rows[facts.column]
    if not pd.api.types.is_datetime64_any_dtype(column):
        raise DataError(f"{file}: {facts.column} holds {column.dtype}, no timestamps; write it as a timestamp.")
    zone = getattr(column.dtype, "tz", None)
    if zone is not None and (facts.zone != "UTC" or str(zone) != "UTC"):
        raise DataError(f"{file}: {facts.column} is in {zone}, the set says {facts.zone}; correct one of them.")
    stamps = _instants(column)
    if np.any(np.isnat(stamps)):
        raise DataError(f"{file}: row {rows.index[int(np.argmax(np.isnat(stamps)))]} has no {facts.column}; drop it.")
    return stamps


def _instants(column: pd.Series) -> Instants:
    """The figures of a column of stamps, without their zone."""
    return column.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")


def _weekday(stamps: Instants) -> Int[ndarray, " row"]:
    """Monday 0 to Sunday 6; 1970-01-01 was a Thursday."""
    return (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7


def _events(stamps: Instants, facts: Stamps) -> Instants:
    """When each row's event was, UTC."""
    local = stamps + np.timedelta64(round(facts.event_after_hours * 3.6e9), "us")
    if facts.zone == "UTC":
        return local
    aware = pd.DatetimeIndex(local).tz_localize(facts.clock, ambiguous=False, nonexistent="shift_forward")
    return aware.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")


def _refuse_twice(stamps: Instants, index: pd.Index, file: str, name: str) -> None:
    order = np.argsort(stamps, kind="stable")
    same = np.flatnonzero(stamps[order][1:] == stamps[order][:-1])
    if same.size:
        at = order[same[0] + 1]
        raise DataError(
            f"{file}: row {index[at]}: {name} has {stamps[at]} a second time; drop one or name the key better."
        )


def _spread(
    stamps: Instants, at: Float[ndarray, " row"], values: ndarray, points: Points, index: pd.Index, file: str
) -> tuple[Instants, ndarray]:
    """Rows of one stamp side by side; points that a stamp lacks are missing, other points are left out."""
    moments, row = np.unique(stamps, return_inverse=True)
    wanted = np.array(points.at)
    place = np.minimum(np.searchsorted(wanted, at), len(wanted) - 1)
    used = wanted[place] == at
    cell = row[used] * len(wanted) + place[used]
    if len(np.unique(cell)) != len(cell):
        _, first, count = np.unique(cell, return_index=True, return_counts=True)
        twice = np.flatnonzero(used)[first[np.argmax(count > 1)]]
        raise DataError(
            f"{file}: row {index[twice]}: {points.column} {at[twice]:g} stands twice at one stamp; drop one."
        )
    out = np.full((len(moments), values.shape[1], len(wanted)), np.nan)
    out[row[used], :, place[used]] = values[used]
    return moments, out.reshape(len(moments), -1)


def _interpolated(
    stamps: Instants, at: Float[ndarray, " row"], values: ndarray, points: Points, index: pd.Index, file: str
) -> tuple[Instants, ndarray]:
    """Values between the two nearest rows of each stamp; missing beyond its first and last row."""
    order = np.lexsort((at, stamps))
    stamps, at, values = stamps[order], at[order], values[order]
    moments, start = np.unique(stamps, return_index=True)
    out = np.full((len(moments), values.shape[1], len(points.at)), np.nan)
    for row, (first, last) in enumerate(zip(start, np.append(start[1:], len(stamps)), strict=True)):
        here = at[first:last]
        if np.any(np.diff(here) == 0.0):
            twice = order[first + int(np.argmax(np.diff(here) == 0.0)) + 1]
            raise DataError(f"{file}: row {index[twice]}: {points.column} stands twice at one stamp; drop one.")
        for column in range(values.shape[1]):
            out[row, column] = np.interp(points.at, here, values[first:last, column], left=np.nan, right=np.nan)
    return moments, out.reshape(len(moments), -1)


def _within(one: Series, since: datetime | None, until: datetime | None) -> Series:
    return one if since is None and until is None else one.between(since, until)
