"""The append-only journal: a decision counts once its record is on disk, and never silently disappears."""

import hashlib
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock as Mutex
from types import TracebackType
from typing import Self

from greekdrift.durable import sync_folder, unused, write_all
from greekdrift.errors import JournalError
from greekdrift.journal.hash_chain import Damage, Entry, Walk, encode, seal
from greekdrift.journal.inputs import Store
from greekdrift.journal.lock import Acknowledged, Lock, acknowledged

_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a start found: how many records stand, and the torn tail that was put aside, if any."""

    records: int
    torn_bytes: int
    put_aside: Path | None


class Journal:
    """The single writer of a journal file.

    Opening is recovery: the whole chain is checked, an unfinished last record is cut off and put aside as
    `<journal>.torn-<sequence>`; a hole, a forgery or a missing acknowledged record is refused with its place.
    `append` returns only when the record is on disk. After any failure to write the journal is closed for good:
    open it again, which rescans the file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.inputs = inputs_beside(self.path)
        self._mutex = Mutex()
        self._lock: Lock | None = Lock(self.path)
        self._file = -1
        try:
            self._open(self._lock)
        except BaseException:
            self.close()
            raise

    def _open(self, lock: Lock) -> None:
        is_new = not self.path.exists()
        self._file = os.open(self.path, _APPEND, 0o644)
        if is_new:
            sync_folder(self.path.parent)
        promised = lock.read()
        walk, self._sequence_of = _scan(self.path, promised)
        _keeps_promise(self.path, walk, promised)
        self.recovery = self._cut(walk)
        self.epoch = max(walk.epoch, promised.epoch if promised else 0) + 1
        self.head, self.count = walk.head, walk.count
        lock.write(Acknowledged(epoch=self.epoch, count=self.count, head=self.head), durable=True)

    def _cut(self, walk: Walk) -> Recovery:
        if walk.damage is None:
            return Recovery(records=walk.count, torn_bytes=0, put_aside=None)
        torn = self.path.read_bytes()[walk.end :]
        aside = unused(self.path.with_name(f"{self.path.name}.torn-{walk.count}"))
        with aside.open("xb") as file:
            file.write(torn)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path.parent)
        os.ftruncate(self._file, walk.end)
        os.fsync(self._file)
        return Recovery(records=walk.count, torn_bytes=len(torn), put_aside=aside)

    def append(self, payload: bytes) -> int:
        """Puts one record on disk and returns its sequence number."""
        return self.append_batch([payload])[0]

    def append_once(self, payloads: Sequence[bytes]) -> tuple[int, ...]:
        """Like `append_batch`, but a payload that stands in the journal already keeps its sequence number."""
        with self._mutex:
            new = [one for one in dict.fromkeys(payloads) if _key(one) not in self._sequence_of]
            if new:
                self._append(new)
            return tuple(self._sequence_of[_key(payload)] for payload in payloads)

    def append_batch(self, payloads: Sequence[bytes]) -> tuple[int, ...]:
        """Puts several records on disk with one wait for it, and returns their sequence numbers."""
        with self._mutex:
            return self._append(payloads)

    def _append(self, payloads: Sequence[bytes]) -> tuple[int, ...]:
        lock = self._writable()
        content, head, count = [], self.head, self.count
        for payload in payloads:
            record = encode(payload, epoch=self.epoch, sequence=count, previous=head)
            content.append(record)
            head, count = seal(record), count + 1
        try:
            write_all(self._file, b"".join(content))
            os.fsync(self._file)
            lock.write(Acknowledged(epoch=self.epoch, count=count, head=head))
        except OSError as error:
            self._abandon()
            raise JournalError(
                f"{self.path}: record {self.count} could not be written ({error.strerror}) and is not "
                "acknowledged; make room or mend the disk, then open the journal again."
            ) from error
        sequences = tuple(range(self.count, count))
        self._sequence_of.update({_key(payload): at for at, payload in zip(sequences, payloads, strict=True)})
        self.head, self.count = head, count
        return sequences

    def _writable(self) -> Lock:
        if self._lock is None:
            raise JournalError(f"{self.path} is closed; open it again with Journal(path).")
        line = self._lock.read()
        if line is None or line.epoch != self.epoch:
            self._abandon()
            raise JournalError(
                f"{self.path}: this writer has epoch {self.epoch}, the file says "
                f"{line.epoch if line else 'nothing'}; another writer took over, so this one stops."
            )
        if not self.path.exists() or not os.path.samestat(self.path.stat(), os.fstat(self._file)):
            self._abandon()
            raise JournalError(f"{self.path} was moved or replaced while it was open; put it back and open it again.")
        return self._lock

    def _abandon(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def close(self) -> None:
        """Gives the file and the lock back; calling it twice is harmless."""
        with self._mutex:
            self._abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def inputs_beside(path: Path | str) -> Store:
    """The store that belongs to a journal: the folder `<journal>.inputs`."""
    path = Path(path)
    return Store(path.with_name(f"{path.name}.inputs"))


def read(path: Path | str) -> tuple[Entry, ...]:
    """All records of a journal, checked; any damage is refused with its place, a torn tail too."""
    path = Path(path)
    if not path.is_file():
        raise JournalError(f"{path} is no file; name the journal that a rebalancing wrote.")
    promised = acknowledged(path)
    with path.open("rb") as file:
        walk = Walk(file.read(), mark=promised.count if promised else 0)
    entries = tuple(walk)
    _keeps_promise(path, walk, promised)
    if walk.damage is not None:
        raise JournalError(_place(path, walk.damage))
    return entries


def _scan(path: Path, promised: Acknowledged | None) -> tuple[Walk, dict[bytes, int]]:
    """Walks through the file without holding its payloads."""
    mark = promised.count if promised else 0
    if path.stat().st_size == 0:
        return Walk(b"", mark=mark), {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        walk = Walk(content, mark=mark)
        found = {_key(entry.payload): entry.sequence for entry in walk}
    if walk.damage is not None and not walk.damage.is_tail:
        raise JournalError(_place(path, walk.damage))
    return walk, found


def _keeps_promise(path: Path, walk: Walk, promised: Acknowledged | None) -> None:
    """Refuses a chain that is shorter than what its writer acknowledged, or other up to there."""
    if promised is None:
        return
    if walk.count < promised.count:
        place = f"; {walk.damage.fact} at byte {walk.damage.offset}" if walk.damage else ""
        raise JournalError(
            f"{path}: {promised.count} records were acknowledged, only {walk.count} stand{place}. "
            "Restore the file from a copy; nothing is decided on a journal that lost decisions."
        )
    if walk.head_at != promised.head:
        raise JournalError(
            f"{path}: record {promised.count - 1} is not the one that was acknowledged as the last; "
            "restore the file from a copy."
        )


def _place(path: Path, damage: Damage) -> str:
    return (
        f"{path}: record {damage.sequence} at byte {damage.offset} is damaged: {damage.fact}. "
        + ("The tail was torn; opening the journal for writing puts it aside." if damage.is_tail else "")
        + ("" if damage.is_tail else "Restore the file from a copy.")
    )


def _key(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()
