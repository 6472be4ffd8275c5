"""Compiled twin of the implied-volatility solver: a fitted start and one step of fifth order, block by block.

b = φ(h − t) (m(h − t) − m(h + t)),   h = x/s,   t = s/2,   x = |ln(F/K)|,   s = σ√τ,   m(y) = Φ(−y)/φ(y)

of the time value b as a share of min(F, K) is inverted for s on ln b up to one half and on ln(1 − b) above.

Start. With λ = ln(1 + |F − K|/time value) and u = x/λ, the limit of large λ is s = √(2λ) (1 − √(1 − u));
s = u/(1 + p) w c(p, z) with p = √(1 − u), w = √(λ/2 + 2π), z = 2π/w² carries that over to all λ by a polynomial c
of degree 6 by 6. Above one half, s = (q + √(q² + 2x)) c(r, z) with q² = −2 ln(1 − b), r = q/√(q² + 2x),
z = 1/√(1 + q²/2), degree 4 by 4. Both are fitted to the smallest largest error, 2.9e-4 and 2.3e-4, on 0 ≤ x ≤ 25
and shares from 1e-290 to 1 − 1e-16.

Step. Householder's of order five: an error e becomes less than 5 e⁵. The Mills ratio is m(y) = v R(ζ),
v = 1/(y + 5), ζ = 1 − 8.5 v, with a polynomial R of degree 24, exact to 2e-16 for y ≥ −0.75; a difference of two
values comes from the divided difference of R, so that nothing cancels at any s.

Rows outside the fitted range, or whose step was longer than the start's error allows, are marked UNSETTLED for
the caller. All arithmetic is a row's own and blocks are padded: a row's bits do not depend on its place.
"""

from math import inf, nan, sqrt

import numpy as np
from numba.extending import register_jitable
from numpy import float64, int8, int64, ndarray

from greekdrift.greeks import compiled
from greekdrift.greeks.black import LARGEST, TINY
from greekdrift.greeks.elementary import log, log_ratio
from greekdrift.greeks.implied_truth import COARSEST, FARTHEST, SMALLEST, Reason

BLOCK = 512
LANES = 64
"""A tail is padded to a multiple of it, so that no compiled loop has a remainder."""

FOUND, NO_PRICE, BELOW_INTRINSIC, ABOVE_BOUND, NO_INFORMATION, EXPIRED = map(int, Reason)
UNSETTLED = -1
"""Mark of a row that this page leaves to the slow solver."""

WIDEST = 25.0
LONGEST = 5e-4
EPSILON = 2.0**-52
NOISE = 8.0 * EPSILON
EXPONENT = 0x7FF0000000000000
LOG_ROOT_TWO_PI = 0.9189385332046727
TWO_PI = 6.283185307179586
INLINED = {"forceinline": True, "error_model": "numpy"}
"""Inlined by LLVM into each caller, whose floating-point mode a function without its own inherits."""

PRICE, FORWARD, STRIKE, TIME, IS_CALL, DISCOUNT = range(6)
SHARE, REST, GAP, DISTANCE, BIT, REACH, CODE, DEVIATION, STEP, SLOPE, PLACE = range(6, 17)
"""Rows of the workspace: place i of row r is at r · BLOCK + i."""

MILLS = (
    (
        -4.72644847991693e-09,
        -1.9227577127781507e-08,
        3.731520402049944e-08,
        2.0866401222200835e-07,
        -1.1518386920408721e-07,
    ),
    (
        -1.2853141604558527e-06,
        -3.1576077301040975e-08,
        6.5026184825563475e-06,
        2.332746441121556e-06,
        -3.257839947507996e-05,
    ),
    (
        -1.428869889967762e-05,
        0.0001777024333217423,
        2.1644129353546586e-05,
        -0.00105782709457521,
        0.0008000121020235229,
    ),
    (0.0059296568727042675, -0.015587494358498854, -0.009655499425339198, 0.15643778629784932, -0.5241463402362208),
    (1.1343602189489437, -1.8527361142646233, 2.4155188460780472, -2.5758493859305207, 2.265826036229902),
)
"""R of the Mills ratio, highest power of ζ first; in rows of five, because loops that short are unrolled."""

LOW = (
    (4.7094962, -6.4230014, 1.3639857, -0.661129, -0.13949661, 0.015937306, 0.082863152),
    (-14.199688, 20.536122, -0.59397096, -1.1566117, 0.18350421, -0.13642071, -0.077652606),
    (10.575531, -19.93909, -2.7221, 4.3036347, 0.08741336, -0.024808944, 0.078735124),
    (4.3724897, 2.5700866, 1.8068378, -2.0817901, -0.35158623, 0.1297747, -0.040332074),
    (-7.8075684, 4.9633358, 0.81574748, -0.96824772, 0.12023168, 0.19528489, 0.1366476),
    (2.459169, -1.6888484, -0.78495558, 0.54140191, 0.13827303, -0.081731916, -0.10110247),
    (-0.15542203, -0.044689623, 0.18558322, 0.1766967, 0.098581651, -0.22693994, 1.7599519),
)
"""c below one half: a row for each power of 2p − 1, highest first, and in it those of 2z − 1."""

HIGH = (
    (0.06065536, 0.056869654, -0.032476473, 0.0043330049, 0.0023344612),
    (-0.03129901, -0.17669781, 0.046221457, -0.015178994, -0.0082684147),
    (-0.15220464, 0.20356971, 0.028659318, 0.04800398, 0.023747745),
    (0.18362673, -0.067537427, -0.051500822, -0.13834102, -0.093411945),
    (-0.11794027, -0.075690143, -0.12384152, -0.22572332, 0.8764242),
)
"""c above one half: a row for each power of 2r − 1, highest first, and in it those of 2z − 1."""


@compiled.strict
def strict(
    price: ndarray,
    forward: ndarray,
    strike: ndarray,
    time: ndarray,
    is_call: ndarray,
    discount: ndarray,
    volatility: ndarray,
    reason: ndarray,
) -> bool:
    """Volatility and reason code of each row, written in place; False if an input is out of bounds.

    Inputs are contiguous vectors as long as the outputs, or of one element that serves all rows. The volatility of
    a row without one is NaN.
    """
    return _solve(price, forward, strike, time, is_call, discount, volatility, reason)


@compiled.contracted
def contracted(
    price: ndarray,
    forward: ndarray,
    strike: ndarray,
    time: ndarray,
    is_call: ndarray,
    discount: ndarray,
    volatility: ndarray,
    reason: ndarray,
) -> bool:
    """`strict` with multiply-adds fused: faster, and the last bits depend on the machine."""
    return _solve(price, forward, strike, time, is_call, discount, volatility, reason)


@register_jitable(**INLINED)
def _solve(
    price: ndarray,
    forward: ndarray,
    strike: ndarray,
    time: ndarray,
    is_call: ndarray,
    discount: ndarray,
    volatility: ndarray,
    reason: ndarray,
) -> bool:
    work = np.empty(17 * BLOCK)
    for start in range(0, volatility.size, BLOCK):
        rows = min(BLOCK, volatility.size - start)
        width = (rows + LANES - 1) // LANES * LANES
        _load(price, start, rows, width, work, PRICE)
        _load(forward, start, rows, width, work, FORWARD)
        _load(strike, start, rows, width, work, STRIKE)
        _load(time, start, rows, width, work, TIME)
        _load(is_call, start, rows, width, work, IS_CALL)
        _load(discount, start, rows, width, work, DISCOUNT)
        if _prepare(work, width):
            return False
        if _low(work, width):
            _high(work, width)
        _store(work, width)
        for i in range(rows):
            volatility[start + i] = work[DEVIATION * BLOCK + i]
            reason[start + i] = int8(work[CODE * BLOCK + i])
    return True


@register_jitable(**INLINED)
def _load(column: ndarray, start: int, rows: int, width: int, work: ndarray, row: int) -> None:
    """One block of a column; a tail is filled up with ones, which are good inputs."""
    first = row * BLOCK
    if column.size == 1:
        for i in range(width):
            work[first + i] = column[0]
    else:
        for i in range(rows):
            work[first + i] = column[start + i]
        for i in range(rows, width):
            work[first + i] = 1.0


@register_jitable(**INLINED)
def _prepare(work: ndarray, width: int) -> int:
    """Reasons, and what the solution needs of the rows without one; the number of rows out of bounds is returned."""
    bad = 0
    for i in range(width):
        V, F, K = work[i], work[FORWARD * BLOCK + i], work[STRIKE * BLOCK + i]
        T, D = work[TIME * BLOCK + i], work[DISCOUNT * BLOCK + i]
        is_missing = V != V  # noqa: PLR0124
        is_good = (abs(V) <= LARGEST) | is_missing
        is_good &= (F >= 0.0) & (F <= LARGEST) & (K >= 0.0) & (K <= LARGEST)
        is_good &= (T >= 0.0) & (T <= LARGEST) & (D >= TINY) & (D <= LARGEST)
        bad += 0 if is_good else 1
        undiscounted = V / D
        least, distance = min(F, K), abs(F - K)
        is_inside = (F != K) & ((F > K) == (work[IS_CALL * BLOCK + i] > 0.0))
        time_value = undiscounted - (distance if is_inside else 0.0)
        noise = NOISE * abs(undiscounted) if is_inside else SMALLEST * max(least, 1.0)
        code = ABOVE_BOUND if time_value >= least else FOUND
        code = NO_INFORMATION if abs(time_value) <= noise else code
        code = BELOW_INTRINSIC if time_value < -noise else code
        code = EXPIRED if T <= TINY else code
        code = NO_PRICE if is_missing else code
        x = abs(log_ratio(F, K))
        share = time_value / least
        code = UNSETTLED if (code == FOUND) & (x > WIDEST) else code
        is_found = code == FOUND
        last = int64(float64(undiscounted).view(int64) & int64(EXPONENT)).view(float64) * EPSILON
        work[CODE * BLOCK + i] = code
        work[DISTANCE * BLOCK + i] = x if is_found else 1.0
        work[GAP * BLOCK + i] = distance / least if is_found else 1.0
        work[SHARE * BLOCK + i] = share if is_found else 0.25
        work[REST * BLOCK + i] = (least - time_value) / least if is_found else 0.75
        work[BIT * BLOCK + i] = last / least if is_found else 0.0
        work[REACH * BLOCK + i] = FARTHEST if is_inside else inf
    return bad


@register_jitable(**INLINED)
def _low(work: ndarray, width: int) -> int:
    """Solve ln β = ln b on all rows; the number of rows with a share above one half is returned."""
    high = 0
    for i in range(width):
        share, x = work[SHARE * BLOCK + i], work[DISTANCE * BLOCK + i]
        s = _low_start(share, work[GAP * BLOCK + i], x)
        h, t = x / s, 0.5 * s
        near = h - t
        slope = _mills_slope(near, h + t)
        error = log(slope * s / share) - 0.5 * near * near - LOG_ROOT_TWO_PI
        step = _step(error, slope, h, t)
        high += 1 if share > 0.5 else 0
        work[DEVIATION * BLOCK + i] = s + s * step
        work[STEP * BLOCK + i] = step
        work[SLOPE * BLOCK + i] = slope / share
    return high


@register_jitable(**INLINED)
def _high(work: ndarray, width: int) -> None:
    """Solve ln(1 − β) = ln(1 − b) on the rows with a share above one half, gathered and padded."""
    count = 0
    for i in range(width):
        work[PLACE * BLOCK + count] = i
        work[STRIKE * BLOCK + count] = work[REST * BLOCK + i]
        work[FORWARD * BLOCK + count] = work[DISTANCE * BLOCK + i]
        count += 1 if work[SHARE * BLOCK + i] > 0.5 else 0
    padded = (count + LANES - 1) // LANES * LANES
    for i in range(count, padded):
        work[STRIKE * BLOCK + i] = 0.25
        work[FORWARD * BLOCK + i] = 1.0
    for i in range(padded):
        rest, x = work[STRIKE * BLOCK + i], work[FORWARD * BLOCK + i]
        s = _high_start(rest, x)
        h, t = x / s, 0.5 * s
        near = t - h
        total = _mills_sum(near, h + t)
        error = log(total / rest) - 0.5 * near * near - LOG_ROOT_TWO_PI
        slope = total / s
        step = _step(error, -slope, h, t)
        work[STRIKE * BLOCK + i] = s + s * step
        work[FORWARD * BLOCK + i] = step
        work[DISCOUNT * BLOCK + i] = slope / rest
    for i in range(count):
        place = int(work[PLACE * BLOCK + i])
        work[DEVIATION * BLOCK + place] = work[STRIKE * BLOCK + i]
        work[STEP * BLOCK + place] = work[FORWARD * BLOCK + i]
        work[SLOPE * BLOCK + place] = work[DISCOUNT * BLOCK + i]


@register_jitable(**INLINED)
def _store(work: ndarray, width: int) -> None:
    """Volatility σ = s/√τ of the rows that are settled and not blind."""
    for i in range(width):
        code, s = work[CODE * BLOCK + i], work[DEVIATION * BLOCK + i]
        is_blind = work[BIT * BLOCK + i] * work[SLOPE * BLOCK + i] > COARSEST
        is_blind |= s <= TINY
        is_blind |= work[DISTANCE * BLOCK + i] > work[REACH * BLOCK + i] * s
        ending = NO_INFORMATION if is_blind else FOUND
        ending = ending if abs(work[STEP * BLOCK + i]) <= LONGEST else UNSETTLED
        code = ending if code == FOUND else code
        work[CODE * BLOCK + i] = code
        work[DEVIATION * BLOCK + i] = s / sqrt(work[TIME * BLOCK + i]) if code == FOUND else nan


@register_jitable(**INLINED)
def _step(error: float, slope: float, h: float, t: float) -> float:
    """Householder's step of order five to the root of f(s) − target, relative to s; f = ln β or ln(1 − β).

    `error` is f(s) − target and `slope` 1/(s f′). The second to fourth derivatives of β over β′, times s, s² and s³,
    are A = h² − t², A² − 3h² − t² and A³ − 3A (3h² + t²) + 12h²; with q = s f′, those of f follow from them.
    """
    hh, tt = h * h, t * t
    a, b = (h - t) * (h + t), 3.0 * hh + tt
    second, third, fourth = a, a * a - b, a * (a * a - 3.0 * b) + 12.0 * hh
    q = 1.0 / slope
    bend = second - q
    turn = third - q * (3.0 * second - 2.0 * q)
    twist = fourth - q * (4.0 * third + 3.0 * second * second - q * (12.0 * second - 6.0 * q))
    newton = -error * slope
    above = 1.0 + newton * (bend + turn * newton / 6.0)
    below = 1.0 + newton * (1.5 * bend + newton * (0.25 * bend * bend + turn / 3.0 + twist * newton / 24.0))
    return newton * above / below


@register_jitable(**INLINED)
def _low_start(share: float, gap: float, x: float) -> float:
    """Deviation to 3e-4 for a share up to one half; the 1e-8 keeps u at its limit, the share, where F = K."""
    lam = log(1.0 + 1e-8 + min(gap / share, 1e300))
    u = (x + 1e-8 * share) / lam
    p = sqrt(max(1.0 - u, 0.0))
    ww = 0.5 * lam + TWO_PI
    y, z = 2.0 * p - 1.0, 2.0 * TWO_PI / ww - 1.0
    ratio = 0.0
    for row in LOW:
        term = 0.0
        for coefficient in row:
            term = term * z + coefficient
        ratio = ratio * y + term
    return u * sqrt(ww) * ratio / (1.0 + p)


@register_jitable(**INLINED)
def _high_start(rest: float, x: float) -> float:
    """Deviation to 3e-4 for 1 − b = rest up to one half."""
    qq = -2.0 * log(rest)
    full = sqrt(qq + 2.0 * x)
    q = sqrt(qq)
    y, z = 2.0 * q / full - 1.0, 2.0 / sqrt(1.0 + 0.5 * qq) - 1.0
    ratio = 0.0
    for row in HIGH:
        term = 0.0
        for coefficient in row:
            term = term * z + coefficient
        ratio = ratio * y + term
    return (q + full) * ratio


@register_jitable(**INLINED)
def _mills_slope(near: float, far: float) -> float:
    """(m(near) − m(far))/(far − near) by the divided difference of R; the Mills ratio's slope where both are equal."""
    v = 1.0 / ((near + 5.0) * (far + 5.0))
    v_near = v * (far + 5.0)
    here, there = 1.0 - 8.5 * v_near, 1.0 - 8.5 * (v * (near + 5.0))
    value, slope = 0.0, 0.0
    for row in MILLS:
        for coefficient in row:
            slope = slope * here + value
            value = value * there + coefficient
    return v * (value - 8.5 * v_near * slope)


@register_jitable(**INLINED)
def _mills_sum(first: float, second: float) -> float:
    """m(first) + m(second)."""
    v, w = 1.0 / (first + 5.0), 1.0 / (second + 5.0)
    here, there = 1.0 - 8.5 * v, 1.0 - 8.5 * w
    value, other = 0.0, 0.0
    for row in MILLS:
        for coefficient in row:
            value = value * here + coefficient
            other = other * there + coefficient
    return v * value + w * other
