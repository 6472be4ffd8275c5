"""Names of others as ours."""

from datetime import UTC, datetime

import pytest

from greekdrift.book import Venue
from greekdrift.errors import InstrumentError
from greekdrift.market import names


@pytest.mark.parametrize(
    ("theirs", "own"),
    [
        ("BTC-28MAR25-92000-C", "BTC-28MAR25-92000-C"),
        ("btc-28mar25-92000-c", "BTC-28MAR25-92000-C"),
        ("BTC-USD-250328-92000-C", "BTC-28MAR25-92000-C"),
        ("BTC-USD-250328", "BTC-28MAR25"),
        ("BTC-USD-SWAP", "BTC-PERPETUAL"),
        ("BTC/USD:BTC-250328-92000-P", "BTC-28MAR25-92000-P"),
        ("BTC/USD:BTC", "BTC-PERPETUAL"),
        ("BTC/USDT:USDT-250328-92000-P", "BTC_USDT-28MAR25-92000-P"),
        ("XRP/USDC:USDC-250328-2.05-C", "XRP_USDC-28MAR25-2d05-C"),
        ("AAPL.USD-20230616T2000-150-C", "AAPL.USD-20230616T2000-150-C"),
    ],
)
def test_forms_of_crypto_venues(theirs: str, own: str, deribit: Venue) -> None:
    assert names.ours(theirs, venue=deribit) == own


def test_occ_symbols_expire_at_the_venues_hour(equity: Venue) -> None:
    assert names.ours("SPXW  110107C01050500", venue=equity) == "SPXW.USD-20110107T2100-1050.5-C"


@pytest.mark.parametrize(
    "name", ["", "BTC", "BTC-USD-251332-1-C", "AAPL 2023 150 C", "BTC/USD", "🙂", "BTC-USD-250328-0-C"]
)
def test_what_is_no_name_is_refused(name: str, deribit: Venue) -> None:
    with pytest.raises(InstrumentError):
        names.ours(name, venue=deribit)


def test_a_coin_settled_name_cannot_expire_at_another_hour(equity: Venue) -> None:
    with pytest.raises(InstrumentError, match="21:00 UTC, not at 08:00"):
        names.ours("BTC-USD-250328-92000-C", venue=equity)
    with pytest.raises(InstrumentError, match="this one at 21:00"):
        names.made("BTC", datetime(2025, 3, 28, 21, tzinfo=UTC), 9e4, is_call=True, is_inverse=True)


def test_the_share_of_names_that_can_be_read(deribit: Venue) -> None:
    assert names.readable(["BTC-PERPETUAL", "nonsense"], venue=deribit) == 0.5
    assert names.readable([], venue=deribit) == 0.0
