"""`greekdrift data import`: option tables of others as chain files, with an account of how each column was read."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from greekdrift.book import Chain, Venue
    from greekdrift.market.foreign import Form

FEWEST_CONTRACTS = 3
USUAL = "deribit"
SCATTERED = "Most snapshots hold one or two rows: is this a record of ticks?"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What was asked for of a table, beside what it tells."""

    given: dict[str, list[str]]
    constants: dict[str, str]
    venue: str | None
    drop: tuple[str, ...]
    underlyings: tuple[str, ...]
    cadence: tuple[str, str] | None


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Table of yours: CSV (any separator, gzipped or not) or Parquet; or a folder of chain files."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=options.file_to_write(*options.CHAINS), help="File to write: .parquet or .csv."),
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="What cannot be inferred: yours=ours; repeatable.")
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option("--set", help="What the file does not hold: ours=value for all rows; repeatable."),
    ] = None,
    venue: Annotated[
        str | None, typer.Option("--venue", help="Venue facts: a packaged name or a YAML file; else as the file says.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Filter: alive, finite or uncrossed; repeatable.")
    ] = None,
    underlying: Annotated[
        list[str] | None, typer.Option("--underlying", help="Underlying to take; repeatable, all if not given.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Cadence of chains made of rows with stamps of their own; ticks: 1h.")
    ] = None,
    stale_after: Annotated[str, typer.Option("--stale-after", help="Age at which such a row no longer counts.")] = "1h",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the table is read and check it; no file.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out if it is there.")] = False,
) -> None:
    """Read an option table of yours, say how, check every snapshot, and write a chain file.

    Separator, compression, decimal sign, forms and units of stamps,
    volatilities in per cent or fractions, prices in the coin or in USD, calls
    and puts side by side, and names of contracts (Deribit, OKX, ccxt, OCC, or
    columns of strike, expiry and side) are inferred and shown. What cannot be
    told is refused with what to say. Recorded ticks (Tardis options_chain
    files, in order of time) become chains at --every.

    Example, look first:
    greekdrift data import mine.csv --dry-run

    Example, then write:
    greekdrift data import mine.csv --map vol=mark_iv --out chain.parquet

    Example, of a table that does not say what its options are on:
    greekdrift data import eod.csv --set underlying=SPX --out chain.parquet

    Example, a day of ticks as hourly chains:
    greekdrift data import 2024-01-01_OPTIONS.csv.gz --every 1h --out chains.parquet

    Example, a day that was collected as one file:
    greekdrift data import chains/chain/date=2026-02-05 --out 2026-02-05.parquet
    """
    from greekdrift.cli.collect import span
    from greekdrift.errors import InputError
    from greekdrift.market import foreign, quality
    from greekdrift.market.columns import pairs
    from greekdrift.market.tardis import is_tardis

    quality.checked(drop or ())
    span(every or "1h")
    span(stale_after, option="--stale-after")
    _check_target(out, files, dry_run=dry_run, force=force)
    if any(file.is_dir() for file in files):
        if mapping or constants or underlying or every is not None:
            raise InputError("a folder of chain files is read as it stands; leave out what says how to read a table.")
        return _folders(files, out, venue, drop or ())
    given = pairs(mapping or [])
    fixed = _constants(constants or [], given)
    forms = [foreign.form(file) for file in files]
    are_ticks = all(is_tardis(foreign.header(file, form)) for file, form in zip(files, forms, strict=True))
    if are_ticks and not given and not fixed:
        return _ticks(files, out, venue, drop or (), every=every or "1h", stale_after=stale_after)
    if len(files) > 1:
        raise InputError("several files are read only where they are recorded ticks; import tables one by one.")
    wanted = _Wanted(
        given=given,
        constants=fixed,
        venue=venue,
        drop=tuple(drop or ()),
        underlyings=tuple(underlying or ()),
        cadence=None if every is None else (every, stale_after),
    )
    return _table(files[0], forms[0], out, wanted)


def _constants(texts: Sequence[str], given: dict[str, list[str]]) -> dict[str, str]:
    """`ours=value` texts; each becomes a column that `given` maps."""
    from greekdrift.errors import InputError
    from greekdrift.market.layout import constant

    made: dict[str, str] = {}
    for text in texts:
        ours, sign, value = (part.strip() for part in text.partition("="))
        if not (sign and ours and value):
            raise InputError(f'--set "{text}": write it as ours=value, like underlying=SPX.')
        made[ours] = value
        given[constant(ours)] = [ours]
    return made


def _check_target(out: Path | None, files: Sequence[Path], *, dry_run: bool, force: bool) -> None:
    from greekdrift.errors import InputError

    if dry_run and out is not None:
        raise InputError("--dry-run writes nothing; leave --out away, or leave --dry-run away.")
    if not dry_run and out is None:
        raise InputError("name the file to write with --out, or look first with --dry-run.")
    options.keep_apart((out,), files)
    if out is not None and out.exists() and not force:
        raise InputError(f"{out}: is there already; add --force to replace it, or write to another file.")


def _table(file: Path, form: "Form", out: Path | None, wanted: _Wanted) -> None:
    from greekdrift.cli.console import say, table
    from greekdrift.market import foreign
    from greekdrift.market.layout import laid_out
    from greekdrift.market.mapping import translate
    from greekdrift.market.parquet import ParquetSource
    from greekdrift.units import counted

    raw = foreign.read(file, form)
    title = f"{file.name}: {form}, {counted(len(raw), 'row')}"
    whole_table = laid_out(raw, constants=wanted.constants, where=file.name)
    for one in whole_table.said:
        say(one)
    raw = whole_table.table
    facts = _venue(raw, wanted.venue, wanted.given, file.name)
    found = translate(raw, venue=facts, given=wanted.given, where=file.name, is_gathered=wanted.cadence is not None)
    table(
        title,
        ("ours", "theirs", "how it is read", "unit", "example"),
        [(one.ours, one.theirs, one.how, one.unit, one.example) for one in found.readings],
    )
    if found.unread:
        say(f"not read: {', '.join(found.unread)}")
    rows = found.rows if wanted.cadence is None else _gathered(found.rows, wanted.cadence, file.name)
    rows = _with_whole_rows(rows, file.name) if "finite" in wanted.drop else rows
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{file.name.split('.')[0]}.parquet"
        rows.to_parquet(path, index=False)
        with _hinting(rows, wanted.drop):
            source = ParquetSource(str(path), venue=facts, underlyings=wanted.underlyings, drop=wanted.drop)
            chains = [source.chain(moment) for moment in source.snapshots()]
    taken = sum(report.count for reports in source.dropped.values() for report in reports)
    if source.partial:
        say(f"left out, without one of {', '.join(source.underlyings)}: {counted(len(source.partial), 'snapshot')}")
    if taken:
        say(f"taken out by --drop: {counted(taken, 'quote')}")
    if _is_scattered(rows):
        say(f"{SCATTERED} Give each row the time of its snapshot, or a cadence with --every")
    _write(chains, out, f"{counted(len(chains), 'snapshot')} of {', '.join(source.underlyings)}")


def _gathered(rows: "pd.DataFrame", cadence: tuple[str, str], where: str) -> "pd.DataFrame":
    import numpy as np

    from greekdrift.cli.collect import span
    from greekdrift.cli.console import say
    from greekdrift.market.layout import gathered
    from greekdrift.units import counted

    every, stale_after = np.timedelta64(span(cadence[0])), np.timedelta64(span(cadence[1], option="--stale-after"))
    made, count = gathered(rows, every=every, stale_after=stale_after, where=where)
    say(
        f"{counted(len(rows), 'row')} made {counted(count, 'snapshot')} at {cadence[0]}: "
        f"the last row of each contract, up to {cadence[1]} old"
    )
    return made


def _is_scattered(rows: "pd.DataFrame") -> bool:
    """Whether most snapshots hold one or two rows."""
    sizes = rows["snapshot_ts_utc"].value_counts()
    return len(sizes) > FEWEST_CONTRACTS and float(sizes.median()) < FEWEST_CONTRACTS


@contextmanager
def _hinting(rows: "pd.DataFrame", drop: Sequence[str]) -> Iterator[None]:
    """What is wrong with a snapshot may be that it is none, that rows are not whole, or that options are over."""
    from greekdrift.errors import DataError, InputError
    from greekdrift.units import counted

    try:
        yield
    except InputError as problem:
        hints = [f"{SCATTERED} Make chains of it with --every 10m."] if _is_scattered(rows) else []
        lacking = int((~_is_whole(rows)).sum())
        if lacking and "finite" not in drop:
            hints.append(
                f"without a mark, a forward, an index or a volatility: {counted(lacking, 'row')}; --drop finite leaves "
                "such rows out."
            )
        if "ask for fewer underlyings" in str(problem):
            hints.append("Take one with --underlying NAME.")
        if not hints:
            raise
        raise DataError(" ".join([str(problem), *hints])) from None


def _is_whole(rows: "pd.DataFrame") -> "pd.Series":
    """Rows with a mark, a forward, an index and a volatility."""
    marks = [name for name in ("mark_price_coin", "mark_price_usd") if name in rows]
    others = ["forward_price_usd", "index_price_usd", "mark_iv"]
    return rows[marks].notna().any(axis=1) & rows[others].notna().all(axis=1)


def _with_whole_rows(rows: "pd.DataFrame", where: str) -> "pd.DataFrame":
    """Without the snapshots of an underlying that have no whole row: nothing of them could be left."""
    from greekdrift.cli.console import say
    from greekdrift.market.schema import contracts
    from greekdrift.units import counted

    of = contracts(rows["instrument_name"], where=where).underlying
    is_kept = _is_whole(rows).groupby([rows["snapshot_ts_utc"], of]).transform("any")
    count = rows.loc[~is_kept, "snapshot_ts_utc"].nunique()
    if count:
        left = f"{counted(count, 'snapshot')} of {counted(int((~is_kept).sum()), 'row')}"
        say(f"left out, without a whole row: {left}")
    return rows[is_kept]


def _ticks(
    files: Sequence[Path],
    out: Path | None,
    venue: str | None,
    drop: Sequence[str],
    *,
    every: str,
    stale_after: str,
) -> None:
    from greekdrift.cli.collect import span
    from greekdrift.cli.console import table
    from greekdrift.config import load_venue
    from greekdrift.market import foreign, tardis
    from greekdrift.units import counted, stamp

    first = foreign.first(files[0], foreign.form(files[0]), "exchange")
    tally = tardis.Tally()
    made = list(
        tardis.chains(
            files,
            venue=load_venue(venue or tardis.EXCHANGES.get(first, "deribit")),
            every=span(every),
            stale_after=span(stale_after, option="--stale-after"),
            drop=drop,
            tally=tally,
        )
    )
    sizes = [len(chain) for chain in made]
    left = ", ".join(f"{count:,} {reason}" for reason, count in sorted(tally.left_out.items()) if count)
    table(
        f"{', '.join(file.name for file in files)}: recorded ticks",
        ("what", "value"),
        [
            ("updates", f"{tally.rows:,} of {tally.contracts:,} contracts"),
            ("arrived", f"{_when(tally.first)} to {_when(tally.last)}"),
            ("chains", f"{len(made):,} at {every}, from {stamp(made[0].as_of)} to {stamp(made[-1].as_of)}"),
            ("contracts", f"{min(sizes):,} to {max(sizes):,} a chain"),
            ("left out, all chains together", left or "nothing"),
            ("index", "forward of the nearest expiry: the file has none"),
        ],
    )
    _write(made, out, counted(len(made), "chain"))


def _folders(folders: Sequence[Path], out: Path | None, venue: str | None, drop: Sequence[str]) -> None:
    """Chain files of ours, such as a collected day, joined: each snapshot is checked, and held in memory.

    One that lacks an underlying is kept too, so that the copy says what the files say.
    """
    from greekdrift.cli.console import say
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import ParquetSource
    from greekdrift.units import counted

    source = ParquetSource(
        [str(one) for one in folders], venue=load_venue(venue or USUAL), drop=tuple(drop), with_partial=True
    )
    chains = [source.chain(moment) for moment in source.snapshots()]
    if source.partial:
        say(f"kept, without one of {', '.join(source.underlyings)}: {counted(len(source.partial), 'snapshot')}")
    _write(chains, out, f"{counted(len(chains), 'snapshot')} of {', '.join(source.underlyings)}")


def _write(chains: "Sequence[Chain]", out: Path | None, what: str) -> None:
    from greekdrift.cli.console import lead, say, writing
    from greekdrift.market.parquet import write_chain

    if out is None:
        say(f"every chain is sound: {what}; nothing was written")
        lead("the same without --dry-run, with --out chain.parquet")
        return
    with writing(out, what), whole(out) as part:
        write_chain(chains, part)
    lead(f"greekdrift data validate {out}")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A file beside `out` that becomes it once it is complete; after a failure there is nothing, or what was there."""
    part = out.with_name(f".{out.stem}.{os.getpid()}{out.suffix}")
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _venue(raw: "pd.DataFrame", venue: str | None, given: dict[str, list[str]], where: str) -> "Venue":
    """The venue asked for, else the packaged one that the table names, else the first that lists its contracts."""
    from greekdrift.cli.console import say
    from greekdrift.config import load_venue
    from greekdrift.config.facts import names
    from greekdrift.market.mapping import serves

    if venue is not None:
        return load_venue(venue)
    packaged = names("venues")
    for column in raw.columns:
        if str(column).lower() in ("venue", "exchange"):
            said = raw[column].dropna().astype(str).str.strip().str.lower().unique()
            if len(said) == 1 and said[0] in packaged:
                return load_venue(said[0])
    usual = load_venue(USUAL)
    if serves(raw, usual, given=given, where=where):
        return usual
    for name in packaged:
        other = load_venue(name)
        if serves(raw, other, given=given, where=where):
            say(f"venue facts of {name}, since {USUAL} lists no such options; --venue decides")
            return other
    return usual


def _when(moment: object) -> str:
    from datetime import datetime

    from greekdrift.units import stamp

    return stamp(moment) if isinstance(moment, datetime) else "–"
