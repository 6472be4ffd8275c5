"""A file of markets whose regime is described: which records are their prices, and which events are forecast."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from greekdrift.config.document import read
from greekdrift.config.problem import Section, parse


class Market(Section):
    """One market's records: a series "set/key" of prices, and what else is known of it.

    Without `variance` the days follow from the path of prices. `variance` is a column of the series, or "range" for
    that of open, high, low and close. `implied` is a series of 30-day volatilities; `surface` says that the series
    holds the five factors of the S&P surface.
    """

    price: str
    column: str = "close"
    variance: str | None = None
    implied: str | None = None
    surface: bool = False


class Markets(Section):
    """Markets that are learnt together, the events to forecast, and the walk-forward over them.

    `first` is the first day of a forecast, `prior` the folder of a regime learnt on longer histories.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    clock: Literal["elapsed", "sessions"]
    root: Path
    sets: Annotated[tuple[Path, ...], Field(min_length=1)]
    markets: Annotated[Mapping[str, Market], Field(min_length=1)]
    events: Annotated[tuple[str, ...], Field(min_length=1)]
    first: date
    refit_days: Annotated[int, Field(ge=1)] = 66
    block_days: Annotated[int, Field(ge=10)] = 44
    seed: int = 7
    prior: Path | None = None


def load_markets(path: str | Path) -> Markets:
    """The markets of a YAML file; paths in it are relative to the file, all problems are raised together."""
    found = parse(Markets, read(path))
    folder = Path(path).parent
    anchored = {"root": folder / found.root, "sets": tuple(folder / one for one in found.sets)}
    if found.prior is not None:
        anchored["prior"] = folder / found.prior
    return found.model_copy(update=anchored)


def is_markets(path: str | Path) -> bool:
    """Whether a configuration names markets, not an experiment."""
    return "markets" in read(path).values
