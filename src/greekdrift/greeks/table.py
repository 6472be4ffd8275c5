"""Name → function of each quantity, and `compute`, which evaluates several on one set of options."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from types import MappingProxyType, ModuleType

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
        "strike_delta": black.strike_delta,
        "strike_gamma": black.strike_gamma,
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
    threads: int | None = None,
) -> dict[str, ndarray]:
    """Named quantities of European options on the forward (Black 1976), by name, in the broadcast shape.

    Names: price, delta, gamma, vega, theta, rho, vanna, volga, charm, veta, speed, zomma, color, strike_delta,
    strike_gamma; formulas in `greeks.black` and `greeks.higher`, whose compiled twin this is. Only what is named is
    computed. Units: volatility and vega per 1.00, time, theta, charm, veta and color per year of 365 days, quote
    currency; `units.to_venue` converts. Derivatives are to the forward; those to time are as the calendar moves
    on, so that a long option's theta is negative.

    An option has the same bits alone and in any company, order, layout and number of threads. `deterministic`
    asks for the same bits on every machine; without it multiply-adds are fused, which is faster and no less
    accurate. `threads` is how many may share the work, by default as many as numba may use; few options stay on
    the calling one. All results are arrays, of no dimension for scalars, and rows of one block of memory.

    >>> values = compute(["delta", "vega"], forward=100.0, strike=[90.0, 110.0], volatility=0.5,
    ...                  time_to_expiry=0.25, is_call=[True, False])
    >>> values["delta"].round(4), values["vega"].round(4)
    (array([ 0.7076, -0.6011]), array([17.1807, 19.3029]))
    """
    wanted, codes = _wanted(names)
    if threads is not None and not _is_count(threads):
        raise InputError(f"threads {threads!r} is not a positive whole number; pass 1 for the calling thread alone.")
    inputs = (forward, strike, volatility, time_to_expiry, discount, is_call)
    found = _columns().evaluate(codes, inputs, is_strict=deterministic, threads=threads)
    if found is not None:
        return dict(zip(wanted, found, strict=True))
    at = black.options(
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
        discount=discount,
    )
    return {name: np.asarray(QUANTITIES[name](at)) for name in wanted}


def _is_count(number: object) -> bool:
    return isinstance(number, int | np.integer) and int(number) >= 1


def _wanted(names: Sequence[str]) -> tuple[tuple[str, ...], ndarray]:
    try:
        wanted = (names,) if isinstance(names, str) else tuple(names)
        return wanted, _codes(wanted)
    except TypeError:  # no sequence, or no word in it that a table could hold
        raise InputError(f"names {names!r} are no words; pass some of {', '.join(QUANTITIES)}.") from None


@lru_cache
def _codes(names: tuple[str, ...]) -> ndarray:
    """Places of the names in `QUANTITIES`, which are the codes of the kernel."""
    order = list(QUANTITIES)
    for name in names:
        if name not in QUANTITIES:
            raise InputError(f'unknown quantity "{name}"; {nearest(str(name), QUANTITIES)}')
    return np.array([order.index(name) for name in names], dtype=np.int64)


@cache
def _columns() -> ModuleType:
    """The compiled pages, loaded at the first call: who needs formulas only stays free of the compiler."""
    return import_module("greekdrift.greeks.columns")
