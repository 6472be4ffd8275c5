"""Joint normal residuals at the scale of filtered historical simulation: the law whose tails are too thin.

z = L ε,  L Lᵀ = (N R + d I) / (N + d)

ε standard normal over the d factors of all underlyings, R the correlation of the N residuals (`forecast.student`).
The scale moves along the path, so that the law of several steps has fatter tails than that of one.
Source: RiskMetrics (1996), with a log-HAR in place of its average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast.econometric import standardised, walk_from
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.scale import Kind, Scale
from greekdrift.forecast.steps import path_of_steps, steps
from greekdrift.forecast.student import spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GaussianPredictor:
    """Scale, root of the correlation and size of each residual."""

    kind: ClassVar[str] = "gaussian"

    name: str
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    scale: Scale
    root: Float[ndarray, "cell cell"]
    size: Float[ndarray, "underlying factor"]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        lengths, arrivals = path_of_steps(hours, self.scale.clock.step_hours)
        normal = np.random.default_rng(seed).standard_normal((n, lengths.size, len(self.root))) @ self.root.T
        drawn = normal.reshape(n, lengths.size, *self.size.shape) * self.size
        walked = walk_from(history, self.scale, drawn, lengths)
        return scenarios(history, walked[:, arrivals - 1], horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """Joint normal at the scale of filtered historical simulation."""

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    scale: Kind = "hari"
    own_steps: float = 16.0

    @property
    def name(self) -> str:
        """Such as `gaussian:hari`."""
        return f"gaussian:{self.scale}"

    def fit(self, panel: Panel) -> GaussianPredictor:
        """Scale and correlation of all complete base steps."""
        fitted, values = standardised(panel, steps(panel), kind=self.scale, flat=False, own_steps=self.own_steps)
        size, root = spread(values)
        return GaussianPredictor(
            name=self.name,
            underlyings=panel.underlyings,
            factors=panel.factors,
            scale=fitted,
            root=root,
            size=size,
        )
