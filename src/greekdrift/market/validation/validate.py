"""Checks chain files as they are, block by block: the door, the quotes, their history, arbitrage, and surfaces."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from greekdrift.book import Venue
from greekdrift.market import schema
from greekdrift.market.parquet import files
from greekdrift.market.validation import arbitrage, door, quotes, stream, surfaces
from greekdrift.market.validation.finding import Finding, Hits, findings
from greekdrift.market.validation.history import Past
from greekdrift.market.validation.rows import NOWHERE, Rows, rows_of
from greekdrift.market.validation.rules import RULES, Severity
from greekdrift.market.validation.spacing import Hole

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validation:
    """What files hold and what is wrong with them.

    `rows` counts the rows read, `instants` are the snapshots that can be read with `counts` of their rows by
    underlying, `findings` the gravest first. `unread` are files that could not be read.
    """

    venue: str
    files: tuple[Path, ...]
    unread: tuple[tuple[Path, str], ...]
    rows: int
    underlyings: tuple[str, ...]
    instants: np.ndarray
    counts: dict[str, np.ndarray]
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The gravest severity found; None where nothing was."""
        return max((one.severity for one in self.findings), default=None)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Findings of a severity or graver."""
        return tuple(one for one in self.findings if one.severity >= severity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Some whole snapshots: the rows that pass the door, and what was found there.

    `quotes` and `rows` are the same rows, as `market.schema` reads them and as columns.
    """

    quotes: pd.DataFrame
    rows: Rows
    hits: tuple[Hits, ...]


def blocks(found: stream.Survey, *, venue: Venue, rows: int = stream.BLOCK) -> Iterator[Block]:
    """What surveyed files hold, block by block in order of time."""
    paths = [one.path.name for one in found.files]
    where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    for raw in stream.blocks(found, rows=rows):
        left, hits = door.passed(raw, venue=venue, where=where)
        quoted = schema.quotes(_nameable(left), where=where)
        extra = left[["file", "row", "delta", "event"]]
        made = rows_of(quoted, extra, venue=venue, join=found.join)
        yield Block(quotes=quoted, rows=made, hits=tuple(hits))


def validate(
    root: str | Path,
    *,
    venue: Venue,
    with_surfaces: bool = False,
    advance: Advance | None = None,
    holes: Sequence[Hole] = (),
    observe: Callable[[Block], None] | None = None,
    rows: int = stream.BLOCK,
    join: np.timedelta64 | None = None,
) -> Validation:
    """All findings of a file or a folder of chain files (as `market.parquet` finds them), nothing changed.

    A file that cannot be read is a finding as long as another can. `with_surfaces` also fits every snapshot. `holes`
    are times that are declared not to be covered; stamps no further apart than `join` are one snapshot (by default two
    minutes where every row has its own). Blocks of about `rows` rows are read one after the other, and shown
    to `observe`; what is kept of them are the findings and the last row of each contract.
    """
    paths = files(root)
    found = stream.survey(paths, join=join)
    past = Past(holes=tuple(holes))
    hits = list(found.hits)
    for block in blocks(found, venue=venue, rows=rows):
        done = past.count
        new = [*block.hits, *quotes.check(block.rows), *arbitrage.check(block.rows), *past.add(block.rows)]
        if with_surfaces:
            told = None if advance is None else _onward(advance, done, found.snapshots)
            is_sound = ~_is_hit(block.rows, new)
            new += surfaces.check(block.quotes, block.rows, venue=venue, is_sound=is_sound, advance=told)
        if observe is not None:
            observe(block)
        hits += [one for one in new if len(one)]
    hits += past.close()
    seen = past.seen()
    return Validation(
        venue=venue.name,
        files=paths,
        unread=found.unread,
        rows=found.rows,
        underlyings=seen.underlyings,
        instants=seen.moments,
        counts=dict(zip(seen.underlyings, seen.counts, strict=True)),
        findings=findings(hits, [path.name for path in paths], of=found.rows),
    )


def _onward(advance: Advance, done: int, whole: int) -> Advance:
    """Progress of a block as progress of the whole."""
    return lambda turn, _: advance(done + turn, whole)


def _nameable(left: pd.DataFrame) -> pd.DataFrame:
    """Rows as `market.schema` reads them: names that no row has any more are forgotten."""
    names = left["instrument_name"]
    if isinstance(names.dtype, pd.CategoricalDtype):
        return left.assign(instrument_name=names.cat.remove_unused_categories())
    return left


def _is_hit(rows: Rows, hits: Sequence[Hits]) -> np.ndarray:
    """Rows that an error names; a crossed quote is none here, since its mark stands."""
    width = int(rows.row.max(initial=0)) + 2
    bad = [
        one.file * width + one.row
        for one in hits
        if RULES[one.rule].severity is Severity.ERROR and one.rule != "crossed" and len(one)
    ]
    wanted = np.concatenate(bad) if bad else np.array([NOWHERE])
    return np.isin(rows.file * width + rows.row, wanted)
