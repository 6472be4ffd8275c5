"""Implied level, slope, skew, curvature and the variance premium, read off the state.

Timing of all: known with the row. Levels are logarithms of at-the-money volatilities, per 1.00 a year.
"""

from dataclasses import dataclass

import numpy as np

from greekdrift.features.feature import Column
from greekdrift.features.history import Panel
from greekdrift.features.realised import RealisedVariance


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One factor of the state as it stands: level, skew or curvature at a pillar, basis."""

    factor: str
    lookback_hours: float = 0.0
    timing: str = "known with the row"
    source: str = "fitted surface"

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

    @property
    def name(self) -> str:
        """Such as `slope_7_30`."""
        return f"slope_{self.short_days}_{self.long_days}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return panel.factor(f"atm_{self.short_days}") - panel.factor(f"atm_{self.long_days}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariancePremium:
    """Log implied variance of a pillar minus log realised variance over as many days before.

    VRP = 2 ln σ_atm(d) − ln RV(d): what the market asks over what has been.
    """

    days: int
    timing: str = "known with the row, from it and earlier rows"
    source: str = "Bollerslev, Tauchen & Zhou (2009)"

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

    @property
    def name(self) -> str:
        """Such as `others_atm_30`."""
        return f"others_{self.factor}"

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        own = panel.factor(self.factor)
        is_there = np.isfinite(own)
        others = is_there.sum(axis=1, keepdims=True) - is_there
        total = np.where(is_there, own, 0.0).sum(axis=1, keepdims=True) - np.where(is_there, own, 0.0)
        mean = np.divide(total, others, out=np.full(own.shape, np.nan), where=others > 0)
        return mean - own
