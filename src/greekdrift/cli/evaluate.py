"""`greekdrift evaluate`: the walk-forward scorecard of an experiment."""

from pathlib import Path
from typing import Annotated, Any

import typer

from greekdrift.cli import options


def command(
    config: options.Config,
    settings: options.Settings = None,
    only: Annotated[
        str | None, typer.Option(help="Forecasters to run, comma separated, such as clock,fhs:hari.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", callback=options.folder_to_write, help="Folder of the run.")
    ] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Score the experiment's forecaster beside its baselines on time that they had not seen, with intervals.

    Every fold is fitted on what was known, purged and embargoed; every forecaster gets the same origins, horizons,
    scenarios and seed. The scorecard is printed whatever it says.

    Example: greekdrift evaluate --config configs/experiment/deribit.yaml --set data.root=chains
    """
    from greekdrift.cli.console import escape, lead, say
    from greekdrift.cli.experiments import panel_of, run_folder, source_of
    from greekdrift.config import load_experiment

    experiment = load_experiment(config, settings or ())
    source = source_of(experiment)
    panel = panel_of(source, runs, experiment=experiment)
    path = run_folder(experiment, runs, out)
    card = score(experiment, source, panel, path, runs, only=only)
    print(card.text())
    say(f"\nscorecard in [bold]{escape(str(path / 'scorecard.json'))}[/]")
    lead(f"greekdrift report {path}, or greekdrift train --config {config}")


def score(experiment: Any, source: Any, panel: Any, path: Path, runs: Path, *, only: str | None = None) -> Any:
    """Walks, writes scorecard and picture to the run's folder, records both; returns the scorecard."""
    from greekdrift import track
    from greekdrift.cli.console import progress, say
    from greekdrift.cli.experiments import forecasters_of, keep, note_run, parameters
    from greekdrift.config import evaluation_of
    from greekdrift.errors import ConfigError, nearest
    from greekdrift.evaluate import scorecard, walk

    forecasters = forecasters_of(experiment)
    if only is not None:
        wanted = [name.strip() for name in only.split(",")]
        unknown = [name for name in wanted if name not in forecasters]
        if unknown:
            raise ConfigError(
                f'--only {only}: the experiment has no "{unknown[0]}"; {nearest(unknown[0], forecasters)}'
            )
        forecasters = {name: one for name, one in forecasters.items() if name in wanted}
    uri = experiment.tracking_uri or track.address(runs)
    with track.open_record(f"evaluate {experiment.name}", uri=uri, artefacts=runs / "artefacts") as record:
        record.params(parameters(experiment))
        with progress(f"walk-forward of {', '.join(forecasters)}") as advance:
            results = walk(panel, source, forecasters, evaluation_of(experiment), progress=advance)
        card = scorecard(results, seed=experiment.seed)
        keep(path, "scorecard", card.plain())
        (path / "scorecard.txt").write_text(card.text() + "\n", encoding="utf-8")
        record.metrics({_metric(one): one.value for one in card.measures if one.metric in ("loss", "energy", "brier")})
        record.text(card.text(), "scorecard.txt")
        _picture(card, results, path, record)
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


def _metric(one: Any) -> str:
    """A name that MLflow allows."""
    against = f" over {one.against}" if one.against else ""
    return f"{one.metric} {one.horizon:g}h {one.forecaster}{against}".replace(":", "-")


def _picture(card: Any, results: Any, path: Path, record: Any) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        return
    from greekdrift.evaluate.plot import figure

    drawn = figure(card, results)
    drawn.savefig(path / "scorecard.png", dpi=140)
    record.figure(drawn, "scorecard.png")
