"""Implied volatility: round trips over the whole range, reasons, refusals, any layout, the same bits in any company."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import black, compute, implied_truth, implied_volatility
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


def listed(n, seed=9):
    """Options of both kinds in and out of the money, and one row in ten without a volatility."""
    rng = np.random.default_rng(seed)
    distance, s = rng.uniform(-5.0, 5.0, n), 10.0 ** rng.uniform(-2.5, 0.4, n)
    forward, tau = rng.uniform(50.0, 150.0, n), rng.uniform(1e-3, 2.0, n)
    at = {"forward": forward, "strike": forward * np.exp(distance * s), "time_to_expiry": tau}
    at |= {"is_call": rng.random(n) < 0.5, "discount": np.exp(-0.03 * tau)}
    price = black.price(black.options(**at, volatility=s / np.sqrt(tau)))
    price[::10] = rng.choice([np.nan, -1.0, 1e9, 0.0], price[::10].size)
    return price, at


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_row_has_the_same_bits_in_any_company_order_and_layout(deterministic):
    price, at = listed(3001)
    whole = solve(price, **at, deterministic=deterministic)
    assert set(whole[1].tolist()) == {0, 1, 2, 3, 4}

    def of(rows):
        return solve(price[rows], **{name: column[rows] for name, column in at.items()}, deterministic=deterministic)

    for rows in (slice(1, None), slice(17, 1044), slice(None, None, 3), slice(None, None, -1), slice(512, 513)):
        assert same(of(rows), tuple(column[rows] for column in whole))
    shuffled = np.random.default_rng(1).permutation(3001)
    assert same(of(shuffled), tuple(column[shuffled] for column in whole))
    alone = [of(i) for i in range(0, 3001, 100)]
    assert np.array_equal([row[0] for row in alone], whole[0][::100], equal_nan=True)
    assert same(of(slice(None)), whole)


@pytest.mark.parametrize("deterministic", [True, False])
def test_threads_give_the_same_bits(deterministic):
    price, at = listed(20_000)
    whole = solve(price, **at, deterministic=deterministic)
    parts = [slice(start, start + 1700) for start in range(0, 20_000, 1700)] * 3

    def part(rows):
        columns = {name: column[rows] for name, column in at.items()}
        return rows, solve(price[rows], **columns, deterministic=deterministic)

    with ThreadPoolExecutor(4) as pool:
        for rows, found in pool.map(part, parts):
            assert same(found, tuple(column[rows] for column in whole))


def test_contracted_and_strict_agree_with_the_truth_in_reason_and_to_conditioning():
    price, at = listed(5000)
    truth, reason = implied_truth.solve(price, **at)
    bit = np.spacing(price) / np.where(reason == 0, at["discount"] * np.minimum(at["forward"], at["strike"]), 1.0)
    s = truth * np.sqrt(at["time_to_expiry"])
    h = np.abs(np.log(at["forward"] / at["strike"])) / s
    granted = 3e-13 + 8.0 * bit / (s * black.normal_density(h - 0.5 * s))
    for deterministic in (True, False):
        found, codes = solve(price, **at, deterministic=deterministic)
        assert np.array_equal(codes, reason)
        assert np.all((np.abs(found / truth - 1.0) <= granted) | (reason != 0))


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_whole_door_forwards_from_1e_100_to_1e100(deterministic):
    """The same reasons and numbers as the truth wherever inputs are allowed, and no floating-point error."""
    rng, n = np.random.default_rng(11), 20_000
    forward = 10.0 ** rng.uniform(-100.0, 99.0, n)
    strike = np.minimum(forward * np.exp(rng.uniform(-60.0, 60.0, n)), 1e100)
    at = {"forward": forward, "strike": strike, "is_call": rng.random(n) < 0.5}
    at |= {"discount": 10.0 ** rng.uniform(-3.0, 0.0, n), "time_to_expiry": 10.0 ** rng.uniform(-61.0, 10.0, n)}
    intrinsic = np.maximum(np.where(at["is_call"], 1.0, -1.0) * (forward - strike), 0.0)
    with np.errstate(under="ignore"):
        share = 10.0 ** rng.uniform(-300.0, 0.1, n) * rng.choice([1.0, 1.0, -1.0], n)
        price = np.minimum(at["discount"] * (intrinsic + np.minimum(forward, strike) * share), 1e100)
    with np.errstate(all="raise"):
        found, reason = solve(price, **at, deterministic=deterministic)
        truth, reason_of_truth = implied_truth.solve(price, **at)
    assert np.array_equal(reason, reason_of_truth)
    assert np.sum(reason == Reason.FOUND) > 4000
    assert np.nanmax(np.abs(found / truth - 1.0)) < 3e-13


def test_any_broadcastable_shape():
    forward, tau = np.linspace(80.0, 120.0, 90)[:, None, None], np.array([0.05, 0.3])[:, None]
    strike = np.linspace(70.0, 140.0, 110)
    at = {"forward": forward, "strike": strike, "time_to_expiry": tau, "is_call": strike >= 100.0, "discount": 0.99}
    price = black.price(black.options(**at, volatility=0.5))
    found, reason = solve(price, **at)
    assert found.shape == reason.shape == (90, 2, 110)
    flat = {name: np.broadcast_to(column, price.shape).ravel() for name, column in at.items()}
    assert same((found.ravel(), reason.ravel()), solve(price.ravel(), **flat))
    back_to_front = np.asfortranarray(price)
    assert same((found, reason), solve(back_to_front, **at))
    one_price = solve(5.0, **at)
    assert one_price[0].shape == (90, 2, 110)
    assert solve(price[:, :, :0], **{**at, "strike": strike[:0], "is_call": True})[0].shape == (90, 2, 0)


def test_scalars_empty_columns_and_other_types():
    at = {"forward": 100.0, "strike": 110.0, "time_to_expiry": 1.0, "is_call": True}
    found, reason = solve(4.2920109414, **at)
    assert isinstance(found, np.ndarray)
    assert found.shape == reason.shape == ()
    assert found == pytest.approx(0.2, rel=1e-9)
    found, reason = solve([], **at)
    assert found.shape == reason.shape == (0,)
    assert reason.dtype == solve([4.0, None], **at)[1].dtype == np.int8
    whole = {"forward": [100, 100], "strike": np.array([110, 95], dtype=np.int32), "time_to_expiry": 1, "discount": 1}
    found, _ = solve(np.array([4, 9], dtype=np.uint8), **whole, is_call=[True, False])
    assert np.array_equal(found, solve([4.0, 9.0], forward=100.0, strike=[110.0, 95.0], time_to_expiry=1.0,
                                       is_call=[True, False])[0])  # fmt: skip
    single = np.array([4.25, 9.5], dtype=np.float32)
    assert np.array_equal(solve(single, **at)[0], solve(single.astype(float), **at)[0])
    packed = np.zeros(5, dtype=[("tag", "i1"), ("price", "f8")])
    packed["price"] = [4.0, 5.0, 6.0, 7.0, 8.0]
    assert np.array_equal(solve(packed["price"], **at)[0], solve([4.0, 5.0, 6.0, 7.0, 8.0], **at)[0])
    assert np.array_equal(solve(packed["price"][:1], **at)[0], solve([4.0], **at)[0])
    swapped = np.array([4.0, 5.0], dtype=">f8")
    assert np.array_equal(solve(swapped, **at)[0], solve([4.0, 5.0], **at)[0])


def test_inputs_are_left_as_they_were():
    price, at = listed(1000)
    before = price.copy(), {name: column.copy() for name, column in at.items()}
    solve(price, **at)
    assert np.array_equal(price, before[0], equal_nan=True)
    assert all(np.array_equal(at[name], before[1][name]) for name in at)
    assert price.flags.writeable


def test_bad_inputs_are_refused_even_where_no_row_is_asked_for():
    with pytest.raises(InputError, match="forward = nan"):
        solve([], forward=np.nan, strike=100.0, time_to_expiry=1.0, is_call=True)
    with pytest.raises(InputError, match="is_call has type int"):
        solve([5.0], forward=100.0, strike=100.0, time_to_expiry=1.0, is_call=[1])
    with pytest.raises(InputError, match=r"strike\[700\] = -1.0"):
        solve(5.0, forward=100.0, strike=np.where(np.arange(900) == 700, -1.0, 1.0), time_to_expiry=1.0, is_call=True)


def test_coin_prices_are_read_on_the_forward():
    strike = np.linspace(60_000.0, 160_000.0, 21)
    at = {"forward": 100_000.0, "strike": strike, "time_to_expiry": 0.2, "is_call": strike >= 100_000.0}
    price = black.price(black.options(**at, volatility=0.6))
    found, reason = solve(price / 100_000.0, **at, is_coin=True)
    assert np.all(reason == Reason.FOUND)
    assert found == pytest.approx(np.full(21, 0.6), rel=1e-13)
    is_coin = np.arange(21) % 2 == 0
    mixed = np.where(is_coin, price / 100_000.0, price)
    assert implied_volatility(mixed, **at, is_coin=is_coin) == pytest.approx(np.full(21, 0.6), rel=1e-13)


def test_coin_prices_are_refused_by_the_same_reasons():
    price = [np.nan, -0.1, 0.09, 1.0, 0.0, 0.05]
    at = {"forward": 100.0, "strike": [100.0, 100.0, 90.0, 100.0, 110.0, 100.0], "is_call": True}
    reason = solve(price, **at, time_to_expiry=[1.0] * 5 + [0.0], is_coin=True)[1]
    assert [Reason(code) for code in reason] == [
        Reason.NO_PRICE, Reason.BELOW_INTRINSIC, Reason.BELOW_INTRINSIC, Reason.ABOVE_BOUND, Reason.NO_INFORMATION,
        Reason.EXPIRED,
    ]  # fmt: skip
    with pytest.raises(CalculationError, match=r"row 2: price 0.09 coins is below the intrinsic value"):
        implied_volatility(
            [0.05, 0.05, 0.09], **{**at, "strike": [100.0, 100.0, 90.0]}, time_to_expiry=1.0, is_coin=True
        )
    with pytest.raises(InputError, match="price = inf"):
        solve(np.inf, forward=0.0, strike=1.0, time_to_expiry=1.0, is_call=True, is_coin=True)
    with pytest.raises(InputError, match="is_coin has type"):
        solve(0.1, forward=1.0, strike=1.0, time_to_expiry=1.0, is_call=True, is_coin=1)
    with pytest.raises(InputError, match="do not multiply"):
        solve([0.1, 0.2], forward=[1.0, 1.0, 1.0], strike=1.0, time_to_expiry=1.0, is_call=True, is_coin=True)


@pytest.mark.shared
@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_every_recorded_bid_ask_and_mark_is_met_again_or_refused_for_a_reason(shared, coin):
    """Six snapshots: what is found reprices the quote, what is not is missing, zero, or outside its bounds."""
    import pandas as pd

    path = shared / "data" / "deribit_option_chain_6h" / f"{coin}_chain.parquet"
    stamps = pd.read_parquet(path, columns=["snapshot_ts_utc"])["snapshot_ts_utc"].unique()
    rows = pd.read_parquet(path, filters=[("snapshot_ts_utc", "in", list(stamps[:: len(stamps) // 5]))])
    assert len(rows) > 3000
    forward, strike = rows["forward_price_usd"].to_numpy(), rows["strike_usd"].to_numpy()
    at = {"forward": forward, "strike": strike, "is_call": (rows["option_type"] == "call").to_numpy(dtype=bool)}
    at["time_to_expiry"] = rows["time_to_expiry_years_act365"].to_numpy()
    intrinsic = np.maximum(np.where(at["is_call"], 1.0, -1.0) * (forward - strike), 0.0)
    bound = np.where(at["is_call"], forward, strike)
    for side in ("bid_price_coin", "ask_price_coin", "mark_price_coin"):
        price = rows[side].to_numpy()
        found, reason = solve(price, **at, is_coin=True)
        assert same((reason,), (implied_truth.solve(price * forward, **at)[1].astype(np.int8),))
        met = reason == Reason.FOUND
        assert met.mean() > 0.6
        again = compute(["price"], **{name: column[met] for name, column in at.items()}, volatility=found[met])["price"]
        assert np.max(np.abs(again / forward[met] / price[met] - 1.0)) < 1e-12
        value = price * forward
        assert np.array_equal(reason == Reason.NO_PRICE, np.isnan(price))
        assert np.all((value < intrinsic)[reason == Reason.BELOW_INTRINSIC])
        assert np.all((value >= bound * (1.0 - 1e-15))[reason == Reason.ABOVE_BOUND])
        quiet = reason == Reason.NO_INFORMATION
        assert np.all((price == 0.0)[quiet] | (intrinsic[quiet] > 0.0))


def test_the_compiler_loads_with_the_first_price_and_not_before():
    code = (
        "import sys, greekdrift.greeks, greekdrift.greeks.implied as implied; before = 'numba' in sys.modules; "
        "implied.solve(5.0, forward=100.0, strike=100.0, time_to_expiry=1.0, is_call=True); "
        "print(before, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
