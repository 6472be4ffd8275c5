"""The one regime event with real skill: the variance of the next days doubles against its recent mean.

event of day t: mean variance of days t+1 … t+5 > 2 × mean variance of days t−21 … t

A penalised logistic regression on the regressors of log-HAR with leverage and implied; beside it always stand
climatology (no regressor), level only and the filtered hidden state, which are the same regression on fewer
columns. Units: as in `forecast.har`. Timing: every column of day t is known at the close of day t.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError, nearest
from greekdrift.forecast.har import Daily, target, trailing_mean
from greekdrift.forecast.hidden import HiddenState

Days = Float[ndarray, " day"]

LOG_HAR = ("daily", "weekly", "level")
BAD_NEWS = ("bad_news_1", "bad_news_5", "bad_news_22")
IMPLIED = ("premium", "implied_change", "implied_slope")
MODELS: Mapping[str, tuple[str, ...]] = {
    "climatology": (),
    "level only": ("level",),
    "hidden state": ("hidden",),
    "log-HAR": LOG_HAR,
    "log-HAR + leverage": LOG_HAR + BAD_NEWS,
    "log-HAR + leverage + implied": LOG_HAR + BAD_NEWS + IMPLIED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Variance of the next `ahead` days above `factor` times its mean over the last `behind` days."""

    ahead: int = 5
    behind: int = 22
    factor: float = 2.0

    def outcome(self, variance: Days) -> Days:
        """1 where it happened, 0 where not, NaN where the window before or after is not complete.

        >>> Event(ahead=1, behind=1).outcome(np.array([1.0, 3.0, 3.0]))
        array([ 1.,  0., nan])
        """
        after, before = target(variance, self.ahead), trailing_mean(variance, self.behind)
        happened = np.where(after > self.factor * before, 1.0, 0.0)
        return np.where(np.isfinite(after) & np.isfinite(before), happened, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """Logistic regression on standardised columns, as plain numbers: 1 / (1 + e^{−(c + Σ β (x − m)/s)})."""

    kind: ClassVar[str] = "variance_doubling"

    model: str
    event: Event
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    hidden: HiddenState | None = None

    def probability(self, daily: Daily) -> Days:
        """Probability of the event after each day; NaN while a window fills."""
        columns = design(daily, self.model, hidden=self.hidden)
        standardised = (columns - np.array(self.mean)) / np.array(self.scale)
        odds = self.intercept + standardised @ np.array(self.coefficients)
        return 1.0 / (1.0 + np.exp(-odds))


def design(daily: Daily, model: str, *, hidden: HiddenState | None = None) -> Float[ndarray, "day column"]:
    """The columns of a model, NaN while a window fills."""
    if model not in MODELS:
        raise DataError(f'no regime model "{model}"; {nearest(model, MODELS)}')
    named = _columns(daily, hidden)
    missing = [name for name in MODELS[model] if name not in named]
    if missing:
        raise DataError(f'the regime model "{model}" needs {missing[0]}, which these days do not have; take log-HAR.')
    return np.stack([named[name] for name in MODELS[model]], axis=-1) if MODELS[model] else np.empty((_days(daily), 0))


def _days(daily: Daily) -> int:
    return int(daily.variance.size)


def _columns(daily: Daily, hidden: HiddenState | None) -> dict[str, Days]:
    """Every regressor that these days allow.

    Variances relative to their 22-day mean in logarithms; bad news = min(Σ r / √(w · mean variance), 0) clipped at
    −3; premium = ln(implied / realised), implied_change clipped at ±0.3; hidden = log odds of the wild state.
    """
    month = trailing_mean(daily.variance, 22)
    named = {
        "daily": np.log(daily.variance / month),
        "weekly": np.log(trailing_mean(daily.variance, 5) / month),
        "level": np.log(month),
    }
    for days in (1, 5, 22):
        score = trailing_mean(daily.returns, days) * np.sqrt(days) / np.sqrt(month)
        named[f"bad_news_{days}"] = np.clip(score, -3.0, 0.0)
    if daily.implied is not None:
        named["premium"] = np.log(daily.implied / month)
        named["implied_change"] = np.clip(np.diff(np.log(daily.implied), prepend=np.nan), -0.3, 0.3)
        named["implied_slope"] = np.log(daily.implied / trailing_mean(daily.implied, 22))
    if hidden is not None:
        wild = np.clip(hidden.filtered(daily.returns), 1e-6, 1.0 - 1e-6)
        named["hidden"] = np.log(wild / (1.0 - wild))
    return named


def range_variance(opening: Days, high: Days, low: Days, close: Days) -> Days:
    """Variance of a day from its range: ½ ln²(H/L) − (2 ln 2 − 1) ln²(C/O), floored at 1e-7.

    Source: Garman & Klass (1980), eq. 20 in its usual short form. It excludes the overnight move.

    >>> range_variance(np.array([100.0]), np.array([101.0]), np.array([99.0]), np.array([100.0])).round(6)
    array([0.0002])
    """
    spread, move = np.log(high / low), np.log(close / opening)
    return np.maximum(0.5 * spread**2 - (2.0 * np.log(2.0) - 1.0) * move**2, 1e-7)
