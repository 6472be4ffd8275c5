from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from greekdrift.features.history import Panel
from greekdrift.forecast.inputs import KINDS
from greekdrift.forecast.mean_regression import (
    PRIOR_ROWS,
    REGRESSORS,
    Frame,
    Leant,
    Sample,
    _between,
    _sample,
    _told,
    calendar,
    fit,
)
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import Clockwork

FACTORS = ("forward", "atm_7", "atm_30", "atm_90", "skew_30", "curvature_30")
ATM, SKEW = KINDS.index("atm"), KINDS.index("skew")


def _market(*, rows=1500, reverts=0.04, seed=0, clock="sessions", weekend=0.0):
    """Log volatilities that return to 0 by a share a step; a random walk where it is 0; a jump up over each weekend."""
    rng = np.random.default_rng(seed)
    days = np.datetime64("2001-01-01") + np.arange(2 * rows)
    days = days[np.is_busday(days)][:rows] if clock == "sessions" else days[:rows]
    friday = np.is_busday(days) & ~np.is_busday(days + 1)
    level = np.zeros((rows, 1))
    for row in range(1, rows):
        drift = weekend * (friday[row - 1] - 0.2)
        level[row] = (1.0 - reverts) * level[row - 1] + drift + 0.05 * rng.standard_normal()
    noise = 0.005 * np.cumsum(rng.standard_normal((rows, 2)), axis=0)
    forward = np.cumsum(0.01 * rng.standard_normal((rows, 1)), axis=0)
    state = np.concatenate([forward, 1.2 * level, level, 0.7 * level, noise], axis=1)[:, None]
    as_of = days.astype("datetime64[us]") + np.timedelta64(21, "h")
    return Panel(
        underlyings=("SPX",),
        factors=FACTORS,
        feature_names=(),
        as_of=as_of,
        known_at=as_of + np.timedelta64(1, "h"),
        state=state,
        features=np.empty((rows, 1, 0)),
        step_hours=24.0,
        clock=clock,
    )


def _r_squared(panel, first, hours, factor):
    """R² of the means after row `first`, fitted on what was known with it, against no change."""
    fitted = fit(panel.until(panel.known_at[first]), [24.0, 120.0])
    moved = panel.increments(hours)
    later = moved.origin > first
    observed = moved.values[later, 0, factor]
    told = np.array(
        [
            fitted.mean(panel.until(panel.known_at[row]), np.array([hours]))[0, 0, factor]
            for row in moved.origin[later][::7]
        ]
    )
    return 1.0 - np.mean((observed[::7] - told) ** 2) / np.mean(observed[::7] ** 2)


def test_reversion_is_found_and_holds_on_unseen_time():
    """An AR(1) that returns by 8 % a step is known to 4 % after one step and 16 % after five (1 − φ^h over 2)."""
    panel = _market(rows=2600, reverts=0.08, seed=2)
    assert _r_squared(panel, 1300, 24.0, 2) == pytest.approx(0.04, abs=0.025)
    assert _r_squared(panel, 1300, 120.0, 2) == pytest.approx(0.17, abs=0.08)


def test_a_weekend_that_lifts_volatility_is_found():
    panel = _market(rows=1500, reverts=0.0, weekend=0.06, seed=1)
    assert _r_squared(panel, 900, 24.0, 2) > 0.08


def test_a_random_walk_is_given_little_or_no_mean():
    """Of 12 markets without any mean few are trusted one, and none much of one."""
    explained = np.array(
        [fit(_market(rows=700, reverts=0.0, seed=seed), [24.0, 120.0]).explained.max() for seed in range(12)]
    )
    assert np.mean(explained > 0.0) <= 0.25
    assert explained.max() < 0.08


def test_a_short_past_is_given_no_mean():
    made = fit(_market(rows=60, reverts=0.3), [24.0, 240.0])
    assert not made.shares.any()
    assert not made.coefficients.any()
    np.testing.assert_array_equal(made.width(np.array([24.0])), 1.0)


def test_the_forward_and_what_is_no_surface_factor_of_a_trusted_kind_have_no_mean():
    panel = _market(reverts=0.1, seed=3)
    made = fit(panel, [24.0, 120.0])
    assert np.all(made.shares[:, ATM] > 0.0)
    assert not made.shares[:, KINDS.index("forward")].any()
    assert not made.coefficients[:, 0].any()
    np.testing.assert_array_equal(made.mean(panel, np.array([24.0, 120.0]))[:, 0, 0], 0.0)
    assert np.all(made.width(np.array([24.0, 120.0]))[:, 1:4] < 1.0)
    np.testing.assert_array_equal(made.explained[:, 4] > 0.0, made.shares[:, SKEW] > 0.0)


def test_underlyings_share_the_coefficients():
    """Two underlyings with one past tell no more than one: the prior counts rows of the panel."""
    panel = _market(reverts=0.1, seed=4)
    both = replace(
        panel,
        underlyings=("A", "B"),
        state=np.repeat(panel.state, 2, axis=1),
        features=np.empty((len(panel), 2, 0)),
    )
    one, two = (_of(each, 24.0).until(len(panel), PRIOR_ROWS) for each in (panel, both))
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def _of(panel, hours):
    frame = Frame.of(panel)
    return _sample(
        panel,
        frame,
        memory(moves(panel), frame.clock.memories),
        hours,
        towards=Leant.nothing(len(panel.factors)).towards,
    )


def test_without_rows_of_nothing_it_is_least_squares():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 1, 1, len(REGRESSORS)))
    wanted = rng.standard_normal(len(REGRESSORS))
    y = x @ wanted + 0.1 * rng.standard_normal((400, 1, 1))
    rows = np.arange(400)
    sample = Sample(origin=rows, known=rows + 1, x=x, y=y, towards=np.zeros((1, len(REGRESSORS))))
    found = sample.until(400, [0.0, 1e9])
    np.testing.assert_allclose(found[0, 0], np.linalg.lstsq(x[:, 0, 0], y[:, 0, 0], rcond=None)[0], rtol=1e-9)
    assert np.abs(found[1]).max() < 1e-5
    leaning = replace(sample, towards=wanted[None] + 1.0).until(400, [0.0, 1e9])
    np.testing.assert_allclose(leaning[0], found[0], rtol=1e-9)
    np.testing.assert_allclose(leaning[1, 0], wanted + 1.0, rtol=1e-5)


def test_what_is_known_later_changes_no_judgement_of_an_earlier_part():
    sample = _of(_market(reverts=0.1, rows=400), 120.0)
    edges = np.array([120, 200, 300, 400])
    changed = replace(sample, y=np.where((sample.known > 200)[:, None, None], 9.0, sample.y))
    before = sample.origin < 300
    np.testing.assert_array_equal(_told(sample, edges)[:, before], _told(changed, edges)[:, before])
    assert np.any(_told(sample, edges) != _told(changed, edges))
    assert _told(sample, edges).shape[0] == len(PRIOR_ROWS)


def test_rows_with_a_missing_value_count_nothing():
    panel = _market(reverts=0.1, rows=300)
    state = panel.state.copy()
    state[100:110, 0, 4] = np.nan
    sample = _of(replace(panel, state=state), 24.0)
    assert np.all(np.isfinite(sample.x))
    assert np.all(np.isfinite(sample.y))
    at = np.flatnonzero(sample.origin == 105)[0]
    assert not sample.y[at, 0, 4]
    assert sample.y[at, 0, 2]


def test_between_horizons_it_is_linear_and_constant_beyond():
    values = np.array([[1.0], [3.0]])
    made = _between(values, np.array([24.0, 72.0]), np.array([6.0, 24.0, 48.0, 72.0, 240.0]))
    np.testing.assert_allclose(made[:, 0], [0.25, 1.0, 2.0, 3.0, 3.0])


def _clock(name):
    return Clockwork.of(_market(rows=30, clock=name), own_steps=16.0)


def test_on_sessions_a_weekend_is_one_that_is_crossed():
    monday = np.datetime64("2026-03-02T21:00", "us")
    week = monday + np.arange(5) * np.timedelta64(1, "D")
    crossed = calendar(_clock("sessions"), week, 24.0)[0]
    np.testing.assert_allclose(crossed, [-0.2, -0.2, -0.2, -0.2, 0.8])
    np.testing.assert_allclose(calendar(_clock("sessions"), week, 120.0)[0], 0.0)
    np.testing.assert_allclose(calendar(_clock("sessions"), week, 72.0)[0], [-0.6, -0.6, 0.4, 0.4, 0.4])


def test_on_elapsed_hours_it_is_the_share_and_the_hour():
    saturday = np.array(["2026-03-07T06:00"], dtype="datetime64[us]")
    share, sine, cosine = calendar(_clock("elapsed"), saturday, 24.0)
    np.testing.assert_allclose([share[0], sine[0], cosine[0]], [1.0 - 2.0 / 7.0, 1.0, 0.0], atol=1e-12)


@pytest.mark.shared
def test_the_mean_of_the_volatility_of_the_index(shared):
    """S&P 500, straight from its surface in five factors, 2006 to 2015, refit every two years: R² against no change."""
    panel = _index(shared)
    first = int(np.searchsorted(panel.as_of, np.datetime64("2006-01-03")))
    left, all_ = np.zeros(2), np.zeros(2)
    for start in range(first, len(panel), 504):
        fitted = fit(panel.until(panel.known_at[start - 1]), [24.0, 48.0, 120.0, 240.0])
        past = memory(moves(panel), fitted.frame.clock.memories)
        for at, (hours, place) in enumerate(((24.0, 0), (120.0, 2))):
            moved = panel.increments(hours)
            own = (moved.origin >= start) & (moved.origin < start + 504)
            rows, observed = moved.origin[own], moved.values[own, 0, 2]
            seen = fitted.frame.regressors(past.rows(rows), panel.state[rows], panel.as_of[rows], hours)
            told = seen[:, 0, 2] @ fitted.coefficients[place, 2]
            left[at] += np.sum((observed - told) ** 2)
            all_[at] += np.sum(observed**2)
    assert 1.0 - left[0] / all_[0] > 0.033
    assert 1.0 - left[1] / all_[1] > 0.06


def _index(shared: Path) -> Panel:
    from greekdrift.market import modelled
    from greekdrift.market.spx_factors import read_surface, volatility
    from greekdrift.units import datetime64

    surface = read_surface(shared / "data", date(2001, 1, 2))
    days = (7.0, 30.0, 90.0)
    level = np.stack(
        [[np.log(volatility(beta, np.zeros(1), one / 365.0)[0]) for beta in surface.beta] for one in days], axis=1
    )
    as_of = np.array([datetime64(modelled.close_of(day)) for day in surface.dates])
    return Panel(
        underlyings=("SPX",),
        factors=("forward", "atm_7", "atm_30", "atm_90"),
        feature_names=(),
        as_of=as_of,
        known_at=as_of + np.timedelta64(1, "h"),
        state=np.concatenate([np.log(surface.spot)[:, None], level], axis=1)[:, None],
        features=np.empty((len(as_of), 1, 0)),
        step_hours=24.0,
        clock="sessions",
    )
