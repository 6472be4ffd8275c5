"""Stratified scenarios: many paths are drawn, and few are kept, one of each neighbourhood of returns.

Paths are cheap and revaluations are dear. Of `oversample` · n paths the returns at the last horizon are ordered along
their first principal axis, cut into √n strips, ordered within each along the second one, to and fro, and of every run
of `oversample` neighbours one is drawn. Each path is kept with the same chance, so that every mean and every
probability keeps its expectation; what returns explain of their variance is gone. Source: systematic sampling, Cochran
(1977), chapter 8; Glasserman (2003), section 4.3 for stratification.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import Predictor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stratified:
    """A predictor of which `oversample` times as many paths are drawn as are kept."""

    predictor: Predictor
    oversample: int = 8

    def __post_init__(self) -> None:
        if self.oversample < 2:
            raise InputError(f"oversample {self.oversample}: draw at least 2 paths for each that is kept, such as 8.")

    @property
    def name(self) -> str:
        """The predictor's own: the law is the same."""
        return self.predictor.name

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history, equally weighted."""
        drawn = self.predictor.predict(history, horizons=horizons, n=n * self.oversample, seed=seed)
        returns = drawn.increments[:, -1, :, drawn.factors.index("forward")]
        kept = np.sort(picked(returns, n, np.random.default_rng([seed, self.oversample])))
        increments = drawn.increments[kept]
        increments.setflags(write=False)
        return replace(
            drawn,
            increments=increments,
            weights=np.full(n, 1.0 / n),
            provenance=f"{drawn.provenance}, one of {self.oversample} in each stratum of returns",
        )


def picked(
    returns: Float[ndarray, "path underlying"], n: int, random: np.random.Generator
) -> Int[ndarray, " scenario"]:
    """One number of a path for each of `n` neighbourhoods of equally many paths.

    >>> low, high = picked(np.array([[3.0], [0.0], [1.0], [2.0]]), 2, np.random.default_rng(0)).tolist()
    >>> low in (1, 2), high in (3, 0)
    (True, True)
    """
    order = _to_and_fro(_axes(returns), strips=ceil(sqrt(n)))
    size = len(returns) // n
    return order[np.arange(n) * size + random.integers(size, size=n)]


def _axes(returns: Float[ndarray, "path underlying"]) -> Float[ndarray, "path axis"]:
    """Standardised returns along their first two principal axes, each with the sign of its largest entry."""
    away = returns - returns.mean(axis=0)
    deviation = away.std(axis=0)
    unit = np.divide(away, deviation, out=np.zeros_like(away), where=deviation > 0.0)
    _, directions = np.linalg.eigh(unit.T @ unit)
    first = directions[:, ::-1][:, :2]
    first = first * np.sign(first[np.argmax(np.abs(first), axis=0), np.arange(first.shape[1])])
    return unit @ first


def _to_and_fro(along: Float[ndarray, "path axis"], *, strips: int) -> Int[ndarray, " path"]:
    """Order of the paths by the first axis, or strip by strip of it along the second, every other strip backwards."""
    order = np.argsort(along[:, 0], kind="stable")
    if along.shape[1] == 1:
        return order
    ordered = [strip[np.argsort(along[strip, 1], kind="stable")] for strip in np.array_split(order, strips)]
    return np.concatenate([strip[:: 1 if at % 2 == 0 else -1] for at, strip in enumerate(ordered)])
