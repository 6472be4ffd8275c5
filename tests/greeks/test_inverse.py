"""Coin-settled contracts: parity in coins, premium-adjusted delta, inverse futures, and the deltas of an account."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.greeks.black import options
from greekdrift.greeks.exposure import exposure, line_quantities
from greekdrift.greeks.inverse import delta_net, pnl_coin, pnl_usd, price_coin

STRIKES = np.linspace(40_000.0, 200_000.0, 33)
GRID = {"forward": 100_000.0, "strike": STRIKES, "volatility": 0.55, "time_to_expiry": 0.1}


def test_parity_in_coins():
    call, put = options(**GRID, is_call=True), options(**GRID, is_call=False)
    assert price_coin(call) - price_coin(put) == pytest.approx(1.0 - STRIKES / 100_000.0, rel=1e-13, abs=1e-15)
    assert delta_net(call) - delta_net(put) == pytest.approx(STRIKES / 100_000.0, rel=1e-12)


def test_a_call_in_coins_is_worth_less_than_a_coin():
    call = options(forward=1e9, strike=100.0, volatility=0.5, time_to_expiry=1.0, is_call=True)
    assert price_coin(call) == pytest.approx(1.0 - 1e-7, rel=1e-12)
    assert delta_net(call) == pytest.approx(1e-7, rel=1e-6)


def test_delta_net_is_the_relative_derivative_of_the_coin_value(truth):
    for is_call in (True, False):
        for strike in (60_000.0, 95_000.0, 100_000.0, 140_000.0):
            coin = lambda F, K=strike, side=is_call: truth("price", F, K, 0.55, 0.1, mp.mpf(0), side) / F  # noqa: E731
            right = 100_000 * mp.diff(coin, mp.mpf(100_000))
            at = options(**(GRID | {"strike": strike}), is_call=is_call)
            assert float(delta_net(at)) == pytest.approx(float(right), rel=1e-11)


def test_delta_net_has_the_closed_form_of_the_second_normal_term():
    from scipy.special import ndtr

    call, put = options(**GRID, is_call=True), options(**GRID, is_call=False)
    assert delta_net(call) == pytest.approx(STRIKES / 100_000.0 * ndtr(call.d2), rel=1e-9, abs=1e-15)
    assert delta_net(put) == pytest.approx(-STRIKES / 100_000.0 * ndtr(-put.d2), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("move", [-0.6, -0.01, 0.0, 0.3, 4.0])
def test_an_inverse_perpetual_pays_the_difference_of_reciprocals(move):
    before, size = 80_000.0, 250_000.0
    after = before * (1.0 + move)
    coins = size * (1.0 / before - 1.0 / after)
    assert pnl_coin(size / before, move=move) == pytest.approx(coins, rel=1e-12)
    assert pnl_usd(size, move=move) == pytest.approx(coins * after, rel=1e-12, abs=1e-9)


def moved(chain, relative):
    """The chain after index and forwards have moved in proportion."""
    index = {name: price * (1.0 + relative) for name, price in chain.index_price.items()}
    return replace(chain, forward=chain.forward * (1.0 + relative), index_price=index)


def equity_usd(chain, start, account):
    """Equity from contract terms: coin collateral and option values, and the profit of every linear line."""
    rows = chain.rows(account.quantities())
    contracts = np.array(list(account.quantities().values()))
    worth = float(line_quantities(chain, ("value_usd",), rows)["value_usd"] @ contracts)
    for row, quantity in zip(rows, contracts, strict=True):
        kind, size = chain.instruments[row].kind, quantity * chain.contract_size[row]
        if kind in ("future", "perpetual") and chain.is_inverse[row]:
            worth += size * (1.0 / start.forward[row] - 1.0 / chain.forward[row]) * chain.index[row]
        elif kind in ("future", "perpetual"):
            worth += size * (chain.forward[row] - start.forward[row])
    coins = sum(
        amount * chain.index_price[name] for name, amount in account.collateral.items() if name in ("BTC", "ETH")
    )
    return worth + coins + account.collateral.get("USDC", 0.0)


BOOKS = {
    "inverse options": (
        {"BTC": 3.0},
        {"BTC-27JUN25-100000-C": -5, "BTC-27JUN25-90000-P": 7, "BTC-26SEP25-120000-C": 4},
    ),
    "with USD cash": ({"BTC": -1.5, "USDC": 90_000.0}, {"BTC-27JUN25-100000-C": -5}),
    "linear lines": ({"USDC": 5e4}, {"BTC_USDC-27JUN25-100000-C": 300, "BTC_USDC-PERPETUAL": -900, "BTC_USDC": 0.7}),
    "another coin": ({"BTC": 1.0, "ETH": 20.0}, {"ETH-2JUN25-2600-P": 30, "BTC-27JUN25-90000-P": -2}),
}


@pytest.mark.parametrize("book", BOOKS)
def test_collateral_delta_is_the_slope_of_equity(book, every_kind):
    collateral, held = BOOKS[book]
    positions = tuple(Position.of(name, quantity) for name, quantity in held.items())
    account = Account(account_id="a", collateral=collateral, positions=positions)
    step = 1e-5
    up, down = (equity_usd(moved(every_kind, x), every_kind, account) for x in (step, -step))
    got = exposure(every_kind, (account,)).quantities["delta_collateral"][0]
    index = np.array([every_kind.index_price[name] for name in every_kind.underlyings])
    assert got @ index == pytest.approx((up - down) / (2.0 * step), rel=1e-7)


def test_a_linear_line_enters_by_its_forward_not_by_the_index(every_kind):
    """With F = 1.02 S the slope of equity is F/S times the collateral delta, as the head of the module says."""
    name, step = "BTC_USDC-27JUN25-100000-C", 1e-5
    dear = np.where(np.array(every_kind.instruments) == every_kind.instruments[every_kind.row_of[name]], 1.02, 1.0)
    start = replace(every_kind, forward=every_kind.forward * dear)
    account = Account(account_id="a", collateral={}, positions=(Position.of(name, 300),))
    up, down = (equity_usd(moved(start, x), start, account) for x in (step, -step))
    got = exposure(start, (account,)).value("a", "BTC", "delta_collateral")
    assert got * 1.02 == pytest.approx((up - down) / (2.0 * step * start.index_price["BTC"]), rel=1e-7)


@pytest.mark.parametrize("name", ["BTC-PERPETUAL", "BTC-27JUN25", "ETH-PERPETUAL"])
def test_inverse_futures_add_their_notional_over_the_forward(name, every_kind):
    account = Account(account_id="a", collateral={}, positions=(Position.of(name, 1500),))
    underlying = name.split("-", maxsplit=1)[0]
    start, row = every_kind, every_kind.row_of[name]
    step = 1e-6
    slope = (equity_usd(moved(start, step), start, account) - equity_usd(moved(start, -step), start, account)) / (
        2.0 * step * start.index_price[underlying]
    )
    size = 1500 * start.contract_size[row]
    delta = exposure(start, (account,)).value("a", underlying, "delta_net")
    assert delta == pytest.approx(size / start.forward[row], rel=1e-14)
    assert delta == pytest.approx(slope, rel=1e-6)


def test_usd_and_net_deltas_of_a_line_against_bumping(every_kind):
    """delta_usd = ∂(Black)/∂F and delta_net = F ∂(coin value)/∂F, each from revalued chains."""
    step = 1e-5
    names = ("price", "value_coin", "delta_usd", "delta_net", "gamma")
    now, up, down = (line_quantities(moved(every_kind, x), names) for x in (0.0, step, -step))
    inverse_options = every_kind.is_option & every_kind.is_inverse
    width = 2.0 * step * every_kind.forward
    slope = (up["price"] - down["price"]) / width
    assert now["delta_usd"][every_kind.is_option] == pytest.approx(slope[every_kind.is_option], rel=1e-6)
    slope = (up["value_coin"] - down["value_coin"]) / (2.0 * step)
    assert now["delta_net"][inverse_options] == pytest.approx(slope[inverse_options], rel=1e-6)
    slope = (up["delta_usd"] - down["delta_usd"]) / width
    assert now["gamma"][every_kind.is_option] == pytest.approx(slope[every_kind.is_option], rel=1e-6)
