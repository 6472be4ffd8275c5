"""`greekdrift report`: one self-contained HTML page of a run."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options


def command(
    run: Annotated[str, typer.Argument(help="Folder of a run, or its name in the folder of runs.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            callback=options.file_to_write(".html", ".htm"),
            help="HTML file to write; report.html in the folder when absent.",
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Build the page of a run: decisions and certificates, fans against bands, regime, scorecard, provenance.

    The page needs nothing else: no script, no font, no request.

    Example: greekdrift report demo-452aeb8386
    """
    from greekdrift.cli.console import lead, writing
    from greekdrift.report.page import build

    path = options.run_of(run, runs)
    page = path / "report.html" if out is None else out
    with writing(page):
        build(path, page)
    lead(f"open {page} in a browser")
