"""Stylised facts of a panel of market states: what a simulated market should share with a real one.

Per underlying, over increments of one horizon (r = Δ ln S, and Δ ln σ at the pillars of `surface.state`):

    volatility, volatility_of_atm_N      standard deviation × √(hours of a year / elapsed hours)
    kurtosis, kurtosis_of_atm            fourth moment / variance² − 3, of r and of Δ ln σ at 30 days
    repeats, repeats_of_atm              correlation with the increment that begins where this one ends
    clusters                             the same of |r|
    leverage                             correlation of r with the next |r|
    spot_vol_N                           correlation of r with Δ ln σ at the money, N days
    spot_vol_put, spot_vol_call          the same at 30 days, one deviation down and up (about 16 delta)

A correlation of n pairs without any dependence has a standard error of 1/√n.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.errors import CalculationError
from greekdrift.features.history import Increments, Panel
from greekdrift.units import counted

FEWEST = 30
"""Increments, and pairs of them, under which nothing is said."""
MIDDLE = 30
"""Days of the pillar that stands for the smile."""

Values = Float[ndarray, " increment"]


WORDS: Mapping[str, str] = {
    "volatility": "volatility of the price, a year",
    "kurtosis": "excess kurtosis of returns",
    "repeats": "correlation of a return and the next",
    "clusters": "correlation of |return| and the next",
    "leverage": "correlation of a return and the next |return|",
    "kurtosis_of_atm": f"excess kurtosis of Δ ln σ at {MIDDLE} days",
    "repeats_of_atm": f"correlation of Δ ln σ and the next at {MIDDLE} days",
    "spot_vol_put": f"correlation of return and Δ ln σ at {MIDDLE} days, one deviation down",
    "spot_vol_call": f"correlation of return and Δ ln σ at {MIDDLE} days, one deviation up",
}
"""Measures in words."""
BY_TENOR: Mapping[str, str] = {
    "spot_vol_": "correlation of return and Δ ln σ at the money, {}",
    "volatility_of_atm_": "volatility of ln σ at the money, {}, a year",
}
"""Those of every tenor, by the beginning of their name."""


def said(measure: str) -> str:
    """A measure in words.

    >>> said("volatility_of_atm_7")
    'volatility of ln σ at the money, 7 days, a year'
    """
    if measure in WORDS:
        return WORDS[measure]
    beginning = next(one for one in BY_TENOR if measure.startswith(one))
    return BY_TENOR[beginning].format(counted(int(measure.removeprefix(beginning)), "day"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The measures of one underlying, as the head of this module names them, from `count` increments of `hours`."""

    underlying: str
    hours: float
    count: int
    measures: Mapping[str, float]


def facts(panel: Panel, *, hours: float | None = None) -> tuple[Facts, ...]:
    """The facts of every underlying, over `hours` or one step of the panel.

    Increments that lack a number are left out. Raises CalculationError for an underlying with fewer than 30 of them.

    >>> from greekdrift.features.history import example
    >>> found, = facts(example(rows=2000))
    >>> found.count, round(found.measures["volatility"], 1), abs(found.measures["kurtosis"]) < 0.5
    (1999, 0.5, True)
    """
    span = panel.step_hours if hours is None else hours
    increments = panel.increments(span)
    return tuple(_of(panel, increments, u, span) for u in range(len(panel.underlyings)))


def _of(panel: Panel, increments: Increments, u: int, hours: float) -> Facts:
    name = panel.underlyings[u]
    values = {factor: increments.values[:, u, at] for at, factor in enumerate(panel.factors)}
    pillars = [int(factor.removeprefix("atm_")) for factor in panel.factors if factor.startswith("atm_")]
    if MIDDLE not in pillars:
        raise CalculationError(f"{name}: the panel has no factor atm_{MIDDLE}; build it from chains.")
    spot, middle = values["forward"], values[f"atm_{MIDDLE}"]
    is_known = np.isfinite(increments.values[:, u]).all(axis=1)
    if is_known.sum() < FEWEST:
        raise CalculationError(
            f"{name}: {is_known.sum()} increments of {hours:g} hours are known, of {FEWEST} needed; take more chains."
        )
    scale = np.sqrt(panel.hours_per_year / increments.elapsed_hours)
    first, second = _pairs(increments, is_known)
    skew, curvature = values[f"skew_{MIDDLE}"], values[f"curvature_{MIDDLE}"]
    measures = {
        "volatility": float(np.std((spot * scale)[is_known])),
        "kurtosis": _kurtosis(spot[is_known]),
        "repeats": _correlation(spot[first], spot[second], name),
        "clusters": _correlation(np.abs(spot[first]), np.abs(spot[second]), name),
        "leverage": _correlation(spot[first], np.abs(spot[second]), name),
        "kurtosis_of_atm": _kurtosis(middle[is_known]),
        "repeats_of_atm": _correlation(middle[first], middle[second], name),
        "spot_vol_put": _correlation(spot[is_known], (middle + curvature - skew)[is_known], name),
        "spot_vol_call": _correlation(spot[is_known], (middle + curvature + skew)[is_known], name),
    }
    for days in pillars:
        moved = values[f"atm_{days}"]
        measures[f"spot_vol_{days}"] = _correlation(spot[is_known], moved[is_known], name)
        measures[f"volatility_of_atm_{days}"] = float(np.std((moved * scale)[is_known]))
    return Facts(underlying=name, hours=hours, count=int(is_known.sum()), measures=measures)


def _pairs(
    increments: Increments, is_known: Float[ndarray, " increment"]
) -> tuple[Int[ndarray, " pair"], Int[ndarray, " pair"]]:
    """Known increments, and for each the known one that begins where it ends."""
    following = np.searchsorted(increments.origin, increments.target)
    inside = np.minimum(following, len(increments) - 1)
    is_pair = (increments.origin[inside] == increments.target) & is_known & is_known[inside]
    return np.flatnonzero(is_pair), inside[is_pair]


def _kurtosis(values: Values) -> float:
    centred = values - values.mean()
    variance = np.mean(centred**2)
    return float(np.mean(centred**4) / variance**2 - 3.0) if variance > 0.0 else 0.0


def _correlation(one: Values, other: Values, name: str) -> float:
    if len(one) < FEWEST:
        raise CalculationError(f"{name}: {len(one)} pairs of increments, {FEWEST} needed; take more chains.")
    if not (np.std(one) > 0.0 and np.std(other) > 0.0):
        raise CalculationError(f"{name}: a factor never moves and has no correlation; take chains that change.")
    return float(np.corrcoef(one, other)[0, 1])
