"""Arrays on disk that are mapped into memory, not read: a folder of .npy files and what they are.

A folder appears in one step or not at all, is never changed, and is held against the SHA-256 of each file (what says
how its bytes are to be read included) when it is opened. Only the pages that are used take memory, and processes
share them.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
from numpy import ndarray

from greekdrift.errors import DataError

log = logging.getLogger(__name__)

FACTS = "facts.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Arrays by name, read-only, and plain facts about them."""

    arrays: Mapping[str, ndarray]
    facts: Mapping[str, Any]


def write(folder: Path, arrays: Mapping[str, ndarray], facts: Mapping[str, Any]) -> None:
    """Writes a folder of arrays in one step; where it stands already, it stays.

    Names are letters, digits and underscores; the facts are what JSON can hold.
    """
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.{get_ident()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    _remove_abandoned(folder)
    unfinished.mkdir(parents=True)
    for name, array in arrays.items():
        if not name.replace("_", "").isalnum() or array.dtype.hasobject:
            raise DataError(f'block "{name}" of {array.dtype} cannot be stored; give a plain name and plain numbers.')
        plain = _plain(array)
        np.save(unfinished / f"{name}.npy", plain, allow_pickle=False)
    told = {"facts": dict(facts), "files": {name: _sha256(unfinished / f"{name}.npy") for name in arrays}}
    text = json.dumps({"told": told, "sha256": _digest(told)}, allow_nan=False)
    (unfinished / FACTS).write_text(text, encoding="utf-8")
    try:
        unfinished.rename(folder)
    except OSError:
        shutil.rmtree(unfinished)
        if not folder.is_dir():
            raise


def _remove_abandoned(folder: Path) -> None:
    """Removes what writers of this folder left that run no more."""
    for left in folder.parent.glob(f"{folder.name}.*.tmp"):
        number = left.name.split(".")[-3]
        if number.isdigit() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def read(folder: Path) -> Blocks | None:
    """The arrays of a folder, mapped; none where there is no folder or it is damaged (then it is removed)."""
    if not folder.is_dir():
        return None
    try:
        told = _told(folder / FACTS)
        arrays = {name: _mapped(folder / f"{name}.npy", expected) for name, expected in told["files"].items()}
        return Blocks(arrays=arrays, facts=told["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        log.warning("stored arrays in %s cannot be used (%s); they are made again", folder.name, problem)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _told(path: Path) -> Mapping[str, Any]:
    """Facts and digests of a folder, with the content that they were written with."""
    read = json.loads(path.read_text(encoding="utf-8"))
    told: Mapping[str, Any] = read["told"]
    if _digest(told) != read["sha256"]:
        raise ValueError(f"{path.name} has changed")
    return told


def _plain(array: ndarray) -> ndarray:
    """Contiguous, with instants as whole microseconds: those can be mapped and hashed."""
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").view("int64")
    return np.ascontiguousarray(array)


def _mapped(path: Path, expected: str) -> ndarray:
    """One array, read-only and with the content that it was written with."""
    if _sha256(path) != expected:
        raise ValueError(f"{path.name} has changed")
    found: ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(told: Mapping[str, Any]) -> str:
    """SHA-256 of plain facts, whatever their order."""
    return hashlib.sha256(json.dumps(told, allow_nan=False, sort_keys=True).encode()).hexdigest()


def instants(block: ndarray) -> ndarray:
    """A block of whole microseconds as the instants that it was made of."""
    return block.view("datetime64[us]")
