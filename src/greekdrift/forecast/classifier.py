"""Fitting the regime classifiers, by scikit-learn, in an expanding walk-forward.

Kept apart from `forecast.regime` so that serving a fitted one imports numpy alone.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.linear_model import LogisticRegression

from greekdrift.errors import DataError
from greekdrift.forecast import hidden as hidden_state
from greekdrift.forecast.har import Daily
from greekdrift.forecast.hidden import HiddenState
from greekdrift.forecast.regime import MODELS, Classifier, Event, design

Days = Float[ndarray, " day"]
HIDDEN_DAYS = 1500


def fit(
    daily: Daily,
    model: str,
    *,
    event: Event | None = None,
    hidden: HiddenState | None = None,
    inverse_penalty: float = 0.1,
) -> Classifier:
    """A classifier on all days whose outcome is complete.

    Climatology is the base rate. A model with the hidden state estimates it on the last `HIDDEN_DAYS` returns,
    warm from `hidden` where given.
    """
    event = event or Event()
    if "hidden" in MODELS.get(model, ()):
        hidden = hidden_state.fit(daily.returns[-HIDDEN_DAYS:], start=hidden, iterations=10 if hidden else 25)
    else:
        hidden = None
    columns, outcome = design(daily, model, hidden=hidden), event.outcome(daily.variance)
    complete = np.isfinite(outcome) & np.all(np.isfinite(columns), axis=-1)
    wanted = outcome[complete]
    if not 10 <= wanted.sum() <= wanted.size - 10:
        raise DataError(f"the event happened on {wanted.sum():g} of {wanted.size} days; 10 of either kind are needed.")
    mean, scale = columns[complete].mean(axis=0), columns[complete].std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    coefficients, intercept = _regression((columns[complete] - mean) / scale, wanted, inverse_penalty)
    return Classifier(
        model=model,
        event=event,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(coefficients.tolist()),
        intercept=intercept,
        hidden=hidden,
    )


def _regression(columns: ndarray, outcome: ndarray, inverse_penalty: float) -> tuple[ndarray, float]:
    if columns.shape[1] == 0:
        rate = outcome.mean()
        return np.empty(0), float(np.log(rate / (1.0 - rate)))
    fitted = LogisticRegression(C=inverse_penalty, tol=1e-8, max_iter=1000).fit(columns, outcome)
    return fitted.coef_[0], float(fitted.intercept_[0])


def walk_forward(daily: Daily, model: str, *, first: int, event: Event | None = None, refit: int = 66) -> Days:
    """Probability after every day from `first` on, each from a fit on outcomes complete by then; NaN before."""
    event = event or Event()
    probability = np.full(daily.variance.shape, np.nan)
    hidden = None
    for start in range(first, daily.variance.size, refit):
        known = _until(daily, start + 1)
        fitted = fit(known, model, event=event, hidden=hidden)
        hidden = fitted.hidden
        stop = min(start + refit, daily.variance.size)
        probability[start:stop] = fitted.probability(_until(daily, stop))[start:stop]
    return probability


def _until(daily: Daily, stop: int) -> Daily:
    return Daily(
        variance=daily.variance[:stop],
        returns=daily.returns[:stop],
        implied=None if daily.implied is None else daily.implied[:stop],
    )
