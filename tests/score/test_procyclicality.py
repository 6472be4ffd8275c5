"""Figures of procyclicality against loops over plain numbers, and how margin answers volatility."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from greekdrift.errors import InputError
from greekdrift.score.procyclicality import largest_call, peak_to_trough, procyclicality, responsiveness

MARGINS = arrays(np.float64, st.integers(2, 40), elements=st.floats(0.1, 1e6))


def _times(count, seed=0):
    """About four a day, unpunctual."""
    return np.cumsum(np.random.default_rng(seed).uniform(4.0, 8.0, size=count))


def _naive_call(margin, hours, days, measure):
    best = [0.0, 0.0]
    for i, first in enumerate(margin):
        for j in range(i + 1, len(margin)):
            if hours[j] - hours[i] <= 24 * days + 1.5:
                best = [max(best[0], margin[j] - first), max(best[1], (margin[j] - first) / measure[i])]
    return best


@given(MARGINS, st.integers(0, 99), st.sampled_from([0.5, 1.0, 5.0, 20.0]))
def test_the_largest_call_equals_a_double_loop(margin, seed, days):
    hours, measure = _times(margin.size, seed), np.random.default_rng(seed).uniform(1.0, 9.0, margin.size)
    found = largest_call(margin, hours, days=days, measure=measure)
    assert [found.usd, found.share] == pytest.approx(_naive_call(margin, hours, days, measure))


@given(MARGINS, st.floats(0.01, 100.0))
def test_figures_do_not_depend_on_the_currency(margin, factor):
    hours = _times(margin.size)
    small, large = (procyclicality(one, hours, block=2) for one in (margin, factor * margin))
    assert large.peak_to_trough == pytest.approx(small.peak_to_trough)
    assert large.peak_to_median == pytest.approx(small.peak_to_median)
    assert [one.share for one in large.calls] == pytest.approx([one.share for one in small.calls])
    assert large.average_usd == pytest.approx(factor * small.average_usd)
    assert 1.0 <= small.peak_to_median <= small.peak_to_trough
    assert [one.usd for one in small.calls] == sorted(one.usd for one in small.calls)


@given(MARGINS)
def test_a_margin_without_a_tool_costs_nothing(margin):
    found = procyclicality(margin, _times(margin.size), raw=margin)
    assert (found.cost.value, found.cost.lower, found.cost.upper) == (0.0, 0.0, 0.0)
    assert procyclicality(1.25 * margin, _times(margin.size), raw=margin).cost.value == pytest.approx(0.25)


def test_all_figures_of_one_series_stand_together():
    margin = np.array([10.0, 20.0, 40.0, 20.0])
    found = procyclicality(margin, [0.0, 24.0, 48.0, 72.0], needed=[5.0, 25.0, 10.0, 10.0], level=0.75, block=2)
    assert (found.peak_to_trough, found.peak_to_median, found.average_usd) == (4.0, 2.0, 22.5)
    assert (found.call(1.0).usd, found.call(5.0).usd, found.call(5.0).share) == (20.0, 30.0, 3.0)
    assert (found.coverage.exceptions, found.coverage.share) == (1, 0.25)
    with pytest.raises(InputError, match="no call of 2 days"):
        found.call(2.0)


def test_a_margin_that_is_a_power_of_volatility_has_that_elasticity():
    random = np.random.default_rng(5)
    sigma = np.exp(np.cumsum(0.05 * random.normal(size=400)))
    moments = np.datetime64("2026-01-01T00:00") + np.arange(400) * np.timedelta64(6, "h")
    for power in (0.0, 0.5, 1.0, 3.0):
        found = responsiveness(7.0 * sigma**power, sigma, moments, window_days=5.0)
        assert found.elasticity.value == pytest.approx(power)
        assert [one.quarter for one in found.quarters] == ["2026Q1", "2026Q2"]
        for one in found.quarters:
            assert one.margin_change == pytest.approx((1.0 + one.volatility_change) ** power - 1.0)
            assert one.needs_review == (power in (0.0, 3.0))


def test_a_quiet_quarter_has_no_ratio_and_needs_no_review():
    moments = np.datetime64("2026-01-01") + np.arange(60)
    sigma = 0.5 + 0.01 * np.sin(np.arange(60.0))
    (quarter,) = responsiveness(sigma**9, sigma, moments, window_days=2.0).quarters
    assert quarter.ratio is None
    assert not quarter.needs_review
    (touchy,) = responsiveness(sigma**9, sigma, moments, window_days=2.0, trigger=0.001).quarters
    assert touchy.needs_review


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: peak_to_trough([1.0, np.nan]), "no numbers"),
        (lambda: peak_to_trough([1.0, 0.0]), "above 0"),
        (lambda: peak_to_trough([]), "above 0"),
        (lambda: largest_call([1.0, 2.0], [0.0, 0.0], days=1.0), "must rise"),
        (lambda: largest_call([1.0, 2.0], [0.0], days=1.0), "must rise"),
        (lambda: largest_call([1.0, 2.0], [0.0, 1.0], days=0.0), "one each"),
        (lambda: largest_call([1.0, 2.0], [0.0, 1.0], days=1.0, measure=[1.0]), "one each"),
        (lambda: procyclicality([1.0, 2.0], [0.0, 1.0], needed=[1.0]), "one reserve per need"),
        (lambda: responsiveness([1.0, 2.0], [1.0, 2.0], np.arange(2).astype("datetime64[D]")), "no window"),
        (lambda: responsiveness([1.0] * 9, [2.0] * 9, np.arange(9).astype("datetime64[D]")), "never moves"),
    ],
)
def test_what_has_no_figure_is_refused(call, word):
    with pytest.raises(InputError, match=word):
        call()
