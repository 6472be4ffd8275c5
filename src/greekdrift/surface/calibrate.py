"""Least squares for one raw SVI slice: a damped Gauss-Newton iteration, compiled.

In units of the at-the-money deviation, z = k/√θ and W = w/θ with θ = σ_ref²τ, raw SVI keeps its form and all its
parameters are of order one, whatever the tenor:

    W(z) = α + β (ρ(z−μ) + √((z−μ)² + ς²)),   a = θα,  b = √θ β,  m = √θ μ,  s = √θ ς

Minimised is Σ ωᵢ² (√W(zᵢ) − yᵢ)², y = σ/σ_ref. Quotes say little of α alone and much of the level at the forward, and
β and ς are scales. Steps are therefore taken in

    q = (W(0), βρ, ln β, μ, ln ς)

with JᵀJ and Jᵀr carried over by the tangent ∂p/∂q. Source: Levenberg (1944), Marquardt (1963); the start is the best of
three pairs (μ, ς), at each of which the other three parameters are linear (Zeliade, "Quasi-explicit calibration of
Gatheral's SVI model", 2009).
"""

from math import exp, sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict

N = 5
LOWER = np.array([-400.0, 1e-6, -0.999, -6.0, 0.02])
UPPER = np.array([400.0, 50.0, 0.999, 6.0, 6.0])
"""Six deviations of shift and smoothness, or as far as quotes reach: beyond, the quoted part is a parabola anyway."""
LEAST_VARIANCE = 1e-4
STARTS = np.array([[0.0, 0.8], [0.0, 2.0], [0.0, 4.0]])
ITERATIONS = 60
PRECISION = 1e-4
CALM = 0.1
"""Damping above which a small gain says nothing of how near the minimum is."""


@strict
def copied(source: ndarray, to: ndarray) -> None:
    """Writes the numbers of a vector over another's.

    An assignment to a slice would be compiled with the text of an error that cannot happen, in seconds.
    """
    for at in range(source.size):
        to[at] = source[at]


@strict
def curve(z: float, p: ndarray) -> tuple[float, float, float]:
    """W, W′ and W″ at one standardised moneyness."""
    d = z - p[3]
    radius = sqrt(d * d + p[4] * p[4])
    value = p[0] + p[1] * (p[2] * d + radius)
    return value, p[1] * (p[2] + d / radius), p[1] * p[4] * p[4] / (radius * radius * radius)


@strict
def quote_terms(
    p: ndarray, z: ndarray, y: ndarray, omega: ndarray, first: int, last: int, normal: ndarray, slope: ndarray
) -> float:
    """Σ ω² (√W − y)² over quotes first to last; its JᵀJ (lower half) and Jᵀr are added to `normal` and `slope`."""
    alpha, beta, rho, mu, s = p[0], p[1], p[2], p[3], p[4]
    h00 = h10 = h11 = h20 = h21 = h22 = h30 = h31 = h32 = h33 = h40 = h41 = h42 = h43 = h44 = 0.0
    c0 = c1 = c2 = c3 = c4 = 0.0
    cost = 0.0
    for q in range(first, last):
        d = z[q] - mu
        radius = sqrt(d * d + s * s)
        w = alpha + beta * (rho * d + radius)
        root = sqrt(max(w, LEAST_VARIANCE))
        residual = omega[q] * (root - y[q])
        cost += residual * residual
        g0 = 0.5 * omega[q] / root if w > LEAST_VARIANCE else 0.0
        u = d / radius
        g1 = g0 * (rho * d + radius)
        g2 = g0 * beta * d
        g3 = -g0 * beta * (rho + u)
        g4 = g0 * beta * s / radius
        h00 += g0 * g0
        h10 += g1 * g0
        h11 += g1 * g1
        h20 += g2 * g0
        h21 += g2 * g1
        h22 += g2 * g2
        h30 += g3 * g0
        h31 += g3 * g1
        h32 += g3 * g2
        h33 += g3 * g3
        h40 += g4 * g0
        h41 += g4 * g1
        h42 += g4 * g2
        h43 += g4 * g3
        h44 += g4 * g4
        c0 += g0 * residual
        c1 += g1 * residual
        c2 += g2 * residual
        c3 += g3 * residual
        c4 += g4 * residual
    normal[0, 0] += h00
    normal[1, 0] += h10
    normal[1, 1] += h11
    normal[2, 0] += h20
    normal[2, 1] += h21
    normal[2, 2] += h22
    normal[3, 0] += h30
    normal[3, 1] += h31
    normal[3, 2] += h32
    normal[3, 3] += h33
    normal[4, 0] += h40
    normal[4, 1] += h41
    normal[4, 2] += h42
    normal[4, 3] += h43
    normal[4, 4] += h44
    slope[0] += c0
    slope[1] += c1
    slope[2] += c2
    slope[3] += c3
    slope[4] += c4
    return cost


@strict
def fit_error(p: ndarray, z: ndarray, y: ndarray, omega: ndarray, first: int, last: int) -> float:
    """Σ ω² (√W − y)² over quotes first to last."""
    total = 0.0
    for q in range(first, last):
        d = z[q] - p[3]
        w = p[0] + p[1] * (p[2] * d + sqrt(d * d + p[4] * p[4]))
        error = omega[q] * (sqrt(max(w, LEAST_VARIANCE)) - y[q])
        total += error * error
    return total


@strict
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


@strict
def linear_part(z: ndarray, y: ndarray, omega: ndarray, first: int, last: int, mu: float, s: float, p: ndarray) -> None:
    """α, β ≥ 0.001 and |ρ| ≤ 0.98 of the weighted least squares in variance at given μ and ς, into `p`."""
    m00 = m10 = m11 = m20 = m21 = m22 = r0 = r1 = r2 = 0.0
    for q in range(first, last):
        weight = (omega[q] / (2.0 * y[q])) ** 2
        d = z[q] - mu
        radius = sqrt(d * d + s * s)
        value = y[q] * y[q]
        m00 += weight
        m10 += weight * d
        m11 += weight * d * d
        m20 += weight * radius
        m21 += weight * radius * d
        m22 += weight * radius * radius
        r0 += weight * value
        r1 += weight * value * d
        r2 += weight * value * radius
    a11 = m11 - m10 * m10 / m00 + 1e-12 * m11
    a21 = m21 - m20 * m10 / m00
    a22 = m22 - m20 * m20 / m00 + 1e-12 * m22
    b1 = r1 - m10 * r0 / m00
    b2 = r2 - m20 * r0 / m00
    determinant = a11 * a22 - a21 * a21
    beta = (a11 * b2 - a21 * b1) / determinant if determinant > 1e-12 * a11 * a22 else 0.0
    beta = max(beta, 1e-3)
    tilt = (b1 - a21 * beta) / a11 if a11 > 0.0 else 0.0
    tilt = min(max(tilt, -0.98 * beta), 0.98 * beta)
    p[0] = (r0 - m10 * tilt - m20 * beta) / m00
    p[1] = beta
    p[2] = tilt / beta
    p[3] = mu
    p[4] = s


@strict
def initial(z: ndarray, y: ndarray, omega: ndarray, first: int, last: int, p: ndarray) -> None:
    """The best of a few pairs (μ, ς), each with its linear part, into `p`."""
    trial = np.empty(N)
    least = 1e300
    for start in range(STARTS.shape[0]):
        linear_part(z, y, omega, first, last, STARTS[start, 0], STARTS[start, 1], trial)
        error = fit_error(trial, z, y, omega, first, last)
        if error < least:
            least = error
            copied(trial, p)


@strict
def tangent(p: ndarray, slope: ndarray, low: ndarray, high: ndarray, by: ndarray) -> None:
    """∂p/∂q at p, into `by`; the columns of μ and ln ς are zero where a descent would leave their bounds.

    With R = √(μ²+ς²):  W(0) = α − βρμ + βR.
    """
    beta, rho, mu, s = p[1], p[2], p[3], p[4]
    radius = sqrt(mu * mu + s * s)
    by[:] = 0.0
    by[0, 0] = 1.0
    by[0, 1] = mu
    by[0, 2] = -beta * radius
    by[0, 3] = beta * (rho - mu / radius)
    by[0, 4] = -beta * s * s / radius
    by[1, 2] = beta
    by[2, 1] = 1.0 / beta
    by[2, 2] = -rho
    by[3, 3] = 1.0
    by[4, 4] = s
    for j in range(3, N):
        descent = 0.0
        for k in range(N):
            descent -= by[k, j] * slope[k]
        if (p[j] <= low[j] and descent < 0.0) or (p[j] >= high[j] and descent > 0.0):
            by[:, j] = 0.0


@strict
def carried(normal: ndarray, slope: ndarray, by: ndarray, half: ndarray, inner: ndarray, down: ndarray) -> None:
    """TᵀNT into `inner` and Tᵀs into `down`, for the tangent T; `half` is work space."""
    for i in range(N):
        for j in range(i + 1):
            inner[i, j] = normal[i, j]
            inner[j, i] = normal[i, j]
    for i in range(N):
        for j in range(N):
            total = 0.0
            for k in range(N):
                total += inner[i, k] * by[k, j]
            half[i, j] = total
    for i in range(N):
        total = 0.0
        for k in range(N):
            total += by[k, i] * slope[k]
        down[i] = total
        for j in range(i + 1):
            total = 0.0
            for k in range(N):
                total += by[k, i] * half[k, j]
            inner[i, j] = total


@strict
def moved(p: ndarray, step: ndarray, low: ndarray, high: ndarray, trial: ndarray) -> None:
    """The parameters after a step in q, inside the box and with β (1 + |ρ|) at most the upper bound of β (Lee)."""
    beta, rho, mu, s = p[1], p[2], p[3], p[4]
    radius = sqrt(mu * mu + s * s)
    level = p[0] - beta * rho * mu + beta * radius + step[0]
    tilt = beta * rho + step[1]
    beta = min(max(beta * exp(min(max(step[2], -1.5), 1.5)), low[1]), high[1])
    rho = min(max(tilt / beta, low[2]), high[2])
    mu = min(max(mu + step[3], low[3]), high[3])
    s = min(max(s * exp(min(max(step[4], -1.5), 1.5)), low[4]), high[4])
    radius = sqrt(mu * mu + s * s)
    beta = min(beta, high[1] / (1.0 + abs(rho)))
    trial[0] = min(max(level + beta * rho * mu - beta * radius, low[0]), high[0])
    trial[1] = beta
    trial[2] = rho
    trial[3] = mu
    trial[4] = s


@strict
def into_box(p: ndarray, low: ndarray, high: ndarray) -> None:
    """Clip parameters to their box, with β (1 + |ρ|) at most the upper bound of β."""
    for i in range(N):
        p[i] = min(max(p[i], low[i]), high[i])
    p[1] = min(p[1], high[1] / (1.0 + abs(p[2])))


@strict
def minimise(
    p: ndarray, z: ndarray, y: ndarray, omega: ndarray, first: int, last: int, low: ndarray, high: ndarray
) -> float:
    """Improve p to the minimum nearby, without constraints but the box; the cost there."""
    work = np.zeros((6, N, N))
    vectors = np.zeros((5, N))
    normal, other, lower, by, half, inner = work[0], work[1], work[2], work[3], work[4], work[5]
    slope, other_slope, down, step, trial = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4]
    cost = quote_terms(p, z, y, omega, first, last, normal, slope)
    damping = 1e-2
    is_new = True
    for _ in range(ITERATIONS):
        if is_new:
            tangent(p, slope, low, high, by)
            carried(normal, slope, by, half, inner, down)
            is_new = False
        if not solve(inner, down, damping, step, lower):
            damping = 10.0 * damping + 1e-9
            continue
        moved(p, step, low, high, trial)
        other[:] = 0.0
        other_slope[:] = 0.0
        found = quote_terms(trial, z, y, omega, first, last, other, other_slope)
        if found < cost:
            is_done = cost - found < PRECISION * cost + 1e-20 and damping <= CALM
            copied(trial, p)
            cost = found
            normal, other = other, normal
            slope, other_slope = other_slope, slope
            damping = max(0.1 * damping, 1e-12)
            is_new = True
            if is_done:
                break
        else:
            damping = max(4.0 * damping, 1e-4)
            if damping > 1e8:
                break
    return cost


@strict
def bounds(theta: float, farthest: float, low: ndarray, high: ndarray) -> None:
    """The box of a slice whose quotes reach as far as |z| = farthest, into `low` and `high`.

    Lee's b (1 + |ρ|) ≤ 2 is β (1 + |ρ|) ≤ 2/√θ. Shift and smoothness beyond the quotes only move the wings.
    """
    copied(LOWER, low)
    copied(UPPER, high)
    high[1] = min(UPPER[1], 2.0 / sqrt(theta))
    if farthest > UPPER[4]:
        low[3], high[3], high[4] = -farthest, farthest, farthest


@strict
def at_the_money(log_moneyness: ndarray, volatility: ndarray, first: int, last: int) -> float:
    """Volatility at the forward, linear between the nearest quotes (sorted by moneyness) and flat outside."""
    if log_moneyness[first] >= 0.0:
        return volatility[first]
    for q in range(first + 1, last):
        if log_moneyness[q] >= 0.0:
            share = -log_moneyness[q - 1] / (log_moneyness[q] - log_moneyness[q - 1])
            return volatility[q - 1] + share * (volatility[q] - volatility[q - 1])
    return volatility[last - 1]


@strict
def unstandardised(p: ndarray, theta: float, raw: ndarray) -> None:
    """(a, b, ρ, m, s) of (α, β, ρ, μ, ς), into `raw`."""
    root = sqrt(theta)
    raw[0] = theta * p[0]
    raw[1] = root * p[1]
    raw[2] = p[2]
    raw[3] = root * p[3]
    raw[4] = root * p[4]


@strict
def free(log_moneyness: ndarray, volatility: ndarray, weight: ndarray, time_to_expiry: float) -> ndarray:
    """Raw SVI (a, b, ρ, m, s) that fits quotes best, without any constraint but Lee's; quotes sorted by moneyness.

    Minimised is Σ weight² (√(w(k)/τ) − σ)²; at least five quotes, strictly increasing in k, are the caller's duty.

    >>> k = np.linspace(-1.0, 1.0, 21)
    >>> smile = np.sqrt(0.04 + 0.15 * (-0.3 * (k - 0.05) + np.sqrt((k - 0.05) ** 2 + 0.09)))
    >>> free(k, smile, np.ones(21), 1.0).round(6)
    array([ 0.04,  0.15, -0.3 ,  0.05,  0.3 ])
    """
    n = log_moneyness.size
    reference = at_the_money(log_moneyness, volatility, 0, n)
    theta = reference * reference * time_to_expiry
    root = sqrt(theta)
    quotes = np.empty((2, n))
    for q in range(n):
        quotes[0, q] = log_moneyness[q] / root
        quotes[1, q] = volatility[q] / reference
    p, low, high, raw = np.empty(N), np.empty(N), np.empty(N), np.empty(N)
    bounds(theta, max(abs(quotes[0, 0]), abs(quotes[0, n - 1])), low, high)
    initial(quotes[0], quotes[1], weight, 0, n, p)
    minimise(p, quotes[0], quotes[1], weight, 0, n, low, high)
    unstandardised(p, theta, raw)
    return raw
