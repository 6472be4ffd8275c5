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
from greekdrift.score import block_bootstrap, brier, diebold_mariano, log_score, model_confidence_set, reliability
from greekdrift.score.calibration import LEVELS

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
class Paired:
    """How series of losses are compared at one horizon: hours between origins, seed, draws of the bootstrap."""

    hours: float
    step_hours: float
    seed: int
    draws: int

    @property
    def steps(self) -> int:
        """Origins that one horizon spans."""
        return max(1, ceil(self.hours / self.step_hours - 1e-9))

    @property
    def block(self) -> int:
        """Origins of a bootstrap block: two horizons."""
        return 2 * self.steps

    def ratio(self, name: str, metric: str, against: str, first: Losses, second: Losses) -> Measure | None:
        """Mean of the first losses over mean of the second, on the origins that have both; None without any."""
        is_there = np.isfinite(first) & np.isfinite(second)
        losses, other = first[is_there], second[is_there]
        n = len(losses)
        if n == 0 or other.mean() == 0.0:
            return None
        lower = upper = statistic = None
        block = self.block
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
        block = self.block
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Paired):
    """The comparison of a walk's results."""

    results: Results

    @classmethod
    def of(cls, results: Results, *, hours: float, seed: int, draws: int) -> "Comparison":
        """The comparison at a horizon of a walk."""
        return cls(results=results, hours=hours, step_hours=results.step_hours, seed=seed, draws=draws)


def measures(results: Results, against: Sequence[str], *, seed: int, draws: int) -> tuple[Measure, ...]:
    """All figures of all forecasters at all horizons."""
    found: list[Measure | None] = []
    for hours in results.settings.horizons:
        by = Comparison.of(results, hours=hours, seed=seed, draws=draws)
        for name in (*results.scores, NO_CHANGE):
            found += _of_losses(by, name, against)
            if name != NO_CHANGE:
                found += _of_state(by, name, against)
                found += _of_coverage(by, name)
                found += _of_breach(by, name, against)
        found += confidence(by)
        if hours == results.settings.headline:
            found += [one for name in results.scores for one in _of_books(by, name, against)]
    return tuple(one for one in found if one is not None)


def _of_losses(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Pooled loss, each quantity by itself, and the mean quantile loss."""
    results, hours = by.results, by.hours
    yield by.mean(name, "loss", results.losses(name, hours))
    for other in against:
        yield by.ratio(name, "loss", other, results.losses(name, hours), results.losses(other, hours))
        for quantity in QUANTITIES:
            chosen = (quantity,)
            first, second = results.losses(name, hours, chosen), results.losses(other, hours, chosen)
            yield by.ratio(name, f"loss {quantity}", other, first, second)
        if name != NO_CHANGE:
            first, second = results.quantile_losses(name, hours), results.quantile_losses(other, hours)
            yield by.ratio(name, "quantile loss", other, first, second)


def _of_books(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Loss of each reference book by itself; cells: no claim rests on one."""
    own = by.results.book_losses(name, by.hours)
    for other in against:
        compared = by.results.book_losses(other, by.hours)
        for at, book in enumerate(by.results.books):
            yield by.ratio(name, f"loss of {book}", other, own[:, at], compared[:, at])


def _of_state(by: Comparison, name: str, against: Sequence[str]) -> Iterator[Measure | None]:
    """Joint energy and variogram score; CRPS of log index and 30-day volatility, and their means against no change."""
    results, hours = by.results, by.hours
    for metric, joint in (("energy", results.energy), ("variogram", results.variogram)):
        yield by.mean(name, metric, joint(name, hours))
        for other in against:
            yield by.ratio(name, metric, other, joint(name, hours), joint(other, hours))
    for underlying in results.underlyings:
        for factor in ("forward", "atm_30"):
            if factor in results.factors:
                losses = results.factor_losses(name, hours, underlying, factor)
                yield by.mean(name, f"crps {underlying} {factor}", losses)
                for other in against:
                    compared = results.factor_losses(other, hours, underlying, factor)
                    yield by.ratio(name, f"crps {underlying} {factor}", other, losses, compared)
                own, still = results.squares(name, hours, underlying, factor)
                yield by.ratio(name, f"square {underlying} {factor}", NO_CHANGE, own, still)


def confidence(by: Comparison) -> Iterator[Measure]:
    """p-value of each forecaster's membership in the model confidence set, on origins that all have."""
    names = list(by.results.scores)
    losses = np.stack([by.results.losses(name, by.hours) for name in names], axis=1)
    losses = losses[np.all(np.isfinite(losses), axis=1)]
    block = by.block
    if len(losses) < 2 * block or len(names) < 2:
        return
    p_values = model_confidence_set(losses, block=block, seed=by.seed, draws=by.draws)
    for name, p_value in zip(names, p_values, strict=True):
        yield by.measure(name, "in the confidence set", "", float(p_value), None, None, None, len(losses))


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
        timed = results.of(name).breach_time, results.of(other).breach_time
        if by.hours == results.settings.horizons[-1]:
            yield by.ratio(name, "breach time", other, mean_over_cells(timed[0]), mean_over_cells(timed[1]))
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
