"""Equal records have equal digests, whatever kind of number they were made with."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Band, Claim, Mandate, Order, Position, digest
from greekdrift.book.instrument import parse


def _mandate(number: type) -> Mandate:
    band = Band(greek="vega", underlying="BTC", lower=number(-1), upper=number(1), tenor_days=(number(0), number(30)))
    return Mandate(
        rule_set="x",
        bands=(band,),
        liquidity_buffer_usd=number(5),
        venues=("deribit",),
        max_order_notional_usd=number(7),
        max_cost_usd=number(1),
        price_of_breach={"vega": number(2)},
        valid_for_seconds=number(900),
    )


def _claim(number: type) -> Claim:
    money = {"initial_margin_usd": number(1), "maintenance_margin_usd": number(1), "equity_usd": number(2)}
    return Claim(greeks={"BTC vega": number(3)}, cash={"USD": number(4)}, cost_usd=number(0), **money)


RECORDS = {
    "position": lambda number: Position.of("BTC-PERPETUAL", number(10)),
    "account": lambda number: Account(
        account_id="a", collateral={"BTC": number(1)}, positions=(Position.of("BTC-PERPETUAL", number(3)),)
    ),
    "mandate": _mandate,
    "claim": _claim,
    "order": lambda number: Order(
        instrument=parse("BTC-PERPETUAL"), quantity=number(2), limit_price=number(5), leg=0, reason=""
    ),
}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("number", [int, np.float64, np.int64])
def test_the_kind_of_number_does_not_change_the_digest(make, number) -> None:
    assert make(number) == make(float)
    assert digest(make(number)) == digest(make(float))


def test_no_aversion_stays_none() -> None:
    assert _mandate(int).risk_aversion is None
    assert replace(_mandate(int), risk_aversion=2).risk_aversion == 2.0
