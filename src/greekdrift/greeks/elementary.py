"""exp, log, the log of a ratio and the normal tail in plain arithmetic, so that compiled loops over them vectorise.

The library functions that numba calls stay scalar where no vector library is installed. These are polynomials,
one rational function, bit casts and selects: no branch, no table, no call. They are inlined into the compiled
caller and follow its floating-point mode; in strict mode (no fastmath) they give the same bits on every target.

Coefficients: exp and log interpolate at Chebyshev nodes in 70 digits; the tail is a minimax rational fit in 60
digits (Lawson's iteration). All coefficients of the tail are positive, so that nothing cancels. Largest relative
errors against mpmath: exp 1.6e-16, log 1.6e-16, log_ratio 3e-16, scaled_tail and erfcx 1.1e-15, normal_tail
1e-15 + ½ x² 1.1e-16 (the rounding of x²).

>>> import numba, numpy as np
>>> from greekdrift.greeks import elementary
>>> @numba.njit
... def decay(x, out):
...     for i in range(x.size):
...         out[i] = elementary.exp(-x[i])
>>> out = np.empty(2)
>>> decay(np.array([0.0, 1.0]), out); out
array([1.        , 0.36787944])
"""

from math import inf

from numba.extending import register_jitable
from numpy import float64, int64, uint64

ROUNDER = 6755399441055744.0
"""1.5 · 2⁵²: adding and subtracting it rounds to the nearest whole number, which stands in the lowest bits."""
ROUNDER_BITS = 0x4338000000000000
COUNTER = 4503599627370496.0
"""2⁵²: a whole number in its lowest bits counts from there."""
COUNTER_BITS = 0x4330000000000000
HALF_OCTAVE = 1 << 51
PER_LOG2 = 1.4426950408889634
LOG2_HIGH = 0.6931471803691238
"""ln 2 with 21 zero bits at its end: a product with a whole number below 2¹¹ is exact."""
LOG2_LOW = 1.9082149292705877e-10
UPSCALE = 2.0**600
"""Lifts every positive double that is at most 1e100 into the normal range, and keeps it there."""
ROOT_2 = 1.4142135623730951


@register_jitable(forceinline=True)
def exp(x: float) -> float:
    """Exponential, eˣ = 2ⁿ eʳ with n = round(x/ln 2), gradual down to 5e-324, 0 below −746 and infinite above 709.79.

    eʳ = 1 + r + r² q(r) on |r| ≤ ln 2/2; 2ⁿ is applied in two factors, so that denormal results are rounded once.
    """
    bounded = min(max(x, -746.0), 710.0)
    shifted = bounded * PER_LOG2 + ROUNDER
    n = shifted - ROUNDER
    r = (bounded - n * LOG2_HIGH) - n * LOG2_LOW
    q = 2.510038549551032e-08
    q = q * r + 2.7620088445409746e-07
    q = q * r + 2.7557268459997064e-06
    q = q * r + 2.4801521295954376e-05
    q = q * r + 0.00019841269863053618
    q = q * r + 0.0013888888917213717
    q = q * r + 0.008333333333330062
    q = q * r + 0.04166666666662413
    q = q * r + 0.16666666666666669
    q = q * r + 0.5
    biased = uint64(float64(shifted).view(int64) - int64(ROUNDER_BITS - 2046))
    half = biased >> uint64(1)
    rest = biased - half
    first = uint64(half << uint64(52)).view(float64)
    second = uint64(rest << uint64(52)).view(float64)
    return (1.0 + (r + r * r * q)) * first * second


@register_jitable(forceinline=True)
def log(x: float) -> float:
    """Natural logarithm of a finite positive number, denormals included: ln x = n ln 2 + ln m, m in [¾, 1½); −∞ at 0.

    With f = m − 1, which is exact, and s = f/(2 + f): ln m = f − s (f − 2 (s²/3 + s⁴/5 + …)).
    """
    is_small = x < 1e-290
    lifted = x * UPSCALE if is_small else x
    bits = float64(lifted).view(int64)
    biased = uint64(bits + int64(HALF_OCTAVE)) >> uint64(52)
    n = uint64(biased | uint64(COUNTER_BITS)).view(float64) - (COUNTER + 1023.0)
    f = int64(bits - ((int64(biased) - int64(1023)) << int64(52))).view(float64) - 1.0
    whole = n - 600.0 if is_small else n
    s = f / (2.0 + f)
    logarithm = whole * LOG2_HIGH + (f - (s * (f - atanh_rest(s * s)) - whole * LOG2_LOW))
    return logarithm if x > 0.0 else -inf


@register_jitable(forceinline=True)
def log_ratio(numerator: float, denominator: float) -> float:
    """ln(a/b) of numbers from 0 to 1e100, to full relative accuracy also where a ≈ b; ±∞ at a zero, 0 at 0/0.

    ln(a/b) = n ln 2 + 2 artanh(s),   s = (a − 2ⁿb)/(a + 2ⁿb),   n such that a and 2ⁿb are within ⅔ … 1½;
    their difference is exact, and one division suffices.
    """
    above = numerator * UPSCALE
    below = denominator * UPSCALE
    top = float64(above).view(int64)
    bottom = float64(below).view(int64)
    biased = uint64(top - bottom + int64(HALF_OCTAVE + (2000 << 52))) >> uint64(52)
    n = uint64(biased | uint64(COUNTER_BITS)).view(float64) - (COUNTER + 2000.0)
    near = int64(bottom + ((int64(biased) - int64(2000)) << int64(52))).view(float64)
    s = (above - near) / (above + near)
    logarithm = n * LOG2_HIGH + (2.0 * s + (s * atanh_rest(s * s) + n * LOG2_LOW))
    bounded = logarithm if above > 0.0 else -inf
    limit = bounded if below > 0.0 else inf
    return 0.0 if above == below else limit


@register_jitable(forceinline=True)
def atanh_rest(z: float) -> float:
    """2 artanh(s)/s − 2 = 2 (z/3 + z²/5 + …) as a polynomial in z = s², for |s| ≤ ⅕."""
    series = 0.13609030262858499
    series = series * z + 0.13209708242059462
    series = series * z + 0.15388867805613718
    series = series * z + 0.18181737626302938
    series = series * z + 0.2222222304835159
    series = series * z + 0.28571428567275936
    series = series * z + 0.4000000000000794
    series = series * z + 0.6666666666666666
    return series * z


@register_jitable(forceinline=True)
def scaled_tail(x: float) -> float:
    """2 Φ(−x) exp(x²/2) = erfcx(x/√2) for x from 0 to 1e25; √(2/π) m(x) of the Mills ratio m; exactly 1 at 0.

    A rational function of degree 10 over 11 on the whole half-line: 1.2e-17 before rounding.
    """
    above = 6.586945874804845e-07
    above = above * x + 1.935054599790088e-05
    above = above * x + 0.00028165113903349766
    above = above * x + 0.002633161963617965
    above = above * x + 0.017358245245020203
    above = above * x + 0.08389526483261008
    above = above * x + 0.30045022208639377
    above = above * x + 0.7877391188066319
    above = above * x + 1.4524743378552758
    above = above * x + 1.714618811084946
    above = above * x + 1.0
    below = 8.255512386624928e-07
    below = below * x + 2.4252312863943073e-05
    below = below * x + 0.0003538229055803453
    below = below * x + 0.0033244314277104756
    below = below * x + 0.022106680416155423
    below = below * x + 0.1083987959755505
    below = below * x + 0.3976161051145014
    below = below * x + 1.0860738830266086
    below = below * x + 2.156922846550705
    below = below * x + 2.9571619872496515
    below = below * x + 2.5125033718878127
    below = below * x + 1.0
    return above / below


@register_jitable(forceinline=True)
def erfcx(x: float) -> float:
    """Scaled complementary error function, exp(x²) erfc(x), for x from 0 to 1e25."""
    return scaled_tail(x * ROOT_2)


@register_jitable(forceinline=True)
def normal_tail(x: float) -> float:
    """Tail of the standard normal law, Φ(−x) = ½ scaled_tail(|x|) exp(−x²/2), and 1 minus that below 0; |x| ≤ 1e25."""
    distance = abs(x)
    tail = 0.5 * scaled_tail(distance) * exp(-0.5 * x * x)
    return tail if x >= 0.0 else 1.0 - tail
