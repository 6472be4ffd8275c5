"""Option values when variance is random: Heston (1993), Bates (1996), and both with regimes, by one integral.

Under the pricing measure, with the regime R a Markov chain and x = ln(S/F):

    dS/S = √v dW + (e^J − 1) dN − λ_R E[e^J − 1] dt,          J normal, N of rate λ_R
    dv   = κ (θ_R − v) dt + σ √v dZ,                          dW dZ = ρ dt
    and S jumps by e^L − 1 when R goes from 0 to 1, L normal, compensated by −q₀ E[e^L − 1] dt while R = 0

κ, σ, ρ are the same in all regimes, so that the characteristic function stays affine in v:

    φ(u) = E[e^{iux}] = a_R(u, T) e^{D(u, T) v}
    D = (β − d)/σ² · (1 − e^{−dT}) / (1 − g e^{−dT}),   β = κ − iρσu,  d = √(β² + σ²(u² + iu)),  g = (β − d)/(β + d)
    a′ = (Q_u + diag(κ θ_R D + λ_R j(u))) a,  a(0) = 1,        j = E[e^{iuJ}] − 1 − iu E[e^J − 1]

The form of D is the one of Albrecher et al. (2007), without the jump of the logarithm. Q_u is the generator of the
chain, (−q₀ (1 + iu E[e^L − 1]), q₀ E[e^{iuL}]; q₁, −q₁), that of the chain alone where L = 0; a is found with the
integral of D in closed form, by products of 2 × 2 exponentials on steps that are short where D moves (Magnus, fourth
order: the commutator enters as its first moment, h²/12 times the change of D). A value
is the one of Black plus the difference of two integrals on Im u = −1/2 (Lewis 2001):

    V = V_Black(w) + D √(FK)/π ∫₀^∞ Re[e^{iu ln(F/K)} (φ_Black − φ)(u − i/2)] / (u² + 1/4) du
"""

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, pi, sqrt

import numpy as np
from jaxtyping import Bool, Complex, Float
from numpy import ndarray

from greekdrift.errors import CalculationError, ConfigError, InputError
from greekdrift.greeks import compute, implied_volatility

NODES = 24
"""Gauss-Legendre nodes in one panel of the integral."""
PHASE = 6.0
"""Radians by which e^{iu ln(F/K)} may turn within one panel."""
NEGLIGIBLE = 42.0
"""The integral ends where |φ| and φ_Black lie under e^−42."""
FURTHEST = 1e6
SMALLEST = 1e-7
"""Value of an option, in forwards, from which on a volatility is told."""
STEPS = 96
"""Steps in which the chain of regimes is integrated."""
MANY_PHASE, MANY_STEPS = 12.0, 48
"""The same two for `smiles`, which are tabulated: within four deviations they differ from `smile` by less than 5e-6."""


@dataclass(frozen=True, kw_only=True)
class Bates:
    """Parameters under the pricing measure, rates per year of 365 days; one regime and no jumps is Heston's model.

    `mean` and `jump_rate` hold θ and λ of each regime, `leave` the rate q of leaving each of two regimes (empty for
    one). `jump_mean` and `jump_deviation` are those of J, `entry_mean` and `entry_deviation` those of L, the jump on
    entering the second regime. Raises ConfigError for values that make no process.
    """

    reversion: float
    volatility: float
    correlation: float
    mean: tuple[float, ...]
    jump_rate: tuple[float, ...] = (0.0,)
    jump_mean: float = 0.0
    jump_deviation: float = 0.0
    leave: tuple[float, ...] = ()
    entry_mean: float = 0.0
    entry_deviation: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.reversion, self.volatility, self.correlation, self.jump_mean, self.jump_deviation)
        entry = (self.entry_mean, self.entry_deviation)
        if not all(isfinite(value) for value in (*numbers, *entry, *self.mean, *self.jump_rate, *self.leave)):
            raise ConfigError("bates: every parameter must be a finite number.")
        if not (self.reversion > 0.0 and self.volatility > 0.0 and all(value > 0.0 for value in self.mean)):
            raise ConfigError("bates: reversion, volatility and mean must be positive.")
        if not -1.0 < self.correlation < 1.0:
            raise ConfigError(f"bates: correlation {self.correlation} must lie within (-1, 1).")
        if min((*self.jump_rate, *self.leave, self.jump_deviation, self.entry_deviation)) < 0.0:
            raise ConfigError("bates: jump_rate, leave, jump_deviation and entry_deviation must be at least 0.")
        count = len(self.mean)
        if count not in (1, 2) or len(self.jump_rate) != count or len(self.leave) != (0 if count == 1 else 2):
            raise ConfigError(
                f"bates: {count} mean, {len(self.jump_rate)} jump_rate, {len(self.leave)} leave; "
                "give 1, 1, 0 for one regime or 2, 2, 2 for two."
            )
        if count == 1 and (self.entry_mean != 0.0 or self.entry_deviation != 0.0):
            raise ConfigError("bates: one regime is never entered; leave entry_mean and entry_deviation at 0.")

    @property
    def compensator(self) -> float:
        """E[e^J − 1] of one jump."""
        return float(np.expm1(self.jump_mean + 0.5 * self.jump_deviation**2))

    @property
    def entry_compensator(self) -> float:
        """E[e^L − 1] of the jump on entering the second regime."""
        return float(np.expm1(self.entry_mean + 0.5 * self.entry_deviation**2))


def characteristic(
    law: Bates, u: Complex[ndarray, " node"], *, years: float, variance: float, regime: int = 0
) -> Complex[ndarray, " node"]:
    """φ(u) = E[e^{iu ln(S_T/F)}] given the variance and the regime today; φ(0) = φ(−i) = 1.

    >>> law = Bates(reversion=4.0, volatility=1.0, correlation=-0.5, mean=(0.25,))
    >>> bool(abs(characteristic(law, np.array([-1j]), years=1.0, variance=0.04)[0] - 1.0) < 1e-14)
    True
    """
    slope, _ = _affine(law, u, np.array([years]))
    return _chain(law, u, years)[regime] * np.exp(slope[0] * variance)


def option_values(
    law: Bates,
    *,
    forward: float,
    strike: Float[ndarray, " strike"],
    years: float,
    variance: float,
    is_call: Bool[ndarray, " strike"],
    regime: int = 0,
    discount: float = 1.0,
) -> Float[ndarray, " strike"]:
    """Values of European options of one expiry, in the currency of the forward.

    Errors are about 1e-13 of the forward with one regime, up to 1e-8 at a year with two. Raises InputError for inputs
    that are not positive and finite (the variance may be 0), and CalculationError where the integral has no end in
    sight (hardly any variance or time).

    Example (A. Lewis, "Heston reference prices", 16.0701549170288342785):

    >>> law = Bates(reversion=4.0, volatility=1.0, correlation=-0.5, mean=(0.25,))
    >>> forward, discount = 100.0 * np.exp(0.01 - 0.02), np.exp(-0.01)
    >>> given = {"forward": forward, "discount": discount, "years": 1.0, "variance": 0.04}
    >>> call = option_values(law, strike=np.array([100.0]), is_call=np.array([True]), **given)
    >>> f"{call[0]:.10f}"
    '16.0701549170'
    """
    scalars = {"forward": forward, "years": years, "discount": discount}
    for name, value in scalars.items():
        if not (isfinite(value) and value > 0.0):
            raise InputError(f"{name} {value} must be positive and finite.")
    if not (isfinite(variance) and variance >= 0.0):
        raise InputError(f"variance {variance} must be at least 0 and finite.")
    strike = np.asarray(strike, dtype=np.float64)
    if not (np.all(np.isfinite(strike)) and np.all(strike > 0.0)):
        raise InputError("every strike must be positive and finite.")
    if not 0 <= regime < len(law.mean):
        raise InputError(f"regime {regime} must lie in 0 to {len(law.mean) - 1}.")
    total = variance_ahead(law, years=years, variance=variance, regime=regime)
    k = np.log(forward / strike)
    u, weight = _quadrature(_panels(law, years, variance, regime, total, float(np.max(np.abs(k), initial=0.0))))
    excess = np.exp(-0.5 * total * (u**2 + 0.25)) - characteristic(
        law, u - 0.5j, years=years, variance=variance, regime=regime
    )
    integral = (np.exp(1j * np.outer(k, u)) @ (weight * excess)).real
    black = compute(
        ("price",),
        forward=np.full(len(strike), forward),
        strike=strike,
        volatility=np.full(len(strike), sqrt(total / years)),
        time_to_expiry=np.full(len(strike), years),
        is_call=is_call,
        discount=discount,
    )["price"]
    return np.asarray(black + discount * np.sqrt(forward * strike) / pi * integral)


def smile(
    law: Bates,
    log_moneyness: Float[ndarray, " strike"],
    *,
    years: float,
    variance: float,
    regime: int = 0,
) -> Float[ndarray, " strike"]:
    """Black volatility at ln(K/F), from the side out of the money; NaN where the value is too small to hold one.

    >>> law = Bates(reversion=4.0, volatility=0.8, correlation=-0.5, mean=(0.25,))
    >>> smile(law, np.array([-0.2, 0.0, 0.2]), years=0.25, variance=0.25).round(4)
    array([0.5196, 0.4887, 0.4617])
    """
    k = np.asarray(log_moneyness, dtype=np.float64)
    strike, is_call = np.exp(k), k >= 0.0
    value = option_values(
        law, forward=1.0, strike=strike, is_call=is_call, years=years, variance=variance, regime=regime
    )
    made = np.full(len(k), np.nan)
    told = value > SMALLEST
    made[told] = implied_volatility(
        value[told], forward=1.0, strike=strike[told], time_to_expiry=years, is_call=is_call[told]
    )
    return made


def smiles(
    law: Bates, z: Float[ndarray, " z"], *, years: float, variance: Float[ndarray, " variance"]
) -> Float[ndarray, "regime variance z"]:
    """Black volatilities of one expiry in every regime and at many variances, at z = ln(K/F) / (σ_atm √T).

    The characteristic function is affine in the variance, so that one integration of the chain serves all of them; the
    nodes are those that the smallest variance and the largest strike need, so keep the variances within a decade. NaN
    where the value out of the money is too small to hold a volatility.

    >>> law = Bates(reversion=4.0, volatility=0.8, correlation=-0.5, mean=(0.25,))
    >>> found = smiles(law, np.array([-1.0, 0.0, 1.0]), years=0.25, variance=np.array([0.1, 0.25]))
    >>> at = np.array([-1.0, 0.0, 1.0]) * found[0, 1, 1] * 0.5
    >>> bool(np.allclose(found[0, 1], smile(law, at, years=0.25, variance=0.25), atol=1e-9))
    True
    """
    regimes, least = range(len(law.mean)), float(np.min(variance))
    total = np.array([[variance_ahead(law, years=years, variance=v, regime=r) for v in variance] for r in regimes])
    furthest = 1.5 * float(np.max(np.abs(z), initial=1.0) * np.sqrt(np.max(total)))
    edges = max(
        (_panels(law, years, least, r, float(total[r].min()), furthest, phase=MANY_PHASE) for r in regimes),
        key=lambda one: one[-1],
    )
    u, weight = _quadrature(edges)
    slope, _ = _affine(law, u - 0.5j, np.array([years]))
    chain = _chain(law, u - 0.5j, years, MANY_STEPS)
    made = np.full((len(law.mean), len(variance), len(z)), np.nan)
    for r in regimes:
        for at, v in enumerate(variance):
            excess = weight * (np.exp(-0.5 * total[r, at] * (u**2 + 0.25)) - chain[r] * np.exp(slope[0] * v))
            middle = _volatilities(np.zeros(1), u, excess, total[r, at], years)[0]
            made[r, at] = _volatilities(z * middle * sqrt(years), u, excess, total[r, at], years)
    return made


def variance_ahead(law: Bates, *, years: float, variance: float, regime: int = 0) -> float:
    """A total variance near the one expected until expiry, with jumps: the scale of the integral.

    Exact for one regime: ∫E[v] dt = θT + (v − θ)(1 − e^{−κT})/κ, plus λT E[J²]; with two the regime is kept.
    """
    mean = law.mean[regime]
    jumps = law.jump_rate[regime] * (law.jump_mean**2 + law.jump_deviation**2)
    fading = -np.expm1(-law.reversion * years) / law.reversion
    return float(mean * years + (variance - mean) * fading + jumps * years)


def _quadrature(edges: Float[ndarray, " edge"]) -> tuple[Float[ndarray, " node"], Float[ndarray, " node"]]:
    """Gauss-Legendre nodes on the panels, and their weights over u² + 1/4."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(edges)
    u = (edges[:-1, None] + half[:, None] * (1.0 + nodes)).ravel()
    return u, (half[:, None] * weights).ravel() / (u**2 + 0.25)


def _volatilities(
    log_moneyness: Float[ndarray, " strike"],
    u: Float[ndarray, " node"],
    excess: Complex[ndarray, " node"],
    total: float,
    years: float,
) -> Float[ndarray, " strike"]:
    """Volatilities out of the money from the weighted difference of two characteristic functions; F = 1."""
    strike, is_call = np.exp(log_moneyness), log_moneyness >= 0.0
    given = {"forward": 1.0, "strike": strike, "time_to_expiry": years, "is_call": is_call}
    black = compute(("price",), volatility=sqrt(total / years), **given)["price"]
    value = black + np.sqrt(strike) / pi * (np.exp(-1j * np.outer(log_moneyness, u)) @ excess).real
    made = np.full(len(strike), np.nan)
    told = value > SMALLEST * 1e-2
    given |= {"strike": strike[told], "is_call": is_call[told]}
    made[told] = implied_volatility(value[told], **given)
    return made


def _affine(
    law: Bates, u: Complex[ndarray, " node"], years: Float[ndarray, " time"]
) -> tuple[Complex[ndarray, "time node"], Complex[ndarray, "time node"]]:
    """D and its integral from 0, at each time."""
    beta = law.reversion - 1j * law.correlation * law.volatility * u
    d = np.sqrt(beta**2 + law.volatility**2 * (u**2 + 1j * u))
    small = -(law.volatility**2) * (u**2 + 1j * u) / (beta + d)  # β − d, without cancellation
    g = small / (beta + d)
    decay = np.exp(-d * years[:, None])
    slope = small / law.volatility**2 * (1.0 - decay) / (1.0 - g * decay)
    area = (small * years[:, None] - 2.0 * np.log1p(g * (1.0 - decay) / (1.0 - g))) / law.volatility**2
    return slope, area


def _jumps(law: Bates, u: Complex[ndarray, " node"]) -> Complex[ndarray, " node"]:
    """j(u) = E[e^{iuJ}] − 1 − iu E[e^J − 1]."""
    return np.expm1(1j * u * law.jump_mean - 0.5 * (law.jump_deviation * u) ** 2) - 1j * u * law.compensator


def _chain(
    law: Bates, u: Complex[ndarray, " node"], years: float, steps: int = STEPS
) -> Complex[ndarray, "regime node"]:
    """The vector a of the head of this module, by the regime today."""
    jump = _jumps(law, u)
    if len(law.mean) == 1:
        _, area = _affine(law, u, np.array([years]))
        return np.exp(law.reversion * law.mean[0] * area + law.jump_rate[0] * jump * years)
    times = years * np.linspace(0.0, 1.0, steps + 1) ** 3
    slope, area = _affine(law, u, times)
    entry = np.exp(1j * u * law.entry_mean - 0.5 * (law.entry_deviation * u) ** 2)
    left = (law.leave[0] * (1.0 + 1j * u * law.entry_compensator), law.leave[1])
    made = np.ones((2, len(u)), dtype=np.complex128)
    for at in range(steps):
        step, gain = times[at + 1] - times[at], area[at + 1] - area[at]
        own = [law.reversion * law.mean[r] * gain + (law.jump_rate[r] * jump - left[r]) * step for r in range(2)]
        turned = law.reversion * (law.mean[0] - law.mean[1]) * step**2 / 12.0 * (slope[at + 1] - slope[at])
        up, down = law.leave[0] * entry * (step + turned), law.leave[1] * (step - turned)
        made = _exponential(own[0], own[1], up, down, made)
    return made


def _exponential(
    first: Complex[ndarray, " node"],
    second: Complex[ndarray, " node"],
    up: Complex[ndarray, " node"],
    down: Complex[ndarray, " node"],
    on: Complex[ndarray, "2 node"],
) -> Complex[ndarray, "2 node"]:
    """exp([[first, up], [down, second]]) applied to a vector, node by node."""
    middle, gap = 0.5 * (first + second), 0.5 * (first - second)
    root = np.sqrt(gap**2 + up * down)
    tiny = np.abs(root) < 1e-6
    safe = np.where(tiny, 1.0, root)
    grow, shrink = np.exp(middle + safe), np.exp(middle - safe)
    even = np.where(tiny, np.exp(middle), 0.5 * (grow + shrink))
    odd = np.where(tiny, np.exp(middle), 0.5 * (grow - shrink) / safe)
    return np.stack(
        [even * on[0] + odd * (gap * on[0] + up * on[1]), even * on[1] + odd * (down * on[0] - gap * on[1])]
    )


def _panels(
    law: Bates, years: float, variance: float, regime: int, total: float, furthest: float, *, phase: float = PHASE
) -> Float[ndarray, " edge"]:
    """Edges of the panels: doubling from 1/4 on, none so long that the phase turns too far, until φ is negligible."""
    ends = 0.25 * 2.0 ** np.arange(np.ceil(np.log2(FURTHEST / 0.25)) + 1.0)
    size = np.abs(characteristic(law, ends - 0.5j, years=years, variance=variance, regime=regime))
    is_end = (size < np.exp(-NEGLIGIBLE)) & (0.5 * total * ends**2 > NEGLIGIBLE)
    if not np.any(is_end):
        raise CalculationError(
            f"heston: variance {variance} over {years} years decays too slowly to be integrated; raise either."
        )
    edges = [0.0, *ends[: int(np.argmax(is_end)) + 1]]
    pieces = [
        np.linspace(low, high, max(int(np.ceil((high - low) * furthest / phase)), 2) + 1)[:-1]
        for low, high in pairwise(edges)
    ]
    return np.concatenate([*pieces, [edges[-1]]])
