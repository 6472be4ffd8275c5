"""The law of the simulator: two regimes, stochastic volatility, jumps, and a surface that is a function of the state.

The hidden state is the regime R (calm 0, stressed 1, one for all underlyings) and six factors per underlying:
x = (ln S, level, slope, skew, curvature, basis). Time moves in steps of δ = 30 minutes (dt in years of 365 days), and
the law *is* this chain of steps, so that sampling from any snapshot onwards is exact:

    R        leaves regime r within a step with probability 1 − exp(−leave_r dt)
    ln S     += drift dt − σ²dt/2 + σ √dt z₀ + J − λ_R dt E[e^J − 1],   σ = premium · exp(level + s(slope))
    others   x ← m_R + (x − m_R) e^{−κ_R dt} + ν_R √((1 − e^{−2κ_R dt}) / (2κ_R)) z      (exact Ornstein-Uhlenbeck step)
    jump     with probability 1 − exp(−λ_R dt), for all underlyings at once: J = common + own, both normal;
             level += level_jump |J|,  slope += slope_jump |J|

z is normal with correlation A_R between the factors times B between the underlyings (a Kronecker product). All
parameters of a step are those of the regime at its end. Per-regime values are given as (calm, stressed).

The surface is SSVI (Gatheral & Jacquier 2014), free of butterfly and calendar arbitrage at every state:

    θ(T) = T exp(2 (level + s g(T))),   g(T) = e^{−T/T₀},   s = S_max tanh(slope / S_max),   S_max < e/2
    w(k, T) = θ/2 (1 + ρφk + √((φk + ρ)² + 1 − ρ²)),   φ = η / (θ^γ (1 + θ)^{1−γ}),   γ ≤ 1/2
    ρ = tanh(skew),   η = 2 / (1 + |ρ|) / (1 + e^{−curvature})
    F(T) = S e^{basis · T}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.errors import ConfigError
from greekdrift.surface.state import FACTORS, PILLARS
from greekdrift.surface.svi import Parameters
from greekdrift.units import DAYS_PER_YEAR, HOURS_PER_YEAR

STEP_HOURS = 0.5
STEP_YEARS = STEP_HOURS / HOURS_PER_YEAR
STEEPEST = 1.3
"""S_max: with |s| < e/2 total variance grows in time, since T·g′(T) ≥ −1/e."""
GAMMA = 0.4
SHORTEST_YEARS = 0.25 / DAYS_PER_YEAR
"""Expiries under six hours are no part of the state (as in `surface.state`)."""

SPOT, LEVEL, SLOPE, SKEW, CURVATURE, BASIS = range(6)

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Law:
    """Parameters, per regime (calm, stressed), volatilities and rates per year; the defaults look like large coins.

    `leave`: rate of leaving the regime. `mean`, `reversion`, `volatility` of level, slope, skew, curvature, basis.
    `spot_with` are the correlations of the spot shock with those five, `level_slope` that of level and slope;
    `across` that of one factor between two underlyings. `jump_rate`, `jump_mean`, `jump_common`, `jump_own`: rate,
    mean and standard deviations of the log jump.
    """

    leave: Pair = (8.0, 45.0)
    drift: Pair = (0.0, 0.0)
    premium: float = 0.9
    slope_years: float = 45.0 / DAYS_PER_YEAR
    mean: tuple[Pair, Pair, Pair, Pair, Pair] = (
        (-0.65, -0.45),
        (-0.05, 0.25),
        (-0.20, -0.50),
        (-0.4, 0.0),
        (0.05, 0.0),
    )
    reversion: tuple[Pair, Pair, Pair, Pair, Pair] = (
        (5.0, 15.0),
        (25.0, 60.0),
        (20.0, 40.0),
        (20.0, 40.0),
        (15.0, 30.0),
    )
    volatility: tuple[Pair, Pair, Pair, Pair, Pair] = ((0.5, 1.0), (1.0, 2.5), (1.0, 2.0), (1.5, 2.5), (0.1, 0.25))
    spot_with: tuple[Pair, Pair, Pair, Pair, Pair] = ((-0.2, -0.6), (-0.2, -0.5), (0.3, 0.4), (0.0, -0.1), (0.2, 0.3))
    level_slope: Pair = (0.3, 0.4)
    across: float = 0.8
    jump_rate: Pair = (8.0, 60.0)
    jump_mean: float = -0.012
    jump_common: float = 0.025
    jump_own: float = 0.010
    level_jump: float = 0.6
    slope_jump: float = 2.0

    def __post_init__(self) -> None:
        positive = [*self.leave, self.slope_years, self.premium, *self.jump_rate]
        positive += [value for pair in (*self.reversion, *self.volatility) for value in pair]
        if not all(value > 0.0 for value in positive):
            raise ConfigError("law: rates, reversions, volatilities, premium and slope_years must be positive.")
        if not 0.0 <= self.across < 1.0:
            raise ConfigError(f"law: across {self.across} must lie in [0, 1).")
        if np.any(np.linalg.eigvalsh(self.correlation) < 1e-9):
            raise ConfigError("law: spot_with and level_slope make no correlation matrix; move them towards 0.")

    @cached_property
    def correlation(self) -> Float[ndarray, "2 6 6"]:
        """Correlation of the shocks of the six factors, by regime."""
        made = np.stack([np.eye(6), np.eye(6)])
        for factor, pair in enumerate(self.spot_with, start=1):
            made[:, SPOT, factor] = made[:, factor, SPOT] = pair
        made[:, LEVEL, SLOPE] = made[:, SLOPE, LEVEL] = self.level_slope
        return made

    @cached_property
    def compensator(self) -> float:
        """E[e^J − 1] of one jump."""
        return exp(self.jump_mean + 0.5 * (self.jump_common**2 + self.jump_own**2)) - 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hidden:
    """Regimes and factors of many paths at one instant; factors as in the head of this module."""

    regime: Int[ndarray, " path"]
    factors: Float[ndarray, "path underlying 6"]

    def repeated(self, n: int) -> "Hidden":
        """The first path, n times."""
        return Hidden(regime=np.repeat(self.regime[:1], n), factors=np.repeat(self.factors[:1], n, axis=0))


@lru_cache(maxsize=16)
def roots(law: Law, underlyings: int) -> tuple[Float[ndarray, "2 6 6"], Float[ndarray, "underlying underlying"]]:
    """Lower Cholesky factors of the correlations between the factors (by regime) and between the underlyings."""
    shared = np.full((underlyings, underlyings), law.across) + (1.0 - law.across) * np.eye(underlyings)
    return np.linalg.cholesky(law.correlation), np.linalg.cholesky(shared)


def step(law: Law, hidden: Hidden, rng: np.random.Generator) -> Hidden:
    """The hidden state one step of 30 minutes later, path by path."""
    n, underlyings, _ = hidden.factors.shape
    between_factors, between_underlyings = roots(law, underlyings)
    normals = rng.standard_normal((n, 6, underlyings))
    uniform = rng.random((n, 2))
    jumps = rng.standard_normal((n, underlyings + 1))

    leaves = uniform[:, 0] < -np.expm1(-np.array(law.leave) * STEP_YEARS)[hidden.regime]
    regime = np.where(leaves, 1 - hidden.regime, hidden.regime)
    shocks = np.swapaxes(between_factors[regime] @ normals @ between_underlyings.T, 1, 2)

    x = hidden.factors
    rate = np.array(law.jump_rate)[regime]
    jumped = (uniform[:, 1] < -np.expm1(-rate * STEP_YEARS))[:, None]
    size = law.jump_mean + law.jump_common * jumps[:, :1] + law.jump_own * jumps[:, 1:]
    jump = np.where(jumped, size, 0.0)

    sigma = spot_volatility(law, x)
    drift = np.array(law.drift)[regime] - rate * law.compensator
    moved = np.empty_like(x)
    moved[..., SPOT] = (
        x[..., SPOT]
        + (drift[:, None] - 0.5 * sigma**2) * STEP_YEARS
        + sigma * np.sqrt(STEP_YEARS) * shocks[..., SPOT]
        + jump
    )
    mean, reversion, volatility = (np.array(table)[:, regime].T for table in (law.mean, law.reversion, law.volatility))
    decay = np.exp(-reversion * STEP_YEARS)[:, None, :]
    deviation = (volatility * np.sqrt(-np.expm1(-2.0 * reversion * STEP_YEARS) / (2.0 * reversion)))[:, None, :]
    centre = mean[:, None, :]
    moved[..., LEVEL:] = centre + (x[..., LEVEL:] - centre) * decay + deviation * shocks[..., LEVEL:]
    moved[..., LEVEL] += law.level_jump * np.abs(jump)
    moved[..., SLOPE] += law.slope_jump * np.abs(jump)
    return Hidden(regime=regime, factors=moved)


def start(law: Law, prices: Float[ndarray, " underlying"]) -> Hidden:
    """One path that begins in the calm regime at its means."""
    calm = [pair[0] for pair in law.mean]
    factors = np.array([[np.log(price), *calm] for price in prices])
    return Hidden(regime=np.zeros(1, dtype=np.int64), factors=factors[None])


def spot_volatility(law: Law, factors: Float[ndarray, "... 6"]) -> Float[ndarray, "..."]:
    """Volatility of the continuous part of the spot: premium × the at-the-money volatility as T → 0."""
    return law.premium * np.exp(factors[..., LEVEL] + bounded(factors[..., SLOPE]))


def bounded(slope: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """The slope that the surface uses, s = S_max tanh(slope / S_max)."""
    return STEEPEST * np.tanh(slope / STEEPEST)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smiles:
    """SSVI slices of many states: θ and φ with axes (..., expiry), ρ with axes (..., 1)."""

    theta: Float[ndarray, "... expiry"]
    phi: Float[ndarray, "... expiry"]
    rho: Float[ndarray, "... 1"]

    def total_variance(self, k: Float[ndarray, "... expiry"]) -> Float[ndarray, "... expiry"]:
        """w(k) = θ/2 (1 + ρφk + √((φk + ρ)² + 1 − ρ²))."""
        along = self.phi * k
        return 0.5 * self.theta * (1.0 + self.rho * along + np.sqrt((along + self.rho) ** 2 + 1.0 - self.rho**2))

    def raw(self, expiry: int) -> Parameters:
        """The same slice as raw SVI parameters, of a single state (axes (expiry,))."""
        theta, phi, rho = float(self.theta[expiry]), float(self.phi[expiry]), float(self.rho[0])
        return Parameters(
            a=0.5 * theta * (1.0 - rho**2),
            b=0.5 * theta * phi,
            rho=rho,
            m=-rho / phi,
            s=float(np.sqrt(1.0 - rho**2)) / phi,
        )


def smiles(law: Law, factors: Float[ndarray, "... 6"], years: Float[ndarray, " expiry"]) -> Smiles:
    """The slices of each state at times to expiry in years."""
    slope = bounded(factors[..., SLOPE])[..., None]
    atm = np.exp(factors[..., LEVEL][..., None] + slope * np.exp(-years / law.slope_years))
    theta = atm**2 * years
    rho = np.tanh(factors[..., SKEW])[..., None]
    eta = 2.0 / (1.0 + np.abs(rho)) / (1.0 + np.exp(-factors[..., CURVATURE][..., None]))
    return Smiles(theta=theta, phi=eta / (theta**GAMMA * (1.0 + theta) ** (1.0 - GAMMA)), rho=rho)


def state_values(
    law: Law, factors: Float[ndarray, "... 6"], years: Float[ndarray, " expiry"]
) -> Float[ndarray, "... factor"]:
    """The factors of `surface.state` of each hidden state, given the times to the listed expiries.

    The same map as `surface.state.factors` on the exact slices: σ² τ at z = −1, 0, +1 linear in τ between expiries,
    volatility flat outside, expiries under six hours left out.
    """
    kept = counted(years)
    slices = smiles(law, factors, kept)
    totals = [slices.total_variance(z * np.sqrt(slices.theta)) for z in (0.0, -1.0, 1.0)]
    return values_of(totals, kept, spot=factors[..., SPOT], basis=factors[..., BASIS])


def counted(years: Float[ndarray, " expiry"]) -> Float[ndarray, " expiry"]:
    """The times to expiry that a state is made of: six hours and more, or all where there are none."""
    return years[years >= SHORTEST_YEARS] if np.any(years >= SHORTEST_YEARS) else years


def values_of(
    totals: Sequence[Float[ndarray, "... expiry"]],
    years: Float[ndarray, " expiry"],
    *,
    spot: Float[ndarray, "..."],
    basis: Float[ndarray, "..."],
) -> Float[ndarray, "... factor"]:
    """The factors of `surface.state` from σ²τ at z = 0, −1 and +1 of the counted expiries, ln S and the basis."""
    inside = np.clip(np.array(PILLARS) / DAYS_PER_YEAR, years[0], years[-1])
    weights = np.stack([np.interp(inside, years, unit) for unit in np.eye(len(years))], axis=1) / inside[:, None]
    middle, down, up = (0.5 * np.log(total @ weights.T) for total in totals)
    spot, basis = spot[..., None], basis[..., None]
    values = np.concatenate([spot, middle, 0.5 * (up - down), 0.5 * (up + down) - middle, basis], axis=-1)
    if values.shape[-1] != len(FACTORS):
        raise ConfigError(f"the simulator makes {values.shape[-1]} factors, surface.state has {len(FACTORS)}.")
    return values
