from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.evaluate.events import Examined, examined, judged, table
from greekdrift.forecast.days import Days, of_sessions
from greekdrift.forecast.events import Rows
from greekdrift.forecast.regime import CLIMATOLOGY, Regime


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


def market(seed: int, n: int = 1400, *, changed_from: int | None = None, symbol: str = "X") -> Days:
    """A mean-reverting log variance, seen with noise, and returns that follow it."""
    random = np.random.default_rng(seed)
    level = np.zeros(n)
    for at in range(1, n):
        level[at] = 0.9 * level[at - 1] + 0.45 * random.normal()
    truth = 1e-4 * np.exp(level)
    variance, returns = truth * np.exp(0.3 * random.normal(size=n)), np.sqrt(truth) * random.normal(size=n)
    if changed_from is not None:
        variance[changed_from:], returns[changed_from:] = 9.0 * variance[changed_from:], -returns[changed_from:]
    day = np.arange(n)
    return of_sessions(
        symbol,
        day=day,
        known_at=(day + 1).astype("datetime64[D]").astype("datetime64[us]"),
        close=np.exp(np.cumsum(returns)),
        variance=variance,
    )


def walked(*markets: Days, prior: Regime | None = None, first: int = 500) -> tuple[Regime, Examined]:
    regime, (found,) = examined(markets, events=("variance_doubling",), first=first, prior=prior, block=40, seed=1)
    return regime, found


def test_a_walk_knows_nothing_of_later_days_and_says_the_same_twice() -> None:
    whole, again, changed = (walked(market(0, changed_from=at))[1] for at in (None, None, 900))
    for name, values in whole.chances.items():
        np.testing.assert_array_equal(values, again.chances[name])
        np.testing.assert_array_equal(values[:900], changed.chances[name][:900])
    assert whole.judged == again.judged


def test_the_own_model_beats_its_baselines_where_variance_reverts() -> None:
    regime, found = walked(market(0, 3000))
    event = regime.events["variance_doubling"]
    assert event.has_skill
    assert event.skill == found.judged[-1].skill
    assert event.skill[0] > 0.05
    assert event.area[0] > found.judged[1].area[0]
    assert event.calibration_error < 0.05


def test_a_longer_history_helps_a_market_it_never_saw() -> None:
    prior, _ = walked(market(0, 4000), market(1, 4000, symbol="Y"), first=1000)
    own = market(7, 260, symbol="Z")
    with pytest.raises(DataError, match="shrink to a longer history"):
        walked(own, first=60)
    regime, found = walked(own, prior=prior, first=60)
    assert "before: X, Y" in regime.learnt_from
    assert np.isfinite(found.chances["greekdrift"][60:]).all()
    np.testing.assert_allclose(
        found.chances["greekdrift"][60:], prior.chances(own)["variance_doubling"]["greekdrift"][60:], atol=0.12
    )


def test_what_is_too_rare_is_said_to_be_and_clocks_do_not_mix() -> None:
    prior, _ = walked(market(0, 3000))
    quiet = replace(market(3, 200), variance=1e-4 * np.exp(0.01 * np.random.default_rng(0).normal(size=200)))
    regime, found = walked(quiet, prior=prior, first=60)
    assert found.judged == ()
    assert found.table() is None
    assert regime.events["variance_doubling"].skill == prior.events["variance_doubling"].skill
    with pytest.raises(InputError, match="clock"):
        walked(replace(quiet, clock="elapsed"), prior=prior)
    with pytest.raises(InputError, match="cannot be learnt together"):
        walked(quiet, replace(quiet, clock="elapsed"))
