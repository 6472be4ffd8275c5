from dataclasses import replace

import numpy as np
import pytest

from greekdrift.features.history import Panel, example
from greekdrift.features.realised import (
    Bipower,
    JumpShare,
    Leverage,
    RealisedVariance,
    Return,
    Semivariance,
    SignedVariation,
)


def _path(values: np.ndarray, hours: np.ndarray | None = None, **changed: object) -> Panel:
    """One underlying with a given path of the log index."""
    panel = example(rows=len(values))
    state = panel.state.copy()
    state[:, 0, panel.factors.index("forward")] = values
    if hours is not None:
        as_of = panel.as_of[0] + (hours * 3.6e9).astype("timedelta64[us]")
        changed |= {"as_of": as_of, "known_at": as_of + np.timedelta64(5, "m")}
    return replace(panel, state=state, **changed)


def test_realised_variance_of_even_steps_is_the_annualised_mean_square() -> None:
    steps = np.random.default_rng(0).normal(size=40) * 0.01
    column = RealisedVariance(hours=24.0).compute(_path(np.cumsum(steps)))
    expected = np.log(np.sum(steps[-4:] ** 2) * 365.0)
    assert column[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_a_step_counts_by_its_time_within_the_window() -> None:
    hours = np.array([0.0, 8.0, 16.0, 24.0, 36.0])
    panel = _path(np.array([0.0, 0.01, 0.03, 0.0, 0.02]), hours)
    steps = np.diff(panel.factor("forward")[:, 0])
    # the window of 24 h before hour 36 begins at hour 12, in the middle of the step from 8 to 16
    expected = np.log((0.5 * steps[1] ** 2 + steps[2] ** 2 + steps[3] ** 2) * 365.0)
    assert RealisedVariance(hours=24.0).compute(panel)[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_realised_variance_does_not_depend_on_the_spacing() -> None:
    random = np.random.default_rng(1)
    hours = np.cumsum(random.uniform(2.0, 10.0, size=4_000))
    values = np.cumsum(random.normal(size=4_000) * 0.6 * np.sqrt(np.diff(hours, prepend=0.0) / 8_760.0))
    column = RealisedVariance(hours=720.0).compute(_path(values, hours))
    assert np.nanmean(np.exp(column)) == pytest.approx(0.36, rel=0.03)


def test_no_window_bridges_a_hole() -> None:
    hours = np.concatenate([np.arange(20) * 6.0, 114.0 + 200.0 + np.arange(20) * 6.0])
    panel = _path(np.cumsum(np.full(40, 0.01)), hours)
    assert panel.is_after_hole.sum() == 2
    for feature in (RealisedVariance(hours=72.0), JumpShare(hours=72.0), Leverage(hours=72.0), Return(hours=72.0)):
        column = feature.compute(panel)[:, 0]
        assert np.isnan(column[20:29]).all(), feature.name
        assert np.isfinite(column[33:]).all(), feature.name
        assert np.isfinite(column[12:20]).all(), feature.name


def test_one_missing_snapshot_is_a_longer_step_and_many_are_a_hole() -> None:
    values = np.cumsum(np.random.default_rng(2).normal(size=40) * 0.01)
    few, many = values.copy(), values.copy()
    few[30], many[28:33] = np.nan, np.nan
    one = RealisedVariance(hours=24.0).compute(_path(few))[:, 0]
    assert np.isnan(one[30])
    assert np.isfinite(one[31:]).all()
    five = RealisedVariance(hours=24.0).compute(_path(many))[:, 0]
    assert np.isnan(five[28:36]).all()
    assert np.isfinite(five[37:]).all()


def test_an_uncovered_window_is_missing_not_zero() -> None:
    column = RealisedVariance(hours=24.0).compute(_path(np.cumsum(np.full(10, 0.01))))[:, 0]
    assert np.isnan(column[:4]).all()
    assert np.isfinite(column[4:]).all()
    flat = RealisedVariance(hours=24.0).compute(_path(np.zeros(10)))
    assert np.isnan(flat).all()


def test_an_underlying_without_any_state_is_missing() -> None:
    panel = example(rows=10, underlyings=("BTC", "ETH"))
    state = panel.state.copy()
    state[:, 1] = np.nan
    column = RealisedVariance(hours=24.0).compute(replace(panel, state=state))
    assert np.isnan(column[:, 1]).all()
    assert np.isfinite(column[5:, 0]).all()


def test_leverage_counts_losses_only_and_is_clipped() -> None:
    up = Leverage(hours=24.0).compute(_path(np.linspace(0.0, 1.0, 20)))[-1, 0]
    crash = Leverage(hours=24.0).compute(_path(np.append(np.zeros(19), -0.9)))[-1, 0]
    assert up == 0.0
    assert crash == -3.0
    panel = _path(np.append(np.zeros(19), -0.01))
    sigma = np.exp(panel.factor("atm_30")[15, 0])
    expected = -0.01 / (sigma * np.sqrt(1.0 / 365.0))
    assert Leverage(hours=24.0).compute(panel)[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_a_jump_raises_the_jump_share() -> None:
    random = np.random.default_rng(3)
    steps = random.normal(size=200) * 0.005
    calm = JumpShare(hours=168.0).compute(_path(np.cumsum(steps)))[-1, 0]
    steps[-10] = 0.15
    jumped = JumpShare(hours=168.0).compute(_path(np.cumsum(steps)))[-1, 0]
    assert abs(calm) < 0.5
    assert jumped > 1.5


def test_sessions_have_252_days_a_year() -> None:
    steps = np.random.default_rng(4).normal(size=60) * 0.01
    days = np.arange(60) * 24.0
    panel = _path(np.cumsum(steps), days, clock="sessions", step_hours=24.0)
    expected = np.log(np.mean(steps[-5:] ** 2) * 252.0)
    assert RealisedVariance(hours=120.0).compute(panel)[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_a_window_of_sessions_is_at_least_one_session() -> None:
    values = np.cumsum(np.random.default_rng(4).normal(size=9) * 0.01)
    panel = _path(values, np.arange(9) * 24.0, clock="sessions", step_hours=24.0)
    np.testing.assert_array_equal(Return(hours=6.0).compute(panel), Return(hours=24.0).compute(panel))
    deviation = np.exp(panel.factor("atm_30")[-1, 0]) / np.sqrt(252.0)
    assert Return(hours=6.0).compute(panel)[-1, 0] == pytest.approx((values[-1] - values[-2]) / deviation)


def test_names_and_lookbacks() -> None:
    features = (RealisedVariance(hours=24.0), JumpShare(hours=168.0), Leverage(hours=24.0), Return(hours=6.0))
    assert [feature.name for feature in features] == ["log_rv_24h", "jump_share_168h", "leverage_24h", "return_6h"]
    assert [feature.lookback_hours for feature in features] == [24.0, 168.0, 24.0, 6.0]
    assert all(feature.source and feature.timing for feature in features)


def test_bipower_semivariance_and_signed_variation_by_hand() -> None:
    panel = _path(np.array([0.0, 0.01, -0.01, 0.02, 0.01]))
    steps = np.array([0.01, -0.02, 0.03, -0.01])
    down = Semivariance(hours=24.0, side="down").compute(panel)[-1, 0]
    up = Semivariance(hours=24.0, side="up").compute(panel)[-1, 0]
    assert down == pytest.approx(np.log(365.0 * (0.02**2 + 0.01**2)), rel=1e-9)
    assert up == pytest.approx(np.log(365.0 * (0.01**2 + 0.03**2)), rel=1e-9)
    signed = SignedVariation(hours=24.0).compute(panel)[-1, 0]
    assert signed == pytest.approx((0.01**2 + 0.03**2 - 0.02**2 - 0.01**2) / np.sum(steps**2), rel=1e-9)
    bipower = Bipower(hours=24.0).compute(panel)[-1, 0]
    assert bipower == pytest.approx(np.log(365.0 * np.pi / 2.0 * (0.01 * 0.02 + 0.02 * 0.03 + 0.03 * 0.01)), rel=1e-9)
    variance = RealisedVariance(hours=24.0).compute(panel)[-1, 0]
    assert np.exp(down) + np.exp(up) == pytest.approx(np.exp(variance), rel=1e-9)


def test_a_window_without_a_fall_has_no_semivariance_below() -> None:
    panel = _path(np.cumsum(np.full(10, 0.01)))
    assert np.isnan(Semivariance(hours=24.0, side="down").compute(panel)).all()
    assert SignedVariation(hours=24.0).compute(panel)[-1, 0] == pytest.approx(1.0)


def test_jump_share_is_variance_over_bipower() -> None:
    panel = _path(np.cumsum(np.random.default_rng(6).normal(size=60) * 0.01))
    apart = RealisedVariance(hours=168.0).compute(panel) - Bipower(hours=168.0).compute(panel)
    np.testing.assert_allclose(JumpShare(hours=168.0).compute(panel), apart, rtol=1e-9)
