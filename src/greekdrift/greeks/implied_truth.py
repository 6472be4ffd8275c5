"""Implied volatility in numpy: the slow, readable truth, which iterates until the last bit stands.

The time value b = (V/D − intrinsic)/min(F, K) is matched by Halley steps inside a bracket, on ln b below one half
and on ln(1 − b) above, where the share of time value has the closed forms of `black.time_value`. The compiled
solver is tested against it, and leaves to it the few rows outside the range of its fit.
"""

from collections.abc import Callable
from enum import IntEnum
from math import log, pi

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import ndtri

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import black
from greekdrift.greeks.black import CERTAIN, LARGEST, TINY, Quotes, mills_difference, mills_ratio

Vector = Float[ndarray, " quote"]
Mask = Bool[ndarray, " quote"]
Reasons = Int[ndarray, "*quote"]

FARTHEST = 6.0
"""In the money by more standard deviations than this, a price says too little of the volatility."""

COARSEST = 1e-6
"""Largest relative change of the volatility that the last bit of the price may cause."""

SMALLEST = 1e-290
"""Time values up to this, or up to this share of min(F, K), lose digits on their way to zero and tell nothing."""

ITERATIONS = 80


class Reason(IntEnum):
    """Why a row has no implied volatility; FOUND where it has one."""

    FOUND = 0
    NO_PRICE = 1
    BELOW_INTRINSIC = 2
    ABOVE_BOUND = 3
    NO_INFORMATION = 4
    EXPIRED = 5


def solve(
    price: ArrayLike,
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
) -> tuple[Quotes, Reasons]:
    """Implied volatility (NaN where there is none) and the `Reason` of each row; inputs as in `greeks.implied.solve`.

    >>> volatility, reason = solve([4.29201094, 120.0], forward=100.0, strike=110.0, time_to_expiry=1.0, is_call=True)
    >>> volatility.round(6), [Reason(code).name for code in reason]
    (array([0.2, nan]), ['FOUND', 'ABOVE_BOUND'])
    """
    at = black.options(
        forward=forward,
        strike=strike,
        volatility=0.0,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    value = prices(price)
    try:
        value, F, K, tau, side, D, k = np.broadcast_arrays(
            value, at.forward, at.strike, at.time_to_expiry, at.side, at.discount, at.log_moneyness
        )
    except ValueError:
        raise InputError(
            f"shapes do not broadcast: price {value.shape}, options {at.forward.shape}; pass one price per option."
        ) from None
    with np.errstate(under="ignore", over="ignore"):
        undiscounted = value / D
        intrinsic = np.maximum(side * (F - K), 0.0)
        time_value = undiscounted - intrinsic
        least = np.minimum(F, K)
        reason = _reasons(undiscounted, time_value, least, intrinsic)
        reason = np.where(tau <= TINY, Reason.EXPIRED, reason)
        reason = np.where(np.isnan(value), Reason.NO_PRICE, reason)
        found = reason == Reason.FOUND
        x, scale = np.abs(k[found]), least[found]
        s = deviation_of(time_value[found], least=scale, distance=x)
        is_inside = intrinsic[found] > 0.0
        is_blind = _is_blind(s, distance=x, bit=np.spacing(undiscounted[found]) / scale, is_inside=is_inside)
        volatility = np.full(value.shape, np.nan)
        volatility[found] = np.where(is_blind, np.nan, s / np.sqrt(tau[found]))
        reason[found] = np.where(is_blind, Reason.NO_INFORMATION, Reason.FOUND)
    return volatility, reason


def deviation_of(time_value: Vector, *, least: Vector, distance: Vector) -> Vector:
    """Deviation s = σ√τ at which the time value is the given one, with `least` = min(F, K), `distance` = |ln(F/K)|.

    >>> deviation_of(np.array([7.965567455405804]), least=np.array([100.0]), distance=np.array([0.0])).round(12)
    array([0.2])
    """
    is_high = time_value > 0.5 * least
    deviation = np.empty_like(time_value)
    with np.errstate(under="ignore"):
        low = ~is_high
        target = np.log(time_value[low]) - np.log(least[low])
        deviation[low] = _bracketed(_low, distance[low], target, _low_guess(distance[low], target))
        x = distance[is_high]
        target = np.log((least[is_high] - time_value[is_high]) / least[is_high])
        guess = np.maximum(-2.0 * ndtri(0.5 * np.exp(target)), np.sqrt(2.0 * x))
        deviation[is_high] = _bracketed(_high, x, target, guess)
    return deviation


def prices(price: ArrayLike) -> Quotes:
    """Prices as doubles, NaN for a missing one (None, masked, NaN); what is neither a number nor missing is named.

    >>> prices([1, float("nan")])
    array([ 1., nan])
    """
    try:
        given = np.asarray(price)
        value = given.astype(np.float64, casting="unsafe" if given.dtype == np.object_ else "same_kind", copy=False)
    except (TypeError, ValueError):
        raise InputError(f"price {price!r} is not an array of numbers.") from None
    if given.dtype == np.bool_:
        raise InputError(f"price {price!r} is a truth value; pass numbers.")
    if isinstance(price, np.ma.MaskedArray):
        value = np.where(price.mask, np.nan, value)
    is_good = (np.abs(value) <= LARGEST) | np.isnan(value)
    if not np.all(is_good):
        black.refuse("price", value, is_good, f"a number up to {LARGEST:g}")
    return value


def _reasons(undiscounted: Quotes, time_value: Quotes, least: Quotes, intrinsic: Quotes) -> Reasons:
    """Reason by the bounds 0 < time value < min(F, K), with a band of rounding about 0."""
    noise = np.where(
        intrinsic > 0.0, 8.0 * np.finfo(np.float64).eps * np.abs(undiscounted), SMALLEST * np.maximum(least, 1.0)
    )
    reason = np.where(time_value >= least, Reason.ABOVE_BOUND, Reason.FOUND)
    reason = np.where(np.abs(time_value) <= noise, Reason.NO_INFORMATION, reason)
    return np.where(time_value < -noise, Reason.BELOW_INTRINSIC, reason)


def _is_blind(s: Vector, *, distance: Vector, bit: Vector, is_inside: Mask) -> Mask:
    """Whether the last bit of the price, a share `bit` of min(F, K), moves s by more than `COARSEST`: bit / (s β′).

    So is a row whose s counts as 0 in `black`, and one too far in the money.
    """
    h, t = distance / s, 0.5 * s
    with np.errstate(under="ignore"):
        slope = black.normal_density(h - t) * s
    return (bit > COARSEST * slope) | (s <= TINY) | (is_inside & (h > FARTHEST))


def _low(x: Vector, s: Vector) -> tuple[Vector, Vector, Vector]:
    """Value ln β(s), its derivative, and half its second over its first; β′ = φ(h − t), β″ = β′ (h² − t²)/s."""
    h, t = x / s, 0.5 * s
    g = mills_difference(h, t)
    value = np.log(g) - 0.5 * np.maximum(h - t, -CERTAIN) ** 2 - 0.5 * log(2.0 * pi)
    return value, 1.0 / g, 0.5 * ((h - t) * (h + t) / s - 1.0 / g)


def _high(x: Vector, s: Vector) -> tuple[Vector, Vector, Vector]:
    """The same of ln(1 − β(s)), where 1 − β = φ(h − t) (m(t − h) + m(t + h))."""
    h, t = x / s, 0.5 * s
    g = mills_ratio(np.maximum(t - h, -CERTAIN)) + mills_ratio(t + h)
    value = np.log(g) - 0.5 * (t - h) ** 2 - 0.5 * log(2.0 * pi)
    return value, -1.0 / g, 0.5 * ((h - t) * (h + t) / s + 1.0 / g)


def _low_guess(x: Vector, target: Vector) -> Vector:
    """Root of (x/s − s/2)² = −2 (ln b + ln√(2π) − ln g), twice, with g ≈ s/(1 + h²) after a first g = 1."""
    s = _root(x, target)
    for _ in range(2):
        s = _root(x, target - np.log(s / (1.0 + (x / s) ** 2)))
    return s


def _root(x: Vector, log_density: Vector) -> Vector:
    q = np.sqrt(np.maximum(-2.0 * log_density - log(2.0 * pi), 0.0))
    wing = 2.0 * x / (q + np.sqrt(q * q + 2.0 * x) + TINY)
    return np.maximum(wing, np.exp(np.minimum(log_density, 0.0)))


def _bracketed(
    function: Callable[[Vector, Vector], tuple[Vector, Vector, Vector]], x: Vector, target: Vector, guess: Vector
) -> Vector:
    """Root s of function(x, s) = target by Halley's method; a step that leaves the bracket is replaced by bisection."""
    s = guess.copy()
    lower, upper = np.full_like(s, SMALLEST), np.full_like(s, 1e4)
    active = np.arange(s.size)
    for _ in range(ITERATIONS):
        here = s[active]
        value, slope, bend = function(x[active], here)
        error = value - target[active]
        is_above = error * slope > 0.0
        upper[active] = np.where(is_above, here, upper[active])
        lower[active] = np.where(is_above, lower[active], here)
        newton = error / slope
        step = newton / np.clip(1.0 - newton * bend, 0.5, 2.0)
        moved = here - step
        inside = (moved > lower[active]) & (moved < upper[active])
        is_done = np.abs(step) <= 1e-7 * here  # the next error is of third order in this step
        moved = np.where(inside | is_done, moved, np.sqrt(lower[active] * upper[active]))
        s[active] = moved
        active = active[~is_done]
        if active.size == 0:
            return s
    worst = int(active[0])
    raise CalculationError(
        f"implied volatility did not settle in {ITERATIONS} steps at |ln(F/K)| = {x[worst]} and log share "
        f"{target[worst]}; check the units of forward, strike and price."
    )
