"""`greekdrift data`: what can be used, and chain files in and out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from greekdrift.cli import facts, importing, options, validation

page = typer.Typer(no_args_is_help=True, epilog="Example: greekdrift data validate chain.parquet")

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


page.command("validate")(validation.command)
page.command("import")(importing.command)
page.command("facts")(facts.command)


@page.command()
def simulate(
    out: Target,
    seed: Annotated[int, typer.Option(help="Same seed, same chains.")] = 7,
    days: Annotated[float, typer.Option(help="Length in days.")] = 30.0,
    underlyings: Annotated[str, typer.Option(help="Comma separated.")] = "BTC,ETH",
    model: Annotated[
        Literal["ssvi", "bates"],
        typer.Option(help="Law: ssvi (factors of a surface) or bates (Heston-Bates with regimes and events)."),
    ] = "ssvi",
    events: Annotated[
        Path | None,
        typer.Option(
            callback=options.file_to_write(".csv"), help="CSV of the scheduled events, for calendar features."
        ),
    ] = None,
    venue: options.VenueName = "deribit",
    force: Annotated[bool, typer.Option("--force", help="Replace the files of --out and --events if there.")] = False,
) -> None:
    """Simulate chains of a market whose law is known (regime-switching stochastic volatility with jumps).

    Example: greekdrift data simulate --model bates --seed 7 --days 30 --out simulated.parquet
    """
    from greekdrift.cli.console import lead, progress, writing
    from greekdrift.config import load_venue
    from greekdrift.errors import InputError
    from greekdrift.market.parquet import write_chain
    from greekdrift.market.simulate import SimulatedSource
    from greekdrift.units import counted

    options.keep_apart((out, events), ())
    if events is not None and model == "ssvi":
        raise InputError("--events: the law ssvi has no scheduled events; add --model bates.")
    for file in (out, events):
        if file is not None and file.exists() and not force:
            raise InputError(f"{file}: is there already; add --force to replace it, or write to another file.")
    names = tuple(name.strip() for name in underlyings.split(",") if name.strip())
    source = SimulatedSource(venue=load_venue(venue), seed=seed, underlyings=names, days=days, model=model)
    chains = []
    with progress(f"simulating {counted(len(source.snapshots()), 'chain')}") as advance:
        for at, moment in enumerate(source.snapshots()):
            chains.append(source.chain(moment))
            advance(at + 1, len(source.snapshots()))
    with writing(out, f"{counted(len(chains), 'simulated snapshot')} of {', '.join(source.underlyings)}, seed {seed}"):
        write_chain(chains, out)
    if events is not None:
        from greekdrift.durable import write_durably

        with writing(events, counted(len(source.events), "scheduled event")):
            lines = [f"release,{at},{since}" for at, since in source.events.items()]
            write_durably(events, "\n".join(["name,at,announced_at", *lines, ""]).encode())
    lead(f"greekdrift data validate {out}")
