import numpy as np
import pytest
from scipy.stats import kurtosis

from greekdrift.forecast.gaussian import Gaussian
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.student import Student


def test_one_step_is_normal_with_the_correlation_and_size_of_student(make_panel):
    panel = make_panel(rows=900, seed=3)
    one, two = Gaussian().fit(panel), Student().fit(panel)
    np.testing.assert_array_equal(one.root, two.root)
    np.testing.assert_array_equal(one.size, two.size)
    made = one.predict(panel, horizons=(6.0,), n=40_000, seed=0).increments[:, 0]
    np.testing.assert_allclose(kurtosis(made, axis=0), 0.0, atol=0.15)
    assert np.corrcoef(made[..., 0].T)[0, 1] == pytest.approx((one.root @ one.root.T)[0, len(panel.factors)], abs=0.02)


def test_one_step_has_the_size_of_the_scale(make_panel):
    panel = make_panel(rows=500, seed=4)
    predictor = Gaussian().fit(panel)
    now = memory(moves(panel), predictor.scale.clock.memories, last_only=True)
    wanted = predictor.size * predictor.scale.at(now, panel.state[-1], panel.as_of[-1:])
    made = predictor.predict(panel, horizons=(panel.step_hours,), n=40_000, seed=0).increments[:, 0]
    np.testing.assert_allclose(made.std(axis=0), wanted, rtol=0.02)


def test_several_steps_have_fat_tails_because_the_scale_moves(make_panel):
    panel = make_panel(rows=900, seed=3, volatility_of_volatility=0.3)
    made = Gaussian().fit(panel).predict(panel, horizons=(6.0, 96.0), n=20_000, seed=0).increments[..., 0, 0]
    one, many = kurtosis(made, axis=0)
    assert many > one + 0.5
