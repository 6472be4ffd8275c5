"""A truth in 60 digits for the calculator: every quantity in closed form with its largest term, and the options to try.

The closed forms are themselves held against numerical derivatives of the 60-digit price in `test_mpmath_greeks`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mpmath as mp
import numpy as np
import pytest

DIGITS = 60
Columns = Mapping[str, np.ndarray]
INPUTS = ("forward", "strike", "volatility", "time_to_expiry", "is_call", "discount")


def normal_below(x: mp.mpf) -> mp.mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact_terms(
    F: mp.mpf, K: mp.mpf, sigma: mp.mpf, tau: mp.mpf, D: mp.mpf, *, is_call: bool
) -> dict[str, tuple[mp.mpf, ...]]:
    """Terms of each quantity; the quantity is their sum. One logarithm, one exponential, two normal tails.

    A tail comes as erfc of a positive argument, so that neither a wing nor its complement loses digits.
    """
    side, root = (1 if is_call else -1), mp.sqrt(tau)
    s = sigma * root
    h, t = mp.log(F / K) / s, s / 2
    d1, d2 = h + t, h - t
    tails = [normal_below(-abs(d)) for d in (d1, d2)]
    upper = [tail if side * d < 0 else 1 - tail for tail, d in zip(tails, (d1, d2), strict=True)]
    density = D * mp.exp(-d1 * d1 / 2) / mp.sqrt(2 * mp.pi)
    rate = -mp.log(D) / tau if D != 1 else mp.mpf(0)
    # the out-of-the-money side, in the money by parity
    outside = [tail if (d < 0) == (F <= K) else 1 - tail for tail, d in zip(tails, (d1, d2), strict=True)]
    time_value = abs(F * outside[0] - K * outside[1])
    price = D * (max(side * (F - K), mp.mpf(0)) + time_value)
    delta, vega, gamma = side * D * upper[0], F * density * root, density / (F * s)
    over_two_tau = 1 / (2 * tau)
    return {
        "price": (price,),
        "delta": (delta,),
        "gamma": (gamma,),
        "vega": (vega,),
        "theta": (-vega * sigma * over_two_tau, rate * price),
        "rho": (side * tau * D * K * upper[1],),
        "vanna": (-density * root * h / s, density * root / 2),
        "volga": (vega * h * h / sigma, -vega * t * t / sigma),
        "charm": (density * h * over_two_tau, -density * t * over_two_tau, rate * delta),
        "veta": (rate * vega, -vega * over_two_tau, -vega * h * h * over_two_tau, vega * t * t * over_two_tau),
        "speed": (-gamma / F, -gamma * h / (F * s), -gamma / (2 * F)),
        "zomma": (gamma * h * h / sigma, -gamma * t * t / sigma, -gamma / sigma),
        "color": (rate * gamma, gamma * over_two_tau, -gamma * h * h * over_two_tau, gamma * t * t * over_two_tau),
        "strike_delta": (-side * D * upper[1],),
        "strike_gamma": (density * F / (K * K * s),),
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """Columns of exact values, rounded once to double, with the size of their largest terms."""

    value: Columns
    largest: Columns


def exact(options: Columns, names: tuple[str, ...]) -> Reference:
    """Exact quantities of a one-dimensional table of options; digits are added where the deviation is tiny."""
    rows = list(zip(*(np.broadcast_arrays(*(options[name] for name in INPUTS))), strict=True))
    value = {name: np.empty(len(rows)) for name in names}
    largest = {name: np.empty(len(rows)) for name in names}
    for i, (F, K, sigma, tau, is_call, D) in enumerate(rows):
        lost = max(0.0, -2.0 * np.log10(sigma * np.sqrt(tau)))
        with mp.workdps(DIGITS + int(lost)):
            numbers = (mp.mpf(float(x)) for x in (F, K, sigma, tau, D))
            terms = exact_terms(*numbers, is_call=bool(is_call))
            for name in names:
                value[name][i] = float(mp.fsum(terms[name]))
                largest[name][i] = float(max(abs(term) for term in terms[name]))
    return Reference(value=value, largest=largest)


def draw_options(seed: int, n: int, *, reach: float = 10.0) -> dict[str, np.ndarray]:
    """One hour to two years, 5 to 300 % volatility, within `reach` standard deviations; half of them discounted."""
    rng = np.random.default_rng(seed)
    forward = 10.0 ** rng.uniform(-2.0, 6.0, n)
    volatility = np.exp(rng.uniform(np.log(0.05), np.log(3.0), n))
    time_to_expiry = np.exp(rng.uniform(np.log(1.0 / 8760.0), np.log(2.0), n))
    kind, h = rng.integers(0, 10, n), rng.uniform(-reach, reach, n)
    h = np.where(kind == 0, rng.uniform(-0.1, 0.1, n), h)
    strike = forward * np.exp(h * volatility * np.sqrt(time_to_expiry))
    return {
        "forward": forward,
        "strike": np.where(kind == 1, forward * (1.0 + rng.integers(-8, 9, n) * 2.0**-52), strike),
        "volatility": volatility,
        "time_to_expiry": time_to_expiry,
        "is_call": rng.random(n) < 0.5,
        "discount": np.where(rng.random(n) < 0.5, 1.0, np.exp(rng.uniform(-0.3, 0.1, n) * time_to_expiry)),
    }


@pytest.fixture(scope="session")
def terms_of() -> Callable[..., dict[str, tuple[mp.mpf, ...]]]:
    return exact_terms


@pytest.fixture(scope="session")
def reference() -> Callable[[Columns, tuple[str, ...]], Reference]:
    return exact


@pytest.fixture(scope="session")
def draw() -> Callable[..., dict[str, np.ndarray]]:
    return draw_options
