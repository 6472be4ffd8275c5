"""Options whose settlement price is an average: how their price and Greeks fade over the last minutes.

The delivery price A of a Deribit contract is the time-weighted average of the index over the last half hour. When τ
years are left of a window of L, the share w = min(1, τ/L) of that average is still to come and the rest is fixed:

    A = c + w R,   E[R] = S,   F = E[A] = c + w S,   dF/dS = w

with S the index, R its average over what remains and c = F − w S what the past contributes. In the window the forward
that the venue prints is this F and not the index.

The rule: the quoted volatility is that of the settlement price, so that V = D B(F, K, σ√τ) is Black's value on F to
the last second, continuous at w = 1, and derivatives are to the index S with the fixed part c held:

    delta = w ∂V/∂F,   gamma = w² ∂²V/∂F²,   speed = w³ ∂³V/∂F³,   vanna and zomma likewise;   vega, volga as they are

So it is on the venue: marks recorded 0.5, 1.6 and 5 minutes before expiry are Black's at the printed volatility and
forward, and its delta fades linearly, 0.5 to 0.25 in 15 minutes, a future's from 1 to 0 ("Delta decay during
settlement", support.deribit.com, article 25944751433757). As time passes with S held, F stays (it is a martingale)
and w falls, so that charm = w charm_F − delta/τ and color = w² color_F − 2 gamma/τ; theta and veta are Black's.

The same as a strike: (A − K)⁺ = w (R − K″)⁺ with K″ = S + (K − F)/w is w calls on R. If the volatility of the index
itself is known instead, `settlement_volatility` turns it into the one of A: R has the variance σ_index² τ/3. A
volatility quoted before the window and kept inside it, as scenarios keep it, is larger than that.

As w → 0 all derivatives to the index vanish, and at w = 0 the value is the discounted settlement value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError, nearest
from greekdrift.greeks import black, higher
from greekdrift.greeks.black import LARGEST, Quotes, inverse


def floating_share(time_to_expiry: ArrayLike, *, window: ArrayLike) -> Quotes:
    """Share of the settlement average that is not fixed yet: w = min(1, τ/L); 1 without a window, 0 once expired.

    Both in years. A contract without expiry (τ infinite) has a share of 1.

    >>> floating_share([2.0, 0.5, 0.0], window=1.0), floating_share(0.0, window=0.0)
    (array([1. , 0.5, 0. ]), array(1.))
    """
    tau, length = np.broadcast_arrays(np.asarray(time_to_expiry, float), np.asarray(window, float))
    is_good = (length >= 0.0) & (length <= LARGEST)
    if not np.all(is_good):
        black.refuse("window", length, is_good, "a number of years of at least 0")
    has_window = length > 0.0
    with np.errstate(under="ignore"):
        share = np.divide(np.minimum(np.maximum(tau, 0.0), length), length, out=np.ones(tau.shape), where=has_window)
    return np.asarray(share)


def settlement_volatility(
    index_volatility: ArrayLike,
    *,
    forward: ArrayLike,
    index: ArrayLike,
    time_to_expiry: ArrayLike,
    window: ArrayLike,
) -> Quotes:
    """Volatility of the settlement price, by Black's convention over τ, from that of the index.

    before the window: σ_index √(1 − 2L/(3τ));   inside it: σ_index (w S/F) / √3

    A continuous average over L of a Brownian motion has the variance of a third of L; a weight w S/F of the price
    moves. Equal at τ = L up to F/S. To first order in σ²τ, which is 1e-5 in the window.
    Source: variance of ∫W dt/T is T/3, as in Kemna and Vorst (1990) for average options.

    >>> at = {"forward": 100.0, "index": 100.0, "window": 0.5 / 8760.0}
    >>> settlement_volatility(0.6, time_to_expiry=np.array([24.0, 0.5, 0.25]) / 8760.0, **at).round(4)
    array([0.5958, 0.3464, 0.1732])
    """
    tau, length = np.asarray(time_to_expiry, dtype=float), np.asarray(window, dtype=float)
    w = floating_share(tau, window=length)
    before = np.sqrt(np.maximum(1.0 - (2.0 / 3.0) * length * inverse(tau), 0.0))
    scale = np.asarray(index, dtype=float) / np.asarray(forward, dtype=float)
    return np.asarray(index_volatility, dtype=float) * np.where(w < 1.0, w * scale / np.sqrt(3.0), before)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fading:
    """Options on the settlement price: `on` is Black's record at F, `share` is w = dF/dS, 1 before the window.

    `per_year` is dw/dτ = w/τ = 1/L inside the window, else 0; `index` is S there and F before it.
    """

    on: black.Options
    index: Quotes
    share: Quotes
    per_year: Quotes


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
    """Named quantities of options that settle on an average over the last `window` years; names of `greeks.compute`.

    `forward` is E[A], `index` the index S. Inside the window derivatives are to the index, the fixed part held;
    before it the numbers are those of `greeks.compute`, to the forward. Units as there; all arrays broadcast. Half
    of the average is fixed, half of the delta is left:

    >>> half = fading(["price", "delta"], forward=10_000.0, index=10_000.0, strike=7_000.0, volatility=0.6,
    ...               time_to_expiry=0.25 / 8760.0, is_call=True, window=0.5 / 8760.0)
    >>> float(half["price"].round(8)), float(half["delta"].round(8))
    (3000.0, 0.5)
    """
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in QUANTITIES:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, QUANTITIES)}')
    on = black.options(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    S, w = _index(index), floating_share(on.time_to_expiry, window=window)
    try:
        shape = np.broadcast_shapes(S.shape, w.shape)
    except ValueError:
        raise InputError(
            f"shapes do not broadcast: index {S.shape}, options with window {w.shape}; pass one element per option."
        ) from None
    is_inside = w < 1.0
    at = Fading(
        on=on,
        index=np.where(is_inside, S, on.forward),
        share=w,
        per_year=np.where(is_inside, w * inverse(on.time_to_expiry), 0.0),
    )
    with np.errstate(under="ignore"):
        return {name: np.array(np.broadcast_to(QUANTITIES[name](at), shape)) for name in wanted}


def _index(index: ArrayLike) -> Quotes:
    try:
        column = np.asarray(index, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"index {index!r} is not an array of numbers.") from None
    black.refuse_masked("index", index)
    is_good = (column >= 0.0) & (column <= LARGEST)
    if not np.all(is_good):
        black.refuse("index", column, is_good, f"a number from 0 to {LARGEST:g}")
    return column


def rho(at: Fading) -> Quotes:
    """∂V/∂r, the spot held and the mean of R growing with the rate: τ (w S ∂V/∂F − V); Black's before the window."""
    fixed = np.where(at.share < 1.0, at.on.forward - at.share * at.index, 0.0)
    return black.rho(at.on) - at.on.time_to_expiry * fixed * black.delta(at.on)


def charm(at: Fading) -> Quotes:
    """−∂delta/∂τ = w charm_F − (w/τ) ∂V/∂F: what Black's delta does, and what fades."""
    return at.share * higher.charm(at.on) - at.per_year * black.delta(at.on)


def color(at: Fading) -> Quotes:
    """−∂gamma/∂τ = w² color_F − 2 (w/τ) w ∂²V/∂F²."""
    return at.share * (at.share * higher.color(at.on) - 2.0 * at.per_year * black.gamma(at.on))


def _scaled(quantity: Callable[[black.Options], Quotes], order: int) -> Callable[[Fading], Quotes]:
    """A quantity of Black's formula at F times w to the number of its derivatives to the forward."""
    return lambda at: at.share**order * quantity(at.on)


QUANTITIES: Mapping[str, Callable[[Fading], Quotes]] = MappingProxyType(
    {
        "price": _scaled(black.price, 0),
        "delta": _scaled(black.delta, 1),
        "gamma": _scaled(black.gamma, 2),
        "vega": _scaled(black.vega, 0),
        "theta": _scaled(black.theta, 0),
        "rho": rho,
        "vanna": _scaled(higher.vanna, 1),
        "volga": _scaled(higher.volga, 0),
        "charm": charm,
        "veta": _scaled(higher.veta, 0),
        "speed": _scaled(higher.speed, 3),
        "zomma": _scaled(higher.zomma, 2),
        "color": color,
        "strike_delta": _scaled(black.strike_delta, 0),
        "strike_gamma": _scaled(black.strike_gamma, 0),
    }
)
