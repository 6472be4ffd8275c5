"""Prices and first Greeks: 60-digit truth, limits, wings, and what the door refuses."""

import mpmath as mp
import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, compute
from greekdrift.greeks.black import delta, gamma, mills_difference, options, price, theta, vega


def test_price_is_accurate_for_tiny_deviations_and_far_wings(truth):
    for s in (1e-12, 1e-9, 1e-6, 1e-4, 0.0199, 0.0201, 0.3, 3.0):
        for distance in (0.0, 0.3, 2.0, 8.0, 20.0, 35.0):
            K = 100.0 * np.exp(distance * s)
            right = truth("price", 100.0, float(K), s, 1.0, mp.mpf(0), True)
            got = float(price(options(forward=100.0, strike=K, volatility=s, time_to_expiry=1.0, is_call=True)))
            assert got == pytest.approx(float(right), rel=2e-12), (s, distance)


def test_wide_deviation_tends_to_the_upper_bound():
    at = options(forward=100.0, strike=[50.0, 150.0, 150.0], volatility=200.0, time_to_expiry=1.0,
                 is_call=[True, True, False])  # fmt: skip
    assert price(at).tolist() == [100.0, 100.0, 150.0]


@pytest.mark.parametrize(("volatility", "time"), [(0.0, 1.0), (0.5, 0.0), (0.0, 0.0), (1e-70, 1.0), (0.5, 1e-130)])
def test_without_time_or_volatility_the_price_is_intrinsic_and_delta_a_step(volatility, time):
    strike = np.array([90.0, 100.0, 110.0])
    for is_call, worth, step in (
        (True, [10.0, 0.0, 0.0], [1.0, 0.5, 0.0]),
        (False, [0.0, 0.0, 10.0], [0.0, -0.5, -1.0]),
    ):
        at = {"forward": 100.0, "strike": strike, "volatility": volatility, "time_to_expiry": time, "is_call": is_call}
        value = compute(tuple(QUANTITIES), **at)
        assert value["price"].tolist() == worth
        assert value["delta"].tolist() == step
        for name in ("gamma", "theta", "volga", "charm", "speed", "zomma", "color"):
            assert np.all(np.abs(value[name]) < 1e-60), name
        assert np.all(value["vega"][[0, 2]] == 0.0)
        assert value["vega"][1] == pytest.approx(100.0 * np.sqrt(time / (2.0 * np.pi)))


def test_limits_are_approached():
    at = {"strike": [99.0, 100.0, 101.0], "time_to_expiry": 0.25, "is_call": True}
    near = compute(tuple(QUANTITIES), forward=100.0, volatility=1e-9, **at)
    limit = compute(tuple(QUANTITIES), forward=100.0, volatility=0.0, **at)
    for name in ("price", "delta", "vega", "rho", "vanna"):
        assert near[name] == pytest.approx(limit[name], rel=1e-6, abs=1e-6), name


def test_no_input_that_passes_the_door_gives_nan_or_a_warning():
    edge = [0.0, 5e-324, 1e-320, 1e-61, 1e-30, 1e-8, 1.0, 37.0, 1e5, 1e30, 1e100]
    F, K, sigma, tau, is_call = np.meshgrid(edge, edge, edge, edge, [True, False])
    with np.errstate(all="raise", under="ignore"):
        value = compute(tuple(QUANTITIES), forward=F, strike=K, volatility=sigma, time_to_expiry=tau, is_call=is_call)
    for name, column in value.items():
        assert np.all(np.isfinite(column)), name
    assert np.all(value["price"] >= 0.0)
    assert np.all(value["price"] <= np.where(is_call, F, K) * (1.0 + 1e-15))
    assert np.all(np.abs(value["delta"]) <= 1.0)


def test_zero_forward_and_zero_strike():
    at = options(forward=[0.0, 100.0], strike=[100.0, 0.0], volatility=0.5, time_to_expiry=1.0, is_call=[False, True])
    assert price(at).tolist() == [100.0, 100.0]
    assert delta(at).tolist() == [-1.0, 1.0]
    assert gamma(at).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("volatility", [0.5, 1e9, 1e11, 1e40])
@pytest.mark.parametrize("is_call", [True, False])
def test_no_deviation_brings_a_forward_or_a_strike_of_zero_back(volatility, is_call):
    at = {"forward": [0.0, 100.0], "strike": [100.0, 0.0], "time_to_expiry": 1.0, "is_call": is_call}
    huge = compute(tuple(QUANTITIES), **at, volatility=volatility)
    still = compute(tuple(QUANTITIES), **at, volatility=0.0)
    for name, quantity in QUANTITIES.items():
        assert np.array_equal(huge[name], still[name]), name
        assert np.array_equal(quantity(options(**at, volatility=volatility)), still[name]), name


def test_a_long_option_decays_and_half_vega_sigma_is_its_decay():
    at = options(forward=100.0, strike=[80.0, 100.0, 130.0], volatility=0.7, time_to_expiry=0.1, is_call=True)
    assert np.all(theta(at) < 0.0)
    assert theta(at) == pytest.approx(-0.5 * vega(at) * 0.7 / 0.1, rel=1e-13)


def test_mills_difference_is_continuous_where_the_series_takes_over():
    centre = np.linspace(0.0, 30.0, 61)
    series = mills_difference(centre, np.full(61, np.nextafter(0.01, 0.0)))
    direct = mills_difference(centre, np.full(61, 0.01))
    assert series == pytest.approx(direct, rel=2e-12)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("forward", [100.0, np.nan, -1.0], r"forward\[1\] = nan is not a number from 0 to 1e\+100 \(1 more\)"),
        ("volatility", 1e300, r"volatility = 1e\+300 is not a number from 0 to 1e\+100"),
        ("strike", [100.0, 90.0, -1.0], r"strike\[2\] = -1.0 is not"),
        ("volatility", -0.2, r"volatility = -0.2 is not"),
        ("time_to_expiry", [[0.1, 0.2, np.inf]], r"time_to_expiry\[0, 2\] = inf"),
        ("discount", 0.0, r"discount = 0.0 is not a positive number up to 1e\+100"),
        ("time_to_expiry", np.datetime64("2026-01-01"), "is not an array of numbers"),
        ("forward", [True, True, False], r"forward \[True, True, False\] is a truth value"),
        ("strike", "high", "strike 'high' is not an array of numbers"),
        ("is_call", [1, 0, 1], "is_call has type int64; pass booleans"),
        ("strike", [1.0, 2.0], "shapes do not broadcast"),
    ],
)
def test_bad_input_is_named(name, value, place):
    good = {
        "forward": [100.0, 101.0, 102.0], "strike": 100.0, "volatility": 0.5, "time_to_expiry": 0.1, "is_call": True,
        "discount": 1.0,
    }  # fmt: skip
    with pytest.raises(InputError, match=place):
        options(**(good | {name: value}))
