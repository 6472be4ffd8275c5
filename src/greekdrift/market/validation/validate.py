"""Reads chain files as they are and checks them: the door, the quotes, their history, arbitrage, and surfaces."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from greekdrift.book import Venue
from greekdrift.errors import DataError
from greekdrift.market import schema
from greekdrift.market.parquet import files
from greekdrift.market.validation import arbitrage, door, history, quotes, surfaces
from greekdrift.market.validation.finding import Finding, Hits, at_moments, findings
from greekdrift.market.validation.rows import NOWHERE, SCATTERED, Rows, is_scattered, rows_of
from greekdrift.market.validation.rules import RULES, Severity

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
class Recorded:
    """What files say before it is judged: the rows that pass the door, and what was found there.

    `quotes` and `rows` are the same rows, as `market.schema` reads them and as columns; `count` counts all rows read.
    """

    files: tuple[Path, ...]
    unread: tuple[tuple[Path, str], ...]
    count: int
    quotes: pd.DataFrame
    rows: Rows
    hits: tuple[Hits, ...]


def recorded(root: str | Path, *, venue: Venue) -> Recorded:
    """The rows of a file or a folder of chain files that pass the door, in order of time."""
    paths = files(root)
    raw, unread = _read(paths)
    where = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    left, hits = door.passed(raw, venue=venue, where=where)
    quoted = schema.quotes(_nameable(left), where=where)
    return Recorded(
        files=paths,
        unread=unread,
        count=len(raw),
        quotes=quoted,
        rows=rows_of(quoted, left[["file", "row", "delta"]], venue=venue),
        hits=(*hits, *_orders(left), _unreadable(unread)),
    )


def validate(
    root: str | Path, *, venue: Venue, with_surfaces: bool = False, advance: Advance | None = None
) -> Validation:
    """All findings of a file or a folder of chain files (as `market.parquet` finds them), nothing changed.

    A file that cannot be read is a finding as long as another can. `with_surfaces` also fits every snapshot.
    """
    said = recorded(root, venue=venue)
    rows = said.rows
    hits = [*said.hits, *quotes.check(rows), *history.check(rows), *arbitrage.check(rows)]
    if with_surfaces:
        is_sound = ~_is_hit(rows, hits)
        hits += surfaces.check(said.quotes, rows, venue=venue, is_sound=is_sound, advance=advance)
    return Validation(
        venue=venue.name,
        files=said.files,
        unread=said.unread,
        rows=said.count,
        underlyings=rows.underlyings,
        instants=history.moments(rows) if len(rows) else np.empty(0, dtype="datetime64[us]"),
        counts=_counts(rows),
        findings=findings(hits, [path.name for path in said.files], of=said.count),
    )


def _read(paths: Sequence[Path]) -> tuple[pd.DataFrame, tuple[tuple[Path, str], ...]]:
    """The raw rows of all files, numbered, and the files that cannot be read with the reason."""
    parts, unread = [], []
    for number, path in enumerate(paths):
        try:
            table = table_of(path)
            found = schema.needed(table.columns, where=path.name)
        except DataError as problem:
            if len(paths) == 1:
                raise
            unread.append((path, str(problem)))
            continue
        delta = pd.to_numeric(table["delta_bs"], errors="coerce") if "delta_bs" in table else np.nan
        parts.append(table[found].assign(file=number, row=np.arange(len(table)), delta=delta))
    if not parts:
        raise DataError(f"none of {len(paths)} files can be read: {unread[0][1]}")
    whole = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    if not len(whole):
        raise DataError(f"{paths[0].name}: there are no rows.")
    return whole, tuple(unread)


def table_of(path: Path) -> pd.DataFrame:
    """All rows and columns of a Parquet or CSV file; one that cannot be read is refused."""
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, encoding="utf-8", low_memory=False)
        return pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError) as problem:
        kind = "CSV" if path.suffix == ".csv" else "Parquet"
        raise DataError(f"{path} cannot be read as {kind} ({problem}); write it again.") from None


def _nameable(left: pd.DataFrame) -> pd.DataFrame:
    """Rows as `market.schema` reads them: names that no row has any more are forgotten."""
    names = left["instrument_name"]
    if isinstance(names.dtype, pd.CategoricalDtype):
        return left.assign(instrument_name=names.cat.remove_unused_categories())
    return left


def _orders(left: pd.DataFrame) -> list[Hits]:
    """Rows that stand after a later one in their file, and stamps of single rows."""
    in_file = left.sort_values(["file", "row"], kind="stable")
    stamp = in_file["snapshot_ts_utc"]
    back = (stamp.groupby(in_file["file"]).cummax() - stamp).dt.total_seconds().to_numpy()
    at = np.flatnonzero(back > 0.0)
    found = [
        Hits(
            rule="out_of_order",
            moment=stamp.to_numpy(dtype="datetime64[us]")[at],
            name=in_file["instrument_name"].astype(object).to_numpy()[at],
            file=in_file["file"].to_numpy()[at],
            row=in_file["row"].to_numpy()[at],
            figure=back[at],
            limit=np.zeros(at.size),
        )
    ]
    stamps = left["snapshot_ts_utc"].to_numpy(dtype="datetime64[us]")
    if stamps.size and is_scattered(stamps):
        per = stamps.size / np.unique(stamps).size
        found.append(at_moments("scattered_stamps", stamps[:1], ["whole file"], figure=per, limit=SCATTERED))
    return found


def _unreadable(unread: Iterable[tuple[Path, str]]) -> Hits:
    names = [f"{path.name}: {reason}" for path, reason in unread]
    moments = np.full(len(names), np.datetime64("NaT", "us"))
    return at_moments("unreadable", moments, names, figure=np.nan, limit=np.nan)


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


def _counts(rows: Rows) -> dict[str, np.ndarray]:
    count = int(rows.number[-1]) + 1 if len(rows) else 0
    return {
        name: np.bincount(rows.number[rows.underlying == code], minlength=count)
        for code, name in enumerate(rows.underlyings)
    }
