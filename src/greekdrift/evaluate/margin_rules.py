"""Reserves by simple rules, and the running base rate of calls: what a forecast of margin must beat.

Every rule is a shape (row, book) in the book's unit that was known at its row; a factor turns it into a reserve.

    constant       its mean initial margin before the first test
    IM             its initial margin of now
    IM · EWMA      times the exponential average of its underlying's realised volatility
    IM · implied   times its 30-day implied volatility
    past needs     the 99 % quantile of its own falls whose end was known, at least 0

The first four scale what the requirement is; the last alone has seen how each book's excess really fell.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.evaluate.margin_results import Cells, MarginResults, Rows
from greekdrift.score import quantile

PAST_LEVEL = 0.99
LEAST_PAST = 20
"""Own falls from which a quantile of the past is taken; the usual requirement stands in before."""
SCALED = ("constant", "IM", "IM · EWMA", "IM · implied")
PAST = "past needs"
RULES = (*SCALED, PAST)
PRIOR_ORIGINS = 20.0
"""Origins that the base rate of all books counts for in the base rate of one."""


def simple_rules(results: MarginResults) -> dict[str, Rows]:
    """The shape of each rule in `RULES` at every row of the panel, in units; NaN where the book was not made."""
    requirement = results.truth.initial_margin / results.unit
    realised, implied = (column[:, results.place] for column in (results.realised, results.implied))
    shapes = (
        np.where(np.isfinite(requirement), results.usual_requirement, np.nan),
        requirement,
        requirement * realised,
        requirement * implied,
        past_needs(results),
    )
    return dict(zip(RULES, shapes, strict=True))


def past_needs(results: MarginResults, *, level: float = PAST_LEVEL) -> Rows:
    """The quantile of each book's own falls known at each row, at least 0, in units; before, its usual requirement."""
    falls = results.truth.fall / results.unit
    is_made = np.isfinite(results.truth.initial_margin / results.unit)
    found = np.where(is_made, results.usual_requirement, np.nan)
    for row in np.flatnonzero(np.any(np.isfinite(found), axis=1)).tolist():
        past = falls[_known(results, row)]
        is_there = np.isfinite(past)
        for book in np.flatnonzero((is_there.sum(axis=0) >= LEAST_PAST) & np.isfinite(found[row])):
            found[row, book] = max(0.0, float(quantile(past[is_there[:, book], book], level)[0]))
    return found


def fixed_before(results: MarginResults, shape: Rows) -> Cells:
    """The reserve of a rule whose factor was fixed before each origin: `gate_share` · shape · the past quantile.

    The factor is the quantile at `gate_level` of fall / shape over the past of all books, as far as its end was known:
    rows before the first test count, later ones join as they come, none of the origin's own future does.
    """
    falls = results.truth.fall / results.unit
    ratio = np.divide(falls, shape, out=np.full(falls.shape, np.nan), where=shape > 0.0)
    found = np.full((len(results.tested), len(results.books)), np.nan)
    for at, row in enumerate(results.tested.tolist()):
        past = ratio[_known(results, row)]
        past = past[np.isfinite(past)]
        factor = max(0.0, float(quantile(past, results.margin.gate_level)[0])) if past.size >= LEAST_PAST else 1.0
        found[at] = results.margin.gate_share * factor * shape[row]
    return found


def base_rate(results: MarginResults) -> Cells:
    """Share of each book's past origins at which a call came, as far as known at each origin; 0.5 before any.

    (calls + 20 · share of all books) / (origins + 20): a book that has seen few origins is near the others.
    """
    happened = results.is_called
    found = np.full((len(results.tested), len(results.books)), np.nan)
    for at, row in enumerate(results.tested.tolist()):
        past = happened[_known(results, row)]
        is_there = np.isfinite(past)
        count, calls = is_there.sum(axis=0), np.where(is_there, past, 0.0).sum(axis=0)
        overall = float(calls.sum() / count.sum()) if count.sum() else 0.5
        found[at] = (calls + PRIOR_ORIGINS * overall) / (count + PRIOR_ORIGINS)
    return found


def _known(results: MarginResults, row: int) -> Bool[ndarray, " row"]:
    """Rows whose end was known at a row."""
    return results.target_known_at <= results.known_at[row]


def reserve(results: MarginResults, forecaster: str) -> Float[ndarray, "origin book"]:
    """The reserve of a forecaster in units: `gate_share` of its quantile at `gate_level`, at least 0."""
    margin = results.margin
    return np.maximum(margin.gate_share * results.of(forecaster).quantile(margin.gate_level), 0.0) / results.unit
