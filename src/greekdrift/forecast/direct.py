"""Overlapping increments over the very horizon at today's scale: a comparator that shows what chaining steps brings.

x = σ_now (u − ū),   u = x_start / σ_start,   σ the scale of a base step at the origin and where the window starts

Windows of one start are joint over horizons, underlyings and factors. They overlap, so that a 72-hour law rests on
a twelfth of the independent evidence that its number of windows suggests, and the scale does not move along the path.
Unfiltered direct windows are `historical`. Source: Barone-Adesi, Giannopoulos & Vosper (1999), without the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast.econometric import standardised
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.historical import windows
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import Kind, Scale
from greekdrift.forecast.steps import steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DirectPredictor:
    """The past, and the scale at each of its rows (1 where the state is not complete and no window starts)."""

    kind: ClassVar[str] = "direct"

    name: str
    scale: Scale
    past: Panel
    size: Float[ndarray, "row underlying factor"]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` past windows at today's scale."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.past.underlyings, factors=self.past.factors)
        increments, starts = windows(self.past, hours)
        residuals = increments[:, starts] / self.size[starts]
        residuals -= residuals.mean(axis=1, keepdims=True)
        chosen = bootstrap.balanced(starts.size, n, np.random.default_rng(seed))
        now = memory(moves(history), self.scale.clock.memories, last_only=True)
        today = self.scale.at(now, history.state[-1], history.as_of[-1:])
        drawn = np.moveaxis(residuals[:, chosen], 0, 1) * today
        return scenarios(history, drawn, horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """Overlapping windows of the very horizons, filtered by the scale of the return ("hari", …)."""

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    scale: Kind = "hari"
    own_steps: float = 16.0

    @property
    def name(self) -> str:
        """Such as `fhs:hari:direct`."""
        return f"fhs:{self.scale}:direct"

    def fit(self, panel: Panel) -> DirectPredictor:
        """The scale of all complete base steps, and the panel without the records beside it."""
        fitted, _ = standardised(panel, steps(panel), kind=self.scale, flat=False, own_steps=self.own_steps)
        size = fitted.at(memory(moves(panel), fitted.clock.memories), panel.state, panel.as_of)
        return DirectPredictor(
            name=self.name,
            scale=fitted,
            past=replace(panel, histories={}),
            size=np.where(np.isfinite(size), size, 1.0),
        )
