"""Trades between participants, from a CSV file with the columns buyer, seller, instrument and quantity."""

from pathlib import Path

from greekdrift.config.rows import rows_of
from greekdrift.errors import DataError

COLUMNS = ("buyer", "seller", "instrument", "quantity")

Trade = tuple[str, str, str, float]


def read_trades(path: Path) -> list[Trade]:
    """Trades (buyer, seller, instrument, contracts) in the order of the file; a short is the long of the other side.

    An empty cell, a quantity that is no positive number, a trade with oneself and an empty file are refused by line.
    """
    found: list[Trade] = []
    for row in rows_of(path, COLUMNS):
        for column in COLUMNS[:3]:
            if not row.cells[column]:
                raise row.wrong(column, "is empty; fill it in")
        buyer, seller, instrument = (row.cells[column] for column in COLUMNS[:3])
        if buyer == seller:
            raise row.wrong("seller", "is the buyer too; name two participants")
        found.append((buyer, seller, instrument, row.number("quantity", above=0.0)))
    if not found:
        raise DataError(f"{path.name} has no trades; add a line for each.")
    return found
