import numpy as np
import pytest

from greekdrift.evaluate.events import CLIMATOLOGY, judged, table
from greekdrift.forecast.events import Rows


def test_a_perfect_forecast_has_all_the_skill_and_climatology_none() -> None:
    day = np.repeat(np.arange(300), 2)
    outcome = (np.random.default_rng(0).uniform(size=600) < 0.3).astype(float)
    rows = Rows(day=day, complete=day + 1, outcome=outcome, columns={})
    base, partly = np.full(600, 0.3), np.where(np.arange(600) < 50, np.nan, 0.8 * outcome + 0.1)
    found = judged(rows, {CLIMATOLOGY: base, "partly": partly, "perfect": outcome}, block=20, seed=0, draws=50)
    by_name = {one.name: one for one in found}
    assert {one.n for one in found} == {550}
    assert by_name[CLIMATOLOGY].skill == (0.0, 0.0, 0.0)
    assert by_name[CLIMATOLOGY].area[0] == 0.5
    assert by_name["perfect"].skill[0] == 1.0
    assert by_name["perfect"].area == (1.0, 1.0, 1.0)
    assert by_name["partly"].area[0] == 1.0
    assert by_name["partly"].skill[0] == pytest.approx(1.0 - 0.01 / np.mean((outcome[50:] - 0.3) ** 2))
    shown = table("It happens", found).text()
    assert f"{by_name['perfect'].happened} of 550 rows" in shown
    assert "+100.0 %" in shown


def test_rows_of_a_day_are_resampled_together() -> None:
    """Twice the same rows under one day widen nothing and narrow nothing."""
    day = np.arange(200)
    random = np.random.default_rng(1)
    outcome = (random.uniform(size=200) < 0.4).astype(float)
    chance = np.clip(0.4 + 0.2 * (outcome - 0.4) + 0.1 * random.normal(size=200), 0.01, 0.99)
    once = Rows(day=day, complete=day + 1, outcome=outcome, columns={})
    twice = Rows(day=np.tile(day, 2), complete=np.tile(day + 1, 2), outcome=np.tile(outcome, 2), columns={})
    given = {CLIMATOLOGY: np.full(200, 0.4), "own": chance}
    first = judged(once, given, block=10, seed=3, draws=100)[1]
    second = judged(twice, {name: np.tile(one, 2) for name, one in given.items()}, block=10, seed=3, draws=100)[1]
    assert second.skill == pytest.approx(first.skill)
    assert second.area == pytest.approx(first.area)
