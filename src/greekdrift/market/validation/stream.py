"""Recorded files in blocks of whole snapshots, in order of time over all files: what stands in memory is one block.

A survey reads every file once, so that damage is known before anything is judged, and keeps of it the stamps alone.
Then sorted Parquet files are read again batch by batch and merged; a file that is not sorted, or is CSV, is held whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from jaxtyping import Shaped
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.market import csv_files, schema
from greekdrift.market.parquet import readable
from greekdrift.market.validation.door import times
from greekdrift.market.validation.finding import Hits, at_moments
from greekdrift.market.validation.rows import ONE_SNAPSHOT, SCATTERED, TOGETHER

BLOCK = 65_536
"""Rows from which on a block is handed out at its next whole snapshot."""
BATCH = 16_384
"""Rows of a file that are read at once."""
DELTA, EVENT = "delta_bs", "event_time_utc"
"""A recorded delta and a row's own stamp by the venue: no part of a chain, but looked at where they are there."""
AT = "at"
"""Column of a row's stamp (of the last row before it that has one)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surveyed:
    """A file that can be read: its number among the files, its rows, and its first stamp (NaT where it has none)."""

    path: Path
    number: int
    rows: int
    first: np.datetime64
    is_sorted: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What files hold: those that can be read, those that cannot and why, and what their stamps say.

    `stamps` are the different stamps of all files, increasing; stamps nearer than `join` are one snapshot.
    """

    files: tuple[Surveyed, ...]
    unread: tuple[tuple[Path, str], ...]
    stamps: Shaped[ndarray, " stamp"]
    join: np.timedelta64
    hits: tuple[Hits, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(one.rows for one in self.files)

    @property
    def snapshots(self) -> int:
        """Snapshots that the stamps make."""
        return int(np.sum(np.diff(self.stamps) > self.join)) + int(self.stamps.size > 0)


def survey(paths: Sequence[Path], *, join: np.timedelta64 | None = None) -> Survey:
    """Reads all files once. One that cannot be read is told beside others that can; alone it is refused.

    Stamps no further apart than `join` are one snapshot; by default those of `ONE_SNAPSHOT` where they are scattered.
    """
    found, unread, stamps, hits = [], [], [], []
    for number, path in enumerate(paths):
        try:
            one, own, back = _surveyed(path, number)
        except DataError as problem:
            if len(paths) == 1:
                raise
            unread.append((path, str(problem)))
            continue
        found.append(one)
        stamps.append(np.unique(own))
        hits += [back] if len(back) else []
    rows = sum(one.rows for one in found)
    if not found:
        raise DataError(f"none of {len(paths)} files can be read: {unread[0][1]}")
    if not rows:
        raise DataError(f"{paths[0].name}: there are no rows.")
    every = np.unique(np.concatenate(stamps))
    is_scattered = rows / max(every.size, 1) < SCATTERED and rows > SCATTERED
    if is_scattered and every.size:
        hits.append(
            at_moments("scattered_stamps", every[:1], ["whole file"], figure=rows / every.size, limit=SCATTERED)
        )
    return Survey(
        files=tuple(found),
        unread=tuple(unread),
        stamps=every,
        join=join if join is not None else (ONE_SNAPSHOT if is_scattered else TOGETHER),
        hits=(*hits, *_unreadable(unread)),
    )


def _surveyed(path: Path, number: int) -> tuple[Surveyed, Shaped[ndarray, " row"], Hits]:
    parts = [_stamps(frame, path) for frame in _frames(path, only=["snapshot_ts_utc"])]
    stamps = np.concatenate([np.empty(0, dtype="datetime64[us]"), *parts])
    back = _seconds_back(stamps)
    timed = stamps[~np.isnat(stamps)]
    one = Surveyed(
        path=path,
        number=number,
        rows=stamps.size,
        first=timed.min() if timed.size else np.datetime64("NaT", "us"),
        is_sorted=not np.any(back > 0.0),
    )
    return one, timed, _out_of_order(path, number, stamps, back)


def _stamps(frame: pd.DataFrame, path: Path) -> Shaped[ndarray, " row"]:
    return times(frame["snapshot_ts_utc"], where=path.name).to_numpy(dtype="datetime64[us]")


def _seconds_back(stamps: Shaped[ndarray, " row"]) -> ndarray:
    """Seconds by which each row stands after a later one; 0 where it has no stamp."""
    newest = np.fmax.accumulate(stamps)
    back: ndarray = np.nan_to_num((newest - stamps) / np.timedelta64(1, "s"), nan=0.0)
    return back


def _out_of_order(path: Path, number: int, stamps: Shaped[ndarray, " row"], back: ndarray) -> Hits:
    at = np.flatnonzero(back > 0.0)
    named = [one["instrument_name"].astype(object) for one in _frames(path, only=["instrument_name"]) if at.size]
    shown = pd.concat(named).to_numpy()[at] if named else np.empty(0, dtype=object)
    return Hits(
        rule="out_of_order",
        moment=stamps[at],
        name=shown,
        file=np.full(at.size, number),
        row=at,
        figure=back[at],
        limit=np.zeros(at.size),
    )


def _unreadable(unread: Sequence[tuple[Path, str]]) -> tuple[Hits, ...]:
    names = [f"{path.name}: {reason}" for path, reason in unread]
    moments = np.full(len(names), np.datetime64("NaT", "us"))
    return (at_moments("unreadable", moments, names, figure=np.nan, limit=np.nan),) if names else ()


def _frames(path: Path, *, only: list[str] | None = None) -> Iterator[pd.DataFrame]:
    """The columns that are read of a file, or some of them, in pieces, rows numbered by the index.

    Damage in any column that is read is a `DataError`, whichever are asked for.
    """
    if path.suffix == ".csv":
        table = csv_files.read(path)
        yield table[_read(table.columns, path)]
        return
    with readable(path), pq.ParquetFile(path) as file:
        read = _read(file.schema_arrow.names, path)
        shown = read if only is None else only
        start = 0
        for batch in file.iter_batches(batch_size=BATCH, columns=read):
            frame = batch.select(shown).to_pandas()
            yield frame.set_index(pd.RangeIndex(start, start + len(frame)))
            start += len(frame)
        if not start:
            yield file.schema_arrow.empty_table().select(shown).to_pandas()


def _read(present: Iterable[str], path: Path) -> list[str]:
    """The columns that are read of those of a file."""
    columns = list(present)
    return [*schema.needed(columns, where=path.name), *(one for one in (DELTA, EVENT) if one in columns)]


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A file that is being read: its frames to come, and the stamp up to which it has been read."""

    frames: Iterator[pd.DataFrame]
    end: np.datetime64


@dataclass(slots=True, kw_only=True)
class _Merge:
    """Files read side by side; `held` are rows that are not handed out yet."""

    waiting: list[Surveyed]
    open: list[_Reading] = field(default_factory=list)
    held: list[pd.DataFrame] = field(default_factory=list)

    @property
    def limit(self) -> np.datetime64:
        """No row to come is earlier than this; NaT where none is to come."""
        ends = [one.end for one in self.open] + [one.first for one in self.waiting[-1:]]
        return min(ends, default=np.datetime64("NaT", "us"))

    def read(self) -> None:
        """Reads on where the least has been read."""
        limit = self.limit
        if self.waiting and self.waiting[-1].first == limit:
            one = self.waiting.pop()
            self.open.append(_Reading(frames=_in_order(one), end=one.first))
        at = min(self.open, key=lambda one: one.end)
        frame = next(at.frames, None)
        if frame is None:
            self.open.remove(at)
        else:
            self.held.append(frame)
            at.end = frame[AT].iloc[-1].to_datetime64()


def blocks(given: Survey, *, rows: int = BLOCK) -> Iterator[pd.DataFrame]:
    """The rows of all files in blocks of whole snapshots, each of about so many rows.

    Columns are those of a chain file beside `file`, `row`, `delta` and `event`; within a block rows stand as
    in the files.
    """
    untimed = [one for one in given.files if np.isnat(one.first) and one.rows]
    for one in untimed:
        yield from (_handed(frame) for frame in _in_order(one))
    timed = [one for one in given.files if not np.isnat(one.first)]
    merge = _Merge(waiting=sorted(timed, key=lambda one: (one.first, one.number), reverse=True))
    while merge.waiting or merge.open:
        merge.read()
        limit = merge.limit
        if np.isnat(limit) or sum(len(frame) for frame in merge.held) < rows:
            continue
        whole = pd.concat(merge.held, ignore_index=True)
        is_whole = _is_whole(whole[AT].to_numpy(dtype="datetime64[us]"), limit, given.join)
        merge.held = [whole.loc[~is_whole]]
        if np.any(is_whole):
            yield _handed(whole.loc[is_whole])
    if merge.held and any(len(frame) for frame in merge.held):
        yield _handed(pd.concat(merge.held, ignore_index=True))


def _is_whole(at: Shaped[ndarray, " row"], limit: np.datetime64, join: np.timedelta64) -> ndarray:
    """Rows of snapshots to which no row to come can belong."""
    stamps = np.unique(at)
    is_cut = np.append(np.diff(stamps) > join, True) & (stamps + join < limit)
    return at <= stamps[is_cut][-1] if np.any(is_cut) else np.zeros(at.size, dtype=np.bool_)


def _handed(frame: pd.DataFrame) -> pd.DataFrame:
    left = frame.drop(columns=AT).sort_values(["file", "row"], kind="stable", ignore_index=True)
    return left.assign(instrument_name=pd.Categorical(left["instrument_name"]).remove_unused_categories())


def _in_order(one: Surveyed) -> Iterator[pd.DataFrame]:
    """The rows of a file in order of time, in pieces."""
    if one.is_sorted and one.path.suffix != ".csv":
        newest = one.first
        for frame in _frames(one.path):
            made = _numbered(frame, one, newest)
            newest = made[AT].iloc[-1].to_datetime64() if len(made) else newest
            yield made
        return
    whole = _numbered(pd.concat(list(_frames(one.path))), one, one.first)
    if not one.is_sorted:
        whole = whole.sort_values(AT, kind="stable")
    for start in range(0, len(whole), BATCH):
        yield whole.iloc[start : start + BATCH]


def _numbered(frame: pd.DataFrame, one: Surveyed, newest: np.datetime64) -> pd.DataFrame:
    """Rows with file, row, delta, the venue's own stamp and the stamp by which they are put in order."""
    at = _stamps(frame, one.path)
    if one.is_sorted:
        at = np.fmax.accumulate(np.append(newest, at))[1:]
    at = np.where(np.isnat(at), one.first, at)
    delta = pd.to_numeric(frame[DELTA], errors="coerce").to_numpy() if DELTA in frame else np.nan
    event = _events(frame, one.path)
    left = frame.drop(columns=[name for name in (DELTA, EVENT) if name in frame])
    row = frame.index.to_numpy(dtype=np.int64)
    return left.assign(file=one.number, row=row, delta=delta, event=event, **{AT: at})


def _events(frame: pd.DataFrame, path: Path) -> Shaped[ndarray, " row"]:
    """The rows' own stamps by the venue, NaT where there is none."""
    if EVENT not in frame:
        return np.full(len(frame), np.datetime64("NaT", "us"))
    return times(frame[EVENT], where=path.name).to_numpy(dtype="datetime64[us]")
