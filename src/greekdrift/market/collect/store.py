"""The collected folder on disk: a snapshot is there whole, and listed, or it is as if it had never been.

Files are written under another name, put on disk, renamed, and only then listed in the manifest; the listing is the
acknowledgement. Opening is recovery: the manifest is checked, a cut last line is put aside, files that it does not
know or whose content changed go to `quarantine/`, and nothing is ever deleted or repaired. The content of the last
files is read then, and of those that were touched since they were acknowledged; of all of them where that is asked.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from greekdrift.durable import sync_folder, write_all, write_durably
from greekdrift.errors import DataError, JournalError
from greekdrift.market.collect import manifest
from greekdrift.market.collect.lock import Lock, Promise
from greekdrift.market.collect.manifest import Source, Walk, difference, encode
from greekdrift.units import instant, stamp

TABLES = ("chain", "series", "depth")
RECENT = 200
"""Files that are read at each opening: the last ones are those that a failing machine may have spoilt."""
Known = tuple[dict[str, Any], datetime]
"""What a file was acknowledged with: its length and hash, and when its snapshot was known."""
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is written at once: tables of one instant (`chain`, `series`, `depth`) and what is to be said of them.

    `key` tells batches of one kind apart: "chain" batches have increasing `as_of`, and so have "depth" batches.
    `facts` go to the manifest and into the files, `details` into the files alone.
    """

    key: str
    as_of: datetime
    known_at: datetime
    tables: Mapping[str, pa.Table]
    facts: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An acknowledged batch: number of its line, when it was, its files, rows by table and bytes in all."""

    number: int
    key: str
    as_of: datetime
    known_at: datetime
    files: tuple[Path, ...]
    rows: Mapping[str, int]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening found: acknowledged batches, the process that left the lock behind, what went to quarantine.

    `read` counts the files whose content was compared with what was acknowledged.
    """

    batches: int
    read: int
    torn_bytes: int
    quarantined: tuple[Path, ...]
    left_by: int | None


class Store:
    """The single writer of a collected folder; a second one is refused, one that was overtaken stops.

    A folder holds snapshots of one source; where `source` is another one it is refused, and rows of a host that is not
    the venue's own say so in a column `source`. `verify` reads every file again. `append` returns once a batch is on
    disk and listed. After any failure to write the store is closed for good: open it again, which scans the folder.
    """

    def __init__(self, folder: Path | str, *, source: Source | None = None, verify: bool = False) -> None:
        self.folder = Path(folder)
        self._source = source
        self._verify = verify
        self._manifest = self.folder / manifest.NAME
        self._file = -1
        self._last: dict[str, datetime] = {}
        self._found = ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock: Lock | None = Lock(self.folder)
        except OSError as problem:
            raise DataError(f"{self.folder}: cannot be written ({problem.strerror}); choose another folder.") from None
        try:
            self._open(self._lock)
        except OSError as problem:
            self.close()
            raise DataError(f"{self.folder}: cannot be written ({problem.strerror}); mend it or make room.") from None
        except BaseException:
            self.close()
            raise

    def _open(self, lock: Lock) -> None:
        is_new = not self._manifest.exists()
        self._file = os.open(self._manifest, _APPEND, 0o644)
        if is_new:
            sync_folder(self.folder)
        walk = Walk(self._manifest)
        listed, batches, promised_head = self._read(walk, lock.left_by)
        self._is_ours()
        self._keeps_promise(walk, lock.left_by, promised_head)
        torn = self._cut(walk)
        self._head, self._count = walk.head, walk.count
        self.epoch = max(walk.epoch, lock.left_by.epoch if lock.left_by else 0) + 1
        lock.write(self._promise(), durable=True)
        read, quarantined = self._scan(listed)
        self.recovery = Recovery(
            batches=batches,
            read=read,
            torn_bytes=walk.torn,
            quarantined=(*torn, *quarantined),
            left_by=lock.left_by.pid if lock.left_by else None,
        )

    def _read(self, walk: Walk, promised: Promise | None) -> tuple[dict[str, Known], int, str]:
        """Files that are listed, the number of batches, and the seal of the line that was promised last."""
        listed: dict[str, Known] = {}
        batches, head = 0, manifest.GENESIS
        for line in walk:
            body = line.body
            if body["kind"] == "snapshot":
                known_at = instant(body.get("known_at", body["as_of"]))
                listed |= {name: (facts, known_at) for name, facts in body["files"].items()}
                batches += 1
                self._last[body["key"]] = instant(body["as_of"])
                self._found = str(body.get("source", manifest.OWN))
            elif body["kind"] == "quarantined":
                listed.pop(body["file"], None)
            if promised is not None and walk.count == promised.count:
                head = line.seal
        return listed, batches, head

    def _is_ours(self) -> None:
        if self._source is not None and self._found not in ("", self._source.label):
            raise DataError(
                f"{self.folder} holds snapshots of {self._found}; collect those of {self._source.label} into another "
                "folder."
            )

    def _keeps_promise(self, walk: Walk, promised: Promise | None, head: str) -> None:
        if promised is not None and (walk.count < promised.count or head != promised.head):
            raise JournalError(
                f"{self._manifest}: {promised.count} lines were acknowledged, {walk.count} stand or the last of them "
                "is another one. Restore the manifest from a copy, or collect into a new folder."
            )

    def _cut(self, walk: Walk) -> tuple[Path, ...]:
        """Puts an unfinished last line aside."""
        if not walk.torn:
            return ()
        with self._manifest.open("rb") as file:
            file.seek(walk.end)
            torn = file.read()
        aside = self._aside(f"manifest-{walk.count}.torn")
        write_durably(aside, torn)
        os.ftruncate(self._file, walk.end)
        os.fsync(self._file)
        return (aside,)

    def _scan(self, listed: dict[str, Known]) -> tuple[int, tuple[Path, ...]]:
        """Moves what is not listed, or not as listed, to quarantine; a listed file that is gone is noted too."""
        moved, read = [], 0
        recent = len(listed) - RECENT
        for number, (name, (facts, known_at)) in enumerate(listed.items()):
            path = self.folder / name
            is_known = number < recent and not self._verify and manifest.is_untouched(path, facts, known_at)
            problem = "" if is_known else difference(path, facts)
            read += not is_known
            if problem:
                if path.exists():
                    moved.append(self._quarantine(path))
                self._line({"kind": "quarantined", "file": name, "reason": problem})
            elif not is_known:
                _stamp(path, known_at)
        for table in TABLES:
            for day in sorted((self.folder / table).glob("date=*/")):
                with os.scandir(day) as there:
                    strange = [
                        one.name for one in there if f"{table}/{day.name}/{one.name}" not in listed and one.is_file()
                    ]
                moved += [self._quarantine(day / name) for name in sorted(strange)]
        return read, tuple(moved)

    def _quarantine(self, path: Path) -> Path:
        aside = self._aside(path.name)
        aside.parent.mkdir(exist_ok=True)
        path.replace(aside)
        sync_folder(path.parent)
        sync_folder(aside.parent)
        return aside

    def _aside(self, name: str) -> Path:
        path, number = self.folder / "quarantine" / name, 0
        while path.exists():
            number += 1
            path = self.folder / "quarantine" / f"{name}.{number}"
        return path

    def last(self, key: str) -> datetime | None:
        """Instant of the last acknowledged batch of a kind."""
        return self._last.get(key)

    def append(self, batch: Batch) -> Entry:
        """Puts a batch on disk and lists it; one that is not later than the last of its kind is refused."""
        last = self._last.get(batch.key)
        if last is not None and batch.as_of <= last:
            raise DataError(
                f"a {batch.key} batch as of {stamp(batch.as_of)} is not later than the last one, {stamp(last)}; "
                "it is a repetition and is not written."
            )
        self._writable()
        batch = self._marked(batch)
        contents = {f"{name}{self._place(name, batch.as_of)}": _bytes(table, batch) for name, table in _tables(batch)}
        files = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        }
        try:
            for name, content in contents.items():
                write_durably(self.folder / name, content, modified=manifest.modified(batch.known_at))
        except OSError as problem:
            self._abandon(problem, f"the batch as of {stamp(batch.as_of)}")
        rows = {name: table.num_rows for name, table in _tables(batch)}
        number = self._line(
            {
                "kind": "snapshot",
                "key": batch.key,
                "as_of": stamp(batch.as_of),
                "known_at": stamp(batch.known_at),
                "rows": rows,
                "files": files,
                **batch.facts,
            }
        )
        self._last[batch.key] = batch.as_of
        return Entry(
            number=number,
            key=batch.key,
            as_of=batch.as_of,
            known_at=batch.known_at,
            files=tuple(self.folder / name for name in files),
            rows=rows,
            size=sum(len(content) for content in contents.values()),
        )

    def _marked(self, batch: Batch) -> Batch:
        """The batch with its source; rows that are not of the venue's own host say where they are from."""
        if self._source is None:
            return batch
        tables = dict(batch.tables)
        if self._source.host is not None:
            for name, table in tables.items():
                tables[name] = table.append_column("source", pa.array([self._source.label] * table.num_rows))
        return replace(batch, tables=tables, facts={**batch.facts, "source": self._source.label})

    def refuse(self, due: datetime, *, reason: str, fact: str) -> None:
        """Lists that there is no snapshot for an instant, and why: it is missing, not forgotten."""
        self._line({"kind": "refused", "due": stamp(due), "reason": reason, "fact": fact[:400]})

    @staticmethod
    def _place(table: str, as_of: datetime) -> str:
        return f"/date={as_of:%Y-%m-%d}/{table}-{as_of:%Y%m%dT%H%M%S%f}Z.parquet"

    def _line(self, body: dict[str, Any]) -> int:
        lock = self._writable()
        number = self._count
        line = encode({**body, "n": number, "epoch": self.epoch, "previous": self._head})
        try:
            write_all(self._file, line)
            os.fsync(self._file)
            self._head, self._count = hashlib.sha256(line).hexdigest(), number + 1
            lock.write(self._promise())
        except OSError as problem:
            self._abandon(problem, f"line {number} of the manifest")
        return number

    def _promise(self) -> Promise:
        return Promise(pid=os.getpid(), epoch=self.epoch, count=self._count, head=self._head)

    def _writable(self) -> Lock:
        if self._lock is None:
            raise JournalError(f"{self.folder} is closed; open it again with Store(folder).")
        if not self._lock.is_held(self.epoch):
            self.close()
            raise JournalError(f"{self.folder}: another collector took the folder over, so this one stops.")
        return self._lock

    def _abandon(self, problem: OSError, what: str) -> None:
        self.close()
        raise JournalError(
            f"{self.folder}: {what} could not be written ({problem.strerror}) and is not acknowledged; make room or "
            "mend the disk, then start again."
        ) from problem

    def close(self) -> None:
        """Gives the manifest and the lock back; calling it twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        lock, self._lock = getattr(self, "_lock", None), None
        if lock is not None:
            lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _stamp(path: Path, known_at: datetime) -> None:
    """Gives a file whose content was found as acknowledged its time of change back, so that it is not read again."""
    moment = manifest.modified(known_at)
    with suppress(OSError):
        os.utime(path, ns=(moment, moment))


def _tables(batch: Batch) -> tuple[tuple[str, pa.Table], ...]:
    unknown = set(batch.tables) - set(TABLES)
    if unknown or not batch.tables:
        raise DataError(f"a batch holds {sorted(batch.tables)}; it needs one or more of {', '.join(TABLES)}.")
    return tuple((name, batch.tables[name]) for name in TABLES if name in batch.tables)


def _bytes(table: pa.Table, batch: Batch) -> bytes:
    said = {"as_of": stamp(batch.as_of), "known_at": stamp(batch.known_at), **batch.facts, **batch.details}
    text = json.dumps(said, sort_keys=True, allow_nan=False)
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({manifest.METADATA: text.encode()}), sink, compression="zstd")
    return bytes(sink.getvalue())
