"""`greekdrift train`: fit the forecaster of an experiment and keep it as an artefact that no code is needed to read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import options


def command(
    config: options.Config,
    settings: options.Settings = None,
    until: Annotated[
        str | None, typer.Option(help="Learn from what was known by then, like 2026-02-01T00:00Z.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=options.folder_to_write, help="Folder of the run; the artefact goes to model/ in it."
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Train the experiment's forecaster on everything known (or known by --until) and register it as the champion.

    The artefact is a folder of safetensors, JSON and a card: no pickle, no code. The run is recorded in MLflow
    (SQLite beside the runs); where that cannot be had, training goes on without.

    Example: greekdrift train --config configs/experiment/deribit.yaml --set data.root=chains
    """
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.cli.experiments import panel_of, run_folder, source_of
    from greekdrift.config import load_experiment
    from greekdrift.units import instant

    experiment = load_experiment(config, settings or ())
    source = source_of(experiment)
    panel = panel_of(source, runs, experiment=experiment)
    known = panel if until is None else panel.until(instant(until))
    path = run_folder(experiment, runs, out)
    predictor = fitted(experiment, source, known, path, runs)
    say(f"\n{predictor.name} in [bold]{escape(str(path / 'model'))}[/]")
    lead(f"greekdrift propose --config {config} --model {path / 'model'}, or greekdrift evaluate --config {config}")


def fitted(experiment: Any, source: Any, panel: Any, path: Path, runs: Path) -> Any:
    """Fits the experiment's forecaster, keeps artefact and card in the run's folder, records and registers both.

    The artefact holds what was usual in the panel, beside the predictor.
    """
    from greekdrift import track
    from greekdrift.cli.console import progress, say
    from greekdrift.cli.experiments import forecaster_of, note_run, parameters
    from greekdrift.cli.shifts import keep_beside
    from greekdrift.forecast.artefact import save
    from greekdrift.units import from_datetime64, stamp

    uri = experiment.tracking_uri or track.address(runs)
    with track.open_record(f"train {experiment.name}", uri=uri, artefacts=runs / "artefacts") as record:
        record.params(parameters(experiment))
        forecaster = forecaster_of(experiment.forecaster, experiment, recorder=record)
        with progress(f"training {forecaster.name} on {len(panel)} rows"):
            predictor = forecaster.fit(panel)
        address = save(predictor, path / "model", novelty=usual(panel))
        keep_beside(panel, path / "model", seed=experiment.seed)
        card = _card(experiment, panel, predictor, path, address)
        (path / "model" / "CARD.md").write_text(card, encoding="utf-8")
        record.text(card, "card.md")
        version = record.register(path / "model", model=_registered(experiment), card=card)
    if record.run_id is not None:
        registered = f", champion of {_registered(experiment)} (version {version})" if version else ""
        say(f"recorded as MLflow run {record.run_id}{registered}")
    _seal(path, experiment, source, panel, address, version)
    note_run(
        path,
        {
            "name": experiment.name,
            "title": f"Experiment {experiment.name}",
            "learnt_until": stamp(from_datetime64(panel.known_at[-1])),
            "facts": {
                "experiment digest": experiment.digest,
                "learnt from": panel.describe(),
                "model": f"{predictor.name}, artefact {address}",
            },
        },
    )
    return predictor


def usual(panel: Any) -> Any:
    """What is usual in a panel, so that a model knows where it must not speak; None where it is too short to tell."""
    from greekdrift.cli.console import escape, say
    from greekdrift.errors import DataError
    from greekdrift.forecast.novelty import Novelty

    try:
        return Novelty.fit(panel)
    except DataError as problem:
        say(f"the model will not notice an unusual market: {escape(str(problem))}")
        return None


def _seal(path: Path, experiment: Any, source: Any, panel: Any, address: str, version: str | None) -> None:
    """What the model was made of, beside it."""
    from greekdrift.cli.experiments import forecaster_of
    from greekdrift.evaluate.seal import MadeModel, add_to_seal, program
    from greekdrift.evaluate.stored import content
    from greekdrift.units import from_datetime64, stamp

    made = MadeModel(
        experiment=experiment.digest,
        learning=experiment.learning,
        data=content(source),
        program=program(forecaster_of(experiment.forecaster, experiment)),
        artefact=address,
        learnt_until=stamp(from_datetime64(panel.known_at[-1])),
        registered=None if version is None else (_registered(experiment), version),
    )
    add_to_seal(path, model=made)


def _registered(experiment: Any) -> str:
    """The model's name in the registry."""
    return f"greekdrift-{experiment.name}"


def _card(experiment: Any, panel: Any, predictor: Any, path: Path, address: str) -> str:
    """What the model is, what it learnt from, how it scored and what it is not for."""
    scores = path / "scorecard.txt"
    scored = f"```\n{scores.read_text(encoding='utf-8')}```" if scores.is_file() else "Not evaluated in this run."
    return (
        f"# {predictor.name} of experiment {experiment.name}\n\n"
        f"Joint scenarios of the market state of {', '.join(panel.underlyings)}; Greeks, P&L and margin follow from "
        f"the exact calculator.\n\n"
        f"- Learnt from: {panel.describe()}\n- Seed: {experiment.seed}\n- Experiment: {experiment.digest}\n"
        f"- Artefact: {address}\n\n"
        f"## Scores, out of sample\n\n{scored}\n\n"
        "## Limits\n\nNot for other underlyings than these without a new fit; it knows nothing of scheduled news. "
        "Every adjustment that rests on it is verified by the calculator, or is not made.\n"
    )
