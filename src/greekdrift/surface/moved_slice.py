"""A slice under increments of the state and the running clock, as a function of log-moneyness."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.surface import svi
from greekdrift.surface.arbitrage import density_factor
from greekdrift.surface.slices import Slice
from greekdrift.surface.state import CURVATURE, LEVEL, SKEW, curvature_shape, pillar_weights, skew_shape
from greekdrift.units import HOURS_PER_YEAR, years_from_hours

Kept = Literal["log_moneyness", "standardised"]
Points = Float[ndarray, "scenario horizon strike"]
PerScenario = Float[ndarray, "scenario horizon 1"]
PerHorizon = Float[ndarray, "horizon 1"]

EXPIRED = 1.0 / (HOURS_PER_YEAR * 3600.0)
"""Years (one second) at and under which an option has expired."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MovedSlice:
    """A slice under all scenarios and horizons: σ′(k) = σ(x) exp(L + Δskew f(z) + Δcurvature g(z)).

    x = k · scale is where today's slice is read, z = k / deviation the standardised moneyness of the moved one; f and
    g are `state.skew_shape` and `state.curvature_shape`. With `kept="log_moneyness"` the clock leaves the slice where
    it is in k and only a level move stretches it, x = k e^(−L); "standardised" keeps it in z, x = k e^(−L) √(τ/τ′).
    `clock` is τ′, or today's τ where the slice has expired.
    """

    origin: Slice
    level: PerScenario
    skew: PerScenario
    curvature: PerScenario
    clock: PerHorizon
    is_alive: Bool[ndarray, "horizon 1"]
    deviation: PerScenario
    scale: PerScenario

    def volatility(self, k: Points) -> Points:
        """σ′ at log-moneyness ln(K/F′)."""
        z = k / self.deviation
        bend = self.level + self.skew * skew_shape(z) + self.curvature * curvature_shape(z)
        return self.origin.volatility(k * self.scale) * np.exp(bend)

    def total_variance(self, k: Points) -> Points:
        """Total variance w = τ′ σ′² at log-moneyness ln(K/F′)."""
        return self.clock * self.volatility(k) ** 2

    def butterfly_g(self, k: Points) -> Points:
        """Gatheral's g of the moved slice, from the derivatives of u = ln w in k, all in closed form.

        u′ = (w₀′/w₀) x′ + 2 (Δskew f′ + Δcurvature g′) z′
        u″ = (w₀″/w₀ − (w₀′/w₀)²) x′² + 2 (Δskew f″ + Δcurvature g″) z′²
        w′ = w u′,   w″ = w (u″ + u′²)
        """
        p = self.origin.parameters
        x, z = k * self.scale, k / self.deviation
        w0 = svi.total_variance(x, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s)
        ratio = svi.slope(x, b=p.b, rho=p.rho, m=p.m, s=p.s) / w0
        bending = svi.convexity(x, b=p.b, m=p.m, s=p.s) / w0
        q = 1.0 + z * z
        first = self.skew * sqrt(2.0) / q**1.5 + self.curvature * 4.0 * z / q**2
        second = -3.0 * self.skew * sqrt(2.0) * z / q**2.5 + self.curvature * 4.0 * (1.0 - 3.0 * z * z) / q**3
        u1 = ratio * self.scale + 2.0 * first / self.deviation
        u2 = (bending - ratio**2) * self.scale**2 + 2.0 * second / self.deviation**2
        w = self.total_variance(k)
        return density_factor(k, w, w * u1, w * (u2 + u1**2))


def moved_slice(
    origin: Slice,
    increments: Float[ndarray, "scenario horizon factor"],
    horizons: Float[ndarray, " horizon"],
    *,
    kept: Kept,
) -> MovedSlice:
    """A slice under the increments of its underlying; pillars act on τ′, linear in ln τ′ and flat beyond them."""
    tau = remaining(origin.time_to_expiry, horizons)
    pillars = pillar_weights(tau)
    level, skew, curvature = (
        np.einsum("shp,hp->sh", increments[..., part], pillars)[..., None] for part in (LEVEL, SKEW, CURVATURE)
    )
    is_alive = (tau > 0.0)[:, None]
    clock = np.where(is_alive, tau[:, None], origin.clock)
    scale = np.exp(-level)
    return MovedSlice(
        origin=origin,
        level=level,
        skew=skew,
        curvature=curvature,
        clock=clock,
        is_alive=is_alive,
        deviation=origin.atm_volatility * np.exp(level) * np.sqrt(clock),
        scale=scale * np.sqrt(origin.clock / clock) if kept == "standardised" else scale,
    )


def remaining(time_to_expiry: float, horizons: Float[ndarray, " horizon"]) -> Float[ndarray, " horizon"]:
    """Years left at each horizon (hours); 0 from expiry on.

    >>> remaining(24.0 / 8760.0, np.array([6.0, 24.0, 30.0])) * 8760.0
    array([18.,  0.,  0.])
    """
    left = time_to_expiry - years_from_hours(horizons)
    return np.where(left > EXPIRED, left, 0.0)
