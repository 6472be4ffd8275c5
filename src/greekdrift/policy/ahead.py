"""Margin and equity of an account in every scenario: by the exact engine, never by a forecast of margin itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.greeks.exposure import weights
from greekdrift.margin import engine
from greekdrift.surface.revalue import Revaluation

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


def part(
    revaluation: Revaluation,
    *,
    rows: Int[ndarray, " row"] | None = None,
    scenarios: Int[ndarray, " scenario"] | None = None,
    weights_of: Float[ndarray, " scenario"] | None = None,
) -> Revaluation:
    """The revaluation of some of its rows and scenarios, as arrays of its own; `weights_of` replaces the weights."""
    at = slice(None) if rows is None else np.searchsorted(revaluation.rows, rows)
    some = slice(None) if scenarios is None else scenarios

    def cut(cube: ndarray) -> ndarray:
        return np.ascontiguousarray(cube[some][:, :, at])

    return replace(
        revaluation,
        rows=revaluation.rows[at],
        weights=revaluation.weights[some] if weights_of is None else weights_of,
        now={name: column[at] for name, column in revaluation.now.items()},
        values={name: cut(cube) for name, cube in revaluation.values.items()},
        pnl_usd=cut(revaluation.pnl_usd),
        forward=cut(revaluation.forward),
        volatility=cut(revaluation.volatility),
        time_to_expiry=np.ascontiguousarray(revaluation.time_to_expiry[:, at]),
        index=np.ascontiguousarray(revaluation.index[some]),
    )


def representatives(
    ranked_by: Float[ndarray, " scenario"], weights_of: Float[ndarray, " scenario"], count: int
) -> tuple[Int[ndarray, " representative"], Float[ndarray, " representative"]]:
    """Few scenarios for many: sorted by a figure, cut into groups, the middle one of each with the group's weight.

    Deterministic. The reduced set steers the search only; what it finds is judged on all scenarios.

    >>> chosen, weight = representatives(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0]), np.full(6, 1 / 6), 2)
    >>> chosen.tolist(), weight.round(3).tolist()
    ([3, 0], [0.5, 0.5])
    """
    order = np.argsort(ranked_by, kind="stable")
    if count >= order.size:
        return np.sort(order), weights_of[np.sort(order)] / weights_of.sum()
    groups = np.array_split(order, count)
    chosen = np.array([group[len(group) // 2] for group in groups])
    weight = np.array([weights_of[group].sum() for group in groups])
    return chosen, weight / weights_of.sum()
