"""The promises about recorded chains: how close, how clean, and that a zero move is none."""

from itertools import pairwise

import numpy as np
import pytest

from greekdrift.greeks import compute
from greekdrift.surface import FACTORS, arbitrage
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.scenario import move
from greekdrift.surface.soundness import check
from greekdrift.surface.state import LEVEL, state

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def surfaces(recorded):
    return {coin: [fit(chain) for chain in chains] for coin, chains in recorded.items()}


def test_slices_lie_within_fractions_of_a_volatility_point(surfaces):
    rmse = np.array([one.rmse for coin in surfaces.values() for surface in coin for one in surface.slices])
    assert len(rmse) > 600
    assert np.median(rmse) <= 0.003
    assert np.quantile(rmse, 0.9) <= 0.008


def test_few_slices_are_refused_and_none_without_a_reason(surfaces):
    slices = refused = 0
    for surface in (one for coin in surfaces.values() for one in coin):
        slices += sum(one.n_quotes >= 8 for one in surface.slices)
        refused += sum(surface.slice(one.underlying, one.expiry).n_quotes >= 8 for one in surface.refused)
        assert all(one.reason for one in surface.refused)
        worst = {(one.underlying, one.expiry) for one in surface.slices if one.n_quotes >= 8 and one.rmse > 0.03}
        assert worst <= {(one.underlying, one.expiry) for one in surface.refused}
    assert refused <= 0.01 * slices


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_no_slice_admits_a_butterfly_and_none_lies_below_an_earlier_one(surfaces, coin):
    for surface in surfaces[coin]:
        assert arbitrage.check(surface) == ()
        for one in surface.slices:
            assert max(one.parameters.wings) <= 2.0
        for earlier, later in pairwise(surface.slices):
            k = np.linspace(-5.0, 5.0, 2001) * max(earlier.deviation, later.deviation)
            assert arbitrage.calendar_gap(earlier, later, k).min() >= 0.0


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_the_zero_move_returns_every_mark_iv_and_its_black_price(recorded, surfaces, coin):
    for chain, surface in zip(recorded[coin][::5], surfaces[coin][::5], strict=True):
        same = move(chain, surface, np.zeros((1, len(FACTORS))), 0.0, (coin.upper(),))
        np.testing.assert_allclose(same.mark_iv, chain.mark_iv, rtol=1e-12, atol=0.0)
        price = compute(
            ["price"],
            forward=chain.forward,
            strike=chain.strike,
            volatility=chain.mark_iv,
            time_to_expiry=chain.time_to_expiry,
            is_call=chain.is_call,
        )["price"]
        np.testing.assert_allclose(same.mark, price / chain.forward, atol=1e-12)


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_state_of_a_moved_chain_is_state_plus_increment(recorded, surfaces, coin):
    increments = np.zeros((1, len(FACTORS)))
    increments[0, 0], increments[0, LEVEL] = -0.03, 0.1
    for chain, surface in zip(recorded[coin][::4], surfaces[coin][::4], strict=True):
        later = move(chain, surface, increments, 0.0, (coin.upper(),))
        difference = (state(fit(later), later).values - state(surface, chain).values - increments)[0]
        monthly = [FACTORS.index(name) for name in ("atm_7", "atm_30", "atm_90", "skew_30", "curvature_30")]
        assert np.abs(difference[monthly]).max() < 0.02


@pytest.mark.parametrize("coin", ["btc", "eth"])
def test_a_day_of_recorded_shocks_leaves_the_surface_sound(recorded, surfaces, scenarios, coin):
    """The increments are differences of the recorded states themselves, over about six days each."""
    states = np.array([state(s, c).values[0] for s, c in zip(surfaces[coin], recorded[coin], strict=True)])
    increments = np.diff(states, axis=0)[:, None, None, :] / np.sqrt(6.0)
    cells = []
    for chain, surface in zip(recorded[coin][::4], surfaces[coin][::4], strict=True):
        own = scenarios(increments, (24.0,), underlyings=(coin.upper(),), as_of=chain.as_of, known_at=chain.known_at)
        found = check(chain, surface, own)
        cells.append(found.share_of_cells)
    butterfly, calendar = np.mean(cells, axis=0)
    assert butterfly <= 0.001
    assert calendar <= 0.03


def test_a_crash_and_a_melt_up_stay_finite(recorded, surfaces, scenarios):
    chain, surface = recorded["btc"][3], surfaces["btc"][3]
    increments = np.zeros((4, 1, 1, len(FACTORS)))
    increments[:, 0, 0, 0] = np.log([0.34, 0.34, 6.0, 6.0])
    increments[:, 0, 0, LEVEL] = np.log([3.0, 1 / 3.0, 3.0, 1 / 3.0])[:, None]
    own = scenarios(increments, (24.0,), underlyings=("BTC",), as_of=chain.as_of, known_at=chain.known_at)
    found = revalue(chain, surface, own, rows=np.arange(len(chain)))
    for name, cube in found.values.items():
        assert np.isfinite(cube).all(), name
    assert np.isfinite(found.pnl_usd).all()
    assert found.volatility.min() > 0.0
