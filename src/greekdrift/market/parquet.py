"""Chains from files: one or many Parquet (or CSV) files, or a folder of them, with the columns of `market.schema`.

Only the columns that are used are read, and only the row groups that hold the snapshot asked for. The index of
snapshots is built once, when the source is made.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from greekdrift.book import Chain, Venue, digest
from greekdrift.errors import DataError, nearest
from greekdrift.market import csv_files, quality, schema
from greekdrift.market.collect import manifest
from greekdrift.market.joint import Piece, Run, joined, together
from greekdrift.market.pruning import row_groups
from greekdrift.market.quality import Dropped
from greekdrift.market.source import available, closest, position
from greekdrift.units import from_datetime64, instant, stamp

TEXT = ("instrument_name", "origin", "venue")
FOLDER = "deribit_option_chain_6h"
KEPT_ROW_GROUPS = 8


@dataclass(frozen=True, slots=True)
class _Group:
    """One row group of one file (a CSV is one group), and the columns that are read of it."""

    path: Path
    number: int
    columns: tuple[str, ...]
    metadata: pq.FileMetaData | None = None

    def read(self) -> pd.DataFrame:
        """The rows, raw."""
        if self.metadata is None:
            return csv_files.read(self.path, columns=self.columns)
        text = [name for name in TEXT if name in self.columns]
        with (
            readable(self.path),
            pq.ParquetFile(self.path, metadata=self.metadata, read_dictionary=text) as file,
        ):
            return file.read_row_group(self.number, columns=list(self.columns)).to_pandas()


class ParquetSource:
    """Chains of one or more underlyings from files, joined where their snapshots coincide.

    `root` is a file, several files, a folder that holds them (`*chain*.parquet`) or one that holds the folder
    `deribit_option_chain_6h`. Stamps of different underlyings at most `tolerance_minutes` apart are one snapshot,
    as of the latest of them; a snapshot that lacks an underlying is left out and listed in `partial`, or listed there
    and a chain of what it has (`with_partial`).
    A chain is known `known_after_minutes` after its stamp unless the file says when. `drop` names filters of
    `market.quality`; what they took out of a chain stands in `dropped`. With `since` or `until` only the stretch
    between is there, both ends included; row groups beyond it are not read. Of a collection that stamps single rows,
    stamps no further than `join_minutes` after the one before are one snapshot, as of the last, and the last row of a
    contract stands.
    """

    name = "parquet"
    clock = "elapsed"

    def __init__(
        self,
        root: str | list[str],
        *,
        venue: Venue,
        underlyings: tuple[str, ...] = (),
        drop: tuple[str, ...] = (),
        tolerance_minutes: float = 5.0,
        known_after_minutes: float = 5.0,
        since: datetime | None = None,
        until: datetime | None = None,
        join_minutes: float = 0.0,
        with_partial: bool = False,
    ) -> None:
        self._venue = venue
        self._drop = quality.checked(("latest", *drop) if join_minutes else drop)
        self._known_after = timedelta(minutes=known_after_minutes)
        paths = files(root, since=since, until=until)
        within: tuple[float | str, ...] = (join_minutes,) if join_minutes else ()
        within += ("with_partial",) if with_partial else ()
        reading = (venue, drop, tolerance_minutes, known_after_minutes, since, until, *within)
        self._paths, self._reading = paths, reading
        self._where = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
        self._groups = [group for path in paths for group in _groups(path, since, until)]
        self._cache: OrderedDict[int, pd.DataFrame] = OrderedDict()
        pieces = [
            piece for piece in _pieces(self._groups, join_minutes) if manifest.is_within(piece.moment, since, until)
        ]
        self.underlyings = _wanted(underlyings, {piece.underlying for piece in pieces}, where=self._where)
        tolerance = timedelta(minutes=tolerance_minutes)
        self._joint, self.partial = joined(pieces, self.underlyings, tolerance, with_partial=with_partial)
        if not self._joint:
            raise DataError(
                f"{self._where}: no snapshot has all of {', '.join(self.underlyings)}; "
                "ask for fewer underlyings or raise tolerance_minutes."
            )
        self._snapshots = tuple(self._joint)
        self.dropped: dict[datetime, tuple[Dropped, ...]] = {}
        """What the filters took out, by the snapshots that were asked for so far."""

    @property
    def digest(self) -> str:
        """SHA-256 of the files' bytes and of how they are read: changes whenever any chain would."""
        files_of = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in self._paths]
        return digest([*self._reading, self.underlyings, files_of])

    @property
    def step_hours(self) -> float:
        """Median spacing of the snapshots in hours; 24 for a single one."""
        if len(self._snapshots) == 1:
            return 24.0
        gaps = np.diff([one.timestamp() for one in self._snapshots]) / 3600.0
        return float(np.median(gaps))

    def snapshots(self) -> tuple[datetime, ...]:
        """Instants that have a chain with every underlying, increasing."""
        return self._snapshots

    def chain(self, as_of: datetime) -> Chain:
        """The chain of one of `snapshots()`."""
        at = self._snapshots[position(self._snapshots, as_of, name=self._where)]
        where = f"{self._where} at {stamp(at)}"
        parts = [self._rows(run, names) for run, names in self._joint[at].items()]
        rows = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        rows, self.dropped[at] = quality.apply(rows, self._drop, where=where)
        return schema.chain_of(rows, venue=self._venue, as_of=at, known_after=self._known_after, where=where)

    def _rows(self, run: Run, names: set[str]) -> pd.DataFrame:
        rows = self._frame(run.group).iloc[run.start : run.stop]
        return rows.loc[rows["underlying"].isin(names)]

    def _frame(self, number: int) -> pd.DataFrame:
        """Quotes of a row group, the last few kept in memory."""
        if number not in self._cache:
            group = self._groups[number]
            self._cache[number] = schema.quotes(group.read(), where=group.path.name)
            if len(self._cache) > KEPT_ROW_GROUPS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(number)
        return self._cache[number]


def read_chain(path: str | Path, at: datetime | None = None, *, venue: Venue, drop: tuple[str, ...] = ()) -> Chain:
    """The chain of a Parquet or CSV file; one of several snapshots is named by `at`, to within ten minutes.

    Without `at` a file with more than one snapshot is refused with the instants that it has.
    """
    source = ParquetSource(str(path), venue=venue, drop=drop)
    snapshots = source.snapshots()
    if at is not None:
        return source.chain(closest(snapshots, at, name=Path(path).name))
    if len(snapshots) > 1:
        raise DataError(f"{Path(path).name} has {available(snapshots)}; say which one, like {stamp(snapshots[-1])}.")
    return source.chain(snapshots[0])


def write_chain(chains: Chain | Iterable[Chain], path: str | Path) -> Path:
    """Writes one chain or several, in order of time, as Parquet (one row group a snapshot) or CSV; returns the path.

    Reading the file gives the same chains.
    """
    target = Path(path)
    every = sorted([chains] if isinstance(chains, Chain) else chains, key=lambda one: one.as_of)
    if not every:
        raise DataError(f"{target.name}: there is no chain to write.")
    tables = [schema.table_of(chain) for chain in every]
    try:
        _write(tables, target)
    except OSError as problem:
        raise DataError(f"{target} cannot be written ({problem.strerror or problem}); choose another path.") from None
    return target


def _write(tables: Sequence[pd.DataFrame], target: Path) -> None:
    if target.suffix == ".csv":
        whole = pd.concat(tables, ignore_index=True)
        for name in ("snapshot_ts_utc", "expiry_ts_utc", "known_at_utc"):
            whole[name] = whole[name].dt.tz_localize("UTC")
        whole.to_csv(target, index=False)
    elif target.suffix == ".parquet":
        shape = pa.schema([(name, _arrow(name)) for name in tables[0].columns])
        with pq.ParquetWriter(target, shape, compression="zstd") as writer:
            for table in tables:
                columns = [pa.array(table[one.name].to_numpy(), type=one.type, from_pandas=True) for one in shape]
                writer.write_table(pa.Table.from_arrays(columns, schema=shape))
    else:
        raise DataError(f"{target.name}: chains are written as .parquet or .csv; give one of these endings.")


def _arrow(column: str) -> pa.DataType:
    if column.endswith("_utc"):
        return pa.timestamp("us", tz="UTC")
    return pa.string() if column in (*TEXT, "underlying", "option_type") else pa.float64()


def files(
    root: str | Path | Sequence[str | Path], *, since: datetime | None = None, until: datetime | None = None
) -> tuple[Path, ...]:
    """The chain files that a root stands for, sorted: itself, several, or those of a folder.

    Of a folder that the collector writes, or a day of it, the acknowledged ones of the stretch from `since` to `until`,
    their content checked; of others all, whatever the stretch.
    """
    if not isinstance(root, str | Path):
        found = tuple(path for one in root for path in files(one, since=since, until=until))
        if not found:
            raise DataError("no chain file was named; give a file or a folder of them.")
        return found
    path = Path(root)
    if path.is_file():
        if path.suffix not in (".parquet", ".csv"):
            raise DataError(f"{path} is no .parquet or .csv file; convert it.")
        return (path,)
    if not path.is_dir():
        raise DataError(f"{path} is neither a file nor a folder; check the path.")
    home = next((one for one in (path, *path.absolute().parents[:2]) if manifest.is_collected(one)), None)
    if home is not None:
        listed = manifest.files(home, since=since, until=until)
        found = tuple(one for one in listed if one.absolute().is_relative_to(path.absolute()))
        if found:
            return found
        which = "of this stretch" if since or until else "yet"
        raise DataError(
            f"{path} was made by the collector but holds no snapshot {which}; wait for one or ask for another stretch."
        )
    for folder in (path, path / FOLDER):
        for ending in ("parquet", "csv"):
            found = tuple(sorted(folder.glob(f"*chain*.{ending}")))
            if found:
                return found
    raise DataError(f"{path} holds neither *chain*.parquet nor a folder {FOLDER}; give the folder of the chain files.")


def _groups(path: Path, since: datetime | None, until: datetime | None) -> list[_Group]:
    """The row groups of a file that may hold snapshots of the stretch."""
    if path.suffix == ".csv":
        return [_Group(path, 0, tuple(schema.needed(csv_files.read(path, rows=0).columns, where=path.name)))]
    with readable(path), pq.ParquetFile(path) as file:
        metadata, names = file.metadata, file.schema_arrow.names
    columns = tuple(schema.needed(names, where=path.name))
    wanted = row_groups(metadata, "snapshot_ts_utc", since=since, until=until)
    return [_Group(path, number, columns, metadata) for number in wanted]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Damage that reading a Parquet file finds, at its end or in its pages, is a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path} cannot be read as Parquet ({str(problem).strip()}); write it again.") from None


def _pieces(groups: Sequence[_Group], join_minutes: float) -> list[Piece]:
    """Every (snapshot, underlying) of the files and where its rows lie, in order of time; a file is read once.

    One that the collector wrote is not read at all: its footer says what it holds.
    """
    found: list[Piece] = []
    first = 0
    for _, each in groupby(groups, key=lambda group: group.path):
        members = tuple(each)
        collected = _collected(members, first)
        if collected:
            found += collected
            first += 1
            continue
        sizes = _sizes(members)
        times, of, names = _stamps(members)
        times = together(times, join_minutes) if join_minutes else times
        start = 0
        for number, size in enumerate(sizes or [len(times)], start=first):
            rows = slice(start, start + size)
            found += _runs(number, times[rows], of[rows], names)
            start += size
        first += max(len(sizes), 1)
    return sorted(found)


def _collected(members: Sequence[_Group], number: int) -> list[Piece]:
    """What the footer of a collected file says, where its statistics agree: one snapshot of so many underlyings."""
    footer = members[0].metadata
    said = None if footer is None or len(members) != 1 else (footer.metadata or {}).get(manifest.METADATA)
    if footer is None or said is None:
        return []
    stamps, coins = (_range(footer, name) for name in ("snapshot_ts_utc", "underlying"))
    try:
        facts = json.loads(said)
        names, moment = [str(name) for name in facts["underlyings"]], instant(facts["as_of"])
    except (ValueError, KeyError, TypeError):
        return []
    if not names or stamps != (moment, moment) or coins != (min(names), max(names)):
        return []
    return [Piece(moment, name, Run(number, 0, footer.num_rows)) for name in names]


def _range(footer: pq.FileMetaData, column: str) -> tuple[Any, Any] | None:
    """Smallest and largest value of a column of the first row group, where its statistics say."""
    group = footer.row_group(0)
    at = next((i for i in range(group.num_columns) if group.column(i).path_in_schema == column), None)
    statistics = None if at is None else group.column(at).statistics
    return None if statistics is None or not statistics.has_min_max else (statistics.min, statistics.max)


def _sizes(groups: Sequence[_Group]) -> list[int]:
    return [group.metadata.row_group(group.number).num_rows for group in groups if group.metadata is not None]


def _stamps(groups: Sequence[_Group]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Stamp of each row of some groups of a file, number of its underlying, and the names of those numbers."""
    path = groups[0].path
    columns = ["snapshot_ts_utc", "instrument_name"]
    if path.suffix == ".csv":
        raw = csv_files.read(path, columns=columns)
    else:
        with (
            readable(path),
            pq.ParquetFile(path, metadata=groups[0].metadata, read_dictionary=["instrument_name"]) as file,
        ):
            raw = file.read_row_groups([group.number for group in groups], columns=columns).to_pandas()
    times = schema.instants(raw["snapshot_ts_utc"], where=path.name)
    if np.any(np.isnat(times)):
        raise DataError(f"{path.name}: row {int(np.argmax(np.isnat(times)))} has no snapshot_ts_utc; drop the row.")
    contracts = schema.contracts(raw["instrument_name"], where=path.name)
    return times, contracts.underlying.codes, list(contracts.underlying.categories)


def _runs(group: int, times: np.ndarray, of: np.ndarray, names: Sequence[str]) -> list[Piece]:
    if times.size == 0:
        return []
    order = np.argsort(times, kind="stable")
    times, of = times[order], of[order]
    starts = np.flatnonzero(np.r_[True, times[1:] != times[:-1]])
    return [
        Piece(from_datetime64(times[start]), names[code], Run(group, int(start), int(stop)))
        for start, stop in zip(starts, np.r_[starts[1:], times.size], strict=True)
        for code in np.unique(of[start:stop])
    ]


def _wanted(underlyings: Sequence[str], found: set[str], *, where: str) -> tuple[str, ...]:
    if not found:
        raise DataError(f"{where}: there are no rows.")
    for name in underlyings:
        if name not in found:
            raise DataError(f'{where}: there is no "{name}"; {nearest(name, found)}.')
    return tuple(sorted(underlyings or found))
