"""Implied level, term structure, skew, curvature and the variance premium, read off the state.

Timing: known with the row; changes and premia also from earlier rows. Levels are logarithms of at-the-money
volatilities, per 1.00 a year.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from greekdrift.errors import InputError
from greekdrift.features.cross import others_mean
from greekdrift.features.feature import Column, Path, Values
from greekdrift.features.history import Panel
from greekdrift.features.realised import LEAST_COVERED, LOG_VARIANCE, RealisedVariance, log_positive, per_underlying


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One factor of the state as it stands: level, skew or curvature at a pillar, basis."""

    factor: str
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surface"
    unit: str = "as the factor: logarithms, the basis a year"

    @property
    def name(self) -> str:
        """The factor's name."""
        return self.factor

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return panel.factor(self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermSlope:
    """Log at-the-money volatility of a short pillar minus that of a long one; positive when inverted (stress)."""

    short_days: int
    long_days: int
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surface"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `slope_7_30`."""
        return f"slope_{self.short_days}_{self.long_days}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return panel.factor(f"atm_{self.short_days}") - panel.factor(f"atm_{self.long_days}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermCurvature:
    """How far the log volatility of a middle pillar lies above the line between its neighbours in ln τ.

    ln σ(m) − w ln σ(s) − (1 − w) ln σ(l),   w = ln(l/m) / ln(l/s); a hump (an event priced before m) is positive.
    """

    short_days: int
    middle_days: int
    long_days: int
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surface; Diebold & Li (2006) for the third factor of a term structure"
    unit: str = "difference of logs"

    def __post_init__(self) -> None:
        if not 0 < self.short_days < self.middle_days < self.long_days:
            raise InputError(f"{self.name}: days must be positive and increase.")

    @property
    def name(self) -> str:
        """Such as `hump_7_30_180`."""
        return f"hump_{self.short_days}_{self.middle_days}_{self.long_days}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        short, middle, long = (panel.factor(f"atm_{d}") for d in (self.short_days, self.middle_days, self.long_days))
        weight = log(self.long_days / self.middle_days) / log(self.long_days / self.short_days)
        return middle - weight * short - (1.0 - weight) * long


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardVariance:
    """Log implied variance between two pillars, ln ((σ_l² l − σ_s² s) / (l − s)), a year.

    What the market asks for the days after the short pillar alone. Missing where total variance falls with time.
    """

    short_days: int
    long_days: int
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "Gatheral (2006), The Volatility Surface"
    unit: str = LOG_VARIANCE

    def __post_init__(self) -> None:
        if not 0 < self.short_days < self.long_days:
            raise InputError(f"{self.name}: days must be positive and increase.")

    @property
    def name(self) -> str:
        """Such as `forward_variance_7_30`."""
        return f"forward_variance_{self.short_days}_{self.long_days}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        short, long = (np.exp(2.0 * panel.factor(f"atm_{d}")) * d for d in (self.short_days, self.long_days))
        return log_positive((long - short) / (self.long_days - self.short_days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One factor of the state minus another: the term slope of skew or curvature, skew against level."""

    factor: str
    minus: str
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surface"
    unit: str = "difference of the factors"

    @property
    def name(self) -> str:
        """Such as `skew_7_minus_skew_30`."""
        return f"{self.factor}_minus_{self.minus}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return panel.factor(self.factor) - panel.factor(self.minus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change of one factor of the state over the last `hours`, linear within a step; missing across a hole."""

    factor: str
    hours: float
    timing: str = "known with the row, from it and earlier rows"
    source: str = "fitted surface"
    unit: str = "change of the factor"

    @property
    def name(self) -> str:
        """Such as `change_atm_30_24h`."""
        return f"change_{self.factor}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line, factor=self.factor)

    def _line(self, track: Path, _: Panel, __: int) -> Values:
        return track.window(track.step, self.hours, least=LEAST_COVERED)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariancePremium:
    """Log implied variance of a pillar minus log realised variance over as many days before.

    VRP = 2 ln σ_atm(d) − ln RV(d): what the market asks over what has been.
    """

    days: int
    timing: str = "known with the row, from it and earlier rows"
    source: str = "Bollerslev, Tauchen & Zhou (2009)"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `variance_premium_7d`."""
        return f"variance_premium_{self.days}d"

    @property
    def lookback_hours(self) -> float:
        """The realised window."""
        return 24.0 * self.days

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        hours = self.lookback_hours if panel.clock == "elapsed" else panel.step_hours * round(self.days * 252.0 / 365.0)
        return 2.0 * panel.factor(f"atm_{self.days}") - RealisedVariance(hours=hours).compute(panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossLevel:
    """A log volatility of the other underlyings (their mean) minus one's own; missing for a single underlying."""

    factor: str = "atm_30"
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surfaces of the other underlyings"
    unit: str = "difference of logs"

    @property
    def name(self) -> str:
        """Such as `others_atm_30`."""
        return f"others_{self.factor}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        own = panel.factor(self.factor)
        return others_mean(own) - own
