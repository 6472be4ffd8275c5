"""Books as tables: the same accounts from CSV and Parquet, and a place for each mistake."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.config import load_accounts
from greekdrift.errors import BookError

ROWS = [
    {"account_id": "maker", "instrument": "BTC-27MAR26-90000-C", "quantity": -10.0, "note": "short"},
    {"account_id": "maker", "instrument": "BTC", "quantity": 12.5, "note": ""},
    {"account_id": "vault", "instrument": "BTC_USDC-PERPETUAL", "quantity": 2.0, "note": ""},
]


def _csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_csv_and_parquet_are_the_same_book(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "book.parquet")
    lines = [", ".join(ROWS[0]), *(",".join(str(value) for value in row.values()) for row in ROWS)]
    text = _csv(tmp_path / "book.csv", "\n".join(lines) + "\n\n")
    found = load_accounts(text)
    assert found == load_accounts(tmp_path / "book.parquet")
    assert [account.account_id for account in found] == ["maker", "vault"]
    assert found[0].quantities() == {"BTC-27MAR26-90000-C": -10.0}
    assert found[0].collateral == {"BTC": 12.5}
    assert all(account.mandate is None for account in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("account_id,instrument,quantity\n", "holds no row"),
        ("account_id,instrumnt,quantity\na,BTC,1\n", 'no column "instrument"; did you mean "instrumnt"'),
        ("account_id,instrument,quantity\n,BTC,1\n", "row 1: there is no account_id"),
        ("account_id,instrument,quantity\na,BTC,many\n", 'row 1: the quantity "many" is not a number'),
        ("account_id,instrument,quantity\na,BTC,nan\n", "is not a number"),
        ("account_id,instrument,quantity\na,BTC,1\na,BTC,2\n", "row 2: a holds BTC twice"),
        ("account_id,instrument,quantity\na,BTC-27MAR26-90000-X,1\n", "row 1: .*is not an instrument name"),
        ("account_id,instrument,quantity\na,BTC-PERPETUAL,1\na,BTC-PERPETUAL,1\n", "listed twice"),
        ("account_id,instrument,quantity\na,BTC\n", "row 1: fewer cells than columns"),
        ("snapshot_ts_utc,instrument_name\n2026,BTC\n", "is a chain, not a book"),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BookError, match=message):
        load_accounts(_csv(tmp_path / "book.csv", text))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for name in ("absent.csv", "absent.parquet"):
        with pytest.raises(BookError, match="cannot be read"):
            load_accounts(tmp_path / name)
    with pytest.raises(BookError, match="cannot be read as Parquet"):
        load_accounts(_csv(tmp_path / "text.parquet", "account_id,instrument\n"))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BookError, match="cannot be read as CSV"):
        load_accounts(tmp_path / "bytes.csv")
