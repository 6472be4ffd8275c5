"""The scores of one forecaster at one origin."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.evaluate.results import Scores
from greekdrift.evaluate.settings import BANDED, QUANTITIES
from greekdrift.evaluate.truth import Origin
from greekdrift.score import brier, crps, energy, pinball, quantile, variogram
from greekdrift.score.calibration import LEVELS, pit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.slices import Surface

Cells = Float[ndarray, "horizon book quantity"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """What a training fold says about size: of increments (horizon, underlying, factor) and of drifts.

    `band` is the half width of each book's band by Greek.
    """

    increment: Float[ndarray, "horizon underlying factor"]
    drift: Cells
    band: Float[ndarray, "book greek"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What is asked of every forecaster at one origin.

    `present` are the places of the grid that have a target, `scored` those of the scored horizons among them and
    `column` their places among all scored horizons. `observed` increments and hours are of the present ones.
    """

    origin: Origin
    surface: Surface
    present: Int[ndarray, " present"]
    scored: Int[ndarray, " scored"]
    column: Int[ndarray, " scored"]
    elapsed_hours: Float[ndarray, " present"]
    calendar_hours: Float[ndarray, " present"]
    observed: Float[ndarray, "present underlying factor"]


def score_origin(scores: Scores, at: int, scenarios: Scenarios, asked: Asked, yardstick: Yardstick) -> None:
    """Fills row `at` of the scores from scenarios made for the asked hours."""
    kept = distinct(scenarios)
    weights = None if np.ptp(kept.weights) == 0.0 else kept.weights
    _score_state(scores, at, kept, asked, yardstick, weights)
    samples = drift_samples(kept, asked)
    _score_books(scores, at, samples, asked, weights)
    _score_breach(scores, at, samples, asked, yardstick, kept.weights)


def drift_samples(scenarios: Scenarios, asked: Asked) -> Float[ndarray, "scenario present account quantity"]:
    """Drift of each account's quantities under every scenario, through the exact calculator.

    Time runs by the calendar, whatever the forecaster's clock counts.
    """
    origin = asked.origin
    timed = replace(scenarios, horizons=asked.calendar_hours)
    names = [name for name in QUANTITIES if name != "pnl_usd"]
    found = revalue(origin.chain, asked.surface, timed, rows=origin.rows, names=names)
    columns = []
    for name in QUANTITIES:
        values = found.book(name, origin.contracts)
        columns.append(values if name == "pnl_usd" else values - found.book_now(name, origin.contracts))
    return np.stack(columns, axis=-1)


def distinct(scenarios: Scenarios) -> Scenarios:
    """A single scenario where all are the same (the clock), else all of them."""
    if scenarios.n == 1 or np.any(np.ptp(scenarios.increments, axis=0) > 0.0):
        return scenarios
    return replace(scenarios, increments=scenarios.increments[:1], weights=np.ones(1))


def _score_state(
    scores: Scores, at: int, scenarios: Scenarios, asked: Asked, yardstick: Yardstick, weights: ndarray | None
) -> None:
    for place, column in zip(asked.scored, asked.column, strict=True):
        seen, drawn = asked.observed[place], scenarios.increments[:, place]
        is_there = np.isfinite(seen)
        size = yardstick.increment[asked.present[place]]
        is_moving = is_there & (size > 0.0)
        sizes = drawn[:, is_moving] / size[is_moving], seen[is_moving] / size[is_moving]
        scores.energy[at, column] = energy(*sizes, weights=weights)
        if sizes[1].size > 1:
            scores.variogram[at, column] = variogram(*sizes, weights=weights)
        scores.factor_crps[at, column][is_there] = crps(drawn[:, is_there], seen[is_there], weights=weights)
        scores.factor_square[at, column][is_there] = _squared(drawn[:, is_there], seen[is_there], scenarios.weights)


def _squared(
    drawn: Float[ndarray, "scenario cell"], seen: Float[ndarray, " cell"], weights: Float[ndarray, " scenario"]
) -> Float[ndarray, " cell"]:
    """Squared error of the predicted mean, without the error that the mean of so many scenarios has by itself."""
    mean = weights @ drawn
    concentration = float(np.sum(weights**2))
    noise = 0.0 if concentration >= 1.0 else concentration / (1.0 - concentration)
    squared: Float[ndarray, " cell"] = (mean - seen) ** 2 - noise * (weights @ (drawn - mean) ** 2)
    return squared


def _score_books(
    scores: Scores,
    at: int,
    samples: Float[ndarray, "scenario present account quantity"],
    asked: Asked,
    weights: ndarray | None,
) -> None:
    tails = [0.5 * (1.0 - level) for level in LEVELS]
    for place, column in zip(asked.scored, asked.column, strict=True):
        seen = asked.origin.drift[asked.present[place]][asked.origin.place]
        is_there = np.isfinite(seen)
        drawn = samples[:, place][:, is_there]
        cells = np.full(seen.shape, np.nan)
        cells[is_there] = crps(drawn, seen[is_there], weights=weights)
        scores.crps[at, column, asked.origin.place] = cells
        levels = [*tails, *(1.0 - tail for tail in tails)]
        quantiles = quantile(drawn, levels, weights=weights)
        losses = np.full(seen.shape, np.nan)
        each = [pinball(one, seen[is_there], level=level) for one, level in zip(quantiles, levels, strict=True)]
        losses[is_there] = np.mean(each, axis=0)
        scores.pinball[at, column, asked.origin.place] = losses
        lower, upper = quantiles[: len(tails)], quantiles[len(tails) :]
        inside = np.full((*seen.shape, len(LEVELS)), np.nan)
        width = inside.copy()
        inside[is_there] = ((lower <= seen[is_there]) & (seen[is_there] <= upper)).T
        width[is_there] = (upper - lower).T
        scores.is_inside[at, column, asked.origin.place] = inside
        scores.width[at, column, asked.origin.place] = width
        ends = np.full((*seen.shape, 2), np.nan)
        ends[is_there] = np.stack(pit(drawn, seen[is_there], weights=weights), axis=-1)
        scores.pit[at, column, asked.origin.place] = ends


def _score_breach(
    scores: Scores,
    at: int,
    samples: Float[ndarray, "scenario present account quantity"],
    asked: Asked,
    yardstick: Yardstick,
    weights: Float[ndarray, " scenario"],
) -> None:
    greeks = [QUANTITIES.index(name) for name in BANDED]
    band = yardstick.band[asked.origin.place]
    is_outside = np.logical_or.accumulate(np.abs(samples[..., greeks]) > band, axis=1)
    chance = np.clip(np.tensordot(weights, is_outside, axes=1), 0.0, 1.0)
    for place, column in zip(asked.scored, asked.column, strict=True):
        scores.breach_probability[at, column, asked.origin.place] = np.where(np.isfinite(band), chance[place], np.nan)
    if len(asked.present) == len(asked.origin.drift):
        every = np.arange(len(asked.present))
        happened = observed_breach(asked.origin, every, yardstick.band)[:, asked.origin.place]
        is_known = np.isfinite(happened[-1])
        found = np.full(band.shape, np.nan)
        members = len(weights) if np.ptp(weights) == 0.0 else round(1.0 / float(np.sum(weights**2)))
        found[is_known] = brier(chance[:, is_known], happened[:, is_known], members=members).mean(axis=0)
        scores.breach_time[at, asked.origin.place] = found


def observed_breach(
    origin: Origin, scored: Int[ndarray, " scored"], band: Float[ndarray, "book greek"]
) -> Float[ndarray, "scored book greek"]:
    """1 where a Greek was outside its band at a grid point up to the horizon, else 0; NaN where a check is missing.

    `scored` are places in the grid; every earlier grid point is a check.
    """
    greeks = [QUANTITIES.index(name) for name in BANDED]
    drift = np.abs(origin.drift[..., greeks])
    outcome = np.full((len(scored), *band.shape), np.nan)
    for number, place in enumerate(scored):
        within = drift[: place + 1]
        is_known = np.all(np.isfinite(within), axis=0) & np.isfinite(band)
        outcome[number] = np.where(is_known, np.any(within > band, axis=0), np.nan)
    return outcome
