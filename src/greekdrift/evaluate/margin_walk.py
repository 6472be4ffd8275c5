"""The walk of margin: the one evaluation path, its scenarios pushed through the margin engine.

Same panel, folds, origins, horizons, seeds and scenarios as `evaluate.walk`; what differs is what is asked of them: by
how much the excess liquidity of each book falls. Every contract that some book holds is priced once per scenario, and
the margin of all books follows by one product.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain, RuleSet, Scenarios
from greekdrift.errors import DataError, InputError
from greekdrift.evaluate.margin_results import LEVELS, MarginResults, MarginScores, MarginSettings, MarginTruth, called
from greekdrift.evaluate.scoring import distinct
from greekdrift.evaluate.settings import Settings
from greekdrift.evaluate.timetable import NONE, Timetable, timetable
from greekdrift.evaluate.truth import Chains
from greekdrift.evaluate.walk import Progress, seed_of
from greekdrift.features.books import book_names, reference_books
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Forecaster, Predictor
from greekdrift.forecast.memory import memory, moves
from greekdrift.greeks.exposure import weights
from greekdrift.margin.ahead import ahead, came
from greekdrift.margin.engine import requirements
from greekdrift.market.source import Source
from greekdrift.score import crps, quantile
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue

DAILY_DECAY = 0.94
LEVEL_FACTORS = ("atm_30", "atm_7", "atm_14")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """The books of one snapshot: accounts, their place among all books, the rows held, the requirement of now.

    Their collateral is cash, so that what moves their excess is what they trade.
    """

    chain: Chain
    accounts: tuple[Account, ...]
    place: Int[ndarray, " account"]
    rows: Int[ndarray, " held"]
    initial_margin: Float[ndarray, " account"]


def margin_walk(
    panel: Panel,
    source: Source,
    forecasters: Mapping[str, Forecaster],
    settings: Settings,
    *,
    margin: MarginSettings,
    rules: RuleSet,
    truth: MarginTruth | None = None,
    progress: Progress | None = None,
) -> MarginResults:
    """What forecasters say of margin at every origin of an evaluation, and what came.

    The horizon is the headline of the settings, its checks are the points of their grid up to it. Timing: each
    origin's scenarios are made from what was known there by a law fitted before its fold.
    """
    if panel.underlyings != source.underlyings:
        raise InputError(
            f"the panel has {panel.underlyings}, the source {source.underlyings}; build one from the other."
        )
    return _Walk(panel, source, settings, margin, rules).run(forecasters, truth, progress)


def margin_truth(
    panel: Panel,
    source: Source,
    settings: Settings,
    *,
    margin: MarginSettings,
    rules: RuleSet,
    progress: Progress | None = None,
) -> MarginTruth:
    """Requirements and what came, at every origin that tests and every row before them that a rule may learn from."""
    return _Walk(panel, source, settings, margin, rules).truth(progress)


def asked_of(settings: Settings) -> Settings:
    """The settings as the walk of margin reads them: the headline horizon alone, and its checks."""
    checks = tuple(hours for hours in settings.grid if hours < settings.headline)
    return replace(settings, horizons=(settings.headline,), checks=checks, headline_hours=None)


class _Walk:
    """The state of a running walk."""

    def __init__(
        self, panel: Panel, source: Source, settings: Settings, margin: MarginSettings, rules: RuleSet
    ) -> None:
        self.panel, self.settings, self.margin, self.rules = panel, asked_of(settings), margin, rules
        self.plan: Timetable = timetable(panel, self.settings)
        self.chains = Chains(source, panel)
        self.books = book_names(panel.underlyings, seed=settings.books_seed, makers=margin.makers)
        self.number = {name: at for at, name in enumerate(self.books)}
        self.tested = np.flatnonzero(self.plan.fold_of != NONE)

    def run(
        self, forecasters: Mapping[str, Forecaster], truth: MarginTruth | None, progress: Progress | None
    ) -> MarginResults:
        known = self.truth(None if forecasters else progress) if truth is None else truth
        size = (len(self.tested), len(self.books))
        scores = {name: MarginScores.empty(*size, members=self.settings.scenarios) for name in forecasters}
        current = NONE
        predictors: dict[str, Predictor] = {}
        for at, row in enumerate(self.tested.tolist() if forecasters else []):
            if self.plan.fold_of[row] != current:
                current = int(self.plan.fold_of[row])
                past = self.panel.until(self.plan.folds[current].train_until)
                predictors = {name: forecaster.fit(past) for name, forecaster in forecasters.items()}
            self._origin(at, row, predictors, scores, known)
            if progress is not None:
                progress(at + 1, len(self.tested))
        return self._results(known, scores)

    def truth(self, progress: Progress | None) -> MarginTruth:
        shape = (len(self.panel), len(self.books))
        found = MarginTruth(**{name: np.full(shape, np.nan) for name in ("initial_margin", "fall", "peak")})
        rows = self.plan.rows
        for done, row in enumerate(rows.tolist(), start=1):
            desk = self._desk(row)
            found.initial_margin[row, desk.place] = desk.initial_margin
            falls = np.full((len(self.settings.grid), len(desk.accounts)), np.nan)
            for at, target in enumerate(self.plan.target[row].tolist()):
                if target != NONE:
                    falls[at] = fall_that_came(desk, self.chains.at(target), self.rules)
            found.fall[row, desk.place] = falls[-1]
            found.peak[row, desk.place] = falls.max(axis=0)
            if progress is not None:
                progress(done, len(rows))
        return found

    def _desk(self, row: int) -> Desk:
        chain = self.chains.at(row)
        made = reference_books(chain, seed=self.settings.books_seed, makers=self.margin.makers)
        accounts = tuple(replace(one, collateral={}) for one in made if one.account_id in self.number)
        if not accounts:
            raise DataError(f"row {row} of the panel: its chain can carry none of the books; leave its symbol out.")
        held = weights(chain, accounts)
        rows = np.flatnonzero(np.any(held != 0.0, axis=0))
        initial, _ = requirements(chain, held[:, rows], self.rules, rows=rows, coins={})
        place = np.array([self.number[one.account_id] for one in accounts], dtype=np.int64)
        return Desk(chain=chain, accounts=accounts, place=place, rows=rows, initial_margin=initial)

    def _origin(
        self,
        at: int,
        row: int,
        predictors: Mapping[str, Predictor],
        scores: Mapping[str, MarginScores],
        truth: MarginTruth,
    ) -> None:
        desk = self._desk(row)
        present = np.flatnonzero(self.plan.target[row] != NONE)
        if present[-1] != len(self.settings.grid) - 1:
            return
        history = self.panel.until(self.panel.known_at[row])
        seed = seed_of(self.settings.seed, self.panel.as_of[row])
        surface = fit(desk.chain)
        for name, predictor in predictors.items():
            made = predictor.predict(
                history,
                horizons=self.plan.elapsed_hours[row, present].tolist(),
                n=self.settings.scenarios,
                seed=seed,
            )
            timed = replace(distinct(made), horizons=self.plan.calendar_hours[row, present])
            repriced = revalue(desk.chain, surface, timed, rows=desk.rows, names=())
            later = ahead(desk.chain, desk.accounts, self.rules, repriced, equity_usd=[0.0] * len(desk.accounts))
            falls = later.shortfall - desk.initial_margin
            is_whole = len(present) == len(self.settings.grid)
            self._score(scores[name], at, falls, desk, timed, truth.fall[row, desk.place], is_whole=is_whole)

    def _score(
        self,
        scores: MarginScores,
        at: int,
        falls: Float[ndarray, "scenario present account"],
        desk: Desk,
        made: Scenarios,
        seen: Float[ndarray, " account"],
        *,
        is_whole: bool,
    ) -> None:
        is_there = np.isfinite(seen)
        place, end = desk.place[is_there], falls[:, -1, is_there]
        shares = None if np.ptp(made.weights) == 0.0 else made.weights
        scores.crps[at, place] = crps(end, seen[is_there], weights=shares)
        scores.quantiles[at, place] = quantile(end, LEVELS, weights=shares).T
        if is_whole:
            happens = called(falls.max(axis=1), desk.initial_margin, cushion=self.margin.cushion)
            scores.call[at, desk.place] = np.clip(made.weights @ happens, 0.0, 1.0)

    def _results(self, truth: MarginTruth, scores: Mapping[str, MarginScores]) -> MarginResults:
        panel, plan = self.panel, self.plan
        level = next((name for name in LEVEL_FACTORS if name in panel.factors), None)
        if level is None or "forward" not in panel.factors:
            raise DataError(f"margin: a panel with forward and atm_30 is needed; this one has {list(panel.factors)}.")
        lost = np.isfinite(truth.initial_margin[self.tested]) & ~np.isfinite(truth.fall[self.tested])
        return MarginResults(
            settings=self.settings,
            margin=self.margin,
            rules=f"{self.rules.name} of {self.rules.dated}",
            step_hours=panel.step_hours * self.settings.every,
            underlyings=panel.underlyings,
            books=self.books,
            place=np.array([panel.underlyings.index(name.split(" ")[0]) for name in self.books], dtype=np.int64),
            tested=self.tested,
            fold=plan.fold_of[self.tested],
            as_of=panel.as_of,
            known_at=panel.known_at,
            target_known_at=plan.target_known_at,
            implied=np.exp(panel.factor(level)),
            realised=recent_volatility(panel),
            truth=truth,
            scores=scores,
            dropped={
                "origins without a target within the tolerance": plan.no_target,
                "origins without a complete state": plan.no_state,
                "books with a vanished instrument": int(lost.sum()),
                "origins without every check": int(
                    np.sum(~np.any(np.isfinite(truth.peak[self.tested]), axis=1)),
                ),
            },
        )


def recent_volatility(panel: Panel) -> Float[ndarray, "row underlying"]:
    """Annual volatility of the forward, an exponential average of squared returns with a weight of 0.94 a day.

    NaN before anything has moved.
    Timing: of returns that ended at a row or before. Source: RiskMetrics (1996).
    """
    known = memory(moves(panel), np.array([-24.0 / np.log(DAILY_DECAY)]))
    forward = panel.factors.index("forward")
    power, mass = known.power[:, 0, :, forward], known.mass[:, 0, :, forward]
    hourly = np.divide(power, mass, out=np.full(power.shape, np.nan), where=(mass > 0.0) & (power > 0.0))
    return np.sqrt(hourly * panel.hours_per_year)


def fall_that_came(desk: Desk, later: Chain, rules: RuleSet) -> Float[ndarray, " account"]:
    """By how much the excess liquidity of each account fell until a later chain, USD; NaN where unknown."""
    found = came(desk.chain, later, desk.accounts, rules, equity_usd=[0.0] * len(desk.accounts))
    fallen: Float[ndarray, " account"] = found.shortfall[0, 0] - desk.initial_margin
    return fallen
