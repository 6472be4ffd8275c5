"""`greekdrift data`: what can be used, and chain files in and out."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options

page = typer.Typer(no_args_is_help=True, epilog="Example: greekdrift data validate chain.parquet")

Drop = Annotated[list[str] | None, typer.Option("--drop", help="Filter: alive, finite or uncrossed; repeatable.")]
Target = Annotated[
    Path,
    typer.Option("--out", callback=options.file_to_write(*options.CHAINS), help="File to write: .parquet or .csv."),
]


@page.command("list")
def list_(root: Annotated[Path | None, typer.Option(help="Also list the chain files in this folder.")] = None) -> None:
    """What is at hand: packaged data with their state, and the chain files of a folder.

    Example: greekdrift data list --root chains
    """
    from greekdrift.cli.console import lead, table
    from greekdrift.errors import DataError
    from greekdrift.market.packaged import DIGESTS, content

    rows = []
    for name, digest in DIGESTS.items():
        try:
            rows.append((name, f"{len(content(name)):,}", digest[:12], "content as expected"))
        except DataError as problem:
            rows.append((name, "–", digest[:12], str(problem)))
    table("Packaged data", ("file", "bytes", "sha-256", "state"), rows)
    if root is not None:
        from greekdrift.market.parquet import files

        table(
            f"Chain files in {root}",
            ("file", "bytes"),
            [(path.name, f"{path.stat().st_size:,}") for path in files(root)],
        )
    lead("greekdrift demo, or greekdrift data validate FILE")


@page.command()
def validate(
    file: Annotated[Path, typer.Argument(help="Chain file (Parquet or CSV) or a folder of them.")],
    venue: options.VenueName = "deribit",
    drop: Drop = None,
) -> None:
    """Read every snapshot of chain files as the program would, and say what is in them.

    A column that is missing, a unit that cannot be right, a crossed quote or an unknown instrument is named with its
    place and a remedy.

    Example: greekdrift data validate chain.parquet --drop uncrossed
    """
    from greekdrift.cli.console import progress, say, table
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import ParquetSource
    from greekdrift.units import stamp

    source = ParquetSource(str(file), venue=load_venue(venue), drop=tuple(drop or ()))
    snapshots = source.snapshots()
    sizes = []
    with progress(f"reading {len(snapshots)} snapshots") as advance:
        for at, moment in enumerate(snapshots):
            sizes.append(len(source.chain(moment)))
            advance(at + 1, len(snapshots))
    dropped = [report for reports in source.dropped.values() for report in reports if report.count]
    table(
        f"{file}",
        ("what", "value"),
        [
            ("underlyings", ", ".join(source.underlyings)),
            ("snapshots", f"{len(snapshots):,} from {stamp(snapshots[0])} to {stamp(snapshots[-1])}"),
            ("usual spacing", f"{source.step_hours:.2f} h"),
            ("contracts", f"{min(sizes):,} to {max(sizes):,} a snapshot"),
            ("snapshots without every underlying", f"{len(source.partial):,}"),
            ("quotes taken out", f"{sum(report.count for report in dropped):,}"),
        ],
    )
    say("every chain is sound")


@page.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Chain file of yours: Parquet or CSV.")],
    out: Target,
    mapping: Annotated[list[str] | None, typer.Option("--map", help="Rename a column: yours=ours; repeatable.")] = None,
    venue: options.VenueName = "deribit",
    drop: Drop = None,
) -> None:
    """Read a chain file of yours, rename its columns, check every snapshot and write it in our form.

    Example: greekdrift data import mine.csv --map time=snapshot_ts_utc --map iv=mark_iv --out chain.parquet
    """
    from tempfile import TemporaryDirectory

    from greekdrift.cli.console import lead, writing
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import ParquetSource, write_chain

    options.keep_apart((out,), (file,))
    with TemporaryDirectory() as scratch:
        renamed = _renamed(file, mapping or [], Path(scratch))
        source = ParquetSource(str(renamed), venue=load_venue(venue), drop=tuple(drop or ()))
        chains = [source.chain(moment) for moment in source.snapshots()]
    with writing(out, f"{len(chains)} snapshots of {', '.join(source.underlyings)}"):
        write_chain(chains, out)
    lead(f"greekdrift surface --chain {out}")


@page.command()
def simulate(
    out: Target,
    seed: Annotated[int, typer.Option(help="Same seed, same chains.")] = 7,
    days: Annotated[float, typer.Option(help="Length in days.")] = 30.0,
    underlyings: Annotated[str, typer.Option(help="Comma separated.")] = "BTC,ETH",
    venue: options.VenueName = "deribit",
) -> None:
    """Simulate chains of a market whose law is known (regime-switching stochastic volatility with jumps).

    Example: greekdrift data simulate --seed 7 --days 30 --out simulated.parquet
    """
    from greekdrift.cli.console import lead, progress, writing
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import write_chain
    from greekdrift.market.simulate import SimulatedSource

    names = tuple(name.strip() for name in underlyings.split(",") if name.strip())
    source = SimulatedSource(venue=load_venue(venue), seed=seed, underlyings=names, days=days)
    chains = []
    with progress(f"simulating {len(source.snapshots())} chains") as advance:
        for at, moment in enumerate(source.snapshots()):
            chains.append(source.chain(moment))
            advance(at + 1, len(source.snapshots()))
    with writing(out, f"{len(chains)} simulated snapshots of {', '.join(source.underlyings)}, seed {seed}"):
        write_chain(chains, out)
    lead(f"greekdrift data validate {out}")


def _renamed(file: Path, mapping: list[str], scratch: Path) -> Path:
    """The file with its columns renamed, in a scratch folder; itself where nothing is to be renamed."""
    import pandas as pd

    from greekdrift.errors import DataError, nearest

    if not mapping:
        return file
    if not file.is_file() or file.suffix not in (".parquet", ".csv"):
        raise DataError(f"{file} is no .parquet or .csv file; convert it.")
    names = dict(pair.split("=", 1) for pair in mapping if "=" in pair)
    if len(names) != len(mapping):
        raise DataError(f"--map {' '.join(mapping)}: write each as yours=ours.")
    table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    for name in names:
        if name not in table.columns:
            raise DataError(f'{file.name} has no column "{name}"; {nearest(name, map(str, table.columns))}')
    path = scratch / file.name
    changed = table.rename(columns=names)
    if file.suffix == ".parquet":
        changed.to_parquet(path)
    else:
        changed.to_csv(path, index=False)
    return path
