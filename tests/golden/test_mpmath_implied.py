"""Implied volatility against 60 digits: exact prices of any seed, rounded once, and refusals one bit about each bound.

A price rounded to a double moves the volatility by ½ ulp(V)/(D ∂V/∂σ). Out of the money that is below 1e-15 of it to
±30 deviations; in the money the intrinsic value fills the digits, and the same quotient is the error to be granted.
"""

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import compute, implied_volatility
from greekdrift.greeks.implied import Reason, solve

EPS = np.finfo(float).eps
LARGEST = 1e100
any_seed = given(seed=st.integers(0, 2**32 - 1))
few = settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


def prices(options, reference):
    """Exact prices, the relative error of σ that their rounding leaves, and the inputs of `solve`."""
    right = reference(options, ("price", "vega")).value
    with np.errstate(divide="ignore", over="ignore"):
        granted = np.spacing(right["price"]) / (right["vega"] * options["volatility"])
    return right["price"], granted, {name: column for name, column in options.items() if name != "volatility"}


@few
@any_seed
def test_exact_prices_out_of_the_money_give_their_volatility_to_thirty_deviations(seed, draw, reference):
    options = draw(seed, 1200, reach=30.0)
    options["is_call"] = options["strike"] >= options["forward"]
    price, granted, at = prices(options, reference)
    found, reason = solve(price, **at)
    assert np.all(reason == Reason.FOUND)
    error = np.abs(found / options["volatility"] - 1.0)
    worst = int(np.argmax(error))
    assert error[worst] <= 1e-12, {name: column[worst] for name, column in options.items()}
    assert np.max(granted) < 1e-14
    assert np.array_equal(implied_volatility(price, **at), found)
    for change in ({"deterministic": False}, {"is_coin": True}):
        value = price / options["forward"] if "is_coin" in change else price
        again, reason = solve(value, **at, **change)
        assert np.all(reason == Reason.FOUND)
        assert np.max(np.abs(again / options["volatility"] - 1.0)) <= 1e-12, change


@few
@any_seed
def test_exact_prices_in_the_money_give_it_as_far_as_their_digits_go(seed, draw, reference):
    """Refused past six deviations and where the last bit moves σ by 1e-6; else right to two last bits of the price."""
    options = draw(seed, 1200, reach=8.0)
    options["is_call"] = options["strike"] < options["forward"]
    price, granted, at = prices(options, reference)
    found, reason = solve(price, **at)
    h = (
        np.abs(np.log(options["forward"] / options["strike"]))
        / options["volatility"]
        / options["time_to_expiry"] ** 0.5
    )
    is_found = reason == Reason.FOUND
    assert np.all(is_found[(h < 5.9) & (granted < 5e-7)])
    assert np.all(granted[is_found] < 4e-6)
    assert not np.any(is_found[h > 6.1])
    assert set(reason[~is_found].tolist()) <= {Reason.NO_INFORMATION, Reason.BELOW_INTRINSIC}
    error = np.abs(found / options["volatility"] - 1.0)[is_found]
    assert np.all(error <= 1e-12 + 4.0 * granted[is_found])


@pytest.mark.parametrize(
    "deviation", [1e-28, 1e-16, 1e-12, 1e-8, 1e-6, 1e-4, 0.0199, 0.0201, 3.0, 5.0, 8.0, 11.0, 12.0]
)
def test_tiny_and_huge_deviations(deviation, reference):
    strike = np.exp(
        deviation * np.array([-5.0, -1.0, -0.1, 0.0, 0.1, 1.0, 5.0]) if deviation < 2.0 else np.linspace(-2, 2, 7)
    )
    options = {
        "forward": np.ones(7), "strike": strike, "volatility": np.full(7, deviation / 0.5),
        "time_to_expiry": np.full(7, 0.25), "is_call": strike >= 1.0, "discount": np.full(7, 0.9),
    }  # fmt: skip
    price, granted, at = prices(options, reference)
    found, reason = solve(price, **at)
    is_found = reason == Reason.FOUND
    assert np.all(is_found | (granted > 2.5e-7))
    assert np.all(np.abs(found / options["volatility"] - 1.0)[is_found] <= 1e-12 + 4.0 * granted[is_found])


def test_what_a_mask_hides_is_missing():
    """A hidden price is a missing quote, as None is; a hidden forward or side is refused."""
    at = {"forward": 100.0, "strike": 100.0, "time_to_expiry": 0.5, "is_call": True}
    hidden = np.ma.array([5.0, 0.0, 6.0], mask=[False, True, False])
    for price in (hidden, [5.0, None, 6.0], [5.0, np.nan, 6.0]):
        found, reason = solve(price, **at)
        assert reason.tolist() == [Reason.FOUND, Reason.NO_PRICE, Reason.FOUND]
        assert np.isnan(found).tolist() == [False, True, False]
    for name, value in at.items():
        with pytest.raises(InputError, match=f"^{name} has masked elements"):
            solve(5.0, **(at | {name: np.ma.array([value, value], mask=[False, True])}))


NEAR_ZERO = [0.0, -0.0, 5e-324, 1e-291]


@pytest.mark.parametrize("price", NEAR_ZERO)
def test_a_price_of_nothing_tells_nothing(price):
    found, reason = solve(
        price, forward=100.0, strike=[100.0, 120.0, 80.0], time_to_expiry=0.5, is_call=[True, True, False]
    )
    assert np.all(reason == Reason.NO_INFORMATION)
    assert np.all(np.isnan(found))


@pytest.mark.parametrize("discount", [1.0, 0.97, 0.5, 1.25])
@pytest.mark.parametrize("strike", [1.0, 55.5, 99.999, 100.0, 100.001, 140.0, 1e6])
@pytest.mark.parametrize("is_call", [True, False])
def test_one_bit_about_each_bound(strike, discount, is_call):
    forward = 100.0
    at = {"forward": forward, "strike": strike, "time_to_expiry": 0.5, "is_call": is_call, "discount": discount}
    intrinsic = discount * max(forward - strike if is_call else strike - forward, 0.0)
    bound = discount * (forward if is_call else strike)

    def reason_of(price: float) -> Reason:
        found, reason = solve(price, **at)
        assert np.isnan(found) == (reason != Reason.FOUND)
        return Reason(int(reason))

    blind = {Reason.NO_INFORMATION, Reason.BELOW_INTRINSIC}
    if intrinsic:
        for price in (np.nextafter(intrinsic, 0.0), intrinsic, np.nextafter(intrinsic, np.inf)):
            assert reason_of(price) in blind
        assert reason_of(intrinsic * (1.0 - 1e-13)) is Reason.BELOW_INTRINSIC
    assert reason_of(-1e-280 if not intrinsic else -intrinsic) is Reason.BELOW_INTRINSIC
    assert reason_of(np.nextafter(bound, np.inf)) is Reason.ABOVE_BOUND
    assert reason_of(bound) in {Reason.ABOVE_BOUND, Reason.NO_INFORMATION}
    assert reason_of(np.nextafter(bound, 0.0)) in {Reason.ABOVE_BOUND, Reason.NO_INFORMATION}
    assert reason_of(bound * (1.0 + 1e-13)) is Reason.ABOVE_BOUND
    middle = intrinsic + 0.3 * discount * min(forward, strike)
    assert reason_of(middle) is Reason.FOUND


def test_six_deviations_in_the_money_is_the_last_that_is_answered():
    s = 0.1
    for is_call, side in ((True, 1.0), (False, -1.0)):
        for h, wanted in ((5.9, Reason.FOUND), (6.001, Reason.NO_INFORMATION), (7.0, Reason.NO_INFORMATION)):
            strike = 100.0 * np.exp(-side * h * s)
            at = {"forward": 100.0, "strike": strike, "time_to_expiry": 1.0, "is_call": is_call}
            price = compute(("price",), **at, volatility=s)["price"]
            assert solve(price, **at)[1] == wanted, (h, is_call)


@pytest.mark.parametrize("years", [0.0, -0.0, 5e-324, 1e-61])
def test_no_time_is_expired(years):
    at = {"forward": 100.0, "strike": [100.0, 90.0, 110.0], "time_to_expiry": years, "is_call": True}
    found, reason = solve([5.0, 10.0, -1.0], **at)
    assert np.all(reason == Reason.EXPIRED)
    assert np.all(np.isnan(found))


def test_a_missing_price_is_its_own_reason_and_every_other_nonsense_is_refused_by_name():
    at = {"forward": 100.0, "strike": 100.0, "time_to_expiry": 0.5, "is_call": True}
    assert solve(np.nan, **at)[1] == Reason.NO_PRICE
    with pytest.raises(CalculationError, match="price nan is missing"):
        implied_volatility(np.nan, **at)
    for price in (np.inf, -np.inf, 2e100):
        with pytest.raises(InputError, match=r"^price = "):
            solve(price, **at)
    for price in (
        "5.0",
        ["5.0"],
        b"5",
        np.datetime64("2026-01-01"),
        np.timedelta64(5, "D"),
        np.array([5.0 + 1.0j]),
        {},
    ):
        with pytest.raises(InputError, match=r"^price .*is not an array of numbers"):
            solve(price, **at)
    for name in ("is_call", "is_coin"):
        for value in (1, None, [[True], [True, False]]):
            with pytest.raises(InputError, match=rf"^{name} .*booleans"):
                solve(5.0, **(at | {name: value}))
    for name in ("forward", "strike", "time_to_expiry"):
        for value in (np.nan, np.inf, -1.0, 2e100):
            with pytest.raises(InputError, match=f"^{name} = "):
                solve(5.0, **(at | {name: value}))
    for value in (0.0, np.nan, -1.0, 1e-61):
        with pytest.raises(InputError, match=r"^discount = "):
            solve(5.0, **at, discount=value)


anywhere = st.one_of(
    st.floats(-100.0, 100.0).map(lambda power: min(10.0**power, LARGEST)),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1e-60, 1.0, LARGEST]),
)


@settings(deadline=None, max_examples=500)
@given(anywhere, anywhere, anywhere, st.booleans(), st.floats(1e-60, 1e60), st.floats(0.0, 1.0), st.booleans())
@example(1.0, 1.0, 1.0, True, 1.0, 1e-30, False)
@example(1.0, 1.0, 1.0, True, 1.0, 1e-200, False)
@example(1.0, 1.0, 1.0, True, 1.0, 1.0 - 1e-9, False)
@example(100.0, -0.0, 1.0, True, 1.0, 0.5, False)
@example(1e100, 1e100, 1.0, False, 1.0, 2.2250738585e-313, False)
@example(1.0, 1.0, 1.0, True, 1e-60, 5e-324, True)
def test_any_price_is_refused_or_met_again(forward, strike, years, is_call, discount, share, is_raw):
    """Either a reason and no number, or a number that prices back to the price, to a few units of its last place."""
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    with np.errstate(under="ignore"):
        price = share if is_raw else min(discount * (intrinsic + share * min(forward, strike)), LARGEST)
    at = {"forward": forward, "strike": strike, "time_to_expiry": years, "is_call": is_call, "discount": discount}
    with np.errstate(all="raise", under="ignore"):
        found, reason = solve(price, **at)
    if reason != Reason.FOUND:
        assert np.isnan(found)
        return
    assert np.isfinite(found)
    assert found > 0.0
    if found * np.sqrt(years) > 1e-60 and found < LARGEST and price > 1e-290:
        again = float(compute(("price",), **at, volatility=found)["price"])
        assert abs(again - price) <= 4e-12 * discount * share_of(price, at) + 8.0 * np.spacing(price)


def share_of(price: float, at: dict[str, float]) -> float:
    """Undiscounted time value, to which the relative accuracy is promised."""
    intrinsic = max(at["forward"] - at["strike"] if at["is_call"] else at["strike"] - at["forward"], 0.0)
    return abs(price / at["discount"] - intrinsic)
