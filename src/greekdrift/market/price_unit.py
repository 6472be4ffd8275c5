"""Whether option prices are in the coin or in USD, judged by what each would mean."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.market.ticks import prices

Rows = Float[ndarray, " row"]
Unit = Literal["coin", "usd"]

BOUND_SLACK = 0.02
"""By how much of the forward a price may lie outside of its bounds before it counts against a unit."""
SMALLEST = 1e-12
"""Prices, forwards and strikes from here on count."""
LEAST_FIT = 0.9
"""Share of prices that must lie within the bounds under the unit that is chosen."""
MOST_FIT = 0.6
"""Share that may do so under the other, where no volatility decides."""
TELLING = 3.0
"""How many times nearer to the Black price the chosen unit must be than the other."""
LEAST_GAP = 0.1
"""Median |ln(price / Black price)| of the other unit at least: nearer, and the two mean the same."""


class Judged(NamedTuple):
    """The unit, None where it cannot be told, and the fact behind it."""

    unit: Unit | None
    fact: str


def judged(
    price: Rows,
    *,
    forward: Rows,
    strike: Rows,
    is_call: Bool[ndarray, " row"],
    years: Rows,
    volatility: Rows | None = None,
) -> Judged:
    """The unit of option prices: the one that volatilities of the same rows confirm, else the one that bounds allow.

    Within bounds: max(±(F − K), 0) ≤ V ≤ F (call) or K (put), V = price × F where it is in coins. Rows without a
    positive price, forward or strike do not count.

    >>> at = np.array([0.10, 0.02])
    >>> strikes, is_call = np.array([90.0, 80.0]), np.array([True, False])
    >>> judged(at, forward=np.full(2, 100.0), strike=strikes, is_call=is_call, years=np.full(2, 0.2)).unit
    'coin'
    """
    on = (price > SMALLEST) & (forward > SMALLEST) & (strike > SMALLEST) & np.isfinite(price + forward + strike)
    if not np.any(on):
        return Judged(None, "no option has a price and a forward or an index")
    units: tuple[Unit, Unit] = ("coin", "usd")
    share = {"coin": price[on], "usd": price[on] / forward[on]}
    level, call = strike[on] / forward[on], is_call[on]
    low = np.maximum(np.where(call, 1.0 - level, level - 1.0), 0.0) - BOUND_SLACK
    high = np.where(call, 1.0, level) + BOUND_SLACK
    fits = {unit: float(np.mean((share[unit] >= low) & (share[unit] <= high))) for unit in units}
    if volatility is not None:
        model = _black(level, years[on], call, volatility[on])
        gap = {unit: _gap(share[unit], model) for unit in units}
        best, other = sorted(units, key=gap.__getitem__)
        if gap[other] >= max(TELLING * gap[best], LEAST_GAP) and np.isfinite(gap[best]) and fits[best] >= LEAST_FIT:
            return Judged(best, "by the Black price")
    best, other = sorted(units, key=fits.__getitem__, reverse=True)
    if fits[best] >= LEAST_FIT and fits[other] <= MOST_FIT:
        return Judged(best, "by the bounds of prices")
    return Judged(None, f"{fits['coin']:.0%} of the prices could be coins and {fits['usd']:.0%} could be USD")


def _black(level: Rows, years: Rows, is_call: Bool[ndarray, " row"], volatility: Rows) -> Rows:
    """Black prices as shares of the forward; NaN where the volatility or the time is missing."""
    made = np.full(len(level), np.nan)
    on = (volatility > 0.0) & (years > 0.0)
    made[on] = prices(
        forward=np.ones(int(np.sum(on))),
        strike=level[on],
        volatility=volatility[on],
        time_to_expiry=years[on],
        is_call=is_call[on],
        is_inverse=np.zeros(int(np.sum(on)), dtype=np.bool_),
    )
    return made


def _gap(share: Rows, model: Rows) -> float:
    """Median |ln(price / Black price)|, of prices worth more than a tick; infinite where there are none."""
    on = (model > 1e-5) & (share > 0.0)
    return float(np.median(np.abs(np.log(share[on] / model[on])))) if np.any(on) else float("inf")
