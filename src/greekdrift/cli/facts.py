"""`greekdrift data facts`: the stylised facts of chains, beside those of others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.book import Venue
    from greekdrift.features.facts import Facts


def command(
    path: Annotated[Path, typer.Argument(help="Chain file (Parquet or CSV) or a folder of them.")],
    beside: Annotated[Path | None, typer.Option(help="Chains to set beside them, such as simulated ones.")] = None,
    venue: options.VenueName = "deribit",
    hours: Annotated[float | None, typer.Option(min=0.0, help="Span of a change; one step of the chains.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=options.file_to_write(*options.PICTURES), help="Picture or page to write."),
    ] = None,
) -> None:
    """How prices and volatilities of chains move: tails, clusters, leverage, spot against volatility, term structure.

    A surface is fitted on every snapshot. Correlations without dependence have a standard error of 1/√changes.

    Example: greekdrift data facts chains --beside simulated.parquet --out facts.html
    """
    from greekdrift.cli.console import lead, table, write_json, writing
    from greekdrift.config import load_venue
    from greekdrift.features.facts import said

    options.needs_matplotlib(out)
    options.keep_apart((out,), (path, beside))
    market = load_venue(venue)
    found = {
        f"{file.stem} {one.underlying}": one
        for file in (path, beside)
        if file is not None
        for one in _facts(file, market, hours)
    }
    measures = next(iter(found.values())).measures
    rows = [(said(name), *(one.measures[name] for one in found.values())) for name in measures]
    counts = ("changes", *(one.count for one in found.values()))
    if as_json:
        write_json(
            {name: {"hours": one.hours, "changes": one.count, **one.measures} for name, one in found.items()}, None
        )
    else:
        table("Stylised facts", ("measure", *found), [counts, *rows])
    if out is not None:
        from greekdrift.report.facts import picture
        from greekdrift.report.picture import Table, write

        with writing(out):
            write(
                out,
                [(picture(found), "Facts of each market side by side.")],
                title="Stylised facts",
                lead="Correlations without dependence have a standard error of one over the root of the changes.",
                tables=(Table(title="Measures", columns=("measure", *found), rows=[counts, *rows]),),
            )
    if beside is None:
        lead("greekdrift data simulate --days 60 --out simulated.parquet, then --beside simulated.parquet")


def _facts(path: Path, venue: "Venue", hours: float | None) -> "tuple[Facts, ...]":
    from greekdrift.cli.console import progress
    from greekdrift.features.facts import facts
    from greekdrift.features.panel import build
    from greekdrift.market.parquet import ParquetSource

    with progress(f"fitting {path}") as advance:
        panel = build(ParquetSource(str(path), venue=venue), features=(), progress=advance)
    return facts(panel, hours=hours)
