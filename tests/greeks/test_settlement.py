"""Options on an average that is partly fixed: their definition, the venue, simulation, and the window's two ends."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.greeks import QUANTITIES, black, compute, settlement
from greekdrift.greeks.settlement import fading, floating_share, settlement_volatility
from greekdrift.greeks.table import QUANTITIES as BLACK

WINDOW = 0.5 / 8760.0
TO_SPOT = ("delta", "gamma", "vanna", "speed", "zomma")


def test_all_quantities_of_the_calculator_are_there() -> None:
    assert set(settlement.QUANTITIES) == set(QUANTITIES)


def test_the_share_that_floats() -> None:
    share = floating_share([np.inf, 1.0, WINDOW, 0.25 * WINDOW, 0.0], window=WINDOW)
    assert share.tolist() == [1.0, 1.0, 1.0, 0.25, 0.0]
    assert floating_share([0.0, 1e-9, 1.0], window=0.0).tolist() == [1.0, 1.0, 1.0]
    for window in (-1e-9, np.nan, np.inf):
        with pytest.raises(InputError, match="window"):
            floating_share(0.1, window=window)


def test_the_examples_that_the_venue_publishes() -> None:
    """Delta 1.0 is 0.5 after 15 of 30 minutes, and 0.5 is 0.25; a future's delta falls from 1 to 0 in a line."""
    half = {"time_to_expiry": 0.5 * WINDOW, "window": WINDOW, "forward": 1e4, "index": 1e4, "volatility": 0.5}
    assert fading(["delta"], strike=7_000.0, is_call=True, **half)["delta"] == pytest.approx(0.5, rel=1e-12)
    assert fading(["delta"], strike=1e4, is_call=True, **half)["delta"] == pytest.approx(0.25, rel=1e-2)
    shares = np.linspace(0.0, 1.0, 31)
    at = {**half, "time_to_expiry": shares * WINDOW}
    assert fading(["delta"], strike=1.0, is_call=True, **at)["delta"] == pytest.approx(shares, abs=1e-15)


RECORDED = [  # Deribit, minutes left, forward, strike, volatility of the mark, marks of call and put in coins
    (1.00, 62_970.24, 63_000.0, 0.4728, 0.000089, 0.000562),
    (5.00, 64_334.58, 64_500.0, 0.2504, 0.00000009, 0.00257134),
    (5.00, 64_334.58, 64_000.0, 0.2619, 0.00520062, 0.0),
    (2.02, 63_767.52, 64_000.0, 0.5233, 0.00000005, 0.00364579),
]


@pytest.mark.parametrize(("minutes", "forward", "strike", "volatility", "call", "put"), RECORDED)
def test_the_venue_marks_at_the_volatility_of_the_settlement_price(minutes, forward, strike, volatility, call, put):
    """Marks of 2026-06-04, 06-12 and 06-14; a mark that let the volatility fade with w would be nothing at all."""
    at = {"forward": forward, "index": forward + 70.0, "strike": strike, "time_to_expiry": minutes / 525_600.0}
    marks = [
        fading("price", **at, volatility=volatility, is_call=side, window=WINDOW)["price"] for side in (True, False)
    ]
    assert np.array(marks) / forward == pytest.approx([call, put], rel=2e-2, abs=1.5e-8)
    if 0.0 < call < 1e-3:
        faded = volatility * minutes / 30.0
        price = fading("price", **at, volatility=faded, is_call=True, window=WINDOW)["price"]
        assert float(price) / forward < 0.02 * call


def value(F, S, moved, K, sigma, tau, *, is_call, rate):
    """The price from its definition, in 40 digits: Black's on c + w S′ with c = F − w S."""
    w = tau / mp.mpf(WINDOW)
    forward = F + w * (moved - S)
    s = sigma * mp.sqrt(tau)
    d1 = mp.log(forward / K) / s + s / 2
    side = 1 if is_call else -1
    return mp.exp(-rate * tau) * side * (forward * mp.ncdf(side * d1) - K * mp.ncdf(side * (d1 - s)))


def derivatives(F, S, K, sigma, tau, *, is_call, rate):
    """Every quantity by differentiating `value`: to the index with the past fixed, to time with index and F held."""
    F, S, K, sigma, tau, rate = (mp.mpf(one) for one in (F, S, K, sigma, tau, rate))
    here = lambda x, v: value(F, S, x, K, v, tau, is_call=is_call, rate=rate)  # noqa: E731
    later = lambda x, v, t: value(F, S, x, K, v, t, is_call=is_call, rate=rate)  # noqa: E731
    passing = lambda x, v: -mp.diff(lambda t: later(x, v, t), tau, h=tau * mp.mpf(10) ** -12)  # noqa: E731
    grown = lambda r: value(F, S, S * mp.exp((r - rate) * tau), K, sigma, tau, is_call=is_call, rate=r)  # noqa: E731
    struck = lambda k: value(F, S, S, k, sigma, tau, is_call=is_call, rate=rate)  # noqa: E731
    return {
        "price": here(S, sigma),
        **{name: mp.diff(lambda x: here(x, sigma), S, n) for name, n in (("delta", 1), ("gamma", 2), ("speed", 3))},
        **{name: mp.diff(lambda v: here(S, v), sigma, n) for name, n in (("vega", 1), ("volga", 2))},
        **{name: mp.diff(here, (S, sigma), (n, 1)) for name, n in (("vanna", 1), ("zomma", 2))},
        "theta": passing(S, sigma),
        **{name: mp.diff(lambda x: passing(x, sigma), S, n) for name, n in (("charm", 1), ("color", 2))},
        "veta": mp.diff(lambda v: passing(S, v), sigma),
        "rho": mp.diff(grown, rate),
        **{name: mp.diff(struck, K, n) for name, n in (("strike_delta", 1), ("strike_gamma", 2))},
    }


@pytest.mark.parametrize("seed", range(24))
def test_every_quantity_against_the_derivatives_of_its_definition(seed: int) -> None:
    mp.mp.dps = 40
    random = np.random.default_rng(seed)
    S = float(random.uniform(9e4, 1.1e5))
    F = S * float(random.choice([1.0, random.uniform(0.99, 1.01)]))
    w, sigma = float(random.choice([0.03, 0.3, 0.7, 0.97])), float(random.uniform(0.3, 3.0))
    tau, rate, is_call = w * WINDOW, float(random.choice([0.0, 0.5])), bool(random.integers(2))
    K = F + float(random.normal(scale=1.5)) * S * sigma * tau**0.5
    found = fading(
        tuple(QUANTITIES), forward=F, index=S, strike=K, volatility=sigma, time_to_expiry=tau, is_call=is_call,
        window=WINDOW, discount=np.exp(-rate * tau),
    )  # fmt: skip
    exact = derivatives(F, S, K, sigma, tau, is_call=is_call, rate=rate)
    for name in QUANTITIES:
        assert float(found[name]) == pytest.approx(float(exact[name]), rel=1e-9), name


@pytest.mark.parametrize(("w", "far"), [(0.2, -1.0), (0.2, 0.5), (0.6, 0.0), (0.9, 1.5)])
def test_against_the_simulated_average(w: float, far: float) -> None:
    """Price and delta of a simulated average whose past is fixed, at the volatility that the index implies for it."""
    n, paths, S, past, vol = 60, 60_000, 1e5, 99_700.0, 0.8
    random = np.random.default_rng(int(100 * w))
    tau = w * WINDOW
    step = vol * np.sqrt(tau / n)
    normal = random.standard_normal((paths, n))
    rest = (S * np.exp(np.cumsum(step * np.concatenate([normal, -normal]) - 0.5 * step**2, axis=1))).mean(axis=1)
    settled = (1.0 - w) * past + w * rest
    at = {"forward": (1.0 - w) * past + w * S, "index": S, "time_to_expiry": tau, "window": WINDOW}
    discrete = np.sqrt((n + 1) * (2 * n + 1) / (2.0 * n * n))  # of n fixings in place of a continuous average
    quoted = float(settlement_volatility(vol, **at)) * discrete
    at |= {"volatility": quoted, "strike": at["forward"] * (1.0 + far * quoted * np.sqrt(tau))}
    for is_call, side in ((True, 1.0), (False, -1.0)):
        found = fading(["price", "delta"], **at, is_call=is_call)
        payoff = np.maximum(side * (settled - at["strike"]), 0.0)
        slope = side * (side * (settled - at["strike"]) > 0.0) * w * rest / S
        for name, sample in (("price", payoff), ("delta", slope)):
            pairs = sample.reshape(2, paths).mean(axis=0)
            assert abs(pairs.mean() - found[name]) < 4.0 * pairs.std() / np.sqrt(paths) + 1e-3 * w, name


def test_before_the_window_the_average_takes_two_thirds_of_it_from_the_variance() -> None:
    """Simulated an hour and a half before expiry, fixings of the last half hour in place of the last price."""
    n, paths, S, vol, tau = 60, 200_000, 1e5, 0.8, 3.0 * WINDOW
    normal = np.random.default_rng(9).standard_normal((paths, n + 1))
    deviation = vol * np.sqrt(np.array([2.0 * WINDOW, *([WINDOW / n] * n)]))
    settled = (S * np.exp(np.cumsum(deviation * normal - 0.5 * deviation**2, axis=1)))[:, 1:].mean(axis=1)
    at = {"forward": S, "index": S, "time_to_expiry": tau, "window": WINDOW}
    found = np.log(settled).std() / np.sqrt(tau)
    assert found == pytest.approx(float(settlement_volatility(vol, **at)), rel=8e-3)
    assert settlement_volatility(vol, **(at | {"time_to_expiry": WINDOW})) == pytest.approx(
        vol / np.sqrt(3.0), rel=1e-9
    )
    just_inside = settlement_volatility(vol, **(at | {"time_to_expiry": WINDOW * (1.0 - 1e-12)}))
    assert just_inside == pytest.approx(vol / np.sqrt(3.0), rel=1e-9)


def grid(**changes):
    strikes = 1e5 * np.exp(np.linspace(-0.01, 0.01, 41))
    return {"forward": 1e5, "strike": strikes, "volatility": 0.7, "is_call": True} | changes


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("index", [1e5, 99_500.0])
def test_it_begins_as_black_and_only_what_fades_has_a_kink(is_call: bool, index: float) -> None:
    edge = WINDOW * (1.0 - 1e-9)
    inside = fading(tuple(QUANTITIES), **grid(is_call=is_call), index=index, time_to_expiry=edge, window=WINDOW)
    plain = compute(tuple(QUANTITIES), **grid(is_call=is_call), time_to_expiry=WINDOW)
    for name in set(QUANTITIES) - {"charm", "color", "rho"}:
        scale = np.max(np.abs(plain[name]))
        assert inside[name] == pytest.approx(plain[name], rel=1e-6, abs=1e-7 * scale), name
    scale = np.max(np.abs(plain["charm"]))
    assert inside["charm"] - plain["charm"] == pytest.approx(-plain["delta"] / WINDOW, rel=1e-6, abs=1e-7 * scale)
    kink = inside["color"] - plain["color"]
    assert kink == pytest.approx(-2.0 * plain["gamma"] / WINDOW, rel=1e-5, abs=1e-7 * np.max(np.abs(plain["color"])))


def test_before_the_window_it_is_black_to_the_last_bits() -> None:
    for tau in (WINDOW, 0.1):
        found = fading(tuple(QUANTITIES), **grid(), index=99_000.0, time_to_expiry=tau, window=WINDOW)
        at = black.options(**grid(), time_to_expiry=tau)
        for name, quantity in BLACK.items():
            assert np.array_equal(found[name], np.asarray(quantity(at))), name
    no_window = fading(["delta"], **grid(), index=1.0, time_to_expiry=1e-9, window=0.0)["delta"]
    assert no_window == pytest.approx(compute(["delta"], **grid(), time_to_expiry=1e-9)["delta"], rel=1e-12)


def test_it_ends_as_the_settlement_value_without_risk() -> None:
    strike = np.array([95_000.0, 99_990.0, 100_010.0, 105_000.0])
    for is_call, side in ((True, 1.0), (False, -1.0)):
        for w in (1e-6, 1e-9, 1e-30, 0.0):
            at = {**grid(strike=strike, is_call=is_call), "time_to_expiry": w * WINDOW, "window": WINDOW}
            found = fading(tuple(QUANTITIES), **at, index=100_400.0)
            assert found["price"] == pytest.approx(np.maximum(side * (1e5 - strike), 0.0), rel=1e-12, abs=1e-12)
            for name in TO_SPOT:
                assert np.all(np.abs(found[name]) <= w), name
            for name in ("vega", "volga", "theta", "veta", "color", "rho"):
                assert np.max(np.abs(found[name])) <= 1e3 * w, name
    at_money = fading(list(QUANTITIES), **grid(strike=1e5), index=1e5, time_to_expiry=0.0, window=WINDOW)
    assert all(float(column) == 0.0 for name, column in at_money.items() if name != "strike_delta")


def test_certain_exercise_is_worth_forward_less_strike_and_moves_with_the_rest() -> None:
    """Half of the average is fixed at 100,000 and the strike is below 50,000: whatever comes, the call pays."""
    at = {"forward": 1e5, "index": 1e5, "strike": 40_000.0, "volatility": 0.5, "time_to_expiry": 0.5 * WINDOW}
    call = fading(tuple(QUANTITIES), **at, is_call=True, window=WINDOW, discount=0.9)
    put = fading(tuple(QUANTITIES), **at, is_call=False, window=WINDOW, discount=0.9)
    assert float(call["price"]) == pytest.approx(0.9 * 60_000.0, rel=1e-15)
    assert float(call["delta"]) == pytest.approx(0.9 * 0.5, rel=1e-15)
    assert float(call["charm"]) == pytest.approx(-0.9 / WINDOW + 0.45 * -np.log(0.9) / (0.5 * WINDOW), rel=1e-12)
    for name in ("gamma", "vega", "vanna", "volga", "speed", "zomma", "veta", "color"):
        assert float(call[name]) == 0.0
    assert all(float(column) == 0.0 for column in put.values())


SHARES = st.floats(1e-6, 0.999)


@given(
    S=st.floats(1.0, 1e6), basis=st.floats(0.9, 1.1), moneyness=st.floats(0.5, 2.0), sigma=st.floats(0.0, 5.0), w=SHARES
)
def test_parity_and_bounds(S: float, basis: float, moneyness: float, sigma: float, w: float) -> None:
    at = {"forward": S * basis, "index": S, "strike": S * moneyness, "volatility": sigma, "time_to_expiry": w * WINDOW}
    names = tuple(QUANTITIES)
    call, put = (fading(names, **at, window=WINDOW, discount=0.99, is_call=side) for side in (True, False))
    assert np.all(np.isfinite([*call.values(), *put.values()]))
    assert float(call["price"] - put["price"]) == pytest.approx(0.99 * (S * basis - S * moneyness), rel=1e-12, abs=1e-9)
    assert float(call["delta"] - put["delta"]) == pytest.approx(0.99 * w, rel=1e-12)
    for name in ("gamma", "vega", "vanna", "volga", "speed", "zomma", "strike_gamma"):
        assert call[name] == put[name]
    assert 0.0 <= float(call["delta"]) <= w
    assert float(call["price"]) >= 0.0
    assert float(put["price"]) >= 0.0


@given(
    F=st.sampled_from([0.0, 1e-60, 1.0, 1e50, 1e100]), S=st.sampled_from([0.0, 1e-60, 1.0, 1e50, 1e100]),
    K=st.sampled_from([0.0, 1e-60, 1.0, 1e50, 1e100]), sigma=st.sampled_from([0.0, 1e-60, 1.0, 1e10]),
    w=st.sampled_from([0.0, 1e-60, 1e-10, 0.5, 1.0, 10.0]), side=st.booleans(),
)  # fmt: skip
def test_no_input_that_passes_the_door_gives_nan(F, S, K, sigma, w, side) -> None:
    found = fading(
        tuple(QUANTITIES), forward=F, index=S, strike=K, volatility=sigma, time_to_expiry=w * WINDOW, window=WINDOW,
        is_call=side,
    )  # fmt: skip
    assert not np.any(np.isnan([*found.values()]))


def test_what_cannot_be_answered_is_refused() -> None:
    at = grid(index=1e5, time_to_expiry=0.5 * WINDOW, window=WINDOW)
    with pytest.raises(InputError, match='unknown quantity "gama"; did you mean "gamma"'):
        fading(["gama"], **at)
    with pytest.raises(InputError, match="index has masked elements"):
        fading(["gamma"], **(at | {"index": np.ma.masked_array([1e5, 1e5], mask=[True, False])}))
    with pytest.raises(InputError, match="is not an array of numbers"):
        fading(["gamma"], **(at | {"index": "spot"}))
    with pytest.raises(InputError, match="shapes do not broadcast"):
        fading(["gamma"], **(at | {"index": [1e5, 1e5]}))
    with pytest.raises(InputError, match="volatility"):
        fading(["gamma"], **(at | {"volatility": np.nan}))
    with pytest.raises(InputError, match="index = nan is not a number from 0"):
        fading(["gamma"], **(at | {"index": np.nan}))


def test_axes_broadcast_and_rows_do_not_depend_on_each_other() -> None:
    shares = np.array([[0.1], [0.6], [2.0]])
    whole = fading(("price", "charm"), **grid(), index=1e5, time_to_expiry=shares * WINDOW, window=WINDOW)
    assert whole["price"].shape == (3, 41)
    one = fading(("price", "charm"), **grid(), index=1e5, time_to_expiry=0.6 * WINDOW, window=WINDOW)
    assert np.array_equal(whole["price"][1], one["price"])
    assert np.array_equal(whole["charm"][1], one["charm"])
    by_index = fading(("price", "rho"), **grid(strike=1e5), index=[1e5, 9e4], time_to_expiry=1e-6, window=WINDOW)
    assert by_index["price"].shape == by_index["rho"].shape == (2,)
    assert by_index["price"][0] == by_index["price"][1]
