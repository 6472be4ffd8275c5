"""Accounts, mandates, adjustments, scenarios, venues and their one encoding."""

from datetime import UTC, date, datetime
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book import (
    Account,
    Band,
    Mandate,
    Order,
    Position,
    Product,
    Scenarios,
    Settlement,
    Venue,
    canonical,
    digest,
)
from greekdrift.book.instrument import Instrument, Kind, parse
from greekdrift.errors import BookError, ConfigError, InputError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("amount", [np.nan, -np.inf, 1e308])
def test_amounts_that_nobody_holds_are_refused(amount: float) -> None:
    with pytest.raises(BookError, match=r"BTC-PERPETUAL: quantity .* is not a number within"):
        Position.of("BTC-PERPETUAL", amount)
    with pytest.raises(BookError, match=r"a: collateral BTC .* is not a number within"):
        Account(account_id="a", collateral={"BTC": amount}, positions=())


def test_bands_name_the_nearest_greek_and_measure_distance() -> None:
    with pytest.raises(BookError, match='did you mean "gamma"'):
        Band(greek="gama", underlying="BTC", lower=0.0, upper=1.0)
    with pytest.raises(BookError, match="below upper"):
        Band(greek="gamma", underlying="BTC", lower=1.0, upper=1.0)
    band = Band(greek="vega", underlying="BTC", lower=-2.0, upper=1.0, tenor_days=(0.0, 30.0))
    assert [band.distance_outside(x) for x in (-3.0, 0.0, 1.5)] == [1.0, 0.0, 0.5]
    assert band.label == "BTC vega 0-30d"


def test_mandates_refuse_numbers_that_cannot_be() -> None:
    with pytest.raises(BookError, match="max_participation"):
        Mandate(
            rule_set="x",
            bands=(),
            liquidity_buffer_usd=0.0,
            venues=(),
            max_order_notional_usd=1.0,
            max_cost_usd=1.0,
            max_participation=0.0,
        )
    with pytest.raises(BookError, match="liquidity_buffer_usd"):
        Mandate(
            rule_set="x",
            bands=(),
            liquidity_buffer_usd=float("nan"),
            venues=(),
            max_order_notional_usd=1.0,
            max_cost_usd=1.0,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_of_breach": {"delta": -1.0}},
        {"price_of_breach": {"delta": float("nan")}},
        {"price_of_breach": {"vega": float("inf")}},
        {"risk_aversion": 0.0},
        {"risk_aversion": -1e-6},
        {"risk_aversion": float("nan")},
        {"gamma_fade_days": -1.0},
        {"gamma_fade_days": float("nan")},
        {"valid_for_seconds": float("inf")},
        {"valid_for_seconds": 1e14},
        {"valid_for_seconds": float("nan")},
    ],
)
def test_mandates_refuse_what_no_policy_can_use(wrong: dict) -> None:
    """A price below 0 would pay for a breach, an aversion of 0 divides by it, a validity without end never dies."""
    with pytest.raises(BookError, match=f"mandate: {next(iter(wrong))}"):
        Mandate(
            rule_set="x",
            bands=(),
            liquidity_buffer_usd=0.0,
            venues=(),
            max_order_notional_usd=1.0,
            max_cost_usd=1.0,
            **wrong,
        )


def test_accounts_refuse_a_line_listed_twice_and_numbers_that_are_none() -> None:
    with pytest.raises(BookError, match="twice"):
        Account(
            account_id="a", collateral={}, positions=(Position.of("BTC-PERPETUAL", 1), Position.of("BTC-PERPETUAL", 2))
        )
    with pytest.raises(BookError, match="not a number"):
        Position.of("BTC-PERPETUAL", float("nan"))
    with pytest.raises(BookError, match="collateral"):
        Account(account_id="a", collateral={"BTC": float("inf")}, positions=())


def test_orders_need_a_size_and_a_price() -> None:
    perpetual = parse("BTC-PERPETUAL")
    with pytest.raises(BookError, match="quantity"):
        Order(instrument=perpetual, quantity=0.0, limit_price=1.0, leg=0, reason="")
    with pytest.raises(BookError, match="limit price"):
        Order(instrument=perpetual, quantity=1.0, limit_price=-1.0, leg=0, reason="")


def _scenarios(**changes: object) -> Scenarios:
    arguments: dict[str, object] = {
        "underlyings": ("BTC",),
        "factors": ("forward",),
        "horizons": np.array([6.0, 24.0]),
        "increments": np.zeros((3, 2, 1, 1)),
        "weights": np.full(3, 1 / 3),
        "as_of": NOW,
        "known_at": NOW,
        "provenance": "test",
    }
    return Scenarios(**(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"increments": np.zeros((2, 2, 1, 1))},
        {"increments": np.full((3, 2, 1, 1), np.nan)},
        {"weights": np.full(3, 0.5)},
        {"horizons": np.array([24.0, 6.0])},
        {"horizons": np.array([-1.0, 6.0])},
        {"horizons": np.array([6.0, np.nan])},
        {"horizons": np.array([6.0, np.inf])},
        {"increments": np.full((3, 2, 1, 1), -800.0)},
        {"underlyings": ("BTC", "BTC"), "increments": np.zeros((3, 2, 2, 1))},
    ],
)
def test_scenarios_refuse_what_is_no_law(changes: dict[str, object]) -> None:
    assert _scenarios().n == 3
    with pytest.raises(InputError):
        _scenarios(**changes)


def test_fees_have_the_premium_cap() -> None:
    option = Product(
        kind=Kind.OPTION, settlement=Settlement.INVERSE, underlying="*", tick=0.0001, lot=0.1, contract_size=1.0,
        taker_fee=0.0003, maker_fee=0.0003, fee_cap=0.125, tick_steps=((0.005, 0.0005),),
    )  # fmt: skip
    assert option.fee_usd(-2.0, price_usd=1000.0, index_usd=100_000.0) == pytest.approx(60.0)
    assert option.fee_usd(2.0, price_usd=8.0, index_usd=100_000.0) == pytest.approx(2.0)
    assert (option.tick_at(0.004), option.tick_at(0.005)) == (0.0001, 0.0005)
    venue = Venue(
        name="v",
        dated=date(2026, 1, 1),
        source="",
        sha256="",
        settlement_hour_utc=8,
        settlement_average_minutes=30.0,
        products=(option,),
    )
    assert venue.product(parse("ETH-5JAN26-2900-P")) is option
    with pytest.raises(ConfigError, match="perpetual"):
        venue.product(parse("ETH-PERPETUAL"))


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text()))
def test_the_encoding_does_not_depend_on_order(record: dict[str, object]) -> None:
    assert canonical(record) == canonical(dict(reversed(record.items())))


def test_the_encoding_refuses_nan_and_strangers_and_knows_no_negative_zero() -> None:
    assert canonical(-0.0) == b"0.0"
    assert digest(np.array([0.0, np.nan])) == digest(np.array([-0.0, np.nan]))
    assert digest(np.array([1.0, 2.0])) != digest(np.array([[1.0, 2.0]]))
    with pytest.raises(InputError, match="None"):
        canonical({"a": float("nan")})
    with pytest.raises(InputError, match="no canonical form"):
        canonical(object())


def test_instants_and_days_are_iso_8601() -> None:
    assert canonical({"at": NOW, "on": date(2026, 2, 5)}) == b'{"at":"2026-01-01T00:00:00Z","on":"2026-02-05"}'


def test_an_instrument_is_encoded_as_its_fields_and_alike_however_it_was_made() -> None:
    name = "BTC-27JUN25-100000-C"
    parsed = parse(name)
    fields: dict[str, object] = {"name": name, "kind": Kind.OPTION, "underlying": "BTC", "currency": "BTC"}
    fields |= {"settlement": Settlement.INVERSE, "expiry": parsed.expiry, "is_call": True}
    made = Instrument(strike=100_000, **fields)  # type: ignore[arg-type]
    for first, second in ((made, parsed), (parsed, made)):
        assert canonical(first) == canonical(fields | {"strike": 100_000.0}) == canonical(second)


def test_a_chain_of_two_thousand_rows_is_digested_in_milliseconds() -> None:
    instruments = tuple(parse(f"BTC-27JUN25-{strike}-C") for strike in range(1_000, 3_000))
    digest(instruments)
    seconds = []
    for _ in range(5):
        begin = process_time()
        digest(instruments)
        seconds.append(process_time() - begin)
    assert min(seconds) < 0.03
