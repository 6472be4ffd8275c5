"""Events that may follow within days, as rows: what was known, whether it happened, and when that is known.

Variance doubling, a fall, an inversion of the term structure, a jump of volatility. Rows of several symbols may be
pooled; every probability is from a fit on outcomes that were complete by then, and may be calibrated on past folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtr
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from greekdrift.errors import DataError, InputError, nearest
from greekdrift.forecast import hidden as hidden_state

Values = Float[ndarray, " row"]
Link = Literal["logit", "lognormal"]
Map = Literal["beta", "isotonic"]

LEAST = 10
"""Outcomes of either kind that a fit needs."""
EDGE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What was known at the close of `day` (a number that increases with time), by column, and what followed.

    `outcome` is 0, 1 or NaN (window incomplete); it is known at `complete`. `ratio` is the logarithm of what the
    event compares over its threshold, so that the event is ratio > 0: only events that have one can use the
    lognormal link.
    """

    day: Int[ndarray, " row"]
    complete: Int[ndarray, " row"]
    outcome: Values
    columns: Mapping[str, Values]
    ratio: Values | None = None

    def design(self, names: Sequence[str]) -> Float[ndarray, "row column"]:
        """Some of the columns; an unknown name is answered with the nearest."""
        unknown = [name for name in names if name not in self.columns]
        if unknown:
            raise InputError(f'the rows have no column "{unknown[0]}"; {nearest(unknown[0], self.columns)}')
        return np.stack([self.columns[name] for name in names], axis=1) if names else np.empty((len(self.day), 0))


def pooled(parts: Sequence[Rows]) -> Rows:
    """Rows of several symbols as one; each keeps its own days and columns, which must be the same ones."""
    ratios = [one.ratio for one in parts]
    return Rows(
        day=np.concatenate([one.day for one in parts]),
        complete=np.concatenate([one.complete for one in parts]),
        outcome=np.concatenate([one.outcome for one in parts]),
        columns={name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns},
        ratio=None
        if any(one is None for one in ratios)
        else np.concatenate([one for one in ratios if one is not None]),
    )


def falls(close: Values, *, ahead: int, share: float) -> Values:
    """1 where the close of one of the next days is at least this share below today's; NaN at the end.

    >>> falls(np.array([100.0, 99.0, 94.0, 100.0]), ahead=2, share=0.05)
    array([ 1.,  1., nan, nan])
    """
    lowest = extreme(np.log(close), ahead=ahead, is_lowest=True)
    return np.where(np.isfinite(lowest), (lowest - np.log(close) <= np.log1p(-share)).astype(float), np.nan)


def rises_above(value: Values, threshold: Values, *, ahead: int) -> Values:
    """1 where the value of one of the next days is above today's threshold; NaN at the end and where it is already.

    >>> rises_above(np.array([0.0, 2.0, 0.0, 3.0]), np.ones(4), ahead=1)
    array([ 1., nan,  1., nan])
    """
    highest = extreme(value, ahead=ahead, is_lowest=False)
    is_open = np.isfinite(highest) & (value <= threshold)
    return np.where(is_open, (highest > threshold).astype(float), np.nan)


def extreme(value: Values, *, ahead: int, is_lowest: bool) -> Values:
    """Lowest or highest of the next days' values, NaN where fewer than `ahead` follow."""
    found = np.full(len(value), np.nan)
    if len(value) > ahead:
        windows = sliding_window_view(value[1:], ahead)
        found[: len(windows)] = windows.min(axis=1) if is_lowest else windows.max(axis=1)
    return found


def lumpiness(variance: Values, days: int = 22) -> Values:
    """Mean of the last days' log variance less the log of their mean: 0 when all days are alike, low after a spike.

    A spike that stands in the trailing mean makes a doubling against that mean less likely than the mean alone says.

    >>> lumpiness(np.array([1.0, 1.0, np.e**2]), days=2).round(3).tolist()
    [nan, 0.0, -0.434]
    """
    found = np.full(len(variance), np.nan)
    if len(variance) >= days:
        windows = sliding_window_view(variance, days)
        found[days - 1 :] = np.log(windows).mean(axis=1) - np.log(windows.mean(axis=1))
    return found


def weekend_share(day: Int[ndarray, " row"], ahead: int) -> Values:
    """Share of Saturdays and Sundays (UTC) among the next days, by days since 1970: known for ever.

    >>> weekend_share(np.array([0, 1, 2]), 2).tolist()
    [0.5, 1.0, 0.5]
    """
    later = day[:, None] + np.arange(1, ahead + 1)
    found: Values = ((later + 3) % 7 >= 5).mean(axis=1)
    return found


def hidden_odds(returns: Values, *, first: int, refit: int = 66, window: int = 1500) -> Values:
    """Log odds of the wild state after each day, the states estimated on returns up to the last refit; NaN before."""
    found, state = np.full(len(returns), np.nan), None
    for start in range(first, len(returns), refit):
        known = returns[max(0, start + 1 - window) : start + 1]
        state = hidden_state.fit(known, start=state, iterations=10 if state else 25)
        stop = min(start + refit, len(returns))
        wild = np.clip(state.filtered(returns[:stop])[start:stop], 1e-6, 1.0 - 1e-6)
        found[start:stop] = np.log(wild / (1.0 - wild))
    return found


def walk_forward(
    rows: Rows,
    names: Sequence[str],
    *,
    first: int,
    refit: int = 66,
    link: Link = "logit",
    inverse_penalty: float = 0.1,
) -> Values:
    """Probability of the event in every row from day `first` on, NaN before and where a column is missing.

    Every `refit` days a fit on the rows whose outcome is complete: a penalised logistic regression on standardised
    columns, or ("lognormal") a least-squares fit of the log ratio and Φ(prediction / its standard error). Without
    columns it is the base rate.
    """
    design = rows.design(names)
    is_whole = np.all(np.isfinite(design), axis=1)
    wanted = rows.outcome
    if link == "lognormal":
        if rows.ratio is None:
            raise InputError("this event compares no ratio; take the logit link.")
        wanted = rows.ratio
    probability = np.full(len(rows.day), np.nan)
    for start in range(first, int(rows.day.max()) + 1, refit):
        is_asked = is_whole & (rows.day >= start) & (rows.day < start + refit)
        is_known = is_whole & np.isfinite(wanted) & np.isfinite(rows.outcome) & (rows.complete <= start)
        if np.any(is_asked):
            _enough(rows.outcome[is_known], start)
            mean, scale = design[is_known].mean(axis=0), design[is_known].std(axis=0)
            scale = np.where(scale > 0.0, scale, 1.0)
            known, asked = (design[is_known] - mean) / scale, (design[is_asked] - mean) / scale
            predicted = _lognormal if link == "lognormal" else _logit
            probability[is_asked] = predicted(known, wanted[is_known], asked, inverse_penalty)
    return probability


def calibrated(rows: Rows, probability: Values, *, first: int, refit: int = 66, by: Map = "beta") -> Values:
    """Probabilities mapped monotonically by what followed past ones; unmapped while too few outcomes are known.

    beta: logit q = c + a ln p − b ln(1 − p), a, b by logistic regression (Kull, Silva Filho & Flach 2017).
    isotonic: the best increasing step function (Zadrozny & Elkan 2002), averaged half and half with the base rate's
    shrinkage of one count, so that 0 and 1 do not occur. Timing: a map of day t uses outcomes complete by t.
    """
    found = probability.copy()
    is_there = np.isfinite(probability)
    for start in range(first, int(rows.day.max()) + 1, refit):
        is_known = is_there & np.isfinite(rows.outcome) & (rows.complete <= start)
        is_asked = is_there & (rows.day >= start) & (rows.day < start + refit)
        happened = rows.outcome[is_known]
        if np.any(is_asked) and min(happened.sum(), (1.0 - happened).sum()) >= 4 * LEAST:
            mapped = _beta if by == "beta" else _isotonic
            found[is_asked] = mapped(probability[is_known], happened, probability[is_asked])
    return found


def _enough(outcome: Values, start: int) -> None:
    if not LEAST <= outcome.sum() <= len(outcome) - LEAST:
        raise DataError(
            f"by day {start} the event happened in {outcome.sum():g} of {len(outcome)} complete rows; {LEAST} of "
            "either kind are needed: start later."
        )


def _logit(known: ndarray, outcome: Values, asked: ndarray, inverse_penalty: float) -> Values:
    if known.shape[1] == 0:
        return np.full(len(asked), outcome.mean())
    fitted = LogisticRegression(C=inverse_penalty, tol=1e-8, max_iter=1000).fit(known, outcome)
    found: Values = fitted.predict_proba(asked)[:, 1]
    return found


def _lognormal(known: ndarray, ratio: Values, asked: ndarray, _: float) -> Values:
    one, other = (np.column_stack([np.ones(len(values)), values]) for values in (known, asked))
    coefficients, *_rest = np.linalg.lstsq(one, ratio, rcond=None)
    found: Values = ndtr(other @ coefficients / (ratio - one @ coefficients).std())
    return found


def _beta(past: Values, outcome: Values, asked: Values) -> Values:
    fitted = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(_two_logs(past), outcome)
    weights = np.maximum(fitted.coef_[0], 0.0)
    found: Values = 1.0 / (1.0 + np.exp(-(fitted.intercept_[0] + _two_logs(asked) @ weights)))
    return found


def _two_logs(probability: Values) -> Float[ndarray, "row 2"]:
    kept = np.clip(probability, EDGE, 1.0 - EDGE)
    return np.column_stack([np.log(kept), -np.log1p(-kept)])


def _isotonic(past: Values, outcome: Values, asked: Values) -> Values:
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(past, outcome)
    rate, n = outcome.mean(), len(outcome)
    found: Values = (fitted.predict(asked) * n + rate * n**0.5) / (n + n**0.5)
    return found


def is_judged(rows: Rows, *probabilities: Values) -> Bool[ndarray, " row"]:
    """Rows whose outcome is known and that every one of these probabilities covers."""
    judged: Bool[ndarray, " row"] = np.isfinite(rows.outcome)
    for one in probabilities:
        judged &= np.isfinite(one)
    return judged
