"""Laws of the surface: a zero move is none, scale does not matter, the clock is certain, extremes stay finite."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greekdrift.book import Chain, Scenarios
from greekdrift.book.instrument import generic_name, parse
from greekdrift.greeks import compute
from greekdrift.surface import FACTORS, Parameters, arbitrage, svi
from greekdrift.surface.fit import fit, parameters
from greekdrift.surface.revalue import revalue
from greekdrift.surface.scenario import move, moved
from greekdrift.surface.state import LEVEL, state

AS_OF = datetime(2026, 3, 2, 16, tzinfo=UTC)
DAYS = (0.7, 2.7, 9.7, 40.7)
QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SMILES = st.tuples(
    st.floats(0.1, 1.5), st.floats(0.0, 0.6), st.floats(-0.8, 0.8), st.floats(-0.5, 0.5), st.floats(0.5, 2.0)
)


def smile(shape: tuple[float, ...], years: float) -> Parameters:
    """Level, slope, tilt, shift and smoothness in units of the deviation; W(0) = 1 by construction."""
    level, beta, rho, mu, s = shape
    theta = level**2 * years
    root = np.sqrt(theta)
    alpha = 1.0 - beta * (-rho * mu + np.hypot(mu, s))
    return Parameters(a=theta * alpha, b=root * beta, rho=rho, m=root * mu, s=root * s)


def make(shape: tuple[float, ...], *, index: float = 100.0, noise: float = 0.0) -> Chain:
    rng = np.random.default_rng(5)
    names, forwards, volatilities = [], [], []
    for days in DAYS:
        years = days / 365.0
        deviation = shape[0] * np.sqrt(years)
        for z in np.linspace(-2.5, 2.5, 11):
            strike = round(index * float(np.exp(z * deviation)), 6)
            volatility = float(svi.volatility(np.array([np.log(strike / index)]), years, smile(shape, years))[0])
            volatility *= float(np.exp(noise * rng.standard_normal()))
            for is_call in (True, False):
                names.append(generic_name("X", AS_OF + timedelta(minutes=round(days * 1440)), strike, is_call=is_call))
                forwards.append(index)
                volatilities.append(volatility)
    names.append("X.USD-PERPETUAL")
    n = len(names)
    nothing = np.full(n, np.nan)
    return Chain(
        venue="test",
        as_of=AS_OF,
        known_at=AS_OF,
        instruments=tuple(parse(name) for name in names),
        contract_size=np.ones(n),
        forward=np.array([*forwards, index]),
        bid=nothing,
        ask=nothing,
        mark=np.full(n, index),
        mark_iv=np.array([*volatilities, np.nan]),
        open_interest=nothing,
        volume_24h=nothing,
        index_price={"X": index},
        origin="simulated",
    )


def under(chain: Chain, increments: np.ndarray, horizons: tuple[float, ...]) -> Scenarios:
    return Scenarios(
        underlyings=("X",),
        factors=FACTORS,
        horizons=np.array(horizons),
        increments=increments,
        weights=np.full(len(increments), 1.0 / len(increments)),
        as_of=chain.as_of,
        known_at=chain.known_at,
        provenance="law",
    )


@QUICK
@given(shape=SMILES, noise=st.floats(0.0, 0.2))
def test_the_zero_move_returns_each_mark_iv_and_its_black_price(shape, noise):
    chain = make(shape, noise=noise)
    same = move(chain, fit(chain), np.zeros((1, len(FACTORS))), 0.0, ("X",))
    option = chain.is_option
    np.testing.assert_allclose(same.mark_iv[option], chain.mark_iv[option], rtol=1e-12, atol=0.0)
    price = compute(
        ["price"],
        forward=chain.forward[option],
        strike=chain.strike[option],
        volatility=chain.mark_iv[option],
        time_to_expiry=chain.time_to_expiry[option],
        is_call=chain.is_call[option],
    )["price"]
    np.testing.assert_allclose(same.mark[option], price, rtol=1e-11, atol=1e-12)


@QUICK
@given(shape=SMILES, noise=st.floats(0.0, 0.3))
def test_a_fit_never_admits_butterflies(shape, noise):
    surface = fit(make(shape, noise=noise))
    assert [one for one in arbitrage.check(surface) if one.kind == "butterfly"] == []


@QUICK
@given(shape=SMILES, days=st.floats(0.1, 400.0))
def test_a_clean_smile_is_recovered_at_every_tenor(shape, days):
    years = days / 365.0
    truth = smile(shape, years)
    k = np.linspace(-3.0, 3.0, 15) * shape[0] * np.sqrt(years)
    shown = {name: getattr(truth, name) for name in ("a", "b", "rho", "m", "s")}
    wide = np.linspace(-6.0, 6.0, 401) * shape[0] * np.sqrt(years)
    if truth.minimum <= 1e-3 * shape[0] ** 2 * years or arbitrage.butterfly_g(wide, **shown).min() < 2e-3:
        return
    true = svi.volatility(k, years, truth)
    found = parameters(k, true, years)
    np.testing.assert_allclose(svi.volatility(k, years, found), true, rtol=2e-3)


@QUICK
@given(shape=SMILES, scale=st.floats(0.01, 1000.0))
def test_prices_and_strikes_in_other_units_change_nothing_but_units(shape, scale):
    small, large = make(shape), make(shape, index=100.0 * scale)
    a, b = state(fit(small), small).values[0], state(fit(large), large).values[0]
    np.testing.assert_allclose(b[0] - a[0], np.log(scale), atol=1e-9)
    np.testing.assert_allclose(b[1:], a[1:], atol=2e-3)


@QUICK
@given(shape=SMILES, hours=st.floats(0.0, 60.0))
def test_the_clock_alone_is_certain_and_ends_in_nothing(shape, hours):
    """Under zero increments every living quote keeps its volatility, and what expires out of the money is worth 0."""
    chain = make(shape)
    surface = fit(chain)
    rows = np.arange(len(chain))
    found = revalue(chain, surface, under(chain, np.zeros((2, 1, 1, len(FACTORS))), (hours,)), rows=rows)
    option = chain.is_option
    np.testing.assert_allclose(found.volatility[0, 0, option], chain.mark_iv[option], rtol=1e-12)
    for cube in found.values.values():
        np.testing.assert_array_equal(cube[0], cube[1])
    gone = option & (found.time_to_expiry[0] == 0.0)
    side = np.where(chain.is_call, 1.0, -1.0)
    intrinsic = np.maximum(side * (chain.forward - chain.strike), 0.0)
    np.testing.assert_allclose(found.values["value_usd"][0, 0, gone], intrinsic[gone], atol=1e-12)
    for name in ("delta_usd", "delta_net", "gamma", "vega", "theta"):
        assert not found.values[name][0, 0, gone].any()
    assert np.all(found.pnl_usd[0, 0, option] <= 1e-12)


@QUICK
@given(
    shape=SMILES,
    index=st.sampled_from([0.34, 0.7, 1.0, 1.6, 6.0]),
    level=st.sampled_from([1 / 3, 1.0, 3.0]),
    skew=st.floats(-0.3, 0.3),
    curvature=st.floats(-0.1, 0.2),
    hours=st.sampled_from([0.0, 6.0, 24.0, 240.0]),
)
def test_extreme_moves_stay_finite_and_ordered(shape, index, level, skew, curvature, hours):
    chain = make(shape, noise=0.02)
    increments = np.zeros((1, 1, 1, len(FACTORS)))
    increments[..., 0], increments[..., LEVEL] = np.log(index), np.log(level)
    increments[..., LEVEL.stop : LEVEL.stop + 8] = skew
    increments[..., LEVEL.stop + 8 : LEVEL.stop + 16] = curvature
    found = revalue(chain, fit(chain), under(chain, increments, (hours,)), rows=np.arange(len(chain)))
    for name, cube in found.values.items():
        assert np.isfinite(cube).all(), name
    option = chain.is_option
    assert np.all(found.volatility[0, 0, option] > 0.0)
    value, forward = found.values["value_usd"][0, 0, option], found.forward[0, 0, option]
    upper = np.where(chain.is_call[option], forward, chain.strike[option])
    assert np.all((value >= -1e-9) & (value <= upper * (1.0 + 1e-12)))


@QUICK
@given(shape=SMILES, level=st.floats(-0.4, 0.4))
def test_a_parallel_move_of_the_level_comes_back_in_the_state(shape, level):
    chain = make(shape)
    surface = fit(chain)
    increments = np.zeros((1, len(FACTORS)))
    increments[0, LEVEL] = level
    later = move(chain, surface, increments, 0.0, ("X",))
    difference = state(fit(later), later).values - state(surface, chain).values - increments
    assert np.abs(difference).max() < 0.02


def test_a_move_of_nothing_asked_for_is_empty():
    chain = make((0.5, 0.3, -0.2, 0.1, 1.0))
    found = moved(chain, fit(chain), under(chain, np.zeros((1, 1, 1, len(FACTORS))), (1.0,)), np.array([], dtype=int))
    assert found.forward.shape == (1, 1, 0)


@pytest.mark.parametrize("kept", ["log_moneyness", "standardised"])
def test_put_call_parity_holds_under_every_scenario(kept):
    chain = make((0.5, 0.3, -0.2, 0.1, 1.0))
    increments = 0.05 * np.random.default_rng(1).standard_normal((20, 2, 1, len(FACTORS)))
    rows = np.flatnonzero(chain.is_option)
    found = revalue(
        chain, fit(chain), under(chain, increments, (6.0, 30.0)), rows=rows, names=("value_usd", "delta_usd"), kept=kept
    )
    calls, puts = np.arange(0, rows.size, 2), np.arange(1, rows.size, 2)
    value = found.values["value_usd"]
    parity = found.forward[..., calls] - chain.strike[rows[calls]]
    np.testing.assert_allclose(value[..., calls] - value[..., puts], parity, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.floats(0.01, 1000.0),
    level=st.floats(0.02, 8.0),
    spread=st.sampled_from([0.01, 0.3, 1.5]),
    reach=st.sampled_from([0.0, 0.01, 1.0, 3.0, 20.0]),
    shift=st.sampled_from([-4.0, 0.0, 3.0]),
)
def test_whatever_the_quotes_the_slice_has_no_butterfly(seed, days, level, spread, reach, shift):
    """Nonsense in, a clean slice out: noise of any size, quotes on one side only or all at one strike."""
    rng = np.random.default_rng(seed)
    years = days / 365.0
    k = (shift + reach * rng.standard_normal(12)) * level * np.sqrt(years)
    found = parameters(k, np.clip(level * np.exp(spread * rng.standard_normal(12)), 0.005, 49.0), years)
    shape = {name: getattr(found, name) for name in ("a", "b", "rho", "m", "s")}
    deviation = np.sqrt(svi.total_variance(np.zeros(1), **shape)[0])
    assert arbitrage.butterfly_g(np.linspace(-5.0, 5.0, 401) * deviation, **shape).min() >= -arbitrage.TOLERANCE
