"""Laws of coverage backtests: what may not matter, what must grow, and honest sizes under the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from greekdrift.score import exceptions
from greekdrift.score.exceptions import Light, backtest, pooled

HITS = arrays(np.float64, st.integers(2, 60), elements=st.sampled_from([0.0, 1.0]))
LEVELS = st.floats(0.5, 0.999)
ORDER = [Light.GREEN, Light.YELLOW, Light.RED]


@given(HITS, LEVELS, st.integers(0, 2**31))
def test_the_proportion_knows_no_order_and_independence_no_direction(hits, level, seed):
    shuffled = np.random.default_rng(seed).permutation(hits)
    before, after = backtest(hits, level=level), backtest(shuffled, level=level)
    assert before.proportion == after.proportion
    assert (before.light, before.power) == (after.light, after.power)
    assert backtest(hits[::-1], level=level).proportion == before.proportion


@given(HITS)
def test_independence_does_not_care_which_outcome_is_the_exception(hits):
    swapped = exceptions.independence(1.0 - hits).statistic
    assert swapped == pytest.approx(exceptions.independence(hits).statistic, abs=1e-9)


@given(HITS, LEVELS)
def test_statistics_are_ratios_and_p_values_probabilities(hits, level):
    found = backtest(hits, level=level)
    for one in (found.proportion, found.independence, found.conditional):
        assert one.statistic >= 0.0
        assert 0.0 <= one.p_value <= 1.0
    assert found.conditional.statistic == pytest.approx(found.proportion.statistic + found.independence.statistic)
    assert all(0.0 <= one.probability <= 1.0 + 1e-12 for one in found.power)


@given(st.integers(1, 500), LEVELS)
def test_the_light_only_turns_towards_red_as_exceptions_grow(observations, level):
    lights = [exceptions.traffic_light(count, observations, level=level) for count in range(0, observations + 1, 7)]
    places = [ORDER.index(one) for one in lights]
    assert places == sorted(places)


@given(st.integers(2, 400), LEVELS)
def test_a_share_that_is_right_to_the_number_has_no_statistic(observations, level):
    count = round(observations * (1.0 - level))
    exact = 1.0 - count / observations
    if 0.0 < exact < 1.0:
        assert exceptions.proportion(count, observations, level=exact).statistic == pytest.approx(0.0, abs=1e-9)


@given(arrays(np.float64, (30, 3), elements=st.sampled_from([0.0, 1.0])), st.permutations(range(3)))
def test_pooling_knows_no_order_of_books(hits, order):
    first, second = (pooled(one, level=0.95, block=4, seed=3, draws=50) for one in (hits, hits[:, order]))
    assert (first.exceptions, first.together) == (second.exceptions, second.together)
    assert first.share.lower == pytest.approx(second.share.lower)
    assert first.share.value == pytest.approx(hits.mean())


@pytest.mark.parametrize("level", [0.99, 0.95])
def test_the_stated_size_is_the_share_of_true_models_refused(level):
    """250 independent origins under the truth, 2,000 times: the proportion test refuses as often as its power says."""
    random = np.random.default_rng(11)
    refused = [
        exceptions.proportion(int((random.random(250) < 1.0 - level).sum()), 250, level=level).p_value < exceptions.SIZE
        for _ in range(2_000)
    ]
    stated = exceptions.power(250, level=level, alternative=1.0 - level)
    assert np.mean(refused) == pytest.approx(stated, abs=0.015)
