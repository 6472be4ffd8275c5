"""Laws of prices and Greeks over the whole door: limits, continuity, exact parity and scale, and who is refused."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, compute

EVERY = tuple(QUANTITIES)
EPS = np.finfo(float).eps
ROUNDING = 1e-12
"""Relative error that a price may have: by so much may a law between two prices be missed, and by no more."""

law = settings(deadline=None, max_examples=200)


def numbers(least: float) -> st.SearchStrategy[float]:
    """Any double of the door: uniform in exponent, the extremes, zero and its neighbours."""
    powers = st.floats(np.log10(least) if least else -100.0, 100.0).map(lambda p: min(10.0**p, 1e100))
    edges = [1.0, 1e100, np.nextafter(1e100, 0.0), max(least, 1e-60), np.nextafter(max(least, 1e-60), 1.0), 0.02, 37.0]
    zeros = [] if least else [0.0, -0.0, 5e-324, 2.2e-308, np.nextafter(1e-60, 0.0)]
    return st.one_of(powers, st.sampled_from(edges + zeros))


@st.composite
def anything(draw) -> dict[str, float]:
    """An admitted option, however absurd; every third has its strike on or beside the forward."""
    F, sigma, tau = (draw(numbers(0.0)) for _ in range(3))
    K = draw(st.one_of(numbers(0.0), st.sampled_from([F, np.nextafter(F, 0.0), min(np.nextafter(F, 1e300), 1e100)])))
    D = draw(st.one_of(st.just(1.0), numbers(1e-60)))
    return {"forward": F, "strike": K, "volatility": sigma, "time_to_expiry": tau, "discount": D}


@st.composite
def ordinary(draw) -> dict[str, float]:
    """One hour to two years, 5 to 300 % volatility, within ten deviations."""
    F, sigma, tau = draw(st.floats(1e-2, 1e6)), draw(st.floats(0.05, 3.0)), draw(st.floats(1.0 / 8760.0, 2.0))
    K = F * np.exp(draw(st.floats(-10.0, 10.0)) * sigma * np.sqrt(tau))
    return {"forward": F, "strike": float(K), "volatility": sigma, "time_to_expiry": tau}


@settings(deadline=None, max_examples=1000)
@given(anything(), st.booleans())
@example({"forward": 100.0, "strike": -0.0, "volatility": 0.5, "time_to_expiry": 0.25, "discount": 1.0}, True)
@example({"forward": 0.0, "strike": -0.0, "volatility": 0.5, "time_to_expiry": 0.25, "discount": 0.5}, False)
def test_whatever_passes_the_door_has_finite_values_within_the_bounds(option, deterministic):
    F, K, D = option["forward"], option["strike"], option["discount"]
    with np.errstate(all="raise", under="ignore"):
        got = compute(EVERY, **option, is_call=[True, False], deterministic=deterministic)
    for name, column in got.items():
        assert np.all(np.isfinite(column)), (name, column)
    with np.errstate(under="ignore"):
        intrinsic, bound = D * np.maximum([F - K, K - F], 0.0), D * np.array([F, K])
        assert np.all(got["price"] >= intrinsic * (1.0 - 4.0 * EPS))
        assert np.all(got["price"] <= bound * (1.0 + 4.0 * EPS))
        assert np.all((got["delta"] * [1.0, -1.0] >= 0.0) & (np.abs(got["delta"]) <= D * (1.0 + 4.0 * EPS)))
        assert np.all(got["gamma"] >= 0.0)
        assert np.all(got["vega"] >= 0.0)


@settings(deadline=None, max_examples=300)
@given(anything())
def test_parity_holds_to_the_last_bit(option):
    """One side is the other plus D (F − K), rounded once more: nothing cancels, in no wing and at no extreme."""
    call, put = compute(("price",), **option, is_call=[True, False])["price"]
    F, K, D = option["forward"], option["strike"], option["discount"]
    with np.errstate(under="ignore"):
        inside, outside = (call, put) if F >= K else (put, call)
        assert abs(inside - (D * abs(F - K) + outside)) <= 2.0 * np.spacing(inside)
        if D == 1.0:
            assert inside == abs(F - K) + outside


@law
@given(ordinary(), st.booleans(), st.integers(-30, 30))
def test_powers_of_two_scale_without_rounding(option, is_call, exponent):
    """Homogeneity of degree one, and one deviation from a volatility twice as high and a quarter of the time."""
    factor = 2.0**exponent
    before = compute(EVERY, **option, is_call=is_call)
    scaled = option | {name: factor * option[name] for name in ("forward", "strike")}
    degree = dict.fromkeys(("delta", "vanna", "charm", "strike_delta"), 0)
    degree |= dict.fromkeys(("gamma", "zomma", "color", "strike_gamma"), -1) | {"speed": -2}
    after = compute(EVERY, **scaled, is_call=is_call)
    for name in EVERY:
        right = before[name] * factor ** degree.get(name, 1)
        assert abs(after[name] - right) <= 4.0 * EPS * abs(right) + 1e-300, name
    faster = option | {"volatility": 2.0 * option["volatility"], "time_to_expiry": 0.25 * option["time_to_expiry"]}
    for name in ("price", "delta", "gamma"):
        assert compute((name,), **faster, is_call=is_call)[name] == before[name]


@law
@given(ordinary())
def test_a_call_is_a_put_with_forward_and_strike_exchanged(option):
    mirrored = option | {"forward": option["strike"], "strike": option["forward"]}
    call, put = compute(EVERY, **option, is_call=True), compute(EVERY, **mirrored, is_call=False)
    for name in ("price", "vega", "theta", "volga", "veta"):
        size = abs(call[name]) + option["forward"] * 1e-290
        if name in ("volga", "veta"):
            size = call["vega"] * 110.0 / min(option["volatility"], option["time_to_expiry"])
        assert abs(call[name] - put[name]) <= 1e-12 * size, name


@law
@given(ordinary(), st.booleans())
def test_no_price_falls_when_volatility_grows(option, is_call):
    """Steps from one ulp to eight times the volatility."""
    steps = np.concatenate([[0.0, EPS, 4.0 * EPS], 2.0 ** np.arange(-45.0, 4.0)])
    sigma = np.sort(option["volatility"] * (1.0 + steps))
    price = compute(("price",), **(option | {"volatility": sigma}), is_call=is_call)["price"]
    assert np.all(np.diff(price) >= -ROUNDING * price[:-1])


@law
@given(ordinary(), st.booleans())
def test_prices_are_monotone_and_convex_in_the_strike_to_their_rounding(option, is_call):
    s = option["volatility"] * np.sqrt(option["time_to_expiry"])
    strike = option["strike"] * np.exp(s * np.linspace(-0.5, 0.5, 65))
    price = compute(("price",), **(option | {"strike": strike}), is_call=is_call)["price"]
    slope = np.diff(price) / np.diff(strike)
    rounding = ROUNDING * (price[1:] + price[:-1]) / np.diff(strike)
    assert np.all((slope if is_call else -slope) <= rounding)
    assert np.all(np.abs(slope) <= 1.0 + rounding)
    assert np.all(np.diff(slope) >= -(rounding[1:] + rounding[:-1]))


@law
@given(ordinary(), st.booleans(), st.floats(0.5, 1.0))
def test_the_limit_without_volatility_is_approached_and_met(option, is_call, discount):
    """0 ≤ V − D intrinsic ≤ D min(F, K) s/√(2π) as s goes to 0 through 1e-59, then the limit itself."""
    F, K, tau = option["forward"], option["strike"], option["time_to_expiry"]
    sigma = np.concatenate([10.0 ** -np.arange(0.0, 60.0), [0.0]])
    price = compute(("price",), **(option | {"volatility": sigma}), is_call=is_call, discount=discount)["price"]
    intrinsic = discount * max(F - K if is_call else K - F, 0.0)
    room = discount * min(F, K) * sigma * np.sqrt(tau / (2.0 * np.pi))
    assert np.all(price >= intrinsic * (1.0 - EPS))
    assert np.all(price - intrinsic <= room * (1.0 + 4.0 * EPS) + 2.0 * np.spacing(intrinsic))
    assert price[-1] == pytest.approx(intrinsic, rel=EPS, abs=0.0)


@law
@given(st.floats(1e-2, 1e6), st.floats(0.05, 3.0), st.sampled_from(["volatility", "time_to_expiry"]))
def test_at_the_money_the_limit_is_linear_in_the_deviation(forward, volatility, name):
    """V = F s/√(2π), delta = ½ + s/√(8π), vega = F √(τ/2π), vanna = √(τ/8π) where F = K and s is small or 0."""
    small = np.append(10.0 ** -np.arange(8.0, 56.0), 0.0)
    at = {"forward": forward, "strike": forward, "volatility": volatility, "time_to_expiry": 0.7, name: small}
    got = compute(EVERY, **at, is_call=True)
    s, root = at["volatility"] * np.sqrt(at["time_to_expiry"]), np.sqrt(at["time_to_expiry"])
    half = s / np.sqrt(8.0 * np.pi)
    right = {"price": 2.0 * forward * half, "delta": 0.5 + half, "strike_delta": half - 0.5}
    right |= {"vega": forward * root / np.sqrt(2.0 * np.pi), "vanna": root / np.sqrt(8.0 * np.pi)}
    for quantity in right:
        slack = (16.0 * EPS + s * s) * np.abs(right[quantity])
        assert np.all(np.abs(got[quantity] - right[quantity]) <= slack), quantity


@law
@given(ordinary(), st.floats(0.5, 1.0))
def test_as_the_strike_goes_to_zero_a_call_becomes_the_forward(option, discount):
    F = option["forward"]
    strike = np.concatenate([F * 10.0 ** -np.arange(0.0, 90.0), [0.0]])
    at = option | {"strike": strike}
    call, put = (compute(EVERY, **at, is_call=side, discount=discount) for side in (True, False))
    assert np.all(np.abs(call["price"] - discount * F) <= discount * strike + 2.0 * np.spacing(F))
    assert np.all(np.diff(put["price"]) <= 0.0)
    assert put["price"][-1] == put["delta"][-1] == call["gamma"][-1] == 0.0
    assert call["price"][-1] == discount * F
    assert call["delta"][-1] == discount
    assert np.all(np.diff(call["delta"]) >= -4.0 * EPS)


@law
@given(ordinary(), st.floats(0.5, 1.0))
def test_as_the_strike_grows_a_put_becomes_the_strike(option, discount):
    strike = np.concatenate([option["forward"] * 10.0 ** np.arange(0.0, 90.0), [1e100]])
    call, put = (compute(EVERY, **(option | {"strike": strike}), is_call=s, discount=discount) for s in (True, False))
    assert np.all(np.diff(call["price"]) <= 0.0)
    assert call["price"][-1] == call["delta"][-1] == call["gamma"][-1] == 0.0
    assert put["price"][-1] == discount * 1e100
    assert put["delta"][-1] == -discount


@law
@given(ordinary(), st.booleans(), st.floats(1e-60, 1e60))
def test_the_discount_is_a_factor_of_all_that_does_not_hold_a_rate(option, is_call, discount):
    """Down to D = 1e-60: price and Greeks without a derivative to time are D times the undiscounted ones."""
    plain = compute(EVERY, **option, is_call=is_call)
    held = compute(EVERY, **option, is_call=is_call, discount=discount)
    for name in set(EVERY) - {"theta", "charm", "veta", "color"}:
        right = discount * plain[name]
        assert abs(held[name] - right) <= 8.0 * EPS * abs(right) + 1e-300, name
    rate = -np.log(discount) / option["time_to_expiry"]
    for name, of in (("theta", "price"), ("charm", "delta"), ("veta", "vega"), ("color", "gamma")):
        right = discount * (plain[name] + rate * plain[of])
        size = discount * (abs(plain[name]) + abs(rate * plain[of]))
        assert abs(held[name] - right) <= 1e-12 * size + 1e-290, name


@law
@given(ordinary(), st.booleans())
def test_an_expired_option_is_its_settlement_and_carries_no_risk(option, is_call):
    got = compute(EVERY, **(option | {"time_to_expiry": 0.0}), is_call=is_call)
    F, K = option["forward"], option["strike"]
    assert got["price"] == max(F - K if is_call else K - F, 0.0)
    for name in set(EVERY) - {"price", "delta", "strike_delta"}:
        assert got[name] == 0.0, name


STENCIL = np.array([1.0 / 280.0, -4.0 / 105.0, 0.2, -0.8, 0.0, 0.8, -0.2, 4.0 / 105.0, -1.0 / 280.0])
DERIVATIVES = {
    "delta": ("price", "forward"), "gamma": ("delta", "forward"), "speed": ("gamma", "forward"),
    "vega": ("price", "volatility"), "vanna": ("delta", "volatility"), "volga": ("vega", "volatility"),
    "zomma": ("gamma", "volatility"), "theta": ("price", "time_to_expiry"), "charm": ("delta", "time_to_expiry"),
    "veta": ("vega", "time_to_expiry"), "color": ("gamma", "time_to_expiry"), "strike_delta": ("price", "strike"),
    "strike_gamma": ("strike_delta", "strike"),
}  # fmt: skip


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_each_greek_is_the_derivative_of_the_one_before(seed, deterministic):
    """Central differences of order eight on 300 options at a time, out of the money where prices keep their digits.

    The step is 0.03 deviations, so that truncation and the rounding of the quotient both stay below 1e-9 of the size.
    """
    rng, n = np.random.default_rng(seed), 300
    sigma, tau = rng.uniform(0.05, 3.0, n), np.exp(rng.uniform(np.log(1e-4), np.log(2.0), n))
    s, h, rate = sigma * np.sqrt(tau), rng.uniform(-4.0, 4.0, n), rng.uniform(-0.05, 0.2, n)
    option = {
        "forward": np.full(n, 100.0),
        "strike": 100.0 * np.exp(-h * s),
        "volatility": sigma,
        "time_to_expiry": tau,
    }
    is_call = h <= 0.0
    here = compute(EVERY, **option, is_call=is_call, discount=np.exp(-rate * tau), deterministic=deterministic)
    per = {"forward": np.minimum(s, 0.3), "strike": np.minimum(s, 0.3), "volatility": 0.3, "time_to_expiry": 0.3}
    for name, (of, by) in DERIVATIVES.items():
        step = 0.03 * option[by] * per[by]
        moved = option | {by: option[by] + np.arange(-4.0, 5.0)[:, None] * step}
        discount = np.exp(-rate * moved["time_to_expiry"])
        value = compute((of,), **moved, is_call=is_call, discount=discount, deterministic=deterministic)[of]
        slope = np.sum(STENCIL[:, None] * value, axis=0) / step * (-1.0 if by == "time_to_expiry" else 1.0)
        size = np.max(np.abs(value), axis=0) / (option[by] * per[by])
        worst = int(np.argmax(np.abs(slope - here[name]) / size))
        assert abs(slope[worst] - here[name][worst]) <= 1e-9 * size[worst], (name, worst)


GOOD = {"forward": 100.0, "strike": 110.0, "volatility": 0.5, "time_to_expiry": 0.25, "discount": 0.98}
BEYOND = [np.nan, np.inf, -np.inf, -1.0, -5e-324, np.nextafter(1e100, np.inf), 1.7e308]
REFUSED = [(name, value) for name in GOOD for value in BEYOND]
REFUSED += [("discount", 0.0), ("discount", -0.0), ("discount", np.nextafter(1e-60, 0.0))]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_number_outside_the_door_is_refused_by_name_alone_and_in_a_crowd(name, value, deterministic):
    with pytest.raises(InputError, match=f"^{name} = "):
        compute(("price",), **(GOOD | {name: value}), is_call=True, deterministic=deterministic)
    crowd = np.full(3000, GOOD[name])
    crowd[[1234, 2999]] = value
    with pytest.raises(InputError, match=rf"^{name}\[1234\] = .*\(1 more\)"):
        compute(("delta", "volga"), **(GOOD | {name: crowd}), is_call=True, deterministic=deterministic)


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize(
    "value", [None, "1", b"1", [1.0, None], 1.0 + 0.0j, np.datetime64("2026-01-01"), {}, [[1.0], [1.0, 2.0]]]
)
def test_what_is_no_number_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name} "):
        compute(("price",), **(GOOD | {name: value}), is_call=True)


@pytest.mark.parametrize("side", [1, 0.0, "call", None, [True, None], ["C", "P"], np.nan, [[True], [True, False]]])
def test_a_side_is_a_boolean(side):
    with pytest.raises(InputError, match=r"^is_call .*booleans"):
        compute(("price",), **GOOD, is_call=side)


@pytest.mark.parametrize("name", [*GOOD, "is_call"])
def test_what_a_mask_hides_is_no_number(name):
    """Under a mask stands anything, often 0: a missing value, which is not zero. A mask that hides nothing is none."""
    option = GOOD | {"is_call": True}
    column = np.ma.array([option[name]] * 3, mask=[False, True, False])
    with pytest.raises(InputError, match=f"^{name} has masked elements"):
        compute(("price",), **(option | {name: column}))
    column.mask = False
    assert np.all(compute(("price",), **(option | {name: column}))["price"] == compute(("price",), **option)["price"])
