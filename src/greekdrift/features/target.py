"""What really became of a book: the drift of its Greeks and its P&L, instrument by instrument, from the later marks."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.errors import InputError, nearest
from greekdrift.greeks.exposure import weights
from greekdrift.surface.realised import changes
from greekdrift.units import stamp

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
    `later` is settled at the later index price, which stands for the settlement price that chains do not record, and
    has no Greeks. An instrument that is neither listed nor expired makes its accounts' drifts NaN: unknown, not zero.
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
    index = [later.index_price.get(str(name), np.nan) for name in chain.underlying[rows]]
    return changes(chain, later, rows, names, settlement=np.array(index, dtype=np.float64))
