"""The convex programme behind every hedge, and an interior-point method that solves it in milliseconds.

With x = b − s the signed contracts to trade (bought b ≥ 0, sold s ≥ 0), the programme is

    minimise    c_b·b + c_s·s + Σ k_j (b_j^1.5 + s_j^1.5) + Σ_i w_i max(floor_i − v_i, v_i − ceiling_i, 0)
    subject to  v = a + B x,   lower ≤ x ≤ upper,   G_b b + G_s s ≤ h

Costs are linear (fees, half spread) plus the square-root law of impact; every *hinge* is one banded quantity in one
scenario, priced per unit outside. Trading nothing satisfies all limits (h ≥ 0), so an answer always exists.

Method: infeasible primal-dual interior point with Mehrotra's predictor and corrector. The hinges are eliminated, so
that a step factorises one matrix with two rows an instrument, whatever the number of scenarios.
Source: Mehrotra, SIAM J. Optim. 2 (1992); Nocedal & Wright, Numerical Optimization, 2nd ed., chapter 14.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve

from greekdrift.errors import CalculationError, InputError

Instruments = Float[ndarray, " instrument"]
Rows = Float[ndarray, " row"]

MAXIMUM_STEPS = 80
TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hinges:
    """Priced distances outside intervals: `price` × how far `start + slope x` lies outside [floor, ceiling]."""

    slope: Float[ndarray, "row instrument"]
    start: Rows
    floor: Rows
    ceiling: Rows
    price: Rows

    def cost(self, trades: Float[ndarray, "*trade instrument"]) -> Float[ndarray, "*trade"]:
        """Their sum for one trade or several."""
        value = self.start + np.asarray(trades) @ self.slope.T
        outside = np.maximum(np.maximum(self.floor - value, value - self.ceiling), 0.0)
        total: ndarray = outside @ self.price
        return total

    @classmethod
    def none(cls, size: int) -> "Hinges":
        """No hinge at all, for a number of instruments."""
        empty = np.zeros(0)
        return cls(slope=np.zeros((0, size)), start=empty, floor=empty, ceiling=empty, price=empty)

    @classmethod
    def together(cls, parts: "list[Hinges]") -> "Hinges":
        """All hinges of several sets over the same instruments."""
        names = ("slope", "start", "floor", "ceiling", "price")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """Hard rows `bought·b + sold·s ≤ bound`; a bound below 0 is refused, for then even doing nothing breaks it."""

    bought: Float[ndarray, "row instrument"]
    sold: Float[ndarray, "row instrument"]
    bound: Rows

    def __post_init__(self) -> None:
        if np.any(self.bound < 0.0):
            raise InputError(f"a limit of {self.bound.min():g} is broken by doing nothing; price the breach instead.")

    @classmethod
    def signed(cls, matrix: ndarray, bound: ndarray) -> "Limits":
        """Rows on x itself: `matrix x ≤ bound`."""
        return cls(bought=matrix, sold=-matrix, bound=bound)

    @classmethod
    def none(cls, size: int) -> "Limits":
        """No row at all, for a number of instruments."""
        return cls(bought=np.zeros((0, size)), sold=np.zeros((0, size)), bound=np.zeros(0))

    @classmethod
    def together(cls, parts: "list[Limits]") -> "Limits":
        """All rows of several sets over the same instruments."""
        names = ("bought", "sold", "bound")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def are_kept(self, trade: Instruments, *, tolerance: float = 1e-9) -> bool:
        """Whether a trade keeps every row, up to a share of the terms that enter it."""
        bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
        used = self.bought @ bought + self.sold @ sold
        scale = np.abs(self.bought) @ bought + np.abs(self.sold) @ sold + self.bound
        return bool(np.all(used <= self.bound + tolerance * (1.0 + scale)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme:
    """One hedge problem, everything in USD per contract (see the page's head)."""

    buy_cost: Instruments
    sell_cost: Instruments
    impact: Instruments
    lower: Instruments
    upper: Instruments
    hinges: Hinges
    limits: Limits

    def __post_init__(self) -> None:
        if np.any(self.lower > 0.0) or np.any(self.upper < 0.0) or np.any(~np.isfinite(self.upper - self.lower)):
            raise InputError("the bounds of a trade must be finite and leave room for trading nothing.")
        if np.any(self.buy_cost < 0.0) or np.any(self.sell_cost < 0.0) or np.any(self.impact < 0.0):
            raise InputError("costs of trading must be at least 0: own impact is never a gain.")

    def trading_cost(self, trades: Float[ndarray, "*trade instrument"]) -> Float[ndarray, "*trade"]:
        """Fees, half spread and impact in USD of one trade or several."""
        bought, sold = np.maximum(trades, 0.0), np.maximum(-trades, 0.0)
        linear = bought @ self.buy_cost + sold @ self.sell_cost
        total: ndarray = linear + (bought + sold) ** 1.5 @ self.impact
        return total

    def objective(self, trades: Float[ndarray, "*trade instrument"]) -> Float[ndarray, "*trade"]:
        """Trading cost plus the priced hinges, USD."""
        total: ndarray = self.trading_cost(trades) + self.hinges.cost(trades)
        return total

    def on(self, support: Float[ndarray, " kept"]) -> "Programme":
        """The same programme with some instruments only."""
        hinges, limits = self.hinges, self.limits
        return Programme(
            buy_cost=self.buy_cost[support],
            sell_cost=self.sell_cost[support],
            impact=self.impact[support],
            lower=self.lower[support],
            upper=self.upper[support],
            hinges=Hinges(
                slope=hinges.slope[:, support],
                start=hinges.start,
                floor=hinges.floor,
                ceiling=hinges.ceiling,
                price=hinges.price,
            ),
            limits=Limits(bought=limits.bought[:, support], sold=limits.sold[:, support], bound=limits.bound),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The best trade in contracts (not yet in lots), its objective in USD, and how the method got there."""

    trade: Instruments
    objective: float
    steps: int
    gap: float


def solve(programme: Programme) -> Solution:
    """The trade that minimises a programme.

    >>> one = np.ones(1)
    >>> solve(Programme(
    ...     buy_cost=0.1 * one, sell_cost=0.1 * one, impact=0.0 * one, lower=-9.0 * one, upper=9.0 * one,
    ...     hinges=Hinges(slope=np.ones((1, 1)), start=5.0 * one, floor=-2.0 * one, ceiling=2.0 * one, price=one),
    ...     limits=Limits.none(1))).trade.round(5)
    array([-3.])
    """
    size = programme.buy_cost.size
    nothing = np.zeros(size)
    at_rest = float(programme.objective(nothing))
    is_free = programme.upper > programme.lower
    if not (np.any(is_free) and at_rest > 0.0):
        return Solution(trade=nothing, objective=at_rest, steps=0, gap=0.0)
    free = np.flatnonzero(is_free)
    scaled = _scaled(programme.on(free), at_rest)
    state = _Interior(scaled)
    gap = state.run()
    trade = nothing.copy()
    trade[free] = np.clip(state.trade() * scaled.unit, programme.lower[free], programme.upper[free])
    return Solution(trade=trade, objective=float(programme.objective(trade)), steps=state.steps, gap=gap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scaled:
    """A programme in units in which slopes, prices and the objective are of order one; each hinge is one-sided."""

    cost: ndarray
    impact: ndarray
    top: ndarray
    slope: ndarray
    start: ndarray
    price: ndarray
    limit: ndarray
    bound: ndarray
    unit: ndarray


def _scaled(programme: Programme, at_rest: float) -> _Scaled:
    hinges, limits = programme.hinges, programme.limits
    above, below = np.isfinite(hinges.ceiling), np.isfinite(hinges.floor)
    slope = np.concatenate([hinges.slope[above], -hinges.slope[below]])
    start = np.concatenate([(hinges.start - hinges.ceiling)[above], (hinges.floor - hinges.start)[below]])
    price = np.concatenate([hinges.price[above], hinges.price[below]]) / at_rest
    reach = np.maximum(slope * programme.upper, slope * programme.lower).sum(axis=1)
    matters = (start + reach > 0.0) & (price > 0.0) & np.any(slope != 0.0, axis=1)
    slope, start, price = slope[matters], start[matters], price[matters]
    weight = price @ np.abs(slope) + np.minimum(programme.buy_cost, programme.sell_cost) / at_rest
    unit = 1.0 / np.maximum(weight, 1.0 / (programme.upper - programme.lower))
    row = np.abs(slope * unit).max(axis=1, initial=0.0)
    row = np.where(row > 0.0, row, 1.0)
    limit = np.concatenate([limits.bought * unit, limits.sold * unit], axis=1)
    edge = np.abs(limit).max(axis=1, initial=0.0)
    kept = edge > 0.0
    return _Scaled(
        cost=np.concatenate([programme.buy_cost * unit, programme.sell_cost * unit]) / at_rest,
        impact=np.tile(programme.impact * unit**1.5 / at_rest, 2),
        top=np.concatenate([programme.upper / unit, -programme.lower / unit]),
        slope=slope * unit / row[:, None],
        start=start / row,
        price=price * row,
        limit=limit[kept] / edge[kept, None],
        bound=limits.bound[kept] / edge[kept],
        unit=unit,
    )


@dataclass(slots=True, eq=False)
class _Pair:
    """A non-negative quantity and its non-negative multiplier; at the optimum one of them is 0."""

    value: ndarray
    dual: ndarray
    step: ndarray = field(default_factory=lambda: np.zeros(0))
    dual_step: ndarray = field(default_factory=lambda: np.zeros(0))

    def product(self, size: float = 0.0, dual_size: float = 0.0) -> float:
        return (
            float((self.value + size * self.step) @ (self.dual + dual_size * self.dual_step))
            if size
            else float(self.value @ self.dual)
        )

    def target(self, centre: float, *, corrects: bool) -> ndarray:
        """Right-hand side of value·Δdual + dual·Δvalue, with Mehrotra's second-order term where asked."""
        right: ndarray = centre - self.value * self.dual
        return right - self.step * self.dual_step if corrects else right

    def reach(self) -> float:
        """Largest step, at most 1, that keeps both non-negative."""
        return min(_longest(self.value, self.step), _longest(self.dual, self.dual_step))

    def advance(self, size: float) -> None:
        self.value = self.value + size * self.step
        self.dual = self.dual + size * self.dual_step


class _Interior:
    """The iteration; the five pairs are trade ≥ 0, room below the top, hinge ≥ 0, hinge above its line, limit slack."""

    def __init__(self, scaled: _Scaled) -> None:
        self.at = scaled
        self.steps = 0
        is_open = scaled.top > 0.0
        self.is_open = is_open
        trade = np.where(is_open, np.minimum(0.05 * scaled.top, 1e-2), 1e-12)
        ones = np.ones_like(trade)
        top = np.where(is_open, scaled.top, 1e-9)
        self.trades = _Pair(trade, 0.1 * ones)
        self.room = _Pair(top - np.minimum(trade, 0.5 * top), 0.1 * ones)
        line = scaled.start + scaled.slope @ self._net(trade)
        hinge = np.maximum(line, 0.0) + 0.1 * (1.0 + np.abs(line))
        self.hinge = _Pair(hinge, 0.5 * scaled.price)
        self.above = _Pair(hinge - line, 0.5 * scaled.price)
        slack = np.maximum(scaled.bound - scaled.limit @ trade, 1e-2)
        self.slack = _Pair(slack, 0.1 * np.ones_like(slack))
        self.top = top

    def trade(self) -> ndarray:
        """Net trade b − s in scaled units."""
        return self._net(self.trades.value)

    @staticmethod
    def _net(trades: ndarray) -> ndarray:
        half = trades.size // 2
        return trades[:half] - trades[half:]

    def _pairs(self) -> tuple[_Pair, ...]:
        return self.trades, self.room, self.hinge, self.above, self.slack

    def run(self) -> float:
        """Steps until the products and residuals vanish; returns the remaining relative gap."""
        count = sum(pair.value.size for pair in self._pairs())
        gap = np.inf
        while self.steps < MAXIMUM_STEPS:
            residuals = self._residuals()
            worst = max(float(np.abs(residual).max(initial=0.0)) for residual in residuals)
            gap = sum(pair.product() for pair in self._pairs())
            if gap < TOLERANCE and worst < TOLERANCE:
                return gap
            if not np.isfinite(gap + worst):
                raise CalculationError("the hedge programme diverged; its numbers are out of scale.")
            self._step(residuals, gap / count)
            self.steps += 1
        return gap

    def _residuals(self) -> tuple[ndarray, ...]:
        at, trades = self.at, self.trades.value
        gradient = at.cost + 1.5 * at.impact * np.sqrt(trades)
        pull = self.above.dual @ at.slope
        stationary = gradient + np.concatenate([pull, -pull]) + self.slack.dual @ at.limit
        return (
            stationary + self.room.dual - self.trades.dual,
            self.room.value + trades - self.top,
            self.above.value - self.hinge.value + at.start + at.slope @ self._net(trades),
            self.slack.value + at.limit @ trades - at.bound,
        )

    def _step(self, residuals: tuple[ndarray, ...], mean: float) -> None:
        factor = self._factor()
        self._direction(factor, residuals, centre=0.0, corrects=False)
        size = min(pair.reach() for pair in self._pairs())
        ahead = sum(pair.product(size, size) for pair in self._pairs())
        now = sum(pair.product() for pair in self._pairs())
        share = (max(ahead, 0.0) / now) ** 3 if size else 1.0
        self._direction(factor, residuals, centre=share * mean, corrects=True)
        size = min(1.0, 0.995 * min(pair.reach() for pair in self._pairs()))
        for pair in self._pairs():
            pair.advance(size)

    def _factor(self) -> tuple[ndarray, bool]:
        at = self.at
        weight = 1.0 / (self.above.value / self.above.dual + self.hinge.value / self.hinge.dual)
        core = (at.slope * weight[:, None]).T @ at.slope
        matrix = np.block([[core, -core], [-core, core]])
        matrix += (at.limit * (self.slack.dual / self.slack.value)[:, None]).T @ at.limit
        curve = 0.75 * at.impact / np.sqrt(self.trades.value)
        diagonal = curve + self.trades.dual / self.trades.value + self.room.dual / self.room.value
        matrix[np.diag_indices_from(matrix)] += diagonal + 1e-12 * (1.0 + np.diag(matrix))
        return cho_factor(matrix, lower=True, check_finite=False)

    def _direction(
        self, factor: tuple[ndarray, bool], residuals: tuple[ndarray, ...], *, centre: float, corrects: bool
    ) -> None:
        at = self.at
        stationary, top, line, bound = residuals
        trades, room, hinge, above, slack = self._pairs()
        wanted = [pair.target(centre, corrects=corrects) for pair in self._pairs()]
        weight = 1.0 / (above.value / above.dual + hinge.value / hinge.dual)
        bend = weight * (line + wanted[3] / above.dual - wanted[2] / hinge.dual)
        pull = bend @ at.slope
        right = wanted[0] / trades.value - stationary - (wanted[1] + room.dual * top) / room.value
        right -= np.concatenate([pull, -pull]) + ((wanted[4] + slack.dual * bound) / slack.value) @ at.limit
        move = cho_solve(factor, right, check_finite=False)
        along, used = at.slope @ self._net(move), at.limit @ move
        trades.step, trades.dual_step = move, (wanted[0] - trades.dual * move) / trades.value
        room.step, room.dual_step = -move - top, (wanted[1] + room.dual * (move + top)) / room.value
        above.dual_step = weight * along + bend
        hinge.dual_step = -above.dual_step
        hinge.step = (wanted[2] - hinge.value * hinge.dual_step) / hinge.dual
        above.step = hinge.step - along - line
        slack.step, slack.dual_step = -used - bound, (wanted[4] + slack.dual * (used + bound)) / slack.value


def _longest(value: ndarray, step: ndarray) -> float:
    falls = step < 0.0
    return min(1.0, float((value[falls] / -step[falls]).min(initial=np.inf)))
