"""The compiled twin of `greeks.black` and `greeks.higher`: all quantities of a block of options in one go.

A block of at most `WIDTH` options lives in a workspace of rows, `workspace()`, flat: row r, place i at r · ROW + i.
The caller fills the input rows (FORWARD … SIDE, side +1 for calls, −1 for puts), `prepare` adds what the
quantities share, and `quantity` writes one of them:

    work = kernel.workspace()                               # once; 40 KiB
    needed = kernel.needs(codes)                            # codes[j] = kernel.CODES["delta"], …
    for each block:                                         # width: a multiple of 64, at most WIDTH
        work[FORWARD * ROW + i] = …                         # all rows to SIDE, for every i < width
        kernel.prepare(work, width, needed)
        kernel.quantity(code, work, width, out, start)      # out[start : start + width], flat

All are callable from numba and from Python; those that end in `_contracted` fuse multiply-adds and are faster,
the others are strict: the same bits on every machine. Both treat each option alike wherever it stands, as every
loop runs over whole groups of 64. The blocks check nothing: numbers must lie from 0 to 1e100, discount from
1e-60. What is equal to `black` are values (to rounding) and limits (exactly); formulas and units stand there.

One logarithm, one exponential and two tails serve all quantities. With h = |ln(F/K)|/s, t = s/2 the smaller and
larger of the distances are h ∓ t; min(F, K) φ(h − t) = max(F, K) φ(h + t); and with E(x) = erfcx(x/√2)

    Φ(−x) = ½ E(x) exp(−x²/2)
    time value = min(F, K) ½ exp(−(h − t)²/2) (E(h − t) − E(h + t))

where, for s < 0.02, the difference is Taylor's series at h + t with E′ = x E − √(2/π), E⁽ⁿ⁺¹⁾ = n E⁽ⁿ⁻¹⁾ + x E⁽ⁿ⁾,
and, for h < t, the complement 1 − ½ exp(−(h − t)²/2) (E(t − h) + E(h + t)).
"""

from math import inf, sqrt

import numpy as np
from numba.extending import register_jitable
from numpy import ndarray

from greekdrift.greeks.black import FAR, LEAST, TINY
from greekdrift.greeks.compiled import contracted, strict
from greekdrift.greeks.elementary import exp, log, log_ratio, scaled_tail

WIDTH = 256
"""The results of a block, and the rows that they are made of, stay in the inner caches."""
ROW = WIDTH + 8
"""Rows lie a cache line more than half a page apart: equal places must not compete for the same lines."""
GROUP = 64
FORWARD, STRIKE, VOLATILITY, TIME, DISCOUNT, SIDE = 0, 1, 2, 3, 4, 5
_ROOT, _PER_DEVIATION, _D1, _D2, _DENSITY, _DENSITY_2, _DELTA, _OTHER, _PRICE = 6, 7, 8, 9, 10, 11, 12, 13, 14
_RATE, _PER_FORWARD, _PER_TIME, _PER_VOLATILITY = 15, 16, 17, 18
"""Between the loops of `prepare`, the delta's row holds exp(−(h − t)²/2), the other's (±D Φ(±d₂) at last) that of
h + t, and the price's the deviation."""
ROWS = 19

PRICE, DELTA, GAMMA, VEGA, THETA, RHO, VANNA, VOLGA, CHARM, VETA, SPEED, ZOMMA, COLOR = range(13)
STRIKE_DELTA, STRIKE_GAMMA = 13, 14
CODES = {
    "price": PRICE, "delta": DELTA, "gamma": GAMMA, "vega": VEGA, "theta": THETA, "rho": RHO, "vanna": VANNA,
    "volga": VOLGA, "charm": CHARM, "veta": VETA, "speed": SPEED, "zomma": ZOMMA, "color": COLOR,
    "strike_delta": STRIKE_DELTA, "strike_gamma": STRIKE_GAMMA,
}  # fmt: skip

_TAILS, _RATES, _PER_F, _PER_TAU, _PER_SIGMA = 1, 2, 4, 8, 16
_NEEDS = (
    _TAILS,  # price
    _TAILS,  # delta
    _PER_F,  # gamma
    0,  # vega
    _TAILS | _RATES | _PER_TAU,  # theta
    _TAILS,  # rho
    0,  # vanna
    _PER_SIGMA,  # volga
    _TAILS | _RATES | _PER_TAU,  # charm
    _RATES | _PER_TAU,  # veta
    _PER_F,  # speed
    _PER_F | _PER_SIGMA,  # zomma
    _PER_F | _RATES | _PER_TAU,  # color
    _TAILS,  # strike_delta
    0,  # strike_gamma
)
_PER_ROOT_2_PI = 0.3989422804014327
_TAIL_SLOPE = 0.7978845608028654
"""−E′(0) = √(2/π)."""
_CLOSE = 0.02


@register_jitable
def workspace() -> ndarray:
    """Rows for one block of options, flat; one per thread."""
    return np.empty(ROWS * ROW)


@register_jitable
def needs(codes: ndarray) -> int:
    """What `prepare` must add for the quantities with these codes."""
    needed = 0
    for code in codes:
        needed |= _NEEDS[code]
    return needed


@register_jitable(forceinline=True)
def _per(x: float) -> float:
    return 1.0 / x if x > TINY else 0.0


@register_jitable(forceinline=True)
def _difference_of_tails(far: float, at_far: float, s: float) -> float:
    """E(x − s) − E(x) by Taylor's series at x for s < 0.02; the neglected term is below 5e-15 of it."""
    u = min(s, _CLOSE)
    first = far * at_far - _TAIL_SLOPE
    second = at_far + far * first
    third = 2.0 * first + far * second
    fourth = 3.0 * second + far * third
    fifth = 4.0 * third + far * fourth
    sixth = 5.0 * fourth + far * fifth
    seventh = 6.0 * fifth + far * sixth
    series = sixth / 720.0 - seventh * (u / 5040.0)
    series = series * u - fifth / 120.0
    series = series * u + fourth / 24.0
    series = series * u - third / 6.0
    series = series * u + second / 2.0
    return u * (series * u - first)


@register_jitable(forceinline=True)
def _prepare(work: ndarray, width: int, needed: int) -> None:
    for i in range(width):
        F, K = work[i], work[STRIKE * ROW + i]
        root = sqrt(work[TIME * ROW + i])
        raw = work[VOLATILITY * ROW + i] * root
        is_moving = raw > TINY
        s = raw if is_moving else 0.0
        per_s = 1.0 / raw if is_moving else 0.0
        k = abs(log_ratio(F, K))
        still = 0.0 if F == K else FAR
        h = min(k * per_s, FAR) if is_moving else still
        half = 0.5 * s if k < inf else 0.0
        near = max(h - half, -FAR)
        far = min(h + half, FAR)
        gauss = exp(-0.5 * near * near)
        least, most = min(F, K), max(F, K)
        other = gauss * (least / most if most > 0.0 else 1.0)
        is_above = F >= K
        discounted = _PER_ROOT_2_PI * work[DISCOUNT * ROW + i]
        work[_ROOT * ROW + i] = root
        work[_PER_DEVIATION * ROW + i] = per_s
        work[_D1 * ROW + i] = far if is_above else -near
        work[_D2 * ROW + i] = near if is_above else -far
        work[_DENSITY * ROW + i] = discounted * (other if is_above else gauss)
        work[_DENSITY_2 * ROW + i] = discounted * (gauss if is_above else other)
        work[_DELTA * ROW + i] = gauss
        work[_OTHER * ROW + i] = other
        work[_PRICE * ROW + i] = s
    if needed & _TAILS:
        for i in range(width):
            F, K = work[i], work[STRIKE * ROW + i]
            D, side = work[DISCOUNT * ROW + i], work[SIDE * ROW + i]
            d1, d2 = work[_D1 * ROW + i], work[_D2 * ROW + i]
            gauss, other = work[_DELTA * ROW + i], work[_OTHER * ROW + i]
            s = work[_PRICE * ROW + i]
            is_above = F >= K
            near = d2 if is_above else -d1
            far = d1 if is_above else -d2
            at_near = scaled_tail(abs(near))
            at_far = scaled_tail(far)
            difference = at_near - at_far
            close = _difference_of_tails(far, at_far, s)
            half = 0.5 * gauss
            share = half * (close if s < _CLOSE else difference)
            share = share if (near >= 0.0) | (s < _CLOSE) else 1.0 - half * (at_near + at_far)
            intrinsic = max(side * (F - K), 0.0)
            near_tail = half * at_near
            far_tail = 0.5 * other * at_far
            tail1 = far_tail if is_above else near_tail
            tail2 = near_tail if is_above else far_tail
            first = tail1 if side * d1 < 0.0 else 1.0 - tail1
            second = tail2 if side * d2 < 0.0 else 1.0 - tail2
            work[_PRICE * ROW + i] = D * (intrinsic + min(F, K) * share)
            work[_DELTA * ROW + i] = D * (side * first)
            work[_OTHER * ROW + i] = D * (side * second)
    if needed & _PER_F:
        for i in range(width):
            work[_PER_FORWARD * ROW + i] = _per(work[i])
    if needed & _PER_TAU:
        for i in range(width):
            work[_PER_TIME * ROW + i] = _per(work[TIME * ROW + i])
    if needed & _PER_SIGMA:
        for i in range(width):
            work[_PER_VOLATILITY * ROW + i] = _per(work[VOLATILITY * ROW + i])
    if needed & _RATES:
        discounting = 0
        for i in range(width):
            discounting += work[DISCOUNT * ROW + i] != 1.0
        if discounting:
            for i in range(width):
                work[_RATE * ROW + i] = (0.0 - log(work[DISCOUNT * ROW + i])) * work[_PER_TIME * ROW + i]
        else:
            for i in range(width):
                work[_RATE * ROW + i] = 0.0


@register_jitable(forceinline=True)
def _quantity(code: int, work: ndarray, width: int, out: ndarray, start: int) -> None:
    target = out[start : start + width]  # an index from 0 up is known to be no negative one: the loops vectorise
    if code == PRICE:
        for i in range(width):
            target[i] = work[_PRICE * ROW + i]
    elif code == DELTA:
        for i in range(width):
            target[i] = work[_DELTA * ROW + i]
    elif code == GAMMA:
        for i in range(width):
            target[i] = work[_DENSITY * ROW + i] * work[_PER_FORWARD * ROW + i] * work[_PER_DEVIATION * ROW + i]
    elif code == VEGA:
        for i in range(width):
            target[i] = work[i] * work[_DENSITY * ROW + i] * work[_ROOT * ROW + i]
    elif code == THETA:
        for i in range(width):
            root = work[_ROOT * ROW + i]
            decay = -0.5 * work[i] * work[_DENSITY * ROW + i] * work[VOLATILITY * ROW + i] * _per(root)
            target[i] = decay + work[_RATE * ROW + i] * work[_PRICE * ROW + i]
    elif code == RHO:
        for i in range(width):
            target[i] = work[TIME * ROW + i] * work[STRIKE * ROW + i] * work[_OTHER * ROW + i]
    elif code == VANNA:
        for i in range(width):
            per_s = work[_PER_DEVIATION * ROW + i]
            ratio = work[_D2 * ROW + i] * per_s if per_s > 0.0 else -0.5
            target[i] = -work[_DENSITY * ROW + i] * work[_ROOT * ROW + i] * ratio
    elif code == VOLGA:
        for i in range(width):
            vega = work[i] * work[_DENSITY * ROW + i] * work[_ROOT * ROW + i]
            product = work[_D1 * ROW + i] * work[_D2 * ROW + i]
            target[i] = vega * product * work[_PER_VOLATILITY * ROW + i]
    elif code == CHARM:
        for i in range(width):
            moved = 0.5 * work[_DENSITY * ROW + i] * work[_D2 * ROW + i] * work[_PER_TIME * ROW + i]
            target[i] = moved + work[_RATE * ROW + i] * work[_DELTA * ROW + i]
    elif code == VETA:
        for i in range(width):
            vega = work[i] * work[_DENSITY * ROW + i] * work[_ROOT * ROW + i]
            product = work[_D1 * ROW + i] * work[_D2 * ROW + i]
            target[i] = vega * (work[_RATE * ROW + i] - 0.5 * (1.0 + product) * work[_PER_TIME * ROW + i])
    elif code == SPEED:
        for i in range(width):
            per_forward, per_s = work[_PER_FORWARD * ROW + i], work[_PER_DEVIATION * ROW + i]
            gamma = work[_DENSITY * ROW + i] * per_forward * per_s
            target[i] = -gamma * (1.0 + work[_D1 * ROW + i] * per_s) * per_forward
    elif code == ZOMMA:
        for i in range(width):
            gamma = work[_DENSITY * ROW + i] * work[_PER_FORWARD * ROW + i] * work[_PER_DEVIATION * ROW + i]
            product = work[_D1 * ROW + i] * work[_D2 * ROW + i]
            target[i] = gamma * (product - 1.0) * work[_PER_VOLATILITY * ROW + i]
    elif code == COLOR:
        for i in range(width):
            gamma = work[_DENSITY * ROW + i] * work[_PER_FORWARD * ROW + i] * work[_PER_DEVIATION * ROW + i]
            product = work[_D1 * ROW + i] * work[_D2 * ROW + i]
            target[i] = gamma * (work[_RATE * ROW + i] + 0.5 * (1.0 - product) * work[_PER_TIME * ROW + i])
    elif code == STRIKE_DELTA:
        for i in range(width):
            target[i] = -work[_OTHER * ROW + i]
    elif code == STRIKE_GAMMA:
        for i in range(width):
            strike = work[STRIKE * ROW + i]
            per_strike = 1.0 / strike if strike > LEAST else 0.0
            target[i] = work[_DENSITY_2 * ROW + i] * per_strike * work[_PER_DEVIATION * ROW + i]


@strict
def prepare(work: ndarray, width: int, needed: int) -> None:
    """Add to the input rows of a block what its quantities share; strict."""
    _prepare(work, width, needed)


@contracted
def prepare_contracted(work: ndarray, width: int, needed: int) -> None:
    """Add to the input rows of a block what its quantities share; multiply-adds fused."""
    _prepare(work, width, needed)


@strict
def quantity(code: int, work: ndarray, width: int, out: ndarray, start: int) -> None:
    """Write one quantity of a prepared block to out[start : start + width]; strict."""
    _quantity(code, work, width, out, start)


@contracted
def quantity_contracted(code: int, work: ndarray, width: int, out: ndarray, start: int) -> None:
    """Write one quantity of a prepared block to out[start : start + width]; multiply-adds fused."""
    _quantity(code, work, width, out, start)
