"""The truth in 60 digits (mpmath), and what an error is relative to."""

import mpmath as mp
import numpy as np
from numpy import ndarray
from samples import Options

GREEKS = ("delta", "gamma", "vega", "theta")
NAMES = ("price", *GREEKS)


def black(options: Options) -> tuple[dict[str, ndarray], dict[str, ndarray]]:
    """Price, delta, gamma, vega, theta rounded to doubles, and the size of the largest term of each."""
    values = {name: np.empty(options.size) for name in NAMES}
    terms = {name: np.empty(options.size) for name in NAMES}
    discount = np.broadcast_to(options.discount, options.size)
    with mp.workdps(60):
        for i in range(options.size):
            found, largest = _one(
                *(mp.mpf(float(column[i])) for column in (options.forward, options.strike)),
                *(mp.mpf(float(column[i])) for column in (options.volatility, options.time_to_expiry)),
                mp.mpf(float(discount[i])),
                1 if options.is_call[i] else -1,
            )
            for name in NAMES:
                values[name][i], terms[name][i] = float(found[name]), float(largest[name])
    return values, terms


def _one(
    F: mp.mpf, K: mp.mpf, sigma: mp.mpf, tau: mp.mpf, D: mp.mpf, side: int
) -> tuple[dict[str, mp.mpf], dict[str, mp.mpf]]:
    """V = ±D (F Φ(±d₁) − K Φ(±d₂)) and its derivatives to F, F twice, σ and −τ."""
    root = mp.sqrt(tau)
    s = sigma * root
    d1 = mp.log(F / K) / s + s / 2
    rate = -mp.log(D) / tau
    price = side * D * (F * normal(side * d1) - K * normal(side * (d1 - s)))
    density = D * mp.exp(-d1 * d1 / 2) / mp.sqrt(2 * mp.pi)
    decay = F * density * sigma / (2 * root)
    values = {
        "price": price,
        "delta": side * D * normal(side * d1),
        "gamma": density / (F * s),
        "vega": F * density * root,
        "theta": -decay + rate * price,
    }
    largest = {name: abs(value) for name, value in values.items()} | {"theta": max(decay, abs(rate * price))}
    return values, largest


def normal(x: mp.mpf) -> mp.mpf:
    """Φ(x) with a full relative tail."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def error(found: ndarray, right: ndarray, *, term: ndarray | None = None) -> ndarray:
    """Distance relative to the larger of |value| and its largest term; infinite where the answer is no number."""
    scale = np.abs(right) if term is None else np.maximum(np.abs(right), term)
    with np.errstate(all="ignore"):
        off = np.abs(found - right) / scale
    return np.where(np.isfinite(found), off, np.inf)
