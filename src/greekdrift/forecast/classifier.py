"""Fitting the forecasts of events: penalised regressions, shrunk to those of a longer history, calibrated on the past.

    logit       min Σ ln(1 + e^{−yz}) + (λ/2) |β|² + (w/2) (θ − θ₀)′ H₀ (θ − θ₀)
    lognormal   least squares of the log ratio with the same shrinkage, then Φ(z/deviation)

θ₀ and H₀ are coefficients and mean curvature per row of the longer history, w its worth in rows: a market with as many
rows of its own counts half, one with none takes the long history as it is. The same fit makes every
probability of the walk-forward and the model that is kept.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import isotonic_regression
from scipy.special import expit

from greekdrift.errors import DataError, InputError
from greekdrift.forecast import hidden as hidden_state
from greekdrift.forecast.days import Days
from greekdrift.forecast.events import EVENTS, NEVER, Link, Recipe, Rowed, Rows
from greekdrift.forecast.hidden import HiddenState
from greekdrift.forecast.regime import EventForecast, Model, design, log_odds, mapped, scaled, two_logs

LEAST = 10
"""Outcomes of either kind that a fit of its own needs."""
LEAST_TO_CALIBRATE = 40
HIDDEN_DAYS = 1500
REFIT = 66
RIDGE = 10.0
"""λ: that of scikit-learn's C = 0.1."""
WORTH = 2000.0
"""Rows that a longer history is worth: rows overlap fivefold and markets move together, so that six months of two
coins, 300 rows, count an eighth."""
STEPS = 50


def fit(given: Rows, recipe: Recipe, *, until: int = NEVER - 1, prior: Model | None = None) -> Model:
    """A model on the rows whose outcome is known by the day `until`, not calibrated.

    With a prior its columns and units are taken over; without one too few outcomes of either kind are refused.
    """
    whole = np.all(np.isfinite(design(given.columns, recipe.columns)), axis=1) if recipe.columns else True
    wanted = _wanted(given, recipe.link)
    is_known = whole & np.isfinite(wanted) & np.isfinite(given.outcome) & (given.complete <= until)
    if prior is None:
        _enough(given.outcome[is_known], until)
    elif prior.columns != recipe.columns or (prior.deviation is None) != (recipe.link == "logit"):
        raise InputError(f"the longer history has the columns {prior.columns}, asked are {recipe.columns}.")
    known = {name: given.columns[name][is_known] for name in recipe.columns}
    frame = prior if prior is not None else _frame(known, recipe)
    x = frame.standardised(known) if recipe.columns else np.ones((int(is_known.sum()), 1))
    solve = _logit if recipe.link == "logit" else _least_squares
    return solve(frame, x, wanted[is_known], prior)


def walk_forward(
    given: Rows, recipe: Recipe, *, first: int, refit: int = REFIT, prior: Model | None = None, last: int | None = None
) -> Rowed:
    """Probability of the event in every row from day `first` on, NaN before and where a column is missing.

    Every `refit` days a fit on the rows whose outcome is complete by then; without columns it is the base rate.
    Calibrated where the recipe says so, by what followed earlier forecasts of the same walk.
    """
    found = np.full(len(given.day), np.nan)
    for start in range(first, (int(given.day.max()) if last is None else last) + 1, refit):
        is_asked = (given.day >= start) & (given.day < start + refit)
        if np.any(is_asked):
            model = fit(given, recipe, until=start, prior=prior)
            found[is_asked] = _raw(model, given, is_asked)
    return calibrated(given, found, first=first, refit=refit, prior=prior) if recipe.is_calibrated else found


def calibrated(given: Rows, probability: Rowed, *, first: int, refit: int = REFIT, prior: Model | None = None) -> Rowed:
    """Probabilities through the beta map of what followed past ones; the prior's map while too few are known.

    Timing: a map of day t uses outcomes complete by t.
    """
    found = probability.copy()
    for start in range(first, int(given.day.max()) + 1, refit):
        is_asked = np.isfinite(probability) & (given.day >= start) & (given.day < start + refit)
        calibration = beta(given, probability, until=start) or (None if prior is None else prior.calibration)
        if np.any(is_asked) and calibration is not None:
            found[is_asked] = mapped(probability[is_asked], calibration)
    return found


def beta(given: Rows, probability: Rowed, *, until: int) -> tuple[float, float, float] | None:
    """The beta map learnt on outcomes known by a day, shrunk to none at all; none with fewer than 40 of either kind."""
    past, happened = _past(given, probability, until)
    if min(happened.sum(), (1.0 - happened).sum()) < LEAST_TO_CALIBRATE:
        return None
    x = np.column_stack([np.ones(len(past)), two_logs(past)])
    theta, _ = _newton(x, happened, RIDGE * np.eye(3), np.array([0.0, 1.0, 1.0]))
    weights = np.maximum(theta[1:], 0.0)
    return float(theta[0]), float(weights[0]), float(weights[1])


def isotonic(given: Rows, probability: Rowed, asked: Rowed, *, until: int) -> Rowed:
    """The best increasing step function of past outcomes (Zadrozny & Elkan 2002), shrunk to the base rate."""
    past, happened = _past(given, probability, until)
    order = np.argsort(past, kind="stable")
    steps = isotonic_regression(happened[order]).x
    rate, n = happened.mean(), len(happened)
    found: Rowed = (np.interp(asked, past[order], steps) * n + rate * n**0.5) / (n + n**0.5)
    return found


def _past(given: Rows, probability: Rowed, until: int) -> tuple[Rowed, Rowed]:
    is_known = np.isfinite(probability) & np.isfinite(given.outcome) & (given.complete <= until)
    return probability[is_known], given.outcome[is_known]


def learnt(
    given: Rows, event: str, wanted: Mapping[str, Recipe], *, walks: Mapping[str, Rowed], prior: EventForecast | None
) -> EventForecast:
    """Every model of an event on all rows that are complete, its map learnt on its walk-forward."""
    models = {}
    for name, recipe in wanted.items():
        longer = None if prior is None else prior.models.get(name)
        model = fit(given, recipe, prior=longer)
        if recipe.is_calibrated:
            own = beta(given, walks[f"{name}, raw"], until=NEVER - 1)
            model = replace(model, calibration=own or (None if longer is None else longer.calibration))
        models[name] = model
    return EventForecast(says=EVENTS[event].says, ahead=EVENTS[event].ahead, models=models)


def hidden_odds(days: Days, *, refit: int = REFIT, prior: HiddenState | None = None) -> Rowed:
    """Log odds of the wild state after each day, the states estimated on returns up to the last refit.

    Without a prior NaN before there are a hundred returns.
    """
    returns = scaled(days.returns)
    found, state = np.full(len(days), np.nan), prior
    for start in range(int(days.day[0]), int(days.day[-1]) + 1, refit):
        begin, stop = np.searchsorted(days.day, [start, start + refit])
        known = returns[max(0, begin - HIDDEN_DAYS) : begin]
        if np.isfinite(known).sum() >= hidden_state.LEAST:
            state = hidden_state.fit(known, start=state, iterations=10 if state else 25)
        if state is not None and stop > begin:
            found[begin:stop] = log_odds(state.filtered(returns[:stop])[begin:stop])
    return found


def _wanted(given: Rows, link: Link) -> Rowed:
    if link == "logit":
        return given.outcome
    if given.ratio is None:
        raise InputError("this event compares no ratio; take the logit link.")
    return given.ratio


def _enough(outcome: Rowed, until: int) -> None:
    if not LEAST <= outcome.sum() <= len(outcome) - LEAST:
        day = "the end" if until >= NEVER - 1 else str(np.datetime64(until, "D"))
        raise DataError(
            f"by {day} the event happened in {outcome.sum():g} of {len(outcome)} complete rows; {LEAST} of either kind "
            "are needed: start later, or shrink to a longer history."
        )


def _frame(known: Mapping[str, Rowed], recipe: Recipe) -> Model:
    """A model without coefficients yet: columns and their units."""
    spread = {name: float(one.std()) for name, one in known.items()}
    return Model(
        columns=recipe.columns,
        mean=tuple(float(known[name].mean()) for name in recipe.columns),
        scale=tuple(spread[name] or 1.0 for name in recipe.columns),
        coefficients=(0.0,) * (len(recipe.columns) + 1),
        information=np.zeros((len(recipe.columns) + 1,) * 2),
        deviation=None if recipe.link == "logit" else 1.0,
    )


def _raw(model: Model, given: Rows, at: ndarray) -> Rowed:
    if not model.columns:
        return np.full(int(at.sum()), expit(model.coefficients[0]))
    return model.raw({name: given.columns[name][at] for name in model.columns})


def _logit(frame: Model, x: Float[ndarray, "row column"], outcome: Rowed, prior: Model | None) -> Model:
    ridge = np.diag(np.append(0.0, np.full(x.shape[1] - 1, RIDGE)))
    target = np.zeros(x.shape[1])
    if prior is not None:
        ridge, target = WORTH * prior.information + 1e-9 * np.eye(x.shape[1]), np.array(prior.coefficients)
    theta, curvature = _newton(x, outcome, ridge, target)
    return replace(frame, coefficients=tuple(theta.tolist()), information=_blend(curvature, len(x), prior))


def _newton(
    x: Float[ndarray, "row column"], outcome: Rowed, penalty: ndarray, target: ndarray
) -> tuple[ndarray, Float[ndarray, "column column"]]:
    """Minimum of the penalised logistic loss by Newton's method with halved steps, and the curvature of the loss."""

    def loss(theta: ndarray) -> float:
        z = x @ theta
        off = theta - target
        return float((np.logaddexp(0.0, z) - outcome * z).sum() + 0.5 * off @ penalty @ off)

    theta, curvature = target.copy(), np.zeros_like(penalty)
    now = loss(theta)
    for _ in range(STEPS):
        chance = expit(x @ theta)
        curvature = (x * (chance * (1.0 - chance))[:, None]).T @ x
        slope = x.T @ (chance - outcome) + penalty @ (theta - target)
        step = np.linalg.solve(curvature + penalty + 1e-10 * np.eye(len(theta)), slope)
        size = 1.0
        while loss(theta - size * step) > now and size > 1e-6:
            size *= 0.5
        theta = theta - size * step
        now = loss(theta)
        if np.abs(size * step).max() < 1e-10:
            break
    return theta, curvature


def _least_squares(frame: Model, x: Float[ndarray, "row column"], ratio: Rowed, prior: Model | None) -> Model:
    worth = 0.0 if prior is None else WORTH
    square, product, error = x.T @ x, x.T @ ratio, 0.0
    if prior is not None:
        square = square + worth * prior.information
        product = product + worth * prior.information @ np.array(prior.coefficients)
        error = worth * (prior.deviation or 0.0) ** 2
    theta = np.linalg.solve(square + 1e-9 * np.eye(len(square)), product)
    spread = np.sqrt((((ratio - x @ theta) ** 2).sum() + error) / (len(x) + worth))
    return replace(
        frame,
        coefficients=tuple(theta.tolist()),
        deviation=float(spread),
        information=_blend(x.T @ x, len(x), prior),
    )


def _blend(curvature: ndarray, n: int, prior: Model | None) -> Float[ndarray, "column column"]:
    """Mean curvature per row; with a prior that of its rows too, at their worth."""
    if prior is None:
        return curvature / n
    found: ndarray = (curvature + WORTH * prior.information) / (n + WORTH)
    return found
