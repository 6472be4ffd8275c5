"""Every forecaster of the table, and variants of some, so that a new one enters every common test by being named."""

from collections.abc import Mapping

import numpy as np

from greekdrift.config import FORECASTERS, Component, build
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.forecast.steps import steps

QUICK: Mapping[str, dict[str, object]] = {
    "boosted": {"iterations": 2},
    "calibrated": {"origins": 24, "refits": 2},
    "drift_net": {"members": 1, "epochs": 2, "draws": 8, "batch_draws": 4},
    "outside": {"call": "tests.forecast.registry:resampled", "label": "resampled"},
}
"""What keeps the tests short, or must be given."""

SESSIONS: Mapping[str, dict[str, object]] = {"drift_net": {"horizons": [24.0, 48.0]}}
"""What must be given where rows are sessions."""

VARIANTS: tuple[Component, ...] = (
    Component(use="historical", chained=True),
    Component(use="fhs", scale="haris"),
    Component(use="fhs", scale="harit"),
    Component(use="fhs", scale="front"),
    Component(use="fhs", scale="haris", flat=True, pool=True),
    Component(use="fhs", scale="ewma", pool=True),
    Component(use="garch", asymmetric=False),
    Component(use="pool", laws=["ewma"]),
    Component(use="pool", laws=["hari", "front-flat:pool"], common=True),
    Component(use="pool", laws=["hari", "ewma"], common=True, weights="past", origins=8),
    Component(use="calibrated", base={"use": "historical"}, origins=40, refits=2),
)


def resampled(panel: Panel):
    """An outside forecaster: single past steps, with the square root of time."""
    base = steps(panel)
    unit = base.values / np.sqrt(base.elapsed / panel.step_hours)[:, None, None]

    def sample(history, horizons, n, random):
        drawn = unit[random.integers(len(unit), size=n)]
        return drawn[:, None] * np.sqrt(horizons / history.step_hours)[:, None, None]

    return sample


def _cases(given: Mapping[str, dict[str, object]]) -> dict[str, Forecaster]:
    plain = [Component(use=key, **QUICK.get(key, {}), **given.get(key, {})) for key in FORECASTERS]
    made = [(one, build(one, FORECASTERS, seed=0)) for one in (*plain, *VARIANTS)]
    return {
        f"{one.use}={forecaster.name}{':one' if 'laws' in one.options else ''}": forecaster for one, forecaster in made
    }


CASES = _cases({})
ON_SESSIONS = _cases(SESSIONS)
MOVING = {name: forecaster for name, forecaster in CASES.items() if not name.startswith("clock=")}
"""All but the clock, whose scenarios stand still."""
SAVED = {name: forecaster for name, forecaster in CASES.items() if not name.startswith("outside=")}
"""All but those from outside, which can never be an artefact."""
