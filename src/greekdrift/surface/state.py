"""The state of a market: a fitted surface and a chain as 26 factors per underlying, and what the factors mean.

    z = ln(K/F) / (σ_atm√τ)                            standardised moneyness
    atm        ln σ(0)
    skew       (ln σ(+1) − ln σ(−1)) / 2               half the log ratio one deviation up and down
    curvature  (ln σ(+1) + ln σ(−1)) / 2 − ln σ(0)     how far both lie above the middle, in logarithms
    forward    ln of the index price
    basis      slope of ln(F/S) in τ over the dated forwards, a year; see `annualised_basis`

One deviation either way is quoted on every expiry that trades, also hours before expiry and on equity surfaces that
reach from 10 to 90 delta; all three are dimensionless, so that increments add and 5 % means 5 % at any level.

Between expiries each of the three curves σ²(z) τ at z = −1, 0, +1 is interpolated linearly in τ (total variance
grows with time); outside the listed expiries its volatility is flat. Expiries under six hours are left out
unless there is nothing else: their smile is a few ticks wide.

`Shape` is the way back: how an increment of skew and curvature bends a smile. Both shape functions are bounded, so
that wings stay in proportion, and leave σ(0) alone:

    ln σ ↦ ln σ + Δskew √2 z/√(1+z²) + Δcurvature 2z²/(1+z²)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.errors import CalculationError, InputError, nearest
from greekdrift.surface.slices import Slice, Surface
from greekdrift.units import DAYS_PER_YEAR, stamp

Curve = Float[ndarray, "*curve"]

PILLARS: tuple[int, ...] = (1, 3, 7, 14, 30, 60, 90, 180)
"""Days at which level, skew and curvature are read."""

FACTORS: tuple[str, ...] = (
    "forward",
    *(f"atm_{days}" for days in PILLARS),
    *(f"skew_{days}" for days in PILLARS),
    *(f"curvature_{days}" for days in PILLARS),
    "basis",
)

LEVEL = slice(1, 1 + len(PILLARS))
SKEW = slice(LEVEL.stop, LEVEL.stop + len(PILLARS))
CURVATURE = slice(SKEW.stop, SKEW.stop + len(PILLARS))
FORWARD = 0
BASIS = len(FACTORS) - 1

_SHORTEST = 0.25 / DAYS_PER_YEAR
_BASIS_FROM = 7.0 / DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """Factors of each underlying at one instant, axes (underlying, factor), factors as in `FACTORS`."""

    as_of: datetime
    underlyings: tuple[str, ...]
    values: Float[ndarray, "underlying factor"]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.shape != (len(self.underlyings), len(FACTORS)):
            raise InputError(
                f"a state of {len(self.underlyings)} underlyings has {len(FACTORS)} factors each, not {values.shape}."
            )
        if not np.all(np.isfinite(values)):
            row, factor = np.argwhere(~np.isfinite(values))[0]
            raise CalculationError(
                f"state at {stamp(self.as_of)}: {FACTORS[factor]} of {self.underlyings[row]} is {values[row, factor]}; "
                "leave the underlying out."
            )
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def value(self, underlying: str, factor: str) -> float:
        """One factor of one underlying."""
        if underlying not in self.underlyings:
            raise InputError(f'no state of "{underlying}"; {nearest(underlying, self.underlyings)}')
        if factor not in FACTORS:
            raise InputError(f'no factor "{factor}"; {nearest(factor, FACTORS)}')
        return float(self.values[self.underlyings.index(underlying), FACTORS.index(factor)])


def state(surface: Surface, chain: Chain) -> State:
    """The state of every underlying that has a fitted slice."""
    if surface.as_of != chain.as_of:
        raise InputError(
            f"the surface is of {stamp(surface.as_of)}, the chain of {stamp(chain.as_of)}; fit this chain."
        )
    names = surface.underlyings
    rows = [factors(surface.of(name), index=chain.index_price[name], forwards=_forwards(chain, name)) for name in names]
    return State(as_of=chain.as_of, underlyings=names, values=np.array(rows))


def factors(
    slices: Sequence[Slice], *, index: float, forwards: Float[ndarray, "2 expiry"]
) -> Float[ndarray, " factor"]:
    """Factors of one underlying from its slices, index price and dated forwards (rows: years, ln(F/S))."""
    if not slices:
        raise CalculationError("a state needs at least one slice; fit a surface on a chain that lists options.")
    values = np.empty(len(FACTORS))
    values[FORWARD] = log(index)
    clocks = np.array([one.clock for one in slices])
    values[LEVEL], values[SKEW], values[CURVATURE] = curves(
        clocks, np.array([three_volatilities(one) for one in slices])
    )
    values[BASIS] = annualised_basis(forwards)
    return values


def curves(
    clocks: Float[ndarray, " expiry"], corners: Float[ndarray, "expiry 3"]
) -> tuple[Float[ndarray, " pillar"], Float[ndarray, " pillar"], Float[ndarray, " pillar"]]:
    """Level, skew and curvature at the pillars, from the years to each expiry and σ at z = 0, −1 and +1.

    >>> level, skew, curvature = curves(np.array([0.1, 0.2]), np.array([[0.5, 0.6, 0.5], [0.5, 0.6, 0.5]]))
    >>> bool(np.allclose(np.exp(level), 0.5)), round(float(skew[0]), 6), round(float(curvature[0]), 6)
    (True, -0.091161, 0.091161)
    """
    is_usable = clocks >= _SHORTEST
    if np.any(is_usable):
        clocks, corners = clocks[is_usable], corners[is_usable]
    tenors = np.array(PILLARS) / DAYS_PER_YEAR
    middle, down, up = (0.5 * np.log(_variance_rate(tenors, clocks, corners[:, at])) for at in range(3))
    return middle, 0.5 * (up - down), 0.5 * (up + down) - middle


def three_volatilities(one: Slice) -> Float[ndarray, "3"]:
    """σ at z = 0, −1 and +1 of a slice."""
    return one.volatility(np.array([0.0, -1.0, 1.0]) * one.deviation)


def _variance_rate(
    tenors: Float[ndarray, " pillar"], clocks: Float[ndarray, " expiry"], volatility: Float[ndarray, " expiry"]
) -> Float[ndarray, " pillar"]:
    """σ² at each tenor: total variance linear in time between expiries, volatility flat outside."""
    inside = np.clip(tenors, clocks[0], clocks[-1])
    return np.interp(inside, clocks, volatility**2 * clocks) / inside


def annualised_basis(forwards: Float[ndarray, "2 expiry"]) -> float:
    """Slope of ln(F/S) in years, by least squares with an intercept, over the dated forwards (rows: years, ln(F/S)).

    The intercept takes up what all forwards share: an index that was read seconds earlier or later. Expiries under
    seven days count only where fewer than two others are listed; a single expiry is its own slope, ln(F/S)/τ.

    >>> round(annualised_basis(np.array([[0.25, 0.5], [0.013, 0.023]])), 12)
    0.04
    """
    years, spread = forwards
    is_long = years >= _BASIS_FROM
    if np.sum(is_long) >= 2:
        years, spread = years[is_long], spread[is_long]
    if len(years) == 1:
        return float(spread[0] / max(years[0], _BASIS_FROM))
    distance = years - years.mean()
    return float(np.sum(distance * spread) / np.sum(distance**2))


def _forwards(chain: Chain, underlying: str) -> Float[ndarray, "2 expiry"]:
    """Years and ln(F/S) of the dated rows of one underlying, the median forward of each expiry."""
    own = (chain.underlying == underlying) & np.isfinite(chain.time_to_expiry)
    years = np.unique(chain.time_to_expiry[own])
    forward = [np.median(chain.forward[own & (chain.time_to_expiry == tau)]) for tau in years]
    return np.stack([years, np.log(np.array(forward) / chain.index_price[underlying])])


def pillar_weights(time_to_expiry: Float[ndarray, "*tenor"]) -> Float[ndarray, "*tenor pillar"]:
    """Weights that carry increments at the pillars to a tenor: linear in ln τ between pillars, flat beyond them.

    >>> pillar_weights(np.array([1.0, 42.426406871192853, 400.0]) / 365.0)[:, [0, 4, 5, 7]].round(6)
    array([[1. , 0. , 0. , 0. ],
           [0. , 0.5, 0.5, 0. ],
           [0. , 0. , 0. , 1. ]])
    """
    knots = np.log(np.array(PILLARS, dtype=np.float64))
    days = np.maximum(time_to_expiry * DAYS_PER_YEAR, PILLARS[0])
    at = np.clip(np.log(days), knots[0], knots[-1])
    upper = np.clip(np.searchsorted(knots, at), 1, len(knots) - 1)
    share = (at - knots[upper - 1]) / (knots[upper] - knots[upper - 1])
    weights = np.zeros((*np.shape(time_to_expiry), len(knots)))
    np.put_along_axis(weights, np.expand_dims(upper, -1), np.expand_dims(share, -1), axis=-1)
    np.put_along_axis(weights, np.expand_dims(upper - 1, -1), np.expand_dims(1.0 - share, -1), axis=-1)
    return weights


def skew_shape(z: Curve) -> Curve:
    """Shape of a skew increment, √2 z/√(1+z²): ±1 at z = ±1, within ±√2.

    >>> skew_shape(np.array([-1.0, 0.0, 1.0])).round(12)
    array([-1.,  0.,  1.])
    """
    return sqrt(2.0) * z / np.sqrt(1.0 + z * z)


def curvature_shape(z: Curve) -> Curve:
    """Shape of a curvature increment, 2z²/(1+z²): 1 at z = ±1, within [0, 2].

    >>> curvature_shape(np.array([-1.0, 0.0, 1.0]))
    array([1., 0., 1.])
    """
    return 2.0 * z * z / (1.0 + z * z)
