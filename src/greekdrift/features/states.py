"""States of every snapshot of a source: fitted once, then kept in a file that is held against the chains' content."""

import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import get_ident
from typing import Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from greekdrift.book import Chain, digest
from greekdrift.errors import CalculationError, DataError
from greekdrift.features.provenance import code, text_of
from greekdrift.market.source import Source
from greekdrift.surface.fit import fit
from greekdrift.surface.state import FACTORS, state
from greekdrift.units import datetime64, stamp

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many of how many are done."""

_COLUMNS = ("contract_size", "forward", "bid", "ask", "mark", "mark_iv")


@runtime_checkable
class Digested(Protocol):
    """A source that knows the SHA-256 of its content without reading every chain."""

    @property
    def digest(self) -> str:
        """Changes whenever any chain would."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class States:
    """Fitted states by snapshot, when each was known, and what each was fitted on (`key`: SHA-256 of its quotes)."""

    as_of: Shaped[ndarray, " row"]
    known_at: Shaped[ndarray, " row"]
    values: Float[ndarray, "row underlying factor"]
    key: Shaped[ndarray, " row"]
    source_digest: str = ""

    @classmethod
    def read(cls, path: Path) -> "States | None":
        """The states of a file; none if there is no file or it is damaged."""
        if not path.is_file():
            return None
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                columns = {name: file[name] for name in ("as_of", "known_at", "values", "key")}
                return cls(**columns, source_digest=str(file["source_digest"]))
        except (BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, RuntimeError, SyntaxError) as problem:
            log.warning("fitted states in %s cannot be used (%s); they are fitted again", path.name, problem)
            return None

    def write(self, path: Path) -> None:
        """Writes a file in one step: another process sees the old one or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.{get_ident()}.tmp")
        with unfinished.open("wb") as file:
            np.savez_compressed(
                file,
                as_of=self.as_of,
                known_at=self.known_at,
                values=self.values,
                key=self.key,
                source_digest=np.array(self.source_digest),
            )
        unfinished.replace(path)


def fitted(source: Source, *, cache: str | Path | None = None, progress: Progress | None = None) -> States:
    """States of all snapshots of a source.

    With a cache folder only chains whose quotes are new are fitted; a source that knows its own digest
    (`Digested`) need not even be read again. The file's name holds the digest of the source text of the fit and of
    the calculator under it, so that states of another fit are never used; what reads the chains is held against
    its own text. An underlying that a chain cannot carry is NaN.
    """
    moments = source.snapshots()
    if not moments:
        raise DataError(f"{source.name} has no snapshots; there is nothing to fit.")
    path = None if cache is None else Path(cache) / f"states-{_recipe(source)[:16]}.npz"
    stored = None if path is None else States.read(path)
    known = _reading(source) if isinstance(source, Digested) else ""
    as_of = np.array([datetime64(moment) for moment in moments])
    if stored is not None and known and stored.source_digest == known and np.array_equal(stored.as_of, as_of):
        return stored
    states = _fit_all(source, moments, stored, known, progress)
    if path is not None:
        states.write(path)
    return states


def _fit_all(
    source: Source, moments: Sequence[datetime], stored: States | None, known: str, progress: Progress | None
) -> States:
    old = {} if stored is None else {key: row for row, key in enumerate(stored.key.tolist())}
    known_at, keys = [], []
    values = np.full((len(moments), len(source.underlyings), len(FACTORS)), np.nan)
    for row, moment in enumerate(moments):
        chain = source.chain(moment)
        key = quotes_digest(chain)
        known_at.append(datetime64(chain.known_at))
        keys.append(key)
        values[row] = (
            stored.values[old[key]] if stored is not None and key in old else _or_missing(chain, source.underlyings)
        )
        if progress is not None:
            progress(row + 1, len(moments))
    return States(
        as_of=np.array([datetime64(moment) for moment in moments]),
        known_at=np.array(known_at),
        values=values,
        key=np.array(keys),
        source_digest=known,
    )


def _or_missing(chain: Chain, underlyings: Sequence[str]) -> Float[ndarray, "underlying factor"]:
    try:
        return state_of(chain, underlyings)
    except CalculationError as problem:
        log.warning("no state at %s: %s", stamp(chain.as_of), problem)
        return np.full((len(underlyings), len(FACTORS)), np.nan)


def state_of(chain: Chain, underlyings: Sequence[str]) -> Float[ndarray, "underlying factor"]:
    """The fitted state of a chain; NaN for an underlying that it cannot carry."""
    values = np.full((len(underlyings), len(FACTORS)), np.nan)
    found = state(fit(chain), chain)
    for at, name in enumerate(underlyings):
        if name in found.underlyings:
            values[at] = found.values[found.underlyings.index(name)]
    return values


def quotes_digest(chain: Chain) -> str:
    """SHA-256 of what a fit reads: instant, names, quotes, index prices."""
    names = "\n".join(row.name for row in chain.instruments)
    found = hashlib.sha256(f"{stamp(chain.as_of)} {stamp(chain.known_at)} {dict(chain.index_price)}\n{names}".encode())
    for name in _COLUMNS:
        found.update(np.ascontiguousarray(getattr(chain, name), dtype="<f8").tobytes())
    return found.hexdigest()


def _reading(source: Digested) -> str:
    """Digest of a source's content and of the program that makes chains of it, as far as it is the package's."""
    return digest([source.digest, text_of(type(source))])


def _recipe(source: Source) -> str:
    """Digest of what turns chains into states: source text of the fit and the calculator, factors, underlyings."""
    program = code("greekdrift.surface.fit", "greekdrift.surface.state")
    return digest({"fit": program, "factors": FACTORS, "underlyings": source.underlyings, "source": source.name})
