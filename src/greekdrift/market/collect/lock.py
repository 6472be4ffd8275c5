"""One collector a folder: a lock that the system gives back when a process dies, and the fencing epoch.

The file `collector.lock` holds one checked line of 256 bytes: process, epoch, number of acknowledged manifest lines
and the seal of the last. Each writer raises the epoch; one whose epoch is no longer there stops. The line is written
only after a manifest line is on disk, so a shorter manifest has lost acknowledged snapshots.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greekdrift.errors import JournalError
from greekdrift.market.collect.manifest import decode, encode

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _claim(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _claim(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


NAME = "collector.lock"
_LENGTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a writer last said: its process and epoch, how many lines are acknowledged, the seal of the last."""

    pid: int
    epoch: int
    count: int
    head: str


class Lock:
    """The writer's lock of a folder; taken when made, given back by `release` or by the end of the process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _claim(self._descriptor)
        except OSError:
            holder = self.read()
            self.release()
            who = f" (process {holder.pid})" if holder else ""
            raise JournalError(
                f"{folder} has a collector already{who}; stop it, or collect into another folder."
            ) from None
        self.left_by = self.read()

    def read(self) -> Promise | None:
        """The line in the file; None where there is none or its check fails."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        body = decode(os.read(self._descriptor, _LENGTH).rstrip(b" \0"))
        return None if body is None else _promise(body)

    def write(self, promise: Promise, *, durable: bool = False) -> None:
        """Replaces the line; `durable` waits for the disk (a new epoch must, an acknowledgement need not)."""
        line = encode({"pid": promise.pid, "epoch": promise.epoch, "count": promise.count, "head": promise.head})
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, line.ljust(_LENGTH, b" "))
        if durable:
            os.fsync(self._descriptor)

    def is_held(self, epoch: int) -> bool:
        """Whether the file is still the one that was locked and says this epoch."""
        try:
            is_same = os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False
        line = self.read() if is_same else None
        return line is not None and line.epoch == epoch

    def release(self) -> None:
        """Closes the file, which gives the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _promise(body: dict[str, Any]) -> Promise | None:
    pid, epoch, count, head = (body.get(name) for name in ("pid", "epoch", "count", "head"))
    if not (isinstance(pid, int) and isinstance(epoch, int) and isinstance(count, int) and isinstance(head, str)):
        return None
    return Promise(pid=pid, epoch=epoch, count=count, head=head)
