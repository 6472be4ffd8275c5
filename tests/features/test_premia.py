from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest

from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.premia import BarVariancePremium, CurvaturePremium, SkewPremium, SpotVolSlope, VolOfVol
from greekdrift.features.ranges import BarVariance
from greekdrift.market.series import Series

DEVIATION = 0.5 * sqrt(30.0 / 365.0)


def _panel(**factors: np.ndarray | float) -> Panel:
    """One underlying every six hours with given factors."""
    rows = max(len(np.atleast_1d(values)) for values in factors.values())
    panel = example(rows=rows)
    state = panel.state.copy()
    for name, values in factors.items():
        state[:, 0, panel.factors.index(name)] = values
    return replace(panel, state=state)


# Four steps of a day: index +1 %, −2 %, +1 %, −1 %; log volatility against it, the last level is ln 0.5.
X = np.array([0.0, 0.01, -0.01, 0.0, -0.01])
Y = log(0.5) + np.array([0.01, -0.01, 0.05, 0.02, 0.0])
DX, DY = np.diff(X), np.diff(Y)


def test_vol_of_vol_by_hand() -> None:
    found = VolOfVol(hours=24.0).compute(_panel(atm_30=Y))[-1, 0]
    assert found == pytest.approx(log(365.0 * (0.02**2 + 0.06**2 + 0.03**2 + 0.02**2)), rel=1e-9)


def test_the_slope_and_the_skew_premium_by_hand() -> None:
    panel = _panel(forward=X, atm_30=Y, skew_30=-0.05)
    slope = (0.01 * -0.02 - 0.02 * 0.06 + 0.01 * -0.03 - 0.01 * -0.02) / (0.01**2 + 0.02**2 + 0.01**2 + 0.01**2)
    assert SpotVolSlope(hours=24.0).compute(panel)[-1, 0] == pytest.approx(DEVIATION * slope, rel=1e-9)
    assert SkewPremium(hours=24.0).compute(panel)[-1, 0] == pytest.approx(-0.1 - DEVIATION * slope, rel=1e-9)
    assert np.isnan(SpotVolSlope(hours=24.0).compute(panel)[:4]).all()


def test_the_curvature_premium_by_hand() -> None:
    panel = _panel(forward=X, atm_30=Y, skew_30=-0.05, curvature_30=0.04)
    realised = 30.0 / 365.0 * 365.0 * float(np.sum(DY**2))
    expected = 6.0 * 0.04 + 9.0 * 0.05**2 - realised
    assert CurvaturePremium(hours=24.0).compute(panel)[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_the_premia_of_a_fair_smile_vanish() -> None:
    """A stochastic volatility whose smile is that of its own correlation and volatility pays no premium."""
    random = np.random.default_rng(4)
    rho, nu, years = -0.4, 0.9, 6.0 / 8760.0
    first, second = random.normal(size=(2, 6000)) * sqrt(years)
    level = log(0.5) + np.cumsum(nu * (rho * first + sqrt(1.0 - rho**2) * second))
    index = np.cumsum(np.exp(np.concatenate([[log(0.5)], level[:-1]])) * first)
    tau = 30.0 / 365.0
    panel = _panel(
        forward=index,
        atm_30=level,
        skew_30=rho * nu * sqrt(tau) / 2.0,
        curvature_30=nu**2 * tau * (1.0 / 6.0 - 3.0 * rho**2 / 8.0),
    )
    curvature = CurvaturePremium(hours=30_000.0).compute(panel)[-1, 0]
    assert abs(curvature) < 0.05 * nu**2 * tau
    slopes = SkewPremium(hours=240.0).compute(panel)[:, 0]
    assert np.nanmean(slopes) == pytest.approx(0.0, abs=0.05 * abs(rho) * nu * sqrt(tau))


def test_hagans_smile_gives_back_correlation_and_volatility() -> None:
    """Skew and curvature as read off Hagan's formula (β = 1) at one deviation, for a short time."""
    rho, nu, sigma, tau = -0.4, 0.9, 0.5, 1e-3

    def volatility(z: float) -> float:
        k = z * sigma * sqrt(tau)
        zeta = -nu / sigma * k
        return sigma * zeta / log((sqrt(1.0 - 2.0 * rho * zeta + zeta**2) + zeta - rho) / (1.0 - rho))

    down, up = log(volatility(-1.0) / sigma), log(volatility(1.0) / sigma)
    skew, curvature = 0.5 * (up - down), 0.5 * (up + down)
    assert skew == pytest.approx(rho * nu * sqrt(tau) / 2.0, rel=1e-3)
    assert 6.0 * curvature + 9.0 * skew**2 == pytest.approx(nu**2 * tau, rel=2e-3)


def test_a_row_without_a_level_is_left_out_not_passed_on() -> None:
    random = np.random.default_rng(1)
    x, y = np.cumsum(random.normal(size=(2, 60)) * 0.01, axis=1)
    holed = y.copy()
    holed[20] = np.nan
    for feature in (SpotVolSlope(hours=48.0), VolOfVol(hours=48.0), SkewPremium(hours=48.0)):
        whole = feature.compute(_panel(forward=x, atm_30=y, skew_30=-0.05))[:, 0]
        column = feature.compute(_panel(forward=x, atm_30=holed, skew_30=-0.05))[:, 0]
        assert np.isnan(column[20])
        assert np.isfinite(column[21:]).all()
        np.testing.assert_allclose(column[30:], whole[30:], rtol=1e-9)


def test_no_premium_bridges_a_hole() -> None:
    panel = _panel(forward=np.sin(np.arange(80)) * 0.01, atm_30=log(0.5) + np.cos(np.arange(80)) * 0.01)
    as_of = panel.as_of + np.where(np.arange(80) >= 40, 200, 0) * HOUR
    holed = replace(panel, as_of=as_of, known_at=as_of + np.timedelta64(5, "m"))
    for feature in (SpotVolSlope(hours=48.0), VolOfVol(hours=48.0), SkewPremium(hours=48.0)):
        column = feature.compute(holed)[:, 0]
        assert np.isnan(column[40:46]).all()
        assert np.isfinite(column[48:]).all()


def test_the_premium_over_bars_is_the_level_minus_their_variance() -> None:
    random = np.random.default_rng(2)
    close = np.exp(np.cumsum(random.normal(size=400) * 0.01))
    event = np.datetime64("2026-01-01", "us") + np.arange(400) * HOUR
    bars = Series(
        name="spot/BTC",
        event_time=event,
        known_at=event,
        columns=("open", "high", "low", "close"),
        units=("USD",) * 4,
        values=np.stack([close] * 4, axis=1),
        hole_hours=3.0,
    )
    panel = replace(example(rows=60), histories={"spot/BTC": bars})
    feature = BarVariancePremium(history="spot/{underlying}", days=7)
    realised = BarVariance(history="spot/{underlying}", hours=168.0).compute(panel)
    np.testing.assert_array_equal(feature.compute(panel), 2.0 * panel.factor("atm_7") - realised)
    steps = np.diff(np.log(close))[354 - 168 : 354]
    assert exp(realised[-1, 0]) == pytest.approx(np.sum(steps**2) * 8760.0 / 168.0, rel=1e-9)
    assert feature.lookback_hours == 168.0
