"""Paths of several underlyings under the law of `market.heston`: one chain of regimes, random variance, jumps.

A step of h years takes the parameters of the regime at its end, and then draws for each underlying

    R     changes with probability leave_R / (leave₀ + leave₁) (1 − e^{−(leave₀ + leave₁) h})
    v     from Andersen's quadratic-exponential scheme: the mean and variance of the square-root process are exact,
          v′ = a (b + Z_v)² where the variance is at most 1.5 means squared, else 0 or exponential
    ln S  += K₀ + K₁ v + K₂ v′ + √(K₃ v + K₄ v′) Z + Σ J − λ_R h E[e^J − 1]  and, from R = 0, + 1{R′ = 1} L − K_L,
          K₁, K₂ = h/2 (κρ/σ − 1/2) ∓ ρ/σ,  K₃ = K₄ = h/2 (1 − ρ²),  and K₀, K_L such that the continuous
          part and the jump on entering are martingales exactly

Z, Z_v, J and L are correlated between the underlyings. All underlyings jump at the instants of a common process, and
each at instants of its own besides, with sizes of its own. What is drawn from a state
depends on that state alone, so that the law of what comes next can be sampled from any instant of a path.

Source: Andersen, "Simple and efficient simulation of the Heston stochastic volatility model" (2008), section 4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtr

from greekdrift.errors import ConfigError, InputError
from greekdrift.market.heston import Bates
from greekdrift.units import HOURS_PER_YEAR

Rows = Float[ndarray, "path underlying"]

SWITCH = 1.5
"""ψ, the variance over the squared mean, above which v′ is 0 or exponential."""


@dataclass(frozen=True, kw_only=True)
class Market:
    """The law of each underlying, and what ties them: `across` for both shocks, `jumps_across` for the jumps.

    The underlyings share the regimes, so `leave` must agree. Jumps at common instants have the rate (1 − own_jumps)
    times the least `jump_rate` of the underlyings; what is left of each one's rate comes at its own instants. Raises
    ConfigError where `leave` differs, and for correlations and shares outside [0, 1].
    """

    laws: tuple[Bates, ...]
    across: float = 0.8
    jumps_across: float = 0.8
    own_jumps: float = 0.0

    def __post_init__(self) -> None:
        if not self.laws:
            raise ConfigError("market: give the law of at least one underlying.")
        if len({(law.leave, len(law.mean)) for law in self.laws}) > 1:
            raise ConfigError("market: leave must be the same for all underlyings; they change regime together.")
        for name in ("across", "jumps_across", "own_jumps"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"market: {name} {getattr(self, name)} must lie in [0, 1].")

    @property
    def common_rate(self) -> Float[ndarray, " regime"]:
        """Rate of the jumps that hit every underlying, by regime."""
        return (1.0 - self.own_jumps) * np.min([law.jump_rate for law in self.laws], axis=0)

    @property
    def own_rate(self) -> Float[ndarray, "underlying regime"]:
        """Rate of the jumps of each underlying alone, by regime."""
        return np.array([law.jump_rate for law in self.laws]) - self.common_rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Regime, logarithm of the price (forward measure) and variance a year, of many paths at one instant."""

    regime: Int[ndarray, " path"]
    log_price: Rows
    variance: Rows

    def __post_init__(self) -> None:
        if self.log_price.shape != self.variance.shape or len(self.regime) != len(self.variance):
            raise InputError(
                f"paths: regime {self.regime.shape}, log_price {self.log_price.shape} and variance "
                f"{self.variance.shape} must have the same paths and underlyings."
            )
        if not (np.all(np.isfinite(self.log_price)) and np.all(self.variance >= 0.0)):
            raise InputError("paths: prices must be finite and variances at least 0.")

    def repeated(self, n: int) -> "Paths":
        """The first path, n times."""
        return Paths(
            regime=np.repeat(self.regime[:1], n),
            log_price=np.repeat(self.log_price[:1], n, axis=0),
            variance=np.repeat(self.variance[:1], n, axis=0),
        )


def start(market: Market, prices: Float[ndarray, " underlying"]) -> Paths:
    """One path in the first regime, each variance at its mean."""
    if len(prices) != len(market.laws) or not np.all(np.asarray(prices) > 0.0):
        raise InputError(f"give {len(market.laws)} positive prices, one for each law.")
    return Paths(
        regime=np.zeros(1, dtype=np.int64),
        log_price=np.log(np.asarray(prices, dtype=np.float64))[None],
        variance=np.array([[law.mean[0] for law in market.laws]]),
    )


def ahead(market: Market, paths: Paths, *, hours: float, rng: np.random.Generator, step_hours: float = 0.5) -> Paths:
    """The paths `hours` later, in equal steps of at most `step_hours`.

    >>> law = Bates(reversion=4.0, volatility=0.8, correlation=-0.5, mean=(0.25,))
    >>> market = Market(laws=(law,))
    >>> rng = np.random.default_rng(7)
    >>> later = ahead(market, start(market, np.array([100.0])).repeated(4000), hours=24.0, rng=rng)
    >>> bool(abs(np.exp(later.log_price).mean() - 100.0) < 0.2)
    True
    """
    if not (np.isfinite(hours) and hours >= 0.0 and step_hours > 0.0):
        raise InputError(f"hours {hours} must be at least 0 and step_hours {step_hours} positive.")
    count = int(np.ceil(hours / step_hours - 1e-9))
    for _ in range(count):
        paths = step(market, paths, hours / count, rng)
    return paths


def step(market: Market, paths: Paths, hours: float, rng: np.random.Generator) -> Paths:
    """The paths one step later, as the head of this module says."""
    years = hours / HOURS_PER_YEAR
    n, underlyings = paths.variance.shape
    if underlyings != len(market.laws):
        raise InputError(f"paths of {underlyings} underlyings do not fit a market of {len(market.laws)}.")
    uniform = rng.random((n,))
    own, common = rng.standard_normal((3, n, underlyings)), rng.standard_normal((3, n, 1))
    shares = np.array([market.across, market.across, market.jumps_across])[:, None, None]
    spot, variance, jump = np.sqrt(1.0 - shares) * own + np.sqrt(shares) * common
    regime = _regime(market.laws[0], paths.regime, years, uniform)
    count = rng.poisson(market.common_rate[regime] * years)
    moved = [
        _moved(law, regime, years, paths.variance[:, u], normals=(variance[:, u], spot[:, u]))
        for u, law in enumerate(market.laws)
    ]
    jumps = [
        count * law.jump_mean
        + np.sqrt(count) * law.jump_deviation * jump[:, u]
        - np.array(law.jump_rate)[regime] * years * law.compensator
        for u, law in enumerate(market.laws)
    ]
    log_price = paths.log_price + np.stack([one[1] for one in moved], axis=1) + np.stack(jumps, axis=1)
    if np.any(market.own_rate > 0.0):
        log_price += _own_jumps(market, regime, years, rng)
    if any(law.entry_mean != 0.0 or law.entry_deviation > 0.0 for law in market.laws):
        log_price += _entries(market, paths.regime, regime, years, rng)
    return Paths(regime=regime, log_price=log_price, variance=np.stack([one[0] for one in moved], axis=1))


def _own_jumps(market: Market, regime: Int[ndarray, " path"], years: float, rng: np.random.Generator) -> Rows:
    """Jumps at each underlying's own instants; the compensator of all its jumps is in the common part."""
    count = rng.poisson(market.own_rate[:, regime].T * years)
    normals = rng.standard_normal(count.shape)
    mean, deviation = (
        np.array([getattr(law, name) for law in market.laws]) for name in ("jump_mean", "jump_deviation")
    )
    made: Rows = count * mean + np.sqrt(count) * deviation * normals
    return made


def _entries(
    market: Market,
    before: Int[ndarray, " path"],
    after: Int[ndarray, " path"],
    years: float,
    rng: np.random.Generator,
) -> Rows:
    """The jump on entering the second regime, less ln(1 + p E[e^L − 1]) wherever it could have been entered."""
    own, common = rng.standard_normal((len(before), len(market.laws))), rng.standard_normal((len(before), 1))
    normals = np.sqrt(1.0 - market.jumps_across) * own + np.sqrt(market.jumps_across) * common
    mean, deviation, gain = (
        np.array([getattr(law, name) for law in market.laws])
        for name in ("entry_mean", "entry_deviation", "entry_compensator")
    )
    is_first = (before == 0)[:, None]
    is_entry = is_first & (after == 1)[:, None]
    certain = np.log1p(_leaving(market.laws[0], years)[0] * gain)
    return np.where(is_entry, mean + deviation * normals, 0.0) - np.where(is_first, certain, 0.0)


def _regime(
    law: Bates, regime: Int[ndarray, " path"], years: float, uniform: Float[ndarray, " path"]
) -> Int[ndarray, " path"]:
    if not law.leave or sum(law.leave) == 0.0:
        return regime
    return np.where(uniform < _leaving(law, years)[regime], 1 - regime, regime)


def _leaving(law: Bates, years: float) -> Float[ndarray, " regime"]:
    """Probability that a regime, once seen, is another one this much later."""
    total = sum(law.leave)
    return np.array(law.leave) / total * -np.expm1(-total * years)


def _moved(
    law: Bates,
    regime: Int[ndarray, " path"],
    years: float,
    v: Float[ndarray, " path"],
    *,
    normals: tuple[Float[ndarray, " path"], Float[ndarray, " path"]],
) -> tuple[Float[ndarray, " path"], Float[ndarray, " path"]]:
    """The next variance and the continuous part of the log return, a martingale as an exponential."""
    kappa, sigma, rho = law.reversion, law.volatility, law.correlation
    theta, fade = np.array(law.mean)[regime], np.exp(-kappa * years)
    mean = theta + (v - theta) * fade
    spread = sigma**2 / kappa * (1.0 - fade) * (v * fade + 0.5 * theta * (1.0 - fade))
    ratio = spread / mean**2
    is_quadratic = ratio <= SWITCH

    inverse = 2.0 / np.minimum(ratio, SWITCH)
    square = inverse - 1.0 + np.sqrt(inverse * (inverse - 1.0))
    scale = mean / (1.0 + square)
    wide = np.maximum(ratio, SWITCH)
    zero, rate = (wide - 1.0) / (wide + 1.0), 2.0 / (mean * (wide + 1.0))
    above = ndtr(-normals[0])
    tail = np.where(above < 1.0 - zero, np.log((1.0 - zero) / np.maximum(above, 1e-300)) / rate, 0.0)
    later = np.where(is_quadratic, scale * (np.sqrt(square) + normals[0]) ** 2, tail)

    half = 0.5 * years
    now_weight = half * (kappa * rho / sigma - 0.5) - rho / sigma
    later_weight = half * (kappa * rho / sigma - 0.5) + rho / sigma
    noise = half * (1.0 - rho**2)
    power = later_weight + 0.5 * noise
    if power > 0.0 and np.any(np.where(is_quadratic, 2.0 * scale * power, power / rate) >= 1.0):
        raise InputError(f"a step of {years * HOURS_PER_YEAR:g} hours is too long for these parameters; shorten it.")
    quadratic = power * square * scale / (1.0 - 2.0 * power * scale) - 0.5 * np.log1p(-2.0 * power * scale)
    exponential = np.log(zero + rate * (1.0 - zero) / (rate - power))
    constant = -np.where(is_quadratic, quadratic, exponential) - (now_weight + 0.5 * noise) * v
    return later, constant + now_weight * v + later_weight * later + np.sqrt(noise * (v + later)) * normals[1]
