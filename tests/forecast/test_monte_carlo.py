"""Standard errors are those that repeated samples show, and shortfalls those of the definition."""

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.forecast import monte_carlo
from greekdrift.score import quantile

N, TIMES = 400, 1_500
EQUAL = np.full(N, 1.0 / N)


@pytest.fixture(scope="module")
def drawn():
    return np.random.default_rng(0).standard_normal((N, TIMES))


def test_the_error_of_the_mean_is_its_spread(drawn):
    assert monte_carlo.mean_error(drawn, EQUAL).mean() == pytest.approx((EQUAL @ drawn).std(), rel=0.05)


@pytest.mark.parametrize("level", [0.025, 0.1, 0.5, 0.9, 0.975])
def test_the_error_of_a_quantile_is_its_spread(drawn, level):
    spread = quantile(drawn, level, weights=EQUAL)[0].std()
    assert np.median(monte_carlo.quantile_errors(drawn, EQUAL, [level])[0]) == pytest.approx(spread, rel=0.15)


def test_the_error_of_a_shortfall_is_its_spread(drawn):
    spread = monte_carlo.expected_shortfall(drawn, EQUAL, level=0.9).std()
    assert np.median(monte_carlo.shortfall_error(drawn, EQUAL, level=0.9)) == pytest.approx(spread, rel=0.15)


def test_the_error_of_a_probability_is_its_spread_and_never_nothing(drawn):
    share = EQUAL @ (drawn > 1.0)
    assert monte_carlo.probability_error(share, EQUAL).mean() == pytest.approx(share.std(), rel=0.06)
    assert monte_carlo.probability_error(np.array([0.0, 1.0]), EQUAL).min() > 1.0 / (N + 4.0) / 2.0


def test_unequal_weights_count_for_fewer():
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=N)
    weights /= weights.sum()
    drawn = rng.standard_normal((N, TIMES))
    assert monte_carlo.effective_number(weights) < 0.7 * N
    assert monte_carlo.mean_error(drawn, weights).mean() == pytest.approx((weights @ drawn).std(), rel=0.06)


def test_a_shortfall_takes_part_of_a_scenario():
    samples, weights = np.array([0.0, -10.0, 5.0]), np.array([0.5, 0.04, 0.46])
    found = monte_carlo.expected_shortfall(samples, weights, level=0.9)
    assert found == pytest.approx((0.04 * -10.0 + 0.06 * 0.0) / 0.1)


def test_a_shortfall_needs_a_tail():
    with pytest.raises(InputError, match="between 0 and 1"):
        monte_carlo.expected_shortfall(np.zeros(3), np.full(3, 1.0 / 3.0), level=1.0)
