"""Risk premia of level, skew and curvature: what the smile implies against what spot and volatility have done.

To second order in z a smile of stochastic volatility of volatility ν and correlation ρ has, over a short time τ,

    skew = ρ ν √τ / 2,        curvature = ν²τ (1/6 − 3ρ²/8),        so that  ν²τ = 6 curvature + 9 skew²

(Hagan, Kumar, Lesniewski & Woodward 2002, eq. 3.1a at β = 1, for ln σ instead of σ, with the factors' own scale: one
standard deviation). The realised counterparts come from the path of log index x and log volatility y = ln σ_atm of the
pillar: ρν/σ is the slope of dy on dx (a skew-stickiness ratio of 2, Bergomi 2009), ν² the variance of dy a year. Both
are multiplied by the pillar's σ√τ or τ, so that implied and realised are on one scale, without unit.
"""

from dataclasses import dataclass, replace

import numpy as np

from greekdrift.features.bars import Bars, bar_lines
from greekdrift.features.feature import Column, Path, Values, path
from greekdrift.features.history import Panel
from greekdrift.features.ranges import TIMING, close_variance
from greekdrift.features.realised import LEAST_COVERED, LOG_VARIANCE, log_positive, per_underlying, ratio
from greekdrift.units import DAYS_PER_YEAR

FROM_ROWS = "known with the row, from it and earlier rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarVariancePremium:
    """Log implied variance of a pillar minus log realised variance of as many days of bars.

    2 ln σ_atm(d) − ln (Y/h) Σ rᵢ² over the last d days of the price history: less noise than the panel's own path.
    """

    history: str
    days: int
    timing: str = f"level known with the row; {TIMING}"
    source: str = "Bollerslev, Tauchen & Zhou (2009)"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `bar_variance_premium_7d`."""
        return f"bar_variance_premium_{self.days}d"

    @property
    def lookback_hours(self) -> float:
        """The realised window."""
        return 24.0 * self.days

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""

        def realised(bars: Bars, panel: Panel) -> Values:
            return log_positive(close_variance(bars, bars.window(panel, self.lookback_hours)))

        return 2.0 * panel.factor(f"atm_{self.days}") - bar_lines(panel, self.history, realised)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolOfVol:
    """Log of the annualised realised variance of a pillar's log volatility over the last `hours`, (Y/h) Σ dyᵢ²."""

    hours: float
    pillar: int = 30
    timing: str = FROM_ROWS
    source: str = "Bollerslev, Tauchen & Zhou (2009)"
    unit: str = LOG_VARIANCE

    @property
    def name(self) -> str:
        """Such as `vol_of_vol_30_168h`."""
        return f"vol_of_vol_{self.pillar}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return log_positive(_level_variance(panel, self.pillar, self.hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotVolSlope:
    """Realised response of a pillar's log volatility to the log index, in the pillar's deviations: σ√τ Σ dx dy / Σ dx².

    Negative where volatility rises in a fall. One step of the path counts by what it moved, however long it was.
    """

    hours: float
    pillar: int = 30
    timing: str = FROM_ROWS
    source: str = "Bergomi (2009), Smile dynamics IV"
    unit: str = "log volatility per standard deviation"

    @property
    def name(self) -> str:
        """Such as `spot_vol_slope_30_168h`."""
        return f"spot_vol_slope_{self.pillar}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        moved, total = _spot_vol(panel, self.pillar, self.hours)
        return _deviation(panel, self.pillar) * ratio(moved, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewPremium:
    """Implied minus realised co-movement of index and volatility: 2 skew − σ√τ Σ dx dy / Σ dx².

    Negative: puts cost more than the fall of the index has raised volatility. `SpotVolSlope` says the second term.
    """

    hours: float
    pillar: int = 30
    timing: str = FROM_ROWS
    source: str = "Kozhan, Neuberger & Schneider (2013); Bergomi (2009)"
    unit: str = "log volatility per standard deviation"

    @property
    def name(self) -> str:
        """Such as `skew_premium_30_168h`."""
        return f"skew_premium_{self.pillar}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        realised = SpotVolSlope(hours=self.hours, pillar=self.pillar).compute(panel)
        return 2.0 * panel.factor(f"skew_{self.pillar}") - realised


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvaturePremium:
    """Implied minus realised variance of volatility over a pillar's days: 6 curvature + 9 skew² − τ (Y/h) Σ dyᵢ².

    Positive: wings cost more than volatility has moved.
    """

    hours: float
    pillar: int = 30
    timing: str = FROM_ROWS
    source: str = "Hagan, Kumar, Lesniewski & Woodward (2002), eq. 3.1a"
    unit: str = "variance of log volatility over the pillar's days"

    @property
    def name(self) -> str:
        """Such as `curvature_premium_30_168h`."""
        return f"curvature_premium_{self.pillar}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        implied = 6.0 * panel.factor(f"curvature_{self.pillar}") + 9.0 * panel.factor(f"skew_{self.pillar}") ** 2
        return implied - self.pillar / DAYS_PER_YEAR * _level_variance(panel, self.pillar, self.hours)


def _deviation(panel: Panel, pillar: int) -> Column:
    """One standard deviation of a pillar, σ√τ."""
    return np.exp(panel.factor(f"atm_{pillar}")) * np.sqrt(pillar / DAYS_PER_YEAR)


def _level_variance(panel: Panel, pillar: int, hours: float) -> Column:
    def line(track: Path, panel: Panel, _: int) -> Values:
        total, covered = track.window(track.step**2, hours, least=LEAST_COVERED)
        return total * panel.hours_per_year / covered

    return per_underlying(panel, line, factor=f"atm_{pillar}")


def _spot_vol(panel: Panel, pillar: int, hours: float) -> tuple[Column, Column]:
    """Σ dx dy and Σ dx² over the rows that have both, index and level."""
    level = f"atm_{pillar}"
    is_missing = np.isnan(panel.factor(level)) | np.isnan(panel.factor("forward"))
    both = replace(panel, state=np.where(is_missing[:, :, None], np.nan, panel.state))

    def moved(index: Path, panel: Panel, at: int) -> Values:
        steps = index.step * path(panel, at, factor=level).step
        return index.window(steps, hours, least=LEAST_COVERED)[0]

    def total(index: Path, _: Panel, __: int) -> Values:
        return index.window(index.step**2, hours, least=LEAST_COVERED)[0]

    return per_underlying(both, moved), per_underlying(both, total)
