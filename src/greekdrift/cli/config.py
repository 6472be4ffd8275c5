"""`greekdrift config`: the resolved experiment, and the JSON Schema of experiment and book files."""

from pathlib import Path
from typing import Annotated

import typer

page = typer.Typer(
    no_args_is_help=True, epilog="Example: greekdrift config show configs/experiment/demo.yaml --set seed=3"
)


@page.command()
def show(
    path: Annotated[Path, typer.Argument(help="Experiment file (YAML).")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="Override: key.path=value; repeatable.")] = None,
) -> None:
    """Print the experiment with overrides and defaults resolved, as YAML, and its digest.

    Every problem is listed at once, with file, line, key path and the nearest right key.
    """
    import yaml

    from greekdrift.cli.console import lead, say
    from greekdrift.config import load_experiment

    experiment = load_experiment(path, settings or ())
    print(yaml.safe_dump(experiment.plain(), sort_keys=False, allow_unicode=True), end="")
    say(f"digest {experiment.digest}; a run of it goes to runs/{experiment.run_name}")
    lead(f"greekdrift train --config {path}")


@page.command()
def schema(
    kind: Annotated[str, typer.Argument(help="experiment or book.")] = "experiment",
    out: Annotated[Path | None, typer.Option(help="File to write; standard output when absent.")] = None,
) -> None:
    """Print the JSON Schema of experiment or book files, for editors that complete and check YAML."""
    from greekdrift.cli.console import write_json
    from greekdrift.config import resolve

    kinds = {"experiment": "config.experiment:Experiment", "book": "config.books:BookFile"}
    write_json(resolve(kinds, kind).model_json_schema(), out)
