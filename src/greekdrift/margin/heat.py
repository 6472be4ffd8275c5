"""The map of an account's margin: its own P&L and requirement over spot and volatility, and the rule set's scenarios.

The map moves spot by u and every at-the-money volatility by v at this instant, smiles staying in log-moneyness. The
scenarios are those of the rule set with the P&L that counts, each at its price move and volatility state.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.matrix_rules import MatrixParameters
from greekdrift.book.rules import NetPortfolioParameters, RuleSet
from greekdrift.book.scenario_terms import VolatilityMove
from greekdrift.margin import engine
from greekdrift.margin.standing import coins_of, standing
from greekdrift.surface.slices import Surface
from greekdrift.surface.state import FACTORS, FORWARD, LEVEL

SPOT_STEPS, VOLATILITY_STEPS = 41, 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A scenario of the rule set: its relative price move, its volatility state, and the P&L of it that counts."""

    label: str
    move: float
    volatility: VolatilityMove
    pnl_usd: float
    is_binding: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heat:
    """P&L and requirements of an account over moves of spot and volatility (relative), and its scenarios.

    `pnl_usd` and `initial_margin_usd` have axes (volatility, spot). `cells` is empty for forms without scenarios.
    """

    account_id: str
    underlying: str
    spot: Float[ndarray, " spot"]
    volatility: Float[ndarray, " volatility"]
    pnl_usd: Float[ndarray, "volatility spot"]
    initial_margin_usd: Float[ndarray, "volatility spot"]
    initial_health_usd: Float[ndarray, "volatility spot"]
    cells: tuple[Cell, ...]


def heat(
    chain: Chain,
    account: Account,
    rules: RuleSet,
    *,
    surface: Surface,
    underlying: str,
    spot: float = 0.3,
    volatility: float = 0.6,
) -> Heat:
    """The map of one underlying of an account: spot by ±`spot`, volatility by a factor 1 + `volatility` each way."""
    moves = np.linspace(-spot, spot, SPOT_STEPS)
    levels = np.expm1(np.linspace(-1.0, 1.0, VOLATILITY_STEPS) * np.log1p(volatility))
    increments = np.zeros((levels.size, moves.size, len(FACTORS)))
    increments[..., FORWARD] = np.log1p(moves)
    increments[..., LEVEL] = np.log1p(levels)[:, None, None]
    names = tuple(sorted({underlying, *account.underlyings(), *coins_of(chain, account)}))
    every = np.zeros((levels.size * moves.size, len(names), len(FACTORS)))
    every[:, names.index(underlying)] = increments.reshape(-1, len(FACTORS))
    found = standing(chain, account, rules, surface=surface, increments=every, underlyings=names)
    now = engine.requirement(chain, account, rules).equity_usd
    columns = (found.equity - now, found.initial_margin, found.initial_health)
    pnl, margin, health = (one.reshape(levels.size, moves.size) for one in columns)
    return Heat(
        account_id=account.account_id,
        underlying=underlying,
        spot=moves,
        volatility=levels,
        pnl_usd=pnl,
        initial_margin_usd=margin,
        initial_health_usd=health,
        cells=cells(chain, account, rules, underlying=underlying),
    )


def cells(chain: Chain, account: Account, rules: RuleSet, *, underlying: str) -> tuple[Cell, ...]:
    """The scenarios of the rule set with what counts of the account's P&L on an underlying; none in other forms."""
    moves = _moves(rules, underlying)
    result = engine.requirement(chain, account, rules)
    return tuple(
        Cell(
            label=label,
            move=moves[label][0],
            volatility=moves[label][1],
            pnl_usd=pnl,
            is_binding=label == part.worst_scenario,
        )
        for part in result.parts
        if part.underlying.split("-")[0] == underlying
        for label, pnl in part.scenario_pnl.items()
        if label in moves
    )


def _moves(rules: RuleSet, underlying: str) -> dict[str, tuple[float, VolatilityMove]]:
    """Relative price move and volatility state of each scenario by label."""
    p = rules.parameters
    if isinstance(p, NetPortfolioParameters):
        return {one.label: (one.spot - 1.0, one.volatility) for one in p.scenarios}
    if isinstance(p, MatrixParameters):
        price_range = p.pair(underlying).price_range
        return {one.label: (one.move(price_range), one.volatility) for one in p.matrix_scenarios}
    return {}
