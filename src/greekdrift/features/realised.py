"""Realised variance, semivariances, jumps and leverage from the panel's own path of the log index.

Steps are uneven: a window of h hours adds up squared changes by the time they took and divides by the hours
covered. Units: logarithms of annualised variances (per 1.00 squared, years of the panel's clock).
Timing of all: known with the row; only rows up to it are used. A window that touches a hole is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.features.feature import Column, Path, Values, over_underlyings, path
from greekdrift.features.history import Panel

LEAST_COVERED = 0.8
CLIP = 3.0
TIMING = "known with the row, from it and earlier rows"
LOG_VARIANCE = "log of annualised variance"

ValuesOf = Callable[[Path, Panel, int], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedVariance:
    """Log of the annualised realised variance over the last `hours`.

    RV = (Y/h) Σ rᵢ²,  Y hours a year, rᵢ the change of the log index over step i, h the hours covered.
    """

    hours: float
    source: str = "Andersen & Bollerslev (1998); Corsi (2009) for the scales"
    timing: str = TIMING
    unit: str = LOG_VARIANCE

    @property
    def name(self) -> str:
        """Such as `log_rv_24h`."""
        return f"log_rv_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, _: int) -> Values:
        total, covered = track.window(track.step**2, self.hours, least=LEAST_COVERED)
        return log_positive(total * panel.hours_per_year / covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpShare:
    """Log of realised variance over bipower variation in the last `hours`: 0 without jumps, large after one.

    BV rate = mean of (π/2) |rᵢ₋₁| |rᵢ| / √(Δᵢ₋₁ Δᵢ), so that uneven steps weigh by their own length.
    """

    hours: float
    source: str = "Barndorff-Nielsen & Shephard (2004)"
    timing: str = TIMING
    unit: str = "log of a ratio"

    @property
    def name(self) -> str:
        """Such as `jump_share_168h`."""
        return f"jump_share_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, _: Panel, __: int) -> Values:
        realised, _covered = track.window(track.step**2, self.hours, least=LEAST_COVERED)
        bipower, _covered = track.window(_bipower(track), self.hours, least=LEAST_COVERED)
        return np.clip(log_positive(realised) - log_positive(bipower), -CLIP, CLIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bipower:
    """Log of the annualised bipower variation over the last `hours`: the variance without jumps.

    BV = (Y/h) Σ (π/2) |rᵢ₋₁| |rᵢ| √(Δᵢ/Δᵢ₋₁), Δᵢ the hours of step i, which are uneven.
    """

    hours: float
    source: str = "Barndorff-Nielsen & Shephard (2004)"
    timing: str = TIMING
    unit: str = LOG_VARIANCE

    @property
    def name(self) -> str:
        """Such as `log_bipower_168h`."""
        return f"log_bipower_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, _: int) -> Values:
        total, covered = track.window(_bipower(track), self.hours, least=LEAST_COVERED)
        return log_positive(total * panel.hours_per_year / covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Semivariance:
    """Log of the annualised realised variance of falls or of rises alone over the last `hours`.

    RS⁻ = (Y/h) Σ rᵢ² 1(rᵢ < 0); missing where there was none.
    """

    hours: float
    side: Literal["down", "up"]
    source: str = "Barndorff-Nielsen, Kinnebrock & Shephard (2010)"
    timing: str = TIMING
    unit: str = LOG_VARIANCE

    @property
    def name(self) -> str:
        """Such as `log_rv_down_168h`."""
        return f"log_rv_{self.side}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, _: int) -> Values:
        half = np.minimum(track.step, 0.0) if self.side == "down" else np.maximum(track.step, 0.0)
        total, covered = track.window(half**2, self.hours, least=LEAST_COVERED)
        return log_positive(total * panel.hours_per_year / covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVariation:
    """Realised variance of rises minus that of falls, over both, in the last `hours`: −1 (falls alone) to 1.

    (RS⁺ − RS⁻) / (RS⁺ + RS⁻) = Σ rᵢ |rᵢ| / Σ rᵢ².
    """

    hours: float
    source: str = "Patton & Sheppard (2015)"
    timing: str = TIMING
    unit: str = "share"

    @property
    def name(self) -> str:
        """Such as `signed_variation_168h`."""
        return f"signed_variation_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, _: Panel, __: int) -> Values:
        signed, _covered = track.window(track.step * np.abs(track.step), self.hours, least=LEAST_COVERED)
        total, _covered = track.window(track.step**2, self.hours, least=LEAST_COVERED)
        return ratio(signed, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leverage:
    """Bad news of the last `hours` in standard deviations: min(r / (σ √(h/Y)), 0), clipped at −3.

    σ is the at-the-money volatility of the pillar at the window's beginning, so that a crash is not measured
    by the volatility that it made. Unclipped returns make log models explode on crash days.
    """

    hours: float
    pillar: str = "atm_30"
    source: str = "Corsi & Renò (2012)"
    timing: str = TIMING
    unit: str = "standard deviations"

    @property
    def name(self) -> str:
        """Such as `leverage_24h`."""
        return f"leverage_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, underlying: int) -> Values:
        change, covered = track.window(track.step, self.hours, least=LEAST_COVERED)
        level = panel.factor(self.pillar)[track.rows, underlying]
        length = max(self.hours, track.least_hours)
        start = np.searchsorted(track.hours, track.hours - length, side="right") - 1
        deviation = np.exp(level[np.maximum(start, 0)]) * np.sqrt(covered / panel.hours_per_year)
        return np.clip(change / deviation, -CLIP, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Return of the last `hours` in standard deviations of a day's implied volatility, clipped at ±5."""

    hours: float
    pillar: str = "atm_30"
    source: str = "panel"
    timing: str = TIMING
    unit: str = "standard deviations"

    @property
    def name(self) -> str:
        """Such as `return_6h`."""
        return f"return_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, underlying: int) -> Values:
        change, _ = track.window(track.step, self.hours, least=LEAST_COVERED)
        level = panel.factor(self.pillar)[track.rows, underlying]
        return np.clip(change / (np.exp(level) * sqrt(24.0 / panel.hours_per_year)), -5.0, 5.0)


def per_underlying(panel: Panel, line: ValuesOf, *, factor: str = "forward") -> Column:
    """A column made of one line per underlying from the path of a factor; an underlying without any is missing."""
    lines = []
    for at in range(len(panel.underlyings)):
        track = path(panel, at, factor=factor)
        lines.append(
            track.spread(line(track, panel, at), len(panel)) if track.rows.size else np.full(len(panel), np.nan)
        )
    return over_underlyings(panel, lines)


def _bipower(track: Path) -> Values:
    """Amount of bipower variation per step, scaled for steps of uneven length; a hole leaves none."""
    length = track.length
    scaled = np.abs(np.divide(track.step, np.sqrt(length), out=np.zeros_like(length), where=length > 0.0))
    neighbour = np.concatenate([[0.0], scaled[:-1]])[: len(scaled)]
    return 0.5 * pi * neighbour * scaled * length


def log_positive(values: Values) -> Values:
    """Logarithm of what is positive; the rest is missing.

    >>> log_positive(np.array([1.0, 0.0])).tolist()
    [0.0, nan]
    """
    is_positive = values > 0.0
    return np.where(is_positive, np.log(np.where(is_positive, values, 1.0)), np.nan)


def ratio(top: Float[ndarray, "*value"], bottom: Float[ndarray, "*value"]) -> Float[ndarray, "*value"]:
    """Quotient of two amounts; missing where the lower is not positive.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0.0)
