"""Where a book should be brought back to, and what it costs to stay outside.

Every mandate's band has an inner band, its *target*: trading stops there, not at the edge, so that the next small
move does not cross it again. A delta target may be narrower still, by the small-cost laws of optimal hedging. All
are frozen at the book before the trade.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from greekdrift.book import Band, Chain, Mandate
from greekdrift.errors import InputError
from greekdrift.units import HOURS_PER_YEAR, days

VOLATILITY_OF_VOLATILITY = 0.8
"""Standard deviation of log ATM volatility a square-root year at 30 days (BTC, 2026: daily changes of 4 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A band, the interval inside it that trading aims at, and USD per unit outside that interval and hour."""

    band: Band
    lower: float
    upper: float
    price: float


def inner(band: Band, share: float) -> tuple[float, float]:
    """The interval of a share of a band's width about its centre.

    >>> inner(Band(greek="delta", underlying="BTC", lower=-1.0, upper=3.0), 0.5)
    (0.0, 2.0)
    """
    centre, half = 0.5 * (band.lower + band.upper), 0.5 * share * (band.upper - band.lower)
    return centre - half, centre + half


def small_cost_half_width(*, cost: float, price: float, risk_aversion: float, variation_ratio: float) -> float:
    """Half-width of the no-trade region about any frictionless target φ, in units of the hedge instrument.

    H = ((3/2) (λ S / g) d⟨φ⟩/d⟨S⟩)^(1/3)

    Source: Martin, Mathematical Finance 24 (2014); Kallsen & Muhle-Karbe, Mathematical Finance 27 (2017). λ is the
    one-way cost as a share of the value traded, S the price in USD, g the absolute risk aversion per USD, the ratio of
    variations in (units per USD)². H → 0 as λ → 0, g → ∞ or the target stands still.

    >>> round(small_cost_half_width(cost=6e-4, price=7e4, risk_aversion=1e-5, variation_ratio=1e-8), 4)
    0.3979
    """
    return float(np.cbrt(1.5 * cost * price / risk_aversion * variation_ratio))


def whalley_wilmott(*, gamma: float, cost: float, price: float, risk_aversion: float, discount: float = 1.0) -> float:
    """Half-width of the delta band of Whalley and Wilmott: the small-cost law with φ = Δ(S).

    H = ((3/2) e^(−r τ) λ S Γ² / g)^(1/3)

    Source: Whalley & Wilmott, Mathematical Finance 7 (1997). Γ in coins per USD, the result in coins.

    >>> round(whalley_wilmott(gamma=1e-4, cost=6e-4, price=7e4, risk_aversion=1e-5), 4)
    0.3979
    """
    return small_cost_half_width(
        cost=discount * cost, price=price, risk_aversion=risk_aversion, variation_ratio=gamma * gamma
    )


def variation_ratio(
    *,
    gamma: float,
    vanna: float,
    spot_volatility: float,
    volatility_volatility: float,
    correlation: float,
    price: float,
) -> float:
    """d⟨Δ⟩/d⟨S⟩ of a delta that moves with the price and with volatility.

    Γ² + 2 Γ V ρ (s_v / s_S) + V² (s_v / s_S)²,   s_S = S σ,   V = ∂Δ/∂σ (vanna),   s_v the standard
    deviation of σ in the same time. Source: the general law above with dΔ = Γ dS + V dσ.

    >>> round(variation_ratio(gamma=1e-4, vanna=0.0, spot_volatility=0.5, volatility_volatility=0.4,
    ...                       correlation=-0.3, price=7e4) / 1e-8, 6)
    1.0
    """
    slope = volatility_volatility / (price * spot_volatility)
    return gamma * gamma + 2.0 * gamma * vanna * correlation * slope + vanna * vanna * slope * slope


def near_volatility(chain: Chain, underlying: str, *, wanted_days: float = 7.0) -> float:
    """Volatility at the money of the listed expiry nearest to some days, as a figure for scale only."""
    is_here = chain.is_option & (chain.underlying == underlying) & (chain.time_to_expiry > 0.0)
    rows = np.flatnonzero(is_here)
    if rows.size == 0:
        raise InputError(
            f"{chain.venue} lists no live option on {underlying}, so a breach of its Greeks has no default price; "
            "give price_of_breach in the mandate."
        )
    life = days(chain.time_to_expiry[rows])
    distance = np.abs(np.log(life / wanted_days))
    rows = rows[distance == distance.min()]
    moneyness = np.abs(np.log(chain.strike[rows] / chain.forward[rows]))
    return float(chain.mark_iv[rows[np.argmin(moneyness)]])


def price_of_breach(greek: str, *, price: float, volatility: float, tenor: float = 30.0) -> float:
    """Standard deviation of the P&L in USD that one unit of a Greek causes in an hour.

    With s = S σ √h and v = σ ξ √(30/T) √h the standard deviations of price and volatility in h = 1/8760 years,
    independent and normal: delta s, gamma s²/√2, vega v, vanna s v, volga v²/√2, speed √15 s³/6, zomma √3 s² v/2;
    theta h, charm h s, veta h v, color h s²/√2 (per unit a year); rho 0.01 √h. T is the tenor in days, at least 1.

    >>> round(price_of_breach("delta", price=70_000.0, volatility=0.5), 2)
    373.95
    """
    hour = 1.0 / HOURS_PER_YEAR
    s = price * volatility * sqrt(hour)
    v = volatility * VOLATILITY_OF_VOLATILITY * sqrt(30.0 / max(tenor, 1.0)) * sqrt(hour)
    half = 1.0 / sqrt(2.0)
    table = {
        "delta": s,
        "gamma": s * s * half,
        "vega": v,
        "theta": hour,
        "rho": 0.01 * sqrt(hour),
        "vanna": s * v,
        "volga": v * v * half,
        "charm": hour * s,
        "veta": hour * v,
        "speed": sqrt(15.0) * s**3 / 6.0,
        "zomma": 0.5 * sqrt(3.0) * s * s * v,
        "color": hour * s * s * half,
    }
    return table[greek]


def targets(
    chain: Chain, mandate: Mandate, *, gamma: Mapping[str, float], cost: Mapping[str, float]
) -> tuple[Target, ...]:
    """The target of each band of a mandate, in the mandate's order.

    `gamma` (coins per USD) and `cost` (one-way share of the value traded) by underlying; they are used only where
    the mandate states a risk aversion. A delta target is then the inner band cut to centre ± H.
    """
    return tuple(_target(chain, mandate, band, gamma, cost) for band in mandate.bands)


def _target(
    chain: Chain, mandate: Mandate, band: Band, gamma: Mapping[str, float], cost: Mapping[str, float]
) -> Target:
    lower, upper = inner(band, mandate.inner_band)
    price = chain.index_price[band.underlying]
    if band.greek == "delta" and mandate.risk_aversion is not None and band.underlying in cost:
        half = whalley_wilmott(
            gamma=gamma[band.underlying],
            cost=cost[band.underlying],
            price=price,
            risk_aversion=mandate.risk_aversion,
        )
        centre = 0.5 * (band.lower + band.upper)
        lower, upper = max(lower, centre - half), min(upper, centre + half)
    stated = mandate.price_of_breach.get(band.greek)
    if stated is None:
        tenor = 30.0 if band.tenor_days is None else _middle(*band.tenor_days)
        volatility = near_volatility(chain, band.underlying)
        stated = price_of_breach(band.greek, price=price, volatility=volatility, tenor=tenor)
    return Target(band=band, lower=lower, upper=upper, price=stated)


def _middle(start: float, end: float) -> float:
    """Geometric middle of a tenor bucket, from one day up."""
    return sqrt(max(start, 1.0) * max(end, 1.0))
