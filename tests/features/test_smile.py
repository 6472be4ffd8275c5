from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.features.history import Panel, example
from greekdrift.features.realised import RealisedVariance
from greekdrift.features.smile import (
    Change,
    CrossLevel,
    Factor,
    ForwardVariance,
    Spread,
    TermCurvature,
    TermSlope,
    VariancePremium,
)


def test_level_and_slope_are_read_off_the_state() -> None:
    panel = example(rows=4, underlyings=("BTC", "ETH"))
    np.testing.assert_array_equal(Factor(factor="skew_30").compute(panel), panel.factor("skew_30"))
    slope = TermSlope(short_days=7, long_days=30)
    np.testing.assert_array_equal(slope.compute(panel), panel.factor("atm_7") - panel.factor("atm_30"))
    assert slope.name == "slope_7_30"


def test_the_premium_is_implied_over_realised() -> None:
    panel = example(rows=60)
    feature = VariancePremium(days=7)
    expected = 2.0 * panel.factor("atm_7") - RealisedVariance(hours=168.0).compute(panel)
    np.testing.assert_array_equal(feature.compute(panel), expected)
    assert (feature.name, feature.lookback_hours) == ("variance_premium_7d", 168.0)


def test_the_premium_of_sessions_takes_trading_days() -> None:
    panel = example(rows=60)
    days = panel.as_of[0] + np.arange(60) * np.timedelta64(1, "D")
    daily = replace(panel, as_of=days, known_at=days, clock="sessions", step_hours=24.0)
    expected = 2.0 * daily.factor("atm_30") - RealisedVariance(hours=21 * 24.0).compute(daily)
    np.testing.assert_array_equal(VariancePremium(days=30).compute(daily), expected)


def test_others_are_compared_with_ones_own() -> None:
    panel = example(rows=5, underlyings=("BTC", "ETH", "SOL"))
    state = panel.state.copy()
    state[2, 1] = np.nan
    column = CrossLevel().compute(replace(panel, state=state))
    level = panel.factor("atm_30")
    assert column[0, 0] == pytest.approx(level[0, 1:].mean() - level[0, 0])
    assert column[2, 0] == pytest.approx(level[2, 2] - level[2, 0])
    assert np.isnan(column[2, 1])
    assert np.isnan(CrossLevel().compute(example(rows=3))).all()


def _of(**factors: float) -> Panel:
    """One row with given factors."""
    panel = example(rows=1)
    state = panel.state.copy()
    for name, value in factors.items():
        state[0, 0, panel.factors.index(name)] = value
    return replace(panel, state=state)


def test_forward_variance_by_hand() -> None:
    panel = _of(atm_7=np.log(0.8), atm_30=np.log(0.5))
    expected = np.log((0.25 * 30.0 - 0.64 * 7.0) / 23.0)
    assert ForwardVariance(short_days=7, long_days=30).compute(panel)[0, 0] == pytest.approx(expected, rel=1e-12)
    inverted = _of(atm_7=np.log(1.5), atm_30=np.log(0.5))
    assert np.isnan(ForwardVariance(short_days=7, long_days=30).compute(inverted)).all()


def test_a_flat_or_straight_term_structure_has_no_hump() -> None:
    hump = TermCurvature(short_days=7, middle_days=30, long_days=180)
    straight = {f"atm_{days}": 0.1 - 0.2 * np.log(days) for days in (7, 30, 180)}
    assert hump.compute(_of(**straight))[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert hump.compute(_of(**{**straight, "atm_30": straight["atm_30"] + 0.07}))[0, 0] == pytest.approx(0.07)
    with pytest.raises(InputError, match="increase"):
        TermCurvature(short_days=30, middle_days=7, long_days=180)
    with pytest.raises(InputError, match="increase"):
        ForwardVariance(short_days=30, long_days=7)


def test_spread_and_change_are_differences() -> None:
    panel = example(rows=30)
    spread = Spread(factor="skew_30", minus="curvature_30")
    np.testing.assert_array_equal(spread.compute(panel), panel.factor("skew_30") - panel.factor("curvature_30"))
    assert spread.name == "skew_30_minus_curvature_30"
    level = panel.factor("atm_30")[:, 0]
    change = Change(factor="atm_30", hours=24.0).compute(panel)[:, 0]
    np.testing.assert_allclose(change[4:], level[4:] - level[:-4], rtol=1e-12)
    assert np.isnan(change[:4]).all()


def test_a_change_does_not_bridge_a_hole() -> None:
    panel = example(rows=30)
    as_of = panel.as_of + np.where(np.arange(30) >= 15, 100, 0) * np.timedelta64(1, "h")
    holed = replace(panel, as_of=as_of, known_at=as_of)
    column = Change(factor="skew_30", hours=24.0).compute(holed)[:, 0]
    assert np.isnan(column[15:19]).all()
    assert np.isfinite(column[19:]).all()
