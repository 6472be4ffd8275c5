"""Historical simulation: the increments of the past, equally weighted, whatever today's volatility."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import DataError
from greekdrift.features.history import Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.steps import path_of_steps, steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HistoricalPredictor:
    """The past, from which joint windows (or chained steps) are drawn."""

    kind: ClassVar[str] = "historical"

    past: Panel
    step_values: Float[ndarray, "step underlying factor"]
    following: Int[ndarray, " step"]
    is_chained: bool
    mean_block: float

    @property
    def name(self) -> str:
        """`historical` or `historical:chained`."""
        return "historical:chained" if self.is_chained else "historical"

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` past windows, joint over horizons, underlyings and factors."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.past.underlyings, factors=self.past.factors)
        random = np.random.default_rng(seed)
        drawn = self._chained(hours, n, random) if self.is_chained else self._windows(hours, n, random)
        return scenarios(history, drawn, horizons=hours, name=self.name, seed=seed)

    def _windows(self, horizons: ndarray, n: int, random: np.random.Generator) -> ndarray:
        increments, starts = windows(self.past, horizons)
        return np.moveaxis(increments[:, starts[bootstrap.balanced(starts.size, n, random)]], 0, 1)

    def _chained(self, horizons: ndarray, n: int, random: np.random.Generator) -> ndarray:
        step = self.past.step_hours
        lengths, arrivals = path_of_steps(horizons, step)
        drawn = bootstrap.draw(self.following, n=n, length=lengths.size, mean_block=self.mean_block, random=random)
        moves = self.step_values[drawn] * np.sqrt(lengths / step)[:, None, None]
        return np.cumsum(moves, axis=1)[:, arrivals - 1]


def windows(
    past: Panel, horizons: Float[ndarray, " horizon"]
) -> tuple[Float[ndarray, "horizon row underlying factor"], Int[ndarray, " start"]]:
    """Overlapping increments from every row, and the rows where all are known; fewer than two are refused.

    Every end lies within a quarter of a base step of its horizon. NaN where there is no window.
    """
    increments = np.full((len(horizons), *past.state.shape), np.nan)
    for at, horizon in enumerate(horizons):
        window = past.increments(horizon, tolerance_hours=0.25 * past.step_hours)
        increments[at, window.origin] = window.values
    starts = np.flatnonzero(np.all(np.isfinite(increments), axis=(0, 2, 3)))
    if starts.size < 2:
        raise DataError(
            f"{starts.size} past windows of {horizons[-1]:g} h; a historical forecast needs 2: "
            "give a longer history or shorter horizons."
        )
    return increments, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Historical:
    """Past joint increments.

    Overlapping windows of the very horizons (`chained=False`), or base steps chained in blocks of `mean_block`
    steps on average, each scaled by the square root of its length.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    chained: bool = False
    mean_block: float = 4.0

    @property
    def name(self) -> str:
        """`historical` or `historical:chained`."""
        return "historical:chained" if self.chained else "historical"

    def fit(self, panel: Panel) -> HistoricalPredictor:
        """Remembers the past states and the complete base steps; records beside the panel have no part in them."""
        base = steps(panel)
        return HistoricalPredictor(
            past=replace(panel, histories={}),
            step_values=base.values / np.sqrt(base.elapsed / panel.step_hours)[:, None, None],
            following=base.following,
            is_chained=self.chained,
            mean_block=self.mean_block,
        )
