"""Prices that have to be made: from volatilities, and as bid and ask on a venue's ticks."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Product
from greekdrift.greeks import compute

Prices = Float[ndarray, " row"]

_SLACK = 1e-9
_DIGITS = 10


def outward(low: Prices, high: Prices, product: Product) -> tuple[Prices, Prices]:
    """Bid and ask: `low` rounded down and `high` rounded up to the tick that holds there.

    A bid below one tick is no bid (NaN); an ask is at least one tick.

    >>> from greekdrift.config import load_venue
    >>> from greekdrift.book.instrument import parse
    >>> option = load_venue("deribit").product(parse("BTC-27JUN25-100000-C"))
    >>> outward(np.array([0.00004, 0.0123]), np.array([0.00021, 0.0131]), option)
    (array([  nan, 0.012]), array([0.0003, 0.0135]))
    """
    below, above = (np.array([product.tick_at(price) for price in prices]) for prices in (low, high))
    bid = np.round(np.floor(low / below + _SLACK) * below, _DIGITS)
    ask = np.round(np.maximum(np.ceil(high / above - _SLACK), 1.0) * above, _DIGITS)
    return np.where(bid < below * (1.0 - _SLACK), np.nan, bid), ask


def prices(
    *,
    forward: ndarray,
    strike: ndarray,
    volatility: ndarray,
    time_to_expiry: ndarray,
    is_call: ndarray,
    is_inverse: ndarray,
) -> ndarray:
    """Undiscounted Black-76 price of options in their own price currency: coin (Black / F) where inverse, else USD."""
    usd = compute(
        ("price",),
        forward=forward,
        strike=strike,
        volatility=volatility,
        time_to_expiry=time_to_expiry,
        is_call=is_call,
    )["price"]
    return np.where(is_inverse, usd / forward, usd)
