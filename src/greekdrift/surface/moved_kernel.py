"""The compiled inner part of a revaluation: blocks of scenarios on the strikes of one expiry.

A *block* is `LANES` scenarios at one horizon; cells are (row, lane), lanes contiguous and always full, so that every
loop has one vector body and the bits of a cell do not depend on where it stands. With v = e^move the moved forward
is F v, and as in `moved_slice` and `scenario`, with no logarithm per cell,

    k = ln(K/F) − move,   σ′ = σ_slice(k · scale) · residual(k · scale) · exp(L + Δskew f(z) + Δcurvature g(z))

Options are priced out of the money and per unit of the moved forward: with s = σ′√τ′, h = |k|/s, t = s/2,
d₁ = t − k/s, T(x) = 2 Φ(−x) exp(x²/2) and E = ½ exp(−d₁²/2),

    time value   E (T(h−t) − T(h+t)),   min(1, K/F′) − E (T(t−h) + T(h+t)) where h < t
    delta        a call's E T(h−t), or 1 − E T(t−h) where h < t;  a put's −E T(h+t)

The time value is that of the call and of the put, and the delta of the side in the money is ±1 away. Limits at s = 0
as in `black`. The functions follow the floating-point mode of the compiled function that calls them.
"""

from math import pi, sqrt

import numpy as np
from numba.extending import register_jitable
from numpy import ndarray

from greekdrift.greeks.elementary import exp, scaled_tail
from greekdrift.surface import state
from greekdrift.surface.state import BASIS, FORWARD

LANES = 32
CHUNK = 8
"""Rows worked on at a time: CHUNK × LANES cells of a dozen columns stay in the first cache."""
ROOT_2 = sqrt(2.0)
ROOT_HALF_PI = sqrt(0.5 * pi)
PER_ROOT_HALF_PI = 1.0 / ROOT_HALF_PI
TINY = 1e-60
FAR = 1e10
CLOSE = 0.01
"""Half a deviation under which the difference of two tails is a series."""

LEVEL_FROM, SKEW_FROM, CURVATURE_FROM = state.LEVEL.start, state.SKEW.start, state.CURVATURE.start

MOVE, GROWTH, SHRINK, LEVEL, SKEW, CURVATURE, SCALE, PER_DEVIATION, N_LANES = range(9)
"""Rows of `lanes`: ln(F′/F), F′/F, F/F′, the increments at the strip's tenor, x/k and z/k."""

A, B, RHO, M, S_SQUARED, PER_CLOCK, ATM, N_SMILE = range(8)
"""Entries of `smile`: raw SVI, one over its clock, and its at-the-money volatility."""

BASE, HEAD, WEIGHT, PILLAR, SHARE, YEARS, ROOT_YEARS, STRETCH, STATE, N_TERM = range(10)
"""Entries of `term`, a strip at a horizon: the index return is that of horizon BASE (−1: none) plus WEIGHT times what
it is to that of HEAD; the lower pillar and the upper one's share; τ′ and √τ′; scale beyond e^(−L); and the state."""

EXPIRED, FADING, ALIVE = range(3)
"""States: settled; within the window of the settlement average, left to `settlement`; and all else."""

K, X, BEND, VOLATILITY, TIME_VALUE, DELTA, DENSITY, PER_S, N_CELLS = range(9)
"""Rows of `cells`: k, x, the exponent of the bend, σ′, time value/F′, out-of-the-money delta, φ(d₁), 1/s."""


@register_jitable
def fill_lanes(increments: ndarray, start: int, stop: int, horizon: int, term: ndarray, smile: ndarray,
               lanes: ndarray) -> None:  # fmt: skip
    """Moves of one strip under scenarios start … start + LANES at a horizon; the last scenario fills the block up.

    `increments` are those of the strip's underlying, axes (scenario, horizon, factor), factors as in `state.FACTORS`.
    """
    base, head, weight = int(term[BASE]), int(term[HEAD]), term[WEIGHT]
    lower, share, years = int(term[PILLAR]), term[SHARE], term[YEARS]
    finite_years = years if years < np.inf else 0.0
    for lane in range(LANES):
        one = increments[min(start + lane, stop - 1)]
        row = one[horizon]
        origin = one[base, FORWARD] if base >= 0 else 0.0
        lanes[MOVE, lane] = origin + weight * (one[head, FORWARD] - origin) + row[BASIS] * finite_years
        for part in range(3):
            at = (LEVEL_FROM, SKEW_FROM, CURVATURE_FROM)[part] + lower
            lanes[LEVEL + part, lane] = row[at] * (1.0 - share) + row[at + 1] * share
    per_deviation = 1.0 / (smile[ATM] * term[ROOT_YEARS]) if term[STATE] > EXPIRED else 0.0
    for lane in range(LANES):
        shrink = exp(-lanes[LEVEL, lane])
        lanes[GROWTH, lane] = exp(lanes[MOVE, lane])
        lanes[SHRINK, lane] = exp(-lanes[MOVE, lane])
        lanes[SCALE, lane] = shrink * term[STRETCH]
        lanes[PER_DEVIATION, lane] = shrink * per_deviation


@register_jitable
def fill_volatility(log_moneyness: ndarray, first: int, rows: int, lanes: ndarray, smile: ndarray, knots: ndarray,
                    residuals: ndarray, slopes: ndarray, table: ndarray, steps: int, per_bucket: float, knot: ndarray,
                    cells: ndarray) -> None:  # fmt: skip
    """σ′ of some rows of a strip in every lane; the residual curve is as `strips.curve_of` makes it."""
    for row in range(rows):
        today = log_moneyness[first + row]
        for lane in range(LANES):
            k = today - lanes[MOVE, lane]
            z = k * lanes[PER_DEVIATION, lane]
            q = 1.0 / (1.0 + z * z)
            bend = lanes[SKEW, lane] * (ROOT_2 * z * np.sqrt(q)) + lanes[CURVATURE, lane] * (2.0 * z * z * q)
            cells[K, row * LANES + lane] = k
            cells[X, row * LANES + lane] = k * lanes[SCALE, lane]
            cells[BEND, row * LANES + lane] = lanes[LEVEL, lane] + bend
    n = rows * LANES
    a, b, rho, m, s_squared, per_clock = smile[A], smile[B], smile[RHO], smile[M], smile[S_SQUARED], smile[PER_CLOCK]
    for at in range(n):
        distance = cells[X, at] - m
        variance = a + b * (rho * distance + np.sqrt(distance * distance + s_squared))
        cells[VOLATILITY, at] = np.sqrt(max(variance, 0.0) * per_clock) * exp(cells[BEND, at])
    low, high = knots[0], knots[knots.size - 2]
    for at in range(n):
        x = min(max(cells[X, at], low), high)
        cells[X, at] = x
        knot[at] = table[np.uint64((x - low) * per_bucket)]
    for _ in range(steps):
        for at in range(n):
            knot[at] = knot[at] + np.uint64(cells[X, at] >= knots[knot[at] + np.uint64(1)])
    for at in range(n):
        here = knot[at]
        cells[VOLATILITY, at] = cells[VOLATILITY, at] * (residuals[here] + slopes[here] * (cells[X, at] - knots[here]))


@register_jitable
def fill_prices(
    strike_ratio: ndarray, first: int, rows: int, lanes: ndarray, root_years: float, cells: ndarray
) -> None:
    """Time value, delta, density and 1/s of some rows in every lane; `strike_ratio` is K/F before the move."""
    for row in range(rows):
        ratio = strike_ratio[first + row]
        for lane in range(LANES):
            cells[X, row * LANES + lane] = min(ratio * lanes[SHRINK, lane], 1.0)
    n = rows * LANES
    narrow = 0
    for at in range(n):
        k = cells[K, at]
        s = cells[VOLATILITY, at] * root_years
        counts = s > TINY
        s = s if counts else 0.0
        per_s = 1.0 / s if counts else 0.0
        far = 0.0 if k == 0.0 else FAR
        distance = abs(k) * per_s if counts else far
        distance = min(distance, FAR)
        half = 0.5 * s
        near = distance - half
        is_put = k < 0.0
        d1 = distance + half if is_put else near
        size = 0.5 * exp(-0.5 * d1 * d1)
        close_tail, far_tail = scaled_tail(min(abs(near), FAR)), scaled_tail(min(distance + half, FAR))
        is_wide = near < 0.0
        value = cells[X, at] - size * (close_tail + far_tail) if is_wide else size * (close_tail - far_tail)
        call = 1.0 - size * close_tail if is_wide else size * close_tail
        cells[TIME_VALUE, at] = value
        cells[DELTA, at] = -size * far_tail if is_put else call
        cells[DENSITY, at] = size * PER_ROOT_HALF_PI
        cells[PER_S, at] = per_s
        narrow += 1 if half < CLOSE else 0
    if narrow > 0:
        fill_close(n, root_years, cells)


@register_jitable
def fill_close(n: int, root_years: float, cells: ndarray) -> None:
    """Time values where the deviation is small, by the series of `black.mills_difference`."""
    for at in range(n):
        half = 0.5 * cells[VOLATILITY, at] * root_years
        is_close = half < CLOSE
        t = half if is_close else CLOSE
        h = min(abs(cells[K, at]) * cells[PER_S, at], FAR)
        m = ROOT_HALF_PI * scaled_tail(h)
        first = h * m - 1.0
        second = m + h * first
        third = 2.0 * first + h * second
        fourth = 3.0 * second + h * third
        fifth = 4.0 * third + h * fourth
        series = -2.0 * t * (first + t * t * (third / 6.0 + t * t * fifth / 120.0))
        cells[TIME_VALUE, at] = cells[DENSITY, at] * series if is_close else cells[TIME_VALUE, at]
