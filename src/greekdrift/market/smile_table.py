"""Smiles of a law of `market.heston`, tabulated once: volatilities by regime, time, variance and moneyness.

Nodes are ln T, ln v and z = ln(K/F) / (σ_atm √T); between them ln σ is a cubic spline in each. Along z the smile ends
where its price is too small to hold a volatility, at the latest at ±6; beyond, total variance goes on linearly with
the slope at the end, kept between 0 and Lee's bound, as do all prices with it. A variance outside the table is taken
at its edge.

Error against the pricer, at random points within the table, of options of more than 1e-6 of the forward: see
`docs/simulator.md`. T is the time of the law, which need not be that of the calendar: a smile is handed on as total
variance.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.interpolate import CubicSpline, RectBivariateSpline

from greekdrift.errors import InputError
from greekdrift.market.heston import Bates, smiles
from greekdrift.units import DAYS_PER_YEAR, HOURS_PER_YEAR

SHORTEST, LONGEST = 0.2 / HOURS_PER_YEAR, 700.0 / DAYS_PER_YEAR
VARIANCES = (0.01, 9.0)
TIMES, LEVELS, TOGETHER = 26, 20, 5
"""Nodes of time and of variance, and how many variances share one integration."""
SIDE = np.array([0.25, 0.5, 0.75, 1.0, 1.3, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 5.5, 6.0])
Z = np.concatenate([-SIDE[::-1], [0.0], SIDE])
MIDDLE = len(SIDE)
CORNERS = (MIDDLE, MIDDLE - 4, MIDDLE + 4)
"""Places of z = 0, −1 and +1."""
STEEPEST = 1.9
"""Largest |dw/dk| with which a wing goes on; Lee (2004) allows 2."""

Curve = Float[ndarray, " strike"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmileCurve:
    """One smile: total variance at log-moneyness, a spline in z = k / `deviation`, linear in k beyond its ends."""

    deviation: float
    ends: tuple[float, float]
    logarithm: CubicSpline
    slopes: tuple[float, float]

    def total_variance(self, log_moneyness: Curve) -> Curve:
        """σ²T at ln(K/F)."""
        z = np.asarray(log_moneyness, dtype=np.float64) / self.deviation
        inside = np.clip(z, *self.ends)
        beyond = self.deviation * np.where(z < inside, (z - inside) * self.slopes[0], (z - inside) * self.slopes[1])
        return np.exp(2.0 * self.logarithm(inside)) + beyond


class SmileTable:
    """The smiles of one law.

    >>> table = SmileTable(Bates(reversion=6.0, volatility=1.0, correlation=-0.5, mean=(0.25,)))
    >>> curve = table.curve(years=0.1, variance=0.3, regime=0)
    >>> np.sqrt(curve.total_variance(np.array([-0.1, 0.0, 0.1])) / 0.1).round(3)
    array([0.549, 0.528, 0.51 ])
    """

    def __init__(self, law: Bates) -> None:
        self.law = law
        self._times = np.linspace(log(SHORTEST), log(LONGEST), TIMES)
        self._levels = np.linspace(log(VARIANCES[0]), log(VARIANCES[1]), LEVELS)
        groups = np.split(np.exp(self._levels), np.arange(TOGETHER, LEVELS, TOGETHER))
        found = np.stack(
            [
                np.concatenate([smiles(law, Z, years=years, variance=group) for group in groups], axis=1)
                for years in np.exp(self._times)
            ],
            axis=1,
        )
        deviation = np.log(found) + 0.5 * self._times[:, None, None]
        self._first, self._last = _known(deviation)
        self._table = _continued(deviation)
        self._by_time = CubicSpline(self._times, np.eye(TIMES))
        self._by_level = CubicSpline(self._levels, np.eye(LEVELS))
        self._corners = [
            [RectBivariateSpline(self._times, self._levels, of_regime[:, :, at]) for at in CORNERS]
            for of_regime in deviation
        ]

    def corners(
        self, years: Float[ndarray, "*state"], variance: Float[ndarray, "*state"], regime: Int[ndarray, "*state"]
    ) -> Float[ndarray, "3 *state"]:
        """ln(σ √T) at z = 0, −1 and +1 of many states at once."""
        years, variance, regime = np.broadcast_arrays(years, variance, regime)
        at = (_inside(years), np.log(np.clip(variance, *VARIANCES)))
        made = np.empty((3, *years.shape))
        for r, splines in enumerate(self._corners):
            own = regime == r
            for corner, spline in enumerate(splines):
                made[corner, own] = spline.ev(at[0][own], at[1][own])
        return made

    def curve(self, *, years: float, variance: float, regime: int) -> SmileCurve:
        """The smile at one time, variance and regime."""
        time, level = float(_inside(np.array(years))), log(float(np.clip(variance, *VARIANCES)))
        values = self._by_level(level) @ np.tensordot(self._by_time(time), self._table[regime], axes=1)
        near = (
            max(int(np.searchsorted(self._times, time)) - 1, 0),
            max(int(np.searchsorted(self._levels, level)) - 1, 0),
        )
        block = (regime, slice(near[0], near[0] + 2), slice(near[1], near[1] + 2))
        first, last = int(self._first[block].max()), int(self._last[block].min())
        spline = CubicSpline(Z[first : last + 1], values[first : last + 1])
        ends = (float(Z[first]), float(Z[last]))
        deviation = float(np.exp(values[MIDDLE]))
        slopes = [2.0 * float(spline(end, 1)) * float(np.exp(2.0 * spline(end))) / deviation for end in ends]
        return SmileCurve(
            deviation=deviation,
            ends=ends,
            logarithm=spline,
            slopes=(float(np.clip(slopes[0], -STEEPEST, 0.0)), float(np.clip(slopes[1], 0.0, STEEPEST))),
        )


@lru_cache(maxsize=8)
def table_of(law: Bates) -> SmileTable:
    """The table of a law, made once (seconds) and kept in memory."""
    return SmileTable(law)


def _inside(years: Float[ndarray, "*state"]) -> Float[ndarray, "*state"]:
    """Logarithm of T; a time that the table does not hold is refused."""
    if not np.all((years >= SHORTEST) & (years <= LONGEST)):
        raise InputError(
            f"smiles are tabulated from {SHORTEST * HOURS_PER_YEAR:.1f} hours to {LONGEST * DAYS_PER_YEAR:.0f} days of "
            f"the law's time; got {np.min(years) * HOURS_PER_YEAR:.2f} to {np.max(years) * HOURS_PER_YEAR:.2f} hours."
        )
    return np.log(years)


def _known(
    deviation: Float[ndarray, "regime time variance z"],
) -> tuple[Int[ndarray, "regime time variance"], Int[ndarray, "regime time variance"]]:
    """Places of the first and the last z of the unbroken run around the middle that holds a volatility."""
    is_known = np.isfinite(deviation)
    left = np.cumprod(is_known[..., MIDDLE::-1], axis=-1).sum(axis=-1)
    right = np.cumprod(is_known[..., MIDDLE:], axis=-1).sum(axis=-1)
    return MIDDLE + 1 - left, MIDDLE - 1 + right


def _continued(deviation: Float[ndarray, "regime time variance z"]) -> Float[ndarray, "regime time variance z"]:
    """The table with each smile held at its last value: numbers for the splines in T and v, never read as a smile."""
    first, last = _known(deviation)
    place = np.clip(np.arange(len(Z)), first[..., None], last[..., None])
    return np.take_along_axis(deviation, place, axis=-1)
