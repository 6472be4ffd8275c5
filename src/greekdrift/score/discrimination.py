"""How well a probability tells what happens from what does not, whatever its level."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from greekdrift.errors import InputError
from greekdrift.score.samples import events, finite


def area_under_curve(score: ArrayLike, happened: ArrayLike) -> float:
    """Probability that a case of the event has a higher score than one without, ties counting half (AUC).

    Source: Hanley & McNeil (1982). 0.5 is no skill; no map of the score that keeps its order changes it. Both
    outcomes must occur.

    >>> area_under_curve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    values, outcome = np.ravel(finite(score, "score")), np.ravel(events(happened))
    positive = int(outcome.sum())
    if values.shape != outcome.shape or not 0 < positive < outcome.size:
        raise InputError(
            f"area under the curve: {positive} events in {outcome.size} cases, {values.size} scores; "
            "one score a case, and both outcomes must occur."
        )
    ranks = float(rankdata(values)[outcome > 0.5].sum()) - positive * (positive + 1) / 2.0
    return ranks / (positive * (outcome.size - positive))
