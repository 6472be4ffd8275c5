"""The one evaluation path: tuning and claims both go through it.

Fold by fold each forecaster is fitted on what was known, forecasts every origin from what was known there, and is
scored on the joint increments of the state and, through the exact calculator, on the drift of the reference books.
Chain, surface, books and truth are made once per origin for all forecasters.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError, InputError
from greekdrift.evaluate.results import NO_CHANGE, Results, Scores
from greekdrift.evaluate.scoring import Asked, Yardstick, observed_breach, score_origin
from greekdrift.evaluate.settings import BANDED, QUANTITIES, Settings
from greekdrift.evaluate.timetable import NONE, Timetable, timetable
from greekdrift.evaluate.truth import Chains, Origin, Truth, climatology, origin_at
from greekdrift.features.books import book_names
from greekdrift.features.panel import Panel
from greekdrift.forecast.forecaster import Forecaster, Predictor
from greekdrift.market.source import Source
from greekdrift.score.split import Fold
from greekdrift.surface.fit import fit
from greekdrift.units import datetime64

Progress = Callable[[int, int], None]


def walk(
    panel: Panel,
    source: Source,
    forecasters: Mapping[str, Forecaster],
    settings: Settings,
    *,
    truth: Truth | None = None,
    progress: Progress | None = None,
) -> Results:
    """Scores of the forecasters (by the name they are given) on a panel and the source that it was built from.

    Every forecaster gets the same origins, horizons, number of scenarios and seed. What cannot be scored is left
    out for all and counted in `dropped`. `truth` is what `realised` found for the same panel and settings, so that
    it need not be made again. `progress` is told (rows done, all rows).
    """
    if not forecasters or NO_CHANGE in forecasters:
        raise InputError(f'evaluation: give at least one forecaster, and none of the name "{NO_CHANGE}".')
    _checked(panel, source)
    return _Walk(panel, source, forecasters, settings, truth).run(progress)


def realised(panel: Panel, source: Source, settings: Settings, *, progress: Progress | None = None) -> Truth:
    """What really happened to the reference books after every origin that tests or sets a training scale."""
    _checked(panel, source)
    return _Walk(panel, source, {}, settings, None).observe(progress)


def _checked(panel: Panel, source: Source) -> None:
    if panel.underlyings != source.underlyings:
        raise InputError(
            f"the panel has {panel.underlyings}, the source {source.underlyings}; build one from the other."
        )


class _Walk:
    """The state of a running evaluation."""

    def __init__(
        self,
        panel: Panel,
        source: Source,
        forecasters: Mapping[str, Forecaster],
        settings: Settings,
        truth: Truth | None,
    ) -> None:
        self.panel, self.forecasters, self.settings = panel, forecasters, settings
        self.plan: Timetable = timetable(panel, settings)
        self.books = book_names(panel.underlyings, seed=settings.books_seed)
        self.chains = Chains(source, panel)
        self.tested = np.flatnonzero(self.plan.fold_of != NONE)
        self.scored = np.array([settings.grid.index(hours) for hours in settings.horizons])
        grid, books = len(settings.grid), len(self.books)
        self.truth = truth
        shape = (len(panel), grid, books, len(QUANTITIES))
        self.drift = np.full(shape, np.nan) if truth is None else truth.drift
        if self.drift.shape != shape:
            raise InputError(f"a truth of shape {self.drift.shape}, expected {shape}; make it for this panel.")
        self.breach = np.full((len(self.tested), len(self.scored), books, len(BANDED)), np.nan)
        self.scale = np.full((len(self.plan.folds), grid, books, len(QUANTITIES)), np.nan)
        self.vanished = 0
        size = (len(self.tested), len(self.scored), books, len(panel.underlyings), len(panel.factors))
        self.scores = {name: Scores.empty(*size, members=settings.scenarios) for name in forecasters}

    def run(self, progress: Progress | None) -> Results:
        rows = self.plan.rows if self.truth is None else self.tested
        current = NONE
        predictors: dict[str, Predictor] = {}
        yardstick: Yardstick | None = None
        for done, row in enumerate(rows.tolist(), start=1):
            number = int(self.plan.fold_of[row])
            if number not in (NONE, current):
                current, fold = number, self.plan.folds[number]
                yardstick = self._yardstick(number, fold)
                known = self.panel.until(fold.train_until)
                predictors = {name: forecaster.fit(known) for name, forecaster in self.forecasters.items()}
            origin = self._origin(row)
            if number != NONE and yardstick is not None:
                self._test(origin, predictors, yardstick)
            if progress is not None:
                progress(done, len(rows))
        return self._results()

    def observe(self, progress: Progress | None) -> Truth:
        rows = self.plan.rows
        for done, row in enumerate(rows.tolist(), start=1):
            self._origin(row)
            if progress is not None:
                progress(done, len(rows))
        return Truth(drift=self.drift)

    def _origin(self, row: int) -> Origin:
        known = None if self.truth is None else self.drift[row]
        origin = origin_at(
            row, self.plan.target[row], chains=self.chains, books=self.books, seed=self.settings.books_seed, drift=known
        )
        if known is None:
            self.drift[row] = origin.drift
        return origin

    def _yardstick(self, number: int, fold: Fold) -> Yardstick:
        """Sizes in the training fold: only rows whose targets were known when training ended."""
        settings = self.settings
        until = datetime64(fold.train_until)
        drift = np.full(self.scale.shape[1:], np.nan)
        increments = np.full((len(settings.grid), len(self.panel.underlyings), len(self.panel.factors)), np.nan)
        for at in range(len(settings.grid)):
            target = self.plan.target[:, at]
            is_known = self.plan.is_used & (target != NONE)
            is_known &= self.panel.known_at[np.maximum(target, 0)] <= until
            rows = np.flatnonzero(is_known)
            if rows.size < 2:
                raise DataError(
                    f"fold of {fold.start:%Y-%m-%d}: {rows.size} training origins have a target after "
                    f"{settings.grid[at]:g} h; test later."
                )
            drift[at] = climatology(self.drift[rows, at])
            increments[at] = spread(self.panel.state[target[rows]] - self.panel.state[rows])
        self.scale[number] = drift
        greeks = [QUANTITIES.index(name) for name in BANDED]
        band = settings.band_multiple * drift[self.scored[-1]][:, greeks]
        return Yardstick(increment=increments, drift=drift, band=np.where(band > 0.0, band, np.nan))

    def _test(self, origin: Origin, predictors: Mapping[str, Predictor], yardstick: Yardstick) -> None:
        row, at = origin.row, int(np.searchsorted(self.tested, origin.row))
        asked = self._asked(origin)
        history = self.panel.until(self.panel.known_at[row])
        if len(history) != row + 1:
            raise DataError(
                f"rows {row} and {len(history) - 1} of the panel were known at the same instant; "
                "each snapshot needs its own known_at."
            )
        seed = seed_of(self.settings.seed, self.panel.as_of[row])
        for name, predictor in predictors.items():
            scenarios = predictor.predict(
                history, horizons=asked.elapsed_hours.tolist(), n=self.settings.scenarios, seed=seed
            )
            score_origin(self.scores[name], at, scenarios, asked, yardstick)
        self.breach[at] = observed_breach(origin, self.scored, yardstick.band)
        is_asked = np.isfinite(self.plan.elapsed_hours[row][self.scored])
        lost = np.isnan(origin.drift[self.scored][is_asked][:, origin.place]).any(axis=-1)
        self.vanished += int(lost.sum())

    def _asked(self, origin: Origin) -> Asked:
        row = origin.row
        present = np.flatnonzero(self.plan.target[row] != NONE)
        column = np.flatnonzero(np.isin(self.scored, present))
        target = self.plan.target[row, present]
        return Asked(
            origin=origin,
            surface=fit(origin.chain),
            present=present,
            scored=np.searchsorted(present, self.scored[column]),
            column=column,
            elapsed_hours=self.plan.elapsed_hours[row, present],
            calendar_hours=self.plan.calendar_hours[row, present],
            observed=self.panel.state[target] - self.panel.state[row],
        )

    def _results(self) -> Results:
        panel, plan = self.panel, self.plan
        return Results(
            settings=self.settings,
            step_hours=panel.step_hours * self.settings.every,
            underlyings=panel.underlyings,
            factors=panel.factors,
            books=self.books,
            origin=panel.as_of[self.tested],
            fold=plan.fold_of[self.tested],
            level=panel.factor("atm_30")[self.tested].mean(axis=1),
            drift=self.drift[self.tested][:, self.scored],
            scale=self.scale[:, self.scored],
            breach=self.breach,
            increment=self._increments(),
            scores=self.scores,
            dropped={
                "origins without a target within the tolerance": plan.no_target,
                "origins without a complete state": plan.no_state,
                "drifts with a vanished instrument": self.vanished,
                "origins whose breach could not be observed": self._unchecked(),
            },
        )

    def _increments(self) -> Float[ndarray, "origin horizon underlying factor"]:
        target = self.plan.target[self.tested][:, self.scored]
        moved = self.panel.state[np.maximum(target, 0)] - self.panel.state[self.tested][:, None]
        return np.where((target != NONE)[..., None, None], moved, np.nan)

    def _unchecked(self) -> int:
        """Origins at which a check before the last scored horizon had no snapshot, so that no breach was observed."""
        until = self.plan.target[self.tested][:, : int(self.scored[-1]) + 1]
        return int(np.sum(np.any(until == NONE, axis=1)))


def spread(values: Float[ndarray, "row *cell"]) -> Float[ndarray, "*cell"]:
    """Standard deviation of the observed values of each cell; 0 where fewer than two are.

    >>> spread(np.array([[1.0, np.nan], [3.0, 5.0]]))
    array([1., 0.])
    """
    is_there = np.isfinite(values)
    count = np.maximum(is_there.sum(axis=0), 1)
    filled = np.where(is_there, values, 0.0)
    centred = np.where(is_there, values - filled.sum(axis=0) / count, 0.0)
    return np.sqrt((centred**2).sum(axis=0) / count)


def seed_of(seed: int, origin: np.datetime64) -> int:
    """Seed of an origin: the same for every forecaster, another for every snapshot.

    >>> seed_of(1, np.datetime64("2026-02-05", "us")) == seed_of(1, np.datetime64("2026-02-05", "us"))
    True
    """
    micros = int(origin.astype("datetime64[us]").astype(np.int64))
    state: ndarray = np.random.SeedSequence([seed, micros]).generate_state(1)
    return int(state[0])
