"""Raw SVI: total variance of one expiry as a function of log-moneyness, and its derivatives."""

from dataclasses import astuple, dataclass
from math import isfinite, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import CalculationError

Curve = Float[ndarray, "*curve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The five parameters of a raw SVI slice: level a, slope b, tilt ρ, shift m, smoothness s.

    b ≥ 0, |ρ| < 1, s > 0 and a + b s √(1−ρ²) ≥ 0, so that total variance is nowhere negative.
    """

    a: float
    b: float
    rho: float
    m: float
    s: float

    def __post_init__(self) -> None:
        if not all(isfinite(value) for value in astuple(self)):
            raise CalculationError(f"raw SVI: {self} holds a value that is not a number.")
        if self.b < 0.0 or abs(self.rho) >= 1.0 or self.s <= 0.0:
            raise CalculationError(f"raw SVI: {self} needs b >= 0, |rho| < 1 and s > 0.")
        if self.minimum < -1e-12:
            raise CalculationError(f"raw SVI: {self} has negative total variance {self.minimum:.3g} at its minimum.")

    @property
    def minimum(self) -> float:
        """Least total variance, a + b s √(1−ρ²).

        >>> round(Parameters(a=0.04, b=0.1, rho=0.6, m=0.0, s=0.5).minimum, 12)
        0.08
        """
        return self.a + self.b * self.s * sqrt(1.0 - self.rho**2)

    @property
    def wings(self) -> tuple[float, float]:
        """Asymptotic |dw/dk| of the left and the right wing, b(1−ρ) and b(1+ρ).

        Lee (2004): no arbitrage at extreme strikes needs both at most 2.

        >>> Parameters(a=0.0, b=0.5, rho=-0.5, m=0.0, s=0.1).wings
        (0.75, 0.25)
        """
        return self.b * (1.0 - self.rho), self.b * (1.0 + self.rho)


def total_variance(log_moneyness: Curve, *, a: float, b: float, rho: float, m: float, s: float) -> Curve:
    """Total implied variance σ²τ at log-moneyness k = ln(K/F).

    w(k) = a + b (ρ(k−m) + √((k−m)² + s²))

    Source: Gatheral (2004), "A parsimonious arbitrage-free implied volatility parameterization".

    >>> total_variance(np.array([0.0]), a=-0.02, b=0.15, rho=0.3, m=0.2, s=0.4).round(8)
    array([0.03808204])
    """
    distance = np.asarray(log_moneyness, dtype=np.float64) - m
    return a + b * (rho * distance + np.sqrt(distance**2 + s**2))


def slope(log_moneyness: Curve, *, b: float, rho: float, m: float, s: float) -> Curve:
    """First derivative of total variance in log-moneyness, w′(k) = b (ρ + (k−m)/√((k−m)²+s²)).

    >>> slope(np.array([0.2]), b=0.15, rho=0.3, m=0.2, s=0.4).round(12)
    array([0.045])
    """
    distance = np.asarray(log_moneyness, dtype=np.float64) - m
    return b * (rho + distance / np.sqrt(distance**2 + s**2))


def convexity(log_moneyness: Curve, *, b: float, m: float, s: float) -> Curve:
    """Second derivative of total variance in log-moneyness, w″(k) = b s² / ((k−m)²+s²)^(3/2).

    >>> convexity(np.array([0.2]), b=0.15, m=0.2, s=0.4)
    array([0.375])
    """
    distance = np.asarray(log_moneyness, dtype=np.float64) - m
    return b * s**2 / (distance**2 + s**2) ** 1.5


def volatility(log_moneyness: Curve, time_to_expiry: float, parameters: Parameters) -> Curve:
    """Implied volatility of a slice, √(w(k)/τ), per 1.00 a year.

    >>> flat = Parameters(a=0.04, b=0.0, rho=0.0, m=0.0, s=1.0)
    >>> volatility(np.array([-0.1, 0.3]), 0.25, flat)
    array([0.4, 0.4])
    """
    variance = total_variance(
        log_moneyness, a=parameters.a, b=parameters.b, rho=parameters.rho, m=parameters.m, s=parameters.s
    )
    return np.sqrt(np.maximum(variance, 0.0) / time_to_expiry)
