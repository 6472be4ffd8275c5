"""Least squares for raw SVI: a damped Gauss-Newton iteration in standardised units, compiled.

In units of the at-the-money deviation, z = k/√θ and W = w/θ with θ = σ_ref²τ, raw SVI keeps its form and all its
parameters are of order one, whatever the tenor:

    W(z) = α + β (ρ(z−μ) + √((z−μ)² + ς²)),   a = θα,  b = √θ β,  m = √θ μ,  s = √θ ς

Minimised is  Σ ωᵢ² (√W(zᵢ) − yᵢ)²  + κ² Σ max(ε − g(zⱼ), 0)²  + Σ cₗ² max(vₗ − √W(zₗ), 0)²  over a box: errors of
volatility, Gatheral's g over the checked range, and the total variance of the earlier expiry as a floor.
Source: Levenberg (1944), Marquardt (1963); the start is the best of a grid in (μ, ς), at each of which the other three
parameters are linear (Zeliade, "Quasi-explicit calibration of Gatheral's SVI model", 2009).
"""

from math import sqrt

import numba
import numpy as np
from numpy import ndarray

N = 5
LOWER = np.array([-50.0, 0.0, -0.999, -20.0, 0.02])
UPPER = np.array([50.0, 50.0, 0.999, 20.0, 30.0])
MARGIN = 1e-3
"""The penalty keeps g above this, so that the finer check afterwards finds it above zero."""
LEAST_VARIANCE = 1e-4
ITERATIONS = 150

compiled = numba.njit(cache=True, error_model="numpy")


@compiled
def curve(z: float, p: ndarray) -> tuple[float, float, float]:
    """W, W′ and W″ at one standardised moneyness."""
    d = z - p[3]
    radius = sqrt(d * d + p[4] * p[4])
    value = p[0] + p[1] * (p[2] * d + radius)
    return value, p[1] * (p[2] + d / radius), p[1] * p[4] * p[4] / radius**3


@compiled
def curve_gradient(z: float, p: ndarray, by: ndarray) -> None:
    """Derivatives of W, W′ and W″ in the five parameters, into the rows of `by`."""
    beta, rho, s = p[1], p[2], p[4]
    d = z - p[3]
    radius = sqrt(d * d + s * s)
    cube = radius**3
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
    by[2, 4] = beta * (2.0 * s / cube - 3.0 * s**3 / (cube * radius * radius))


@compiled
def density_factor(z: float, theta: float, w: float, w1: float, w2: float) -> float:
    """Gatheral's g in standardised units: (1 − zW′/(2W))² − W′²/(4W) − θW′²/16 + W″/2."""
    tilt = 1.0 - z * w1 / (2.0 * w)
    return tilt * tilt - w1 * w1 / (4.0 * w) - theta * w1 * w1 / 16.0 + 0.5 * w2


@compiled
def minimum(p: ndarray) -> float:
    """Least W anywhere, α + βς√(1−ρ²)."""
    return p[0] + p[1] * p[4] * sqrt(1.0 - p[2] * p[2])


@compiled
def least_density_factor(p: ndarray, theta: float, low: float, high: float, points: int) -> float:
    """Least g on an even grid; −1 where W is not positive everywhere."""
    if minimum(p) <= 0.0:
        return -1.0
    least = 1e300
    for i in range(points):
        z = low + (high - low) * i / (points - 1)
        w, w1, w2 = curve(z, p)
        least = min(least, density_factor(z, theta, w, w1, w2))
    return least


@compiled
def add(residual: float, factor: float, row: ndarray, normal: ndarray, slope: ndarray) -> float:
    """Add one residual with gradient factor · row to JᵀJ (lower half) and Jᵀr; its square."""
    for i in range(N):
        gi = factor * row[i]
        slope[i] += gi * residual
        for j in range(i + 1):
            normal[i, j] += gi * factor * row[j]
    return residual * residual


@compiled
def accumulate(
    p: ndarray,
    quotes: ndarray,
    theta: float,
    grid: ndarray,
    kappa: float,
    floor: ndarray,
    normal: ndarray,
    slope: ndarray,
) -> float:
    """Cost, JᵀJ and Jᵀr. Rows of `quotes`: z, y, ω; of `floor`: z, v, c."""
    normal[:] = 0.0
    slope[:] = 0.0
    by = np.empty((3, N))
    row = np.empty(N)
    cost = 0.0
    for q in range(quotes.shape[1]):
        z, y, omega = quotes[0, q], quotes[1, q], quotes[2, q]
        w, _, _ = curve(z, p)
        root = sqrt(max(w, LEAST_VARIANCE))
        residual = omega * (root - y)
        if w > LEAST_VARIANCE:
            curve_gradient(z, p, by)
            cost += add(residual, omega / (2.0 * root), by[0], normal, slope)
        else:
            cost += residual * residual
    for q in range(grid.size):
        z = grid[q]
        raw, w1, w2 = curve(z, p)
        w = max(raw, LEAST_VARIANCE)
        g = density_factor(z, theta, w, w1, w2)
        if g < MARGIN:
            tilt = 1.0 - z * w1 / (2.0 * w)
            by_w = tilt * z * w1 / (w * w) + w1 * w1 / (4.0 * w * w) if raw > LEAST_VARIANCE else 0.0
            by_slope = -tilt * z / w - w1 / (2.0 * w) - theta * w1 / 8.0
            curve_gradient(z, p, by)
            for i in range(N):
                row[i] = by_w * by[0, i] + by_slope * by[1, i] + 0.5 * by[2, i]
            cost += add(kappa * (MARGIN - g), -kappa, row, normal, slope)
    for q in range(floor.shape[1]):
        z, v, c = floor[0, q], floor[1, q], floor[2, q]
        w, _, _ = curve(z, p)
        root = sqrt(max(w, LEAST_VARIANCE))
        if root < v:
            curve_gradient(z, p, by)
            factor = -c / (2.0 * root) if w > LEAST_VARIANCE else 0.0
            cost += add(c * (v - root), factor, by[0], normal, slope)
    if minimum(p) < LEAST_VARIANCE:
        root = sqrt(1.0 - p[2] * p[2])
        row[0], row[1], row[2], row[3], row[4] = 1.0, p[4] * root, -p[1] * p[4] * p[2] / root, 0.0, p[1] * root
        cost += add(minimum(p) - LEAST_VARIANCE, 1.0, row, normal, slope)
    return cost


@compiled
def solve(normal: ndarray, slope: ndarray, damping: float, step: ndarray, lower: ndarray) -> bool:
    """Step of (JᵀJ + damping · diag) step = −Jᵀr by Cholesky; False where the matrix is not positive definite."""
    n = step.size
    for i in range(n):
        for j in range(i + 1):
            total = normal[i, j]
            if i == j:
                total += damping * (normal[i, i] + 1e-9)
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = total / lower[j, j]
            elif total > 0.0:
                lower[i, i] = sqrt(total)
            else:
                return False
    for i in range(n):
        total = -slope[i]
        for k in range(i):
            total -= lower[i, k] * step[k]
        step[i] = total / lower[i, i]
    for back in range(n):
        i = n - 1 - back
        total = step[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * step[k]
        step[i] = total / lower[i, i]
    return True


@compiled
def hold_at_bounds(p: ndarray, normal: ndarray, slope: ndarray, low: ndarray, high: ndarray) -> None:
    """Take parameters that push against their bound out of the next step."""
    for i in range(N):
        if (p[i] <= low[i] and slope[i] > 0.0) or (p[i] >= high[i] and slope[i] < 0.0):
            for j in range(N):
                normal[max(i, j), min(i, j)] = 0.0
            normal[i, i] = 1.0
            slope[i] = 0.0


@compiled
def into_box(point: ndarray, low: ndarray, high: ndarray, inside: ndarray) -> None:
    """The point of the box that is nearest to a point, into `inside`."""
    for i in range(N):
        inside[i] = min(max(point[i], low[i]), high[i])


@compiled
def minimise(
    start: ndarray,
    quotes: ndarray,
    theta: float,
    grid: ndarray,
    kappa: float,
    floor: ndarray,
    low: ndarray,
    high: ndarray,
) -> tuple[ndarray, float]:
    """Parameters and cost of the minimum near a start."""
    p, trial = np.empty(N), np.empty(N)
    into_box(start, low, high, p)
    normal, slope = np.zeros((N, N)), np.zeros(N)
    trial_normal, trial_slope = np.zeros((N, N)), np.zeros(N)
    step, lower = np.zeros(N), np.zeros((N, N))
    cost = accumulate(p, quotes, theta, grid, kappa, floor, normal, slope)
    damping = 1e-2
    for _ in range(ITERATIONS):
        hold_at_bounds(p, normal, slope, low, high)
        if not solve(normal, slope, damping, step, lower):
            damping = 10.0 * damping + 1e-9
            continue
        for i in range(N):
            step[i] += p[i]
        into_box(step, low, high, trial)
        new = accumulate(trial, quotes, theta, grid, kappa, floor, trial_normal, trial_slope)
        if new < cost:
            is_done = cost - new < 1e-5 * cost + 1e-18
            p, trial = trial, p
            cost = new
            normal, trial_normal = trial_normal, normal
            slope, trial_slope = trial_slope, slope
            damping = max(0.2 * damping, 1e-12)
            if is_done:
                break
        else:
            damping *= 4.0
            if damping > 1e8:
                break
    return p, cost


@compiled
def linear_part(quotes: ndarray, mu: float, s: float, p: ndarray) -> None:
    """α, β and ρ of the weighted least squares in variance at given μ and ς, with |ρ| at most 0.98, into `p`."""
    moments = np.zeros((3, 3))
    right = np.zeros(3)
    basis = np.ones(3)
    for q in range(quotes.shape[1]):
        y = quotes[1, q]
        weight = (quotes[2, q] / (2.0 * y)) ** 2
        basis[1] = quotes[0, q] - mu
        basis[2] = sqrt(basis[1] * basis[1] + s * s)
        for i in range(3):
            right[i] -= weight * basis[i] * y * y
            for j in range(3):
                moments[i, j] += weight * basis[i] * basis[j]
    linear = np.zeros(3)
    solve(moments, right, 1e-12, linear, np.zeros((3, 3)))
    beta = max(linear[2], 1e-3)
    p[0] = linear[0]
    p[1] = beta
    p[2] = min(max(linear[1] / beta, -0.98), 0.98)
    p[3] = mu
    p[4] = s


@compiled
def fit_error(p: ndarray, quotes: ndarray) -> float:
    """Σ ω² (√W − y)²."""
    total = 0.0
    for q in range(quotes.shape[1]):
        w, _, _ = curve(quotes[0, q], p)
        total += (quotes[2, q] * (sqrt(max(w, LEAST_VARIANCE)) - quotes[1, q])) ** 2
    return total


@compiled
def initial(quotes: ndarray) -> ndarray:
    """The best of a grid in (μ, ς)."""
    best, trial = np.zeros(N), np.zeros(N)
    least = 1e300
    for shift in range(-3, 4):
        for s in (0.25, 0.6, 1.2, 2.5):
            linear_part(quotes, 0.5 * shift, s, trial)
            error = fit_error(trial, quotes)
            if error < least:
                least = error
                best[:] = trial
    return best
