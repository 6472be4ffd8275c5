"""A folder of snapshots while it grows: what is new in it, in order of time, each snapshot once.

The folder is one that the collector writes (its manifest says what is there, acknowledged and checked), or any folder
of chain files that appear or are replaced there. A file that cannot be read yet is tried again; one that stays as it
is and still cannot be read is reported once, until it changes.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from greekdrift.book import Chain, Venue
from greekdrift.errors import ChainError, ConfigError, DataError, InputError, InstrumentError
from greekdrift.market import quality
from greekdrift.market.collect import manifest
from greekdrift.market.parquet import FOLDER, ParquetSource

Signature = tuple[int, int]

TOGETHER = timedelta(minutes=5)
"""Stamps of files of different coins at most this far apart are one snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One snapshot of a file: its chain, or why there is none. `as_of` is missing where not even that can be read."""

    file: Path
    as_of: datetime | None
    chain: Chain | None
    problem: str


class Follower:
    """Reads each snapshot of a folder once; `drop` names filters of `market.quality`."""

    def __init__(self, folder: Path, *, venue: Venue, drop: tuple[str, ...] = ()) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder; give the one that snapshots are written to.")
        self._folder = folder
        self._venue = venue
        self._drop = quality.checked(drop)
        self._done: dict[Path, Signature] = {}
        self._pending: dict[Path, Signature] = {}
        self._grown: Signature | None = None
        self._listed: dict[str, dict[str, Any]] = {}
        self._latest: datetime | None = None

    def poll(self, *, last_only: bool = False) -> list[Seen]:
        """What is new since the last call, in order of time; with `last_only` just the latest of it.

        A snapshot that is not later than one that was given before is passed over: time goes one way. Files that
        appear together are joined where their snapshots coincide (one coin a file).
        """
        sources, found = self._sources(self._news(last_only=last_only))
        after = self._latest
        places = sorted(
            {
                moment: (path, source) for path, source, moment in _moments(sources) if after is None or moment > after
            }.items()
        )
        for moment, (path, source) in places[-1:] if last_only else places:
            found.append(self._seen(path, source, moment))
        if places:
            self._latest = places[-1][0]
        return found

    def _news(self, *, last_only: bool) -> list[tuple[Path, Signature]]:
        """Files that are new or changed, with their signatures."""
        paths = self._collected() if manifest.is_collected(self._folder) else self._plain()
        there = [(path, _signature(path)) for path in paths]
        new = [(path, one) for path, one in there if one is not None and self._done.get(path) != one]
        if last_only and manifest.is_collected(self._folder):
            # The names of collected files are in order of time; what came before is not looked at.
            self._done |= dict(new[:-1])
            new = new[-1:]
        return new

    def _plain(self) -> list[Path]:
        inner = self._folder / FOLDER
        folder = inner if inner.is_dir() else self._folder
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix in (".parquet", ".csv") and "chain" in path.name and not path.name.startswith(".")
        )

    def _collected(self) -> list[Path]:
        """Chain files that the manifest lists; it is read again only where it has grown."""
        path = self._folder / manifest.NAME
        signature = _signature(path)
        if signature is not None and signature != self._grown:
            listed: dict[str, dict[str, Any]] = {}
            for line in manifest.Walk(path):
                if line.body.get("kind") == "snapshot":
                    listed |= {name: facts for name, facts in line.body["files"].items() if name.startswith("chain/")}
                elif line.body.get("kind") == "quarantined":
                    listed.pop(line.body["file"], None)
            self._listed, self._grown = listed, signature
        return [self._folder / name for name in sorted(self._listed)]

    def _sources(self, news: Sequence[tuple[Path, Signature]]) -> tuple[list[tuple[Path, ParquetSource]], list[Seen]]:
        """A source of each file that can be read, after one of all of them, and what cannot be read any more."""
        sources, found = [], []
        for path, signature in news:
            try:
                self._is_acknowledged(path)
                source = ParquetSource(str(path), venue=self._venue, drop=self._drop)
            except InputError as problem:
                is_same = self._pending.get(path) == signature or manifest.is_collected(self._folder)
                self._pending[path] = signature
                if is_same:
                    self._done[path] = signature
                    found.append(Seen(file=path, as_of=None, chain=None, problem=str(problem)))
                continue
            self._pending.pop(path, None)
            self._done[path] = signature
            sources.append((path, source))
        if len(sources) > 1:
            with suppress(DataError):
                names = [str(path) for path, _ in sources]
                sources.append((sources[0][0].parent, ParquetSource(names, venue=self._venue, drop=self._drop)))
        return sources, found

    def _seen(self, path: Path, source: ParquetSource, moment: datetime) -> Seen:
        try:
            return Seen(file=path, as_of=moment, chain=source.chain(moment), problem="")
        except (ChainError, ConfigError, DataError, InstrumentError) as problem:
            return Seen(file=path, as_of=moment, chain=None, problem=str(problem))

    def _is_acknowledged(self, path: Path) -> None:
        if not manifest.is_collected(self._folder):
            return
        problem = manifest.difference(path, self._listed[path.relative_to(self._folder).as_posix()])
        if problem:
            raise DataError(f"{path}: {problem}; start the collector on the folder, which moves it to quarantine.")


def _moments(sources: Sequence[tuple[Path, ParquetSource]]) -> list[tuple[Path, ParquetSource, datetime]]:
    """Snapshots of sources, the later source preferred; those of single files that a joint one holds are left out."""
    joint = sources[-1][1] if len(sources) > 1 and sources[-1][0].is_dir() else None
    if joint is None:
        return [(path, source, moment) for path, source in sources for moment in source.snapshots()]
    held = joint.snapshots()
    alone = [
        (path, source, moment)
        for path, source in sources[:-1]
        for moment in source.snapshots()
        if all(abs(moment - one) > TOGETHER for one in held)
    ]
    return alone + [(sources[-1][0], joint, moment) for moment in held]


def _signature(path: Path) -> Signature | None:
    """Length and time of change of a file; None where it is gone again."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
