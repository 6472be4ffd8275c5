"""Margin and equity of accounts in every scenario, and as they came, by the exact engine: nothing models margin itself.

equity′ = equity + Σ contracts · pnl + Σ coins (S′ − S), the coins being collateral. Accounts trade nothing until then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.errors import InputError
from greekdrift.greeks.exposure import weights
from greekdrift.margin import engine
from greekdrift.surface.realised import changes, find
from greekdrift.surface.revalue import Revaluation
from greekdrift.units import stamp

Samples = Float[ndarray, "scenario horizon account"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ahead:
    """Requirements and equity of accounts in scenarios at horizons, USD; the accounts trade nothing until then."""

    initial_margin: Samples
    maintenance_margin: Samples
    equity: Samples
    weights: Float[ndarray, " scenario"]

    @property
    def shortfall(self) -> Samples:
        """Initial margin − equity; positive where a call is due."""
        return self.initial_margin - self.equity


def ahead(
    chain: Chain, accounts: Sequence[Account], rules: RuleSet, revaluation: Revaluation, *, equity_usd: Sequence[float]
) -> Ahead:
    """Margin and equity of some accounts in all scenarios of a revaluation of the rows that they hold.

    equity′ = equity + Σ contracts · pnl + Σ coins (S′ − S), the coins being collateral; `equity_usd` is the one of now.
    """
    rows = revaluation.rows
    initial, maintenance = engine.forecast_requirements(
        chain,
        accounts,
        rules,
        rows=rows,
        underlyings=revaluation.underlyings,
        forward=revaluation.forward,
        volatility=revaluation.volatility,
        time_to_expiry=revaluation.time_to_expiry,
        index=revaluation.index,
    )
    equity = np.asarray(equity_usd) + revaluation.book("pnl_usd", weights(chain, accounts)[:, rows])
    for at, name in enumerate(revaluation.underlyings):
        coins = np.array([account.collateral.get(name, 0.0) for account in accounts])
        equity = equity + coins * (revaluation.index[:, :, at, None] - chain.index_price[name])
    return Ahead(initial_margin=initial, maintenance_margin=maintenance, equity=equity, weights=revaluation.weights)


def came(
    chain: Chain, later: Chain, accounts: Sequence[Account], rules: RuleSet, *, equity_usd: Sequence[float]
) -> Ahead:
    """Margin and equity of unchanged accounts as they came until a later chain: one scenario, one horizon.

    What has expired is settled at the later index, as in `features.target`. An account that holds what is neither
    listed later nor expired is NaN: unknown, not zero.
    """
    if later.as_of <= chain.as_of:
        raise InputError(f"margin from {stamp(chain.as_of)} to {stamp(later.as_of)}; the later chain must be later.")
    held = weights(chain, accounts)
    rows = np.flatnonzero(np.any(held != 0.0, axis=0))
    there = find(chain, later, rows)
    is_lost = ~(there.is_listed | there.is_settled)
    index = {name: later.index_price.get(name, np.nan) for name in chain.underlyings}
    settlement = np.array([index[str(name)] for name in chain.underlying[rows]], dtype=np.float64)
    at, is_option = np.maximum(there.row, 0), chain.is_option[rows]
    pnl = changes(chain, later, rows, ("pnl_usd",), settlement=settlement)["pnl_usd"]
    is_lost |= np.isnan(pnl) | np.isnan(settlement)
    forward = np.where(there.is_listed, later.forward[at], settlement)
    volatility = np.where(there.is_listed & is_option, later.mark_iv[at], 1.0)
    left = np.where(there.is_listed, later.time_to_expiry[at], 0.0)
    known = chain.index_price
    initial, maintenance = engine.forecast_requirements(
        chain,
        accounts,
        rules,
        rows=rows,
        underlyings=chain.underlyings,
        forward=np.where(is_lost, chain.forward[rows], forward)[None, None],
        volatility=np.where(is_lost, 1.0, volatility)[None, None],
        time_to_expiry=np.where(is_lost, chain.time_to_expiry[rows], left)[None],
        index=np.array([[[index[name] if np.isfinite(index[name]) else known[name] for name in chain.underlyings]]]),
    )
    coins = [
        sum(one.collateral.get(name, 0.0) * (price - known[name]) for name, price in index.items()) for one in accounts
    ]
    equity = np.asarray(equity_usd) + held[:, rows] @ np.where(is_lost, 0.0, pnl) + np.array(coins)
    unknown = np.any((held[:, rows] != 0.0) & is_lost, axis=1)
    found = (np.where(unknown, np.nan, each) for each in (initial, maintenance, equity[None, None]))
    return Ahead(
        **dict(zip(("initial_margin", "maintenance_margin", "equity"), found, strict=True)), weights=np.ones(1)
    )
