"""All slices of one underlying at once: least squares with penalties for butterflies and calendar spreads, compiled.

What is minimised stands in `joint_terms`, how in `joint_steps`. Here: the penalties are raised in stages, what is left
of arbitrage is taken away exactly, quotes that no smile meets are left out, and a second start is tried where the first
one is suspect.
"""

from math import sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface import ssvi
from greekdrift.surface.calibrate import LEAST_VARIANCE, N, bounds, copied, curve, initial, into_box, unstandardised
from greekdrift.surface.calibrate import minimise as minimise_one
from greekdrift.surface.exact_step import POINTS, REACH, enforce, ranges, spread_points
from greekdrift.surface.joint_steps import minimise
from greekdrift.surface.joint_terms import MARGIN

STAGES = np.array([0.3, 3.0, 30.0])
PRECISIONS = np.array([1e-3, 1e-3, 1e-4])
OUTLYING = 0.02
"""Errors of volatility up to this are never outliers."""
LEAST_FOR_OUTLIERS = 8
SUSPECT = 0.015
"""An error of volatility at which a second start is tried."""


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
