"""The compiled solver: its fit, its step, equal to the numpy truth on the whole range, and fast."""

import os
import platform
import subprocess
import sys
from time import perf_counter

import mpmath as mp
import numpy as np
import pytest
from numba import njit

from greekdrift.greeks import black, implied_kernel, implied_truth
from greekdrift.greeks.implied import Reason, solve
from greekdrift.greeks.implied_kernel import UNSETTLED

ENGINES = {"strict": implied_kernel.strict, "contracted": implied_kernel.contracted}


def run(engine, price, *, strike, forward=1.0, tau=1.0, is_call=True, discount=1.0):
    columns = [np.ravel(column) for column in (price, forward, strike, tau, is_call, discount)]
    for column in columns:
        column.flags.writeable = False
    volatility, reason = np.empty(columns[0].size), np.empty(columns[0].size, dtype=np.int8)
    assert ENGINES[engine](*columns, volatility, reason)
    return volatility, reason


def shares(name, rng, n):
    """Distances |ln(F/K)| and shares b of the time value: everywhere, in the wings, above one half, at the money."""
    x = 10.0 ** rng.uniform(-17.0, np.log10(25.0), n)
    if name == "wings":
        return rng.uniform(0.0, 25.0, n), 10.0 ** rng.uniform(-289.0, -0.3, n)
    if name == "everywhere":
        return x, 10.0 ** rng.uniform(-50.0, -0.31, n)
    if name == "about one half":
        return x, 0.5 + rng.uniform(-1e-3, 1e-3, n)
    if name == "above one half":
        return x, 1.0 - 10.0 ** rng.uniform(-7.0, -0.3, n)
    if name == "evenly":
        return rng.uniform(0.0, 25.0, n), rng.uniform(1e-6, 0.999, n)
    return np.zeros(n), np.where(rng.random(n) < 0.5, rng.uniform(1e-9, 0.999, n), 10.0 ** rng.uniform(-58.0, -1.0, n))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["wings", "everywhere", "about one half", "above one half", "evenly", "at the money"])
def test_equal_to_the_truth_on_the_whole_range_and_no_row_is_left(engine, name):
    x, share = shares(name, np.random.default_rng(len(name)), 30_000)
    strike = np.exp(x)
    volatility, reason = run(engine, share, strike=strike)
    truth, reason_of_truth = implied_truth.solve(share, forward=1.0, strike=strike, time_to_expiry=1.0, is_call=True)
    assert np.array_equal(reason, reason_of_truth)
    assert np.all(reason == Reason.FOUND)
    assert np.max(np.abs(volatility / truth - 1.0)) < 3e-13  # most of it is the truth's, about s = 0.02


def exact_share(x: mp.mpf, s: mp.mpf) -> mp.mpf:
    return mp.ncdf(s / 2 - x / s) - mp.exp(x) * mp.ncdf(-s / 2 - x / s)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_few_last_bits_from_the_exact_root(engine):
    """σ of a rounded price V against its root in 60 digits, one Newton step from it: σ − (V(σ) − V)/(∂V/∂σ)."""
    rng = np.random.default_rng(5)
    distance, s = rng.uniform(0.0, 30.0, 400), 10.0 ** rng.uniform(-6.0, 0.2, 400)
    distance = np.where(rng.random(400) < 0.3, 10.0 ** rng.uniform(-6.0, 0.0, 400), distance)
    strike = np.exp(np.minimum(distance * s, 24.0))
    with mp.workdps(80):
        exact = [exact_share(mp.log(float(K)), mp.mpf(float(here))) for K, here in zip(strike, s, strict=True)]
        price = np.array([float(share) for share in exact])
        found, reason = run(engine, price, strike=strike)
        assert np.all(reason == Reason.FOUND)
        for K, V, here in zip(strike, price, found, strict=True):
            x, root = mp.log(float(K)), mp.mpf(float(here))
            slope = mp.npdf(x / root - root / 2)
            step = (exact_share(x, root) - mp.mpf(float(V))) / slope
            assert abs(step / root) < 4e-15, (K, V)


def test_the_start_is_as_close_as_the_step_needs():
    rng = np.random.default_rng(6)
    for name in ("wings", "everywhere"):
        x, share = shares(name, rng, 1500)
        truth = implied_truth.deviation_of(share, least=np.ones(1500), distance=x)
        start = [implied_kernel._low_start(b, np.expm1(a), a) for a, b in zip(x, share, strict=True)]
        assert np.max(np.abs(start / truth - 1.0)) < 2.95e-4
    x, share = shares("above one half", rng, 1500)
    truth = implied_truth.deviation_of(share, least=np.ones(1500), distance=x)
    start = [implied_kernel._high_start(1.0 - b, a) for a, b in zip(x, share, strict=True)]
    assert np.max(np.abs(start / truth - 1.0)) < 2.95e-4


@pytest.mark.parametrize("name", ["wings", "everywhere", "evenly"])
def test_the_step_is_of_fifth_order(name):
    """From 3 % off the root the error left is below 5 (3 %)⁵; below one half, where f = ln β."""
    x, share = shares(name, np.random.default_rng(7), 1000)
    keep = share < 0.5
    x, share = x[keep], share[keep]
    truth = implied_truth.deviation_of(share, least=np.ones(x.size), distance=x)
    for off in (-0.03, 0.03):
        s = truth * (1.0 + off)
        h, t = x / s, 0.5 * s
        slope = black.mills_difference(h, t) / s
        error = np.log(slope * s / share) - 0.5 * (h - t) ** 2 - implied_kernel.LOG_ROOT_TWO_PI
        step = implied_kernel._step(error, slope, h, t)
        assert np.max(np.abs(s * (1.0 + step) / truth - 1.0)) < 5.0 * 0.03**5


def test_mills_ratio_and_its_divided_difference():
    with mp.workdps(50):
        for near in (-0.74, -0.1, 0.0, 0.5, 3.0, 12.0, 37.0, 1e4):
            ratio = lambda y: mp.sqrt(mp.pi / 2) * mp.exp(mp.mpf(y) ** 2 / 2) * mp.erfc(mp.mpf(y) / mp.sqrt(2))  # noqa: E731
            assert abs(implied_kernel._mills_sum(near, near) / (2 * ratio(near)) - 1) < 1.5e-15
            for width in (1e-12, 1e-3, 0.3, 5.0, 1000.0):
                far = near + width
                slope = (ratio(near) - ratio(far)) / (mp.mpf(far) - mp.mpf(near))
                assert abs(implied_kernel._mills_slope(near, far) / slope - 1) < 4e-15


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_outside_the_fit_are_left_to_the_truth(engine):
    strike, price = np.exp([24.9, 25.1, 60.0, 230.0]), np.array([0.3, 0.3, 0.9, 0.4])
    volatility, reason = run(engine, price, strike=strike)
    assert reason.tolist() == [Reason.FOUND, UNSETTLED, UNSETTLED, UNSETTLED]
    assert np.all(np.isnan(volatility[1:]))
    found, reason = solve(price, forward=1.0, strike=strike, time_to_expiry=1.0, is_call=True)
    truth, _ = implied_truth.solve(price, forward=1.0, strike=strike, time_to_expiry=1.0, is_call=True)
    assert np.all(reason == Reason.FOUND)
    assert np.array_equal(found[1:], truth[1:])
    again = black.price(black.options(forward=1.0, strike=strike, volatility=found, time_to_expiry=1.0, is_call=True))
    assert np.max(np.abs(again / price - 1.0)) < 1e-13


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "change",
    [
        {"forward": np.nan}, {"forward": -1.0}, {"strike": np.inf}, {"tau": -1e-9}, {"tau": np.nan}, {"discount": 0.0},
        {"discount": np.nan}, {"price": np.inf}, {"price": -2e100}, {"discount": 2e100},
    ],
)  # fmt: skip
def test_inputs_out_of_bounds_are_reported(engine, change):
    columns = {"price": 0.1, "forward": 1.0, "strike": 1.0, "tau": 1.0, "discount": 1.0} | change
    names = ("price", "forward", "strike", "tau", "discount")
    given = [np.full(700, columns[name]) for name in names]
    given.insert(4, np.ones(700, dtype=bool))
    for column in given:
        column.flags.writeable = False
    assert not ENGINES[engine](*given, np.empty(700), np.empty(700, dtype=np.int8))


def smile(n):
    rng = np.random.default_rng(8)
    distance, s = rng.uniform(-8.0, 8.0, n), 10.0 ** rng.uniform(-2.0, 0.2, n)
    at = {
        "forward": np.full(n, 100.0),
        "strike": 100.0 * np.exp(distance * s),
        "time_to_expiry": rng.uniform(0.01, 2.0, n),
    }
    at |= {"is_call": at["strike"] >= 100.0, "discount": np.full(n, 0.98)}
    return black.price(black.options(**at, volatility=s / np.sqrt(at["time_to_expiry"]))), at


def fastest(function, repeat):
    taken = []
    for _ in range(repeat):
        start = perf_counter()
        function()
        taken.append(perf_counter() - start)
    return min(taken)


@pytest.mark.parametrize("deterministic", [True, False])
def test_at_least_five_times_as_fast_as_the_truth(deterministic):
    price, at = smile(100_000)
    solve(price, **at, deterministic=deterministic)
    fast = fastest(lambda: solve(price, **at, deterministic=deterministic), 9)
    assert fastest(lambda: implied_truth.solve(price, **at), 2) > 5.0 * fast


PRINT_BITS = """
import hashlib, sys
import numpy as np
from greekdrift.greeks.implied import solve
n = 4000
i = np.arange(n)
strike = 64.0 + i % 128
price = np.maximum(100.0 - strike, 0.0) + np.minimum(100.0, strike) * 0.5 ** (1 + i % 300) * (1.0 - i / 8192)
volatility, reason = solve(price, forward=100.0, strike=strike, time_to_expiry=(1 + i % 7) / 8, is_call=True)
print(hashlib.sha256(volatility.tobytes() + reason.tobytes()).hexdigest(), np.mean(reason == 0))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names a processor of the x86 family")
def test_strict_bits_are_the_same_without_wide_vectors_and_fused_products(tmp_path):
    """Compiled for the plainest 64-bit machine, and for this one."""
    answers = []
    for machine in ({}, {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}):
        done = subprocess.run(
            [sys.executable, "-c", PRINT_BITS], capture_output=True, text=True, check=True, env=os.environ | machine
        )
        answers.append(done.stdout.split())
    assert answers[0] == answers[1]
    assert float(answers[0][1]) > 0.5


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads the instructions of the x86 family")
def test_every_loop_divides_several_rows_at_once():
    """Each loop with arithmetic has divisions; one that lost its vectors would turn packed ones into single ones."""
    engine = njit(error_model="numpy")(implied_kernel.strict.py_func)
    columns = [np.ones(64) for _ in range(6)]
    columns[4] = np.ones(64, dtype=bool)
    for column in columns:
        column.flags.writeable = False
    engine(*columns, np.empty(64), np.empty(64, dtype=np.int8))
    (code,) = engine.inspect_asm().values()
    assert code.count("divpd") > 30
    assert code.count("divsd") < 10
