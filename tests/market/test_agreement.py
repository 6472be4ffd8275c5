from typing import Any

import numpy as np
import pytest

from greekdrift.greeks import compute
from greekdrift.market import agreement


def test_equal_numbers_are_not_apart_and_what_is_no_number_stays_none() -> None:
    value = np.array([100.0, 50.0, np.nan])
    np.testing.assert_array_equal(agreement.gap(value, value), [0.0, 0.0, np.nan])
    np.testing.assert_array_equal(agreement.log_basis(value, value), [0.0, 0.0, np.nan])
    assert not np.any(agreement.gap(np.array([np.nan]), np.array([1.0])) <= np.inf)
    assert agreement.log_basis(np.array([np.e]), np.array([1.0]))[0] == pytest.approx(1.0)
    assert agreement.gap(np.array([1.0]), np.array([0.0]))[0] == np.inf


def test_the_most_that_an_option_can_be_worth_bounds_its_price() -> None:
    rng = np.random.default_rng(1)
    forward, strike = 100.0 * np.exp(rng.normal(0.0, 1.0, (2, 500)))
    is_call = rng.random(500) < 0.5
    price = compute(
        ["price"], forward=forward, strike=strike, volatility=np.full(500, 3.0), time_to_expiry=np.ones(500),
        is_call=is_call,
    )["price"] / forward  # fmt: skip
    assert np.all(price <= agreement.most_coins(forward=forward, strike=strike, is_call=is_call))


@pytest.mark.parametrize("is_inverse", [True, False])
def test_a_mark_that_is_the_price_of_its_volatility_agrees_and_a_moved_one_is_apart_by_the_move(
    is_inverse: bool,
) -> None:
    forward, strike = np.array([100.0, 100.0]), np.array([80.0, 250.0])
    given: dict[str, Any] = {
        "forward": forward,
        "strike": strike,
        "time_to_expiry": np.full(2, 0.2),
        "is_call": np.array([True, False]),
    }
    volatility = np.array([0.5, 0.9])
    mark = compute(["price"], volatility=volatility, **given)["price"] / (forward if is_inverse else 1.0)
    unit = np.array([1.0, 2.5]) * (1.0 if is_inverse else 100.0)
    mask = np.full(2, is_inverse)
    made, apart = agreement.repricing(mark + 0.25 * unit, volatility, **given, is_inverse=mask)
    np.testing.assert_allclose(made, mark, rtol=1e-12)
    np.testing.assert_allclose(apart, 0.25, rtol=1e-12)
