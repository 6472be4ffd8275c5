"""What a walk-forward teaches about the intervals that are reported of a book: one level a cell, horizon and instant.

The outcome of an origin is the level of the realised drift in its forecast (its PIT), by reference book; it counts
from the instant at which the snapshot of its target was known. Books of a cell that become known together are one step.
Nothing is walked again: the PITs stand in the walk.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.evaluate.results import Results
from greekdrift.evaluate.settings import QUANTITIES
from greekdrift.evaluate.timetable import NONE, timetable
from greekdrift.features.panel import Panel
from greekdrift.forecast.conformal import Served, adapt
from greekdrift.forecast.intervals import EVERY, LEVEL, PNL, Learnt

RATE = 0.02
"""How fast a level moves: from its own to an unbounded interval in some ten misses of every book in a row."""
ORIGINS = 400
"""Origins whose scores are kept."""

Levels = Float[ndarray, "origin book cell"]


def learnt(
    results: Results, panel: Panel, forecaster: str, *, level: float = LEVEL, rate: float = RATE
) -> Learnt | None:
    """The intervals of one forecaster as its walk taught them; None of one that has no spread, such as the clock.

    `panel` is the one that was walked. Row by row of the result only outcomes known by then count.
    """
    if not np.nanmax(results.of(forecaster).width, initial=0.0) > 0.0:
        return None
    plan = timetable(panel, results.settings)
    rows = np.flatnonzero(plan.fold_of != NONE)
    if not np.array_equal(panel.as_of[rows], results.origin):
        raise InputError("intervals: the panel is not the one that was walked; give that one.")
    cells = cells_of(results)
    served, known = [], []
    for at, hours in enumerate(results.settings.horizons):
        target = plan.target[rows, results.settings.grid.index(hours)]
        seen = np.where(target != NONE, panel.known_at[np.maximum(target, 0)], np.datetime64("NaT"))
        known.append(seen)
        served.append(_adapted(results, forecaster, at, cells, panel.known_at[rows], seen, level=level, rate=rate))
    return _rows(results, forecaster, tuple(cells), panel.known_at[rows], served, known, level=level)


def cells_of(results: Results) -> dict[str, tuple[Int[ndarray, " book"], int]]:
    """Each cell's books and quantity: every quantity of each underlying, and the P&L of all of them."""
    whose = np.array([name.partition(" ")[0] for name in results.books])
    found = {
        f"{underlying} {name}": (np.flatnonzero(whose == underlying), at)
        for underlying in results.underlyings
        for at, name in enumerate(QUANTITIES)
    }
    return {**found, f"{EVERY} {PNL}": (np.arange(whose.size), QUANTITIES.index(PNL))}


def levels(results: Results, forecaster: str, at: int, cells: Mapping[str, tuple[ndarray, int]]) -> Levels:
    """The level of each realised drift in its forecast at a horizon; NaN where it was not observed or is no such book.

    Between the i-th and the next of n scenarios it is (i + ½)/(n + 1); beyond all of them 0 or 1.
    """
    scores = results.of(forecaster)
    middle = scores.pit[:, at].mean(axis=-1)  # origin, book, quantity
    n = scores.members
    placed = np.where((middle <= 0.0) | (middle >= 1.0), middle, (n * middle + 0.5) / (n + 1.0))
    found = np.full((*middle.shape[:2], len(cells)), np.nan)
    for cell, (books, quantity) in enumerate(cells.values()):
        found[:, books, cell] = placed[:, books, quantity]
    return found


def _adapted(
    results: Results,
    forecaster: str,
    at: int,
    cells: Mapping[str, tuple[ndarray, int]],
    made_at: ndarray,
    known_at: ndarray,
    *,
    level: float,
    rate: float,
) -> Served:
    observed = levels(results, forecaster, at, cells)
    lower = np.full(observed.shape, 0.5 * (1.0 - level))
    window = ORIGINS * len(results.books)
    return adapt(
        lower, 1.0 - lower, observed, made_at=made_at, known_at=known_at, level=level, rate=rate, window=window
    )


def _rows(
    results: Results,
    forecaster: str,
    cells: tuple[str, ...],
    made_at: ndarray,
    served: list[Served],
    known: list[ndarray],
    *,
    level: float,
) -> Learnt:
    """One row an origin and one for the end, when all is known."""
    end = np.max([one[~np.isnat(one)].max() for one in known])
    moments = np.append(made_at, max(end, made_at[-1] + np.timedelta64(1, "us")))
    tail = np.empty((len(moments), len(served), len(cells)))
    held, outcomes = np.zeros((2, len(moments), len(served)))
    for at, (one, when) in enumerate(zip(served, known, strict=True)):
        stretch = np.concatenate([one.stretch, one.state.stretch[None]])
        tail[:, at] = 0.5 * (1.0 - level) - level * stretch
        count = one.is_known.sum(axis=(1, 2))
        share = (one.is_inside & one.is_known).sum(axis=(1, 2)) / np.maximum(count, 1)
        is_heard = (when[None, :] <= moments[:, None]) & (count > 0)  # NaT is never heard
        held[:, at], outcomes[:, at] = is_heard @ share, is_heard.sum(axis=1)
    return Learnt(
        forecaster=forecaster,
        level=level,
        horizons=results.settings.horizons,
        cells=cells,
        known_at=moments,
        tail=tail,
        held=held,
        outcomes=outcomes,
    )
