from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from greekdrift.errors import InputError
from greekdrift.forecast.boosted import LEVELS, MIDDLE, Boosted, remargined
from greekdrift.forecast.econometric import FilteredHistorical

QUICK = {"iterations": 6, "rate": 0.15}


def test_quantiles_increase_and_the_return_has_median_zero(make_panel):
    panel = make_panel(rows=200)
    found = Boosted(**QUICK).fit(panel).quantiles(panel, np.array([6.0, 24.0, 72.0]))
    assert found.shape == (3, 2, len(panel.factors), len(LEVELS))
    assert np.all(np.diff(found, axis=-1) >= 0.0)
    np.testing.assert_array_equal(found[..., 0, MIDDLE], 0.0)


def test_quantiles_that_cross_are_sorted(make_panel):
    panel = make_panel(rows=150)
    predictor = Boosted(**QUICK).fit(panel)
    crossed = replace(predictor, trees=replace(predictor.trees, start=predictor.trees.start[::-1].copy()))
    found = crossed.quantiles(panel, np.array([6.0]))
    assert np.all(np.diff(found, axis=-1) >= 0.0)


def test_margins_are_those_of_the_trees_and_ranks_those_of_the_paths(make_panel):
    panel = make_panel(rows=200)
    predictor = Boosted(**QUICK).fit(panel)
    made = predictor.predict(panel, horizons=(6.0, 24.0), n=3999, seed=0).increments
    wanted = np.moveaxis(predictor.quantiles(panel, np.array([6.0, 24.0])), -1, 0)
    np.testing.assert_allclose(
        np.quantile(made, LEVELS, axis=0, method="weibull"), wanted, atol=0.01 * np.ptp(wanted, axis=0).max()
    )
    paths = FilteredHistorical().fit(panel).predict(panel, horizons=(6.0, 24.0), n=3999, seed=0).increments
    np.testing.assert_array_equal(*[np.argsort(one, axis=0, kind="stable") for one in (made, paths)])


def test_it_finds_that_a_noisy_level_comes_back(make_panel):
    """The week's volatility carries noise that is gone at the next row: high now means lower then."""
    panel = make_panel(rows=700, seed=8)
    predictor = Boosted(iterations=30, rate=0.1).fit(panel)
    moved = np.diff(panel.state[:, 0, 1])
    rows = np.arange(400, 690)
    medians = np.array(
        [predictor.quantiles(panel.until(panel.known_at[row]), np.array([6.0]))[0, 0, 1, MIDDLE] for row in rows[::6]]
    )
    assert np.corrcoef(medians, moved[rows[::6]])[0, 1] > 0.2


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 50),
    wanted=arrays(np.float64, len(LEVELS), elements=st.floats(-3.0, 3.0)),
)
def test_new_margins_keep_the_order_whatever_they_are(seed, n, wanted):
    rng = np.random.default_rng(seed)
    paths = rng.standard_normal((n, 1, 1, 1)) * rng.choice([0.0, 1.0])
    moved = remargined(paths, np.sort(wanted)[None, None, None])
    assert np.all(np.isfinite(moved))
    assert np.all(np.diff(moved[np.argsort(paths[:, 0, 0, 0], kind="stable"), 0, 0, 0]) >= -1e-12)


@pytest.mark.parametrize(
    "wrong", [{"iterations": 0}, {"leaves": 1}, {"rate": 0.0}, {"rate": float("nan")}, {"leaf_share": 0.5}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="boosted"):
        Boosted(**wrong)
