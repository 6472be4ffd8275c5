"""Figures of a walk with their intervals: ratios of losses, coverage, breach scores; each a row of the scorecard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import CalculationError
from greekdrift.evaluate.results import NO_CHANGE, Results, mean_over_cells
from greekdrift.evaluate.settings import QUANTITIES
from greekdrift.score import block_bootstrap, brier, diebold_mariano, log_score, reliability
from greekdrift.score.calibration import LEVELS, pit_histogram

REGIMES = ("calm", "middle", "wild")
Losses = Float[ndarray, " origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure: of a forecaster, at a horizon, against another (or, with "", as it is).

    A ratio below 1 and a negative `statistic` (Diebold-Mariano t) say that the forecaster is better. `lower` and
    `upper` are the 95 % circular block bootstrap interval; None where `n` origins are too few for one.
    """

    forecaster: str
    horizon: float
    metric: str
    against: str
    value: float
    lower: float | None
    upper: float | None
    statistic: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How series of losses are compared at one horizon: steps ahead, block length, seed, draws."""

    results: Results
    hours: float
    seed: int
    draws: int

    @property
    def steps(self) -> int:
        """Origins that one horizon spans."""
        return max(1, ceil(self.hours / self.results.step_hours - 1e-9))

    def ratio(self, name: str, metric: str, against: str, first: Losses, second: Losses) -> Measure | None:
        """Mean of the first losses over mean of the second, on the origins that have both; None without any."""
        is_there = np.isfinite(first) & np.isfinite(second)
        losses, other = first[is_there], second[is_there]
        n = len(losses)
        if n == 0 or other.mean() == 0.0:
            return None
        lower = upper = statistic = None
        block = 2 * self.steps
        if n >= 2 * block and other.mean() > 0.0:
            lower, upper = self._ends(losses, other, block)
        if n >= 2 * block and (np.ptp(losses - other) > 0.0 or np.array_equal(losses, other)):
            statistic = diebold_mariano(losses, other, horizon=self.steps, lag=block).statistic
        value = float(losses.sum() / other.sum())
        return self.measure(name, metric, against, value, lower, upper, statistic, n)

    def _ends(self, losses: Losses, other: Losses, block: int) -> tuple[float | None, float | None]:
        """Ends of the ratio's interval; none where the other's losses are so rare that a resample has none."""
        try:
            interval = block_bootstrap(losses, other, block=block, seed=self.seed, draws=self.draws)
        except CalculationError:
            return None, None
        return interval.lower, interval.upper

    def mean(self, name: str, metric: str, values: Losses) -> Measure | None:
        """Mean over the origins that have a value, with its interval."""
        there = values[np.isfinite(values)]
        if there.size == 0:
            return None
        lower = upper = None
        block = 2 * self.steps
        if there.size >= 2 * block:
            interval = block_bootstrap(there, block=block, seed=self.seed, draws=self.draws)
            lower, upper = interval.lower, interval.upper
        return self.measure(name, metric, "", float(there.mean()), lower, upper, None, there.size)

    def measure(
        self,
        name: str,
        metric: str,
        against: str,
        value: float,
        lower: float | None,
        upper: float | None,
        statistic: float | None,
        n: int,
    ) -> Measure:
        """The record of one figure at this horizon."""
        return Measure(
            forecaster=name,
            horizon=self.hours,
            metric=metric,
            against=against,
            value=value,
            lower=lower,
            upper=upper,
            statistic=statistic,
            n=n,
        )


def measures(results: Results, against: Sequence[str], *, seed: int, draws: int) -> tuple[Measure, ...]:
    """All figures of all forecasters at all horizons."""
    found = []
    for hours in results.settings.horizons:
        by = Comparison(results=results, hours=hours, seed=seed, draws=draws)
        for name in (*results.scores, NO_CHANGE):
            found += [one for one in _of_losses(by, name, against) if one is not None]
            if name != NO_CHANGE:
                found += [one for one in (*_of_state(by, name, against), *_of_coverage(by, name)) if one is not None]
                found += [one for one in _of_breach(by, name, against) if one is not None]
    return tuple(found)


def _of_losses(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Pooled loss, and each quantity by itself."""
    results, hours = by.results, by.hours
    yield by.mean(name, "loss", results.losses(name, hours))
    for other in against:
        yield by.ratio(name, "loss", other, results.losses(name, hours), results.losses(other, hours))
        for quantity in QUANTITIES:
            chosen = (quantity,)
            first, second = results.losses(name, hours, chosen), results.losses(other, hours, chosen)
            yield by.ratio(name, f"loss {quantity}", other, first, second)


def _of_state(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Joint energy score, and the CRPS of log index and 30-day volatility of each underlying."""
    results, hours = by.results, by.hours
    yield by.mean(name, "energy", results.energy(name, hours))
    for other in against:
        yield by.ratio(name, "energy", other, results.energy(name, hours), results.energy(other, hours))
    for underlying in results.underlyings:
        for factor in ("forward", "atm_30"):
            if factor in results.factors:
                losses = results.factor_losses(name, hours, underlying, factor)
                yield by.mean(name, f"crps {underlying} {factor}", losses)


def _of_coverage(by: Comparison, name: str) -> Iterator[Measure | None]:
    """Coverage and scaled width of the intervals: of all cells, by kind of book, by regime."""
    results, at = by.results, by.results.horizon(by.hours)
    inside = results.of(name).is_inside[:, at]
    scale = results.scale[results.fold, at][..., None]
    wide = results.of(name).width[:, at]
    width = np.divide(wide, scale, out=np.full(wide.shape, np.nan), where=scale > 0.0)
    tercile = regime(results.level)
    for place, level in enumerate(LEVELS):
        label = f"{100.0 * level:g}"
        yield by.mean(name, f"coverage {label}", mean_over_cells(inside[..., place]))
        yield by.mean(name, f"width {label}", mean_over_cells(width[..., place]))
        for kind in results.kinds:
            cells = inside[:, results.of_kind(kind), :, place]
            yield by.mean(name, f"coverage {label} {kind}", mean_over_cells(cells))
        for number, word in enumerate(REGIMES):
            values = np.where(tercile == number, mean_over_cells(inside[..., place]), np.nan)
            yield by.mean(name, f"coverage {label} {word}", values)


def _of_breach(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Brier and log score of leaving the band within the horizon, and the expected calibration error."""
    results = by.results
    losses = breach_losses(results, name, by.hours)
    if losses is None:
        return
    yield by.mean(name, "brier", losses[0])
    for other in against:
        compared = breach_losses(results, other, by.hours)
        if compared is not None:
            yield by.ratio(name, "brier", other, losses[0], compared[0])
            yield by.ratio(name, "log score", other, losses[1], compared[1])
    chance, outcome = breach_pairs(results, name, by.hours)
    error = reliability(chance, outcome).calibration_error
    n = int(np.isfinite(losses[0]).sum())
    yield by.measure(name, "calibration error", "", error, None, None, None, n)


def breach_losses(results: Results, name: str, hours: float) -> tuple[Losses, Losses] | None:
    """Fair Brier score and log score per origin, means over books and Greeks; none where no breach was observed."""
    if name == NO_CHANGE:
        return None
    at = results.horizon(hours)
    chance, outcome = results.of(name).breach_probability[:, at], results.breach[:, at]
    is_there = np.isfinite(chance) & np.isfinite(outcome)
    if not np.any(is_there):
        return None
    squared, logarithmic = np.full(chance.shape, np.nan), np.full(chance.shape, np.nan)
    squared[is_there] = brier(chance[is_there], outcome[is_there], members=results.of(name).members)
    logarithmic[is_there] = log_score(chance[is_there], outcome[is_there])
    return mean_over_cells(squared), mean_over_cells(logarithmic)


def tenths(results: Results, name: str, hours: float) -> Float[ndarray, " tenth"]:
    """Share of the realised drifts in each tenth of their predictive distributions; 0.1 each when calibrated."""
    ends = results.of(name).pit[:, results.horizon(hours)]
    is_there = np.isfinite(ends).all(axis=-1)
    return pit_histogram(ends[is_there][:, 0], ends[is_there][:, 1], bins=10)


def breach_pairs(results: Results, name: str, hours: float) -> tuple[Float[ndarray, " cell"], Float[ndarray, " cell"]]:
    """Breach probabilities and outcomes of all observed cells."""
    at = results.horizon(hours)
    chance, outcome = results.of(name).breach_probability[:, at], results.breach[:, at]
    is_there = np.isfinite(chance) & np.isfinite(outcome)
    return chance[is_there], outcome[is_there]


def regime(level: Losses) -> ndarray:
    """Third of the origins by volatility level: 0 calm, 1 middle, 2 wild.

    >>> regime(np.array([0.3, 0.9, 0.5])).tolist()
    [0, 2, 1]
    """
    rank = np.argsort(np.argsort(level, kind="stable"), kind="stable")
    return rank * len(REGIMES) // max(len(level), 1)
