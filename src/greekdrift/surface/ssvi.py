"""SSVI: one skew and one curvature law for all expiries of an underlying; start, prior and fallback of the joint fit.

    w(k, θ) = θ/2 (1 + ρ φ k + √((φ k + ρ)² + 1 − ρ²)),   φ(θ) = η θ^(−γ)

Every slice of it is a raw SVI slice of three parameters, with total variance θ at the forward. It is free of
butterflies where θφ(1+|ρ|) ≤ 4 and θφ²(1+|ρ|) ≤ 4, and of calendar spreads where θ grows with τ and 0 ≤ γ ≤ ½ besides.
Source: Gatheral & Jacquier (2014), theorems 4.1 and 4.2, section 4.3.
"""

from math import exp, log, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface.calibrate import N, copied, solve

Curve = Float[ndarray, "*curve"]

START = np.array([-0.2, log(0.8), 0.45])
"""ρ, ln η and γ before a quote has spoken."""
DOUBT = 0.02
"""Weight of the start: it decides only where quotes say nothing."""
LOW = np.array([-0.95, log(0.02), 0.0])
HIGH = np.array([0.95, log(20.0), 0.5])
ITERATIONS = 30


def total_variance(log_moneyness: Curve, *, theta: float, rho: float, phi: float) -> Curve:
    """Total variance w(k, θ) at log-moneyness k = ln(K/F), for θ = w(0) and φ(θ) in `phi`.

    >>> total_variance(np.array([-0.5, 0.0, 0.5]), theta=0.04, rho=-0.3, phi=2.0).round(6)
    array([0.058249, 0.04    , 0.037664])
    """
    x = phi * np.asarray(log_moneyness, dtype=np.float64)
    return 0.5 * theta * (1.0 + rho * x + np.sqrt((x + rho) ** 2 + 1.0 - rho**2))


@strict
def steepness(theta: float, shape: ndarray) -> float:
    """ψ = φ(θ) √θ of (ρ, ln η, γ), at most what keeps the slice free of butterflies."""
    tilt = 1.0 + abs(shape[0])
    return min(exp(shape[1] + (0.5 - shape[2]) * log(theta)), 2.0 / sqrt(tilt), 4.0 / (tilt * sqrt(theta)))


@strict
def slice_of(theta: float, shape: ndarray, p: ndarray) -> None:
    """Raw SVI parameters of one slice in standardised units, into `p`.

    α = (1−ρ²)/2,  β = ψ/2,  μ = −ρ/ψ,  ς = √(1−ρ²)/ψ

    >>> p = np.empty(5)
    >>> slice_of(0.04, np.array([-0.3, 0.0, 0.5]), p)
    >>> p.round(4)
    array([ 0.455 ,  0.5   , -0.3   ,  0.3   ,  0.9539])
    """
    rho = shape[0]
    psi = steepness(theta, shape)
    p[0] = 0.5 * (1.0 - rho * rho)
    p[1] = 0.5 * psi
    p[2] = rho
    p[3] = -rho / psi
    p[4] = sqrt(1.0 - rho * rho) / psi


@strict
def terms(shape: ndarray, theta: ndarray, quotes: ndarray, offsets: ndarray, normal: ndarray, slope: ndarray) -> float:
    """Σ ω² (√W − y)² over all slices plus the doubt about the start; its JᵀJ (lower half) and Jᵀr."""
    normal[:] = 0.0
    slope[:] = 0.0
    row = np.empty(3)
    cost = 0.0
    rho = shape[0]
    for i in range(theta.size):
        psi = steepness(theta[i], shape)
        pull = -psi * log(theta[i])
        for q in range(offsets[i], offsets[i + 1]):
            x = psi * quotes[0, q]
            radius = sqrt((x + rho) * (x + rho) + 1.0 - rho * rho)
            root = sqrt(max(0.5 * (1.0 + rho * x + radius), 1e-8))
            residual = quotes[2, q] * (root - quotes[1, q])
            factor = 0.25 * quotes[2, q] / root
            by_psi = factor * quotes[0, q] * (rho + (x + rho) / radius)
            row[0] = factor * (x + x / radius)
            row[1] = by_psi * psi
            row[2] = by_psi * pull
            cost += residual * residual
            for a in range(3):
                slope[a] += row[a] * residual
                for b in range(a + 1):
                    normal[a, b] += row[a] * row[b]
    for a in range(3):
        distance = DOUBT * (shape[a] - START[a])
        cost += distance * distance
        slope[a] += DOUBT * distance
        normal[a, a] += DOUBT * DOUBT
    return cost


@strict
def fitted(theta: ndarray, quotes: ndarray, offsets: ndarray) -> ndarray:
    """(ρ, ln η, γ) of an underlying by damped Gauss-Newton; rows of `quotes`: z, σ/σ_atm, ω."""
    normal, other, lower = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
    slope, other_slope, step = np.zeros(3), np.zeros(3), np.zeros(3)
    shape, trial = START.copy(), np.empty(3)
    cost = terms(shape, theta, quotes, offsets, normal, slope)
    damping = 1e-3
    for _ in range(ITERATIONS):
        if not solve(normal, slope, damping, step, lower):
            damping = 10.0 * damping + 1e-9
            continue
        for a in range(3):
            trial[a] = min(max(shape[a] + step[a], LOW[a]), HIGH[a])
        found = terms(trial, theta, quotes, offsets, other, other_slope)
        if found < cost:
            is_done = cost - found < 1e-3 * cost
            copied(trial, shape)
            cost = found
            normal, other = other, normal
            slope, other_slope = other_slope, slope
            damping *= 0.1
            if is_done:
                break
        else:
            damping = max(10.0 * damping, 1e-3)
            if damping > 1e6:
                break
    return shape


@strict
def slices_of(theta: ndarray, shape: ndarray) -> ndarray:
    """Raw SVI parameters in standardised units of all slices, one row each."""
    p = np.empty((theta.size, N))
    for i in range(theta.size):
        slice_of(theta[i], shape, p[i])
    return p
