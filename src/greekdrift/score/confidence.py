"""The model confidence set: which of several forecasters cannot be told from the best."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError
from greekdrift.score.compare import resampled_sums
from greekdrift.score.samples import finite

SMALLEST = 1e-300


def model_confidence_set(
    losses: ArrayLike, *, block: int, seed: int, draws: int = 2_000
) -> Float[ndarray, " forecaster"]:
    """p-value of each forecaster by losses (origin, forecaster): it is in the set of confidence 1 − a where p > a.

    t_ij = d̄_ij / √V*(d̄_ij),   T = max over the set of t_ij

    d̄_ij is the mean loss difference, V* its variance under a circular block bootstrap that resamples all columns
    together. While two are left, T is held against its bootstrap law and the forecaster with the largest t is
    removed; the p-value of one that was removed is the largest so far, that of the last 1. Equal columns are never
    told apart. Source: Hansen, Lunde & Nason (2011), section 2.1.2, range statistic.

    >>> better = np.arange(40.0) % 7
    >>> model_confidence_set(np.stack([better, better + 1.0 + np.arange(40) % 3], axis=1), block=4, seed=0).tolist()
    [1.0, 0.0]
    """
    table = finite(losses, "losses")
    if table.ndim != 2 or table.shape[1] == 0 or not 1 <= block <= len(table):
        raise InputError(f"model confidence set: losses {table.shape}, blocks of {block}; give (origin, forecaster).")
    n, count = table.shape
    mean = table.mean(axis=0)
    centred = resampled_sums((table - mean).T, block=block, random=np.random.default_rng(seed), draws=draws) / n
    apart = centred[:, None] - centred[None]
    size = np.sqrt(np.maximum((apart**2).mean(axis=2), SMALLEST))
    observed, simulated = (mean[:, None] - mean[None]) / size, apart / size[..., None]
    left, p_values, largest = list(range(count)), np.ones(count), 0.0
    while len(left) > 1:
        inner = np.ix_(left, left)
        statistic = observed[inner].max()
        largest = max(largest, float(np.mean(simulated[inner].max(axis=(0, 1)) > statistic)))
        worst = left[int(np.argmax(observed[inner].max(axis=1)))]
        if statistic <= 0.0:
            break
        p_values[worst] = largest
        left.remove(worst)
    return p_values
