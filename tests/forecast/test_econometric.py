import numpy as np
import pytest

from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.historical import Historical
from greekdrift.score import crps


def _mean_crps(forecaster, panel, rows, *, horizon=24.0):
    """Mean fair CRPS of the return over both underlyings, refitted on each history."""
    day = panel.increments(horizon)
    losses = []
    for at in range(rows, len(day), 8):
        history = panel.until(panel.known_at[day.origin[at]])
        made = forecaster.fit(history).predict(history, horizons=(day.elapsed_hours[at],), n=200, seed=at)
        losses.append(crps(made.increments[:, 0, :, 0], day.values[at, :, 0]).mean())
    return float(np.mean(losses))


def test_where_volatility_moves_the_filter_beats_history(make_panel):
    panel = make_panel(rows=900, seed=11)
    bar = _mean_crps(FilteredHistorical(), panel, 300)
    assert bar < 0.97 * _mean_crps(Historical(), panel, 300)


def test_where_it_does_not_the_filter_loses_little(make_panel):
    panel = make_panel(rows=700, seed=12, volatility_of_volatility=0.0)
    bar = _mean_crps(FilteredHistorical(), panel, 300)
    assert bar < 1.03 * _mean_crps(Historical(), panel, 300)


def test_wild_origins_give_wide_scenarios(make_panel):
    panel = make_panel(rows=900, seed=13)
    predictor = FilteredHistorical().fit(panel)
    level = panel.state[300:, 0, 1]
    calm, wild = 300 + int(level.argmin()), 300 + int(level.argmax())
    width = [
        predictor.predict(panel.until(panel.known_at[row]), horizons=(6.0, 24.0), n=500, seed=0)
        .increments[:, 1, 0, 0]
        .std()
        for row in (calm, wild)
    ]
    assert width[1] > 2.0 * width[0]


@pytest.mark.parametrize("pool", [False, True])
def test_underlyings_keep_moving_together(pool, make_panel):
    panel = make_panel(rows=900, seed=14)
    made = FilteredHistorical(pool=pool).fit(panel).predict(panel, horizons=(24.0,), n=4000, seed=0)
    returns = made.increments[:, 0, :, 0]
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(0.7, abs=0.1)


def test_pooled_underlyings_have_one_shape_and_their_own_size(make_panel):
    """ETH a mirror of BTC with skewed residuals of opposite sign: pooled, the skew is gone from both."""
    panel = make_panel(rows=900, seed=15)
    rng = np.random.default_rng(0)
    skewed = rng.exponential(size=900) - 1.0
    state = panel.state.copy()
    state[:, 0, 3], state[:, 1, 3] = np.cumsum(0.01 * skewed), np.cumsum(-0.03 * skewed)
    mirror = type(panel)(**{name: getattr(panel, name) for name in panel.__slots__} | {"state": state})
    skewness = {}
    for pool in (False, True):
        made = FilteredHistorical(pool=pool).fit(mirror).predict(mirror, horizons=(6.0,), n=8000, seed=0)
        moved = made.increments[:, 0, :, 3]
        skewness[pool] = (((moved - moved.mean(axis=0)) / moved.std(axis=0)) ** 3).mean(axis=0)
        assert moved[:, 1].std() / moved[:, 0].std() == pytest.approx(3.0, rel=0.1)
    assert skewness[False][0] > 0.5 > -0.5 > skewness[False][1]
    assert np.all(np.abs(skewness[True]) < 0.3)


@pytest.mark.parametrize(("scale", "sign_of"), [("ewma", "return"), ("hari", "implied")])
def test_the_scale_follows_the_path(scale, sign_of, make_panel):
    """Paths with a wild first day (ewma) or a rising implied level (hari) have a wilder second day."""
    panel = make_panel(rows=900, seed=16)
    made = FilteredHistorical(scale=scale).fit(panel).predict(panel, horizons=(24.0, 48.0), n=6000, seed=0)
    sign = np.abs(made.increments[:, 0, 0, 0]) if sign_of == "return" else made.increments[:, 0, 0, 1]
    second = np.abs(made.increments[:, 1, 0, 0] - made.increments[:, 0, 0, 0])
    is_high = sign > np.quantile(sign, 0.8)
    assert second[is_high].mean() > 1.1 * second[~is_high].mean()


def test_names():
    assert FilteredHistorical().name == "fhs:hari"
    assert FilteredHistorical(scale="haris", flat=True, pool=True).name == "fhs:haris-flat:pool"
    assert FilteredHistorical(scale="ewma").name == "fhs:ewma"
