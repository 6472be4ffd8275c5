"""Joint Student t: the parametric rival of filtered historical simulation, with the same scale along the path.

z = √(ν/χ²_ν) √((ν − 2)/ν) L ε,  L Lᵀ = (N R + d I) / (N + d)

ε standard normal over the d factors of all underlyings, one χ² a step, so that all of them jump together; R the
correlation of the N residuals, shrunk as if d uncorrelated ones had been seen beside them. ν maximises the
likelihood of the single residuals. Source: McNeil, Frey & Embrechts (2015), section 6.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.stats import t as student

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast.econometric import standardised, walk_from
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.scale import Kind, Scale
from greekdrift.forecast.steps import path_of_steps, steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudentPredictor:
    """Scale, root of the correlation, size of each residual and degrees of freedom."""

    kind: ClassVar[str] = "student"

    name: str
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    scale: Scale
    root: Float[ndarray, "cell cell"]
    size: Float[ndarray, "underlying factor"]
    freedom: float

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        lengths, arrivals = path_of_steps(hours, self.scale.clock.step_hours)
        drawn = self._drawn(n, lengths.size, np.random.default_rng(seed))
        walked = walk_from(history, self.scale, drawn, lengths)
        return scenarios(history, walked[:, arrivals - 1], horizons=hours, name=self.name, seed=seed)

    def _drawn(self, n: int, length: int, random: np.random.Generator) -> ndarray:
        normal = random.standard_normal((n, length, len(self.root))) @ self.root.T
        mixing = np.sqrt((self.freedom - 2.0) / random.chisquare(self.freedom, (n, length, 1)))
        return (mixing * normal).reshape(n, length, *self.size.shape) * self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """Joint Student t at the scale of filtered historical simulation."""

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    scale: Kind = "hari"
    own_steps: float = 16.0

    @property
    def name(self) -> str:
        """Such as `student:hari`."""
        return f"student:{self.scale}"

    def fit(self, panel: Panel) -> StudentPredictor:
        """Scale, correlation and degrees of freedom of all complete base steps."""
        fitted, values = standardised(panel, steps(panel), kind=self.scale, flat=False, own_steps=self.own_steps)
        size, root = spread(values)
        return StudentPredictor(
            name=self.name,
            underlyings=panel.underlyings,
            factors=panel.factors,
            scale=fitted,
            root=root,
            size=size,
            freedom=freedom((values / size).reshape(len(values), -1)),
        )


def spread(
    residuals: Float[ndarray, "step underlying factor"],
) -> tuple[Float[ndarray, "underlying factor"], Float[ndarray, "cell cell"]]:
    """Root mean square of each residual, and L of their shrunk correlation over all underlyings and factors.

    >>> size, root = spread(np.array([[[1.0, 2.0]], [[-1.0, 2.0]]]))
    >>> size.round(12).tolist(), root.round(12).tolist()
    ([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    size = np.sqrt(np.mean(residuals**2, axis=0)) + 1e-16
    unit = (residuals / size).reshape(len(residuals), -1)
    cells = unit.shape[1]
    shrunk = (unit.T @ unit + cells * np.eye(cells)) / (len(unit) + cells)
    deviation = np.sqrt(np.diag(shrunk))
    return size, np.linalg.cholesky(shrunk / np.outer(deviation, deviation))


def freedom(residuals: Float[ndarray, "..."]) -> float:
    """Degrees of freedom, between 2.5 and 50, at which residuals of unit variance are likeliest.

    >>> 4.0 < freedom(np.random.default_rng(0).standard_t(5.0, 4000) / np.sqrt(5.0 / 3.0)) < 6.0
    True
    """

    def loss(log_freedom: float) -> float:
        nu = float(np.exp(log_freedom))
        return -float(student.logpdf(residuals, nu, scale=np.sqrt((nu - 2.0) / nu)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(2.5), np.log(50.0)), method="bounded").x))
