from dataclasses import replace

import numpy as np
import pytest

from greekdrift.features.history import example
from greekdrift.features.realised import RealisedVariance
from greekdrift.features.smile import CrossLevel, Factor, TermSlope, VariancePremium


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
