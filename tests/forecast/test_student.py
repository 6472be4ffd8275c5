from dataclasses import replace

import numpy as np
import pytest

from greekdrift.forecast.student import Student, freedom


def test_it_has_the_correlation_of_the_past(make_panel):
    panel = make_panel(rows=1500, seed=3)
    predictor = Student().fit(panel)
    made = predictor.predict(panel, horizons=(6.0,), n=20_000, seed=0)
    returns = made.increments[:, 0, :, 0]
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(0.7, abs=0.08)


def test_one_step_has_the_size_of_the_scale(make_panel):
    panel = make_panel(rows=800, seed=4)
    predictor = Student().fit(panel)
    drawn = predictor._drawn(200_000, 1, np.random.default_rng(0))[:, 0]
    np.testing.assert_allclose(drawn.std(axis=0), predictor.size, rtol=0.05)


@pytest.mark.parametrize("truth", [3.0, 5.0, 10.0])
def test_degrees_of_freedom_are_found(truth):
    rng = np.random.default_rng(1)
    sample = rng.standard_t(truth, 40_000) / np.sqrt(truth / (truth - 2.0))
    assert freedom(sample) == pytest.approx(truth, rel=0.25)


def test_all_factors_jump_together(make_panel):
    """Squares of uncorrelated residuals are correlated: one mixing variable a step."""
    predictor = replace(Student().fit(make_panel(rows=300)), freedom=4.0)
    drawn = predictor._drawn(50_000, 1, np.random.default_rng(0))[:, 0] / predictor.size
    size = np.log(np.abs(drawn[:, 0, 3])), np.log(np.abs(drawn[:, 1, 5]))
    assert np.corrcoef(*size)[0, 1] > 0.05
