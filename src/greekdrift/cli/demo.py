"""`greekdrift demo`: the main job once, on real packaged data, from quotes to a verified adjustment that is served."""

from pathlib import Path
from typing import Annotated

import typer

from greekdrift.cli import options

LIMITS = (
    "Chains are modelled from real volatilities, forwards and rates (qmoms, five US stocks, 2023).",
    "Listing, half-spread and volumes are assumptions of this package.",
    "A year of daily surfaces is little: differences between forecasters are mostly within their intervals.",
    "The margin rule set is a dated default in the form of a crypto venue; on stocks it shows the mechanism alone.",
    "The regime event is forecast on the packaged S&P 500, which ends in 2018; it enters no decision here.",
)


def command(
    settings: options.Settings = None,
    config: Annotated[Path | None, typer.Option("--config", help="Experiment; the packaged demo when absent.")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model; it is trained when absent.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    runs: options.Runs = Path("runs"),
) -> None:
    """Run the main job on real packaged data: minutes on two cores, no network.

    Data → features → trained drift net → scorecard beside strong baselines → MLflow run → forecast of Greek drift with
    breach probabilities → hedge and margin change → certificate of the deterministic calculator → served to a client →
    one HTML page.

    Example: greekdrift demo --out runs/first
    """
    from time import perf_counter

    options.check_extras()

    from greekdrift.cli import steps
    from greekdrift.cli.console import lead, say
    from greekdrift.cli.experiments import note_run
    from greekdrift.cli.options import packaged_config
    from greekdrift.config import load_experiment

    start = perf_counter()
    experiment = load_experiment(config or packaged_config("experiment/demo.yaml"), settings or ())
    job = steps.begin(experiment, runs, out)
    steps.judge(job)
    steps.learn(job, model)
    steps.regime(job)
    steps.decide(job)
    steps.check(job)
    steps.serve(job)
    seconds = perf_counter() - start
    note_run(job.path, steps.facts(job, seconds=seconds, limits=LIMITS))
    page = steps.report(job)
    say(f"\n[bold]Done in {seconds:.0f} s.[/] The page: [bold]{page.resolve()}[/]")
    lead(f"open it in a browser; then greekdrift verify {job.path / 'decisions.json'}, or greekdrift serve --help")
