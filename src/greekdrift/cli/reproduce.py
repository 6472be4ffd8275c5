"""`greekdrift reproduce`: a recorded run made again from its experiment, data and seed, and compared byte by byte."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greekdrift.cli import options

if TYPE_CHECKING:
    from greekdrift.cli.recorded import Recorded

DIFFERENT = 1


def command(
    run: Annotated[str, typer.Argument(help="Folder of a run, or its name in the folder of runs.")],
    settings: options.Settings = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=options.folder_to_write, help="Folder that keeps what is made again."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that walk, one forecaster each at a time.")] = 1,
    runs: options.Runs = Path("runs"),
) -> None:
    """Make a run's scorecard, and its model where it has one, again: the same bytes, or the first difference.

    Nothing that was kept is used: surfaces are fitted, forecasters are trained
    and walks are walked anew, from the experiment in the run's folder and data
    of the recorded digest. Where the data lie elsewhere now, say it with
    --set data.root=FOLDER. Ends with code 1 where a byte differs.

    Example: greekdrift reproduce deribit-0a1b2c3d4e --workers 2
    """
    from tempfile import TemporaryDirectory

    from greekdrift.cli.console import escape, folder, say
    from greekdrift.cli.recorded import is_same_program, recorded

    found = recorded(options.run_of(run, runs))
    if not is_same_program(found):
        say("[yellow]the program is another than the one that made the run[/]; it is made again all the same")
    with ExitStack() as stack:
        place = folder(out) if out is not None else Path(stack.enter_context(TemporaryDirectory()))
        problems = _made_again(found, settings or [], place, workers)
    for one in problems:
        say(f"[red]{escape(one)}[/]")
    if problems:
        raise typer.Exit(DIFFERENT)


def _made_again(found: "Recorded", settings: list[str], place: Path, workers: int) -> list[str]:
    """Evaluates and trains in a place of its own; what is not the same."""
    from greekdrift.cli.console import say
    from greekdrift.cli.evaluate import score
    from greekdrift.cli.experiments import panel_of, source_of
    from greekdrift.cli.recorded import elsewhere
    from greekdrift.errors import DataError
    from greekdrift.evaluate.seal import SCORECARD
    from greekdrift.evaluate.stored import content

    experiment = elsewhere(found.experiment, settings)
    source = source_of(experiment)
    if (data := content(source)) != found.scorecard.data:
        raise DataError(
            f"the data are not those of the run (digest {data[:12]}…, recorded {found.scorecard.data[:12]}…); "
            "name the folder that it was made on with --set data.root=FOLDER."
        )
    panel = panel_of(source, place, experiment=experiment)
    only = ",".join(found.scorecard.forecasters)
    own = found.judged()
    score(experiment, source, panel, place, place, only=only, own=own, workers=workers, is_recorded=False)
    problems = []
    before, now = (folder / SCORECARD for folder in (found.path, place))
    if before.read_bytes() == now.read_bytes():
        say(f"scorecard: the same {before.stat().st_size:,} bytes")
    else:
        problems.append(f"scorecard: {first_difference(before.read_text('utf-8'), now.read_text('utf-8'))}")
    if found.model is not None:
        problems += _trained_again(found, experiment, panel, place)
    return problems


def _trained_again(found: "Recorded", experiment: Any, panel: Any, place: Path) -> list[str]:
    from greekdrift.cli.console import progress, say
    from greekdrift.cli.experiments import forecaster_of
    from greekdrift.cli.train import usual
    from greekdrift.forecast.artefact import save
    from greekdrift.units import instant

    if found.model is None:
        return []
    if found.model.learning != experiment.learning:
        return [f"model: it is of another experiment than the scorecard in {found.path}; train again"]
    known = panel.until(instant(found.model.learnt_until))
    forecaster = forecaster_of(experiment.forecaster, experiment)
    with progress(f"training {forecaster.name} on {len(known)} rows"):
        address = save(forecaster.fit(known), place / "model", novelty=usual(known))
    if address == found.model.artefact:
        say(f"model: the same artefact {address[:12]}…")
        return []
    return [f"model: artefact {found.model.artefact[:12]}… in the run, {address[:12]}… now"]


def first_difference(before: str, now: str) -> str:
    """Where two JSON texts first differ: the place in the values, or the line where only the writing differs.

    >>> first_difference('{"a": [1, 2]}', '{"a": [1, 3]}')
    'first difference at a[1]: 2 in the run, 3 now'
    """
    found = _apart(json.loads(before), json.loads(now), "")
    if found is not None:
        return f"first difference at {found}"
    lines = zip(before.splitlines(), now.splitlines(), strict=False)
    at = next((number for number, (one, other) in enumerate(lines, 1) if one != other), 0)
    return f"the same values, written otherwise from line {at} on"


def _apart(before: Any, now: Any, place: str) -> str | None:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        parts = [(before.get(key, "nothing"), now.get(key, "nothing"), f"{place}.{key}".lstrip(".")) for key in keys]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        parts = [(one, other, f"{place}[{at}]") for at, (one, other) in enumerate(zip(before, now, strict=True))]
    else:
        return None if before == now else f"{place}: {_short(before)} in the run, {_short(now)} now"
    return next((found for one, other, where in parts if (found := _apart(one, other, where)) is not None), None)


def _short(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"{len(value)} entries"
    return json.dumps(value, ensure_ascii=False)[:80]
