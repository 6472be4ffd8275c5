from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.forecast.days import Days, of_sessions
from greekdrift.forecast.hidden import HiddenState
from greekdrift.forecast.regime import (
    EventForecast,
    Model,
    Regime,
    columns,
    design,
    mapped,
    range_variance,
    weekend_share,
    wild,
)

STATE = HiddenState(variance=(0.5, 3.0), stay=(0.98, 0.94))


def market(n: int = 400, *, seed: int = 0, scale: float = 1.0, changed_from: int | None = None) -> Days:
    random = np.random.default_rng(seed)
    log_variance = -9.0 + np.cumsum(random.normal(size=n)) * 0.1
    variance, returns = np.exp(log_variance) * scale**2, np.exp(log_variance / 2) * random.normal(size=n) * scale
    implied = 1.2 * variance
    if changed_from is not None:
        variance[changed_from:] *= 9.0
        returns[changed_from:] *= -5.0
        implied[changed_from:] *= 2.0
    day = np.arange(n)
    return of_sessions(
        "X",
        day=day,
        known_at=(day + 1).astype("datetime64[D]").astype("datetime64[us]"),
        close=100.0 * np.exp(np.cumsum(returns)),
        variance=variance,
        implied=implied,
        slope=0.1 * np.sin(day + (0.0 if changed_from is None else (day >= changed_from))),
    )


def test_nothing_known_of_a_day_depends_on_later_days() -> None:
    before, after = (columns(market(changed_from=at), STATE) for at in (None, 300))
    for name, values in before.items():
        np.testing.assert_array_equal(values[:300], after[name][:300], err_msg=name)
        if not name.startswith("weekend"):
            assert not np.array_equal(values[300:], after[name][300:], equal_nan=True), name


def test_every_column_but_the_level_is_free_of_the_markets_scale() -> None:
    one, ten = columns(market(), STATE), columns(market(scale=10.0), STATE)
    for name, values in one.items():
        moved = 2.0 * np.log(10.0) if name == "level" else 0.0
        np.testing.assert_allclose(ten[name], values + moved, atol=1e-9, err_msg=name)


def test_place_is_the_month_over_all_days_so_far() -> None:
    days = market()
    place = columns(days)["place"]
    assert np.isnan(place[:21]).all()
    for at in (21, 150, 399):
        expected = np.log(days.variance[at - 21 : at + 1].mean() / days.variance[: at + 1].mean())
        np.testing.assert_allclose(place[at], expected, atol=1e-12)


def test_a_missing_day_leaves_the_others_and_is_not_a_zero() -> None:
    days = market()
    gap = replace(
        days,
        variance=np.where(days.day == 200, np.nan, days.variance),
        returns=np.where(days.day == 200, np.nan, days.returns),
    )
    whole, holed = columns(days, STATE), columns(gap, STATE)
    assert np.isnan(holed["daily"][200])
    assert np.isfinite(holed["daily"][201])
    month = np.nanmean(np.log(np.delete(days.variance[180:202], 20)))
    np.testing.assert_allclose(holed["lumpiness"][201] + holed["level"][201], month)
    assert np.isfinite(wild(gap, STATE)).all()
    np.testing.assert_array_equal(whole["hidden"][:200], holed["hidden"][:200])


def model(**changed) -> Model:
    given = {
        "columns": ("daily",),
        "mean": (0.5,),
        "scale": (2.0,),
        "coefficients": (-1.0, 0.8),
        "information": np.eye(2),
    }
    return Model(**(given | changed))


def test_a_model_says_what_its_formula_says() -> None:
    known = {"daily": np.array([0.5, 2.5, np.nan])}
    np.testing.assert_allclose(model().probability(known)[:2], 1.0 / (1.0 + np.exp([1.0, 0.2])))
    assert np.isnan(model().probability(known)[2])
    half = model(deviation=2.0, coefficients=(0.0, 0.8)).probability(known)
    assert half[0] == 0.5
    lifted = model(calibration=(1.0, 1.0, 1.0)).probability(known)
    np.testing.assert_allclose(np.log(lifted / (1.0 - lifted))[:2], [0.0, 0.8])


def test_a_map_keeps_order() -> None:
    chance = np.linspace(0.001, 0.999, 50)
    assert np.all(np.diff(mapped(chance, (0.3, 0.5, 2.0))) > 0.0)


def test_what_has_no_skill_is_not_advertised() -> None:
    good = EventForecast(says="it", ahead=5, models={}, area=(0.8, 0.7, 0.9), skill=(0.12, 0.05, 0.2), level_skill=0.01)
    assert good.has_skill
    assert good.verdict == "AUC 0.80, skill 12 %"
    assert not replace(good, skill=(0.12, -0.01, 0.2)).has_skill
    assert not replace(good, skill=(0.02, 0.01, 0.03)).has_skill
    assert replace(good, skill=(0.02, 0.01, 0.03)).verdict.startswith("no skill")
    assert replace(good, level_skill=0.115).verdict == "level is nearly all of it"
    assert "not judged" in replace(good, skill=None).verdict


def test_a_regime_is_asked_on_its_own_clock_and_about_enough_days() -> None:
    event = EventForecast(says="it", ahead=5, models={"greekdrift": model()})
    regime = Regime(clock="sessions", hidden=STATE, events={"it": event}, learnt_from="X", learnt_until="1971-01-01")
    assert np.isfinite(regime.chances(market())["it"]["greekdrift"][40:]).all()
    with pytest.raises(InputError, match="clock elapsed"):
        regime.chances(replace(market(), clock="elapsed"))
    with pytest.raises(DataError, match="too few"):
        regime.chances(market(40))


def test_an_unknown_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match='did you mean "daily"'):
        design({"daily": np.ones(3)}, ("dayly",))


def test_weekends_are_those_of_the_calendar() -> None:
    day = np.arange(np.datetime64("2026-02-02"), np.datetime64("2026-02-16"))
    expected = [sum(one.weekday() >= 5 for one in (day[at] + np.arange(1, 6)).tolist()) / 5.0 for at in range(14)]
    np.testing.assert_allclose(weekend_share(day.astype(np.int64), 5), expected)


def test_range_variance_is_the_daily_variance_of_a_random_walk() -> None:
    rng = np.random.default_rng(5)
    paths = np.cumsum(0.01 / np.sqrt(500) * rng.standard_normal((2000, 500)), axis=1)
    prices = np.exp(np.concatenate([np.zeros((2000, 1)), paths], axis=1))
    estimate = range_variance(prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1])
    assert estimate.mean() == pytest.approx(1e-4, rel=0.1)
