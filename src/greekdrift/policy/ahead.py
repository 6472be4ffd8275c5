"""Few scenarios for many."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


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
