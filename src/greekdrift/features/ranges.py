"""Realised measures of long price histories by bars: close, range, bipower, semivariance, jumps, quarticity.

Notation: O, H, L, C of bar i; rᵢ = ln(Cᵢ/Cᵢ₋₁), oᵢ = ln(Oᵢ/Cᵢ₋₁), cᵢ = ln(Cᵢ/Oᵢ), uᵢ = ln(Hᵢ/Oᵢ), dᵢ = ln(Lᵢ/Oᵢ);
n bars in the window, over which h hours went by; Y = 8,760 hours a year; b the hours of a bar. Levels are logarithms
of annualised variances (per 1.00 squared, years of 365 days); shares have no unit. The window is the last `hours`
that end with the newest bar known at the row. It is missing where a hole lies within, or it is not covered.
For bars of sessions b is a session's share of the year, 8760/252 hours.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log, pi
from typing import ClassVar, Literal

import numpy as np

from greekdrift.errors import InputError
from greekdrift.features.bars import Bars, Window, bar_lines
from greekdrift.features.feature import Column, Line
from greekdrift.features.history import Panel
from greekdrift.features.realised import log_positive, ratio
from greekdrift.units import HOURS_PER_YEAR

TIMING = "bars known at or before the row's known_at"
LOG_VARIANCE = "log of annualised variance"
SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverBars(ABC):
    """A measure of the last `hours` of the bars of each underlying; what is measured is said by each class below."""

    history: str
    hours: float
    bar_hours: float = 1.0
    timing: str = TIMING
    source: str = ""
    unit: str = LOG_VARIANCE
    label: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.hours >= self.bar_hours > 0.0:
            raise InputError(f"{self.name}: a window of {self.hours} h of bars of {self.bar_hours} h; make it longer.")

    @property
    def name(self) -> str:
        """Such as `parkinson_24h`."""
        return f"{self.label}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return bar_lines(panel, self.history, self._line)

    def _line(self, bars: Bars, panel: Panel) -> Line:
        return self._measure(bars, bars.window(panel, self.hours))

    @abstractmethod
    def _measure(self, bars: Bars, window: Window) -> Line:
        """One value per row."""

    def _log_rate(self, per_bar: Line) -> Line:
        """Logarithm of an annualised mean per bar."""
        return log_positive(per_bar * (HOURS_PER_YEAR / self.bar_hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarVariance(OverBars):
    """Log realised variance of closes, ln (Y/h) Σ rᵢ²."""

    source: str = "Andersen & Bollerslev (1998)"
    label: ClassVar[str] = "bar_rv"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return log_positive(close_variance(bars, window))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parkinson(OverBars):
    """Log variance from ranges, ln (Y/(n b)) Σ (uᵢ − dᵢ)² / (4 ln 2): five times as efficient as closes, no drift."""

    source: str = "Parkinson (1980)"
    label: ClassVar[str] = "parkinson"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return self._log_rate(window.total((bars.high - bars.low) ** 2) / (4.0 * log(2.0)) / window.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class GarmanKlass(OverBars):
    """Log variance from range and body, ln (Y/(n b)) Σ ½ (uᵢ − dᵢ)² − (2 ln 2 − 1) cᵢ²: no drift."""

    source: str = "Garman & Klass (1980), the simpler estimator"
    label: ClassVar[str] = "garman_klass"

    def _measure(self, bars: Bars, window: Window) -> Line:
        body = bars.close - bars.open
        amount = 0.5 * (bars.high - bars.low) ** 2 - (2.0 * log(2.0) - 1.0) * body**2
        return self._log_rate(window.total(amount) / window.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RogersSatchell(OverBars):
    """Log variance whatever the drift, ln (Y/(n b)) Σ uᵢ (uᵢ − cᵢ) + dᵢ (dᵢ − cᵢ)."""

    source: str = "Rogers & Satchell (1991)"
    label: ClassVar[str] = "rogers_satchell"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return self._log_rate(window.total(_rogers_satchell(bars)) / window.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class YangZhang(OverBars):
    """Log variance whatever the drift and the gaps, ln (Y/b) (V_o + k V_c + (1 − k) V_rs), at least two bars.

    V_o, V_c: sample variances of oᵢ and cᵢ; V_rs: mean of Rogers and Satchell's amount; k = 0.34/(1.34 + (n+1)/(n−1)).
    """

    source: str = "Yang & Zhang (2000)"
    label: ClassVar[str] = "yang_zhang"

    def _measure(self, bars: Bars, window: Window) -> Line:
        count = np.where(window.count > 1.0, window.count, np.nan)
        k = 0.34 / (1.34 + (count + 1.0) / (count - 1.0))
        between = _sample_variance(bars.gap, window, count)
        within = _sample_variance(bars.close - bars.open, window, count)
        return self._log_rate(between + k * within + (1.0 - k) * window.total(_rogers_satchell(bars)) / count)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarBipower(OverBars):
    """Log bipower variation, ln (Y/h) (π/2) n/(n−1) Σ |rᵢ₋₁| |rᵢ|: the variance without jumps."""

    source: str = "Barndorff-Nielsen & Shephard (2004)"
    label: ClassVar[str] = "bar_bipower"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return log_positive(_bipower(bars, window))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSemivariance(OverBars):
    """Log realised variance of falls or of rises alone, ln (Y/h) Σ rᵢ² 1(rᵢ < 0)."""

    side: Literal["down", "up"]
    source: str = "Barndorff-Nielsen, Kinnebrock & Shephard (2010)"

    @property
    def name(self) -> str:
        """Such as `bar_rv_down_24h`."""
        return f"bar_rv_{self.side}_{self.hours:g}h"

    def _measure(self, bars: Bars, window: Window) -> Line:
        half = np.minimum(bars.step, 0.0) if self.side == "down" else np.maximum(bars.step, 0.0)
        return log_positive(window.total(half**2) * HOURS_PER_YEAR / window.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarJumpShare(OverBars):
    """Share of realised variance made by jumps, max(1 − BV/RV, 0) with bipower variation BV; 0 to 1."""

    source: str = "Huang & Tauchen (2005), the relative jump measure"
    unit: str = SHARE
    label: ClassVar[str] = "bar_jump_share"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return np.maximum(1.0 - ratio(_bipower(bars, window), close_variance(bars, window)), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSignedVariation(OverBars):
    """Realised variance of rises minus that of falls, over both: −1 (falls alone) to 1."""

    source: str = "Patton & Sheppard (2015)"
    unit: str = SHARE
    label: ClassVar[str] = "bar_signed_variation"

    def _measure(self, bars: Bars, window: Window) -> Line:
        return ratio(window.total(bars.step * np.abs(bars.step)), window.total(bars.step**2))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarQuarticity(OverBars):
    """Log relative error of realised variance, ½ ln ((n/3) Σ rᵢ⁴ / (Σ rᵢ²)²): how little it is to be trusted."""

    source: str = "Bollerslev, Patton & Quaedvlieg (2016)"
    unit: str = "log of a ratio"
    label: ClassVar[str] = "bar_quarticity"

    def _measure(self, bars: Bars, window: Window) -> Line:
        fourth, second = window.total(bars.step**4), window.total(bars.step**2)
        return 0.5 * log_positive(ratio(window.count * fourth, 3.0 * second**2))


def close_variance(bars: Bars, window: Window) -> Line:
    """Annualised realised variance of closes in each window, (Y/h) Σ rᵢ²."""
    return window.total(bars.step**2) * HOURS_PER_YEAR / window.hours


def _rogers_satchell(bars: Bars) -> Line:
    up, down, body = bars.high - bars.open, bars.low - bars.open, bars.close - bars.open
    return up * (up - body) + down * (down - body)


def _bipower(bars: Bars, window: Window) -> Line:
    size = np.abs(bars.step)
    product = size * np.concatenate([[0.0], size[:-1]])
    count = np.where(window.count > 1.0, window.count, np.nan)
    return 0.5 * pi * window.inner(product) * count / (count - 1.0) * HOURS_PER_YEAR / window.hours


def _sample_variance(amount: Line, window: Window, count: Line) -> Line:
    """Unbiased variance of an amount within each window; never below 0."""
    mean = window.total(amount) / count
    return np.maximum(window.total(amount**2) - count * mean**2, 0.0) / (count - 1.0)
