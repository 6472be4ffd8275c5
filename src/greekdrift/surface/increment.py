"""The increment of the state of one underlying between two chains, beyond what the clock alone does to it."""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.surface.moved_slice import Kept
from greekdrift.surface.slices import Slice, Surface
from greekdrift.surface.state import (
    BASIS,
    CURVATURE,
    FACTORS,
    FORWARD,
    LEVEL,
    SKEW,
    annualised_basis,
    curves,
    three_volatilities,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Increment:
    """Increments of the factors in the order of `state.FACTORS`; 0 where they are not known.

    `has_index` says whether the later chain has an index price, `has_smile` whether any expiry is fitted in both.
    """

    values: Float[ndarray, " factor"]
    has_index: bool
    has_smile: bool


def increment(
    chain: Chain, later: Chain, surface: Surface, later_surface: Surface, underlying: str, *, kept: Kept
) -> Increment:
    """state(later) − state(chain aged to the instant of later), read on the expiries that both list.

    An aged expiry keeps its smile in log-moneyness, so that one deviation lies nearer to the money as its time runs
    (with `kept="standardised"` it keeps its three volatilities). The forward is ln(S₁/S₀); the basis is the slope in
    time left of what ln(F/S) of the common dated forwards changed by.
    """
    values = np.zeros(len(FACTORS))
    price = later.index_price.get(underlying)
    pairs = _pairs(surface, later_surface, underlying)
    if price is not None:
        values[FORWARD] = log(price / chain.index_price[underlying])
        values[BASIS] = _basis(chain, later, underlying)
    if pairs:
        clocks = np.array([one.clock for _, one in pairs])
        aged = np.array([_aged(one, clock, kept) for (one, _), clock in zip(pairs, clocks, strict=True)])
        after = curves(clocks, np.array([three_volatilities(one) for _, one in pairs]))
        for part, now, then in zip((LEVEL, SKEW, CURVATURE), curves(clocks, aged), after, strict=True):
            values[part] = then - now
    values.setflags(write=False)
    return Increment(values=values, has_index=price is not None, has_smile=bool(pairs))


def _pairs(surface: Surface, later_surface: Surface, underlying: str) -> list[tuple[Slice, Slice]]:
    late = {one.expiry: one for one in later_surface.of(underlying)}
    return [(one, late[one.expiry]) for one in surface.of(underlying) if one.expiry in late]


def _aged(one: Slice, clock: float, kept: Kept) -> Float[ndarray, "3"]:
    """σ at z = 0, −1 and +1 of a slice that has `clock` years left and kept its smile."""
    if kept == "standardised":
        return three_volatilities(one)
    return one.volatility(np.array([0.0, -1.0, 1.0]) * one.atm_volatility * sqrt(clock))


def _basis(chain: Chain, later: Chain, underlying: str) -> float:
    before, after = _spreads(chain, underlying), _spreads(later, underlying)
    common = [expiry for expiry in after if expiry in before and after[expiry][0] > 0.0]
    if not common:
        return 0.0
    years = [after[expiry][0] for expiry in common]
    return annualised_basis(np.array([years, [after[one][1] - before[one][1] for one in common]]))


def _spreads(chain: Chain, underlying: str) -> dict[np.datetime64, tuple[float, float]]:
    """Years and ln(F/S) by expiry, the median forward of the expiry's rows."""
    own = (chain.underlying == underlying) & np.isfinite(chain.time_to_expiry)
    found = {}
    for expiry in np.unique(chain.expiry[own]):
        rows = own & (chain.expiry == expiry)
        forward = float(np.median(chain.forward[rows]))
        found[expiry] = (float(chain.time_to_expiry[rows][0]), log(forward / chain.index_price[underlying]))
    return found
