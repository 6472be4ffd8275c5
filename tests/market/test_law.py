"""The process and the surface of the simulator against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import ConfigError
from greekdrift.market import law as law_of
from greekdrift.market.law import BASIS, CURVATURE, LEVEL, SKEW, SLOPE, SPOT, STEP_YEARS, Hidden, Law
from greekdrift.surface import svi
from greekdrift.surface.arbitrage import butterfly_g

LAW = Law()
FROZEN = replace(LAW, leave=(1e-9, 1e-9), jump_rate=(1e-9, 1e-9))
N = 40_000


def many(regime: int, n: int = N, slope: float = 0.4) -> Hidden:
    one = np.array([np.log(100.0), -0.4, slope, -0.3, -0.2, 0.03])
    return Hidden(regime=np.full(n, regime), factors=np.tile(one, (n, 2, 1)))


@pytest.mark.parametrize("regime", [0, 1])
def test_factors_have_the_moments_of_an_ornstein_uhlenbeck_process(regime: int):
    rng = np.random.default_rng(7)
    hidden = many(regime)
    for _ in range(12):
        hidden = law_of.step(FROZEN, hidden, rng)
    years = 12 * STEP_YEARS
    for at, factor in enumerate((LEVEL, SLOPE, SKEW, CURVATURE, BASIS)):
        mean, kappa, nu = (table[at][regime] for table in (LAW.mean, LAW.reversion, LAW.volatility))
        start = many(regime).factors[0, 0, factor]
        expected = mean + (start - mean) * np.exp(-kappa * years)
        deviation = nu * np.sqrt((1.0 - np.exp(-2.0 * kappa * years)) / (2.0 * kappa))
        sample = hidden.factors[:, 0, factor]
        assert sample.mean() == pytest.approx(expected, abs=5.0 * deviation / np.sqrt(N))
        assert sample.std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("regime", [0, 1])
def test_spot_is_a_martingale_with_jumps(regime: int):
    law = replace(LAW, leave=(1e-9, 1e-9), jump_rate=(2_000.0, 2_000.0))
    rng = np.random.default_rng(8)
    hidden = many(regime)
    for _ in range(8):
        hidden = law_of.step(law, hidden, rng)
    growth = hidden.factors[:, :, SPOT] / 1.0 - np.log(100.0)
    assert growth.std() > 0.02
    for u in range(2):
        gross = np.exp(growth[:, u])
        assert gross.mean() == pytest.approx(1.0, abs=5.0 * gross.std() / np.sqrt(N))


@pytest.mark.parametrize("regime", [0, 1])
def test_shocks_are_correlated_as_declared(regime: int):
    rng = np.random.default_rng(9)
    before = many(regime)
    moved = law_of.step(FROZEN, before, rng).factors - before.factors
    factors = np.corrcoef(moved[:, 0].T)
    np.testing.assert_allclose(factors, LAW.correlation[regime], atol=0.03)
    assert np.corrcoef(moved[:, 0, SPOT], moved[:, 1, SPOT])[0, 1] == pytest.approx(LAW.across, abs=0.02)
    assert np.corrcoef(moved[:, 0, SPOT], moved[:, 1, LEVEL])[0, 1] == pytest.approx(
        LAW.across * LAW.correlation[regime, SPOT, LEVEL], abs=0.02
    )


def test_regimes_are_left_at_their_rates():
    rng = np.random.default_rng(10)
    for regime in (0, 1):
        left = law_of.step(LAW, many(regime, 400_000), rng).regime != regime
        chance = 1.0 - np.exp(-LAW.leave[regime] * STEP_YEARS)
        assert left.mean() == pytest.approx(chance, abs=5.0 * np.sqrt(chance / 400_000))


def test_jumps_hit_all_underlyings_at_once_and_raise_volatility():
    law = replace(FROZEN, jump_rate=(1e6, 1e6))
    rng = np.random.default_rng(11)
    before = many(0)
    moved = law_of.step(law, before, rng).factors - before.factors
    quiet = law_of.step(FROZEN, before, np.random.default_rng(11)).factors - before.factors
    jump = moved[..., LEVEL] - quiet[..., LEVEL]
    assert np.all(jump >= -1e-12)
    assert np.mean(jump > 1e-6) > 0.99
    spot = moved[..., SPOT] - quiet[..., SPOT]
    common = LAW.jump_common**2 / (LAW.jump_common**2 + LAW.jump_own**2)
    assert np.corrcoef(spot.T)[0, 1] == pytest.approx(common, abs=0.02)
    np.testing.assert_allclose(moved[..., SLOPE] - quiet[..., SLOPE], jump * law.slope_jump / law.level_jump, atol=1e-9)


@given(
    level=st.floats(-2.0, 1.0),
    slope=st.floats(-4.0, 4.0),
    skew=st.floats(-2.5, 2.5),
    curvature=st.floats(-4.0, 4.0),
)
@settings(max_examples=60, deadline=None)
def test_no_state_has_butterfly_or_calendar_arbitrage(level: float, slope: float, skew: float, curvature: float):
    years = np.array([0.3, 1.0, 2.0, 7.0, 30.0, 90.0, 180.0, 360.0]) / 365.0
    factors = np.array([0.0, level, slope, skew, curvature, 0.0])
    smiles = law_of.smiles(LAW, factors, years)
    k = np.linspace(-5.0, 5.0, 401)[:, None] * np.sqrt(smiles.theta)
    for at in range(len(years)):
        p = smiles.raw(at)
        assert np.all(butterfly_g(k[:, at], a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s) >= -1e-9)
    same = np.linspace(-1.0, 1.0, 201)[:, None] * np.ones(len(years))
    assert np.all(np.diff(smiles.total_variance(same), axis=1) >= -1e-12)


def test_ssvi_slices_are_raw_svi_slices():
    smiles = law_of.smiles(LAW, np.array([0.0, -0.5, 0.3, -0.4, 0.2, 0.0]), np.array([0.02, 0.5]))
    k = np.linspace(-1.0, 1.0, 21)
    for at in range(2):
        p = smiles.raw(at)
        direct = smiles.total_variance(np.repeat(k[:, None], 2, axis=1))[:, at]
        np.testing.assert_allclose(svi.total_variance(k, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s), direct, rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "fact"),
    [
        ({"leave": (0.0, 1.0)}, "must be positive"),
        ({"across": 1.0}, "across 1.0 must lie"),
        ({"level_slope": (1.0, 0.0)}, "no correlation matrix"),
    ],
)
def test_impossible_parameters_are_refused(wrong: dict, fact: str):
    with pytest.raises(ConfigError, match=fact):
        Law(**wrong)
