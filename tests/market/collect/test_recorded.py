"""What the venue really sent, and a recorded chain sent through the collector again."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from greekdrift.config import load_venue
from greekdrift.market.collect import payload, table
from greekdrift.market.collect.mirror import Mirror, Outcome
from greekdrift.market.collect.rejects import Rejects
from greekdrift.market.collect.store import Batch, Store
from greekdrift.market.parquet import read_chain

pytestmark = pytest.mark.shared


@pytest.fixture
def recorded(shared: Path) -> Any:
    folder = shared / "data" / "api_payloads" / "recorded"
    return lambda name: json.loads((folder / f"{name}.json").read_text())


@pytest.fixture
def documented(shared: Path) -> Any:
    folder = shared / "data" / "api_payloads" / "deribit_docs_examples"
    return lambda name: json.loads((folder / f"{name}.json").read_text())["examples"][0]["result"]


def mirror() -> Mirror:
    made = Mirror()
    made.list({"BTC-PERPETUAL": "BTC"})
    return made


def test_streamed_messages_are_taken(recorded: Any) -> None:
    made = mirror()
    assert made.ticker(recorded("deribit_ws_ticker")["params"]["data"]) is Outcome.APPLIED
    assert made.tickers["BTC-PERPETUAL"].numbers[3] == 92_281.78
    assert made.series["BTC", "index"][0] == 92_263.55
    assert made.series["BTC", "funding_8h"][0] == 0.00001742
    assert made.volatility_index(recorded("deribit_ws_volatility_index")["params"]["data"]) is Outcome.APPLIED
    assert made.series["BTC", "dvol"][0] == pytest.approx(1.2936)


def test_a_book_snapshot_and_its_change_are_taken(recorded: Any) -> None:
    made = mirror()
    snapshot = recorded("deribit_ws_book_snapshot")["params"]["data"]
    change = recorded("deribit_ws_book_delta")["params"]["data"]
    assert made.book(snapshot) is Outcome.APPLIED
    assert made.book(change) is Outcome.APPLIED
    bids, asks = made.books["BTC-PERPETUAL"].best(3)
    assert bids == [(42_500.0, 950.0), (42_499.5, 500.0), (42_499.0, 750.0)]
    assert asks == [(42_501.5, 700.0), (42_502.0, 400.0), (42_502.5, 900.0)]


def test_listing_and_order_book_are_read(recorded: Any, documented: Any) -> None:
    rejects = Rejects()
    found = payload.listing(recorded("deribit_http_get_instruments")["result"], currency="BTC", rejects=rejects)
    assert found.contract_size["BTC-PERPETUAL"] == 10.0
    assert rejects.counts() == {"bad_name": 1}  # a combination is no contract of a chain
    _, bids, asks = payload.levels(recorded("deribit_http_get_order_book")["result"], deepest=10)
    assert (bids[0], asks[0]) == ((87_002.5, 199_190.0), (87_003.0, 125_090.0))
    _, bids, asks = payload.levels(documented("get_order_book"), deepest=10)
    assert (len(bids), len(asks)) == (3, 0)


def test_the_documented_answers_are_read_or_refused_as_what_they_are(documented: Any) -> None:
    assert payload.funding(documented("ticker"))["funding_8h"] == 2.203e-05
    rejects = Rejects()
    assert not payload.summary(
        documented("get_book_summary_by_currency"), currency="ETH", kind="option", rejects=rejects
    ).rows
    assert rejects.counts() == {"missing_field": 1}
    with pytest.raises(Exception, match="unit"):
        payload.volatility_index(documented("get_volatility_index_data"))


@pytest.fixture(scope="module")
def real(shared: Path) -> pd.DataFrame:
    whole = pq.read_table(shared / "data" / "deribit_option_chain_6h" / "btc_chain.parquet").to_pandas()
    stamps = whole["snapshot_ts_utc"].unique()
    return whole[whole["snapshot_ts_utc"] == stamps[len(stamps) // 2]].reset_index(drop=True)


def test_a_recorded_chain_sent_again_is_collected_whole(real: pd.DataFrame, tmp_path: Path) -> None:
    as_of = real["snapshot_ts_utc"].iloc[0].to_pydatetime()
    nothing = lambda value: None if np.isnan(value) else float(value)  # noqa: E731
    rows = [
        {
            "instrument_name": row.instrument_name,
            "creation_timestamp": int(as_of.timestamp() * 1000),
            "bid_price": nothing(row.bid_price_coin),
            "ask_price": nothing(row.ask_price_coin),
            "mark_price": row.mark_price_coin,
            "mark_iv": 100.0 * row.mark_iv,
            "underlying_price": row.forward_price_usd,
            "underlying_index": row.forward_name,
            "open_interest": row.open_interest_coin,
            "volume": row.volume_24h_coin,
            "volume_usd": nothing(row.volume_24h_usd),
        }
        for row in real.itertuples()
    ]
    rejects = Rejects()
    quotes = payload.summary(json.loads(json.dumps(rows)), currency="BTC", kind="option", rejects=rejects)
    found = table.checked(
        quotes,
        as_of=as_of,
        known_at=as_of + timedelta(seconds=2),
        index={"BTC": float(real["index_price_usd"].median())},
        contract_size=dict.fromkeys(real["instrument_name"], 1.0),
        rejects=rejects,
        tolerance=table.Tolerance(),
    )
    made = table.chain_table(found)
    assert rejects.total == 0
    again = made.to_pandas().set_index("instrument_name").loc[real["instrument_name"]].reset_index()
    for column in ("strike_usd", "bid_price_coin", "ask_price_coin", "mark_price_coin", "forward_price_usd"):
        np.testing.assert_array_equal(again[column], real[column])
    np.testing.assert_allclose(again["mark_iv"], real["mark_iv"], rtol=1e-14)
    np.testing.assert_allclose(
        again["time_to_expiry_years_act365"], real["time_to_expiry_years_act365"], rtol=1e-6, atol=1e-9
    )
    assert (again["delta_bs"] - real["delta_bs"]).abs().median() < 0.002
    assert set(real.columns) <= set(again.columns)
    with Store(tmp_path) as store:
        entry = store.append(Batch(key="chain", as_of=as_of, known_at=found.known_at, tables={"chain": made}))
    assert entry.size < 250 * len(real)
    assert len(read_chain(tmp_path, venue=load_venue("deribit"))) == len(real) + 1
