"""What the forecast asks of the add-on."""

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.policy.premargin import need, quantile


def test_the_need_is_the_largest_quantile_above_now():
    draw = np.random.default_rng(3)
    samples = np.stack([100.0 + draw.normal(size=1000), 100.0 + 3.0 * draw.normal(size=1000)], axis=1)
    weights = np.full(1000, 1e-3)
    assert need(samples, weights, now=100.0) == pytest.approx(np.quantile(samples[:, 1], 0.95) - 100.0, abs=0.05)
    assert need(samples - 50.0, weights, now=100.0) == 0.0


def test_weights_count():
    assert quantile(np.array([1.0, 2.0]), np.array([0.96, 0.04]), 0.95) == 1.0
    assert quantile(np.array([1.0, 2.0]), np.array([0.94, 0.06]), 0.95) == 2.0


def test_a_requirement_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="not a number"):
        need(np.array([[np.nan]]), np.ones(1), now=1.0)
