"""`greekdrift data validate`: what is wrong with recorded chains, where, and what to do about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from greekdrift.cli import options
from greekdrift.errors import InputError

if TYPE_CHECKING:
    from greekdrift.market.validation.data_sets import SetValidation
    from greekdrift.market.validation.finding import Finding
    from greekdrift.market.validation.validate import Validation

FOUND = 1
"""Exit code where something of the severity asked for, or graver, was found."""


def command(
    path: Annotated[
        Path, typer.Argument(help="Chain file (Parquet or CSV), a folder of them, or a data set's description (YAML).")
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data that a description speaks of; only with one.")
    ] = None,
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
    A description (as in configs/data) is held against its data: values, times, declared holes, and the numbers that
    the source states, measured again.
    Exit code: 0 sound, 1 something of the severity found, 2 the data cannot be read.

    Example: greekdrift data validate chains --html quality.html --quarantine aside
    """
    from greekdrift.cli.console import lead, progress, say, write_json
    from greekdrift.config import load_venue
    from greekdrift.market.validation.rules import severity as severity_of
    from greekdrift.market.validation.validate import validate

    if path.suffix in (".yaml", ".yml"):
        if any(one is not None for one in (html, quarantine, clean)):
            raise InputError(f"--html, --quarantine and --clean are of chain files; name those that {path} describes.")
        _described(path, root, severity, as_json=as_json, examples=examples, surfaces=surfaces)
        return
    if root is not None:
        raise InputError(f"{path} is no description of a data set (.yaml), so --root says nothing; leave it away.")
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


def _described(path: Path, root: Path | None, severity: str, *, as_json: bool, examples: int, surfaces: bool) -> None:
    """A data set held against its description; exits with 1 where it is not as described."""
    from greekdrift.cli.console import progress, say, write_json
    from greekdrift.config import load_venue
    from greekdrift.market.validation.data_sets import validate_set
    from greekdrift.market.validation.rules import severity as severity_of

    if root is None:
        raise InputError(f"{path} describes data by paths within a folder; name that folder with --root FOLDER.")
    level = severity_of(severity)
    with progress(f"checking {path.stem}") as advance:
        found = validate_set(path, root, venue_of=load_venue, with_surfaces=surfaces, advance=advance)
    if as_json:
        write_json(_set_summary(found, examples), None)
    else:
        _show_set(found)
    off = [one for one in found.stated if not one.holds]
    bad = [one for one in found.findings if one.severity >= level]
    if off or bad:
        places = sum(one.count for one in bad)
        say(f"{len(off)} stated numbers do not hold, {places:,} places of severity {severity} or graver")
        raise typer.Exit(FOUND)
    known = sum(bool(one.check.because) for one in found.stated)
    say(
        f"{found.name} is as described: {len(found.stated) - known} stated numbers hold, {known} differ as is known, "
        f"nothing of severity {severity}"
    )


def _show_set(found: "SetValidation") -> None:
    from greekdrift.cli.console import table

    table(
        found.name,
        ("series", "rows", "first (UTC)", "last (UTC)", "usual step", "missing"),
        [
            (
                one.name,
                f"{one.rows:,}",
                _minute(one.first),
                _minute(one.last),
                _step(one.step_hours),
                f"{one.missing:.2%}",
            )
            for one in found.lines
        ],
    )
    if found.stated:
        table(
            "What the source states, measured again",
            ("stated", "holds", "measured", "at least", "at most", "why the data give another number"),
            [
                (
                    one.check.says,
                    "yes" if one.holds and not one.check.because else "as known" if one.holds else "NO",
                    one.value,
                    one.check.at_least,
                    one.check.at_most,
                    one.check.because or None,
                )
                for one in found.stated
            ],
        )
    _show_findings(found.findings)


def _minute(moment: Any) -> str | None:
    return None if moment != moment else str(moment)[:16].replace("T", " ")  # noqa: PLR0124


def _step(hours: float) -> str | None:
    return None if hours != hours else f"{hours:.4g} h"  # noqa: PLR0124


def _set_summary(found: "SetValidation", examples: int) -> dict[str, Any]:
    return {
        "set": found.name,
        "series": [
            {
                "name": one.name,
                "rows": one.rows,
                "first": None if one.first != one.first else f"{one.first}Z",
                "last": None if one.last != one.last else f"{one.last}Z",
                "step_hours": _number(one.step_hours),
                "missing": one.missing,
            }
            for one in found.lines
        ],
        "stated": [
            {
                "says": one.check.says,
                "because": one.check.because,
                "figure": one.check.figure,
                "measured": _number(one.value),
                "at_least": one.check.at_least,
                "at_most": one.check.at_most,
                "holds": one.holds,
            }
            for one in found.stated
        ],
        "findings": [_finding(one, examples) for one in found.findings],
    }


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
    _show_findings(found.findings)


def _show_findings(findings: "Sequence[Finding]") -> None:
    from greekdrift.cli.console import table

    if findings:
        table(
            "Findings, the gravest first",
            ("severity", "rule", "places", "worst", "at (UTC)", "figure", "limit", "remedy"),
            [_line(one) for one in findings],
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
