"""Daily realised variance, forecast by the ladder that every learned scale must first climb.

random walk → HAR → log-HAR → log-HAR + leverage + implied, each fitted by ordinary least squares in an
expanding walk-forward; the logarithmic ones carry the lognormal correction.

Source: Corsi (2009) for HAR; Corsi & Renò (2012) for leverage; Patton (2011) for QLIKE. Units: variances are
daily, as fractions squared (1e-4 = 1 % a day); returns are log returns of the day; implied is a variance a day.
Timing: row t is known at the close of day t, its target is the mean variance of days t+1 … t+horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view

from greekdrift.errors import DataError, nearest

Days = Float[ndarray, " day"]
WINDOWS = (1, 5, 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """One symbol's trading days: realised variance, log return and implied variance of a day.

    `implied` may be omitted where no implied index exists; the rungs that need it then refuse.
    """

    variance: Days
    returns: Days
    implied: Days | None = None

    def __post_init__(self) -> None:
        bad = ~(self.variance > 0.0) | ~np.isfinite(self.variance)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(f"realised variance {self.variance[row]} of day {row} is not positive; drop that day.")
        for name in ("returns", "implied"):
            column = getattr(self, name)
            if column is not None and (column.shape != self.variance.shape or not np.all(np.isfinite(column))):
                raise DataError(f"{name} must be finite and have one value a day ({self.variance.shape[0]}).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One model of the ladder: which regressors, and whether in logarithms."""

    is_log: bool
    leverage: bool = False
    implied: bool = False


LADDER = {
    "HAR": Rung(is_log=False),
    "log-HAR": Rung(is_log=True),
    "log-HAR + implied": Rung(is_log=True, implied=True),
    "log-HAR + leverage + implied": Rung(is_log=True, leverage=True, implied=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Least-squares coefficients (constant first) and the variance of the residuals."""

    coefficients: Float[ndarray, " regressor"]
    residual_variance: float
    floor: float
    is_log: bool

    def forecast(self, regressors: Float[ndarray, "day column"]) -> Days:
        """Expected variance; e^{xβ + s²/2} in logarithms, else xβ not below the least variance ever seen."""
        mean = self.coefficients[0] + regressors @ self.coefficients[1:]
        return np.exp(mean + 0.5 * self.residual_variance) if self.is_log else np.maximum(mean, self.floor)


def trailing_mean(values: Days, days: int) -> Days:
    """Mean of the last `days` values, NaN before there are as many.

    >>> trailing_mean(np.array([1.0, 2.0, 6.0]), 2)
    array([nan, 1.5, 4. ])
    """
    mean = np.full(values.shape, np.nan)
    if values.size >= days:
        mean[days - 1 :] = sliding_window_view(values, days).mean(axis=-1)
    return mean


def leverage(returns: Days, implied: Days) -> Float[ndarray, "day window"]:
    """Bad news at three scales: min(Σ r / (σ √w), 0) over w = 1, 5, 22 days, clipped at −3.

    σ is the implied volatility of a day. The clip keeps a crash from exploding the exponential.

    >>> leverage(np.full(22, -0.1), np.full(22, 1e-4))[-1]
    array([-3., -3., -3.])
    """
    scale = np.sqrt(implied)
    sums = [trailing_mean(returns, days) * days / (scale * np.sqrt(days)) for days in WINDOWS]
    return np.clip(np.stack(sums, axis=-1), -3.0, 0.0)


def regressors(daily: Daily, rung: Rung) -> Float[ndarray, "day column"]:
    """Columns of a rung: variance over 1, 5, 22 days, then leverage, then implied; NaN while a window fills."""
    columns = np.stack([trailing_mean(daily.variance, days) for days in WINDOWS], axis=-1)
    columns = np.log(columns) if rung.is_log else columns
    if (rung.leverage or rung.implied) and daily.implied is None:
        raise DataError("this rung needs the implied variance; give Daily(implied=…) or take the rung log-HAR.")
    if rung.leverage:
        columns = np.concatenate([columns, leverage(daily.returns, np.asarray(daily.implied))], axis=-1)
    if rung.implied:
        columns = np.concatenate([columns, np.log(np.asarray(daily.implied))[:, None]], axis=-1)
    return columns


def target(variance: Days, horizon: int = 1) -> Days:
    """Mean variance of the next `horizon` days; NaN where they are not complete.

    >>> target(np.array([1.0, 2.0, 4.0]), 2)
    array([ 3., nan, nan])
    """
    ahead = np.full(variance.shape, np.nan)
    if variance.size > horizon:
        ahead[:-horizon] = sliding_window_view(variance[1:], horizon).mean(axis=-1)
    return ahead


def fit(columns: Float[ndarray, "day column"], ahead: Days, *, is_log: bool) -> Fitted:
    """Ordinary least squares over the complete rows."""
    complete = np.isfinite(ahead) & np.all(np.isfinite(columns), axis=-1)
    if complete.sum() < 10 * (columns.shape[1] + 1):
        raise DataError(f"{complete.sum()} complete days cannot fit {columns.shape[1] + 1} coefficients; give 10 each.")
    design = np.column_stack([np.ones(int(complete.sum())), columns[complete]])
    wanted = np.log(ahead[complete]) if is_log else ahead[complete]
    coefficients = np.linalg.lstsq(design, wanted, rcond=None)[0]
    residual = wanted - design @ coefficients
    return Fitted(
        coefficients=coefficients,
        residual_variance=float(np.var(residual)),
        floor=float(ahead[complete].min()),
        is_log=is_log,
    )


def walk_forward(daily: Daily, model: str, *, first: int, horizon: int = 1, refit: int = 22) -> Days:
    """Forecast of every day from `first` on, each from a fit on targets that were complete by then.

    `model` is "random walk" or a name of `LADDER`; coefficients are renewed every `refit` days. NaN before `first`.
    """
    if model == "random walk":
        return np.where(np.arange(daily.variance.size) >= first, daily.variance, np.nan)
    if model not in LADDER:
        raise DataError(f'no rung "{model}"; {nearest(model, ("random walk", *LADDER))}')
    rung = LADDER[model]
    columns, ahead = regressors(daily, rung), target(daily.variance, horizon)
    forecast = np.full(daily.variance.shape, np.nan)
    for start in range(first, daily.variance.size, refit):
        known = start - horizon + 1
        fitted = fit(columns[:known], ahead[:known], is_log=rung.is_log)
        forecast[start : start + refit] = fitted.forecast(columns[start : start + refit])
    return forecast


def qlike(realised: Days, forecast: Days) -> Days:
    """Loss of a variance forecast, y/f − ln(y/f) − 1: zero when right, robust to noise in y.

    >>> qlike(np.array([1.0, 2.0]), np.array([1.0, 1.0])).round(4)
    array([0.    , 0.3069])
    """
    ratio = realised / forecast
    return ratio - np.log(ratio) - 1.0


def ladder(daily: Daily, *, first: int, horizon: int = 1, models: Sequence[str] = ()) -> dict[str, float]:
    """Mean QLIKE of each rung over the days from `first` on whose target is complete."""
    ahead = target(daily.variance, horizon)
    scored = np.isfinite(ahead) & (np.arange(ahead.size) >= first)
    losses = {}
    for model in models or ("random walk", *LADDER):
        forecast = walk_forward(daily, model, first=first, horizon=horizon)
        losses[model] = float(qlike(ahead[scored], forecast[scored]).mean())
    return losses
