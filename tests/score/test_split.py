import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.score.split import walk_forward
from greekdrift.units import datetime64, instant

HOUR = np.timedelta64(1, "h")
KNOWN = np.datetime64("2026-01-01", "us") + np.arange(200) * 6 * HOUR
TARGET = np.where(np.arange(200) < 196, KNOWN + 24 * HOUR, np.datetime64("NaT"))


def test_training_targets_are_known_before_the_fold_and_the_embargo_holds() -> None:
    folds = walk_forward(KNOWN, TARGET, first_test=instant("2026-01-20T00:00Z"), refit_hours=24 * 7, embargo_hours=12)
    assert len(folds) == 5
    for fold in folds:
        start = datetime64(fold.start)
        assert TARGET[fold.train].max() <= start - 12 * HOUR == datetime64(fold.train_until)
        assert KNOWN[fold.test].min() >= start
        assert not np.any(np.isnat(TARGET[fold.test]))


def test_every_row_with_a_target_is_tested_once_and_training_expands() -> None:
    folds = walk_forward(KNOWN, TARGET, first_test=instant("2026-01-20T00:00Z"), refit_hours=100)
    tested = np.concatenate([fold.test for fold in folds])
    assert tested.tolist() == list(range(4 * 19, 196))
    sizes = [len(fold.train) for fold in folds]
    assert sizes == sorted(sizes)
    assert all(fold.train.tolist() == list(range(len(fold.train))) for fold in folds)


def test_the_end_is_not_tested() -> None:
    end = instant("2026-01-25T00:00Z")
    folds = walk_forward(KNOWN, TARGET, first_test=instant("2026-01-20T00:00Z"), refit_hours=48, end=end)
    assert KNOWN[folds[-1].test].max() == datetime64(end) - 6 * HOUR


def test_an_empty_stretch_makes_no_fold() -> None:
    known = KNOWN
    keep = (known < np.datetime64("2026-01-22")) | (known >= np.datetime64("2026-02-01"))
    folds = walk_forward(known[keep], TARGET[keep], first_test=instant("2026-01-20T00:00Z"), refit_hours=48)
    starts = [f"{fold.start:%m-%d}" for fold in folds]
    assert "01-24" not in starts
    assert {"01-20", "02-01"} <= set(starts)


def test_refusals() -> None:
    first = instant("2026-01-20T00:00Z")
    with pytest.raises(DataError, match="0 training rows"):
        walk_forward(KNOWN, TARGET, first_test=instant("2026-01-01T00:00Z"), refit_hours=24)
    with pytest.raises(DataError, match="test earlier"):
        walk_forward(KNOWN, TARGET, first_test=instant("2027-01-01T00:00Z"), refit_hours=24)
    with pytest.raises(DataError, match="positive hours"):
        walk_forward(KNOWN, TARGET, first_test=first, refit_hours=0)
    with pytest.raises(DataError, match="before its own row"):
        walk_forward(TARGET[:190], KNOWN[:190], first_test=first, refit_hours=24)
    with pytest.raises(DataError, match="200 rows with 3 targets"):
        walk_forward(KNOWN, TARGET[:3], first_test=first, refit_hours=24)
    with pytest.raises(DataError, match="instant of knowledge"):
        walk_forward(TARGET, TARGET, first_test=first, refit_hours=24)
