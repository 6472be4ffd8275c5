"""Weights of a linear pool from how its members forecast what came true: least CRPS of the pool, shrunk to equal.

The CRPS of the pool Σ wᵢ Fᵢ at an outcome y is quadratic in the weights and convex on the simplex:

    CRPS(w) = Σᵢ wᵢ E|Xᵢ − y| − ½ Σᵢⱼ wᵢ wⱼ E|Xᵢ − Xⱼ|

Inside `fit` the members walk forward over the panel, as in `forecast.calibrated`: fitted on the rows known at an
instant they forecast later origins, and both means are taken over factors, underlyings and horizons in units of the
usual size of each increment, origins counting 2^(−age / half life). With N outcomes that do not overlap (forgetting
counted) the least point w* is shrunk to w = (N w* + K/m) / (N + K), K the outcomes that equal weights are worth.

Means over pairs leave out draws of the same number, which members share; what then is not convex by the error of
sampling is made so. Timing: every outcome that is counted was known with the last row of the panel.

Source: Thorey, Mallet & Baudin (2017), weights of an ensemble by its CRPS; Smith & Wallis (2009), why they are shrunk.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.features.history import Panel
from greekdrift.forecast.calibrated import plan
from greekdrift.forecast.forecaster import Forecaster, Predictor
from greekdrift.forecast.steps import usual_horizons

DRAWS = 100
REFITS = 4
Weights = Float[ndarray, " member"]
Pairs = Float[ndarray, "member member"]


def past_weights(
    members: Sequence[Forecaster], panel: Panel, *, half_life_days: float, prior_outcomes: float, origins: int
) -> Weights:
    """Weights that sum to 1, from at most `origins` of the rows; equal ones where the panel is too short to tell.

    >>> from greekdrift.features.history import example
    >>> from greekdrift.forecast.econometric import named
    >>> laws = [named("hari"), named("ewma")]
    >>> past_weights(laws, example(rows=20), half_life_days=60.0, prior_outcomes=50.0, origins=120).tolist()
    [0.5, 0.5]
    """
    count = len(members)
    equal = np.full(count, 1.0 / count)
    toward, between, total, outcomes = np.zeros(count), np.zeros((count, count)), 0.0, 0.0
    half_life = 24.0 * half_life_days
    before = -np.inf
    hours = np.array(usual_horizons(panel))
    for row, away, apart in _walked(members, panel, hours, origins=origins):
        weight = 0.5 ** ((panel.hours[-1] - panel.hours[row]) / half_life)
        toward, between, total = toward + weight * away, between + weight * apart, total + weight
        outcomes += weight * float(np.mean(np.minimum((panel.hours[row] - before) / hours, 1.0)))
        before = panel.hours[row]
    if total == 0.0:
        return equal
    best = least(toward / total, between / total)
    return (outcomes * best + prior_outcomes * equal) / (outcomes + prior_outcomes)


def least(toward: Weights, between: Pairs) -> Weights:
    """The weights on the simplex with least Σ wᵢ aᵢ − ½ Σ wᵢ wⱼ bᵢⱼ; of equally good ones those nearest to equal.

    Convex, so that the best of the points that solve the equations on some of the members is the least of all.

    >>> apart = np.array([[1.0, 1.5, 1.0], [1.5, 1.0, 1.0], [1.0, 1.0, 1.0]])
    >>> least(np.array([1.0, 1.0, 3.0]), apart).round(6).tolist()
    [0.5, 0.5, 0.0]
    """
    count = len(toward)
    centre = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-centre @ (0.5 * (between + between.T)) @ centre)
    bend = (vectors * np.maximum(values, 0.0)) @ vectors.T
    slope = toward - between @ np.full(count, 1.0 / count)
    best, lowest = np.full(count, 1.0 / count), np.inf
    for size in range(count, 0, -1):
        for chosen in combinations(range(count), size):
            found = _on(chosen, slope, bend)
            value = float(slope @ found + 0.5 * found @ bend @ found)
            if np.all(found >= -1e-12) and value < lowest - 1e-12:
                best, lowest = found, value
    held = np.maximum(best, 0.0)
    return held / held.sum()


def _on(chosen: tuple[int, ...], slope: Weights, bend: Pairs) -> Weights:
    """Where the gradient is the same for all chosen members and the others have no weight; nearest to equal."""
    at, size = np.array(chosen), len(chosen)
    edge = np.ones((size, 1))
    system = np.block([[bend[np.ix_(at, at)], edge], [edge.T, np.zeros((1, 1))]])
    start = np.append(np.full(size, 1.0 / size), 0.0)
    moved, *_ = np.linalg.lstsq(system, np.append(-slope[at], 1.0) - system @ start, rcond=1e-10)
    found = np.zeros(len(slope))
    found[at] = (start + moved)[:size]
    return found


def _walked(
    members: Sequence[Forecaster], panel: Panel, hours: ndarray, *, origins: int
) -> Iterator[tuple[int, Weights, Pairs]]:
    """Row by row of the inner walk-forward E|Xᵢ − y| and E|Xᵢ − Xⱼ|, means over what was observed."""
    moves = [panel.increments(float(one), tolerance_hours=0.25 * panel.step_hours) for one in hours]
    place = [dict(zip(one.origin.tolist(), range(len(one)), strict=True)) for one in moves]
    for fit_row, rows in plan(panel, refits=REFITS, origins=origins):
        known = panel.until(panel.known_at[fit_row])
        sizes = [_size(known, float(one)) for one in hours]
        try:
            predictors = [member.fit(known) for member in members]
        except DataError:
            continue  # too short a past for a member: that part of the panel gives no evidence
        for row in rows:
            there = [at for at in range(hours.size) if row in place[at]]
            if not there:
                continue
            observed = np.stack([moves[at].values[place[at][row]] for at in there])
            elapsed = [float(moves[at].elapsed_hours[place[at][row]]) for at in there]
            history = panel.until(panel.known_at[row])
            made = _drawn(predictors, history, elapsed, seed=row)
            if made is not None:
                yield (row, *_scored(made, observed, np.stack([sizes[at] for at in there])))


def _size(known: Panel, hours: float) -> Float[ndarray, "underlying factor"]:
    """Usual size of an increment of what is known; NaN where it never moved or was never seen."""
    values = np.abs(known.increments(hours, tolerance_hours=0.25 * known.step_hours).values)
    seen = np.isfinite(values)
    mean = np.where(seen, values, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(mean > 0.0, mean, np.nan)


def _drawn(predictors: Sequence[Predictor], history: Panel, elapsed: list[float], *, seed: int) -> ndarray | None:
    """Increments of every member; None where one has no forecast at that origin."""
    try:
        made = [one.predict(history, horizons=elapsed, n=DRAWS, seed=seed).increments for one in predictors]
    except DataError:
        return None
    return np.stack(made)


def _scored(
    made: Float[ndarray, "member draw horizon underlying factor"], observed: ndarray, size: ndarray
) -> tuple[Weights, Pairs]:
    """Both means over the cells that were observed and do move; of two members without draws of the same number."""
    cells = np.isfinite(observed) & np.isfinite(size)
    count = len(made)
    if not np.any(cells):
        return np.zeros(count), np.zeros((count, count))
    drawn, seen = made[:, :, cells] / size[cells], observed[cells] / size[cells]
    toward = np.abs(drawn - seen).mean(axis=(1, 2))
    own = [_gaps(one) for one in drawn]
    between = np.empty((count, count))
    for one in range(count):
        for other in range(one, count):
            total = 2.0 * own[one]
            if other != one:
                total = _gaps(np.concatenate([drawn[one], drawn[other]])) - own[one] - own[other]
                total -= float(np.abs(drawn[one] - drawn[other]).sum())
            between[one, other] = between[other, one] = total / (DRAWS * (DRAWS - 1) * seen.size)
    return toward, between


def _gaps(draws: Float[ndarray, "draw cell"]) -> float:
    """Sum of |xᵢ − xⱼ| over all pairs i < j of draws, and over cells."""
    count = len(draws)
    return float(((2.0 * np.arange(1, count + 1) - count - 1.0) @ np.sort(draws, axis=0)).sum())
