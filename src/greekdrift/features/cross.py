"""The other underlyings of the panel: their returns, and how closely they move with one's own.

Timing of all: known with the row, from it and earlier rows of all underlyings.
"""

from dataclasses import dataclass, replace

import numpy as np

from greekdrift.features.feature import Column, Line, over_underlyings, path
from greekdrift.features.history import Panel
from greekdrift.features.realised import LEAST_COVERED, TIMING, Return, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class OthersReturn:
    """Mean return of the other underlyings over the last `hours`, each in its own daily deviations; see `Return`."""

    hours: float
    pillar: str = "atm_30"
    timing: str = TIMING
    source: str = "panel; Hou (2007) for lead and lag"
    unit: str = "standard deviations"

    @property
    def name(self) -> str:
        """Such as `others_return_24h`."""
        return f"others_return_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return others_mean(Return(hours=self.hours, pillar=self.pillar).compute(panel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Realised correlation of one factor's steps with those of the other underlyings over the last `hours`: their mean.

    Σ rᵢ sᵢ / √(Σ rᵢ² Σ sᵢ²) over the rows that both have; missing for a single underlying.
    """

    hours: float
    factor: str = "forward"
    timing: str = TIMING
    source: str = "Barndorff-Nielsen & Shephard (2004), realised covariation"
    unit: str = "correlation"

    @property
    def name(self) -> str:
        """Such as `correlation_forward_168h`."""
        return f"correlation_{self.factor}_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        count = len(panel.underlyings)
        pairs = {(a, b): self._pair(panel, a, b) for a in range(count) for b in range(a)}
        own = [[pairs[max(at, b), min(at, b)] for b in range(count) if b != at] for at in range(count)]
        return over_underlyings(panel, [_mean(lines, len(panel)) for lines in own])

    def _pair(self, panel: Panel, a: int, b: int) -> Line:
        """Correlation of two underlyings by row."""
        values = panel.factor(self.factor)[:, [a, b]]
        both = np.isnan(values).any(axis=1)
        shared = replace(panel, state=np.where(both[:, None, None], np.nan, panel.state))
        one, other = (path(shared, at, factor=self.factor) for at in (a, b))
        if not one.rows.size:
            return np.full(len(panel), np.nan)
        products = (one.step * other.step, one.step**2, other.step**2)
        joint, left, right = (one.window(amount, self.hours, least=LEAST_COVERED)[0] for amount in products)
        return one.spread(np.clip(ratio(joint, np.sqrt(left * right)), -1.0, 1.0), len(panel))


def others_mean(own: Column) -> Column:
    """Mean over the other underlyings that have a value; missing where none has.

    >>> others_mean(np.array([[1.0, 2.0, np.nan]]))
    array([[2. , 1. , 1.5]])
    """
    is_there = np.isfinite(own)
    others = is_there.sum(axis=1, keepdims=True) - is_there
    total = np.where(is_there, own, 0.0).sum(axis=1, keepdims=True) - np.where(is_there, own, 0.0)
    return np.divide(total, others, out=np.full(own.shape, np.nan), where=others > 0)


def _mean(lines: list[Line], rows: int) -> Line:
    """Mean of the lines that have a value, by row."""
    if not lines:
        return np.full(rows, np.nan)
    values = np.stack(lines)
    is_there = np.isfinite(values)
    return ratio(np.where(is_there, values, 0.0).sum(axis=0), is_there.sum(axis=0).astype(np.float64))
