"""Greeks of higher order on the forward: vanna, volga, charm; veta, speed, zomma, color.

Names and formulas: Haug, The Complete Guide to Option Pricing Formulas, 2nd edition, chapter 2, on the forward.
Per 1.00 of volatility and per year of 365 days. Those with time are changes as the calendar moves on (−∂/∂τ),
forward and volatility held, as theta is. All are 0 where s = 0 but vanna, vega's veta and the rate terms.
"""

import numpy as np

from greekdrift.greeks.black import Options, Quotes, delta, gamma, inverse, vega


def vanna(at: Options) -> Quotes:
    """Change of delta per 1.00 of volatility, and of vega per unit of the forward: ∂²V/∂F∂σ = −D φ(d₁) d₂/σ.

    >>> from greekdrift.greeks.black import options
    >>> round(float(vanna(options(forward=100.0, strike=120.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 6)
    0.567871
    """
    with np.errstate(under="ignore"):
        ratio = np.where(at.deviation > 0.0, at.d2 * inverse(at.deviation), -0.5)
        return -at.discount * at.density * np.sqrt(at.time_to_expiry) * ratio


def volga(at: Options) -> Quotes:
    """Change of vega per 1.00 of volatility: ∂²V/∂σ² = vega d₁ d₂/σ (also called vomma).

    >>> from greekdrift.greeks.black import options
    >>> round(float(volga(options(forward=100.0, strike=120.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 6)
    17.157827
    """
    with np.errstate(under="ignore"):
        return vega(at) * (at.d1 * at.d2) * inverse(at.volatility)


def charm(at: Options) -> Quotes:
    """Change of delta per year that passes: −∂²V/∂F∂τ = D φ(d₁) d₂/(2τ) + r delta.

    >>> from greekdrift.greeks.black import options
    >>> round(float(charm(options(forward=100.0, strike=120.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 6)
    -0.567871
    """
    with np.errstate(under="ignore"):
        moved = 0.5 * at.discount * at.density * at.d2 * inverse(at.time_to_expiry)
        return moved + at.rate * delta(at)


def veta(at: Options) -> Quotes:
    """Change of vega per year that passes: −∂²V/∂σ∂τ = −vega (1 + d₁ d₂)/(2τ) + r vega.

    >>> from greekdrift.greeks.black import options
    >>> round(float(veta(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 4)
    -38.9653
    """
    with np.errstate(under="ignore"):
        return vega(at) * (at.rate - 0.5 * (1.0 + at.d1 * at.d2) * inverse(at.time_to_expiry))


def speed(at: Options) -> Quotes:
    """Change of gamma per unit of the forward: ∂³V/∂F³ = −gamma (1 + d₁/s)/F.

    >>> from greekdrift.greeks.black import options
    >>> round(float(speed(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 8)
    -0.0002375
    """
    with np.errstate(under="ignore"):
        return -gamma(at) * (1.0 + at.d1 * inverse(at.deviation)) * inverse(at.forward)


def zomma(at: Options) -> Quotes:
    """Change of gamma per 1.00 of volatility: ∂³V/∂F²∂σ = gamma (d₁ d₂ − 1)/σ.

    >>> from greekdrift.greeks.black import options
    >>> round(float(zomma(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 8)
    -0.03216181
    """
    with np.errstate(under="ignore"):
        return gamma(at) * (at.d1 * at.d2 - 1.0) * inverse(at.volatility)


def color(at: Options) -> Quotes:
    """Change of gamma per year that passes: −∂³V/∂F²∂τ = gamma (1 − d₁ d₂)/(2τ) + r gamma.

    >>> from greekdrift.greeks.black import options
    >>> round(float(color(options(forward=100.0, strike=100.0, volatility=0.5, time_to_expiry=0.25, is_call=True))), 8)
    0.03216181
    """
    with np.errstate(under="ignore"):
        return gamma(at) * (at.rate + 0.5 * (1.0 - at.d1 * at.d2) * inverse(at.time_to_expiry))
