"""exp, log, the log of a ratio and the normal tail against 60 digits, to the ends of the range, and vectorised."""

import re

import mpmath as mp
import numpy as np
import pytest
from numba import njit

from greekdrift.greeks import elementary

WIDTH = 512


def over(function, *, contracted=False):
    """The inlinable function, compiled as a loop over columns."""
    mode = {"fastmath": {"contract"}} if contracted else {}

    @njit(error_model="numpy", **mode)
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    def apply(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    apply.loop = loop
    return apply


@njit(error_model="numpy")
def ratios(a, b, out):
    for i in range(a.size):
        out[i] = elementary.log_ratio(a[i], b[i])


@pytest.fixture(scope="module")
def compiled():
    names = ("exp", "log", "scaled_tail", "normal_tail", "erfcx")
    return {
        (name, contracted): over(getattr(elementary, name), contracted=contracted)
        for name in names
        for contracted in (False, True)
    }


@pytest.fixture
def rng():
    mp.mp.dps = 60
    return np.random.default_rng(7)


def worst(got, x, right) -> float:
    exact = [right(mp.mpf(float(value))) for value in x]
    return max(float(abs(mp.mpf(float(one)) / two - 1)) for one, two in zip(got, exact, strict=True) if two != 0)


def tail(x):
    return mp.erfc(x / mp.sqrt(2)) * mp.exp(x * x / 2) if x < 60 else far_tail(x)


def far_tail(x):
    return mp.sqrt(2 / mp.pi) / x * mp.hyp2f0(0.5, 1, -2 / (x * x))


POINTS = {
    "exp": (mp.exp, 1.7e-16, lambda rng: np.concatenate([rng.uniform(-708.0, 709.7, 1500), rng.uniform(-1, 1, 1500)])),
    "log": (mp.log, 1.7e-16, lambda rng: np.concatenate(
        [np.exp(rng.uniform(-708.0, 709.0, 1000)), rng.uniform(0.4, 2.5, 1000), 1.0 + rng.uniform(-1e-6, 1e-6, 1000)])),
    "scaled_tail": (tail, 1.2e-15, lambda rng: np.concatenate(
        [rng.uniform(0.0, 40.0, 1500), np.exp(rng.uniform(-30.0, 57.0, 1000))])),
    "erfcx": (lambda x: tail(x * mp.sqrt(2)), 1.3e-15, lambda rng: rng.uniform(0.0, 28.0, 1500)),
}  # fmt: skip


@pytest.mark.parametrize("contracted", [False, True])
@pytest.mark.parametrize("name", sorted(POINTS))
def test_against_60_digits(name, contracted, compiled, rng):
    right, bound, points = POINTS[name]
    x = points(rng)
    assert worst(compiled[name, contracted](x), x, right) <= bound


def test_normal_tail_keeps_its_relative_accuracy(compiled, rng):
    x = rng.uniform(-38.0, 37.5, 1500)
    got = compiled["normal_tail", False](x)
    for value, one in zip(x, got, strict=True):
        exact = mp.erfc(mp.mpf(float(value)) / mp.sqrt(2)) / 2
        assert abs(mp.mpf(float(one)) / exact - 1) <= 1e-15 + 0.5 * value * value * 1.2e-16


def test_exp_through_denormals_to_its_ends(compiled):
    exp = compiled["exp", False]
    x = np.concatenate([-np.linspace(708.0, 746.0, 400), [0.0, -0.0, 709.782, -1e300, -np.inf]])
    with np.errstate(under="ignore"):
        assert np.allclose(exp(x), np.exp(x), rtol=2e-16, atol=5e-324)
    assert np.array_equal(exp(np.array([709.79, 1e300, np.inf])), [np.inf] * 3)
    assert np.isnan(exp(np.array([np.nan]))[0])
    assert exp(np.array([0.0]))[0] == 1.0


def test_log_of_denormals_and_zero(compiled):
    x = np.array([0.0, 5e-324, 3e-310, 2.2250738585072014e-308, 1.0, 1.7976931348623157e308])
    got = compiled["log", False](x)
    assert got[0] == -np.inf
    assert got[4] == 0.0
    assert np.allclose(got[1:], np.log(x[1:]), rtol=3e-16, atol=0.0)


def test_log_ratio_is_exact_near_one_and_far_apart(rng):
    b = np.exp(rng.uniform(-200.0, 200.0, 4000))
    a = np.minimum(b * np.exp(np.repeat([1e-12, 1e-4, 1.0, 25.0], 1000) * rng.normal(size=4000)), 1e100)
    out = np.empty_like(a)
    ratios(a, b, out)
    for top, bottom, one in zip(a, b, out, strict=True):
        exact = mp.log(mp.mpf(float(top)) / mp.mpf(float(bottom)))
        assert abs(mp.mpf(float(one)) - exact) <= 4e-16 * abs(exact)


def test_log_ratio_limits():
    a, b = np.array([0.0, 1.0, 0.0, 3.0, 5e-324, 1e100]), np.array([2.0, 0.0, 0.0, 3.0, 1e100, 5e-324])
    out = np.empty_like(a)
    ratios(a, b, out)
    assert np.array_equal(out[:4], [-np.inf, np.inf, 0.0, 0.0])
    assert np.allclose(out[4:], np.array([-1.0, 1.0]) * (744.4400719213812 + 230.25850929940458), rtol=3e-16)


def test_tails_at_their_ends(compiled):
    assert np.array_equal(compiled["normal_tail", False](np.array([0.0, 1e25, -1e25])), [0.5, 0.0, 1.0])
    assert compiled["scaled_tail", False](np.array([0.0]))[0] == 1.0


def test_same_bits_at_every_place(compiled, rng):
    x = rng.uniform(0.1, 30.0, WIDTH)
    for (name, contracted), function in compiled.items():
        if not contracted:
            alone = np.concatenate([function(x[i : i + 1]) for i in range(40)])
            assert function(x)[:40].tobytes() == alone.tobytes(), name


def test_loops_are_vectorised(compiled, rng):
    """The machine code works on packed doubles (x86 and ARM)."""
    x = rng.uniform(0.1, 30.0, WIDTH)
    for (name, contracted), function in compiled.items():
        function(x)
        code = next(iter(function.loop.inspect_asm().values()))
        assert re.search(r"mulpd|fmadd\d*pd|fml[as]\s+v|fmul\s+v", code), (name, contracted)
