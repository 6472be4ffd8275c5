"""Implied volatility: round trips over the whole range, reasons, refusals."""

import numpy as np
import pytest

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import compute, implied_volatility
from greekdrift.greeks.implied import Reason, solve


def round_trip(distance, deviation, *, inside=False, tau=1.0, discount=1.0):
    forward = np.full(distance.shape, 250.0)
    strike = forward * np.exp(distance * deviation)
    is_call = (strike >= forward) ^ inside
    at = {"forward": forward, "strike": strike, "time_to_expiry": tau, "is_call": is_call, "discount": discount}
    volatility = deviation / np.sqrt(tau)
    price = compute(["price"], **at, volatility=volatility)["price"]
    found, reason = solve(price, **at)
    return found / volatility - 1.0, reason


def test_out_of_the_money_round_trip_to_thirty_deviations():
    rng = np.random.default_rng(1)
    distance, deviation = rng.uniform(-30.0, 30.0, 40_000), 10.0 ** rng.uniform(-3.0, 0.5, 40_000)
    error, reason = round_trip(distance, deviation, tau=0.3, discount=0.97)
    assert np.all(reason == Reason.FOUND)
    assert np.max(np.abs(error)) < 1e-12


def test_near_the_money_round_trip_down_to_tiny_deviations():
    rng = np.random.default_rng(2)
    distance, deviation = rng.uniform(-1.0, 1.0, 20_000), 10.0 ** rng.uniform(-7.0, 0.6, 20_000)
    error, reason = round_trip(np.where(rng.random(20_000) < 0.1, 0.0, distance), deviation)
    assert np.all(reason == Reason.FOUND)
    assert np.max(np.abs(error)) < 1e-12


def test_wide_deviations_within_what_the_last_bit_of_the_price_tells():
    rng = np.random.default_rng(3)
    deviation = rng.uniform(3.0, 12.0, 5_000)
    error, reason = round_trip(rng.uniform(-0.5, 0.5, 5_000), deviation)
    bit = np.finfo(float).eps / (deviation * np.exp(-(deviation**2) / 8.0) / np.sqrt(2.0 * np.pi))
    found = reason == Reason.FOUND
    assert found.mean() > 0.9
    assert np.all(np.abs(error[found]) < 1e-12 + 20.0 * bit[found])


def test_in_the_money_round_trip_within_conditioning_and_refused_beyond_six_deviations():
    rng = np.random.default_rng(4)
    distance, deviation = rng.uniform(-12.0, 12.0, 20_000), 10.0 ** rng.uniform(-2.0, 0.0, 20_000)
    error, reason = round_trip(distance, deviation, inside=True)
    far, near = np.abs(distance) > 6.0001, np.abs(distance) < 5.0
    assert np.all(reason[far] == Reason.NO_INFORMATION)
    assert np.all(np.isnan(error[far]))
    assert np.all(reason[near] == Reason.FOUND)
    assert np.max(np.abs(error[near])) < 1e-7
    assert np.max(np.abs(error[np.abs(distance) < 2.0])) < 1e-11


def test_reasons():
    price = [np.nan, -1.0, 9.9, 10.0, 0.0, 100.0, 120.0, 5.0, 1e-300, 5.0]
    strike = [100.0, 100.0, 90.0, 90.0, 110.0, 100.0, 120.0, 100.0, 110.0, 100.0]
    volatility, reason = solve(
        price,
        forward=100.0,
        strike=strike,
        time_to_expiry=[1.0] * 7 + [0.0, 1.0, 1.0],
        is_call=[True] * 6 + [False] + [True] * 3,
    )
    assert [Reason(code) for code in reason] == [
        Reason.NO_PRICE, Reason.BELOW_INTRINSIC, Reason.BELOW_INTRINSIC, Reason.NO_INFORMATION, Reason.NO_INFORMATION,
        Reason.ABOVE_BOUND, Reason.ABOVE_BOUND, Reason.EXPIRED, Reason.NO_INFORMATION, Reason.FOUND,
    ]  # fmt: skip
    assert np.array_equal(np.isnan(volatility), reason != Reason.FOUND)


def test_the_first_row_without_a_volatility_is_named():
    with pytest.raises(CalculationError, match=r"row 1: price 9.9 is below the intrinsic value .*\(1 more rows\)"):
        implied_volatility([5.0, 9.9, 9.8], forward=100.0, strike=[100.0, 90.0, 90.0], time_to_expiry=1.0, is_call=True)
    with pytest.raises(CalculationError, match=r"^price 100.0 is at or above the upper bound"):
        implied_volatility(100.0, forward=100.0, strike=90.0, time_to_expiry=1.0, is_call=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forward": np.nan}, "forward = nan"),
        ({"strike": -1.0}, "strike = -1.0"),
        ({"price": np.inf}, r"price = inf is not a number up to 1e\+100"),
        ({"price": 1e300}, r"price = 1e\+300 is not a number up to 1e\+100"),
        ({"price": "dear"}, "price 'dear' is not an array"),
        ({"price": [1.0, 2.0, 3.0], "strike": [90.0, 100.0]}, "shapes do not broadcast"),
    ],
)
def test_what_is_no_number_is_refused(change, message):
    good = {"price": 5.0, "forward": 100.0, "strike": 100.0, "time_to_expiry": 1.0, "is_call": True} | change
    with pytest.raises(InputError, match=message):
        solve(good.pop("price"), **good)


def test_call_and_put_quotes_of_one_strike_imply_one_volatility():
    strike = np.linspace(80.0, 125.0, 10)
    at = {"forward": 100.0, "strike": strike, "time_to_expiry": 0.1, "discount": 0.98}
    prices = [compute(["price"], **at, volatility=0.4, is_call=side)["price"] for side in (True, False)]
    for side, price in zip((True, False), prices, strict=True):
        assert implied_volatility(price, **at, is_call=side) == pytest.approx(np.full(10, 0.4), rel=1e-12)
