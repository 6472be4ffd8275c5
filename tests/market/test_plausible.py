"""Numbers of a chain file that contradict each other are refused by name, with what is wrong and what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Venue
from greekdrift.errors import ChainError, DataError
from greekdrift.market.parquet import read_chain
from greekdrift.units import instant

CALL = "BTC-27MAR26-70000-C"


@pytest.fixture
def read(rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
    """The first snapshot of the hand-written file, some cells of which are replaced."""

    def chain(cells: dict[tuple[int, str], object] | None = None, **columns: object) -> Chain:
        changed = rows.assign(**columns)
        for (at, column), value in (cells or {}).items():
            changed.loc[at, column] = value
        path = tmp_path / "changed_chain.parquet"
        changed.to_parquet(path, index=False)
        return read_chain(path, instant("2026-02-05T10:00:30Z"), venue=deribit)

    return chain


@pytest.mark.parametrize(
    ("cells", "fact"),
    [
        ({(0, "mark_iv"): 3.0}, rf"{CALL}: mark_iv 3 gives a price of 0.4226 but the mark is 0\.05071"),
        ({(1, "forward_price_usd"): 90_000.0}, r"BTC-27MAR26-70000-P: forward 90000 is not the 70400 of its expiry"),
        ({(0, "index_price_usd"): 1.0}, rf"{CALL}: index 1 is not the 69990 of the other rows"),
        ({(0, "index_price_usd"): -1.0}, rf"{CALL}: index -1 is not"),
        ({(0, "index_price_usd"): np.inf}, rf"{CALL}: index inf is not"),
        ({(0, "bid_price_coin"): 3_500.0, (0, "ask_price_coin"): 3_600.0}, rf"{CALL} has a bid of 3500 coin"),
        ({(at, "ask_price_coin"): 3_600.0 for at in (0, 2, 3)}, rf"{CALL} has an ask of 3600 coin.*a price in USD\?"),
    ],
)
def test_refused(read, cells: dict[tuple[int, str], object], fact: str):
    with pytest.raises(DataError, match=fact):
        read(cells)


@pytest.mark.parametrize("forward", [-1.0, 0.0, np.inf, np.nan])
def test_a_forward_that_is_none_is_called_so(read, forward: float):
    with pytest.raises(ChainError, match=rf"{CALL}: forward {forward} is not a positive number"):
        read({(0, "forward_price_usd"): forward})


def test_a_mark_that_is_infinite_is_called_so(read):
    with pytest.raises(ChainError, match=rf"{CALL}: mark inf is not a number"):
        read({(0, "mark_price_coin"): np.inf})


@pytest.mark.parametrize("volatility", [-0.5, 60.0, 1e300])
def test_a_volatility_that_is_none_is_called_so(read, volatility: float):
    with pytest.raises(ChainError, match=rf"{CALL}: mark_iv .* is not a volatility"):
        read({(0, "mark_iv"): volatility})


def test_single_asks_beyond_the_bound_are_a_seller_asking_much(read):
    assert read({(0, "ask_price_coin"): 14.0}).ask[0] == 14.0


def test_an_index_may_be_missing_in_a_row_and_differ_by_minutes(read):
    assert read({(0, "index_price_usd"): np.nan, (1, "index_price_usd"): 71_000.0}).index_price["BTC"] == 70_495.0


def test_a_zero_bid_is_no_bid(read):
    assert np.isnan(read({(0, "bid_price_coin"): 0.0}).bid[0])


def test_a_perpetual_whose_mark_is_not_its_forward(read):
    perpetual = {(0, "instrument_name"): "BTC-PERPETUAL", (0, "forward_price_usd"): 70_400.0}
    usd = {"bid_price_usd": np.nan, "ask_price_usd": np.nan, "mark_price_usd": np.nan}
    assert read(perpetual | {(0, "mark_price_usd"): 70_410.0}, **usd).mark[0] == 70_410.0
    with pytest.raises(DataError, match=r"BTC-PERPETUAL: mark 1 is not its forward 70400"):
        read(perpetual | {(0, "mark_price_usd"): 1.0}, **usd)


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (-0.5, r"changed_chain.parquet: BTC-27MAR26-70000-C has a bid_iv of -0.5"),
        (np.inf, r"changed_chain.parquet: BTC-27MAR26-70000-C has a bid_iv of inf"),
        (1e300, r"changed_chain.parquet: BTC-27MAR26-70000-C has a bid_iv of 1e\+300"),
        (54.0, r"median bid_iv is 54, which looks like points"),
    ],
)
def test_quoted_volatilities_are_held_to_the_same_units(read, rows: pd.DataFrame, value: float, fact: str):
    del rows["bid_price_coin"]
    with pytest.raises(DataError, match=fact):
        read(bid_iv=value)


def test_sizes_instants_and_labels_that_are_none(read):
    with pytest.raises(DataError, match=rf"{CALL} has a contract_size of 0; give a positive one or leave it empty"):
        read({(0, "contract_size"): 0.0}, contract_size=np.nan)
    with pytest.raises(DataError, match=rf"{CALL} has no known_at_utc; fill it in or drop the column"):
        read({(0, "known_at_utc"): pd.NaT}, known_at_utc=pd.Timestamp("2026-02-05T10:05Z"))
    with pytest.raises(DataError, match="more than one venue: deribit, derive; split the file by venue"):
        read({(1, "venue"): "derive"}, venue="deribit")
    with pytest.raises(DataError, match="more than one origin: modelled, recorded; split the file by origin"):
        read({(1, "origin"): "modelled"}, origin="recorded")
    with pytest.raises(DataError, match=rf"{CALL} has no origin; fill it in or drop the column"):
        read({(0, "origin"): None}, origin="recorded")


def test_times_as_numbers_are_refused(read, rows: pd.DataFrame):
    with pytest.raises(DataError, match="snapshot_ts_utc is not a column of times: it holds int64; write ISO 8601"):
        read(snapshot_ts_utc=rows["snapshot_ts_utc"].astype("int64"))
    with pytest.raises(DataError, match=r'not a column of times: "soon" in row 0; write ISO 8601 .*Z\.$'):
        read(snapshot_ts_utc="soon")
