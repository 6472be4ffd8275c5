"""The command line: one light page of commands; each command's module is imported when it is called.

What the user can mend ends with one message and exit code 2; a failed verification with 1; anything else is a
fault of ours: one line and exit code 70, the trace with `--debug`.
"""

import os
import sys
from importlib import import_module
from typing import Any

import typer

from greekdrift import __version__
from greekdrift.cli.options import EXTRAS
from greekdrift.errors import GreekdriftError

USER_MISTAKE = 2
OUR_FAULT = 70

SEE = "See it work"
MODEL = "Learn and judge"
DECIDE = "Forecast and decide"
CALCULATE = "Calculate"
FILES = "Data and settings"

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (SEE, "The main job on real packaged data: minutes, no network, one HTML report."),
    "train": (MODEL, "Train the forecaster of an experiment and keep the artefact."),
    "evaluate": (MODEL, "Walk-forward scorecard against the baselines, with intervals."),
    "runs": (MODEL, "List recorded runs and their scores."),
    "report": (MODEL, "Build one self-contained HTML page of a run."),
    "promote": (MODEL, "Put a run's model into production, where its gate holds; and back."),
    "reproduce": (MODEL, "Make a run again from its record: the same bytes, or the first difference."),
    "forecast": (DECIDE, "How the Greeks, P&L and margin of a book will drift, with breach probabilities."),
    "regime": (DECIDE, "Probability of regime events, how good it was, and the filtered state."),
    "propose": (DECIDE, "The verified adjustment of each account, or HOLD with reasons."),
    "serve": (DECIDE, "Serve forecasts and verified adjustments over HTTP."),
    "verify": (DECIDE, "Replay certificates offline, from book and chain alone."),
    "greeks": (CALCULATE, "Greeks of a whole chain, or of a book."),
    "implied": (CALCULATE, "Implied volatilities of quoted prices."),
    "surface": (CALCULATE, "Fit the volatility surface of a chain."),
    "explain": (CALCULATE, "Where the P&L and the drift of the Greeks of a book came from."),
    "margin": (CALCULATE, "Margin requirement of a book under a rule set."),
    "collect": (FILES, "Collect option chains from a venue, as they happen."),
    "watch": (FILES, "Follow a folder of snapshots and hold each account against its bands."),
    "data": (FILES, "List, import, validate and simulate chains."),
    "config": (FILES, "Show a resolved experiment, or its JSON Schema."),
}
"""Name of each command, its panel and its line of help; the module has the command's name."""

EPILOG = "Start with: greekdrift demo      Help of a command: greekdrift propose --help"


def main(arguments: list[str] | None = None) -> None:
    """The program: runs the command that the arguments name and exits with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app(given)(given, prog_name="greekdrift")
    except GreekdriftError as problem:
        if is_debug:
            raise
        _say(f"error: {problem}")
        sys.exit(USER_MISTAKE)
    except ModuleNotFoundError as problem:
        if is_debug or problem.name not in EXTRAS:
            raise
        _say(f"error: this needs the package {problem.name}: pip install 'greekdrift[{EXTRAS[problem.name]}]'")
        sys.exit(USER_MISTAKE)
    except KeyboardInterrupt:
        _say("stopped.")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as fault:
        if is_debug:
            raise
        _say(f"fault: {type(fault).__name__}: {fault}")
        _say("This is a fault of greekdrift; run again with --debug for the trace.")
        sys.exit(OUR_FAULT)


def app(arguments: list[str]) -> typer.Typer:
    """The command page: the named command in full, the others as a line of help."""
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    is_completing = any(name.startswith("_GREEKDRIFT_COMPLETE") for name in os.environ)
    page = typer.Typer(
        name="greekdrift",
        help="Forecast how the Greeks, the P&L and the margin of option books will drift, and prove the hedge.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    page.callback()(_options)
    for name, (panel, line) in COMMANDS.items():
        if name == named or is_completing:
            _add(page, name, panel, line)
        else:
            page.command(name, help=line, rich_help_panel=panel)(_unnamed)
    return page


def _add(page: typer.Typer, name: str, panel: str, line: str) -> None:
    module: Any = import_module(f"greekdrift.cli.{name}")
    if hasattr(module, "page"):
        page.add_typer(module.page, name=name, help=line, rich_help_panel=panel)
    else:
        page.command(name, short_help=line, rich_help_panel=panel)(module.command)


def _unnamed() -> None:
    """Stand for a command on the help page."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"greekdrift {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the trace of an unexpected error."),
) -> None:
    """Forecast how the Greeks, the P&L and the margin of option books will drift, and prove the hedge."""


def _say(text: str) -> None:
    print(text, file=sys.stderr)
