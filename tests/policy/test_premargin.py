"""The add-on: quantile ahead, floor, speed limit, release."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.policy.premargin import addon, need, quantile

POSITIVE = st.floats(0.0, 1e9)


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


@given(
    wanted=POSITIVE, now=POSITIVE, previous=st.none() | POSITIVE, hours=st.floats(0.1, 100.0), floor=st.floats(0.0, 1.0)
)
def test_laws_of_the_addon(wanted, now, previous, hours, floor):
    found = addon(wanted, requirement_now=now, previous=previous, hours=hours, floor=floor)
    assert found >= 0.0
    least = max(wanted, floor * now)
    if previous is None:
        assert found == least
    else:
        assert min(least, previous, max(least, now)) <= found * (1 + 1e-12) + 1e-9
        assert found <= max(least, now) * (1 + 1e-12)
        assert found <= max(least, previous)
        assert found - previous <= 0.5 * now * hours / 24.0 + 1e-6 * (1.0 + previous)


def test_release_is_slow_and_forgets_its_steps():
    """Two releases of twelve hours release as much as one of a day."""
    once = addon(100.0, requirement_now=1e3, previous=900.0, hours=24.0)
    half = addon(100.0, requirement_now=1e3, previous=900.0, hours=12.0)
    assert addon(100.0, requirement_now=1e3, previous=half, hours=12.0) == pytest.approx(once)
    assert addon(95.0, requirement_now=1e3, previous=100.0, hours=24.0) == 100.0


def test_a_closed_book_keeps_no_addon():
    assert addon(0.0, requirement_now=0.0, previous=900.0, hours=6.0) == 0.0
    assert addon(0.0, requirement_now=0.0, previous=900.0, hours=0.0) == 0.0
    assert addon(0.0, requirement_now=500.0, previous=900.0, hours=6.0) == 500.0


@pytest.mark.parametrize(
    ("wanted", "terms"),
    [
        (np.nan, {"requirement_now": 1.0}),
        (1.0, {"requirement_now": np.nan}),
        (1.0, {"requirement_now": 1.0, "previous": np.nan}),
        (1.0, {"requirement_now": 1.0, "previous": -1.0}),
        (1.0, {"requirement_now": 1.0, "previous": 1.0, "hours": -0.1}),
        (1.0, {"requirement_now": 1.0, "previous": 1.0, "hours": np.inf}),
    ],
)
def test_an_addon_of_no_number_or_of_a_clock_that_went_back_is_refused(wanted, terms):
    with pytest.raises(InputError):
        addon(wanted, **terms)
