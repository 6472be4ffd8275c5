"""Options whose settlement price is an average: how their price and Greeks fade over the last minutes.

The delivery price A of a Deribit contract is the time-weighted average of the index over the last half hour. When τ
years are left of a window of L, the share w = min(1, τ/L) of that average is still to come and the rest is fixed:

    A = c + w R,   E[R] = S,   F = E[A] = c + w S

with S the index, R its average over what remains and c = F − w S what the past contributes. A call on A is then w
calls on R with another strike, V = D w B(S, K″, σ, τ) with B the undiscounted Black price, where

    (A − K)⁺ = w (R − K″)⁺,   K″ = (K − c)/w = S + (K − F)/w

The rule for the deviation is s = σ√τ with the quoted volatility. An average over the remaining τ has the variance
σ_index² τ/3; before the window the variance of A is σ_index² (τ − 2L/3). A volatility that prices A by Black's formula
at τ = L is therefore σ = σ_index/√3, and inside the window σ²τ is exactly the variance of R. So the quoted volatility
carries the factor 1/3 and is kept, which also makes the price continuous at w = 1. (A volatility quoted hours earlier
and carried into the window overstates the deviation, by √3 at most.)

Derivatives "to the forward" are here those to the index S with c fixed, so that delta is w times a normal
probability and falls linearly to zero for a contract deep in the money, as the venue documents ("Delta decay during
settlement", support.deribit.com, article 25944751433757; a future's delta is w). As time passes with S held, F stays
and K″ runs away from S. With K″ ≤ 0 exercise is certain: V = ±D (F − K), delta ±D w, nothing else but what passes.

As w → 0 everything but the value vanishes off the money, and at w = 0 the value is the settlement value, without risk.
At w = 1 the price and its derivatives to S and σ pass over into Black's; those to time jump there, by what fades (σ
held, the variance of A has a kink in τ; σ_index held it has none, and the quoted σ falls before it).
A forward equal to the index says that the past average is today's index; a basis F/S − 1 that is none shifts
time value and higher Greeks by about itself, never the moneyness (F − K)/w.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import ndtr

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fading:
    """Options inside the window as options on the remaining average: `on` is Black's record at S and max(K″, 0).

    `share` is w and `per_year` is w/τ = 1/L, both as they act: 1 and 0 outside the window. `intrinsic` is
    (±(F − K))⁺, `strike` is K″ and `scaled_strike` is w K″ = K − c, negative where exercise is certain.
    """

    on: black.Options
    share: Quotes
    per_year: Quotes
    intrinsic: Quotes
    strike: Quotes
    scaled_strike: Quotes


def options(
    *,
    forward: ArrayLike,
    index: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    window: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Fading:
    """Checked inputs as options on the remaining average. `forward` is E[A], `index` is E[R], `window` is L in years.

    Outside the window (w = 1) nothing is fixed: K″ is K and the average's mean is the forward, plain Black.
    """
    plain = black.options(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    spot = np.asarray(index, dtype=np.float64)
    is_good = (spot >= 0.0) & (spot <= LARGEST)
    if not np.all(is_good):
        black.refuse("index", spot, is_good, f"a number from 0 to {LARGEST:g}")
    share = floating_share(plain.time_to_expiry, window=window)
    F, S, K, w = np.broadcast_arrays(plain.forward, spot, plain.strike, share)
    is_inside = w < 1.0
    far = np.where(K == F, 0.0, np.copysign(LARGEST, K - F))
    with np.errstate(over="ignore"):
        far = np.divide(K - F, w, out=far, where=(w > black.TINY) & (K != F))
    mean, moved = np.where(is_inside, S, F), np.where(is_inside, np.clip(S + far, -LARGEST, LARGEST), K)
    on = black.options(
        forward=mean,
        strike=np.maximum(moved, 0.0),
        volatility=plain.volatility,
        time_to_expiry=plain.time_to_expiry,
        is_call=plain.is_call,
        discount=plain.discount,
    )
    return Fading(
        on=on,
        share=w,
        per_year=np.where(is_inside, w * inverse(on.time_to_expiry), 0.0),
        intrinsic=np.maximum(plain.side * (F - K), 0.0),
        strike=moved,
        scaled_strike=np.where(is_inside, w * S + (K - F), K),
    )


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

    Inside the window derivatives are to the index, the fixed part held; outside it the numbers are those of
    `greeks.compute`, to the forward. Units as there. Axes broadcast. Half the average is fixed, half the delta is left:

    >>> half = fading(["price", "delta"], forward=10_000.0, index=10_000.0, strike=7_000.0, volatility=0.6,
    ...               time_to_expiry=0.25 / 8760.0, is_call=True, window=0.5 / 8760.0)
    >>> float(half["price"].round(8)), float(half["delta"].round(8))
    (3000.0, 0.5)
    """
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in QUANTITIES:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, QUANTITIES)}')
    at = options(
        forward=forward,
        index=index,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        window=window,
        discount=discount,
    )
    with np.errstate(under="ignore"):
        return {name: np.asarray(QUANTITIES[name](at)) for name in wanted}


def price(at: Fading) -> Quotes:
    """V = D (max(±(F − K), 0) + w min(S, K″) × time value of Black at S and K″); the settlement value at w = 0."""
    least = np.minimum(at.on.forward, at.on.strike)
    return at.on.discount * (
        at.intrinsic + at.share * least * black.time_value(np.abs(at.on.distance), 0.5 * at.on.deviation)
    )


def theta(at: Fading) -> Quotes:
    """−∂V/∂τ with F and S held: −w (B_τ + S (Φ(d₁) − Φ(d₂))/τ) + r V.

    The second term is what fades, B/τ less the run of K″ (homogeneity: B − (K″ − S) B_K = S (B_S + B_K)).
    """
    on = at.on
    decay = 0.5 * on.density * on.volatility * inverse(np.sqrt(on.time_to_expiry))
    is_high = on.d2 > 0.0
    between = np.where(is_high, ndtr(-on.d2) - ndtr(-on.d1), ndtr(on.d1) - ndtr(on.d2))
    return -on.discount * on.forward * (at.share * decay + at.per_year * between) + on.rate * price(at)


def rho(at: Fading) -> Quotes:
    """±τ D (K − c) Φ(±d₂): spot held, the mean of the remaining average growing with the rate."""
    on = at.on
    return on.side * on.time_to_expiry * on.discount * at.scaled_strike * ndtr(on.side * on.d2)


def charm(at: Fading) -> Quotes:
    """−∂delta/∂τ = w D φ(d₁) d₂/(2τ) − (w/τ) (D B_S + (K″ − S)/K″ D φ(d₁)/s) + r delta."""
    on = at.on
    moved = 0.5 * on.discount * on.density * on.d2 * inverse(on.time_to_expiry)
    run = _distance(at) * on.discount * on.density * inverse(on.deviation)
    own = black.delta(on)
    return at.share * (moved + on.rate * own) - at.per_year * (own + run)


def veta(at: Fading) -> Quotes:
    """−∂vega/∂τ = −w vega (1 + d₁ d₂)/(2τ) − (w/τ) S (B_Sσ + B_σK) + r vega, with B_σK = vega d₁/(K″ s)."""
    on = at.on
    by_strike = black.vega(on) * on.d1 * inverse(on.strike) * inverse(on.deviation)
    return at.share * higher.veta(on) - at.per_year * on.forward * (higher.vanna(on) + by_strike)


def color(at: Fading) -> Quotes:
    """−∂gamma/∂τ = w gamma (1 − d₁ d₂)/(2τ) − (w/τ) (gamma + (K″ − S)/K″ (gamma + S speed)) + r gamma."""
    on = at.on
    own = black.gamma(on)
    run = _distance(at) * (own + on.forward * higher.speed(on))
    return at.share * higher.color(on) - at.per_year * (own + run)


def strike_delta(at: Fading) -> Quotes:
    """∂V/∂K = ∓D Φ(±d₂): w ∂B/∂K″ with ∂K″/∂K = 1/w. What is fixed takes nothing from it."""
    return black.strike_delta(at.on)


def strike_gamma(at: Fading) -> Quotes:
    """∂²V/∂K² = D φ(d₂)/(w K″ s), the density of the settlement price; 0 at w = 0."""
    return black.strike_gamma(at.on) * inverse(at.share)


def _distance(at: Fading) -> Quotes:
    """(K″ − S)/K″; 0 where exercise is certain."""
    return (at.strike - at.on.forward) * inverse(at.on.strike)


def _scaled(quantity: Callable[[black.Options], Quotes]) -> Callable[[Fading], Quotes]:
    """A quantity of Black's formula at S and K″ times w: what derivatives to S and σ are."""
    return lambda at: at.share * quantity(at.on)


QUANTITIES: Mapping[str, Callable[[Fading], Quotes]] = MappingProxyType(
    {
        "price": price,
        "delta": _scaled(black.delta),
        "gamma": _scaled(black.gamma),
        "vega": _scaled(black.vega),
        "theta": theta,
        "rho": rho,
        "vanna": _scaled(higher.vanna),
        "volga": _scaled(higher.volga),
        "charm": charm,
        "veta": veta,
        "speed": _scaled(higher.speed),
        "zomma": _scaled(higher.zomma),
        "color": color,
        "strike_delta": strike_delta,
        "strike_gamma": strike_gamma,
    }
)
