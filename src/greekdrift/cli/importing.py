"""`greekdrift data import`: option tables of others as chain files, with an account of how each column was read."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from greekdrift.book import Chain, Venue
    from greekdrift.market.foreign import Form

FEWEST_CONTRACTS = 3


def command(
    files: Annotated[
        list[Path], typer.Argument(help="Table of yours: CSV (any separator, gzipped or not) or Parquet.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=options.file_to_write(*options.CHAINS), help="File to write: .parquet or .csv."),
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="What cannot be inferred: yours=ours; repeatable.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option("--venue", help="Venue facts: a packaged name or a YAML file; else as the file says.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Filter: alive, finite or uncrossed; repeatable.")
    ] = None,
    every: Annotated[str, typer.Option("--every", help="Cadence of the chains made of recorded ticks.")] = "1h",
    stale_after: Annotated[
        str, typer.Option("--stale-after", help="Age at which a recorded tick no longer counts.")
    ] = "1h",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the table is read and check it; no file.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out if it is there.")] = False,
) -> None:
    """Read an option table of yours, say how, check every snapshot, and write a chain file.

    Separator, compression, unit of stamps, volatilities in per cent or
    fractions, prices in the coin or in USD, and names of contracts (Deribit,
    OKX, ccxt, OCC, or columns of strike, expiry and side) are inferred and
    shown. What cannot be told is refused with what to say. Recorded ticks
    (Tardis options_chain files, in order of time) become chains at --every.

    Example, look first:
    greekdrift data import mine.csv --dry-run

    Example, then write:
    greekdrift data import mine.csv --map vol=mark_iv --out chain.parquet

    Example, a day of ticks as hourly chains:
    greekdrift data import 2024-01-01_OPTIONS.csv.gz --every 1h --out chains.parquet
    """
    from greekdrift.errors import InputError
    from greekdrift.market import foreign
    from greekdrift.market.columns import pairs
    from greekdrift.market.tardis import is_tardis

    _check_target(out, files, dry_run=dry_run, force=force)
    given = pairs(mapping or [])
    forms = [foreign.form(file) for file in files]
    if all(is_tardis(foreign.header(file, form)) for file, form in zip(files, forms, strict=True)) and not given:
        return _ticks(files, out, venue, drop or (), every=every, stale_after=stale_after)
    if len(files) > 1:
        raise InputError("several files are read only where they are recorded ticks; import tables one by one.")
    return _table(files[0], forms[0], out, given, venue, drop or ())


def _check_target(out: Path | None, files: Sequence[Path], *, dry_run: bool, force: bool) -> None:
    from greekdrift.errors import InputError

    if dry_run and out is not None:
        raise InputError("--dry-run writes nothing; leave --out away, or leave --dry-run away.")
    if not dry_run and out is None:
        raise InputError("name the file to write with --out, or look first with --dry-run.")
    options.keep_apart((out,), files)
    if out is not None and out.exists() and not force:
        raise InputError(f"{out}: is there already; add --force to replace it, or write to another file.")


def _table(
    file: Path,
    form: "Form",
    out: Path | None,
    given: dict[str, list[str]],
    venue: str | None,
    drop: Sequence[str],
) -> None:
    from greekdrift.cli.console import say, table
    from greekdrift.market import foreign
    from greekdrift.market.mapping import translate
    from greekdrift.market.parquet import ParquetSource

    raw = foreign.read(file, form)
    facts = _venue(raw, venue)
    found = translate(raw, venue=facts, given=given, where=file.name)
    table(
        f"{file.name}: {form}, {len(raw):,} rows",
        ("ours", "theirs", "how it is read", "unit", "example"),
        [(one.ours, one.theirs, one.how, one.unit, one.example) for one in found.readings],
    )
    if found.unread:
        say(f"not read: {', '.join(found.unread)}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{file.name.split('.')[0]}.parquet"
        found.rows.to_parquet(path, index=False)
        source = ParquetSource(str(path), venue=facts, drop=tuple(drop))
        chains = [source.chain(moment) for moment in source.snapshots()]
    taken = sum(report.count for reports in source.dropped.values() for report in reports)
    if source.partial:
        say(f"{len(source.partial):,} snapshots lack one of {', '.join(source.underlyings)} and are left out")
    if taken:
        say(f"{taken:,} quotes were taken out by --drop")
    quoted = sorted(sum(row.is_option for row in chain.instruments) for chain in chains)
    if len(chains) > FEWEST_CONTRACTS and quoted[len(quoted) // 2] < FEWEST_CONTRACTS:
        say("most snapshots hold one or two options: is this a record of ticks? Give each row the time of its snapshot")
    _write(chains, out, f"{len(chains):,} snapshots of {', '.join(source.underlyings)}")


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
    from greekdrift.units import stamp

    first = foreign.first(files[0], foreign.form(files[0]), "exchange")
    tally = tardis.Tally()
    made = list(
        tardis.chains(
            files,
            venue=load_venue(venue or tardis.EXCHANGES.get(first, "deribit")),
            every=span(every),
            stale_after=span(stale_after),
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
    _write(made, out, f"{len(made):,} chains")


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


def _venue(raw: "pd.DataFrame", venue: str | None) -> "Venue":
    """The venue asked for, else the packaged one that the table names, else Deribit."""
    from greekdrift.config import load_venue
    from greekdrift.config.facts import names

    if venue is not None:
        return load_venue(venue)
    for column in raw.columns:
        if str(column).lower() in ("venue", "exchange"):
            said = raw[column].dropna().astype(str).str.strip().str.lower().unique()
            if len(said) == 1 and said[0] in names("venues"):
                return load_venue(said[0])
    return load_venue("deribit")


def _when(moment: object) -> str:
    from datetime import datetime

    from greekdrift.units import stamp

    return stamp(moment) if isinstance(moment, datetime) else "–"
