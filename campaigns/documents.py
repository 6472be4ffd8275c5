"""Files that people write, as targets: books of holdings, venue facts, rule sets, descriptions of data sets."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from campaigns.tries import Defect, Try, struck

from campaigns import mutations
from greekdrift.book import Account
from greekdrift.config import load_rules, load_venue
from greekdrift.config.books import load_accounts
from greekdrift.config.data_set import load_data_set
from greekdrift.config.document import read
from greekdrift.errors import GreekdriftError

ROOT = Path(__file__).resolve().parents[1]
FACTS = ROOT / "src" / "greekdrift" / "config" / "data"
TABLE = """account_id,instrument,quantity
maker,BTC-27MAR26-90000-C,-10
maker,BTC-PERPETUAL,150000
maker,BTC,12.5
vault,ETH-27MAR26-3000-P,4
vault,USDC,50000
"""


def _values(path: Path) -> dict[str, Any]:
    document = read(path)
    return document.values  # noqa: PD011 - of a document, not of a frame


def _texts(path: Path, rng: random.Random, values: Any, target: Path) -> Path:
    """A document mutated by meaning or by bytes, written as YAML or JSON beside `target`."""
    if rng.random() < 0.6:
        made = target.with_suffix(rng.choice((".json", ".yaml")))
        made.write_bytes(mutations.document(values, rng))
    else:
        made = target.with_suffix(".yaml")
        made.write_bytes(mutations.content(path.read_bytes(), rng))
    return made


@contextmanager
def holdings(folder: Path, _seed: int) -> Iterator[Try]:
    """Books: documents of accounts with mandates, and tables of holdings in text and Parquet."""
    books = [(path, _values(path)) for path in sorted((ROOT / "configs" / "books").glob("*.yaml"))]
    whole = folder / "whole.parquet"
    pd.DataFrame(
        [line.split(",") for line in TABLE.splitlines()[1:]], columns=["account_id", "instrument", "quantity"]
    ).astype({"quantity": float}).to_parquet(whole, index=False)
    data = whole.read_bytes()

    def attempt(rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.5:
            path, values = rng.choice(books)
            path = _texts(path, rng, values, folder / "book")
        elif kind < 0.8:
            path = folder / "book.csv"
            path.write_bytes(mutations.lines(TABLE, rng))
        else:
            path = folder / "book.parquet"
            path.write_bytes(struck(data, rng))
        try:
            found = load_accounts(path)
        except GreekdriftError:
            return "refused"
        _check_accounts(found)
        return "taken"

    yield attempt


def _check_accounts(accounts: tuple[Account, ...]) -> None:
    for one in accounts:
        held = [*one.collateral.values(), *(position.quantity for position in one.positions)]
        if not np.all(np.isfinite(np.array(held, dtype=np.float64))):
            raise Defect("an account holds no number")
    if len({one.account_id for one in accounts}) != len(accounts):
        raise Defect("an account stands twice")


@contextmanager
def facts(folder: Path, _seed: int) -> Iterator[Try]:
    """Venue files, rule sets and descriptions of data sets, of those that come with the project."""
    doors: tuple[tuple[Path, Callable[[Path], Any]], ...] = (
        (FACTS / "venues", load_venue),
        (FACTS / "rules", load_rules),
        (ROOT / "configs" / "data", load_data_set),
    )
    sound = [(path, _values(path), load) for where, load in doors for path in sorted(where.glob("*.yaml"))]

    def attempt(rng: random.Random) -> str:
        path, values, load = rng.choice(sound)
        made = _texts(path, rng, values, folder / path.stem)
        try:
            load(made)
        except GreekdriftError:
            return "refused"
        finally:
            made.unlink()
        return "taken"

    yield attempt
