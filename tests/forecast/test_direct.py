import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast.direct import Direct


def test_windows_are_past_ones_at_todays_scale(make_panel):
    """Each scenario is a past window over the scale at its start, centred, times today's scale."""
    panel = make_panel(rows=80)
    predictor = Direct().fit(panel)
    made = predictor.predict(panel, horizons=(24.0,), n=60, seed=0).increments[:, 0]
    day = panel.increments(24.0)
    unit = day.values / predictor.size[day.origin]
    wanted = (unit - unit.mean(axis=0)) * predictor.size[-1]
    for scenario in made:
        assert np.any(np.all(np.isclose(wanted, scenario, rtol=1e-9, atol=1e-14), axis=(1, 2)))


def test_wild_origins_give_wide_scenarios(make_panel):
    panel = make_panel(rows=900, seed=13)
    predictor = Direct().fit(panel)
    level = panel.state[300:, 0, 1]
    calm, wild = 300 + int(level.argmin()), 300 + int(level.argmax())
    width = [
        predictor.predict(panel.until(panel.known_at[row]), horizons=(24.0,), n=500, seed=0).increments[..., 0, 0].std()
        for row in (calm, wild)
    ]
    assert width[1] > 2.0 * width[0]


def test_a_history_shorter_than_the_horizon_says_so(make_panel):
    panel = make_panel(rows=10)
    with pytest.raises(DataError, match="past windows of 72 h"):
        Direct().fit(panel).predict(panel, horizons=(72.0,), n=10, seed=0)
