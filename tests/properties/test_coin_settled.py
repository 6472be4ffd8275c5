"""Laws of coin-settled and linear contracts on generated books: parity in coins, profit in coins, the three deltas.

Equity here is written out from the contract terms with a Black formula of its own, so that nothing is its own judge.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from greekdrift.book import Account, Chain, Position
from greekdrift.book.instrument import deribit_name, parse
from greekdrift.errors import InputError
from greekdrift.greeks import black, compute
from greekdrift.greeks.exposure import exposure
from greekdrift.greeks.inverse import delta_net, linear_pnl, option_pnl, pnl_coin, pnl_usd, price_coin

EPS = np.finfo(float).eps
NOW = datetime(2025, 6, 1, 8, tzinfo=UTC)
law = settings(deadline=None, max_examples=100)
STENCIL = np.array([1.0 / 280.0, -4.0 / 105.0, 0.2, -0.8, 0.0, 0.8, -0.2, 4.0 / 105.0, -1.0 / 280.0])


@st.composite
def option(draw) -> dict[str, float]:
    F, sigma, tau = draw(st.floats(1e-2, 1e6)), draw(st.floats(0.05, 3.0)), draw(st.floats(1.0 / 8760.0, 2.0))
    K = F * float(np.exp(draw(st.floats(-10.0, 10.0)) * sigma * np.sqrt(tau)))
    return {"forward": F, "strike": K, "volatility": sigma, "time_to_expiry": tau}


@law
@given(option(), st.floats(0.5, 1.5))
def test_parity_in_coins(option, discount):
    """C − P = D (1 − K/F) coins, and D K/F of net delta; the smaller of the two values loses nothing to the larger."""
    call, put = (black.options(**option, is_call=side, discount=discount) for side in (True, False))
    ratio = option["strike"] / option["forward"]
    worth = [float(price_coin(at)) for at in (call, put)]
    assert abs(worth[0] - worth[1] - discount * (1.0 - ratio)) <= 4.0 * EPS * max(1.0, ratio) * discount
    net = [float(delta_net(at)) for at in (call, put)]
    assert abs(net[0] - net[1] - discount * ratio) <= 4.0 * EPS * max(1.0, ratio) * discount
    assert net[0] >= -4.0 * EPS
    assert net[1] <= 4.0 * EPS
    assert worth[0] <= discount * (1.0 + 4.0 * EPS)


@law
@given(option(), st.booleans())
def test_the_coin_value_is_the_usd_value_over_the_forward_and_delta_net_its_slope(option, is_call):
    """Bumped with F, strike and deviation held: F d(V/F)/dF to nine digits of the larger of the two terms."""
    s = option["volatility"] * np.sqrt(option["time_to_expiry"])
    step = 0.02 * min(s, 0.5)
    forward = option["forward"] * (1.0 + step * np.arange(-4.0, 5.0))
    at = black.options(**(option | {"forward": forward}), is_call=is_call)
    usd = compute(("price", "delta"), **(option | {"forward": forward}), is_call=is_call)
    coins = price_coin(at)
    assert coins * forward == pytest.approx(usd["price"], rel=1e-12)
    slope = float(STENCIL @ (coins - coins[4])) / step
    size = max(np.max(np.abs(usd["delta"])), np.max(coins)) / min(s, 0.5)
    assert abs(delta_net(at)[4] - slope) <= 1e-9 * size + 1e-11


@law
@given(st.floats(1e-3, 1e8), st.floats(1.0, 1e6), st.floats(-0.95, 20.0), st.floats(-0.95, 20.0))
def test_profit_of_an_inverse_perpetual(size, price, first, second):
    """Q (1/F₀ − 1/F₁) coins, worth Q x USD; one move after another pays as the two at once; concave in the price."""
    coins = size / price
    after = price * (1.0 + first)
    got = float(pnl_coin(coins, move=first))
    assert got == pytest.approx(size * (1.0 / price - 1.0 / after), rel=1e-12, abs=4.0 * EPS * (coins + size / after))
    assert float(pnl_usd(size, move=first)) == pytest.approx(got * after, rel=1e-12, abs=1e-300)
    both = (1.0 + first) * (1.0 + second) - 1.0
    split = got + float(pnl_coin(size / after, move=second))
    assert split == pytest.approx(float(pnl_coin(coins, move=both)), abs=1e-13 * (coins + size / after) * 21.0)
    assert got <= coins * (first + 4.0 * EPS * abs(first))
    assert float(pnl_coin(-coins, move=first)) == -got


@st.composite
def books(draw) -> tuple[Chain, Account]:
    """A chain with a basis of its own at every expiry, and an account with some of everything."""
    index = 100_000.0
    rows: list[tuple[str, float, float]] = []
    for days in draw(st.lists(st.integers(1, 400), min_size=1, max_size=3, unique=True)):
        expiry, forward = NOW + timedelta(days=days), index * (1.0 + draw(st.floats(-0.1, 0.2)))
        for strike in draw(st.lists(st.integers(30, 300), min_size=1, max_size=4, unique=True)):
            for currency in ("", "USDC"):
                name = deribit_name("BTC", expiry, 1000.0 * strike, is_call=draw(st.booleans()), currency=currency)
                rows.append((name, forward, draw(st.floats(0.2, 2.0))))
        rows.append((deribit_name("BTC", expiry), forward, np.nan))
    rows += [("BTC-PERPETUAL", 1.0004 * index, np.nan), ("BTC_USDC-PERPETUAL", 0.999 * index, np.nan)]
    rows.append(("BTC_USDC", index, np.nan))
    blank, instruments = np.full(len(rows), np.nan), tuple(parse(row[0]) for row in rows)
    size = [10.0 if one.is_inverse and not one.is_option else 1.0 if one.is_inverse else 0.01 for one in instruments]
    chain = Chain(
        venue="deribit", as_of=NOW, known_at=NOW, instruments=instruments, contract_size=np.array(size),
        forward=np.array([row[1] for row in rows]), bid=blank, ask=blank, mark=np.full(len(rows), 0.05),
        mark_iv=np.array([row[2] for row in rows]), open_interest=blank, volume_24h=blank, index_price={"BTC": index},
    )  # fmt: skip
    lots = draw(st.lists(st.integers(-500, 500), min_size=len(rows), max_size=len(rows)))
    held = tuple(Position(instrument=one, quantity=float(n)) for one, n in zip(instruments, lots, strict=True) if n)
    cash = {"BTC": draw(st.floats(-5.0, 50.0)), "USDC": draw(st.floats(-1e6, 1e6))}
    return chain, Account(account_id="a", collateral=cash, positions=held)


def worths(chain: Chain, account: Account, move: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equity in USD, its size line by line, and the coins that inverse lines are worth, after relative moves."""
    grown = 1.0 + move
    index = chain.index_price["BTC"] * grown
    coins, usd = np.zeros(move.size), np.full(move.size, account.collateral["USDC"])
    size = np.abs(usd) + index * abs(account.collateral["BTC"])
    for position in account.positions:
        row = chain.row_of[position.instrument.name]
        amount, F0 = position.quantity * chain.contract_size[row], chain.forward[row]
        F = F0 * grown
        if chain.is_option[row]:
            K, s = chain.strike[row], chain.mark_iv[row] * np.sqrt(chain.time_to_expiry[row])
            d1, sign = np.log(F / K) / s + 0.5 * s, 1.0 if chain.is_call[row] else -1.0
            line = amount * sign * (F * ndtr(sign * d1) - K * ndtr(sign * (d1 - s)))
            line = line / F if chain.is_inverse[row] else line
        elif position.instrument.name == "BTC_USDC":
            line = amount * index
        else:
            line = amount * (1.0 / F0 - 1.0 / F) if chain.is_inverse[row] else amount * (F - F0)
        coins, usd = (coins + line, usd) if chain.is_inverse[row] else (coins, usd + line)
        size += np.abs(line) * (index if chain.is_inverse[row] else 1.0) + abs(amount) * (
            1.0 if chain.is_inverse[row] else F0
        )
    return index * (account.collateral["BTC"] + coins) + usd, size, coins


@law
@given(books())
def test_deltas_of_an_account_are_slopes_of_its_equity(book):
    """delta_collateral = d(equity in USD)/dS all forwards in proportion; delta_net of inverse lines their part."""
    chain, account = book
    step = 5e-4
    move = step * np.arange(-4.0, 5.0)
    equity, size, coins = worths(chain, account, move)
    index = chain.index_price["BTC"]
    got = exposure(chain, (account,))
    slope = float(STENCIL @ (equity - equity[4])) / step
    slack = 1e-9 * float(np.max(size)) * 100.0
    assert abs(got.value("a", "BTC", "delta_collateral") * index - slope) <= slack
    inverse = tuple(one for one in account.positions if one.instrument.is_inverse)
    own = exposure(chain, (Account(account_id="a", collateral={}, positions=inverse),))
    slope = float(STENCIL @ (coins - coins[4])) / step
    assert abs(own.value("a", "BTC", "delta_net") - slope) <= slack / index
    assert abs(got.value("a", "BTC", "coin_equity") - account.collateral["BTC"] - coins[4]) <= 1e-12 * np.max(size)
    total = own.value("a", "BTC", "delta_collateral")
    assert (
        abs(total - own.value("a", "BTC", "delta_net") - own.value("a", "BTC", "coin_equity"))
        <= 1e-12 * abs(total) + 1e-12
    )


@pytest.mark.parametrize("move", [-1.0, -1.5, np.nan, np.inf, -np.inf])
def test_a_move_that_leaves_no_price_is_refused(move):
    """At −1 the coin profit is unbounded, beyond it a fall would pay: neither is a number to return."""
    for profit in (pnl_coin, pnl_usd):
        with pytest.raises(InputError, match=r"^move\[1\] = .*above -1"):
            profit(2.0, move=[0.1, move])


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_forward_that_is_no_price_is_refused(price, place):
    forwards = (price, 1e5) if place == 0 else (1e5, price)
    with pytest.raises(InputError, match=r"^forward = .* is not a price above 0"):
        linear_pnl(1e4, forwards=forwards, indices=(1e5, 1e5), is_inverse=True)
    with pytest.raises(InputError, match=r"^forward = .* is not a price above 0"):
        option_pnl((1.0, 2.0), forwards=forwards, indices=(1e5, 1e5), is_inverse=True)
