"""Vectorisation cannot be lost unseen: the compiled calculator beside numpy and scipy on 100,000 options.

Twice: beside the readable truth, which is numpy and scipy of the same accuracy (measured 17 to 25 times as slow), and
beside the textbook formulas without care for the wings (3.3 to 6.5 times, by what the allocator does with numpy's
temporaries). Compiled but scalar it would be 4 and 1. Processor time is taken in turns and the least of each kept, so
that neighbours count little and alike on either side; a test ends as soon as its ratio shows.
"""

from collections.abc import Callable
from time import process_time

import numpy as np
import pytest
from numba import config
from scipy.special import ndtr

from greekdrift.greeks import black, compute

NAMES = ("price", "delta", "gamma", "vega", "theta")
N_OPTIONS = 100_000
ROUNDS = range(2, 40)
"""Fewest and most turns."""
IN_A_ROW = 5
"""Calls of a turn, so that each finds its own memory warm."""

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="numba does not compile: NUMBA_DISABLE_JIT is set")


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    time, volatility = np.exp(rng.uniform(-9.0, 0.7, N_OPTIONS)), np.exp(rng.uniform(-3.0, 1.1, N_OPTIONS))
    forward = np.exp(rng.uniform(2.0, 11.0, N_OPTIONS))
    return {
        "forward": forward,
        "strike": forward * np.exp(rng.uniform(-5.0, 5.0, N_OPTIONS) * volatility * np.sqrt(time)),
        "volatility": volatility,
        "time_to_expiry": time,
        "is_call": rng.random(N_OPTIONS) < 0.5,
    }


def textbook(
    forward: np.ndarray, strike: np.ndarray, volatility: np.ndarray, time_to_expiry: np.ndarray, is_call: np.ndarray
) -> dict[str, np.ndarray]:
    root = np.sqrt(time_to_expiry)
    s, side = volatility * root, np.where(is_call, 1.0, -1.0)
    d1 = np.log(forward / strike) / s + 0.5 * s
    inner, density = ndtr(side * d1), np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    return {
        "price": side * (forward * inner - strike * ndtr(side * (d1 - s))),
        "delta": side * inner,
        "gamma": density / (forward * s),
        "vega": forward * density * root,
        "theta": -0.5 * forward * density * volatility / root,
    }


def ratio(slow: Callable[[], object], fast: Callable[[], object], *, enough: float) -> float:
    """Least processor time of `slow` over that of `fast`, as soon as it is enough or after all rounds."""
    least = [np.inf, np.inf]
    slow(), fast()
    for turn in range(ROUNDS.stop):
        for at, call in enumerate((slow, fast)):
            for _ in range(IN_A_ROW):
                began = process_time()
                call()
                least[at] = min(least[at], process_time() - began)
        if turn >= ROUNDS.start and least[0] >= enough * least[1]:
            break
    return least[0] / least[1]


def readable(**at: np.ndarray) -> list[np.ndarray]:
    options = black.options(**at)
    return [getattr(black, name)(options) for name in NAMES]


@pytest.mark.parametrize("is_strict", [False, True], ids=["contracted", "strict"])
@pytest.mark.parametrize(("slow", "enough"), [(readable, 10.0), (textbook, 2.5)], ids=["readable", "textbook"])
def test_price_and_four_greeks_are_many_times_as_fast_as_numpy_and_scipy(slow, enough, is_strict):
    at = columns()
    fast = lambda: compute(NAMES, **at, deterministic=is_strict, threads=1)  # noqa: E731
    assert ratio(lambda: slow(**at), fast, enough=enough) >= enough


def test_both_say_the_same():
    at = columns()
    found, right = compute(NAMES, **at), textbook(**at)
    for name in NAMES:
        # the textbook price cancels in the wings, by the last bits of the forward
        least = 1e-10 if name == "price" else 0.0
        assert np.all(np.abs(found[name] - right[name]) <= 1e-9 * np.abs(right[name]) + least), name
