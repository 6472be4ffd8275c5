"""Arrays on disk that are mapped into memory, not read: a folder of .npy files and what they are.

A folder appears in one step or not at all, is never changed, and is held against the SHA-256 of each array when it
is opened. Only the pages that are used take memory, and processes share them.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, array in arrays.items():
        if not name.replace("_", "").isalnum() or array.dtype.hasobject:
            raise DataError(f'block "{name}" of {array.dtype} cannot be stored; give a plain name and plain numbers.')
        plain = _plain(array)
        np.save(unfinished / f"{name}.npy", plain, allow_pickle=False)
    told = {"facts": dict(facts), "sha256": {name: _sha256(_plain(array)) for name, array in arrays.items()}}
    (unfinished / FACTS).write_text(json.dumps(told, allow_nan=False), encoding="utf-8")
    try:
        unfinished.rename(folder)
    except OSError:
        shutil.rmtree(unfinished)
        if not folder.is_dir():
            raise


def read(folder: Path) -> Blocks | None:
    """The arrays of a folder, mapped; none where there is no folder or it is damaged (then it is removed)."""
    if not folder.is_dir():
        return None
    try:
        told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy", expected) for name, expected in told["sha256"].items()}
        return Blocks(arrays=arrays, facts=told["facts"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as problem:
        log.warning("stored arrays in %s cannot be used (%s); they are made again", folder.name, problem)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _plain(array: ndarray) -> ndarray:
    """Contiguous, with instants as whole microseconds: those can be mapped and hashed."""
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").view("int64")
    return np.ascontiguousarray(array)


def _mapped(path: Path, expected: str) -> ndarray:
    """One array, read-only and with the content that it was written with."""
    found: ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    if _sha256(found) != expected:
        raise ValueError(f"{path.name} has changed")
    return found


def _sha256(array: ndarray) -> str:
    """SHA-256 of a contiguous array's bytes."""
    return hashlib.sha256(array.data.cast("B") if array.size else b"").hexdigest()


def instants(block: ndarray) -> ndarray:
    """A block of whole microseconds as the instants that it was made of."""
    return block.view("datetime64[us]")
