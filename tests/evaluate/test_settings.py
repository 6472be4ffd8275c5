from typing import Any

import pytest

from greekdrift.errors import ConfigError
from greekdrift.evaluate import Settings
from greekdrift.units import instant


def _settings(**changed: Any) -> Settings:
    return Settings(**{"start": instant("2026-01-25T00:00Z"), "horizons": (6.0, 24.0), **changed})


def test_the_grid_holds_horizons_and_checks() -> None:
    assert _settings(checks=(6.0, 12.0, 18.0)).grid == (6.0, 12.0, 18.0, 24.0)


def test_the_digest_depends_on_every_value() -> None:
    assert _settings().digest == _settings().digest
    assert _settings().digest != _settings(seed=1).digest
    assert _settings().digest != _settings(end=instant("2026-03-01T00:00Z")).digest


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"horizons": (24.0, 6.0)}, "must be positive hours, increasing"),
        ({"horizons": ()}, "must not be empty"),
        ({"checks": (30.0,)}, "nor end before the checks"),
        ({"scenarios": 0}, "scenarios 0 must be at least 2"),
        ({"scenarios": 1}, "scenarios 1 must be at least 2"),
        ({"embargo_hours": -1.0}, "at least 0"),
        ({"primary": ("vegas",)}, 'did you mean "vega"'),
        ({"primary": ()}, "known:"),
        ({"horizons": (float("nan"),)}, "positive hours"),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _settings(**changed)
