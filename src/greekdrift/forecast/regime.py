"""What is known of a market's regime after each day, and fitted forecasts of what may follow, as plain numbers.

Every column is free of the market's scale but `level`, which the baseline uses and the fall by a stated share needs; a
model may thus be asked about a market that it never saw. The hidden state describes the present and is filtered,
never smoothed.
Timing: columns of day t are known at the `known_at` of day t. Units: as in `forecast.days`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, ndtr

from greekdrift.errors import InputError, nearest
from greekdrift.forecast.days import Clock, Days, Values, so_far, trailing
from greekdrift.forecast.hidden import HiddenState

CLIMATOLOGY, LEVEL_ONLY, HIDDEN_STATE, OWN = "climatology", "level only", "hidden state", "greekdrift"
MONTH, QUARTER = 22, 90
EDGE = 1e-4
LEAST_SKILL, LEAST_OVER_LEVEL = 0.05, 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A regression on standardised columns, z = c + Σ β (x − m)/s, and a link to a probability.

    Without `deviation` 1/(1 + e^{−z}); with it z is the expected log ratio of what is compared and the probability
    Φ(z/deviation). `calibration` (c, a, b) maps it to 1/(1 + e^{−(c + a ln p − b ln(1−p))}), learnt on past forecasts.
    `information[i, j]` is the mean curvature of the loss per row, constant first: what a later fit on few rows is
    shrunk by.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    """Constant first."""
    information: Float[ndarray, "column column"]
    deviation: float | None = None
    calibration: tuple[float, float, float] | None = None

    def standardised(self, columns: Mapping[str, Values]) -> Float[ndarray, "row column"]:
        """The columns in the units of the fit, a constant before them."""
        known = design(columns, self.columns)
        return np.column_stack([np.ones(len(known)), (known - np.array(self.mean)) / np.array(self.scale)])

    def raw(self, columns: Mapping[str, Values]) -> Values:
        """The probability of each row before calibration; NaN where a column is missing."""
        odds = self.standardised(columns) @ np.array(self.coefficients)
        found: Values = expit(odds) if self.deviation is None else ndtr(odds / self.deviation)
        return found

    def probability(self, columns: Mapping[str, Values]) -> Values:
        """The probability of each row; NaN where a column is missing."""
        found = self.raw(columns)
        return found if self.calibration is None else mapped(found, self.calibration)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventForecast:
    """Forecasts of one event: the own model, and beside it climatology, level only and the hidden state.

    `area` and `skill` are value and 95 % interval of AUC and of Brier skill over climatology, in the walk-forward
    over `rows` rows in which it happened `happened` times; those of the longer history where it was too rare, absent
    where there are none.
    """

    says: str
    ahead: int
    models: Mapping[str, Model]
    area: tuple[float, float, float] | None = None
    skill: tuple[float, float, float] | None = None
    level_skill: float | None = None
    calibration_error: float | None = None
    rows: int = 0
    happened: int = 0

    @property
    def has_skill(self) -> bool:
        """Whether the Brier skill is 5 % or more and its interval above zero; what has none is never advertised."""
        return self.skill is not None and self.skill[0] >= LEAST_SKILL and self.skill[1] > 0.0

    @property
    def verdict(self) -> str:
        """Skill in words."""
        if self.area is None or self.skill is None:
            return "not judged: too rare"
        if not self.has_skill:
            return "no skill: use climatology"
        if self.level_skill is not None and self.skill[0] - self.level_skill < LEAST_OVER_LEVEL:
            return "level is nearly all of it"
        return f"AUC {self.area[0]:.2f}, skill {100.0 * self.skill[0]:.0f} %"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regime:
    """Fitted forecasts of events by name, and two hidden states of returns in units of their root mean square."""

    kind: ClassVar[str] = "regime"

    clock: Clock
    hidden: HiddenState
    events: Mapping[str, EventForecast]
    learnt_from: str
    learnt_until: str

    def chances(self, days: Days) -> dict[str, dict[str, Values]]:
        """Probability after every day, by event and model; NaN where a column is missing."""
        if days.clock != self.clock:
            raise InputError(f"{days.symbol} runs on the clock {days.clock}, this regime model on {self.clock}.")
        known = columns(days.described(), self.hidden)
        return {
            name: {model: one.probability(known) for model, one in event.models.items()}
            for name, event in self.events.items()
        }

    def wild(self, days: Days) -> Values:
        """Filtered probability of the wild state after each day."""
        return wild(days, self.hidden)


def columns(days: Days, hidden: HiddenState | None = None, odds: Values | None = None) -> dict[str, Values]:
    """Everything that is known after each day, by name; NaN where it is missing.

    Variances relative to their month (22 days) in logarithms; place = month over the mean of every day so far, the
    level that the month falls back to; bad news = min(Σ r / √(w · month), 0) clipped at −3; premium =
    ln(implied / month); lumpiness = mean log variance of the month less the log of its mean, low after a spike, which
    makes a doubling against that mean less likely; season = month over quarter (from the first month on); hidden = log
    odds of the wild state.
    """
    month = trailing(days.variance, MONTH)
    named = {
        "daily": np.log(days.variance / month),
        "weekly": np.log(trailing(days.variance, 5) / month),
        "level": np.log(month),
        "place": np.log(month / so_far(days.variance, least=MONTH)),
        "lumpiness": trailing(np.log(days.variance), MONTH) - np.log(month),
        "season": np.log(month / trailing(days.variance, QUARTER, least=MONTH)),
        "weekend_ahead": weekend_share(days.day, 5),
        "weekend_now": weekend_share(days.day - 1, 1),
        "premium": np.log(days.implied / month),
        "implied_change": np.clip(np.diff(np.log(days.implied), prepend=np.nan), -0.3, 0.3),
        "implied_slope": np.log(days.implied / trailing(days.implied, MONTH)),
        "slope": days.slope,
        "slope_week": trailing(days.slope, 5),
    }
    for width in (1, 5, 22):
        score = trailing(days.returns, width) * np.sqrt(width) / np.sqrt(month)
        named[f"bad_news_{width}"] = np.clip(score, -3.0, 0.0)
    if odds is not None:
        named["hidden"] = odds
    elif hidden is not None:
        named["hidden"] = log_odds(wild(days, hidden))
    return named


def design(known: Mapping[str, Values], names: Sequence[str]) -> Float[ndarray, "row column"]:
    """Some of the columns side by side; an unknown name is answered with the nearest."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f'there is no column "{unknown[0]}"; {nearest(unknown[0], known)}')
    rows = len(next(iter(known.values()))) if known else 0
    return np.stack([known[name] for name in names], axis=1) if names else np.empty((rows, 0))


def wild(days: Days, hidden: HiddenState) -> Values:
    """Filtered probability of the wild state; returns in units of the root of their mean square up to each day."""
    found: Values = hidden.filtered(scaled(days.returns))
    return found


def scaled(returns: Values) -> Values:
    """Returns over the root of the mean square of all up to the day: the same for a market of any scale.

    >>> scaled(np.array([0.01, np.nan, 0.03])).round(3).tolist()
    [1.0, nan, 1.342]
    """
    size = np.sqrt(so_far(returns**2))
    return np.where(size > 0.0, returns / np.where(size > 0.0, size, 1.0), np.nan)


def log_odds(probability: Values) -> Values:
    """ln(p/(1 − p)), p kept a millionth from 0 and 1."""
    kept = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.log(kept / (1.0 - kept))


def two_logs(probability: Values) -> Float[ndarray, "row 2"]:
    """The regressors ln p and −ln(1 − p) of the beta map."""
    kept = np.clip(probability, EDGE, 1.0 - EDGE)
    return np.column_stack([np.log(kept), -np.log1p(-kept)])


def mapped(probability: Values, calibration: tuple[float, float, float]) -> Values:
    """Probabilities through the beta map (Kull, Silva Filho & Flach 2017), increasing where a, b are not negative.

    >>> mapped(np.array([0.2]), (0.0, 1.0, 1.0)).round(6).tolist()
    [0.2]
    """
    constant, *weights = calibration
    found: Values = expit(constant + two_logs(probability) @ np.array(weights))
    return found


def weekend_share(day: Values, ahead: int) -> Values:
    """Share of Saturdays and Sundays (UTC) among the next days, by days since 1970: known for ever.

    >>> weekend_share(np.array([0, 1, 2]), 2).tolist()
    [0.5, 1.0, 0.5]
    """
    later = day[:, None] + np.arange(1, ahead + 1)
    found: Values = ((later + 3) % 7 >= 5).mean(axis=1)
    return found


def range_variance(opening: Values, high: Values, low: Values, close: Values) -> Values:
    """Variance of a day from its range: ½ ln²(H/L) − (2 ln 2 − 1) ln²(C/O), floored at 1e-7.

    Source: Garman & Klass (1980), eq. 20 in its usual short form. It excludes the overnight move.

    >>> range_variance(np.array([100.0]), np.array([101.0]), np.array([99.0]), np.array([100.0])).round(6)
    array([0.0002])
    """
    spread, move = np.log(high / low), np.log(close / opening)
    return np.maximum(0.5 * spread**2 - (2.0 * np.log(2.0) - 1.0) * move**2, 1e-7)
