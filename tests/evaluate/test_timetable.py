from dataclasses import replace

import numpy as np

from greekdrift.evaluate import Settings
from greekdrift.evaluate.timetable import NONE, timetable
from greekdrift.features.history import HOUR, example
from greekdrift.units import datetime64, instant

SETTINGS = Settings(start=instant("2026-01-20T00:00Z"), horizons=(6.0, 24.0), refit_hours=120.0)


def test_training_rows_of_a_fold_have_known_targets_and_tests_follow() -> None:
    panel = example(rows=200)
    plan = timetable(panel, SETTINGS)
    for number, fold in enumerate(plan.folds):
        assert plan.target_known_at[fold.train].max() <= datetime64(fold.train_until)
        assert (plan.fold_of[fold.test] == number).all()
        assert panel.known_at[fold.test].min() >= datetime64(fold.start)
    assert plan.rows[0] == 0
    last = plan.fold_of != NONE
    assert plan.no_target == 1
    assert np.flatnonzero(last)[-1] == 198
    assert plan.target[198].tolist() == [199, NONE]


def test_every_thins_the_tested_rows_and_less_the_rows_before() -> None:
    panel = example(rows=400)
    plan = timetable(panel, replace(SETTINGS, every=8))
    tested = np.flatnonzero(plan.fold_of != NONE)
    assert set(np.diff(tested).tolist()) == {8}
    before = plan.rows[plan.rows < tested[0]]
    assert set(np.diff(before).tolist()) == {1}


def test_an_origin_without_a_state_is_dropped_and_counted() -> None:
    panel = example(rows=200)
    state = panel.state.copy()
    state[150, 0, 2] = np.nan
    plan = timetable(replace(panel, state=state), SETTINGS)
    assert plan.no_state == 1
    assert plan.fold_of[150] == NONE
    assert 150 not in plan.rows


def test_the_end_bounds_tests_and_counts() -> None:
    panel = example(rows=200)
    end = instant("2026-02-01T00:00Z")
    plan = timetable(panel, replace(SETTINGS, end=end))
    tested = np.flatnonzero(plan.fold_of != NONE)
    assert panel.known_at[tested[-1]] < datetime64(end)
    assert plan.no_target == 0


def test_a_hole_has_no_targets_across_it() -> None:
    panel = example(rows=200)
    as_of = panel.as_of.copy()
    as_of[120:] += 100 * HOUR
    broken = replace(panel, as_of=as_of, known_at=as_of + HOUR)
    plan = timetable(broken, SETTINGS)
    assert plan.target[119].tolist() == [NONE, NONE]
    assert plan.target[116:119, 1].tolist() == [NONE] * 3
    assert plan.no_target >= 1
