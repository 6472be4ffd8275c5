import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast import har


def _days(seed: int = 0, n: int = 1500) -> har.Daily:
    """Log variance an AR(1) about 1e-4, seen with noise; returns drawn at the true variance; implied 1.2 times it."""
    rng = np.random.default_rng(seed)
    log_variance = np.empty(n)
    log_variance[0] = np.log(1e-4)
    for day in range(1, n):
        log_variance[day] = np.log(1e-4) + 0.95 * (log_variance[day - 1] - np.log(1e-4)) + 0.2 * rng.standard_normal()
    truth = np.exp(log_variance)
    noisy = truth * np.exp(0.4 * rng.standard_normal(n) - 0.08)
    return har.Daily(variance=noisy, returns=np.sqrt(truth) * rng.standard_normal(n), implied=1.2 * truth)


def test_each_rung_beats_the_one_below():
    losses = har.ladder(_days(), first=500)
    assert losses["random walk"] > losses["HAR"] > losses["log-HAR"] > losses["log-HAR + implied"]


def test_a_forecast_knows_nothing_of_the_future():
    daily = _days()
    changed = har.Daily(
        variance=np.concatenate([daily.variance[:1000], daily.variance[1000:] * 7.0]),
        returns=np.concatenate([daily.returns[:1000], -daily.returns[1000:]]),
        implied=np.concatenate([daily.implied[:1000], daily.implied[1000:] * 3.0]),
    )
    for horizon in (1, 5):
        for model in ("random walk", *har.LADDER):
            before = har.walk_forward(daily, model, first=500, horizon=horizon)[:1000]
            after = har.walk_forward(changed, model, first=500, horizon=horizon)[:1000]
            np.testing.assert_array_equal(before, after)


def test_log_forecast_is_the_mean_not_the_median():
    daily = _days(n=4000)
    forecast = har.walk_forward(daily, "log-HAR", first=1000)
    assert np.nanmean(daily.variance[1001:] / forecast[1000:-1]) == pytest.approx(1.0, abs=0.03)


def test_leverage_is_never_positive_and_never_below_the_clip():
    daily = _days()
    values = har.leverage(daily.returns * 50.0, daily.implied)
    full = values[21:]
    assert np.all(full <= 0.0)
    assert full.min() == -3.0
    assert np.isnan(values[:4, 1]).all()


@pytest.mark.parametrize("bad", [0.0, np.nan, -1e-4])
def test_a_variance_that_is_none_is_refused_with_its_day(bad):
    variance = np.full(30, 1e-4)
    variance[7] = bad
    with pytest.raises(DataError, match="day 7"):
        har.Daily(variance=variance, returns=np.zeros(30))


def test_implied_rung_without_implied_says_what_to_do():
    daily = har.Daily(variance=np.full(300, 1e-4), returns=np.zeros(300))
    with pytest.raises(DataError, match="log-HAR"):
        har.walk_forward(daily, "log-HAR + implied", first=100)


def test_unknown_rung_names_the_nearest():
    with pytest.raises(DataError, match="log-HAR"):
        har.walk_forward(_days(n=100), "log-HARX", first=50)


def test_too_few_days_are_refused():
    with pytest.raises(DataError, match="10 each"):
        har.walk_forward(_days(n=60), "log-HAR", first=40)
