"""Coin-settled contracts: parity in coins, premium-adjusted delta, inverse futures, and the deltas of an account."""

from dataclasses import replace
from datetime import UTC, datetime

import mpmath as mp
import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, inverse, settlement
from greekdrift.greeks.black import options
from greekdrift.greeks.exposure import deltas, exposure, line_quantities
from greekdrift.greeks.inverse import delta_net, linear_pnl, option_pnl, pnl_coin, pnl_usd, price_coin

ORDER = {  # how often to differentiate to forward, volatility and calendar time
    "price": (0, 0, 0), "delta": (1, 0, 0), "gamma": (2, 0, 0), "speed": (3, 0, 0), "vega": (0, 1, 0),
    "volga": (0, 2, 0), "vanna": (1, 1, 0), "zomma": (2, 1, 0), "theta": (0, 0, 1), "charm": (1, 0, 1),
    "veta": (0, 1, 1), "color": (2, 0, 1),
}  # fmt: skip
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


def test_a_coin_premium_is_no_inverse_price():
    """Bought at 0.02 coins, sold at 0.03, 0.01 coins a contract: 0.0001 coins, where "1/price" says 0.1667 coins."""
    forward, size = 100_000.0, 0.01
    usd, coins = option_pnl(
        (0.02 * forward * size, 0.03 * forward * size), forwards=(forward, forward), indices=(1e5, 1e5), is_inverse=True
    )
    as_a_future = size * (1.0 / 0.02 - 1.0 / 0.03)
    assert float(coins) == pytest.approx(0.0001, rel=1e-12)
    assert float(usd) == pytest.approx(10.0, rel=1e-12)
    assert as_a_future == pytest.approx(0.1667, rel=1e-3)
    assert as_a_future / float(coins) > 1_600.0


@pytest.mark.parametrize("move", [-0.3, 0.0, 0.25])
def test_profits_by_contract(move):
    before, after, size = 80_000.0, 80_000.0 * (1.0 + move), 5_000.0
    terms = {"forwards": (before, after), "indices": (before - 50.0, after + 30.0)}
    usd, coins = linear_pnl(size, **terms, is_inverse=True)
    assert coins == pytest.approx(pnl_coin(size / before, move=move), rel=1e-12)
    assert usd == pytest.approx(coins * (after + 30.0), rel=1e-15)
    usd, coins = linear_pnl(0.1, **terms, is_inverse=False)
    assert (float(usd), float(coins)) == (pytest.approx(0.1 * (after - before), rel=1e-12), 0.0)
    usd, coins = linear_pnl(2.0, **terms, is_inverse=False, is_spot=True)
    assert (float(usd), float(coins)) == (pytest.approx(2.0 * (after - before + 80.0), rel=1e-12), 0.0)
    usd, coins = option_pnl((100.0, 160.0), **terms, is_inverse=[True, False])
    paid = 160.0 / after - 100.0 / before
    assert coins == pytest.approx([paid, 0.0], rel=1e-12)
    worth = 160.0 / after * (after + 30.0) - 100.0 / before * (before - 50.0)
    assert usd == pytest.approx([worth, 60.0], rel=1e-12)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [80.0, 100.0, 130.0])
def test_coin_greeks_are_the_derivatives_of_the_coin_value(is_call, strike, truth):
    forward, volatility, tau, rate = 100.0, 0.6, 0.3, 0.04
    found = inverse.compute(
        tuple(QUANTITIES), forward=forward, strike=strike, volatility=volatility, time_to_expiry=tau, is_call=is_call,
        discount=float(np.exp(-rate * tau)),
    )  # fmt: skip
    coin = lambda F, v, t: truth("price", F, strike, v, tau - t, mp.mpf(rate), is_call) / F  # noqa: E731
    at = (mp.mpf(forward), mp.mpf(volatility), mp.mpf(0))
    for name, order in ORDER.items():
        exact = coin(*at) if name == "price" else mp.diff(coin, at, order)
        assert float(found[name]) == pytest.approx(float(exact), rel=1e-10), name
    struck = lambda k: truth("price", forward, k, volatility, tau, mp.mpf(rate), is_call) / forward  # noqa: E731
    for name, times in (("strike_delta", 1), ("strike_gamma", 2)):
        assert float(found[name]) == pytest.approx(float(mp.diff(struck, mp.mpf(strike), times)), rel=1e-10), name
    grown = lambda r: forward * mp.exp((r - mp.mpf(rate)) * tau)  # noqa: E731
    spot_held = lambda r: truth("price", grown(r), strike, volatility, tau, r, is_call) / grown(r)  # noqa: E731
    assert float(found["rho"]) == pytest.approx(float(mp.diff(spot_held, mp.mpf(rate))), rel=1e-10)


@pytest.mark.parametrize("strike", [99_950.0, 100_150.0, 100_300.0])
def test_coin_greeks_inside_the_window_are_the_derivatives_to_the_index(strike):
    """Of V/F with F = c + w S and the fixed part c held, or F held as time passes."""
    S, F, volatility, window = 100_000.0, 100_200.0, 0.9, 0.5 / 8760.0
    w = 0.4
    at = {"strike": strike, "is_call": True, "window": window}
    names = tuple(QUANTITIES)
    found = inverse.fading(names, **at, forward=F, index=S, volatility=volatility, time_to_expiry=w * window)

    def usd(dS=0.0, dv=0.0, dt=0.0):
        tau = w * window - dt
        forward = F + tau / window * dS
        place = {"forward": forward, "index": S + dS, "volatility": volatility + dv}
        return float(settlement.fading(["price"], **at, **place, time_to_expiry=tau)["price"]) / forward

    h, k, t = 20.0, 1e-3, 1e-4 * w * window
    assert float(found["price"]) == pytest.approx(usd(), rel=1e-14)
    assert float(found["delta"]) == pytest.approx((usd(h) - usd(-h)) / (2 * h), rel=1e-3)
    assert float(found["gamma"]) == pytest.approx((usd(h) - 2 * usd() + usd(-h)) / h**2, rel=1e-2)
    assert float(found["vega"]) == pytest.approx((usd(dv=k) - usd(dv=-k)) / (2 * k), rel=1e-5)
    assert float(found["theta"]) == pytest.approx((usd(dt=t) - usd(dt=-t)) / (2 * t), rel=1e-6)
    cross = (usd(h, k) - usd(-h, k) - usd(h, -k) + usd(-h, -k)) / (4 * h * k)
    assert float(found["vanna"]) == pytest.approx(cross, rel=1e-2)
    cross = (usd(h, dt=t) - usd(-h, dt=t) - usd(h, dt=-t) + usd(-h, dt=-t)) / (4 * h * t)
    assert float(found["charm"]) == pytest.approx(cross, rel=1e-2)
    bend = [(usd(h, dt=x) - 2 * usd(dt=x) + usd(-h, dt=x)) / h**2 for x in (t, -t)]
    assert float(found["color"]) == pytest.approx((bend[0] - bend[1]) / (2 * t), rel=2e-2)
    V, delta = (
        float(found["price"]) * F,
        settlement.fading(["delta"], **at, forward=F, index=S, volatility=volatility, time_to_expiry=w * window)[
            "delta"
        ],
    )
    net = inverse.net(delta, V / F, forward=F, index=S, share=w)
    assert S * float(found["delta"]) == pytest.approx(float(net), rel=1e-12)


def test_coin_greeks_before_the_window_are_the_plain_ones():
    names = tuple(QUANTITIES)
    plain = inverse.compute(names, **GRID, is_call=True, discount=0.99)
    found = inverse.fading(names, **GRID, index=99_000.0, is_call=True, window=0.5 / 8760.0, discount=0.99)
    for name in names:
        assert found[name] == pytest.approx(plain[name], rel=1e-9, abs=1e-300), name


def test_coin_greeks_by_name():
    coin = inverse.compute("delta", **GRID, is_call=True)["delta"]
    assert coin * 100_000.0 == pytest.approx(delta_net(options(**GRID, is_call=True)), rel=1e-11)
    with pytest.raises(InputError, match='unknown coin quantity "gama"; did you mean "gamma"'):
        inverse.compute(("gama",), **GRID, is_call=True)


def test_net_delta_inside_the_window_is_the_slope_of_the_coin_value():
    """The venue's example: delta 1.0 and mark 0.3 after 15 of 30 minutes are 0.5 − 0.15 = 0.35; else S d(V/F)/dS."""
    assert float(inverse.net(0.5, 0.3, forward=1e4, index=1e4, share=0.5)) == pytest.approx(0.35, rel=1e-15)
    F, S, w, V, delta = 10_040.0, 9_990.0, 0.3, 2_800.0, 0.29
    step = 1e-4
    up, down = ((V + delta * h) / (F + w * h) for h in (step, -step))
    slope = S * (up - down) / (2.0 * step)
    assert float(inverse.net(delta, V / F, forward=F, index=S, share=w)) == pytest.approx(slope, rel=1e-7)


def moved(chain, relative, only=None):
    """The chain after an index and its forwards have moved: in proportion, or by what of the average still floats."""
    underlyings = chain.underlyings if only is None else (only,)
    mine = np.isin(chain.underlying, underlyings)
    index = {name: price * (1.0 + relative * (name in underlyings)) for name, price in chain.index_price.items()}
    window = chain.settlement_window
    share = np.minimum(chain.time_to_expiry / window, 1.0) if window > 0.0 else np.ones(len(chain))
    change = np.where(share < 1.0, share * chain.index, chain.forward) * relative
    return replace(chain, forward=chain.forward + mine * change, index_price=index)


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
    coins = sum(amount * chain.index_price[name] for name, amount in account.collateral.items() if name in COINS)
    return worth + coins + sum(amount for name, amount in account.collateral.items() if name not in COINS)


COINS = ("BTC", "ETH")
BOOKS = {
    "inverse options": (
        {"BTC": 3.0},
        {"BTC-27JUN25-100000-C": -5, "BTC-27JUN25-90000-P": 7, "BTC-26SEP25-120000-C": 4},
    ),
    "with USD cash": ({"BTC": -1.5, "USDC": 90_000.0, "USD": 1e5}, {"BTC-27JUN25-100000-C": -5}),
    "linear lines": ({"USDC": 5e4}, {"BTC_USDC-27JUN25-100000-C": 300, "BTC_USDC-PERPETUAL": -900, "BTC_USDC": 0.7}),
    "another coin": ({"BTC": 1.0, "ETH": 20.0}, {"ETH-2JUN25-2600-P": 30, "BTC-27JUN25-90000-P": -2}),
    "futures": ({"BTC": 2.0}, {"BTC-27JUN25": -3_000, "BTC-PERPETUAL": 5_000, "ETH-PERPETUAL": -700}),
    "everything": (
        {"BTC": 1.0, "ETH": -3.0, "USDC": -2e4},
        {
            "BTC-27JUN25-100000-C": 2, "BTC-27JUN25-90000-P": -3, "BTC-26SEP25-120000-C": 1, "BTC-PERPETUAL": -900,
            "BTC-27JUN25": 1_100, "BTC_USDC-27JUN25-100000-C": -40, "BTC_USDC-PERPETUAL": 25, "BTC_USDC": 0.3,
            "ETH-2JUN25-2600-P": 11, "ETH-PERPETUAL": 4_000,
        },
    ),
}  # fmt: skip
BASIS = [1.01, 1.01, 1.03, 1.001, 1.01, 1.02, 1.015, 1.0, 1.0, 1.0004]
MOMENTS = {
    "days before": datetime(2025, 6, 1, 8, tzinfo=UTC),
    "ETH in its window": datetime(2025, 6, 2, 7, 42, tzinfo=UTC),
    "June in its window": datetime(2025, 6, 27, 7, 50, tzinfo=UTC),
}


def chain_at(every_kind, moment):
    """The rows that live then, every forward apart from the index, settled on a half-hour average."""
    alive = every_kind.expiry > np.datetime64(moment.replace(tzinfo=None))
    few = every_kind.take(alive | np.isnat(every_kind.expiry))
    basis = dict(zip((row.name for row in every_kind.instruments), BASIS, strict=True))
    forward = few.index * [basis[row.name] for row in few.instruments]
    near = (few.expiry - np.datetime64(moment.replace(tzinfo=None))) < np.timedelta64(30, "m")
    forward = np.where(near, 1.002 * few.index, forward)
    return replace(few, as_of=moment, known_at=moment, forward=forward, settlement_average_minutes=30.0)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("book", BOOKS)
def test_three_deltas_side_by_side_against_bumping(book, moment, every_kind):
    """Each for both underlyings: ∂ΣV/∂S scaled to the forward, S d(coins)/dS, and d(equity in USD)/dS to 1e-7."""
    chain = chain_at(every_kind, MOMENTS[moment])
    collateral, held = BOOKS[book]
    positions = tuple(Position.of(name, n) for name, n in held.items() if name in chain.row_of)
    account = Account(account_id="a", collateral=collateral, positions=positions)
    got, step = deltas(chain, (account,)), 1e-6
    for at, name in enumerate(got.underlyings):
        up, down = (equity_usd(moved(chain, x, name), chain, account) for x in (step, -step))
        slope = (up - down) / (2.0 * step * chain.index_price[name])
        assert got.collateral[0, at] == pytest.approx(slope, rel=1e-7, abs=1e-7), name
        coins = [coins_held(moved(chain, x, name), chain, account, name) for x in (0.0, step, -step)]
        assert got.coin_equity[0, at] == pytest.approx(coins[0], rel=1e-12, abs=1e-12)
        inverse_only = replace(account, positions=tuple(one for one in positions if one.instrument.is_inverse))
        own = deltas(chain, (inverse_only,))
        column = own.underlyings.index(name)
        assert own.net[0, column] == pytest.approx((coins[1] - coins[2]) / (2.0 * step), rel=1e-6, abs=1e-7)


def coins_held(chain, start, account, underlying):
    """Coins of one underlying: collateral, option values, and what inverse futures and perpetuals have paid."""
    total = account.collateral.get(underlying, 0.0)
    for position in account.positions:
        row = chain.row_of[position.instrument.name]
        if position.instrument.underlying != underlying or not chain.is_inverse[row]:
            continue
        size = position.quantity * chain.contract_size[row]
        if chain.is_option[row]:
            total += position.quantity * float(line_quantities(chain, ("value_coin",), [row])["value_coin"][0])
        else:
            total += size * (1.0 / start.forward[row] - 1.0 / chain.forward[row])
    return total


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_usd_delta_of_a_line_is_the_slope_of_its_black_value(moment, every_kind):
    """∂V/∂F before the window, ∂V/∂S inside it, of every option."""
    chain, step = chain_at(every_kind, MOMENTS[moment]), 1e-6
    now, up, down = (line_quantities(moved(chain, x), ("price", "delta_usd", "gamma")) for x in (0.0, step, -step))
    share = np.minimum(chain.time_to_expiry / chain.settlement_window, 1.0)
    width = 2.0 * step * np.where(share < 1.0, chain.index, chain.forward)
    for name, slope in (("delta_usd", "price"), ("gamma", "delta_usd")):
        found = ((up[slope] - down[slope]) / width)[chain.is_option]
        assert now[name][chain.is_option] == pytest.approx(found, rel=1e-5, abs=1e-12), name


def test_linear_lines_carry_their_basis_and_inverse_ones_do_not(every_kind):
    chain = chain_at(every_kind, MOMENTS["days before"])
    line = line_quantities(chain, ("delta_net", "delta_collateral"))
    ratio = line["delta_collateral"] / line["delta_net"]
    linear = ~chain.is_inverse & ~chain.is_spot
    assert ratio[linear] == pytest.approx(chain.forward[linear] / chain.index[linear], rel=1e-15)
    assert np.all(ratio[~linear] == 1.0)
    assert np.sum(linear) == 2


def test_a_dated_future_fades_and_a_perpetual_does_not(every_kind):
    chain = chain_at(every_kind, MOMENTS["June in its window"])
    line = line_quantities(chain, ("delta_usd", "delta_net", "price", "value_usd"))
    future, perpetual = (chain.row_of[name] for name in ("BTC-27JUN25", "BTC-PERPETUAL"))
    assert line["delta_usd"][future] == pytest.approx(10.0 / chain.forward[future] / 3.0, rel=1e-10)
    assert line["delta_usd"][perpetual] == pytest.approx(10.0 / chain.forward[perpetual], rel=1e-15)
    assert line["price"][future] == pytest.approx(10.0, rel=1e-15)
    at_expiry = replace(
        chain, as_of=datetime(2025, 6, 27, 8, tzinfo=UTC), known_at=datetime(2025, 6, 27, 8, tzinfo=UTC)
    )
    line = line_quantities(at_expiry, ("delta_usd", "delta_collateral", "theta", "value_coin"))
    dated = np.isfinite(at_expiry.time_to_expiry) & (at_expiry.time_to_expiry == 0.0)
    assert np.sum(dated) == 4
    for name in ("delta_usd", "delta_collateral", "theta"):
        assert np.all(line[name][dated] == 0.0)
    call = at_expiry.row_of["BTC-27JUN25-100000-C"]
    assert line["value_coin"][call] == pytest.approx(200.0 / 100_200.0, rel=1e-12)


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
