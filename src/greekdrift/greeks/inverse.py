"""Contracts in coins and in USD: value, deltas, coin Greeks and profit, for inverse and linear ones alike.

An inverse option pays (A − K)⁺/A coins on the settlement price A, so that its value in coins is V/F with V the Black
value on its forward F, and its cash worth now that times the index S. It is paid for in coins: its profit is
size · (V₁/F₁ − V₀/F₀) coins, a plain difference. An inverse future or perpetual of Q USD pays Q (1/F₀ − 1/F₁) coins; to
value an option so, as "1/price", is a known error of other tools (nautilus_trader, issue 5053).

The three deltas of an account, in coins, with E = S (coin collateral + Σ coin value of the lines) + USD value of the
linear lines + cash:

    delta_usd        = Σ ∂V/∂F                         the venue's delta, N(d₁) on the forward
    delta_net        = Σ S d(coin value)/dS            premium-adjusted: ∂V/∂F − V/F; linear lines as they are
    delta_collateral = Σ own parts + coin equity       dE/dS, all forwards moving in proportion to the index

The own part of an inverse line is its net delta; that of a linear one its net delta times F/S, since its forward moves
by dF/dS = F/S: a basis of 2 % is 2 % of its delta. Cash and stablecoins have none. Inside the settlement window
dF/dS is the share w of the average still to come, and deltas are to the index already (`greeks.settlement`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import asarray, ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError, nearest
from greekdrift.greeks import black, settlement, table
from greekdrift.greeks.black import Options, Quotes, delta, inverse, price

Values = Float[ndarray, "*value"]


def price_coin(at: Options) -> Quotes:
    """Value of an inverse option in coins of the underlying per coin: V = Black(F)/F.

    Parity in coins: C − P = D (1 − K/F). Source: contract terms of Deribit's inverse options.

    >>> from greekdrift.greeks.black import options
    >>> round(float(price_coin(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25,
    ...                                is_call=True))), 6)
    0.099476
    """
    return price(at) * inverse(at.forward)


def delta_net(at: Options) -> Quotes:
    """Premium-adjusted delta of an inverse option, coins: F ∂(Black/F)/∂F = ∂Black/∂F − Black/F.

    For a call it is D (K/F) Φ(d₂), for a put −D (K/F) Φ(−d₂); it is not monotone in the strike for calls.
    Source: Castagna, FX Options and Smile Risk (2009), chapter 1.

    >>> from greekdrift.greeks.black import options
    >>> round(float(delta_net(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25,
    ...                               is_call=True))), 6)
    0.450262
    """
    return delta(at) - price_coin(at)


def compute(
    names: Sequence[str],
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> dict[str, ndarray]:
    """Named quantities of the coin value V/F of inverse options: price in coins, and its derivatives.

    Names and units as in `greeks.compute`, with coins for quote currency; delta is ∂(V/F)/∂F in coins per USD, so
    that F times it is `delta_net`. With x a derivative of V to volatility or time (or V itself),

    ∂(x/F)/∂F = (x′ − x/F)/F,   ∂²(x/F)/∂F² = x″/F − 2 x′/F² + 2 x/F³,   and so on.

    >>> coin = compute(["price", "vega"], forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25,
    ...                is_call=True)
    >>> float(coin["price"].round(6)), float(coin["vega"].round(6))
    (0.099476, 0.197919)
    """
    wanted, usd = _parts(names)
    found = table.compute(
        usd,
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    u = inverse(asarray(forward, dtype=float))
    grown = asarray(time_to_expiry, dtype=float)
    return _coin(wanted, Parts(usd=found, u=u, v=u, fades=np.zeros(()), grown=grown))


def fading(
    names: Sequence[str],
    *,
    forward: ArrayLike,
    index: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    window: ArrayLike,
    discount: ArrayLike = 1.0,
) -> dict[str, ndarray]:
    """The same inside the settlement window, from `settlement.fading`: derivatives of V/F are to the index, dF/dS = w.

    As time passes with the index held the forward is held too. Outside the window the numbers are those of `compute`.

    >>> half = fading("delta", forward=1e4, index=1e4, strike=7e3, volatility=0.6, time_to_expiry=0.25 / 8760.0,
    ...               is_call=True, window=0.5 / 8760.0)
    >>> float((1e4 * half["delta"]).round(9))
    0.35
    """
    wanted, usd = _parts(names)
    found = settlement.fading(
        usd,
        forward=forward,
        index=index,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        window=window,
        discount=discount,
    )
    F, tau = asarray(forward, dtype=float), asarray(time_to_expiry, dtype=float)
    w = settlement.floating_share(tau, window=window)
    u = inverse(F)
    per_year = np.where(w < 1.0, w * inverse(tau), 0.0)
    grown = tau * np.where(w < 1.0, w * asarray(index, dtype=float) * u, 1.0)
    return _coin(wanted, Parts(usd=found, u=u, v=w * u, fades=per_year * u, grown=grown))


def net(delta: ArrayLike, coins: ArrayLike, *, forward: ArrayLike, index: ArrayLike, share: ArrayLike = 1.0) -> Values:
    """Net delta of an inverse contract: S d(coin value)/dS, from its delta and coin value V/F (0 for a future).

    delta − V/F before the settlement window, where dF/dS = F/S; inside it (share w < 1), dF/dS = w and the delta is to
    the index: (S/F) (delta − w V/F). At F = S that is the venue's rule, delta less the decayed mark price:

    >>> float(net(0.5, 0.3, forward=10_000.0, index=10_000.0, share=0.5))
    0.35
    """
    w = asarray(share, dtype=float)
    ratio = np.where(w < 1.0, asarray(index, dtype=float) / asarray(forward, dtype=float), 1.0)
    return ratio * (asarray(delta, dtype=float) - w * asarray(coins, dtype=float))


def future_charm(delta: ArrayLike, *, time_to_expiry: ArrayLike, share: ArrayLike) -> Values:
    """Change of a dated future's delta per year that passes: −delta/τ inside the settlement window, 0 before it.

    Inside (share w = τ/L < 1) the delta is w times what it was.

    >>> future_charm([0.5, 1.0], time_to_expiry=[0.25, 0.75], share=[0.5, 1.0])
    array([-2., -0.])
    """
    is_inside = asarray(share, dtype=float) < 1.0
    return -asarray(delta, dtype=float) * np.where(is_inside, inverse(asarray(time_to_expiry, dtype=float)), 0.0)


def own_part(
    net: ArrayLike, *, forward: ArrayLike, index: ArrayLike, is_inverse: ArrayLike, share: ArrayLike = 1.0
) -> Values:
    """What a line adds to d(equity in USD)/dS beside its coin value: its net delta, times F/S where it is linear.

    Inside the settlement window (share < 1) a linear line's delta is to the index already. Spot is its own index.

    >>> own_part(0.5, forward=102.0, index=100.0, is_inverse=[True, False])
    array([0.5 , 0.51])
    """
    as_it_is = asarray(is_inverse) | (asarray(share, dtype=float) < 1.0)
    lever = np.where(as_it_is, 1.0, asarray(forward, dtype=float) / asarray(index, dtype=float))
    return asarray(net, dtype=float) * lever


def delta_collateral(own: ArrayLike, *, coin_equity: ArrayLike) -> Values:
    """Change of the account's equity in USD per USD of the index, coins: Σ own parts + coin equity.

    `coin_equity` is the coin collateral plus the coin value of the inverse lines; cash in USD adds nothing.

    >>> float(delta_collateral(-0.4, coin_equity=1.0))
    0.6
    """
    return asarray(own, dtype=float) + asarray(coin_equity, dtype=float)


def pnl_coin(position_coin: ArrayLike, *, move: ArrayLike) -> Values:
    """Profit in coins of an inverse future or perpetual after a relative move x of its price: p x/(1 + x).

    `position_coin` is Q/F₀, the signed size in USD over the price before the move; x > −1.
    Concave for a long position: it loses more coins on a fall than it gains on an equal rise.

    >>> pnl_coin(2.0, move=[-0.5, 0.0, 1.0])
    array([-2.,  0.,  1.])
    """
    x = _moves(move)
    return asarray(position_coin, dtype=float) * x / (1.0 + x)


def pnl_usd(size_usd: ArrayLike, *, move: ArrayLike) -> Values:
    """The same profit in USD at the price after the move: pnl_coin F₀ (1 + x) = Q x, linear in the price.

    >>> pnl_usd(10_000.0, move=[-0.5, 0.1])
    array([-5000.,  1000.])
    """
    return asarray(size_usd, dtype=float) * _moves(move)


def option_pnl(
    values: tuple[ArrayLike, ArrayLike],
    *,
    forwards: tuple[ArrayLike, ArrayLike],
    indices: tuple[ArrayLike, ArrayLike],
    is_inverse: ArrayLike,
) -> tuple[Values, Values]:
    """Profit of options in USD and in coins between two moments (before, after), from their Black values in USD.

    inverse: coins V₁/F₁ − V₀/F₀, and USD S₁ V₁/F₁ − S₀ V₀/F₀;   linear: no coins, and USD V₁ − V₀.

    >>> usd, coins = option_pnl((2_000.0, 3_300.0), forwards=(1e5, 1.1e5), indices=(1e5, 1.1e5), is_inverse=True)
    >>> float(usd), round(float(coins), 12)
    (1300.0, 0.01)
    """
    before, after = (asarray(value, dtype=float) for value in values)
    first, last = (value / _prices(F) for value, F in zip((before, after), forwards, strict=True))
    coins = np.where(is_inverse, last - first, 0.0)
    usd = last * asarray(indices[1], dtype=float) - first * asarray(indices[0], dtype=float)
    return np.where(is_inverse, usd, after - before), coins


def linear_pnl(
    size: ArrayLike,
    *,
    forwards: tuple[ArrayLike, ArrayLike],
    indices: tuple[ArrayLike, ArrayLike],
    is_inverse: ArrayLike,
    is_spot: ArrayLike = False,
) -> tuple[Values, Values]:
    """Profit of futures, perpetuals and spot in USD and in coins between two moments (before, after).

    inverse, size Q in USD: coins Q (1/F₀ − 1/F₁), worth S₁ times that;   linear: size (F₁ − F₀);
    spot: size (S₁ − S₀).

    >>> usd, coins = linear_pnl(1e4, forwards=(1e5, 1.25e5), indices=(1e5, 1.25e5), is_inverse=True)
    >>> float(usd), round(float(coins), 12)
    (2500.0, 0.02)
    """
    amount = asarray(size, dtype=float)
    before, after = (_prices(F) for F in forwards)
    start, end = (asarray(S, dtype=float) for S in indices)
    coins = np.where(is_inverse, amount * (after - before) / (before * after), 0.0)
    return np.where(is_inverse, coins * end, amount * np.where(is_spot, end - start, after - before)), coins


def _moves(move: ArrayLike) -> Values:
    x = asarray(move, dtype=float)
    is_good = (x > -1.0) & (x <= black.LARGEST)
    if not np.all(is_good):
        black.refuse("move", x, is_good, "a relative move above -1, which leaves a price above 0")
    return x


def _prices(forward: ArrayLike) -> Values:
    F = asarray(forward, dtype=float)
    is_good = (F > 0.0) & (F <= black.LARGEST)
    if not np.all(is_good):
        black.refuse("forward", F, is_good, "a price above 0")
    return F


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Quantities in USD by name, u = 1/F and v = u dF, with dF the move of F per unit of what derivatives are to.

    `fades` is dv/dτ: u/L inside the settlement window, 0 before it; `grown` is the move of ln F per 1.00 of the rate,
    the spot held.
    """

    usd: Mapping[str, Values]
    u: Values
    v: Values
    fades: Values
    grown: Values


def _parts(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The names asked for, and those of the USD quantities that they are made of."""
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in _COIN:
            raise InputError(f'unknown coin quantity "{name}"; {nearest(name, _COIN)}')
    return wanted, tuple(dict.fromkeys(part for name in wanted for part in _COIN[name][0]))


def _coin(wanted: Sequence[str], parts: Parts) -> dict[str, ndarray]:
    return {name: asarray(_COIN[name][1](parts)) for name in wanted}


def _first(x: str, slope: str) -> "Formula":
    """First derivative of x/F, from x and x′."""
    return lambda at: (at.usd[slope] - at.usd[x] * at.v) * at.u


def _second(x: str, slope: str, bend: str) -> "Formula":
    """Second derivative of x/F, from x, x′ and x″."""
    return lambda at: (at.usd[bend] - 2.0 * at.v * (at.usd[slope] - at.usd[x] * at.v)) * at.u


def _plain(x: str) -> "Formula":
    return lambda at: at.usd[x] * at.u


def _charm(at: Parts) -> Values:
    return (at.usd["charm"] - at.usd["theta"] * at.v + at.usd["price"] * at.fades) * at.u


def _color(at: Parts) -> Values:
    moved = at.usd["color"] - 2.0 * at.v * (at.usd["charm"] - at.usd["theta"] * at.v)
    return (moved + 2.0 * at.fades * (at.usd["delta"] - 2.0 * at.usd["price"] * at.v)) * at.u


def _speed(at: Parts) -> Values:
    inner = at.usd["gamma"] - 2.0 * at.v * (at.usd["delta"] - at.usd["price"] * at.v)
    return (at.usd["speed"] - 3.0 * at.v * inner) * at.u


def _rho(at: Parts) -> Values:
    return (at.usd["rho"] - at.grown * at.usd["price"]) * at.u


Formula = Callable[[Parts], Values]

_COIN: Mapping[str, tuple[tuple[str, ...], Formula]] = MappingProxyType(
    {
        "price": (("price",), _plain("price")),
        "delta": (("price", "delta"), _first("price", "delta")),
        "gamma": (("price", "delta", "gamma"), _second("price", "delta", "gamma")),
        "speed": (("price", "delta", "gamma", "speed"), _speed),
        "vega": (("vega",), _plain("vega")),
        "vanna": (("vega", "vanna"), _first("vega", "vanna")),
        "zomma": (("vega", "vanna", "zomma"), _second("vega", "vanna", "zomma")),
        "volga": (("volga",), _plain("volga")),
        "theta": (("theta",), _plain("theta")),
        "charm": (("price", "theta", "charm"), _charm),
        "color": (("price", "delta", "theta", "charm", "color"), _color),
        "veta": (("veta",), _plain("veta")),
        "rho": (("price", "rho"), _rho),
        "strike_delta": (("strike_delta",), _plain("strike_delta")),
        "strike_gamma": (("strike_gamma",), _plain("strike_gamma")),
    }
)
