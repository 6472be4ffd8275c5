from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from greekdrift.book import Scenarios
from greekdrift.config import load_venue
from greekdrift.evaluate import Results, Settings, walk
from greekdrift.features.panel import Panel, build
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.historical import Historical
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import from_datetime64, instant

SETTINGS = Settings(
    start=instant("2025-01-26T00:00Z"),
    horizons=(6.0, 24.0),
    refit_hours=120.0,
    every=2,
    scenarios=120,
    min_train=10,
    seed=3,
)


@dataclass(frozen=True)
class Truth:
    """The simulator's own law, given its hidden state."""

    source: SimulatedSource
    name: str = "truth"

    def fit(self, panel: Panel) -> "Truth":
        return self

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        hours = tuple(round(2.0 * one) / 2.0 for one in horizons)
        return self.source.true_scenarios(from_datetime64(history.as_of[-1]), horizons=hours, n=n, seed=seed)


@dataclass(frozen=True)
class Foresight:
    """Knows the increment that will happen, and says it for certain: what the calculator makes of it is left."""

    panel: Panel
    name: str = "foresight"

    def fit(self, panel: Panel) -> "Foresight":
        return self

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        row = len(history) - 1
        targets = [int(np.argmin(np.abs(self.panel.hours - self.panel.hours[row] - one))) for one in horizons]
        increments = np.stack([self.panel.state[target] - self.panel.state[row] for target in targets])
        return Scenarios(
            underlyings=history.underlyings,
            factors=history.factors,
            horizons=np.array(horizons),
            increments=np.repeat(increments[None], n, axis=0),
            weights=np.full(n, 1.0 / n),
            as_of=from_datetime64(history.as_of[-1]),
            known_at=from_datetime64(history.known_at[-1]),
            provenance=self.name,
        )


@pytest.fixture(scope="session")
def source() -> SimulatedSource:
    return SimulatedSource(venue=load_venue("deribit"), seed=5, underlyings=("BTC",), days=40.0)


@pytest.fixture(scope="session")
def panel(source: SimulatedSource) -> Panel:
    return build(source)


@pytest.fixture(scope="session")
def foresight(panel: Panel) -> Foresight:
    return Foresight(panel)


@pytest.fixture(scope="session")
def results(source: SimulatedSource, panel: Panel) -> Results:
    forecasters = {
        "clock": Clock(),
        "historical": Historical(),
        "again": Historical(),
        "truth": Truth(source),
        "foresight": Foresight(panel),
    }
    return walk(panel, source, forecasters, SETTINGS)
