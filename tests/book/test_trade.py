"""Bookkeeping of trades: payments by currency, and the cost of an order."""

from collections.abc import Callable

import pytest

from greekdrift.book import Account, Chain, Order, Position, Venue, after_orders, order_cost_usd
from greekdrift.config import load_venue

MakeChain = Callable[..., Chain]


@pytest.fixture(scope="module")
def deribit() -> Venue:
    return load_venue("deribit")


def order(chain: Chain, name: str, quantity: float, limit_price: float) -> Order:
    instrument = chain.instruments[chain.row_of[name]]
    return Order(instrument=instrument, quantity=quantity, limit_price=limit_price, leg=1, reason="delta")


def test_an_inverse_option_is_paid_in_the_coin(make_chain: MakeChain, deribit: Venue) -> None:
    chain = make_chain()
    account = Account(account_id="a", collateral={"BTC": 1.0, "USDC": 5.0}, positions=())
    buy = order(chain, "BTC-31JAN26-100000-C", 2.0, 0.08)
    after = after_orders(account, [buy], chain, deribit)
    assert dict(after.collateral) == pytest.approx({"BTC": 1.0 - 2.0 * 0.08 - 2.0 * 0.0003, "USDC": 5.0})
    assert after.quantities() == {"BTC-31JAN26-100000-C": 2.0}
    assert account.quantities() == {}
    worse = 2.0 * (0.08 - chain.mark[chain.row_of["BTC-31JAN26-100000-C"]]) * 100_000.0
    assert order_cost_usd(buy, chain, deribit) == pytest.approx(worse + 2.0 * 30.0)


def test_the_fee_of_a_cheap_option_is_capped_by_its_premium(make_chain: MakeChain, deribit: Venue) -> None:
    chain = make_chain()
    account = Account(account_id="a", collateral={}, positions=())
    after = after_orders(account, [order(chain, "BTC-31JAN26-130000-C", -1.0, 0.001)], chain, deribit)
    assert after.collateral["BTC"] == pytest.approx(0.001 - 0.125 * 0.001)


def test_an_inverse_perpetual_settles_its_slip_in_the_coin(make_chain: MakeChain, deribit: Venue) -> None:
    chain = make_chain()
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=(Position.of("BTC-PERPETUAL", 100.0),))
    sell = order(chain, "BTC-PERPETUAL", -300.0, 99_000.0)
    after = after_orders(account, [sell], chain, deribit)
    forward = 100_010.0
    slip = -3_000.0 * (1.0 / 99_000.0 - 1.0 / forward)
    assert after.collateral["BTC"] == pytest.approx(1.0 + slip - 3_000.0 * 0.0005 / 100_000.0, rel=1e-14)
    assert after.quantities() == {"BTC-PERPETUAL": -200.0}
    cost = order_cost_usd(sell, chain, deribit)
    assert cost == pytest.approx(3_000.0 * (1.0 - 99_000.0 / forward) + 1.5)


def test_a_limit_better_than_the_mark_costs_its_fee(make_chain: MakeChain, deribit: Venue) -> None:
    chain = make_chain()
    assert order_cost_usd(order(chain, "BTC-PERPETUAL", 100.0, 99_000.0), chain, deribit) == pytest.approx(0.5)


def test_lines_merge_and_flat_ones_go(make_chain: MakeChain, deribit: Venue) -> None:
    chain = make_chain()
    name = "BTC-31JAN26-100000-C"
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=(Position.of(name, 0.3),))
    legs = [order(chain, name, -0.1, 0.07), order(chain, name, -0.2, 0.07)]
    assert after_orders(account, legs, chain, deribit).quantities() == {}
    assert after_orders(account, [], chain, deribit) == account


def test_linear_contracts_settle_in_their_currency(make_chain: MakeChain, linear_venue: Venue) -> None:
    chain = make_chain(currency="USDC")
    account = Account(account_id="a", collateral={"USDC": 1e6}, positions=())
    option = order(chain, "BTC_USDC-31JAN26-100000-C", 2.0, 7_000.0)
    perpetual = order(chain, "BTC_USDC-PERPETUAL", 3.0, 100_020.0)
    spot = order(chain, "BTC_USDC", 1.0, 100_050.0)
    after = after_orders(account, [option, perpetual, spot], chain, linear_venue)
    fees = 2.0 * 30.0 + 3.0 * 0.0005 * 100_020.0 + 0.001 * 100_050.0
    assert after.collateral["USDC"] == pytest.approx(1e6 - 14_000.0 - 3.0 * 10.0 - 100_050.0 - fees)
    assert after.quantities() == {"BTC_USDC-31JAN26-100000-C": 2.0, "BTC_USDC-PERPETUAL": 3.0, "BTC_USDC": 1.0}


@pytest.fixture(scope="module")
def linear_venue(deribit: Venue) -> Venue:
    from dataclasses import replace

    from greekdrift.book import Kind, Product, Settlement

    fees = {Kind.OPTION: 0.0003, Kind.PERPETUAL: 0.0005, Kind.FUTURE: 0.0005, Kind.SPOT: 0.001}
    products = tuple(
        Product(
            kind=kind,
            settlement=Settlement.LINEAR,
            underlying="*",
            tick=0.5,
            lot=0.1,
            contract_size=1.0,
            taker_fee=fee,
            maker_fee=0.0,
            fee_cap=0.125,
        )
        for kind, fee in fees.items()
    )
    return replace(deribit, products=products)
