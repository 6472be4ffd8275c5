"""Files that are there whole or not at all, also after a loss of power."""

import os
import threading
from pathlib import Path


def write_all(descriptor: int, content: bytes) -> None:
    """Writes every byte, however many calls it takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def write_durably(path: Path, content: bytes, *, modified: int | None = None) -> None:
    """Puts a file on disk under another name, waits for the disk, then gives it its own name.

    A reader sees the whole file or none; an interrupted write leaves a `.part` file that nobody reads. `modified` is
    the file's time of change in nanoseconds since 1970, where it is to be another than now.
    """
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in made:
        sync_folder(folder.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        write_all(descriptor, content)
        if modified is not None:
            os.utime(part, ns=(modified, modified))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a new or renamed file's name durable; folders cannot be opened on Windows."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unused(path: Path) -> Path:
    """The path itself, or with a running number where it is taken."""
    candidate, number = path, 1
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{number}")
        number += 1
    return candidate
