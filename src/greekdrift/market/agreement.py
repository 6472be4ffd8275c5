"""How far numbers of a chain that say the same thing twice are apart: one formula each for all who check chains.

Readers of files refuse what is too far apart (`plausible`), the collector rejects rows (`collect.checks`). The limits
stand in `plausible`. Prices are in the coin for inverse options and in USD for all else; NaN gives NaN.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.market.ticks import prices

Column = Float[ndarray, " row"]
Mask = Bool[ndarray, " row"]

ROUNDING = 1e-6
"""Share by which a price may lie above what an option can be worth."""


def log_basis(forward: Column, index: Column) -> Column:
    """|ln F/S|: large where a forward and its index are not in one unit.

    >>> log_basis(np.array([100.0]), np.array([100.0]))
    array([0.])
    """
    with np.errstate(all="ignore"):
        return np.abs(np.log(forward / index))


def gap(value: Column, middle: Column) -> Column:
    """|x − m| / m: how far a number is from the one that it should be.

    >>> gap(np.array([101.0]), np.array([100.0]))
    array([0.01])
    """
    with np.errstate(all="ignore"):
        return np.abs(value - middle) / middle


def most_coins(*, forward: Column, strike: Column, is_call: Mask) -> Column:
    """The most coins that an inverse option can be worth: 1 for a call, K/F for a put.

    >>> most_coins(forward=np.array([50.0]), strike=np.array([25.0]), is_call=np.array([False]))
    array([0.5])
    """
    with np.errstate(all="ignore"):
        return np.where(is_call, 1.0, strike / forward)


def repricing(
    mark: Column,
    volatility: Column,
    *,
    forward: Column,
    strike: Column,
    time_to_expiry: Column,
    is_call: Mask,
    is_inverse: Mask,
) -> tuple[Column, Column]:
    """Black price of a volatility, and |Black − mark| in units of max(F, K) (of max(1, K/F) coins for inverse options).

    τ in years, σ per 1.00; arrays of options with F, K > 0 and τ ≥ 0.
    """
    made = prices(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        is_inverse=is_inverse,
    )
    unit = np.maximum(forward, strike) / np.where(is_inverse, forward, 1.0)
    return made, np.abs(made - mark) / unit
