"""Static arbitrage of a surface: butterflies within an expiry, calendar spreads between expiries."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.surface import svi
from greekdrift.surface.slices import Slice, Surface

Curve = Float[ndarray, "*curve"]

RANGE = 5.0
"""Checks reach this many standard deviations σ√τ on either side of the forward, and say so."""
POINTS = 401
CENTRE = np.sinh(np.linspace(-6.0, 6.0, 61))
"""Shares of s on either side of m: where a slice bends, however narrow that is beside the range."""
TOLERANCE = 1e-9


def density_factor(log_moneyness: Curve, variance: Curve, slope: Curve, convexity: Curve) -> Curve:
    """Gatheral's g for any smile: the risk-neutral density is g times a positive function.

    g(k) = (1 − k w′/(2w))² − (w′²/4)(1/w + 1/4) + w″/2;  a butterfly can be bought for less than nothing where g < 0.

    Source: Gatheral & Jacquier (2014), equation 2.1.

    >>> flat = np.array([0.04]), np.array([0.0]), np.array([0.0])
    >>> density_factor(np.array([0.3]), *flat)
    array([1.])
    """
    tilt = 1.0 - log_moneyness * slope / (2.0 * variance)
    return tilt**2 - 0.25 * slope**2 * (1.0 / variance + 0.25) + 0.5 * convexity


def butterfly_g(log_moneyness: Curve, *, a: float, b: float, rho: float, m: float, s: float) -> Curve:
    """Gatheral's g of a raw SVI slice at log-moneyness k; negative means butterfly arbitrage.

    >>> butterfly_g(np.array([-1.0, 0.0, 1.0]), a=0.04, b=0.1, rho=-0.3, m=0.0, s=0.3).round(4)
    array([0.3891, 1.1634, 0.5019])
    """
    k = np.asarray(log_moneyness, dtype=np.float64)
    return density_factor(
        k,
        svi.total_variance(k, a=a, b=b, rho=rho, m=m, s=s),
        svi.slope(k, b=b, rho=rho, m=m, s=s),
        svi.convexity(k, b=b, m=m, s=s),
    )


def grid(slice_: Slice, deviations: float = RANGE, points: int = POINTS) -> Float[ndarray, " point"]:
    """Log-moneyness from −deviations to +deviations times σ_atm√τ."""
    return np.linspace(-deviations, deviations, points) * slice_.deviation


def is_butterfly_free(slice_: Slice, log_moneyness: Float[ndarray, " point"] | None = None) -> bool:
    """Whether g ≥ 0 at some log-moneynesses: within ±5σ_atm√τ where none are given."""
    at = grid(slice_) if log_moneyness is None else log_moneyness
    p = slice_.parameters
    variance = svi.total_variance(at, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s)
    if np.any(variance <= 0.0):
        return False
    return bool(np.all(butterfly_g(at, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s) >= -TOLERANCE))


def calendar_gap(earlier: Slice, later: Slice, log_moneyness: Float[ndarray, " point"]) -> Float[ndarray, " point"]:
    """Total variance of the later slice minus that of the earlier at the same log-moneyness; negative is arbitrage.

    Source: Gatheral & Jacquier (2014), lemma 2.1: no calendar arbitrage if and only if w does not fall in τ at fixed k.
    """
    return later.total_variance(log_moneyness) - earlier.total_variance(log_moneyness)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One expiry (butterfly) or pair of expiries (calendar) at which static arbitrage is left."""

    kind: str
    underlying: str
    expiry: datetime
    worst: float
    at_deviations: float


def check(surface: Surface, *, deviations: float = RANGE) -> tuple[Violation, ...]:
    """All butterfly and calendar violations of a surface within ±deviations σ_atm√τ, and wherever slices claim none.

    A slice is looked at within that range and its `arbitrage_free`, a pair of neighbours within the ranges of both.
    `worst` is the least g of a butterfly (−1 where total variance is not above 0), and the least gap of a calendar pair
    as a share of the shorter slice's at-the-money total variance; `at_deviations` says where, in standard deviations of
    the shorter one, whose `expiry` is named.
    """
    found = []
    for name in surface.underlyings:
        slices = surface.of(name)
        for one in slices:
            found += _butterfly(one, deviations)
        for earlier, later in pairwise(slices):
            found += _calendar(earlier, later, deviations)
    return tuple(found)


def _points(slices: tuple[Slice, ...], deviations: float) -> Float[ndarray, " point"]:
    """Sorted log-moneyness over all that the slices cover or claim, denser where each of them bends."""
    widest = deviations * max(one.deviation for one in slices)
    low = min(-widest, *(one.arbitrage_free[0] for one in slices))
    high = max(widest, *(one.arbitrage_free[1] for one in slices))
    bends = [one.parameters.m + one.parameters.s * CENTRE for one in slices]
    inner = np.linspace(-widest, widest, POINTS)
    return np.unique(np.clip(np.concatenate([np.linspace(low, high, POINTS), inner, *bends]), low, high))


def _butterfly(one: Slice, deviations: float) -> list[Violation]:
    at = _points((one,), deviations)
    p = one.parameters
    variance = one.total_variance(at)
    is_alive = variance > 0.0
    values = np.full(at.size, -1.0)
    values[is_alive] = butterfly_g(at[is_alive], a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s)
    return _violation("butterfly", one, at, values)


def _calendar(earlier: Slice, later: Slice, deviations: float) -> list[Violation]:
    at = _points((earlier, later), deviations)
    values = calendar_gap(earlier, later, at) / earlier.deviation**2
    return _violation("calendar", earlier, at, values)


def _violation(kind: str, one: Slice, at: Curve, values: Curve) -> list[Violation]:
    worst = int(np.argmin(values))
    if values[worst] >= -TOLERANCE:
        return []
    where = float(at[worst] / one.deviation)
    return [
        Violation(
            kind=kind,
            underlying=one.underlying,
            expiry=one.expiry,
            worst=float(values[worst]),
            at_deviations=where,
        )
    ]
