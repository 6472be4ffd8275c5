"""Laws that every forecaster keeps."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.ensemble import LAWS, Pool
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.student import Student

FORECASTERS = {
    forecaster.name + ("" if getattr(forecaster, "laws", LAWS) == LAWS else ":one"): forecaster
    for forecaster in (
        Clock(),
        Historical(),
        Historical(chained=True),
        FilteredHistorical(),
        FilteredHistorical(scale="haris"),
        FilteredHistorical(scale="harit"),
        FilteredHistorical(scale="haris", flat=True, pool=True),
        FilteredHistorical(scale="ewma", pool=True),
        Student(),
        Pool(),
        Pool(laws=("ewma",)),
    )
}
every = pytest.mark.parametrize("forecaster", FORECASTERS.values(), ids=FORECASTERS.keys())


@every
@pytest.mark.parametrize("clock", ["elapsed", "sessions"])
def test_scenarios_are_joint_paths_from_the_last_row(forecaster, clock, make_panel):
    panel = make_panel(rows=200, clock=clock)
    horizons = (6.0, 12.0, 24.0) if clock == "elapsed" else (24.0, 72.0, 120.0)
    made = forecaster.fit(panel).predict(panel, horizons=horizons, n=64, seed=1)
    assert made.increments.shape == (64, 3, 2, len(panel.factors))
    assert made.underlyings == panel.underlyings
    assert made.factors == panel.factors
    np.testing.assert_allclose(made.weights, 1.0 / 64)
    assert np.datetime64(made.as_of.replace(tzinfo=None)) == panel.as_of[-1]
    assert np.datetime64(made.known_at.replace(tzinfo=None)) == panel.known_at[-1]
    assert forecaster.name in made.provenance
    assert "seed 1" in made.provenance


@every
def test_same_seed_same_bytes_other_seed_other_draw(forecaster, make_panel):
    panel = make_panel(rows=150)
    predictor = forecaster.fit(panel)
    one, two, other = (predictor.predict(panel, horizons=(6.0, 24.0), n=50, seed=seed) for seed in (3, 3, 4))
    assert one.increments.tobytes() == two.increments.tobytes()
    assert (one.increments.tobytes() == other.increments.tobytes()) == (forecaster.name == "clock")


@every
def test_a_fitted_predictor_does_not_see_past_the_origin(forecaster, make_panel):
    """Fit on the past, then predict from the past: nothing that comes later changes a byte."""
    panel = make_panel(rows=220)
    changed = replace(panel, state=np.concatenate([panel.state[:200], panel.state[200:] + 0.5]))
    made = []
    for version in (panel, changed):
        history = version.until(panel.known_at[199])
        made.append(forecaster.fit(history).predict(history, horizons=(6.0, 24.0), n=40, seed=0))
    assert made[0].increments.tobytes() == made[1].increments.tobytes()


@every
def test_a_missing_value_at_the_origin_is_named(forecaster, make_panel):
    panel = make_panel(rows=150)
    state = panel.state.copy()
    state[-1, 1, 2] = np.nan
    predictor = forecaster.fit(panel)
    with pytest.raises(DataError, match="ETH has no atm_30"):
        predictor.predict(replace(panel, state=state), horizons=(6.0,), n=10, seed=0)


@every
def test_another_underlying_is_refused(forecaster, make_panel):
    predictor = forecaster.fit(make_panel(rows=150))
    other = make_panel(rows=150, underlyings=("BTC", "SOL"))
    with pytest.raises(DataError, match="SOL"):
        predictor.predict(other, horizons=(6.0,), n=10, seed=0)


@every
@pytest.mark.parametrize("horizons", [(), (0.0,), (6.0, 6.0), (12.0, 6.0), (np.nan,), (-6.0,)])
def test_wrong_horizons_are_refused(forecaster, horizons, make_panel):
    panel = make_panel(rows=150)
    with pytest.raises(InputError, match="horizons"):
        forecaster.fit(panel).predict(panel, horizons=horizons, n=10, seed=0)


@pytest.mark.parametrize("name", [name for name in FORECASTERS if name != "clock"])
def test_holes_and_missing_rows_are_neither_bridged_nor_filled(name, make_panel):
    """Rows without ETH, and half a year between two rows with a jump across it: the jump is in no scenario."""
    panel = make_panel(rows=260)
    state = panel.state.copy()
    state[120:, :, 0] += 5.0
    state[60:64, 1] = np.nan
    late = np.where(np.arange(260) >= 120, np.timedelta64(180, "D"), np.timedelta64(0, "D"))
    torn = replace(panel, state=state, as_of=panel.as_of + late, known_at=panel.known_at + late)
    made = FORECASTERS[name].fit(torn).predict(torn, horizons=(6.0, 24.0), n=300, seed=0)
    assert np.abs(made.increments[..., 0]).max() < 1.0
    assert np.all(made.increments[..., 0].std(axis=0) > 1e-4)


@pytest.mark.parametrize("name", [name for name in FORECASTERS if name != "clock"])
def test_one_row_is_no_history(name, make_panel):
    with pytest.raises(DataError, match="needs 2"):
        FORECASTERS[name].fit(make_panel(rows=2))
