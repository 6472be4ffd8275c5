"""Any forecaster, its scenarios centred on a learned mean: reversion, term structure and calendar of the surface.

x' = m̂(h) + x̄(h) + √(1 − R²(h)) (x − x̄(h))

x are the base's increments and x̄ their mean, m̂ the conditional mean of `forecast.mean_regression` and R² what it
explained on later blocks of the past: what is known is no longer spread. The forward is left alone. Where the past
bears out no mean, the law is the base's, byte for byte.

Timing: every target that is learnt from was known with the last row of the panel. Source: `forecast.mean_regression`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.config.table import Component
from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import mean_regression, wrapped
from greekdrift.forecast.forecaster import Forecaster, Predictor, checked_asked, checked_horizons
from greekdrift.forecast.mean_regression import MeanRegression
from greekdrift.forecast.steps import usual_horizons


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CentredPredictor:
    """A predictor and the means that its scenarios are moved to."""

    kind: ClassVar[str] = "centred"

    name: str
    base: Predictor
    means: MeanRegression

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """The base's scenarios around the learned mean, as much narrower as it explains."""
        made = self.base.predict(history, horizons=horizons, n=n, seed=seed)
        provenance = f"{self.name} seed {seed}"
        if not np.any(self.means.shares):
            return replace(made, provenance=provenance)
        hours = checked_asked(horizons, n=n, seed=seed)
        mean = np.tensordot(made.weights, made.increments, axes=1)
        moved = self.means.around(made.increments, mean, self.means.mean(history, hours), hours)
        moved.setflags(write=False)
        return replace(made, increments=moved, provenance=provenance)

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays: the base under its kind, and the means."""
        return wrapped.pack(self.name, self.base, means=self.means)

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The predictor of these values and arrays."""
        name, base, means = wrapped.unpack(config, arrays, means=MeanRegression)
        return cls(name=name, base=base, means=means)


@dataclass(frozen=True, slots=True, kw_only=True)
class Centred:
    """A forecaster of the table, centred.

    `base` names it as in `{use: fhs, scale: haris}`. Means are learnt at `horizons` (hours; 1, 2, 4, 8 and 12 base
    steps where none are given, 1, 2, 5 and 10 sessions) and trusted by an inner walk-forward of `refits` fits.

    >>> from greekdrift.features.history import example
    >>> panel = example(rows=200)
    >>> predictor = Centred(base=Component(use="historical")).fit(panel)
    >>> predictor.name, predictor.predict(panel, horizons=[6.0, 24.0], n=50, seed=0).increments.shape
    ('centred:historical', (50, 2, 1, 7))
    """

    base: Component = wrapped.BASE
    horizons: tuple[float, ...] = ()
    refits: int = 8
    seed: int = 0
    recorder: Any = None

    def __post_init__(self) -> None:
        if self.horizons:
            checked_horizons(self.horizons)
        if self.refits < 1:
            raise InputError(f"centred: refits {self.refits} must be positive.")
        wrapped.check(self.base)

    @property
    def forecaster(self) -> Forecaster:
        """The forecaster that is centred."""
        return wrapped.built(self.base, seed=self.seed, recorder=self.recorder)

    @property
    def invariances(self) -> tuple[str, ...]:
        """Those of the base: the regressors have no unit, no level and no order."""
        return getattr(self.forecaster, "invariances", ())

    @property
    def name(self) -> str:
        """Such as `centred:fhs:hari`."""
        return f"centred:{self.forecaster.name}"

    def fit(self, panel: Panel) -> CentredPredictor:
        """The base and the means on the whole panel, what is trusted of them on an inner walk-forward."""
        forecaster = self.forecaster
        base = forecaster.fit(panel)
        means = mean_regression.fit(panel, self.horizons or usual_horizons(panel), refits=self.refits)
        return CentredPredictor(name=f"centred:{forecaster.name}", base=base, means=means)
