"""Clock only: the state stays as it is and time alone acts; the certain part of every drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPredictor:
    """Zero increments for ever: charm, color, veta and expiry act through the calculator."""

    kind: ClassVar[str] = "clock"

    underlyings: tuple[str, ...]
    factors: tuple[str, ...]

    @property
    def name(self) -> str:
        """`clock`."""
        return "clock"

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` equal scenarios in which nothing moves; one is enough."""
        hours = checked_asked(horizons, n=n, seed=seed)
        origin = checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        frozen = np.zeros((n, hours.size, *origin.shape))
        return scenarios(history, frozen, horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The forecaster that learns nothing."""

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    @property
    def name(self) -> str:
        """`clock`."""
        return "clock"

    def fit(self, panel: Panel) -> ClockPredictor:
        """Remembers the axes only."""
        return ClockPredictor(underlyings=panel.underlyings, factors=panel.factors)
