"""`greekdrift data validate`: what is wrong with recorded chains, where, and what to do about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from greekdrift.cli import options
from greekdrift.errors import InputError

if TYPE_CHECKING:
    from greekdrift.market.validation.finding import Finding
    from greekdrift.market.validation.validate import Validation

FOUND = 1
"""Exit code where something of the severity asked for, or graver, was found."""


def command(
    path: Annotated[Path, typer.Argument(help="Chain file (Parquet or CSV) or a folder of them.")],
    venue: options.VenueName = "deribit",
    severity: Annotated[
        Literal["note", "warning", "error"], typer.Option(help="From which severity on the exit code is 1.")
    ] = "error",
    html: Annotated[
        Path | None,
        typer.Option("--html", callback=options.file_to_write(".html"), help="Page with pictures to write."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="Worst places of each finding in the JSON.")] = 20,
    quarantine: Annotated[
        Path | None, typer.Option(help="New folder into which bad rows and files are copied, with the reasons.")
    ] = None,
    clean: Annotated[
        Path | None, typer.Option(help="New folder of copies without those rows, and where they come from.")
    ] = None,
    surfaces: Annotated[bool, typer.Option(help="Also fit the surface of every snapshot.")] = True,
) -> None:
    """Check recorded chains and name what is wrong: rule, rows, figure, limit and remedy; nothing is repaired.

    Needed columns: snapshot_ts_utc, instrument_name, mark_iv, forward_price_usd, index_price_usd, and bid, ask and mark
    as bid_price_coin … (inverse options) or bid_price_usd … (all else); volatilities are fractions, times UTC.
    Exit code: 0 sound, 1 something of the severity found, 2 the data cannot be read.

    Example: greekdrift data validate chains --html quality.html --quarantine aside
    """
    from greekdrift.cli.console import lead, progress, say, write_json
    from greekdrift.config import load_venue
    from greekdrift.market.validation.rules import severity as severity_of
    from greekdrift.market.validation.validate import validate

    options.needs_matplotlib(html)
    options.keep_apart((html, quarantine, clean), (path,))
    _new_folders(quarantine, clean)
    level = severity_of(severity)
    with progress(f"checking {path}") as advance:
        found = validate(path, venue=load_venue(venue), with_surfaces=surfaces, advance=advance)
    if as_json:
        write_json(_summary(found, examples), None)
    else:
        _show(found, path)
    _write(found, path, html, quarantine, clean, severity)
    bad = found.at_least(level)
    if bad:
        say(f"{sum(one.count for one in bad):,} places of severity {severity} or graver; nothing was repaired")
        if quarantine is None:
            lead(f"greekdrift data validate {path} --html quality.html --quarantine aside")
        raise typer.Exit(FOUND)
    say(f"every chain is sound: nothing of severity {severity} or graver")


def _new_folders(*folders: Path | None) -> None:
    """Refuses before the work what would be refused after it."""
    for folder in folders:
        if folder is not None:
            options.folder_to_write(folder)
            if folder.exists() and any(folder.iterdir()):
                raise InputError(f"{folder}: is not an empty folder, and nothing is overwritten; name a new one.")


def _write(
    found: "Validation", path: Path, html: Path | None, quarantine: Path | None, clean: Path | None, severity: str
) -> None:
    from greekdrift.cli.console import writing
    from greekdrift.market.validation.quarantine import clean as cleaned
    from greekdrift.market.validation.quarantine import set_aside
    from greekdrift.market.validation.rules import severity as severity_of

    if html is not None:
        from greekdrift.report.validation import build

        with writing(html):
            build(found, html, title=path.name)
    for folder, make, what in ((quarantine, set_aside, "bad rows and files"), (clean, cleaned, "copies without them")):
        if folder is not None:
            with writing(folder, what):
                make(found, folder, severity=severity_of(severity))


def _show(found: "Validation", path: Path) -> None:
    from greekdrift.cli.console import table
    from greekdrift.units import from_datetime64, stamp

    instants = found.instants
    span = (
        f" from {stamp(from_datetime64(instants[0]))} to {stamp(from_datetime64(instants[-1]))}"
        if len(instants)
        else ""
    )
    table(
        str(path),
        ("what", "value"),
        [
            ("files", f"{len(found.files):,}"),
            ("rows", f"{found.rows:,}"),
            ("underlyings", ", ".join(found.underlyings) or None),
            ("snapshots", f"{len(instants):,}{span}"),
        ],
    )
    if found.findings:
        table(
            "Findings, the gravest first",
            ("severity", "rule", "places", "worst", "at (UTC)", "figure", "limit", "remedy"),
            [_line(one) for one in found.findings],
        )


def _line(one: "Finding") -> tuple[Any, ...]:
    worst = one.places.iloc[0]
    moment = worst["snapshot_ts_utc"]
    at = None if moment is None or moment != moment else f"{moment:%Y-%m-%d %H:%M}"  # noqa: PLR0124
    figures = (float(worst["figure"]), float(worst["limit"]))
    return (one.severity.word, one.rule.name, one.count, str(worst["name"]), at, *figures, one.rule.remedy)


def _summary(found: "Validation", examples: int) -> dict[str, Any]:
    from greekdrift.units import from_datetime64, stamp

    return {
        "venue": found.venue,
        "files": [one.name for one in found.files],
        "rows": found.rows,
        "underlyings": list(found.underlyings),
        "snapshots": len(found.instants),
        "first": stamp(from_datetime64(found.instants[0])) if len(found.instants) else None,
        "last": stamp(from_datetime64(found.instants[-1])) if len(found.instants) else None,
        "worst": None if found.worst is None else found.worst.word,
        "findings": [_finding(one, examples) for one in found.findings],
    }


def _finding(one: "Finding", examples: int) -> dict[str, Any]:
    return {
        "rule": one.rule.name,
        "severity": one.severity.word,
        "fact": one.rule.fact,
        "remedy": one.rule.remedy,
        "figure_and_limit": one.rule.figure,
        "count": one.count,
        "of_rows": one.of,
        "places": [
            {
                "snapshot": _moment(place["snapshot_ts_utc"]),
                "name": str(place["name"]),
                "file": place["file"] or None,
                "row": int(place["row"]) if place["row"] >= 0 else None,
                "figure": _number(place["figure"]),
                "limit": _number(place["limit"]),
            }
            for _, place in one.places.head(examples).iterrows()
        ],
    }


def _moment(value: Any) -> str | None:
    """An instant as text; None where a place has none."""
    return None if value != value else f"{value.isoformat()}Z"  # noqa: PLR0124


def _number(value: float) -> float | None:
    """A number that JSON has."""
    return float(value) if abs(value) < float("inf") else None
