"""`greekdrift evaluate`: the walk-forward scorecard of an experiment."""

from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import options


def command(
    config: options.Config,
    settings: options.Settings = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of chain files to judge on, in place of the experiment's.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Folder of a trained model, scored as it is on later time only; or a forecaster's name."),
    ] = None,
    learnt_until: Annotated[
        str | None, typer.Option(help="What the trained model had seen, where its run does not say it.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Forecasters to run beside --model, comma separated, such as clock,fhs:hari.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that walk, one forecaster each at a time.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", callback=options.folder_to_write, help="Folder of the run.")
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Score the experiment's forecasters side by side on time that they had not seen, with intervals.

    Every fold is fitted on what was known, purged and embargoed; every forecaster gets the same origins, horizons,
    scenarios and seed. The scorecard is printed whatever it says. Walks are kept in the folder of runs: a second
    run walks only what is new, and one that was broken off goes on.

    An experiment with `margin` judges the forecast of margin instead: configs/experiment/margin.yaml.

    Example: greekdrift evaluate --config configs/experiment/leaderboard.yaml --data chains --workers 2
    """
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.cli.experiments import panel_of, run_folder, source_of
    from greekdrift.cli.judged import after, in_time, on_data, other_model, trained
    from greekdrift.config import load_experiment

    given = settings or []
    experiment = load_experiment(config, given)
    if data is not None:
        experiment = on_data(experiment, data, given=given)
    source = source_of(experiment)
    panel = panel_of(source, runs, experiment=experiment)
    if data is not None:
        experiment = in_time(experiment, panel, given=given)
    own: Any = None
    if model is not None and Path(model).is_dir():
        own = trained(Path(model), learnt_until=learnt_until)
        experiment = after(experiment, own)
    elif model is not None:
        own = other_model(model, experiment)
    if own is not None and only is not None:
        only = f"{only},{own.name}"
    path = run_folder(experiment, runs, out)
    if experiment.margin is not None:
        _margin(experiment, source, panel, path, runs, only=only, own=own)
        return
    card = score(experiment, source, panel, path, runs, only=only, own=own, workers=workers)
    print(card.text())
    say(f"\nscorecard in [bold]{escape(str(path))}[/]: scorecard.md, .txt, .json and .png")
    lead(f"greekdrift report {path}, or greekdrift train --config {config}")


def _margin(experiment: Any, source: Any, panel: Any, path: Path, runs: Path, *, only: str | None, own: Any) -> None:
    """The margin scorecard in place of that of the Greeks."""
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.cli.experiments import forecaster_of
    from greekdrift.cli.margin_scores import score_margin

    judged = forecaster_of(experiment.forecaster, experiment) if own is None else own
    forecasters = _asked(experiment, judged, only)
    card = score_margin(experiment, source, panel, forecasters, path=path, runs=runs)
    print(card.text())
    say(f"\nmargin scorecard in [bold]{escape(str(path))}[/]: margin_scorecard.md, .txt, .json and .png")
    lead("greekdrift margin --rules NAME --chain F --book F --forecast MODEL")


def score(
    experiment: Any,
    source: Any,
    panel: Any,
    path: Path,
    runs: Path,
    *,
    only: str | None = None,
    own: Any = None,
    workers: int = 1,
    is_recorded: bool = True,
) -> Any:
    """Walks, writes scorecard and picture to the run's folder, records both; returns the scorecard.

    `own` is a forecaster in place of the experiment's own. Nothing enters the experiment record unless `is_recorded`.
    """
    from greekdrift import track
    from greekdrift.cli.console import say
    from greekdrift.cli.experiments import forecaster_of, keep, note_run, parameters
    from greekdrift.config import evaluation_of
    from greekdrift.evaluate import scorecard
    from greekdrift.evaluate.stored import Kept

    judged = forecaster_of(experiment.forecaster, experiment) if own is None else own
    forecasters = _asked(experiment, judged, only)
    kept = Kept.of(panel, source, evaluation_of(experiment), cache=runs / "cache")
    uri = experiment.tracking_uri or track.address(runs)
    name, artefacts = f"evaluate {experiment.name}", runs / "artefacts"
    with track.open_record(name, uri=uri, artefacts=artefacts) if is_recorded else track.Silent() as record:
        record.params(parameters(experiment))
        results = _walked(experiment, kept, forecasters, runs, workers=workers)
        card = scorecard(results, seed=experiment.seed)
        keep(path, "scorecard", card.plain())
        _seal(path, experiment, kept, results, judged)
        _intervals(path, results, panel)
        (path / "scorecard.txt").write_text(card.text() + "\n", encoding="utf-8")
        (path / "scorecard.md").write_text(card.markdown(), encoding="utf-8")
        record.metrics({_metric(one): one.value for one in card.measures if one.metric in ("loss", "energy", "brier")})
        record.text(card.text(), "scorecard.txt")
        _picture(card, path, record)
    if record.run_id is not None:
        say(f"recorded as MLflow run {record.run_id} at {uri}")
    note_run(
        path,
        {
            "name": experiment.name,
            "title": f"Experiment {experiment.name}",
            "facts": {"experiment digest": experiment.digest, "data": panel.describe(), "MLflow run": record.run_id},
        },
    )
    return card


def _seal(path: Path, experiment: Any, kept: Any, results: Any, judged: Any) -> None:
    """What the scorecard was made of, beside it: `greekdrift promote` and `reproduce` hold it against that."""
    from greekdrift.evaluate.seal import SCORECARD, MadeScorecard, add_to_seal, program, sha256

    made = MadeScorecard(
        experiment=experiment.digest,
        learning=experiment.learning,
        data=kept.content,
        program=program(judged),
        sha256=sha256(path / SCORECARD),
        judged=judged.name,
        artefact=getattr(judged, "digest", None),
        forecasters=tuple(results.scores),
        folds=len(set(results.fold.tolist())),
    )
    add_to_seal(path, scorecard=made)


def _intervals(path: Path, results: Any, panel: Any) -> None:
    """What the walk taught of the intervals that are reported, beside the scorecard, for every forecaster."""
    from greekdrift.evaluate.intervals import learnt
    from greekdrift.forecast.intervals import FILE, write

    found = {name: one for name in results.scores if (one := learnt(results, panel, name)) is not None}
    write(path / FILE, found)


def _asked(experiment: Any, own: Any, only: str | None) -> dict[str, Any]:
    """Baselines and the forecaster that is judged, by name."""
    from greekdrift.cli.experiments import forecaster_of
    from greekdrift.cli.judged import by_name, chosen

    made = [forecaster_of(baseline, experiment) for baseline in experiment.baselines]
    made.append(own)
    return chosen(by_name(made), only)


def _walked(experiment: Any, kept: Any, forecasters: dict[str, Any], runs: Path, *, workers: int) -> Any:
    """The walk of all; those that the experiment itself names may be walked in processes of their own."""
    from greekdrift.cli.console import progress, say
    from greekdrift.cli.experiments import forecasters_of
    from greekdrift.cli.walks import walk_apart
    from greekdrift.evaluate.stored import stored_walk

    missing = [name for name, one in forecasters.items() if not kept.is_kept(one)]
    if len(missing) < len(forecasters):
        say(f"walked before: {', '.join(name for name in forecasters if name not in missing)}")
    known = forecasters_of(experiment)
    apart = [name for name in missing if name in known and repr(known[name]) == repr(forecasters[name])]
    if workers > 1 and len(apart) > 1:
        with progress("what really happened") as advance:
            kept.truth(progress=advance)
        with progress(f"walk-forward of {', '.join(apart)} in {workers} processes") as advance:

            def told(name: str, done: int, of: int) -> None:
                say(f"walked {name} ({done} of {of})")
                advance(done, of)

            walk_apart(experiment.model_dump_json(), apart, runs=runs, workers=workers, told=told)
    with progress(f"walk-forward of {', '.join(forecasters)}") as advance:
        return stored_walk(kept, forecasters, progress=advance)


def _metric(one: Any) -> str:
    """A name that MLflow allows."""
    against = f" over {one.against}" if one.against else ""
    return f"{one.metric} {one.horizon:g}h {one.forecaster}{against}".replace(":", "-")


def _picture(card: Any, path: Path, record: Any) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return
    from greekdrift.evaluate.plot import figure

    drawn = figure(card)
    drawn.savefig(path / "scorecard.png", dpi=140)
    record.figure(drawn, "scorecard.png")
