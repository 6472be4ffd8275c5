"""The exact step of a joint fit: where slices may not have arbitrage, how much there is, and taking it away, compiled.

Parameters and moneyness are in the standardised units of `calibrate`, z = k/√θ and W = w/θ. Nothing here fits: what
least squares with penalties leaves is lifted or flattened by the least that suffices.
"""

from math import asinh, sinh, sqrt

import numpy as np
from numpy import ndarray

from greekdrift.greeks.compiled import strict
from greekdrift.surface.calibrate import LEAST_VARIANCE, N, copied, curve

RANGE = 5.0
"""Standard deviations on either side within which a surface is kept free of arbitrage."""
REACH = 5.1
"""Standard deviations that penalties cover: a little more, since the deviation itself is fitted."""
INNER, OUTER = 31, 10
POINTS = INNER + 2 * OUTER
FINE, DOUBTFUL = 121, 0.1
"""Points of the grids on which g is looked at in the end, and the value below which a low is looked into."""
CENTRE = np.array([-8.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, 8.0])
"""Where a slice is looked at closely: shares of ς on either side of μ."""
LIFTS, PATIENCE = 200, 8
"""Each lift widens the range of a slice a little and may call for another; after a few they grow by quarters."""


@strict
def density_factor(z: float, theta: float, w: float, w1: float, w2: float) -> float:
    """Gatheral's g in standardised units: (1 − zW′/(2W))² − W′²/(4W) − θW′²/16 + W″/2."""
    tilt = 1.0 - z * w1 / (2.0 * w)
    return tilt * tilt - w1 * w1 / (4.0 * w) - theta * w1 * w1 / 16.0 + 0.5 * w2


@strict
def minimum(p: ndarray) -> float:
    """Least W anywhere, α + βς√(1−ρ²)."""
    return p[0] + p[1] * p[4] * sqrt(1.0 - p[2] * p[2])


@strict
def spread_points(inner: ndarray, outer: ndarray, points: ndarray) -> None:
    """An even grid over the inner interval and a coarser one on either side out to the outer, into `points`."""
    for q in range(INNER):
        points[q] = inner[0] + (inner[1] - inner[0]) * q / (INNER - 1)
    for q in range(OUTER):
        points[INNER + q] = outer[0] + (inner[0] - outer[0]) * q / OUTER
        points[INNER + OUTER + q] = outer[1] + (inner[1] - outer[1]) * q / OUTER


@strict
def ranges(p: ndarray, scale: float, quoted: ndarray, deviations: float, span: ndarray) -> None:
    """The range of a slice in k: ±deviations √W(0)√θ, or as far as it is quoted, whichever is wider, into `span`."""
    w, _, _ = curve(0.0, p)
    edge = deviations * scale * sqrt(max(w, LEAST_VARIANCE))
    span[0] = min(-edge, quoted[0])
    span[1] = max(edge, quoted[1])


@strict
def g_of(z: float, p: ndarray, theta: float) -> float:
    """Gatheral's g of a slice at one standardised moneyness."""
    w, w1, w2 = curve(z, p)
    return density_factor(z, theta, w, w1, w2)


@strict
def least_on(points: ndarray, count: int, p: ndarray, theta: float) -> float:
    """Least g at sorted points, and between them: where one is a low below DOUBTFUL, its neighbours are narrowed in."""
    least, before, here = 1e300, 1e300, g_of(points[0], p, theta)
    for q in range(count):
        after = g_of(points[q + 1], p, theta) if q + 1 < count else 1e300
        least = min(least, here)
        if here < DOUBTFUL and here <= before and here <= after:
            left, right = points[max(q - 1, 0)], points[min(q + 1, count - 1)]
            for _ in range(40):
                third = (right - left) / 3.0
                low, high = g_of(left + third, p, theta), g_of(right - third, p, theta)
                least = min(least, low, high)
                if low < high:
                    right -= third
                else:
                    left += third
        before, here = here, after
    return least


@strict
def least_density_factor(p: ndarray, theta: float, low: float, high: float) -> float:
    """Least g between two z; −1 where W is not positive everywhere.

    Looked at are an even grid over ±5σ√τ and one that widens from μ like a hyperbolic sine, as SVI does.
    """
    if minimum(p) <= 1e-9:
        return -1.0
    points = np.empty(FINE)
    edge = min(REACH * sqrt(max(curve(0.0, p)[0], LEAST_VARIANCE)), max(-low, high))
    for q in range(FINE):
        points[q] = -edge + 2.0 * edge * q / (FINE - 1)
    least = least_on(points, FINE, p, theta)
    first, last = asinh((low - p[3]) / p[4]), asinh((high - p[3]) / p[4])
    for q in range(FINE):
        points[q] = p[3] + p[4] * sinh(first + (last - first) * q / (FINE - 1))
    return min(least, least_on(points, FINE, p, theta))


@strict
def excess_at(k: float, p: ndarray, later: ndarray, scale: ndarray) -> tuple[float, float, float]:
    """wᵢ − wᵢ₊₁ and its first two derivatives in k."""
    w, w1, w2 = curve(k / scale[0], p)
    v, v1, v2 = curve(k / scale[1], later)
    value = scale[0] * scale[0] * w - scale[1] * scale[1] * v
    return value, scale[0] * w1 - scale[1] * v1, w2 - v2


@strict
def excess(p: ndarray, later: ndarray, scale: ndarray, inner: ndarray, outer: ndarray) -> float:
    """Largest wᵢ(k) − wᵢ₊₁(k) over the outer interval.

    A grid that is finer about both centres m; where the slope falls through zero between two neighbours, the maximum is
    bracketed and found by Newton steps, halving the bracket where they leave it.
    """
    points = np.empty(POINTS + 1 + 2 * CENTRE.size)
    spread_points(inner, outer, points)
    points[POINTS] = outer[1]
    for i in range(CENTRE.size):
        near, far = scale[0] * (p[3] + CENTRE[i] * p[4]), scale[1] * (later[3] + CENTRE[i] * later[4])
        points[POINTS + 1 + 2 * i] = min(max(near, outer[0]), outer[1])
        points[POINTS + 2 + 2 * i] = min(max(far, outer[0]), outer[1])
    points.sort()
    largest, slope_before = -1e300, -1.0
    for q in range(points.size):
        value, slope, _ = excess_at(points[q], p, later, scale)
        largest = max(largest, value)
        if slope_before > 0.0 and slope < 0.0:
            left, right = points[q - 1], points[q]
            k = 0.5 * (left + right)
            for _ in range(30):
                value, first, second = excess_at(k, p, later, scale)
                largest = max(largest, value)
                if first > 0.0:
                    left = k
                else:
                    right = k
                if right - left <= 1e-9 * (outer[1] - outer[0]):
                    break
                step = k - first / second if second < 0.0 else left
                if abs(step - k) <= 1e-10 * (outer[1] - outer[0]):
                    break
                k = step if left < step < right else 0.5 * (left + right)
        slope_before = slope
    return largest


@strict
def enforce(all_p: ndarray, scale: ndarray, quoted: ndarray, spent: ndarray) -> None:
    """Make every slice exactly free of butterflies, and of calendar spreads against the one before, nearest first.

    A slice below its predecessor is lifted, a ↦ a + δ; one whose g is negative is mixed with a flat one,
    w ↦ (1−λ) w + λ w(0), by the least λ of a sequence that suffices (λ = 1 always does). `spent` holds δ/θ and λ.
    """
    span, before, both = np.empty(2), np.empty(2), np.empty(2)
    mixed = np.empty(N)
    for i in range(scale.size):
        share = 0.0
        while True:
            flat, _, _ = curve(0.0, all_p[i])
            copied(all_p[i], mixed)
            mixed[0] = (1.0 - share) * all_p[i, 0] + share * max(flat, LEAST_VARIANCE)
            mixed[1] = (1.0 - share) * all_p[i, 1]
            lift = 0.0
            for turn in range(LIFTS):
                ranges(mixed, scale[i], quoted[i], 1.001 * RANGE, span)
                if i == 0:
                    break
                ranges(all_p[i - 1], scale[i - 1], quoted[i - 1], 1.001 * RANGE, before)
                both[0], both[1] = min(span[0], before[0]), max(span[1], before[1])
                over = excess(all_p[i - 1], mixed, scale[i - 1 : i + 1], before, both)
                if over <= 0.0:
                    break
                rise = over / (scale[i] * scale[i]) + 1e-9 + (0.25 * lift if turn >= PATIENCE else 0.0)
                mixed[0] += rise
                lift += rise
            if least_density_factor(mixed, scale[i] * scale[i], span[0] / scale[i], span[1] / scale[i]) > 1e-6:
                break
            share = min(1.0, max(0.01, 1.7 * share))
            if spent[i, 1] >= 1.0:
                break
            spent[i, 1] = share
        spent[i, 0] = lift
        all_p[i] = mixed
