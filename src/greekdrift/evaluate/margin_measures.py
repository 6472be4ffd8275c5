"""Figures of a walk of margin with their intervals; each a row of the margin scorecard."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.evaluate.margin_results import Cells, MarginResults, Rows
from greekdrift.evaluate.margin_rules import PAST, SCALED, base_rate, fixed_before, reserve, simple_rules
from greekdrift.evaluate.measures import REGIMES, Measure, Paired, regime
from greekdrift.evaluate.reserves import Needs, Verdict
from greekdrift.evaluate.results import mean_over_cells
from greekdrift.score import backtest, brier, exceeded, pinball, reliability
from greekdrift.score.exceptions import Light

BAR = "fhs:hari"
PLAIN = "historical"
AGAINST = (BAR, PLAIN)
"""Forecasters that others are held against, where they were run."""
BASE_RATE = "base rate"
LOSSES = (0.95, 0.99)
"""Levels whose quantile losses and exceptions are shown; the first carries the claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Tests of one forecaster's exceptions at one level, book by book.

    `thinned` windows do not overlap; `refused` of the books fail the test of proportion at 5 %, on all origins and on
    thinned ones; `lights` of the thinned ones; `power` of that test to see twice the nominal share.
    """

    forecaster: str
    level: float
    together: float
    books: int
    refused: int
    refused_thinned: int
    clustered: int
    lights: Mapping[str, int]
    power: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A walk of margin, the forecasters that others are held against, and the simple rules' shapes.

    `best` is the rule among those that scale the requirement that falls least short at the average reserve of the first
    of `compared`: chosen with hindsight, against the forecasters.
    """

    results: MarginResults
    by: Paired
    compared: tuple[str, ...]
    rules: Mapping[str, Rows]
    best: str

    @classmethod
    def of(cls, results: MarginResults, against: Sequence[str], *, seed: int, draws: int) -> "Judged":
        """A walk beside those of `against` that were run."""
        compared = tuple(name for name in against if name in results.scores)
        by = Paired(hours=results.settings.headline, step_hours=results.step_hours, seed=seed, draws=draws)
        rules = simple_rules(results)
        own = reserve(results, compared[0] if compared else next(iter(results.scores)))
        needs = Needs(need=results.need, block=by.block, steps=by.steps, draws=1)
        ratios = {name: needs.shortfall(own, rules[name][results.tested]).ratio.value for name in SCALED}
        best = max(ratios, key=lambda name: ratios[name])
        return cls(results=results, by=by, compared=compared, rules=rules, best=best)

    def measures(self) -> Iterator[Measure]:
        """All figures of all forecasters."""
        for name in self.results.scores:
            for part in (self._of_losses, self._of_reserves, self._of_calls, self._of_exceptions):
                yield from (one for one in part(name) if one is not None)

    def coverage(self) -> Iterator[Coverage]:
        """Tests of single books, of all forecasters at all levels."""
        for name in self.results.scores:
            for level in LOSSES:
                yield self._coverage(name, level)

    def _of_losses(self, name: str) -> Iterator[Measure | None]:
        results, by, scale = self.results, self.by, self.results.unit
        own = mean_over_cells(results.of(name).crps / scale)
        yield by.mean(name, "crps", own)
        for level in LOSSES:
            yield by.mean(name, f"pinball {100.0 * level:g}", quantile_losses(results, name, level))
        for other in self.compared:
            yield by.ratio(name, "crps", other, own, mean_over_cells(results.of(other).crps / scale))
            for level in LOSSES:
                first, second = quantile_losses(results, name, level), quantile_losses(results, other, level)
                yield by.ratio(name, f"pinball {100.0 * level:g}", other, first, second)

    def _of_reserves(self, name: str) -> Iterator[Measure | None]:
        results, by = self.results, self.by
        needs, own = self._needs(), reserve(results, name)
        known = np.isfinite(own) & np.isfinite(results.need)
        if not np.any(own[known] > 0.0):
            return
        yield by.mean(name, "average reserve", mean_over_cells(np.where(known, own, np.nan)))
        shapes = {rule: shape[results.tested] for rule, shape in self.rules.items()}
        for rule, shape in {**shapes, **{other: reserve(results, other) for other in self.compared}}.items():
            yield self._measure(name, "shortfall", rule, needs.shortfall(own, shape))
            if rule in (self.best, PAST, *self.compared):
                yield self._measure(name, "shortfall per book", rule, needs.shortfall(own, shape, per_book=True))
                yield self._measure(name, "reserve at equal shortfall", rule, needs.average(own, shape))
        for rule, rows in self.rules.items():
            held, average = needs.as_held(own, fixed_before(results, rows))
            yield self._measure(name, "shortfall as held", rule, held)
            yield by.measure(name, "average reserve as held", rule, average, None, None, None, len(own))

    def _of_calls(self, name: str) -> Iterator[Measure | None]:
        results, by, scores = self.results, self.by, self.results.of(name)
        chance, happened = call_pairs(results, scores.call)
        if not chance.size:
            return
        losses = call_losses(results, scores.call, members=scores.members)
        yield by.mean(name, "brier", losses)
        yield by.ratio(name, "brier", BASE_RATE, losses, call_losses(results, base_rate(results), members=None))
        for other in self.compared:
            rival = results.of(other)
            yield by.ratio(name, "brier", other, losses, call_losses(results, rival.call, members=rival.members))
        error = reliability(chance, happened).calibration_error
        n = int(np.isfinite(losses).sum())
        yield by.measure(name, "calibration error", "", error, None, None, None, n)
        yield by.measure(name, "call stated", "", float(chance.mean()), None, None, None, n)
        yield by.measure(name, "call seen", "", float(happened.mean()), None, None, None, n)

    def _of_exceptions(self, name: str) -> Iterator[Measure | None]:
        results, by = self.results, self.by
        third = regime(results.level)
        for level in LOSSES:
            hits, label = mean_over_cells(exceptions(results, name, level)), f"exceptions {100.0 * level:g}"
            yield by.mean(name, label, hits)
            for number, word in enumerate(REGIMES):
                yield by.mean(name, f"{label} {word}", np.where(third == number, hits, np.nan))

    def _coverage(self, name: str, level: float) -> Coverage:
        results, by = self.results, self.by
        hits = exceptions(results, name, level)
        series = [column[np.isfinite(column)] for column in hits.T]
        tests = [backtest(one, level=level) for one in series if one.size > by.steps]
        apart = [backtest(one, level=level, every=by.steps) for one in series if one.size > by.steps]
        return Coverage(
            forecaster=name,
            level=level,
            together=float(np.nanmax(mean_over_cells(hits))),
            books=len(tests),
            refused=sum(one.proportion.p_value < 0.05 for one in tests),
            refused_thinned=sum(one.proportion.p_value < 0.05 for one in apart),
            clustered=sum(one.independence.p_value < 0.05 for one in apart),
            lights={str(light): sum(one.light is light for one in apart) for light in Light},
            power=float(np.median([one.power[1].probability for one in apart])) if apart else float("nan"),
        )

    def _needs(self) -> Needs:
        by, results = self.by, self.results
        return Needs(need=results.need, block=by.block, steps=by.steps, seed=by.seed, draws=by.draws)

    def _measure(self, name: str, metric: str, against: str, found: Verdict) -> Measure | None:
        results, by = self.results, self.by
        if not np.isfinite(found.ratio.value):
            return None
        ends = (found.ratio.lower, found.ratio.upper)
        lower, upper = (None if not np.isfinite(end) else end for end in ends)
        n = int(np.any(np.isfinite(results.need), axis=1).sum())
        return by.measure(name, metric, against, found.ratio.value, lower, upper, found.statistic, n)


def quantile_losses(results: MarginResults, name: str, level: float) -> Float[ndarray, " origin"]:
    """Mean quantile loss of the fall per origin, over books, in units."""
    stated, need = results.of(name).quantile(level) / results.unit, results.need
    is_there = np.isfinite(stated) & np.isfinite(need)
    losses = np.full(need.shape, np.nan)
    losses[is_there] = pinball(stated[is_there], need[is_there], level=level)
    return mean_over_cells(losses)


def call_pairs(results: MarginResults, chance: Cells) -> tuple[Float[ndarray, " cell"], Float[ndarray, " cell"]]:
    """Probabilities of a call and what happened, of all observed cells."""
    happened = results.is_called[results.tested]
    is_there = np.isfinite(chance) & np.isfinite(happened)
    return chance[is_there], happened[is_there]


def call_losses(results: MarginResults, chance: Cells, *, members: int | None) -> Float[ndarray, " origin"]:
    """Brier score of calls per origin, mean over books; the fair one where the chance is a share of members."""
    happened = results.is_called[results.tested]
    is_there = np.isfinite(chance) & np.isfinite(happened)
    losses = np.full(chance.shape, np.nan)
    losses[is_there] = brier(chance[is_there], happened[is_there], members=members)
    return mean_over_cells(losses)


def exceptions(results: MarginResults, name: str, level: float) -> Cells:
    """1 where the fall was above the stated quantile, else 0; NaN where unknown."""
    stated, fall = results.of(name).quantile(level), results.truth.fall[results.tested]
    is_there = np.isfinite(stated) & np.isfinite(fall)
    hits = np.full(fall.shape, np.nan)
    hits[is_there] = exceeded(fall[is_there], stated[is_there])
    return hits
