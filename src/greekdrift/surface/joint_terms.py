"""What a joint fit of all slices minimises, compiled: errors of volatility, penalties, a prior, with their derivatives.

In the standardised units of `calibrate`, over all slices i, nearest first, minimised is

    Σᵢ Σ ω² (√W − y)²                                       errors of volatility
    + κ² Σᵢ Σ max(ε − g(z), 0)²                             Gatheral's g over the range of slice i
    + κ² Σᵢ Σ max((1+δ) √(wᵢ(k)/θᵢ) − √(wᵢ₊₁(k)/θᵢ), 0)²    calendar spreads over the range of slices i and i+1
    + Σᵢ τᵢ² ‖pᵢ − p̄ᵢ‖²                                     a prior, which carries slices of few quotes

A calendar spread is charged to both of its slices, so that the earlier one gives way where it has the weaker quotes.
"""

from math import sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface.calibrate import LEAST_VARIANCE, N, curve, quote_terms
from greekdrift.surface.exact_step import POINTS, density_factor, minimum

MARGIN = 1e-3
"""Penalties keep g above this, so that the exact check afterwards finds it above zero."""
SPARE = 1e-4
"""Penalties keep the later deviation above the earlier by this share."""


@strict
def curve_gradient(z: float, p: ndarray, by: ndarray) -> None:
    """Derivatives of W, W′ and W″ in the five parameters, into the rows of `by`."""
    beta, rho, s = p[1], p[2], p[4]
    d = z - p[3]
    radius = sqrt(d * d + s * s)
    cube = radius * radius * radius
    by[0, 0] = 1.0
    by[0, 1] = rho * d + radius
    by[0, 2] = beta * d
    by[0, 3] = -beta * (rho + d / radius)
    by[0, 4] = beta * s / radius
    by[1, 0] = 0.0
    by[1, 1] = rho + d / radius
    by[1, 2] = beta
    by[1, 3] = -beta * s * s / cube
    by[1, 4] = -beta * d * s / cube
    by[2, 0] = 0.0
    by[2, 1] = s * s / cube
    by[2, 2] = 0.0
    by[2, 3] = 3.0 * beta * s * s * d / (cube * radius * radius)
    by[2, 4] = beta * (2.0 * s / cube - 3.0 * s * s * s / (cube * radius * radius))


@strict
def add(residual: float, row: ndarray, normal: ndarray, slope: ndarray) -> float:
    """Add one residual with gradient row to JᵀJ (lower half) and Jᵀr; its square."""
    for i in range(N):
        slope[i] += row[i] * residual
        for j in range(i + 1):
            normal[i, j] += row[i] * row[j]
    return residual * residual


@strict
def shape_terms(
    p: ndarray, theta: float, points: ndarray, kappa: float, normal: ndarray, slope: ndarray, values: ndarray
) -> float:
    """Penalty of g below MARGIN at the points (in z) and of a minimum of W near zero."""
    by, row = np.empty((3, N)), np.empty(N)
    cost = 0.0
    for q in range(POINTS):
        w, w1, w2 = curve(points[q], p)
        values[q] = density_factor(points[q], theta, max(w, LEAST_VARIANCE), w1, w2)
    for q in range(POINTS):
        if values[q] < MARGIN:
            z = points[q]
            raw, w1, _ = curve(z, p)
            w = max(raw, LEAST_VARIANCE)
            tilt = 1.0 - z * w1 / (2.0 * w)
            by_w = tilt * z * w1 / (w * w) + w1 * w1 / (4.0 * w * w) if raw > LEAST_VARIANCE else 0.0
            by_slope = -tilt * z / w - w1 / (2.0 * w) - theta * w1 / 8.0
            curve_gradient(z, p, by)
            for i in range(N):
                row[i] = -kappa * (by_w * by[0, i] + by_slope * by[1, i] + 0.5 * by[2, i])
            cost += add(kappa * (MARGIN - values[q]), row, normal, slope)
    short = minimum(p) - MARGIN
    if short < 0.0:
        root = sqrt(1.0 - p[2] * p[2])
        row[0], row[1], row[2], row[3] = 1.0, p[4] * root, -p[1] * p[4] * p[2] / root, 0.0
        row[4] = p[1] * root
        for i in range(N):
            row[i] *= 10.0 * kappa
        cost += add(10.0 * kappa * short, row, normal, slope)
    return cost


@strict
def root_gradient(p: ndarray, d: float, radius: float, factor: float, row: ndarray) -> None:
    """Derivatives of factor · 2√W · d√W/dp, that is factor times those of W, into `row`."""
    row[0] = factor
    row[1] = factor * (p[2] * d + radius)
    row[2] = factor * p[1] * d
    row[3] = -factor * p[1] * (p[2] + d / radius)
    row[4] = factor * p[1] * p[4] / radius


@strict
def pair_terms(
    p: ndarray,
    later: ndarray,
    scale: ndarray,
    points: ndarray,
    kappa: float,
    normal: ndarray,
    slope: ndarray,
    cross: ndarray,
    values: ndarray,
) -> float:
    """Penalty of calendar spreads at the points (in k) for two slices with √θ in `scale`.

    `normal` and `slope` are those of the two, `cross` the block between them.
    """
    ratio = scale[1] / scale[0]
    row, other = np.empty(N), np.empty(N)
    cost = 0.0
    for q in range(POINTS):
        d = points[q] / scale[0] - p[3]
        e = points[q] / scale[1] - later[3]
        w = p[0] + p[1] * (p[2] * d + sqrt(d * d + p[4] * p[4]))
        v = later[0] + later[1] * (later[2] * e + sqrt(e * e + later[4] * later[4]))
        w, v = max(w, LEAST_VARIANCE), max(v, LEAST_VARIANCE)
        values[q] = (1.0 + SPARE) * (1.0 + SPARE) * w - ratio * ratio * v
    for q in range(POINTS):
        if values[q] <= 0.0:
            continue
        d = points[q] / scale[0] - p[3]
        e = points[q] / scale[1] - later[3]
        r, u = sqrt(d * d + p[4] * p[4]), sqrt(e * e + later[4] * later[4])
        w = p[0] + p[1] * (p[2] * d + r)
        v = later[0] + later[1] * (later[2] * e + u)
        near, far = sqrt(max(w, LEAST_VARIANCE)), sqrt(max(v, LEAST_VARIANCE))
        residual = kappa * ((1.0 + SPARE) * near - ratio * far)
        root_gradient(p, d, r, 0.5 * kappa * (1.0 + SPARE) / near if w > LEAST_VARIANCE else 0.0, row)
        root_gradient(later, e, u, -0.5 * kappa * ratio / far if v > LEAST_VARIANCE else 0.0, other)
        cost += add(residual, row, normal[0], slope[0])
        add(residual, other, normal[1], slope[1])
        for i in range(N):
            for j in range(N):
                cross[i, j] += row[i] * other[j]
    return cost


@strict
def accumulate(
    all_p: ndarray,
    scale: ndarray,
    quotes: ndarray,
    offsets: ndarray,
    prior: ndarray,
    grids: ndarray,
    kappa: float,
    normal: ndarray,
    slope: ndarray,
    cross: ndarray,
) -> float:
    """Cost, blocks of JᵀJ and Jᵀr. Rows of `quotes`: z, y, ω; of `prior`: p̄ and τ; `grids`: points in z, in k."""
    normal[:] = 0.0
    slope[:] = 0.0
    cross[:] = 0.0
    values = np.empty(POINTS)
    n = scale.size
    cost = 0.0
    for i in range(n):
        cost += quote_terms(all_p[i], quotes[0], quotes[1], quotes[2], offsets[i], offsets[i + 1], normal[i], slope[i])
        cost += shape_terms(all_p[i], scale[i] * scale[i], grids[0, i], kappa, normal[i], slope[i], values)
        tie = prior[i, N]
        for j in range(N):
            distance = tie * (all_p[i, j] - prior[i, j])
            cost += distance * distance
            slope[i, j] += tie * distance
            normal[i, j, j] += tie * tie
    for i in range(n - 1):
        cost += pair_terms(
            all_p[i],
            all_p[i + 1],
            scale[i : i + 2],
            grids[1, i],
            kappa,
            normal[i : i + 2],
            slope[i : i + 2],
            cross[i],
            values,
        )
    return cost
