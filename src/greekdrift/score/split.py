"""Walk-forward splits: the past trains, the future tests, and nothing overlaps.

Source: López de Prado (2018), chapter 7 (purge and embargo).
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.units import aware, datetime64, from_datetime64, stamp

Instants = Shaped[ndarray, " row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Row numbers to train on and to test on, and the instant at which training ends.

    Every training row's target was known at `train_until`; every test row is known at or after `start`.
    """

    start: datetime
    train_until: datetime
    train: Int[ndarray, " train"]
    test: Int[ndarray, " test"]


def walk_forward(
    known_at: Instants,
    target_known_at: Instants,
    *,
    first_test: datetime,
    refit_hours: float,
    embargo_hours: float = 0.0,
    end: datetime | None = None,
    min_train: int = 2,
) -> tuple[Fold, ...]:
    """Folds with an expanding training set, refitted every `refit_hours` from `first_test` on.

    `known_at[i]` is when row i could be used, `target_known_at[i]` when its target was (NaT: never, the row is
    in neither set). Train: target known at or before start − embargo, so that no training target overlaps
    the test. Test: known in [start, next start) and before `end`. Folds without a test row are left out.

    >>> day = np.datetime64("2026-01-01", "us") + np.arange(10) * np.timedelta64(1, "D")
    >>> from greekdrift.units import instant
    >>> folds = walk_forward(
    ...     day, day + np.timedelta64(2, "D"), first_test=instant("2026-01-06T00:00Z"), refit_hours=72, embargo_hours=24
    ... )
    >>> [(fold.train.tolist(), fold.test.tolist()) for fold in folds]
    [([0, 1, 2], [5, 6, 7]), ([0, 1, 2, 3, 4, 5], [8, 9])]
    """
    _check(known_at, target_known_at, refit_hours=refit_hours, embargo_hours=embargo_hours)
    has_target = ~np.isnat(target_known_at)
    limit = known_at.max() + np.timedelta64(1, "us") if end is None else datetime64(end)
    step, embargo = _hours(refit_hours), _hours(embargo_hours)
    folds = []
    start = datetime64(aware(first_test))
    while start < limit:
        stop = min(start + step, limit)
        is_test = has_target & (known_at >= start) & (known_at < stop)
        is_train = has_target & (target_known_at <= start - embargo)
        if np.any(is_test):
            folds.append(_fold(start, start - embargo, is_train, is_test, min_train=min_train))
        start = start + step
    if not folds:
        raise DataError(f"walk-forward: no row with a known target from {stamp(first_test)} on; test earlier.")
    return tuple(folds)


def _fold(
    start: np.datetime64,
    train_until: np.datetime64,
    is_train: Bool[ndarray, " row"],
    is_test: Bool[ndarray, " row"],
    *,
    min_train: int,
) -> Fold:
    fold = Fold(
        start=from_datetime64(start),
        train_until=from_datetime64(train_until),
        train=np.flatnonzero(is_train),
        test=np.flatnonzero(is_test),
    )
    if len(fold.train) < min_train:
        raise DataError(
            f"walk-forward: {len(fold.train)} training rows before {stamp(fold.start)}, at least {min_train} "
            "are needed; test later or shorten the embargo."
        )
    return fold


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * 3.6e9), "us")


def _check(known_at: Instants, target_known_at: Instants, *, refit_hours: float, embargo_hours: float) -> None:
    if known_at.shape != target_known_at.shape or known_at.size == 0:
        raise DataError(f"walk-forward: {known_at.size} rows with {target_known_at.size} targets.")
    if not refit_hours > 0.0 or not embargo_hours >= 0.0:
        raise DataError(f"walk-forward: refit every {refit_hours} h, embargo {embargo_hours} h; take positive hours.")
    if np.any(np.isnat(known_at)):
        raise DataError("walk-forward: a row without an instant of knowledge.")
    if np.any(target_known_at < known_at):
        raise DataError("walk-forward: a target known before its own row; swap known_at and target_known_at.")
