"""Name → function of each quantity, and `compute`, which evaluates several on one set of options."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError, nearest
from greekdrift.greeks import black, higher

Quantity = Callable[[black.Options], black.Quotes]

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "price": black.price,
        "delta": black.delta,
        "gamma": black.gamma,
        "vega": black.vega,
        "theta": black.theta,
        "rho": black.rho,
        "vanna": higher.vanna,
        "volga": higher.volga,
        "charm": higher.charm,
        "veta": higher.veta,
        "speed": higher.speed,
        "zomma": higher.zomma,
        "color": higher.color,
    }
)


def compute(
    names: Sequence[str],
    *,
    forward: ArrayLike,
    strike: ArrayLike,
    volatility: ArrayLike,
    time_to_expiry: ArrayLike,
    is_call: ArrayLike,
    discount: ArrayLike = 1.0,
    deterministic: bool = True,
) -> dict[str, ndarray]:
    """Named quantities of European options on the forward (Black 1976), by name, in the broadcast shape.

    Names: price, delta, gamma, vega, theta, rho, vanna, volga, charm, veta, speed, zomma, color; formulas in
    `greeks.black` and `greeks.higher`. Units: volatility and vega per 1.00, time, theta, charm, veta and color per
    year of 365 days, quote currency; `units.to_venue` converts. Derivatives are to the forward; those to time
    are as the calendar moves on, so that a long option's theta is negative.
    `deterministic` asks for the same bits on every call; the numpy evaluation gives them in either case.

    >>> values = compute(["delta", "vega"], forward=100.0, strike=[90.0, 110.0], volatility=0.5,
    ...                  time_to_expiry=0.25, is_call=[True, False])
    >>> values["delta"].round(4), values["vega"].round(4)
    (array([ 0.7076, -0.6011]), array([17.1807, 19.3029]))
    """
    del deterministic
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in QUANTITIES:
            raise InputError(f'unknown quantity "{name}"; {nearest(name, QUANTITIES)}')
    at = black.options(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    return {name: np.asarray(QUANTITIES[name](at)) for name in wanted}
