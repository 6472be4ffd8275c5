"""What really became of a book: the drift of its Greeks and its P&L, instrument by instrument, from the later marks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain, Kind
from greekdrift.errors import InputError, nearest
from greekdrift.greeks.exposure import line_quantities, weights
from greekdrift.units import datetime64, stamp

GREEKS = ("delta_usd", "delta_net", "gamma", "vega", "theta")
DRIFTS = (*GREEKS, "pnl_usd")
"""Quantities whose realised drift is known: coins, coins, coins per USD, USD per 1.00, USD per year, USD."""

Drift = Float[ndarray, " account"]
Rows = Int[ndarray, " row"]


def realised_drift(
    chain: Chain, later: Chain, accounts: Sequence[Account], names: Sequence[str] = DRIFTS
) -> dict[str, Drift]:
    """Quantity(later) − quantity(now) of unchanged accounts, and `pnl_usd`, by name.

    Greeks come from `mark_iv` and forward of each chain's own rows. An option or future that has expired by
    `later` is settled at the later index price and has no Greeks. An instrument that is neither listed
    nor expired makes its accounts' drifts NaN: they are unknown, not zero.
    Timing: known at later.known_at.
    """
    if later.as_of <= chain.as_of:
        raise InputError(f"drift from {stamp(chain.as_of)} to {stamp(later.as_of)}; the later chain must be later.")
    unknown = [name for name in names if name not in DRIFTS]
    if unknown:
        raise InputError(f'no realised drift of "{unknown[0]}"; {nearest(unknown[0], DRIFTS)}')
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0))
    per_contract = row_drift(chain, later, rows, names)
    is_held = held[:, rows] != 0.0
    found = {}
    for name, column in per_contract.items():
        is_lost = np.isnan(column)
        total = held[:, rows] @ np.where(is_lost, 0.0, column)
        found[name] = np.where(np.any(is_held & is_lost, axis=1), np.nan, total)
    return found


def row_drift(
    chain: Chain, later: Chain, rows: Rows, names: Sequence[str] = DRIFTS
) -> dict[str, Float[ndarray, " row"]]:
    """The same per contract of chain rows; NaN where an instrument is neither listed later nor expired."""
    listed = np.array([later.row_of.get(chain.instruments[row].name, -1) for row in rows], dtype=np.int64)
    is_listed = listed >= 0
    is_settled = ~is_listed & (chain.expiry[rows] <= datetime64(later.as_of))
    greeks = [name for name in names if name != "pnl_usd"]
    before = line_quantities(chain, (*greeks, "value_usd"), rows)
    after = line_quantities(later, (*greeks, "value_usd"), listed[is_listed])
    found = {}
    for name in greeks:
        column = np.where(is_settled, -before[name], np.nan)
        column[is_listed] = after[name] - before[name][is_listed]
        found[name] = column
    if "pnl_usd" in names:
        worth = np.full(len(rows), np.nan)
        worth[is_listed] = after["value_usd"]
        worth[is_settled] = settlement_usd(chain, later, rows[is_settled])
        found["pnl_usd"] = worth - before["value_usd"] + _linear_pnl(chain, later, rows, listed)
    return found


def settlement_usd(chain: Chain, later: Chain, rows: Rows) -> Float[ndarray, " row"]:
    """Cash worth of expired options at the later index S: size (S − K)⁺ or size (K − S)⁺, 0 for futures.

    A coin-settled option pays that many USD in coins at S. S stands for the settlement price, which chains do not
    record; between expiry and the later chain the coin may have moved.
    """
    price = np.array([later.index_price[chain.instruments[row].underlying] for row in rows])
    sign = np.where(chain.is_call[rows], 1.0, -1.0)
    strike = np.where(chain.is_option[rows], chain.strike[rows], price)
    return chain.contract_size[rows] * np.maximum(sign * (price - strike), 0.0)


def _linear_pnl(chain: Chain, later: Chain, rows: Rows, listed: Rows) -> Float[ndarray, " row"]:
    """P&L per contract of futures and perpetuals, whose worth is always 0; 0 for options and spot.

    inverse: size (1/F₀ − 1/F₁) S₁;  linear: size (F₁ − F₀);  an expired future ends at F₁ = S₁.
    """
    kinds = np.array([chain.instruments[row].kind for row in rows], dtype=object)
    is_marked = (kinds == Kind.FUTURE) | (kinds == Kind.PERPETUAL)
    index = np.array([later.index_price[chain.instruments[row].underlying] for row in rows])
    end = np.where(listed >= 0, later.forward[np.maximum(listed, 0)], index)
    start, size = chain.forward[rows], chain.contract_size[rows]
    inverse = size * (1.0 / start - 1.0 / end) * index
    return np.where(is_marked, np.where(chain.is_inverse[rows], inverse, size * (end - start)), 0.0)
