"""Books as tables: one row a holding, from CSV or Parquet into accounts without mandates.

    account_id,instrument,quantity
    maker,BTC-27MAR26-90000-C,-10
    maker,BTC-PERPETUAL,150000
    maker,BTC,12.5                  a currency or coin: collateral
    maker,USDC,50000

`account` may stand for `account_id`, and `instrument_name` for `instrument`; further columns are left alone. What an
account may do takes a mandate, and a mandate takes YAML or JSON.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any

from greekdrift.book import Account, Position
from greekdrift.errors import BookError, InstrumentError, nearest

ENDINGS = (".csv", ".parquet")

_COLUMNS = (("account_id", "account"), ("instrument", "instrument_name"), ("quantity",))
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{1,9}")


def read_table(path: Path) -> tuple[Account, ...]:
    """The accounts of a CSV or Parquet file, in order of their first row."""
    columns, rows = _csv(path) if path.suffix == ".csv" else _parquet(path)
    if "snapshot_ts_utc" in columns:
        raise BookError(f"{path} is a chain, not a book; give it with --chain, and the book with --book.")
    return accounts(columns, rows, where=path.name)


def accounts(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, where: str) -> tuple[Account, ...]:
    """Accounts from rows; the row of a holding that cannot be is named.

    >>> rows = [{"account": "a", "instrument": "BTC-PERPETUAL", "quantity": "10"},
    ...         {"account": "a", "instrument": "BTC", "quantity": "2"}]
    >>> (found,) = accounts(["account", "instrument", "quantity"], rows, where="book.csv")
    >>> found.quantities(), dict(found.collateral)
    ({'BTC-PERPETUAL': 10.0}, {'BTC': 2.0})
    """
    account, instrument, quantity = (_column(columns, words, where=where) for words in _COLUMNS)
    positions: dict[str, list[Position]] = {}
    collateral: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, start=1):
        place = f"{where}, row {number}"
        name, held = str(row[account] or "").strip(), str(row[instrument] or "").strip()
        if not name:
            raise BookError(f"{place}: there is no {account}; fill it in.")
        amount = _number(row[quantity], place)
        lines, coins = positions.setdefault(name, []), collateral.setdefault(name, {})
        if _CURRENCY.fullmatch(held):
            if held in coins:
                raise BookError(f"{place}: {name} holds {held} twice; give one row.")
            coins[held] = amount
        else:
            lines.append(_position(held, amount, place))
    if not positions:
        raise BookError(f"{where} holds no row; write one a holding: account_id,instrument,quantity.")
    return tuple(
        Account(account_id=name, collateral=collateral[name], positions=tuple(lines))
        for name, lines in positions.items()
    )


def _column(columns: Sequence[str], words: Sequence[str], *, where: str) -> str:
    if not columns:
        raise BookError(f"{where} is empty; write a header, account_id,instrument,quantity, and a row a holding.")
    for word in words:
        if word in columns:
            return word
    raise BookError(
        f'{where} has no column "{words[0]}"; {nearest(words[0], columns)} A book has account_id, instrument, quantity.'
    )


def _number(value: Any, place: str) -> float:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = float("nan")
    if not isfinite(amount):
        raise BookError(f'{place}: the quantity "{value}" is not a number; write signed contracts or units.')
    return amount


def _position(name: str, amount: float, place: str) -> Position:
    try:
        return Position.of(name, amount)
    except InstrumentError as problem:
        raise BookError(f"{place}: {problem}") from None


def _csv(path: Path) -> tuple[Sequence[str], list[dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = [name.strip() for name in next(reader, [])]
            rows = [dict(zip(columns, row, strict=False)) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise BookError(f"{path} cannot be read as CSV ({problem}); check the path and write it again.") from None
    short = next((number for number, row in enumerate(rows, start=1) if len(row) < len(columns)), None)
    if short is not None:
        raise BookError(f"{path.name}, row {short}: fewer cells than columns; fill it in.")
    return columns, rows


def _parquet(path: Path) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """Columns and rows of a Parquet file; the package that reads it is loaded only now."""
    parquet: Any = import_module("pyarrow.parquet")
    try:
        columns: list[str] = parquet.read_schema(path).names
        return columns, [] if "snapshot_ts_utc" in columns else parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as problem:
        raise BookError(f"{path} cannot be read as Parquet ({problem}); check the path and write it again.") from None
