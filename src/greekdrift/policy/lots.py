"""From a continuous trade to whole lots: prune, solve again on the support, round, linear contracts last, polish."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.policy.solver import Programme, solve

Trade = Float[ndarray, " instrument"]

PRUNE_SHARE = 0.01
"""Orders under this share of the largest one, by notional, are dropped."""
REWEIGHTINGS = 3
MAXIMUM_MOVES = 40
STEPS = (1.0, 5.0, 25.0, 125.0, 625.0)
"""Sizes in lots of the moves that polishing tries."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lots:
    """Lot of each instrument, its notional in USD per contract, and which are linear (they are rounded last).

    `ticket_usd` is what an order costs whatever its size: attention, and the risk between the legs. The last
    `auxiliary` columns of a programme are no instruments but amounts that follow from the trade; they have no lots.
    """

    lot: Trade
    notional_usd: Trade
    is_linear: Bool[ndarray, " instrument"]
    ticket_usd: float
    auxiliary: int = 0

    def widened(self, columns: int) -> "Lots":
        """The same lots before some auxiliary columns."""
        one = np.ones(columns)
        return Lots(
            lot=np.concatenate([self.lot, one]),
            notional_usd=np.concatenate([self.notional_usd, 0.0 * one]),
            is_linear=np.concatenate([self.is_linear, one > 0.0]),
            ticket_usd=self.ticket_usd,
            auxiliary=columns,
        )

    @property
    def is_auxiliary(self) -> Bool[ndarray, " instrument"]:
        """True for the columns that are no instruments."""
        is_auxiliary: ndarray = np.arange(self.lot.size) >= self.lot.size - self.auxiliary
        return is_auxiliary


def whole_lots(programme: Programme, lots: Lots) -> Trade:
    """The best trade in whole lots that this method finds; it keeps the programme's bounds and limits.

    Continuous optimum, made sparse → orders below a lot or under 1 % of the largest are dropped and the rest solved
    again → options to the nearest lot → linear contracts solved again for these options → nearest lot → single
    moves of a few lots as long as one of them helps.
    """
    trade = np.zeros_like(programme.lower)
    traded = _matters(_sparse(programme, lots), lots)
    if not np.any(traded):
        return trade
    support = np.flatnonzero(traded | lots.is_auxiliary)
    trade[support] = solve(programme.on(support)).trade
    trade = np.where(_matters(trade, lots) | lots.is_auxiliary, trade, 0.0)
    is_option = ~lots.is_linear
    trade[is_option] = _nearest(programme, trade, lots)[is_option]
    linear = np.flatnonzero(lots.is_linear)
    trade[linear] = solve(_given(programme, trade, linear)).trade if linear.size else trade[linear]
    trade[linear] = _nearest(programme, trade, lots)[linear]
    if lots.auxiliary:
        last = np.flatnonzero(lots.is_auxiliary)
        trade[last] = solve(_given(programme, trade, last)).trade
    return polish(programme, lots, trade, support=np.union1d(support, linear))


def _sparse(programme: Programme, lots: Lots) -> Trade:
    """The continuous optimum with the price of a ticket, by reweighted linear costs.

    A ticket t on each order is not convex. Solving again with the extra cost t/(|x_j| + lot_j) per contract charges
    about t where x_j stays and drives the small ones out.
    Source: Candès, Wakin & Boyd, J. Fourier Anal. Appl. 14 (2008).
    """
    trade = solve(programme).trade
    for _ in range(REWEIGHTINGS if lots.ticket_usd > 0.0 else 0):
        traded = _matters(trade, lots)
        if np.count_nonzero(traded) <= 1:
            break
        support = np.flatnonzero(traded | lots.is_auxiliary)
        extra = np.where(lots.is_auxiliary, 0.0, lots.ticket_usd / (np.abs(trade) + lots.lot))[support]
        part = programme.on(support)
        dearer = replace(part, buy_cost=part.buy_cost + extra, sell_cost=part.sell_cost + extra)
        trade = np.zeros_like(trade)
        trade[support] = solve(dearer).trade
    return trade


def polish(programme: Programme, lots: Lots, trade: Trade, *, support: ndarray) -> Trade:
    """Moves single instruments by a few lots, or out of the trade, while that lowers the broken limits or the cost.

    The cost, the objective with its tickets, counts once no limit is broken.
    """
    hinges, limits = programme.hinges, programme.limits
    support = support[~lots.is_auxiliary[support]]
    move, size = (grid.ravel() for grid in np.meshgrid(support, [*STEPS, *(-step for step in STEPS)], indexing="ij"))
    at = np.concatenate([support[:1], move, support])
    stepped, column = size * lots.lot[move], hinges.slope[:, at]
    value = hinges.start + hinges.slope @ trade
    for _ in range(MAXIMUM_MOVES):
        step = np.concatenate([np.zeros(support[:1].size), stepped, -trade[support]])
        moved = trade[at] + step
        is_inside = (moved >= programme.lower[at] - 1e-12) & (moved <= programme.upper[at] + 1e-12)
        shifted = value + (column * step).T
        outside = np.maximum(np.maximum(hinges.floor - shifted, shifted - hinges.ceiling), 0.0)
        cost = outside @ hinges.price + _trading_cost(programme, trade, at, moved)
        cost = cost + lots.ticket_usd * ((np.abs(moved) > 1e-12).astype(float) - (trade[at] != 0.0))
        broken = _broken(programme, trade, at, moved) if limits.bound.size else np.zeros(at.size)
        broken[1:] = np.where(is_inside, broken, np.inf)[1:]
        best = np.lexsort((cost, np.where(broken <= 1e-9, 0.0, broken)))[0]
        worse = best == 0 or (broken[best] >= broken[0] - 1e-12 and cost[best] >= cost[0] - 1e-9 * (1.0 + abs(cost[0])))
        if worse:
            break
        trade = trade.copy()
        trade[at[best]] = moved[best]
        value = shifted[best]
    return _on_lots(trade, lots)


def _matters(trade: Trade, lots: Lots) -> Bool[ndarray, " instrument"]:
    size = np.abs(trade) * lots.notional_usd
    matters: ndarray = (size >= PRUNE_SHARE * size.max(initial=0.0)) & (np.abs(trade) >= 0.5 * lots.lot)
    return matters & ~lots.is_auxiliary


def _nearest(programme: Programme, trade: Trade, lots: Lots) -> Trade:
    """Nearest whole lots that lie within the bounds."""
    lower = np.ceil(programme.lower / lots.lot - 1e-9)
    upper = np.floor(programme.upper / lots.lot + 1e-9)
    nearest = np.clip(np.round(trade / lots.lot), lower, upper) * lots.lot
    return np.where(lots.is_auxiliary, trade, _on_lots(nearest, lots))


def _on_lots(trade: Trade, lots: Lots) -> Trade:
    exact = np.round(np.round(trade / lots.lot) * lots.lot, 9)
    return np.where(lots.is_auxiliary, trade, exact + 0.0)


def _given(programme: Programme, trade: Trade, kept: ndarray) -> Programme:
    """The programme of some instruments while the others are traded as they stand."""
    fixed = trade.copy()
    fixed[kept] = 0.0
    part, hinges, limits = programme.on(kept), programme.hinges, programme.limits
    used = limits.bought @ np.maximum(fixed, 0.0) + limits.sold @ np.maximum(-fixed, 0.0)
    shifted = type(hinges)(
        slope=part.hinges.slope,
        start=hinges.start + hinges.slope @ fixed,
        floor=hinges.floor,
        ceiling=hinges.ceiling,
        price=hinges.price,
    )
    rest = type(limits)(bought=part.limits.bought, sold=part.limits.sold, bound=np.maximum(limits.bound - used, 0.0))
    return Programme(
        buy_cost=part.buy_cost,
        sell_cost=part.sell_cost,
        impact=part.impact,
        lower=part.lower,
        upper=part.upper,
        hinges=shifted,
        limits=rest,
    )


def _trading_cost(programme: Programme, trade: Trade, at: ndarray, moved: ndarray) -> ndarray:
    """Trading cost after each single move."""
    before, after = _single_cost(programme, trade[at], at), _single_cost(programme, moved, at)
    total: ndarray = programme.trading_cost(trade) - before + after
    return total


def _single_cost(programme: Programme, contracts: ndarray, at: ndarray) -> ndarray:
    linear = np.where(contracts > 0.0, programme.buy_cost[at], programme.sell_cost[at]) * np.abs(contracts)
    cost: ndarray = linear + programme.impact[at] * np.abs(contracts) ** 1.5
    return cost


def _broken(programme: Programme, trade: Trade, at: ndarray, moved: ndarray) -> ndarray:
    """By how much each single move breaks the limits, as a sum of shares of each row's scale."""
    limits = programme.limits
    bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
    used = limits.bought @ bought + limits.sold @ sold
    change = limits.bought[:, at] * (np.maximum(moved, 0.0) - bought[at])
    change += limits.sold[:, at] * (np.maximum(-moved, 0.0) - sold[at])
    scale = np.maximum(np.abs(limits.bought), np.abs(limits.sold)) @ np.abs(trade) + limits.bound
    over = np.maximum(used[:, None] + change - limits.bound[:, None], 0.0) / np.where(scale > 0.0, scale, 1.0)[:, None]
    total: ndarray = over.sum(axis=0)
    return total
