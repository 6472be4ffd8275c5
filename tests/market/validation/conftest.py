"""Eight hourly snapshots of a small sound chain on disk, and a way to spoil them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Venue
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.config import load_venue
from greekdrift.greeks import compute
from greekdrift.market.ticks import outward
from greekdrift.market.validation.data_sets import SetValidation, validate_set
from greekdrift.market.validation.validate import Validation, validate

START = datetime(2026, 2, 5, 9, tzinfo=UTC)
EXPIRIES = tuple(datetime(2026, 2, 5, 8, tzinfo=UTC) + timedelta(days=days) for days in (8, 22, 50))
STRIKES = tuple(60_000.0 + 2_500.0 * step for step in range(9))
HOURS = 8
Spoil = Callable[[pd.DataFrame], None]


def snapshot(hour: int, venue: Venue) -> pd.DataFrame:
    """One hour: exact Black marks on a smile, quotes on the venue's ticks around them, its own deltas."""
    as_of = START + timedelta(hours=hour)
    index = 70_000.0 * (1.0 + 0.01 * sin(hour))
    cells = [(expiry, strike, side) for expiry in EXPIRIES for strike in STRIKES for side in (True, False)]
    names = [deribit_name("BTC", expiry, strike, is_call=side) for expiry, strike, side in cells]
    years = np.array([(expiry - as_of).total_seconds() / 31_536_000.0 for expiry, _, _ in cells])
    strike, is_call = np.array([cell[1] for cell in cells]), np.array([cell[2] for cell in cells])
    forward = index * (1.0 + 0.04 * years)
    k = np.log(strike / forward)
    volatility = 0.55 + 0.01 * sin(2.0 * hour) - 0.1 * k + 0.4 * k * k
    given = {"forward": forward, "strike": strike, "time_to_expiry": years, "is_call": is_call}
    made = compute(("price", "delta"), volatility=volatility, **given)
    mark = made["price"] / forward
    half = 0.0004 + 0.02 * mark
    bid, ask = outward(mark - half, mark + half, venue.product(parse(names[0])))
    return pd.DataFrame(
        {
            "snapshot_ts_utc": pd.Timestamp(as_of),
            "instrument_name": names,
            "bid_price_coin": bid,
            "ask_price_coin": ask,
            "mark_price_coin": mark,
            "mark_iv": volatility,
            "delta_bs": made["delta"],
            "forward_price_usd": forward,
            "index_price_usd": index,
            "open_interest_coin": 10.0,
            "volume_24h_coin": 1.0,
            "known_at_utc": pd.Timestamp(as_of + timedelta(minutes=2)),
        }
    )


@pytest.fixture(scope="session")
def six_hours(shared: Path) -> tuple[SetValidation, float]:
    """The described six-hour chains against their data, and how many seconds that took: once for all tests."""
    begun = perf_counter()
    path = Path(__file__).resolve().parents[3] / "configs" / "data" / "deribit_option_chain_6h.yaml"
    return validate_set(path, shared / "data", venue_of=load_venue), perf_counter() - begun


@pytest.fixture(scope="session")
def deribit() -> Venue:
    return load_venue("deribit")


@pytest.fixture(scope="session")
def sound_table(deribit: Venue) -> pd.DataFrame:
    return pd.concat([snapshot(hour, deribit) for hour in range(HOURS)], ignore_index=True)


@pytest.fixture
def table(sound_table: pd.DataFrame) -> pd.DataFrame:
    return sound_table.copy()


@pytest.fixture
def check(tmp_path: Path, deribit: Venue) -> Callable[..., Validation]:
    """Validation of a table, written as Parquet or CSV."""

    def validation(table: pd.DataFrame, *, ending: str = "parquet", **options: bool) -> Validation:
        path = tmp_path / f"spoilt_chain.{ending}"
        if ending == "csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)
        return validate(path, venue=deribit, **options)

    return validation
