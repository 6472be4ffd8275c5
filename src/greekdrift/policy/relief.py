"""A convex loss that only an exact engine can tell, inside the programme: a relief that cuts bound from above.

Let C(x) be such a loss (a missing buffer, the mean margin call ahead) and C₀ its value without a trade. The relief
r ≤ C₀ − C(x) is one more column of the programme, worth its price per USD. Every evaluation of the engine at a trade
y, value and slope, gives a row that holds for all trades because C is convex:

    C(y) + g·(x − y) ≤ C₀ − r

For a rule set that does not declare itself convex a row is a local one; the exact engine judges what comes of it.
Rows are never thrown away, so ties between scenarios of the engine are seen. Source: Kelley's cutting planes (1960).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.policy.solver import Hinges, Limits, Programme

Trade = Float[ndarray, " row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Value of a convex loss at a trade, and its change per contract bought and per contract sold, USD."""

    trade: Trade
    value: float
    bought: Trade
    sold: Trade

    @property
    def at_nothing(self) -> float:
        """The row's value where nothing is traded; never above the loss there."""
        used = self.bought @ np.maximum(self.trade, 0.0) + self.sold @ np.maximum(-self.trade, 0.0)
        return self.value - float(used)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relief:
    """A loss by its cuts: `idle` is C₀, `worst` how far it may grow (0: not at all), `price` USD per USD."""

    idle: float
    worst: float
    price: float
    cuts: tuple[Cut, ...]


def relieved(programme: Programme, reliefs: Sequence[Relief]) -> Programme:
    """The programme with one more column for each relief."""
    count, size = len(reliefs), programme.lower.size
    if count == 0:
        return programme
    none = np.zeros(count)
    hinges, limits = programme.hinges, programme.limits
    priced = Hinges(
        slope=np.hstack([np.zeros((count, size)), np.eye(count)]),
        start=none,
        floor=np.array([relief.idle for relief in reliefs]),
        ceiling=np.full(count, np.inf),
        price=np.array([relief.price for relief in reliefs]),
    )
    return Programme(
        buy_cost=np.concatenate([programme.buy_cost, none]),
        sell_cost=np.concatenate([programme.sell_cost, none]),
        impact=np.concatenate([programme.impact, none]),
        lower=np.concatenate([programme.lower, [-relief.worst for relief in reliefs]]),
        upper=np.concatenate([programme.upper, [relief.idle for relief in reliefs]]),
        hinges=Hinges.together(
            [
                Hinges(
                    slope=np.hstack([hinges.slope, np.zeros((hinges.start.size, count))]),
                    start=hinges.start,
                    floor=hinges.floor,
                    ceiling=hinges.ceiling,
                    price=hinges.price,
                ),
                priced,
            ]
        ),
        limits=Limits.together(
            [
                Limits(
                    bought=np.hstack([limits.bought, np.zeros((limits.bound.size, count))]),
                    sold=np.hstack([limits.sold, np.zeros((limits.bound.size, count))]),
                    bound=limits.bound,
                ),
                *(_rows(relief, at, count) for at, relief in enumerate(reliefs)),
            ]
        ),
    )


def _rows(relief: Relief, at: int, count: int) -> Limits:
    own = np.zeros((len(relief.cuts), count))
    own[:, at] = 1.0
    return Limits(
        bought=np.hstack([np.array([cut.bought for cut in relief.cuts]), own]),
        sold=np.hstack([np.array([cut.sold for cut in relief.cuts]), -own]),
        bound=np.array([max(relief.idle - cut.at_nothing, 0.0) for cut in relief.cuts]),
    )
