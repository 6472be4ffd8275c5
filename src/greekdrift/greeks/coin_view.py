"""Quantities of chain rows in coins: what a contract is worth in the coin, and how that changes.

Per contract, c coins (Q USD for inverse futures and perpetuals) in size, V the Black value, F the row's forward:

| row                       | value | delta              | gamma, speed           | all others        |
|---------------------------|-------|--------------------|------------------------|-------------------|
| inverse option            | c V/F | c (∂V/∂F − V/F)    | c times those of V/F   | c times that of V/F |
| inverse future, perpetual | 0     | Q/F                | −2 Q/F³, 6 Q/F⁴        | 0                   |
| spot                      | size  | size               | 0                      | 0                 |
| linear                    | NaN   | as in the USD view | NaN                    | NaN               |

Linear contracts are paid in USD and have no value in the coin. Delta is the net (premium-adjusted) one, in coins; the
others are derivatives of the coin value, as in `greeks.inverse.compute`, so that gamma is in coins per USD². Inside
the settlement window they are derivatives to the index (`greeks.inverse.fading`); a dated future's are those of
Q (1/F₀ − 1/F) with dF/dS = w, and it has charm and color there.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Chain
from greekdrift.errors import InputError, nearest
from greekdrift.greeks import inverse
from greekdrift.greeks.exposure import line_quantities
from greekdrift.greeks.settlement import floating_share
from greekdrift.greeks.table import QUANTITIES

Rows = Float[ndarray, " row"]

NAMES = ("value", *(name for name in QUANTITIES if name != "price"))
"""Quantities of the coin view."""


def coin_quantities(chain: Chain, names: Sequence[str], rows: ArrayLike | None = None) -> dict[str, Rows]:
    """Quantities per contract of chain rows (all, or those numbered) in coins, by name; NaN where there is none."""
    for name in names:
        if name not in NAMES:
            raise InputError(f'unknown quantity "{name}" in coins; {nearest(name, NAMES)}')
    at = chain.numbers(rows)
    known = line_quantities(chain, ("value_coin", "delta_net"), at)
    is_coin = chain.is_inverse[at] | chain.is_spot[at]
    found = {name: np.where(is_coin, 0.0, np.nan) for name in names}
    if "value" in found:
        worth = np.where(chain.is_spot[at], chain.contract_size[at], known["value_coin"])
        found["value"] = np.where(is_coin, worth, np.nan)
    if "delta" in found:
        found["delta"] = known["delta_net"]
    greeks = tuple(name for name in names if name not in ("value", "delta"))
    _fill_options(chain, at, greeks, found)
    _fill_futures(chain, at, greeks, found)
    return found


def _fill_options(chain: Chain, at: ndarray, greeks: Sequence[str], found: dict[str, Rows]) -> None:
    to = chain.is_option[at] & chain.is_inverse[at]
    rows = at[to]
    if not rows.size or not greeks:
        return
    values = inverse.fading(
        greeks,
        forward=chain.forward[rows],
        index=chain.index[rows],
        window=chain.settlement_window,
        strike=chain.strike[rows],
        volatility=chain.mark_iv[rows],
        time_to_expiry=chain.time_to_expiry[rows],
        is_call=chain.is_call[rows],
    )
    years = chain.time_to_expiry[rows]
    for name, column in values.items():
        found[name][to] = np.where(years > 0.0, chain.contract_size[rows] * column, 0.0)


def _fill_futures(chain: Chain, at: ndarray, greeks: Sequence[str], found: dict[str, Rows]) -> None:
    """Derivatives of Q (1/F₀ − 1/F) with dF/dS = w, which falls by 1/τ of itself a year inside the window."""
    to = ~chain.is_option[at] & chain.is_inverse[at] & (chain.time_to_expiry[at] > 0.0)
    size, forward, years = chain.contract_size[at[to]], chain.forward[at[to]], chain.time_to_expiry[at[to]]
    w = floating_share(years, window=chain.settlement_window)
    delta, gamma = size * w / forward**2, -2.0 * size * w**2 / forward**3
    known = {
        "gamma": gamma,
        "speed": 6.0 * size * w**3 / forward**4,
        "charm": inverse.future_charm(delta, time_to_expiry=years, share=w),
        "color": 2.0 * inverse.future_charm(gamma, time_to_expiry=years, share=w),
    }
    for name in known.keys() & set(greeks):
        found[name][to] = known[name]
