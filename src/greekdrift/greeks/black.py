"""Black (1976) on the forward: price, delta, gamma, vega, theta, rho, the strike's. The slow, readable truth.

V = D (F Φ(d₁) − K Φ(d₂)) for a call,  D (K Φ(−d₂) − F Φ(−d₁)) for a put
d₁ = ln(F/K)/s + s/2,   d₂ = d₁ − s,   s = σ√τ

`options` checks the inputs once and shares s, d₁, d₂ and φ(d₁); each quantity is then one function of that
record: an array of its shape, a numpy scalar where all inputs were scalars. Units: F and K in quote currency, σ
per 1.00, τ in years of 365 days; results per 1.00 and per year.

Limits. At s = 0 (no time or no volatility) the price is the discounted intrinsic value and the delta a step,
½ at F = K. Gamma, theta and the Greeks of higher order are then 0: the limit everywhere but at F = K, where
it may not exist and 0 is the convention. A forward, a deviation or a time below 1e-60 counts as 0, a
distance of 1e10 standard deviations stands for infinity. No input that passes the door gives NaN.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import erfcx, ndtr

from greekdrift.errors import InputError

Quotes = Float[ndarray, "*quote"]
Sides = Bool[ndarray, "*quote"]

TINY = 1e-60
FAR = 1e10
LARGEST = 1e100
"""Inputs above it are refused: products of them would leave the range of a double."""
LEAST = 1.0 / LARGEST
"""A strike below it counts as 0 in the strike's gamma."""
CERTAIN = 37.0
"""The Mills ratio of an argument below −37 overflows; Φ is 1 to the last bit there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """European options as columns of one shape, with the pieces that all quantities share.

    `side` is +1 for calls and −1 for puts; `deviation` is s = σ√τ; `log_moneyness` is ln(F/K);
    `distance` is ln(F/K)/s; `density` is φ(d₁); `rate` is −ln(D)/τ, and 0 at τ = 0.
    """

    forward: Quotes
    strike: Quotes
    volatility: Quotes
    time_to_expiry: Quotes
    is_call: Sides
    discount: Quotes
    side: Quotes
    rate: Quotes
    deviation: Quotes
    log_moneyness: Quotes
    distance: Quotes
    d1: Quotes
    d2: Quotes
    density: Quotes


def options(
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Options:
    """Checked and broadcast inputs with s, d₁, d₂ and φ(d₁); the first bad element is named.

    >>> float(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True).d1)
    0.125
    """
    names = ("forward", "strike", "volatility", "time_to_expiry", "discount")
    values = (forward, strike, volatility, time_to_expiry, discount)
    columns = [_column(name, value) for name, value in zip(names, values, strict=True)]
    sides = _sides(is_call)
    try:
        F, K, sigma, tau, D, calls = np.broadcast_arrays(*columns, sides)
    except ValueError:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in zip(names, columns, strict=True))
        raise InputError(
            f"shapes do not broadcast: {shapes}, is_call {sides.shape}; pass one element per option."
        ) from None
    s = sigma * np.sqrt(tau)
    s = np.where(s > TINY, s, 0.0)
    k = log_ratio(F, K)
    distance = np.where(k == 0.0, 0.0, np.copysign(FAR, k))
    distance = np.clip(np.divide(k, s, out=distance, where=s > 0.0), -FAR, FAR)
    half = np.where(np.isinf(k), 0.0, 0.5 * s)  # no deviation brings a forward or a strike of 0 back
    d1 = np.minimum(distance + half, FAR)
    d2 = np.maximum(distance - half, -FAR)
    with np.errstate(under="ignore"):
        density = normal_density(d1)
        rate = -np.log(D) * inverse(tau)
    return Options(
        forward=F, strike=K, volatility=sigma, time_to_expiry=tau, is_call=calls, discount=D,
        side=np.where(calls, 1.0, -1.0), rate=rate, deviation=s, log_moneyness=k, distance=distance,
        d1=d1, d2=d2, density=density,
    )  # fmt: skip


def price(at: Options) -> Quotes:
    """Black price: discounted intrinsic value plus time value, quote currency.

    V = D (max(±(F − K), 0) + min(F, K) φ(h − t) (m(h − t) − m(h + t)))
    h = |ln(F/K)|/s,   t = s/2,   m(x) = Φ(−x)/φ(x)

    The time value is the same for call and put, so that put-call parity holds to the last bit, and its
    relative accuracy does not fall in the wings: both densities are equal, F φ(d₁) = K φ(d₂), and divided out.
    Source: Black (1976); the factored form follows Jäckel, Let's Be Rational (2015), section 2.

    >>> round(float(price(options(forward=100.0, strike=110.0, volatility=0.2, time_to_expiry=1.0, is_call=True))), 8)
    4.29201094
    """
    with np.errstate(under="ignore"):
        intrinsic = np.maximum(at.side * (at.forward - at.strike), 0.0)
        share = time_value(np.abs(at.distance), 0.5 * at.deviation)
        return at.discount * (intrinsic + np.minimum(at.forward, at.strike) * share)


def delta(at: Options) -> Quotes:
    """Change of the price per unit of the forward: ∂V/∂F = ±D Φ(±d₁).

    Source: Hull, Options, Futures and Other Derivatives, chapter 19. Coins per coin, 0 … 1 for calls.

    >>> delta(options(forward=[90.0, 110.0], strike=100.0, volatility=0.0, time_to_expiry=1.0, is_call=True))
    array([0., 1.])
    """
    with np.errstate(under="ignore"):
        return at.discount * at.side * ndtr(at.side * at.d1)


def gamma(at: Options) -> Quotes:
    """Change of delta per unit of the forward: ∂²V/∂F² = D φ(d₁) / (F s).

    Source: Hull, chapter 19. Per quote currency.

    >>> round(float(gamma(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 6)
    0.015834
    """
    with np.errstate(under="ignore"):
        return at.discount * at.density * inverse(at.forward) * inverse(at.deviation)


def vega(at: Options) -> Quotes:
    """Change of the price per 1.00 of volatility: ∂V/∂σ = D F φ(d₁) √τ.

    Source: Hull, chapter 19. Quote currency per 1.00 of σ: divide by 100 for a point.

    >>> round(float(vega(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 4)
    19.7919
    """
    with np.errstate(under="ignore"):
        return at.discount * at.forward * at.density * np.sqrt(at.time_to_expiry)


def theta(at: Options) -> Quotes:
    """Change of the price per year that passes, forward and volatility held: −∂V/∂τ.

    theta = −D F φ(d₁) σ / (2√τ) + r V,   r = −ln(D)/τ

    Negative for a long option at r = 0. Source: Hull, chapter 19, on the forward. Quote currency per year of
    365 days: divide by 365 for a day.

    >>> round(float(theta(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 4)
    -19.7919
    """
    with np.errstate(under="ignore"):
        decay = -0.5 * at.discount * at.forward * at.density * at.volatility * inverse(np.sqrt(at.time_to_expiry))
        return decay + at.rate * price(at) if np.any(at.rate) else decay


def rho(at: Options) -> Quotes:
    """Change of the price per 1.00 of the continuous rate, the spot held and the forward growing with the rate.

    rho = ±τ D K Φ(±d₂)   with   F = S exp((r − q) τ),   D = exp(−r τ)

    This is the rho that venues print (÷ 100, D = 1). With the forward held instead, it would be −τ V.
    Source: Hull, chapter 19. Quote currency per 1.00 of rate.

    >>> round(float(rho(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=False))), 4)
    -13.7435
    """
    with np.errstate(under="ignore"):
        return at.side * at.time_to_expiry * at.discount * at.strike * ndtr(at.side * at.d2)


def strike_delta(at: Options) -> Quotes:
    """Change of the price per unit of the strike: ∂V/∂K = ∓D Φ(±d₂).

    Minus the discounted probability of exercise for calls, plus for puts. Source: Hull, chapter 19 (by homogeneity,
    V = F ∂V/∂F + K ∂V/∂K).

    >>> strike_delta(options(forward=[90.0, 110.0], strike=100.0, volatility=0.0, time_to_expiry=1.0, is_call=True))
    array([-0., -1.])
    """
    with np.errstate(under="ignore"):
        return -at.discount * at.side * ndtr(at.side * at.d2)


def strike_gamma(at: Options) -> Quotes:
    """Change of strike delta per unit of the strike: ∂²V/∂K² = D φ(d₂) / (K s).

    The discounted density of the forward at expiry. Source: Breeden and Litzenberger (1978). Per quote currency.

    >>> at = options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=False)
    >>> round(float(strike_gamma(at)), 6)
    0.015834
    """
    with np.errstate(under="ignore"):
        return at.discount * normal_density(at.d2) * inverse(at.strike, LEAST) * inverse(at.deviation)


def time_value(distance: Quotes, half: Quotes) -> Quotes:
    """Time value of an option as a share of min(F, K), from h = |ln(F/K)|/s and t = s/2.

    φ(h − t) (m(h − t) − m(h + t)) = 1 − φ(h − t) (m(t − h) + m(t + h)), between 0 and 1.

    The second form is the complement to min(F, K), exact where the deviation is wide.

    >>> time_value(np.array([0.0, 3.0]), np.array([0.1, 0.1])).round(6)
    array([0.079656, 0.000103])
    """
    nearer = distance - half
    is_wide = nearer < -1.0
    with np.errstate(under="ignore"):
        density = normal_density(nearer)
        share = density * mills_difference(distance, half)
        if not np.any(is_wide):
            return share
        rest = density * (mills_ratio(np.abs(nearer)) + mills_ratio(distance + half))
        return np.where(is_wide, 1.0 - rest, share)


def mills_difference(centre: Quotes, half: Quotes) -> Quotes:
    """m(c − t) − m(c + t) of the Mills ratio m(x) = Φ(−x)/φ(x), for c ≥ 0 and t ≥ 0, to full relative accuracy.

    Where t is small the two terms cancel; the series −2t (m′ + t²/6 m‴ + t⁴/120 m⁗′) with
    m′ = c m − 1 and m⁽ⁿ⁺¹⁾ = n m⁽ⁿ⁻¹⁾ + c m⁽ⁿ⁾ takes over below t = 0.01, where its first neglected term is 1e-14.

    >>> mills_difference(np.array([0.0]), np.array([1e-12]))
    array([2.e-12])
    """
    nearer = np.maximum(centre - half, -CERTAIN)
    difference = mills_ratio(nearer) - mills_ratio(centre + half)
    is_close = half < 0.01
    if not np.any(is_close):
        return difference
    t = np.minimum(half, 0.01)
    m = mills_ratio(centre)
    first = centre * m - 1.0
    second = m + centre * first
    third = 2.0 * first + centre * second
    fourth = 3.0 * second + centre * third
    fifth = 4.0 * third + centre * fourth
    series = -2.0 * t * (first + t * t * (third / 6.0 + t * t * fifth / 120.0))
    return np.where(is_close, series, difference)


def mills_ratio(x: Quotes) -> Quotes:
    """Mills ratio of the normal law, m(x) = Φ(−x)/φ(x) = √(π/2) erfcx(x/√2); finite for x ≥ −37."""
    return sqrt(0.5 * pi) * erfcx(x * sqrt(0.5))


def normal_density(x: Quotes) -> Quotes:
    """Density of the standard normal law, φ(x) = exp(−x²/2)/√(2π)."""
    return np.exp(-0.5 * x * x) / sqrt(2.0 * pi)


def log_ratio(numerator: Quotes, denominator: Quotes) -> Quotes:
    """ln(a/b) to full relative accuracy also where a ≈ b; 0 at 0/0.

    >>> log_ratio(np.array([1.0 + 2.0**-40]), np.array([1.0])) == 2.0**-40 - 2.0**-81
    array([ True])
    """
    with np.errstate(all="ignore"):
        relative = (numerator - denominator) / denominator
        plain = np.log(numerator / denominator)
        apart = np.log(numerator) - np.log(denominator)
        plain = np.where(np.abs(apart) > 600.0, apart, plain)  # the quotient may be denormal
        is_near = np.abs(relative) < 0.5
        ratio = np.where(is_near, np.log1p(np.where(is_near, relative, 0.0)), plain)
        return np.where(numerator == denominator, 0.0, ratio)


def inverse(x: Quotes, least: float = TINY) -> Quotes:
    """1/x, and 0 where x counts as 0: what is divided has vanished there, or is 0 by convention."""
    return np.divide(1.0, x, out=np.zeros_like(x), where=x > least)


def _column(name: str, value: ArrayLike) -> Quotes:
    try:
        given = np.asarray(value)
        column = given.astype(np.float64, casting="same_kind", copy=False)
    except (TypeError, ValueError):
        raise InputError(f"{name} {value!r} is not an array of numbers.") from None
    if given.dtype == np.bool_:
        raise InputError(f"{name} {value!r} is a truth value; pass numbers.")
    refuse_masked(name, value)
    least = TINY if name == "discount" else 0.0
    is_good = (column >= least) & (column <= LARGEST)
    if not np.all(is_good):
        wanted = "a positive number up to" if name == "discount" else "a number from 0 to"
        refuse(name, column, is_good, f"{wanted} {LARGEST:g}")
    return column + 0.0  # −0.0 passes as 0, but a ratio over it would have the wrong sign


def refuse(name: str, column: ndarray, is_good: ndarray, wanted: str) -> None:
    """Raise `InputError` that names the first bad element of a column and how many more there are."""
    bad = np.argwhere(~is_good)
    at = tuple(int(i) for i in bad[0])
    place = f"[{', '.join(map(str, at))}]" if at else ""
    more = f" ({len(bad) - 1} more)" if len(bad) > 1 else ""
    raise InputError(f"{name}{place} = {column[at]} is not {wanted}{more}; drop or correct the element.")


def refuse_masked(name: str, value: ArrayLike) -> None:
    """Raise `InputError` if an element of a masked array is missing: what stands under the mask is no number."""
    if np.ma.is_masked(value):
        raise InputError(f"{name} has masked elements; drop their rows or fill them.")


def _sides(is_call: ArrayLike) -> Sides:
    try:
        calls = np.asarray(is_call)
    except ValueError:
        raise InputError(f"is_call {is_call!r} is not an array of booleans.") from None
    refuse_masked("is_call", is_call)
    if calls.dtype != np.bool_:
        raise InputError(f"is_call has type {calls.dtype}; pass booleans, True for calls and False for puts.")
    return calls
