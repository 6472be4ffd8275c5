"""Prices of an underlying at which an account is called or liquidated: all of them, since health is not monotone.

Along x = ln(S′/S) of one underlying, at this instant and with all others where they are:

    health(x) = equity(x) − requirement(x)     initial: a call where it is negative;   maintenance: liquidation

The expiries' smiles stay where they are in log-moneyness, and move by a stated response to the return: none, or the
slope of a forecast (`standing.response_of`). A dense grid is valued in one call of the engine. Then an interval is
cut into `PARTS`, again and again, while

- its ends differ in sign, so that it holds a crossing; or
- health could reach 0 inside it, were it nowhere steeper than `STEEPER` times the steepest step of the cut before.

So no crossing between neighbours of the grid is missed, and of two crossings (or a touch) between neighbours of equal
sign none but those behind a slope steeper than that bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.rules import RuleSet
from greekdrift.errors import CalculationError, InputError
from greekdrift.margin.lines import held_rows
from greekdrift.margin.standing import Response, Standing, coins_of, increments_of, standing
from greekdrift.surface.slices import Surface

Kind = Literal["call", "liquidation"]
Points = Float[ndarray, " point"]

POINTS = 801
PARTS = 8
STEEPER = 2.0
NARROWEST = 1e-11
"""Width in log price of an interval that is a point."""
MOST_INTERVALS = 20_000
"""Intervals cut at once at most; where more could hold a crossing, health lies at 0 over a whole stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A price at which health reaches 0, and whether the account is healthy just below and just above it.

    Where both are the same, health touches 0 there and turns back.
    """

    kind: Kind
    price_usd: float
    is_healthy_below: bool
    is_healthy_above: bool

    @property
    def direction(self) -> str:
        """Which way the price goes to do harm: "rising", "falling", or "touching" where it only reaches 0."""
        if self.is_healthy_below == self.is_healthy_above:
            return "touching"
        return "rising" if self.is_healthy_below else "falling"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liquidation:
    """Health of an account along the price of an underlying, and every crossing in the range, by price."""

    account_id: str
    underlying: str
    spot_usd: float
    prices: Points
    standing: Standing
    crossings: tuple[Crossing, ...]

    def of(self, kind: Kind) -> tuple[Crossing, ...]:
        """The crossings of one kind, by price."""
        return tuple(one for one in self.crossings if one.kind == kind)

    def nearest(self, kind: Kind) -> tuple[Crossing | None, Crossing | None]:
        """The nearest crossing below and above spot; None where there is none in the range."""
        below = [one for one in self.of(kind) if one.price_usd <= self.spot_usd]
        above = [one for one in self.of(kind) if one.price_usd > self.spot_usd]
        return (below[-1] if below else None, above[0] if above else None)


def liquidation(
    chain: Chain,
    account: Account,
    rules: RuleSet,
    *,
    surface: Surface,
    underlying: str,
    response: Response | None = None,
    low: float = 0.3,
    high: float = 3.0,
    points: int = POINTS,
) -> Liquidation:
    """All prices of an underlying between low × spot and high × spot at which an account is called or liquidated.

    `response` is the increment of surface factors per unit of log return, nothing where it is left out. Collateral in
    the coin moves along.
    """
    if not (0.0 < low < high < np.inf) or points < 3:
        raise InputError(
            f"range {low:g} to {high:g} times spot with {points} points: low below high, 3 points at least."
        )
    own = {*chain.underlying[held_rows(chain, [account])].tolist()}
    underlyings = tuple(sorted(own | coins_of(chain, account)))
    spot = chain.index_price.get(underlying)
    if spot is None:
        raise InputError(f'"{underlying}" has no index price on {chain.venue}; known: {", ".join(chain.index_price)}')

    def along(returns: Points) -> Standing:
        moved = increments_of({underlying: returns}, underlyings, {underlying: response or {}})
        return standing(chain, account, rules, surface=surface, increments=moved, underlyings=underlyings)

    grid = np.linspace(np.log(low), np.log(high), points)
    on_grid = along(grid)
    kinds: tuple[tuple[Kind, Callable[[Standing], Points]], ...] = (
        ("call", lambda at: at.initial_health),
        ("liquidation", lambda at: at.maintenance_health),
    )
    found = [
        Crossing(kind=kind, price_usd=spot * float(np.exp(x)), is_healthy_below=below, is_healthy_above=above)
        for kind, health in kinds
        for x, below, above in zeros(lambda x, health=health: health(along(x)), grid, health(on_grid))  # type: ignore[misc]
    ]
    return Liquidation(
        account_id=account.account_id,
        underlying=underlying,
        spot_usd=spot,
        prices=spot * np.exp(grid),
        standing=on_grid,
        crossings=tuple(sorted(found, key=lambda one: (one.price_usd, one.kind))),
    )


def zeros(health: Callable[[Points], Points], grid: Points, values: Points) -> list[tuple[float, bool, bool]]:
    """Where a function reaches 0 on a grid's range, and whether it is at least 0 just below and above.

    All intervals that are still open are cut in one call of the function.

    >>> grid = np.linspace(-1.0, 1.0, 5)
    >>> parabola = lambda x: (x - 0.3) ** 2 - 1e-6
    >>> [(round(x, 9), below, above) for x, below, above in zeros(parabola, grid, parabola(grid))]
    [(0.299, True, False), (0.301, False, True)]
    """
    start, end, first, last = grid[:-1], grid[1:], values[:-1], values[1:]
    bound = np.full(start.size, STEEPER * float(np.max(np.abs((last - first) / (end - start)), initial=0.0)))
    if not np.any(bound > 0.0):
        return []
    while True:
        is_open = ((first >= 0.0) != (last >= 0.0)) | (np.abs(first) + np.abs(last) <= bound * (end - start))
        start, end, first, last, bound = (one[is_open] for one in (start, end, first, last, bound))
        if start.size == 0 or float(np.max(end - start)) <= NARROWEST:
            return _settled(start, end, first, last)
        if start.size > MOST_INTERVALS:
            raise CalculationError(
                f"health lies at 0 from {start[0]:.4g} to {end[-1]:.4g} in log price; no single prices are told there."
            )
        share = np.linspace(0.0, 1.0, PARTS + 1)
        cuts = start[:, None] * (1.0 - share) + end[:, None] * share
        inner = health(cuts[:, 1:-1].ravel()).reshape(start.size, PARTS - 1)
        known = np.hstack([first[:, None], inner, last[:, None]])
        steepest = np.max(np.abs(np.diff(known, axis=1) / np.diff(cuts, axis=1)), axis=1)
        bound = np.repeat(STEEPER * steepest, PARTS)
        start, end, first, last = (one.ravel() for one in (cuts[:, :-1], cuts[:, 1:], known[:, :-1], known[:, 1:]))


def _settled(start: Points, end: Points, first: Points, last: Points) -> list[tuple[float, bool, bool]]:
    """Points from intervals of no width: crossings, and touches that lie beside none of them."""
    is_crossing = (first >= 0.0) != (last >= 0.0)
    found = []
    for at in np.flatnonzero(is_crossing):
        x = start[at] - first[at] * (end[at] - start[at]) / (last[at] - first[at])
        found.append((float(x), bool(first[at] >= 0.0), bool(last[at] >= 0.0)))
    for at in np.flatnonzero(~is_crossing):
        if all(abs(start[at] - x) > 1e3 * NARROWEST for x, _, _ in found):
            found.append((float(start[at]), bool(first[at] >= 0.0), bool(last[at] >= 0.0)))
    return sorted(found)
