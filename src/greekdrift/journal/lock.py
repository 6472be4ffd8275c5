"""One writer at a time: a lock on a file beside the journal, which also carries the fencing epoch.

The file `<journal>.writer` holds one checked line of 64 bytes: the epoch of the present writer, how many records
are acknowledged, and the seal of the last of them. It is locked by the operating system while a writer lives
(released by the kernel when the process dies). Each new writer raises the epoch; a writer whose epoch is no
longer there is outdated and refuses to append. Since the line is written only after a record is on disk, a
journal with fewer records than the line says has lost acknowledged ones.
"""

import os
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from greekdrift.errors import JournalError

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _claim(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _claim(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_MAGIC = b"GDJW"
_LINE = struct.Struct("<4sQQ32s8x")
_CHECK = struct.Struct("<I")
_LENGTH = _LINE.size + _CHECK.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """What the writer last promised: its epoch, the number of records, the seal of the last one."""

    epoch: int
    count: int
    head: bytes


class Lock:
    """The writer's lock; taken when made, given back by `release`."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + ".writer")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _claim(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise JournalError(f"{journal} has a writer already; stop it, or write to another journal.") from None

    def read(self) -> Acknowledged | None:
        """The line in the file; None where there is none or its check fails."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return _parse(os.read(self._descriptor, _LENGTH))

    def write(self, line: Acknowledged, *, durable: bool = False) -> None:
        """Replaces the line; `durable` waits for the disk (a new epoch must, an acknowledgement need not)."""
        plain = _LINE.pack(_MAGIC, line.epoch, line.count, line.head)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, plain + _CHECK.pack(zlib.crc32(plain)))
        if durable:
            os.fsync(self._descriptor)

    def release(self) -> None:
        """Closes the file, which gives the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def acknowledged(journal: Path) -> Acknowledged | None:
    """The writer's line beside a journal, without the lock; None where there is none."""
    path = journal.with_name(journal.name + ".writer")
    return _parse(path.read_bytes()[:_LENGTH]) if path.is_file() else None


def _parse(plain: bytes) -> Acknowledged | None:
    if len(plain) != _LENGTH:
        return None
    magic, epoch, count, head = _LINE.unpack_from(plain)
    (check,) = _CHECK.unpack_from(plain, _LINE.size)
    if magic != _MAGIC or check != zlib.crc32(plain[: _LINE.size]):
        return None
    return Acknowledged(epoch=epoch, count=count, head=head)
