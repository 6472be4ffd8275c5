import json
from dataclasses import asdict

import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast.har import Daily
from greekdrift.forecast.regime import MODELS, Classifier, Event, design, range_variance


def test_the_event_compares_the_next_days_with_the_last():
    variance = np.concatenate([np.full(22, 1.0), np.full(5, 2.1), np.full(5, 2.1)])
    outcome = Event().outcome(variance)
    assert np.isnan(outcome[:21]).all()
    assert outcome[21] == 1.0
    assert outcome[26] == 0.0
    assert np.isnan(outcome[-5:]).all()


def test_probability_is_the_written_formula_from_numbers_alone():
    daily = Daily(variance=np.full(40, 1e-4), returns=np.zeros(40))
    model = Classifier(
        model="level only", event=Event(), mean=(-9.0,), scale=(2.0,), coefficients=(0.5,), intercept=-1.0
    )
    assert json.loads(json.dumps(asdict(model)))["coefficients"] == [0.5]
    odds = -1.0 + 0.5 * (np.log(1e-4) + 9.0) / 2.0
    np.testing.assert_allclose(model.probability(daily)[21:], 1.0 / (1.0 + np.exp(-odds)))
    assert np.isnan(model.probability(daily)[:21]).all()


def test_columns_do_not_depend_on_the_unit_of_variance_except_the_level():
    rng = np.random.default_rng(0)
    variance, returns = rng.lognormal(-9.0, 0.5, 60), 0.01 * rng.standard_normal(60)
    one = design(Daily(variance=variance, returns=returns), "log-HAR + leverage")
    two = design(Daily(variance=4.0 * variance, returns=2.0 * returns), "log-HAR + leverage")
    at = list(MODELS["log-HAR + leverage"]).index("level")
    np.testing.assert_allclose(np.delete(one, at, axis=1), np.delete(two, at, axis=1), atol=1e-12)
    np.testing.assert_allclose(two[21:, at] - one[21:, at], np.log(4.0))


def test_unknown_model_is_refused():
    with pytest.raises(DataError, match="level only"):
        design(Daily(variance=np.full(40, 1e-4), returns=np.zeros(40)), "levelonly")


def test_range_variance_is_the_daily_variance_of_a_random_walk():
    rng = np.random.default_rng(5)
    paths = np.cumsum(0.01 / np.sqrt(500) * rng.standard_normal((2000, 500)), axis=1)
    prices = np.exp(np.concatenate([np.zeros((2000, 1)), paths], axis=1))
    estimate = range_variance(prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1])
    assert estimate.mean() == pytest.approx(1e-4, rel=0.1)
