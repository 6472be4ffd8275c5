"""A hand-written chain file: two coins, two snapshots, one option each way, and the venues it is read with."""

from pathlib import Path

import pandas as pd
import pytest

from greekdrift.book import Venue
from greekdrift.config import load_venue

ROWS = [
    # stamp, instrument, bid, ask, mark, iv, forward, index, open interest, volume
    ("2026-02-05 10:00:00", "BTC-27MAR26-70000-C", 0.0500, 0.0515, 0.05071, 0.552, 70_400.0, 70_010.0, 12.5, 3.1),
    ("2026-02-05 10:00:00", "BTC-27MAR26-70000-P", 0.0440, None, 0.04503, 0.552, 70_400.0, 70_000.0, 8.0, 0.0),
    ("2026-02-05 10:00:00", "BTC-27MAR26-20000-P", None, 0.0005, 0.0, 1.40, 70_400.0, 69_990.0, 100.0, 0.0),
    ("2026-02-05 10:00:30", "ETH-27MAR26-2000-C", 0.0820, 0.0835, 0.08277, 0.731, 2_105.0, 2_100.0, 70.0, 5.0),
    ("2026-02-05 16:00:00", "BTC-27MAR26-70000-C", 0.0480, 0.0495, 0.04871, 0.561, 69_900.0, 69_500.0, 12.5, 3.1),
    ("2026-02-05 16:00:30", "ETH-27MAR26-2000-C", 0.0800, 0.0815, 0.08077, 0.742, 2_085.0, 2_080.0, 70.0, 5.0),
    ("2026-02-05 22:00:00", "BTC-27MAR26-70000-C", 0.0470, 0.0485, 0.04771, 0.558, 69_700.0, 69_300.0, 12.5, 3.1),
]
COLUMNS = (
    "snapshot_ts_utc",
    "instrument_name",
    "bid_price_coin",
    "ask_price_coin",
    "mark_price_coin",
    "mark_iv",
    "forward_price_usd",
    "index_price_usd",
    "open_interest_coin",
    "volume_24h_coin",
)


@pytest.fixture
def rows() -> pd.DataFrame:
    table = pd.DataFrame(ROWS, columns=list(COLUMNS))
    return table.assign(snapshot_ts_utc=pd.to_datetime(table["snapshot_ts_utc"], utc=True))


@pytest.fixture
def chain_file(rows: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "two_coins_chain.parquet"
    rows.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="session")
def deribit() -> Venue:
    return load_venue("deribit")


@pytest.fixture(scope="session")
def equity() -> Venue:
    return load_venue("equity")
