"""All slices of one underlying at once: least squares with penalties for butterflies and calendar spreads, compiled.

In the standardised units of `calibrate`, over all slices i, nearest first, minimised is

    Σᵢ Σ ω² (√W − y)²                                       errors of volatility
    + κ² Σᵢ Σ max(ε − g(z), 0)²                             Gatheral's g over the range of slice i
    + κ² Σᵢ Σ max((1+δ) √(wᵢ(k)/θᵢ) − √(wᵢ₊₁(k)/θᵢ), 0)²    calendar spreads over the range of slices i and i+1
    + Σᵢ τᵢ² ‖pᵢ − p̄ᵢ‖²                                     a prior, which carries slices of few quotes

for rising κ. A calendar spread is charged to both of its slices, so that the earlier one gives way where it has the
weaker quotes. JᵀJ is block tridiagonal, and so is its Cholesky factor: a step costs no more than one for each slice.
"""

from math import sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface import ssvi
from greekdrift.surface.calibrate import (
    CALM,
    LEAST_VARIANCE,
    N,
    bounds,
    carried,
    copied,
    curve,
    initial,
    into_box,
    moved,
    quote_terms,
    tangent,
    unstandardised,
)
from greekdrift.surface.calibrate import minimise as minimise_one
from greekdrift.surface.exact_step import POINTS, REACH, density_factor, enforce, minimum, ranges, spread_points

MARGIN = 1e-3
"""Penalties keep g above this, so that the exact check afterwards finds it above zero."""
SPARE = 1e-4
"""Penalties keep the later deviation above the earlier by this share."""
STAGES = np.array([0.3, 3.0, 30.0])
PRECISIONS = np.array([1e-3, 1e-3, 1e-4])
ITERATIONS = 120
OUTLYING = 0.02
"""Errors of volatility up to this are never outliers."""
LEAST_FOR_OUTLIERS = 8
SUSPECT = 0.015
"""An error of volatility at which a second start is tried."""


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


@strict
def carry_cross(cross: ndarray, by: ndarray, later: ndarray, half: ndarray, inner: ndarray) -> None:
    """Tᵀ C T′ for the tangents of two neighbours, into `inner`."""
    for i in range(N):
        for j in range(N):
            total = 0.0
            for k in range(N):
                total += cross[i, k] * later[k, j]
            half[i, j] = total
    for i in range(N):
        for j in range(N):
            total = 0.0
            for k in range(N):
                total += by[k, i] * half[k, j]
            inner[i, j] = total


@strict
def solve_blocks(
    normal: ndarray, slope: ndarray, cross: ndarray, damping: float, step: ndarray, lower: ndarray, below: ndarray
) -> bool:
    """Step of the block tridiagonal (JᵀJ + damping · diag) step = −Jᵀr by Cholesky; False if not positive definite."""
    n = normal.shape[0]
    for s in range(n):
        if s > 0:
            for c in range(N):
                for i in range(N):
                    total = cross[s - 1, i, c]
                    for k in range(i):
                        total -= lower[s - 1, i, k] * below[s, k, c]
                    below[s, i, c] = total / lower[s - 1, i, i]
        for i in range(N):
            for j in range(i + 1):
                total = normal[s, i, j]
                if i == j:
                    total += damping * (normal[s, i, i] + 1e-9)
                if s > 0:
                    for k in range(N):
                        total -= below[s, k, i] * below[s, k, j]
                for k in range(j):
                    total -= lower[s, i, k] * lower[s, j, k]
                if i > j:
                    lower[s, i, j] = total / lower[s, j, j]
                elif total > 0.0:
                    lower[s, i, i] = sqrt(total)
                else:
                    return False
        for i in range(N):
            total = -slope[s, i]
            if s > 0:
                for k in range(N):
                    total -= below[s, k, i] * step[s - 1, k]
            for k in range(i):
                total -= lower[s, i, k] * step[s, k]
            step[s, i] = total / lower[s, i, i]
    for back in range(n):
        s = n - 1 - back
        for down in range(N):
            i = N - 1 - down
            total = step[s, i]
            if s + 1 < n:
                for c in range(N):
                    total -= below[s + 1, i, c] * step[s + 1, c]
            for k in range(i + 1, N):
                total -= lower[s, k, i] * step[s, k]
            step[s, i] = total / lower[s, i, i]
    return True


@strict
def minimise(
    all_p: ndarray,
    scale: ndarray,
    quotes: ndarray,
    offsets: ndarray,
    prior: ndarray,
    grids: ndarray,
    kappa: float,
    box: ndarray,
    precision: float,
) -> int:
    """Improve the parameters of all slices to the minimum nearby; the number of iterations."""
    n = scale.size
    normal, slope, cross = np.empty((2, n, N, N)), np.empty((2, n, N)), np.empty((2, n, N, N))
    inner, down, inner_cross = np.zeros((n, N, N)), np.zeros((n, N)), np.zeros((n, N, N))
    by, lower, below = np.zeros((n, N, N)), np.zeros((n, N, N)), np.zeros((n, N, N))
    step, trial, half = np.zeros((n, N)), np.zeros((n, N)), np.zeros((N, N))
    at = 0
    cost = accumulate(all_p, scale, quotes, offsets, prior, grids, kappa, normal[0], slope[0], cross[0])
    damping = 1e-2
    is_new = True
    for iteration in range(ITERATIONS):
        if is_new:
            for s in range(n):
                tangent(all_p[s], slope[at, s], box[s, 0], box[s, 1], by[s])
                carried(normal[at, s], slope[at, s], by[s], half, inner[s], down[s])
            for s in range(n - 1):
                carry_cross(cross[at, s], by[s], by[s + 1], half, inner_cross[s])
            is_new = False
        if not solve_blocks(inner, down, inner_cross, damping, step, lower, below):
            damping = 10.0 * damping + 1e-9
            continue
        for s in range(n):
            moved(all_p[s], step[s], box[s, 0], box[s, 1], trial[s])
        to = 1 - at
        found = accumulate(trial, scale, quotes, offsets, prior, grids, kappa, normal[to], slope[to], cross[to])
        if found < cost:
            is_done = cost - found < precision * cost + 1e-20 and damping <= CALM
            for s in range(n):
                copied(trial[s], all_p[s])
            cost, at, is_new = found, to, True
            damping = max(0.1 * damping, 1e-12)
            if is_done:
                return iteration + 1
        else:
            damping = max(4.0 * damping, 1e-4)
            if damping > 1e6:
                return iteration + 1
    return ITERATIONS


@strict
def grids_of(all_p: ndarray, scale: ndarray, quoted: ndarray, grids: ndarray) -> None:
    """Points of the penalties of each slice (in z) and of each pair (in k), for the parameters as they stand."""
    n = scale.size
    spans, core, both = np.empty((n, 2)), np.empty(2), np.empty(2)
    for i in range(n):
        ranges(all_p[i], scale[i], quoted[i], REACH, spans[i])
    for i in range(n):
        w, _, _ = curve(0.0, all_p[i])
        edge = REACH * sqrt(max(w, LEAST_VARIANCE))
        core[0], core[1] = -edge, edge
        both[0], both[1] = spans[i, 0] / scale[i], spans[i, 1] / scale[i]
        spread_points(core, both, grids[0, i])
        if i + 1 < n:
            both[0], both[1] = min(spans[i, 0], spans[i + 1, 0]), max(spans[i, 1], spans[i + 1, 1])
            spread_points(spans[i], both, grids[1, i])


@strict
def fit_all(
    all_p: ndarray, scale: ndarray, quotes: ndarray, offsets: ndarray, prior: ndarray, quoted: ndarray, box: ndarray
) -> ndarray:
    """Parameters of all slices free of arbitrage, in place; returned is what the exact step spent, δ/θ and λ."""
    n = scale.size
    grids = np.zeros((2, n, POINTS))
    spent = np.zeros((n, 2))
    for stage in range(STAGES.size):
        grids_of(all_p, scale, quoted, grids)
        minimise(all_p, scale, quotes, offsets, prior, grids, STAGES[stage], box, PRECISIONS[stage])
    enforce(all_p, scale, quoted, spent)
    return spent


@strict
def residuals(all_p: ndarray, quotes: ndarray, offsets: ndarray, errors: ndarray) -> None:
    """√W − y of all quotes, into `errors`."""
    for i in range(all_p.shape[0]):
        for q in range(offsets[i], offsets[i + 1]):
            w, _, _ = curve(quotes[0, q], all_p[i])
            errors[q] = sqrt(max(w, LEAST_VARIANCE)) - quotes[1, q]


@strict
def outliers(errors: ndarray, width: ndarray, reference: ndarray, offsets: ndarray, is_outlier: ndarray) -> int:
    """Mark errors beyond six robust standard deviations, two points and the quote's own spread; how many.

    A smile of which more than a fifth would go has no outliers: it is another smile.
    """
    count = 0
    for i in range(reference.size):
        first, last = offsets[i], offsets[i + 1]
        if last - first < LEAST_FOR_OUTLIERS:
            continue
        size = np.abs(errors[first:last])
        if np.max(size) * reference[i] <= OUTLYING:
            continue
        bound = max(6.0 * 1.4826 * np.median(size), OUTLYING / reference[i])
        own = 0
        for q in range(first, last):
            spread = 1.0 if np.isnan(width[q]) else width[q]
            is_outlier[q] = size[q - first] > max(bound, spread / reference[i])
            own += is_outlier[q]
        if 5 * own > last - first:
            is_outlier[first:last] = False
            own = 0
        count += own
    return count


@strict
def summary(
    errors: ndarray, width: ndarray, reference: ndarray, offsets: ndarray, is_outlier: ndarray, report: ndarray
) -> None:
    """Root mean square errors in volatility and in spreads and the number of quotes, into the rows of `report`."""
    for i in range(reference.size):
        total = in_spreads = 0.0
        n = quoted = 0
        for q in range(offsets[i], offsets[i + 1]):
            if is_outlier[q]:
                continue
            error = errors[q] * reference[i]
            total += error * error
            n += 1
            if width[q] > 0.0:
                in_spreads += (error / width[q]) ** 2
                quoted += 1
        report[i, 0] = sqrt(total / n) if n > 0 else 0.0
        report[i, 1] = sqrt(in_spreads / quoted) if quoted > 0 else 0.0
        report[i, 2] = n


@strict
def is_suspect(errors: ndarray, reference: ndarray, offsets: ndarray, spent: ndarray) -> bool:
    """Whether a slice is so far from its quotes, or the exact step did so much, that another start may do better."""
    for i in range(reference.size):
        n = offsets[i + 1] - offsets[i]
        total = 0.0
        for q in range(offsets[i], offsets[i + 1]):
            total += errors[q] * errors[q]
        if spent[i, 0] > MARGIN or spent[i, 1] > 0.0 or (n > 0 and reference[i] * sqrt(total / n) > SUSPECT):
            return True
    return False


@strict
def free_start(start: ndarray, quotes: ndarray, offsets: ndarray, box: ndarray) -> ndarray:
    """Every slice of enough quotes fitted by itself, without constraints; the others as they start."""
    found = start.copy()
    for i in range(start.shape[0]):
        first, last = offsets[i], offsets[i + 1]
        if last - first >= LEAST_FOR_OUTLIERS and np.max(quotes[2, first:last]) > 0.0:
            initial(quotes[0], quotes[1], quotes[2], first, last, found[i])
            into_box(found[i], box[i, 0], box[i, 1])
            minimise_one(found[i], quotes[0], quotes[1], quotes[2], first, last, box[i, 0], box[i, 1])
    return found


@strict
def chain(
    log_moneyness: ndarray,
    volatility: ndarray,
    weight: ndarray,
    width: ndarray,
    offsets: ndarray,
    time_to_expiry: ndarray,
    reference: ndarray,
    tie: ndarray,
    quoted: ndarray,
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Raw SVI parameters of every expiry of one underlying, jointly free of arbitrage, nearest expiry first.

    Quotes of expiry e stand from offsets[e] to offsets[e+1], sorted by moneyness; `width` is their spread in volatility
    (NaN without one), `reference` σ at the forward, `tie` τ of the prior, `quoted` the range in k to keep clean in any
    case. Returned: (a, b, ρ, m, s) by expiry; rmse, rmse in spreads and number of quotes; what the exact step spent
    (δ/θ, λ); which quotes were outliers.
    """
    n = time_to_expiry.size
    quotes = np.empty((3, volatility.size))
    theta, box = reference * reference * time_to_expiry, np.empty((n, 2, N))
    for i in range(n):
        farthest = max(-quoted[i, 0], quoted[i, 1]) / sqrt(theta[i])
        bounds(theta[i], farthest, box[i, 0], box[i, 1])
        for q in range(offsets[i], offsets[i + 1]):
            quotes[0, q] = log_moneyness[q] / sqrt(theta[i])
            quotes[1, q] = volatility[q] / reference[i]
            quotes[2, q] = weight[q]
    all_p = ssvi.slices_of(theta, ssvi.fitted(theta, quotes, offsets))
    prior = np.empty((n, N + 1))
    for i in range(n):
        copied(all_p[i], prior[i])
        prior[i, N] = tie[i]
        into_box(all_p[i], box[i, 0], box[i, 1])
    scale = np.sqrt(theta)
    start = all_p.copy()
    spent = fit_all(all_p, scale, quotes, offsets, prior, quoted, box)
    errors, is_outlier = np.zeros(volatility.size), np.zeros(volatility.size, dtype=np.bool_)
    residuals(all_p, quotes, offsets, errors)
    if n == 1 or is_suspect(errors, reference, offsets, spent):
        other = free_start(start, quotes, offsets, box)
        other_spent = fit_all(other, scale, quotes, offsets, prior, quoted, box)
        other_errors = np.zeros(volatility.size)
        residuals(other, quotes, offsets, other_errors)
        if np.sum((quotes[2] * other_errors) ** 2) < np.sum((quotes[2] * errors) ** 2):
            all_p, spent, errors = other, other_spent, other_errors
    if outliers(errors, width, reference, offsets, is_outlier) > 0:
        for q in range(volatility.size):
            if is_outlier[q]:
                quotes[2, q] = 0.0
        spent = fit_all(all_p, scale, quotes, offsets, prior, quoted, box)
        residuals(all_p, quotes, offsets, errors)
    report, raw = np.zeros((n, 3)), np.empty((n, N))
    summary(errors, width, reference, offsets, is_outlier, report)
    for i in range(n):
        unstandardised(all_p[i], theta[i], raw[i])
    return raw, report, spent, is_outlier
