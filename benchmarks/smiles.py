"""Fitting: one raw SVI slice of 40 quotes beside scipy and peers, and a whole chain from quotes to a surface."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.optimize import least_squares
from stopwatch import race

from greekdrift.greeks import compute, implied_volatility
from greekdrift.surface import calibrate, fit, svi

QUOTES = 40
DAYS = (1.0, 2.0, 3.0, 9.0, 16.0, 23.0, 37.0, 65.0, 93.0, 184.0, 275.0, 366.0)
"""Twelve expiries, as a venue lists them."""
START = (0.5, 0.3, -0.2, 0.0, 1.0)
"""Level, slope, tilt, shift and smoothness in units of the at-the-money deviation: where scipy begins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smile:
    """Volatilities of one expiry at log-moneyness k, with a little noise."""

    k: ndarray
    volatility: ndarray
    time_to_expiry: float


def smile(days: float, *, seed: int, noise: float = 0.001) -> Smile:
    """A skewed raw SVI smile of 40 quotes within ±2.5 deviations, seen with noise of 0.1 volatility points."""
    tau = days / 365.0
    theta = 0.55**2 * tau
    z = np.linspace(-2.5, 2.5, QUOTES)
    w = theta * (0.55 + 0.35 * (-0.25 * (z - 0.1) + np.sqrt((z - 0.1) ** 2 + 1.3)))
    seen = np.sqrt(w / tau) + np.random.default_rng(seed).normal(0.0, noise, QUOTES)
    return Smile(k=z * np.sqrt(theta), volatility=seen, time_to_expiry=tau)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A fit that is timed, and the volatilities of its answer at the quotes, which are not."""

    fit: Callable[[], Any]
    read: Callable[[Any], ndarray]


def slices(*, rounds: int) -> dict[str, dict[str, object]]:
    """Microseconds of one fit of 40 quotes without constraints, and its root mean square error in volatility points."""
    one = smile(30.0, seed=5)
    ways = {
        "greekdrift": _ours(one),
        "greekdrift, no butterflies": _our_constrained(one),
        "scipy least_squares lm": _scipy(one),
    }
    ways |= {name: way for name, way in (("QuantLib", _quantlib(one)), ("fast-vollib", _fast_vollib(one))) if way}
    timings = race({name: way.fit for name, way in ways.items()}, rounds=rounds)
    return {
        f"SVI slice: {name}": {
            "microseconds": timing.least * 1e6,
            "ratio": timing.least / timings["greekdrift"].least,
            "RMSE, vol points": 100.0 * _error(ways[name].read(ways[name].fit()), one.volatility),
        }
        for name, timing in timings.items()
    }


def _error(found: ndarray, seen: ndarray) -> float:
    return float(np.sqrt(np.mean((found - seen) ** 2)))


def _ours(one: Smile) -> Way:
    weight = np.ones(one.k.size)
    return Way(
        fit=lambda: calibrate.free(one.k, one.volatility, weight, one.time_to_expiry),
        read=lambda p: np.sqrt(curve(p, one.k) / one.time_to_expiry),
    )


def _our_constrained(one: Smile) -> Way:
    return Way(
        fit=lambda: fit.parameters(one.k, one.volatility, one.time_to_expiry),
        read=lambda found: svi.volatility(one.k, one.time_to_expiry, found),
    )


def curve(p: ndarray, z: ndarray) -> ndarray:
    """Raw SVI total variance, a + b (ρ(z − m) + √((z − m)² + s²))."""
    return p[0] + p[1] * (p[2] * (z - p[3]) + np.hypot(z - p[3], p[4]))


def _reference(one: Smile) -> float:
    return float(np.interp(0.0, one.k, one.volatility))


def _scipy(one: Smile) -> Way:
    """Levenberg-Marquardt of MINPACK with an analytic Jacobian, in the units that suit it best."""
    reference = _reference(one)
    z, y = one.k / (reference * np.sqrt(one.time_to_expiry)), one.volatility / reference

    def residuals(p: ndarray) -> ndarray:
        return np.sqrt(np.maximum(curve(p, z), 1e-12)) - y

    def jacobian(p: ndarray) -> ndarray:
        d = z - p[3]
        radius = np.hypot(d, p[4])
        by = (np.ones_like(z), p[2] * d + radius, p[1] * d, -p[1] * (p[2] + d / radius), p[1] * p[4] / radius)
        return np.stack(by, axis=1) * (0.5 / np.sqrt(np.maximum(curve(p, z), 1e-12)))[:, None]

    return Way(
        fit=lambda: least_squares(residuals, START, jac=jacobian, method="lm", xtol=1e-10, ftol=1e-10, gtol=1e-10).x,
        read=lambda found: reference * np.sqrt(np.maximum(curve(found, z), 0.0)),
    )


def _quantlib(one: Smile) -> Way | None:
    try:
        ql = import_module("QuantLib")
    except ImportError:
        return None
    today = ql.Date(1, 6, 2025)
    ql.Settings.instance().evaluationDate = today
    expiry, strikes, seen = today + round(one.time_to_expiry * 365.0), np.exp(one.k).tolist(), one.volatility.tolist()
    atm = _reference(one)
    root = atm * float(np.sqrt(one.time_to_expiry))

    def solve() -> object:
        start, free = (0.5 * root * root, 0.3 * root, root, -0.2, 0.0), (False,) * 5
        section = ql.SviInterpolatedSmileSection(expiry, 1.0, strikes, False, atm, seen, *start, *free, False)
        section.rmsError()  # the calibration is lazy
        return section

    return Way(fit=solve, read=lambda section: np.array([section.volatility(strike) for strike in strikes]))


def _fast_vollib(one: Smile) -> Way | None:
    try:
        fitting, surface = import_module("fast_vollib.surface.fitting"), import_module("fast_vollib.surface")
    except ImportError:
        return None
    calibrator = fitting.SVICalibrator(objective="implied_volatility", n_starts=1)
    seen = surface.SurfaceObservations(k=one.k, T=np.full(one.k.size, one.time_to_expiry), iv=one.volatility)
    return Way(
        fit=lambda: calibrator.fit(seen).slices[0],
        read=lambda found: np.sqrt(np.asarray(found.total_variance(one.k)) / one.time_to_expiry),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quoted:
    """Out-of-the-money bids and asks of 12 expiries × 40 strikes, one row a quote, nearest expiry first."""

    forward: ndarray
    strike: ndarray
    time_to_expiry: ndarray
    is_call: ndarray
    bid: ndarray
    ask: ndarray

    @property
    def mark(self) -> ndarray:
        """Middle of bid and ask."""
        return 0.5 * (self.bid + self.ask)


def quoted() -> Quoted:
    """Smiles with noise of 0.3 volatility points on forwards of about 100,000, quoted 1 % to either side."""
    smiles = [smile(day, seed=10 + at, noise=0.003) for at, day in enumerate(DAYS)]
    tau = np.repeat([one.time_to_expiry for one in smiles], QUOTES)
    forward = 100_000.0 * (1.0 + 0.04 * tau)
    strike = forward * np.exp(np.concatenate([one.k for one in smiles]))
    at = {"forward": forward, "strike": strike, "time_to_expiry": tau, "is_call": strike >= forward}
    volatility = np.concatenate([one.volatility for one in smiles])
    price = compute(["price"], **at, volatility=volatility)["price"]
    return Quoted(**at, bid=0.99 * price, ask=1.01 * price)


def chain(*, rounds: int) -> dict[str, dict[str, object]]:
    """Milliseconds from the quotes of a chain to implied volatilities to a surface, and where it admits arbitrage."""
    seen = quoted()
    columns = {name: getattr(seen, name) for name in Quoted.__slots__}
    ways = {"greekdrift": Way(fit=lambda: fit.surface_of(**columns), read=lambda sheet: sheet.parameters)}
    with suppress(ImportError):
        ways["iv-engine, then scipy lm a slice"] = _pieces(import_module("iv_engine"), seen)
    timings = race({name: way.fit for name, way in ways.items()}, rounds=rounds)
    found = {}
    for name, timing in timings.items():
        butterflies, calendars = violations(ways[name].read(ways[name].fit()), np.unique(seen.time_to_expiry))
        found[f"chain {len(DAYS)} x {QUOTES}: {name}"] = {
            "microseconds": timing.least * 1e6,
            "ratio": timing.least / timings["greekdrift"].least,
            "slices with butterflies": butterflies,
            "pairs that cross": calendars,
        }
    return found


def _pieces(engine: ModuleType, seen: Quoted) -> Way:
    """The best parts one could put together: implied volatilities side by side, then each slice for itself."""
    calls, puts = seen.is_call, ~seen.is_call

    def solve() -> list[ndarray]:
        volatility = np.empty(calls.size)
        for mask, side in ((calls, True), (puts, False)):
            columns = (seen.mark[mask], seen.forward[mask], seen.strike[mask], seen.time_to_expiry[mask])
            volatility[mask] = engine.implied_volatilities(*columns, side, False)
        k = np.log(seen.strike / seen.forward)
        return [
            _scipy(
                Smile(k=k[rows], volatility=volatility[rows], time_to_expiry=float(seen.time_to_expiry[rows][0]))
            ).fit()
            for rows in (slice(first, first + QUOTES) for first in range(0, calls.size, QUOTES))
        ]

    def read(found: list[ndarray]) -> ndarray:
        raw = []
        for at, p in enumerate(found):
            rows = slice(at * QUOTES, (at + 1) * QUOTES)
            k, tau = np.log(seen.strike[rows] / seen.forward[rows]), seen.time_to_expiry[rows][0]
            root = _reference(Smile(k=k, volatility=_mid_volatility(seen, rows), time_to_expiry=tau)) * np.sqrt(tau)
            raw.append((root * root * p[0], root * p[1], p[2], root * p[3], root * p[4]))
        return np.array(raw)

    return Way(fit=solve, read=read)


def _mid_volatility(seen: Quoted, rows: slice) -> ndarray:
    at = {name: getattr(seen, name)[rows] for name in ("forward", "strike", "time_to_expiry", "is_call")}
    return implied_volatility(seen.mark[rows], **at)


def violations(parameters: ndarray, time_to_expiry: ndarray) -> tuple[int, int]:
    """Slices whose density factor g is negative, and neighbours that cross, within ±5 deviations of each (of both).

    Source: Gatheral & Jacquier (2014), lemma 2.2 and definition 2.3; looked at on 2,001 points.
    """
    butterflies, calendars = 0, 0
    deviations = [float(np.sqrt(curve(p, np.zeros(1))[0])) for p in parameters]
    for at, (p, deviation) in enumerate(zip(parameters, deviations, strict=True)):
        k = np.linspace(-5.0, 5.0, 2001) * deviation
        w, radius = curve(p, k), np.hypot(k - p[3], p[4])
        w1, w2 = p[1] * (p[2] + (k - p[3]) / radius), p[1] * p[4] ** 2 / radius**3
        g = (1.0 - 0.5 * k * w1 / w) ** 2 - 0.25 * w1**2 * (1.0 / w + 0.25) + 0.5 * w2
        butterflies += bool(g.min() < -1e-12)
        if at + 1 < time_to_expiry.size:
            calendars += bool(np.any(curve(parameters[at + 1], k) < w * (1.0 - 1e-9)))
    return butterflies, calendars
