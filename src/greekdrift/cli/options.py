"""Options that several commands share, and the records that they stand for."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from greekdrift.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from greekdrift.book import Account, Chain, Venue

EXTRAS = {
    "arch": "data",
    "ccxt": "venues",
    "cryptography": "serve",
    "fastapi": "serve",
    "httpx": "serve",
    "matplotlib": "plot",
    "pandera": "data",
    "qmoms": "data",
    "uvicorn": "serve",
    "websockets": "venues",
}
"""The extra that brings a package which a command may miss."""

TABLES = (".json", ".csv", ".parquet")
"""Endings of the files that a table can be written to."""
PICTURES = (".png", ".svg", ".pdf", ".html")
"""Endings of the files that a picture can be written to."""
BOOKS = (".yaml", ".yml", ".json")
"""Endings of books that no chain has."""
CHAINS = (".parquet", ".csv")
"""Endings of the files that chains can be written to."""


def file_to_write(*endings: str) -> Callable[[Path | None], Path | None]:
    """Check of a file that will be written: refused before anything is computed, not after.

    Without endings any will do. A folder in its place, or a folder above it that cannot be written, is refused.
    """

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.is_dir():
            name = f"result{endings[0] if endings else '.json'}"
            raise InputError(f"{path}: is a folder; name a file in it, like {path / name}.")
        if endings and path.suffix not in endings:
            words = " or ".join(", ".join(endings).rsplit(", ", 1))
            raise InputError(f"{path}: write to a {words} file.")
        _check_above(path)
        return path

    return check


def keep_apart(outputs: "Sequence[Path | None]", inputs: "Sequence[Path | None]") -> None:
    """Refuses to write over what is read, and two outputs in one file."""
    read = {path.resolve(): path for path in inputs if path is not None and path.exists()}
    written: set[Path] = set()
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in read:
            raise InputError(f"{path}: is read by this command and would be lost; write to another file.")
        if path.resolve() in written:
            raise InputError(f"{path}: is named for two outputs; give each its own file.")
        written.add(path.resolve())


def folder_to_write(path: Path | None) -> Path | None:
    """Check of a folder that will be written in: a file in its place is refused before anything is computed."""
    if path is not None and path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name a folder.")
    if path is not None:
        _check_above(path / "file")
    return path


def _check_above(path: Path) -> None:
    above = next(one for one in path.absolute().parents if one.exists())
    if not above.is_dir():
        raise InputError(f"{path}: {above} is a file, not a folder; choose another path.")
    if not os.access(path if path.exists() else above, os.W_OK):
        raise InputError(f"{path}: cannot be written (no permission); choose another path.")


ChainFile = Annotated[Path, typer.Option("--chain", help="Chain file: Parquet or CSV, one row a contract.")]
AnyChain = Annotated[
    Path | None,
    typer.Option("--chain", help="Chain file: Parquet or CSV, one row a contract; else the chain of --config."),
]
At = Annotated[str | None, typer.Option("--at", help="Which snapshot of the file, like 2026-02-05T08:00Z.")]
VenueName = Annotated[str, typer.Option("--venue", help="Venue facts: a packaged name or a YAML file.")]
BookFile = Annotated[Path, typer.Option("--book", help="Book file: YAML or JSON; CSV or Parquet without mandates.")]
PerhapsBook = Annotated[Path | None, typer.Option("--book", help="Book file; without it the chain itself.")]
Out = Annotated[
    Path | None, typer.Option("--out", callback=file_to_write(*TABLES), help="File to write: .json, .csv or .parquet.")
]
OutJson = Annotated[
    Path | None, typer.Option("--out", callback=file_to_write(), help="JSON file to write, with every number.")
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=file_to_write(*PICTURES), help="Picture to write: .png, .svg, .pdf or .html."),
]
OutForecast = Annotated[
    Path | None,
    typer.Option(
        "--out", callback=file_to_write(".json", ".parquet"), help=".json: the summary; .parquet: every scenario."
    ),
]
Chains = Annotated[
    Path | None, typer.Option("--chains", help="Folder of chain files: the past, and with the latest the chain.")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Instant like 2026-02-05T08:05Z; nothing known later is read.")
]
Rules = Annotated[str, typer.Option("--rules", help="Margin rule set: a packaged name or a YAML file.")]
Config = Annotated[Path, typer.Option("--config", help="Experiment file, like configs/experiment/demo.yaml.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Override: key.path=value; repeatable.")]
PerhapsChain = Annotated[Path | None, typer.Option("--chain", help="Chain file; else the latest of the data.")]
Book = Annotated[Path | None, typer.Option("--book", help="Book file; else the experiment's.")]
Model = Annotated[
    str | None, typer.Option("--model", help="Folder of a trained model, production, or a forecaster such as fhs.")
]
History = Annotated[Path | None, typer.Option("--history", help="Chain files of the past; else the experiment's data.")]
PerhapsConfig = Annotated[Path | None, typer.Option("--config", help="Experiment whose data, book and rules are used.")]
PerhapsVenue = Annotated[str | None, typer.Option("--venue", help="Venue facts: a packaged name or a YAML file.")]
PerhapsRules = Annotated[str | None, typer.Option("--rules", help="Margin rule set: a packaged name or a YAML file.")]
Clock = Annotated[
    Literal["chain", "system"],
    typer.Option(help="What time it is: when the chain was known (replay), or the clock of this machine."),
]
Runs = Annotated[Path, typer.Option("--runs", callback=folder_to_write, help="Folder of runs.")]


def run_of(run: str, runs: Path) -> Path:
    """The folder of a run, by its path or its name in the folder of runs."""
    from greekdrift.errors import DataError, nearest

    path = Path(run) if Path(run).is_dir() else runs / run
    if not run or not path.is_dir():
        known = [one.parent.name for one in runs.glob("*/run.json")]
        hint = nearest(run, known) if known else f"there are none in {runs}; name their folder with --runs"
        raise DataError(f'"{run}" is no run; {hint}')
    return path


def chain_of(path: Path, at: str | None, venue: str) -> "tuple[Chain, Venue]":
    """The chain of a file and the venue's facts; a book in its place is told so."""
    from greekdrift.config import load_venue
    from greekdrift.market.parquet import read_chain
    from greekdrift.units import instant

    if path.is_file() and (path.suffix in BOOKS or _is_book(path)):
        raise InputError(f"{path}: this is a book, not a chain; a book goes to --book, a .parquet or .csv to --chain.")
    facts = load_venue(venue)
    return read_chain(path, None if at is None else instant(at), venue=facts), facts


def quotes(path: Path | None, at: str | None, venue: str | None, config: Path | None = None) -> "Chain":
    """The chain of a file, or of an experiment's data: at the instant asked for, its origin, or the latest."""
    from greekdrift.config import load_experiment

    experiment = None if config is None else load_experiment(config, (), check_components=False)
    if path is not None:
        return chain_of(path, at, venue or (experiment.venue if experiment is not None else "deribit"))[0]
    if experiment is None:
        raise InputError("no chain: give --chain FILE, or --config with data in it.")
    from greekdrift.cli.experiments import source_of
    from greekdrift.market.source import closest
    from greekdrift.units import instant

    source = source_of(experiment)
    moment = experiment.origin if at is None else instant(at)
    snapshots = source.snapshots()
    return source.chain(snapshots[-1] if moment is None else closest(snapshots, moment, name=source.name))


def _is_book(path: Path) -> bool:
    """Whether a CSV is a table of holdings."""
    if path.suffix != ".csv":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = {name.strip() for name in file.readline().split(",")}
    return "quantity" in columns and "snapshot_ts_utc" not in columns


def accounts_of(path: Path) -> "Sequence[Account]":
    """The accounts of a book file."""
    from greekdrift.config import load_accounts

    return load_accounts(path)


def check_extras() -> None:
    """Refuses at once, not after minutes, where a package that the demo needs is missing; it asks no venue."""
    from importlib.util import find_spec

    from greekdrift.errors import ConfigError

    missing = [name for name, extra in EXTRAS.items() if extra != "venues" and find_spec(name) is None]
    if missing:
        raise ConfigError(f"this needs {', '.join(missing)}: pip install 'greekdrift[demo]'")


def needs_matplotlib(picture: Path | None) -> None:
    """Refuses a picture at once where matplotlib is missing."""
    from importlib.util import find_spec

    from greekdrift.errors import ConfigError

    if picture is not None and find_spec("matplotlib") is None:
        raise ConfigError(f"{picture}: a picture needs matplotlib: pip install 'greekdrift[plot]'")


def moment(clock: str, chain: "Chain") -> "datetime":
    """The instant of a decision: when the chain was known, or now."""
    from datetime import UTC, datetime

    return chain.known_at if clock == "chain" else datetime.now(UTC)


def packaged_config(name: str) -> Path:
    """A configuration of the project: of the current folder, of the checkout, or of the installed package."""
    from greekdrift.errors import ConfigError

    package = Path(__file__).resolve().parents[1]
    for folder in (Path("configs"), package.parents[1] / "configs", package / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"there is no configs/{name} here; run in the project's folder or name a file with --config.")
