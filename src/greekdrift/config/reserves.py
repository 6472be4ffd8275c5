"""A file of reserves: what accounts hold beside their margin, and how each currency becomes cash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from greekdrift.config.document import read
from greekdrift.config.problem import Section, parse


class Fetched(Section):
    """How a currency becomes cash: haircut, hours until the first comes, USD an hour at most (without: no limit)."""

    haircut: Annotated[float, Field(ge=0.0, le=1.0)]
    delay_hours: Annotated[float, Field(ge=0.0)]
    usd_per_hour: Annotated[float, Field(gt=0.0)] | None = None


class Reserves(Section):
    """Terms by currency, and what each account holds beside its margin account, by currency; a debt is negative.

    `dollars` are currencies that count one USD each; all others are priced at the chain's index.
    """

    currencies: Annotated[Mapping[str, Fetched], Field(min_length=1)]
    holdings: Mapping[str, Mapping[str, float]]
    dollars: tuple[str, ...] = ("USD", "USDC")


def load_reserves(path: str | Path) -> Reserves:
    """The reserves of a YAML or JSON file; all problems are raised together, by line."""
    return parse(Reserves, read(path))
