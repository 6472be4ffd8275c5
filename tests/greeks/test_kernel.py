"""The compiled kernel beside the numpy truth: values, limits, the block interface, the same bits in any company."""

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from greekdrift.greeks import QUANTITIES, black, compute, kernel

EVERY = tuple(QUANTITIES)
MODES = {
    "strict": (kernel.prepare, kernel.quantity),
    "contracted": (kernel.prepare_contracted, kernel.quantity_contracted),
}
both_modes = pytest.mark.parametrize("deterministic", [True, False], ids=["strict", "contracted"])


def draw(count: int, seed: int = 1, widest: float = 10.0) -> dict[str, np.ndarray]:
    """One hour to two years, 5 to 300 % of volatility, to so many standard deviations, half of them discounted."""
    rng = np.random.default_rng(seed)
    tau = np.exp(rng.uniform(np.log(1.0 / 8760.0), np.log(2.0), count))
    sigma = np.exp(rng.uniform(np.log(0.05), np.log(3.0), count))
    F = np.exp(rng.uniform(-3.0, 12.0, count))
    return {
        "forward": F,
        "strike": F * np.exp(np.clip(rng.uniform(-widest, widest, count) * sigma * np.sqrt(tau), -100.0, 100.0)),
        "volatility": sigma,
        "time_to_expiry": tau,
        "is_call": rng.random(count) < 0.5,
        "discount": np.where(rng.random(count) < 0.5, 1.0, np.exp(-rng.uniform(-0.02, 0.2, count) * tau)),
    }


def largest_terms(at: black.Options, right: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Size of the largest term of each quantity that is a sum, to which rounding is relative."""
    product = 1.0 + np.abs(at.d1 * at.d2)
    per_s, per_time, rate = (black.inverse(x) for x in (at.deviation, at.time_to_expiry, np.ones_like(at.rate)))
    rate = rate * np.abs(at.rate)
    vega, gamma = right["vega"], right["gamma"]
    root = np.sqrt(at.time_to_expiry)
    return {
        "theta": 0.5 * vega * at.volatility * per_time + rate * right["price"],
        "vanna": vega * black.inverse(at.forward) * (np.abs(at.distance) * per_s + 0.5),
        "volga": vega * product * black.inverse(at.volatility),
        "charm": 0.5 * at.discount * at.density * (np.abs(at.distance) + root) * per_time + rate,
        "veta": vega * (rate + product * per_time),
        "speed": gamma * (1.0 + (np.abs(at.distance) + root) * per_s) * black.inverse(at.forward),
        "zomma": gamma * product * black.inverse(at.volatility),
        "color": gamma * (rate + product * per_time),
    }


@both_modes
def test_values_are_those_of_the_truth(deterministic):
    options = draw(20_000)
    at = black.options(**options)
    got = compute(EVERY, **options, deterministic=deterministic)
    right = {name: QUANTITIES[name](at) for name in EVERY}
    terms = largest_terms(at, right)
    for name in EVERY:
        size = np.maximum(np.abs(right[name]), terms.get(name, 0.0))
        limit = {"price": 1e-11, "delta": 1e-12}.get(name, 1e-10) / 10.0
        assert np.all(np.abs(got[name] - right[name]) <= limit * size), name


@both_modes
def test_far_wings_keep_their_relative_accuracy(deterministic):
    options = draw(5000, seed=2, widest=37.0)
    at = black.options(**options)
    got = compute(EVERY, **options, deterministic=deterministic)
    for name in ("price", "delta", "gamma", "vega", "rho", "strike_delta", "strike_gamma"):
        assert got[name] == pytest.approx(QUANTITIES[name](at), rel=2e-12, abs=1e-290), name


@both_modes
def test_limits_are_exactly_those_of_the_truth(deterministic):
    """No time, no volatility, no forward, no strike, all of them, at and off the money; discounted or not."""
    edge = np.array([0.0, -0.0, 1e-320, 1e-61, 1e-30, 1.0, 100.0, 1e100])
    grid = [
        column.ravel() for column in np.meshgrid(edge, edge, [0.0, 1e-70, 0.5], [0.0, 0.25], [1.0, 0.97], [True, False])
    ]
    F, K, sigma, tau, discount, calls = grid
    still = (sigma * np.sqrt(tau) <= black.TINY) | (F == 0.0) | (K == 0.0)
    still |= np.log(np.maximum(F, 1e-300)) - np.log(np.maximum(K, 1e-300)) > 150.0
    options = {"forward": F[still], "strike": K[still], "volatility": sigma[still], "time_to_expiry": tau[still],
               "discount": discount[still], "is_call": calls[still].astype(bool)}  # fmt: skip
    at = black.options(**options)
    got = compute(EVERY, **options, deterministic=deterministic)
    for name in EVERY:
        with np.errstate(under="ignore"):
            right = QUANTITIES[name](at)
        off = np.abs(got[name] - right)
        assert np.all(off <= 1e-15 * np.abs(right) + 1e-300), (name, np.argmax(off))


def test_parity_holds_to_the_last_bit():
    """Call and put share one time value: with K − F exact, the call and its intrinsic value are the put."""
    strike = 100.0 + np.arange(0.0, 64.0, 0.25)
    at = {"forward": 100.0, "strike": strike, "volatility": 0.6, "time_to_expiry": 0.1}
    call, put = (compute("price", **at, is_call=side)["price"] for side in (True, False))
    assert np.array_equal((strike - 100.0) + call, put)
    call, put = (compute("price", **at, is_call=side, deterministic=False)["price"] for side in (True, False))
    assert np.all(np.abs((strike - 100.0) + call - put) <= np.spacing(put))


@both_modes
def test_price_is_continuous_where_the_forms_meet(deterministic):
    """At s = 0.02, where the series of near-equal tails ends, and at h = s/2, where the complement begins."""
    for s in (0.02, 0.7):
        for h in (0.5 * s, 3.0):
            strike = 100.0 * np.exp(h * s)
            spread = np.nextafter(s, [0.0, 1.0])
            low, high = compute("price", forward=100.0, strike=strike, volatility=spread, time_to_expiry=1.0,
                                is_call=True, deterministic=deterministic)["price"]  # fmt: skip
            assert high == pytest.approx(low, rel=3e-14 * (1.0 + h / s))
    s, nudge = 0.7, np.exp(0.5 * 0.7 * 0.7) * (1.0 + 4e-16 * np.arange(-20, 21))
    around = compute("price", forward=100.0, strike=100.0 * nudge, volatility=s, time_to_expiry=1.0, is_call=True,
                     deterministic=deterministic)["price"]  # fmt: skip
    assert np.ptp(around) <= 1e-13 * around[0]


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_block_by_hand(mode):
    """What the docstring of the kernel shows: input rows, prepare, one quantity after the other."""
    prepare, quantity = MODES[mode]
    options = draw(kernel.GROUP)
    work = kernel.workspace()
    names = ("forward", "strike", "volatility", "time_to_expiry", "discount")
    for row, name in enumerate(names):
        work[row * kernel.ROW : row * kernel.ROW + kernel.GROUP] = options[name]
    work[kernel.SIDE * kernel.ROW : kernel.SIDE * kernel.ROW + kernel.GROUP] = np.where(options["is_call"], 1.0, -1.0)
    right = compute(EVERY, **options, deterministic=mode == "strict")
    out = np.empty(3 * kernel.GROUP)
    for name in EVERY:
        code = kernel.CODES[name]
        prepare(work, kernel.GROUP, kernel.needs(np.array([code])))
        quantity(code, work, kernel.GROUP, out, kernel.GROUP)
        assert out[kernel.GROUP : 2 * kernel.GROUP].tobytes() == right[name].tobytes(), name


def test_a_block_from_compiled_code():
    @njit
    def total(code, count, forward):
        work, out = kernel.workspace(), np.empty(kernel.WIDTH)
        for i in range(kernel.WIDTH):
            work[i], work[kernel.STRIKE * kernel.ROW + i] = forward, 90.0 + i
            work[kernel.VOLATILITY * kernel.ROW + i], work[kernel.TIME * kernel.ROW + i] = 0.5, 0.25
            work[kernel.DISCOUNT * kernel.ROW + i], work[kernel.SIDE * kernel.ROW + i] = 1.0, 1.0
        codes = np.array([code])
        kernel.prepare(work, kernel.WIDTH, kernel.needs(codes))
        kernel.quantity(code, work, kernel.WIDTH, out, 0)
        return out[:count].sum()

    right = compute("vega", forward=100.0, strike=90.0 + np.arange(100.0), volatility=0.5, time_to_expiry=0.25,
                    is_call=True)["vega"]  # fmt: skip
    assert total(kernel.CODES["vega"], 100, 100.0) == pytest.approx(right.sum(), rel=1e-13)


def test_codes_are_the_order_of_the_names():
    assert tuple(kernel.CODES) == EVERY
    assert list(kernel.CODES.values()) == list(range(len(EVERY)))


@pytest.mark.parametrize("name", EVERY)
def test_what_is_computed_follows_from_the_name_alone(name):
    """A name asked for alone finds all it needs, whatever was computed before."""
    options = draw(3)
    together = compute(EVERY, **options)[name]
    assert compute(name, **options)[name].tobytes() == together.tobytes()


@both_modes
def test_modes_do_not_mix(deterministic):
    """Both modes differ somewhere in the last bits, and each keeps its own, whichever ran first."""
    options = draw(4000)
    once = compute(EVERY, **options, deterministic=deterministic)
    other = compute(EVERY, **options, deterministic=not deterministic)
    again = compute(EVERY, **options, deterministic=deterministic)
    for name in EVERY:
        assert once[name].tobytes() == again[name].tobytes()
        assert once[name].tobytes() != other[name].tobytes(), name


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads the instructions of the x86 family")
@pytest.mark.parametrize(("page", "instruction", "least"), [("prepare", "divpd", 9), ("quantity", "mulpd", 30)])
def test_every_loop_works_on_several_options_at_once(page, instruction, least):
    """`prepare` has nine divisions in seven loops, `quantity` at least thirty products in thirteen."""
    work, out = kernel.workspace(), np.empty(kernel.WIDTH)
    engine = njit(error_model="numpy")(getattr(kernel, page).py_func)
    work[:] = 1.0
    engine(*((work, kernel.WIDTH, 31) if page == "prepare" else (0, work, kernel.WIDTH, out, 0)))
    (code,) = engine.inspect_asm().values()
    assert code.count(instruction) >= least
    packed = re.findall(r"(?:mul|add|sub|div)pd", code)
    single = re.findall(r"(?:mul|add|sub|div)sd", code)
    assert len(packed) > 0.5 * len(single)  # single ones are left for the rest of a row, which no block has


STRICT_BITS = """
import hashlib, numpy as np
from greekdrift.greeks import QUANTITIES, compute
rng = np.random.default_rng(11)
forward = rng.uniform(1.0, 1e5, 3000)
strike = forward * np.ldexp(rng.uniform(0.5, 1.0, 3000), rng.integers(-20, 21, 3000))
value = compute(list(QUANTITIES), forward=forward, strike=strike, volatility=rng.uniform(0.0, 3.0, 3000),
                time_to_expiry=rng.uniform(0.0, 2.0, 3000), is_call=rng.random(3000) < 0.5,
                discount=rng.choice([1.0, 0.97, 0.3], 3000), threads=1)
print(hashlib.sha256(b"".join(column.tobytes() for column in value.values())).hexdigest())
"""


@pytest.mark.slow
def test_strict_bits_are_the_same_without_wide_vectors_and_fused_products(tmp_path):
    """The plainest machine of this kind, as another machine would compile it."""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", STRICT_BITS], check=True, capture_output=True, text=True, env=os.environ | extra
        ).stdout
        for extra in ({}, plain)
    ]
    assert len(runs[0].strip()) == 64
    assert runs[0] == runs[1]
