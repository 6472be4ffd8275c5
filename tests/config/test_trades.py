"""Trades from a CSV file, and what is refused by line and column."""

from pathlib import Path

import pytest

from greekdrift.config.trades import read_trades
from greekdrift.errors import DataError


def written(folder: Path, *lines: str) -> Path:
    path = folder / "trades.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_trades_in_any_order_of_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path, "quantity,note,seller,buyer,instrument", "2.5,x,b,a,BTC-PERPETUAL", "", "1e1,,a,b,BTC-PERPETUAL"
    )
    assert read_trades(path) == [("a", "b", "BTC-PERPETUAL", 2.5), ("b", "a", "BTC-PERPETUAL", 10.0)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,a,BTC-PERPETUAL,1", r"line 2, column seller: \"a\" is the buyer too"),
        ("a,,BTC-PERPETUAL,1", 'line 2, column seller: "" is empty'),
        ("a,b,BTC-PERPETUAL,-1", 'column quantity: "-1" is not above 0'),
        ("a,b,BTC-PERPETUAL,nan", "is not a number"),
        ("a,b,BTC-PERPETUAL", "3 cells for 4 columns"),
    ],
)
def test_a_bad_line_is_refused_by_its_place(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_trades(written(tmp_path, "buyer,seller,instrument,quantity", line))


def test_a_missing_column_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no column "quantity"; did you mean "quantities"'):
        read_trades(written(tmp_path, "buyer,seller,instrument,quantities", "a,b,X,1"))
    with pytest.raises(DataError, match="has no trades"):
        read_trades(written(tmp_path, "buyer,seller,instrument,quantity"))
    with pytest.raises(DataError, match="cannot be read"):
        read_trades(tmp_path / "absent.csv")
