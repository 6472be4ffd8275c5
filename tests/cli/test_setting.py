from types import SimpleNamespace

import pytest

from greekdrift.cli.setting import predictor_of
from greekdrift.config import Component
from greekdrift.errors import ConfigError
from greekdrift.features.history import example


@pytest.mark.parametrize(
    "component",
    [
        Component(use="outside", call="not_there_at_all:learn"),
        Component(use="calibrated", base={"use": "outside", "call": "not_there_at_all:learn"}),
    ],
)
def test_no_decision_rests_on_code_from_outside(component):
    """It is refused before anything is imported."""
    experiment = SimpleNamespace(forecaster=component, baselines=())
    with pytest.raises(ConfigError, match="evaluate alone"):
        predictor_of(component.use, experiment, example(), None)
