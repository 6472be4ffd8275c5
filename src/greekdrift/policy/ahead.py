"""Parts of a revaluation, and few scenarios for many; margin and equity in scenarios are those of `margin.ahead`."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.margin.ahead import Ahead, ahead
from greekdrift.surface.revalue import Revaluation

__all__ = ["Ahead", "ahead", "part", "representatives"]


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
