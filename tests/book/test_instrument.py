"""Names of instruments, both ways."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book.instrument import Instrument, Kind, Settlement, deribit_name, generic_name, parse
from greekdrift.errors import InstrumentError


@pytest.mark.parametrize(
    ("name", "kind", "underlying", "currency", "settlement"),
    [
        ("BTC-27JUN25-100000-C", Kind.OPTION, "BTC", "BTC", Settlement.INVERSE),
        ("ETH-5JAN26-2900-P", Kind.OPTION, "ETH", "ETH", Settlement.INVERSE),
        ("BTC-26DEC25", Kind.FUTURE, "BTC", "BTC", Settlement.INVERSE),
        ("ETH-PERPETUAL", Kind.PERPETUAL, "ETH", "ETH", Settlement.INVERSE),
        ("SOL_USDC-PERPETUAL", Kind.PERPETUAL, "SOL", "USDC", Settlement.LINEAR),
        ("XRP_USDC-27JUN25-2d05-C", Kind.OPTION, "XRP", "USDC", Settlement.LINEAR),
        ("BTC_USDC", Kind.SPOT, "BTC", "USDC", Settlement.LINEAR),
        ("AAPL.USD-20230616T2000-150-C", Kind.OPTION, "AAPL", "USD", Settlement.LINEAR),
        ("AAPL.USD-20230616T2000-152.5-P", Kind.OPTION, "AAPL", "USD", Settlement.LINEAR),
        ("SPX.USD-20230616T2000", Kind.FUTURE, "SPX", "USD", Settlement.LINEAR),
        ("AAPL.USD-SPOT", Kind.SPOT, "AAPL", "USD", Settlement.LINEAR),
    ],
)
def test_known_forms(name: str, kind: Kind, underlying: str, currency: str, settlement: Settlement) -> None:
    instrument = parse(name)
    assert (instrument.kind, instrument.underlying) == (kind, underlying)
    assert (instrument.currency, instrument.settlement) == (currency, settlement)
    assert instrument.name == name


def test_decimal_strike_and_expiry_hour() -> None:
    option = parse("XRP_USDC-27JUN25-2d05-C")
    assert option.strike == 2.05
    assert option.is_call
    assert option.expiry == datetime(2025, 6, 27, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "BTC-27JUN25-100000-X",
        "BTC-32JUN25-100000-C",
        "BTC-27JUX25-1-C",
        "BTC-27JUN25-0-C",
        "AAPL.USD-20231399T2000-1-C",
        "btc-perpetual",
    ],
)
def test_wrong_names_are_refused_with_the_accepted_forms(name: str) -> None:
    with pytest.raises(InstrumentError):
        parse(name)


@given(
    st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2098, 1, 1)),
    st.integers(1, 10**9),
    st.booleans(),
    st.sampled_from(["", "USDC"]),
)
def test_deribit_names_survive_the_round_trip(day: datetime, mills: int, is_call: bool, currency: str) -> None:
    expiry = day.replace(hour=8, minute=0, second=0, microsecond=0, tzinfo=UTC)
    strike = mills / 1000.0
    option = parse(deribit_name("XRP", expiry, strike, is_call=is_call, currency=currency))
    assert (option.expiry, option.strike, option.is_call) == (expiry, strike, is_call)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(1, 10**9))
def test_generic_names_survive_the_round_trip(day: datetime, mills: int) -> None:
    expiry = day.replace(second=0, microsecond=0, tzinfo=UTC)
    option = parse(generic_name("AAPL", expiry, mills / 1000.0, is_call=False))
    assert (option.expiry, option.strike, option.is_call) == (expiry, mills / 1000.0, False)


def test_contradictory_contracts_are_refused() -> None:
    with pytest.raises(InstrumentError, match="strike"):
        Instrument(name="x", kind=Kind.OPTION, underlying="BTC", settlement=Settlement.INVERSE, currency="BTC")
    with pytest.raises(InstrumentError, match="paid in"):
        Instrument(name="x", kind=Kind.SPOT, underlying="BTC", settlement=Settlement.INVERSE, currency="USD")
