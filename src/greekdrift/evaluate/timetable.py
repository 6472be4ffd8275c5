"""Which snapshot is an origin, where its targets lie, and to which fold it belongs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.evaluate.settings import Settings
from greekdrift.features.panel import Panel
from greekdrift.score.split import Fold, walk_forward
from greekdrift.units import datetime64

NONE = -1
ENOUGH = 60
"""Rows before the start that suffice for the first training scale, where there are so many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timetable:
    """Per row of the panel and horizon of the grid: row of the target (−1: none), hours to it by either clock.

    `fold_of` is the fold that tests a row, −1 for none; `known_at` when the last of a row's targets is known.
    """

    folds: tuple[Fold, ...]
    fold_of: Int[ndarray, " row"]
    target: Int[ndarray, "row horizon"]
    elapsed_hours: Float[ndarray, "row horizon"]
    calendar_hours: Float[ndarray, "row horizon"]
    target_known_at: ndarray
    is_used: Bool[ndarray, " row"]
    no_target: int
    no_state: int

    @property
    def rows(self) -> Int[ndarray, " used"]:
        """Rows whose realised drift is needed: tested ones, and the ones before them that set the scale."""
        last = int(np.flatnonzero(self.fold_of != NONE)[-1])
        return np.flatnonzero(self.is_used[: last + 1])


def _kept(panel: Panel, settings: Settings) -> Bool[ndarray, " row"]:
    """Every `every`-th row from the start on; before it denser, so that about `ENOUGH` rows set the first scale."""
    before = int(np.sum(panel.known_at < datetime64(settings.start)))
    stride = max(1, min(settings.every, before // ENOUGH))
    number = np.arange(len(panel)) - before
    return np.where(number < 0, number % stride == 0, number % settings.every == 0)


def timetable(panel: Panel, settings: Settings) -> Timetable:
    """The plan of a walk; a row with none of the scored targets, or without a complete state, is no origin."""
    grid = settings.grid
    shape = (len(panel), len(grid))
    target, elapsed, calendar = np.full(shape, NONE), np.full(shape, np.nan), np.full(shape, np.nan)
    for at, hours in enumerate(grid):
        found = panel.increments(hours, tolerance_hours=settings.tolerance_hours)
        target[found.origin, at] = found.target
        elapsed[found.origin, at] = found.elapsed_hours
        calendar[found.origin, at] = found.calendar_hours
    scored = [grid.index(hours) for hours in settings.horizons]
    has_target = np.any(target[:, scored] != NONE, axis=1)
    has_state = np.all(np.isfinite(panel.state), axis=(1, 2))
    is_kept = _kept(panel, settings)
    is_used = is_kept & has_target & has_state
    last = np.where(target != NONE, target, 0).max(axis=1)
    known = np.where(is_used, panel.known_at[last], np.datetime64("NaT"))
    folds = walk_forward(
        panel.known_at,
        known,
        first_test=settings.start,
        refit_hours=settings.refit_hours,
        embargo_hours=settings.embargo_hours,
        end=settings.end,
        min_train=settings.min_train,
    )
    fold_of = np.full(len(panel), NONE)
    for number, fold in enumerate(folds):
        fold_of[fold.test] = number
    in_test = is_kept & (panel.known_at >= datetime64(settings.start))
    if settings.end is not None:
        in_test &= panel.known_at < datetime64(settings.end)
    return Timetable(
        folds=folds,
        fold_of=fold_of,
        target=target,
        elapsed_hours=elapsed,
        calendar_hours=calendar,
        target_known_at=known,
        is_used=is_used,
        no_target=int(np.sum(in_test & has_state & ~has_target)),
        no_state=int(np.sum(in_test & ~has_state)),
    )
