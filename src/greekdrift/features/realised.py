"""Realised variance and leverage from the panel's own path of the log index.

Steps are uneven: a window of h hours adds up squared changes by the time they took and divides by the hours
covered. Units: logarithms of annualised variances (per 1.00 squared, years of the panel's clock).
Timing of all: known with the row; only rows up to it are used. A window that touches a hole is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from greekdrift.features.feature import Column, Path, Values, over_underlyings, path
from greekdrift.features.history import Panel

LEAST_COVERED = 0.8
CLIP = 3.0
TIMING = "known with the row, from it and earlier rows"

ValuesOf = Callable[[Path, Panel, int], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedVariance:
    """Log of the annualised realised variance over the last `hours`.

    RV = (Y/h) Σ rᵢ²,  Y hours a year, rᵢ the change of the log index over step i, h the hours covered.
    """

    hours: float
    source: str = "Andersen & Bollerslev (1998); Corsi (2009) for the scales"
    timing: str = TIMING

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
        return _per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, _: int) -> Values:
        total, covered = track.window(track.step**2, self.hours, least=LEAST_COVERED)
        return _log(total * panel.hours_per_year / covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpShare:
    """Log of realised variance over bipower variation in the last `hours`: 0 without jumps, large after one.

    BV rate = mean of (π/2) |rᵢ₋₁| |rᵢ| / √(Δᵢ₋₁ Δᵢ), so that uneven steps weigh by their own length.
    """

    hours: float
    source: str = "Barndorff-Nielsen & Shephard (2004)"
    timing: str = TIMING

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
        return _per_underlying(panel, self._line)

    def _line(self, track: Path, _: Panel, __: int) -> Values:
        length = track.length
        scaled = np.abs(np.divide(track.step, np.sqrt(length), out=np.zeros_like(length), where=length > 0.0))
        neighbour = np.concatenate([[0.0], scaled[:-1]])[: len(scaled)]
        realised, _covered = track.window(track.step**2, self.hours, least=LEAST_COVERED)
        bipower, _covered = track.window(0.5 * pi * neighbour * scaled * length, self.hours, least=LEAST_COVERED)
        return np.clip(_log(realised) - _log(bipower), -CLIP, CLIP)


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
        return _per_underlying(panel, self._line)

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
        return _per_underlying(panel, self._line)

    def _line(self, track: Path, panel: Panel, underlying: int) -> Values:
        change, _ = track.window(track.step, self.hours, least=LEAST_COVERED)
        level = panel.factor(self.pillar)[track.rows, underlying]
        return np.clip(change / (np.exp(level) * sqrt(24.0 / panel.hours_per_year)), -5.0, 5.0)


def _per_underlying(panel: Panel, line: ValuesOf) -> Column:
    lines = []
    for at in range(len(panel.underlyings)):
        track = path(panel, at)
        lines.append(
            track.spread(line(track, panel, at), len(panel)) if track.rows.size else np.full(len(panel), np.nan)
        )
    return over_underlyings(panel, lines)


def _log(values: Values) -> Values:
    """Logarithm of what is positive; the rest is missing."""
    is_positive = values > 0.0
    return np.where(is_positive, np.log(np.where(is_positive, values, 1.0)), np.nan)
