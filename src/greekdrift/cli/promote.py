"""`greekdrift promote`: a run's model into production, if its scorecard passes the gate; and back by one command."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.cli.recorded import Recorded
    from greekdrift.evaluate.gate import Verdict
    from greekdrift.serve.promoted import Promotion

REFUSED = 1


def command(
    run: Annotated[
        str | None, typer.Argument(help="Folder of a run, or its name in the folder of runs; without it: who serves.")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Withdraw the model in production; the one before serves again.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the run and change nothing.")] = False,
    runs: options.Runs = Path("runs"),
) -> None:
    """Put the model of a run into production, where every line of its experiment's gate holds on its scorecard.

    The gate is part of the experiment, declared before the run. A run is
    refused whose scorecard, model or experiment was changed, whose model
    learnt from other data than the scorecard was made on, or that another
    version of the program made. A gate that fails ends with code 1.

    serve, forecast, propose and watch take --model production. A running
    server keeps its model until it is started again.

    Example: greekdrift promote deribit-0a1b2c3d4e
    Example, back: greekdrift promote --rollback
    """
    from greekdrift.errors import InputError

    if rollback and (run is not None or dry_run):
        raise InputError("--rollback goes back to the model before; it takes no run and no --dry-run.")
    if rollback:
        _back(runs)
    elif run is None:
        _tell(runs)
    else:
        _forward(run, runs, is_dry=dry_run)


def _forward(run: str, runs: Path, *, is_dry: bool) -> None:
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.cli.recorded import promotable, recorded
    from greekdrift.errors import ArtefactError
    from greekdrift.evaluate.gate import verdicts
    from greekdrift.forecast.intervals import FILE as INTERVALS
    from greekdrift.serve.promoted import PRODUCTION, Promotion, promote, promotions
    from greekdrift.units import stamp

    found = recorded(options.run_of(run, runs))
    if found.experiment.gate is None:
        raise ArtefactError(
            f"{found.path}: its experiment declares no gate, so that nothing was promised of its scorecard; add gate: "
            "to the experiment (docs/promotion.md), evaluate and train again."
        )
    model = promotable(found)
    before = promotions(runs).current
    lines = verdicts(found.experiment.gate, found.card, judged=found.scorecard.judged, folds=found.scorecard.folds)
    _show(found, lines)
    failed = sum(not one.is_held for one in lines)
    if failed:
        say(f"[red]not promoted[/]: {failed} of {len(lines)} lines do not hold; {_who(before)}")
        raise typer.Exit(REFUSED)
    if is_dry:
        say(f"every line holds; nothing was changed, {_who(before)}")
        return
    made = Promotion(
        artefact=model.artefact,
        name=found.scorecard.judged,
        run=found.path.name,
        promoted_at=stamp(datetime.now(UTC).replace(microsecond=0)),
        gate=tuple(one.line for one in lines),
        registered=model.registered,
    )
    intervals = found.path / INTERVALS
    promote(runs, found.model_folder, made, before=before, intervals=intervals if intervals.is_file() else None)
    _note(runs, made, found.experiment.tracking_uri)
    say(f"[bold]{escape(made.run)}[/] is in production (artefact {made.artefact[:12]}…)")
    if before is not None:
        say(f"before it: {escape(before.run)}; back to it with greekdrift promote --rollback")
    lead(f"greekdrift serve --config FILE --model {PRODUCTION}; one that runs already must be started again")


def _back(runs: Path) -> None:
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.serve.promoted import roll_back

    left, again = roll_back(runs)
    _note(runs, again, None)
    say(f"[bold]{escape(again.run)}[/] is in production again, {escape(left.run)} was withdrawn")
    lead("start the server again: one that runs keeps its model")


def _tell(runs: Path) -> None:
    from greekdrift.cli.console import lead, say, table
    from greekdrift.serve.promoted import promotions

    found = promotions(runs)
    if found.current is None:
        say(f"no model of {runs} is in production")
        lead("greekdrift runs, then greekdrift promote RUN")
        return
    rows = [
        (one.run, one.name, one.artefact[:12], one.promoted_at, state)
        for ones, state in (
            (found.made[:-1], "before"),
            (found.withdrawn, "withdrawn"),
            (found.made[-1:], "production"),
        )
        for one in ones
    ]
    table("Promotions", ("run", "model", "artefact", "promoted", "state"), rows)
    for line in found.current.gate:
        say(f"  {line}")


def _show(found: "Recorded", lines: "tuple[Verdict, ...]") -> None:
    from greekdrift.cli.console import table

    rows = [(one.what, one.value, one.limit, "holds" if one.is_held else "FAILS") for one in lines]
    table(f"Gate of {found.path.name}: {found.scorecard.judged}", ("figure", "value", "limit", "verdict"), rows)


def _who(before: "Promotion | None") -> str:
    return "nothing is in production" if before is None else f"{before.run} stays in production"


def _note(runs: Path, promotion: "Promotion", uri: str | None) -> None:
    """The alias in the experiment record, which follows the file and decides nothing."""
    from greekdrift import track
    from greekdrift.serve.promoted import PRODUCTION

    if promotion.registered is not None:
        name, version = promotion.registered
        track.name_version(name, version, alias=PRODUCTION, uri=uri or track.address(runs))
