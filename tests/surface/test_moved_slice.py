import numpy as np
import pytest

from greekdrift.surface import arbitrage
from greekdrift.surface.moved_slice import moved_slice, remaining
from greekdrift.surface.state import CURVATURE, FACTORS, LEVEL, SKEW

HORIZONS = np.array([0.0, 20.0])


def increments(level=0.0, skew=0.0, curvature=0.0) -> np.ndarray:
    found = np.zeros((1, 2, len(FACTORS)))
    found[..., LEVEL], found[..., SKEW], found[..., CURVATURE] = level, skew, curvature
    return found


@pytest.mark.parametrize("kept", ["log_moneyness", "standardised"])
@pytest.mark.parametrize("bend", [{}, {"level": 0.3}, {"skew": -0.1}, {"curvature": 0.05, "level": -0.2, "skew": 0.05}])
def test_g_agrees_with_differences_of_total_variance(surface, kept, bend):
    moved = moved_slice(surface.slices[2], increments(**bend), HORIZONS, kept=kept)
    k, h = np.linspace(-0.25, 0.25, 21) * np.ones((1, 2, 1)), 1e-4
    w = moved.total_variance(k)
    up, down = moved.total_variance(k + h), moved.total_variance(k - h)
    expected = arbitrage.density_factor(k, w, (up - down) / (2 * h), (up - 2 * w + down) / h**2)
    np.testing.assert_allclose(moved.butterfly_g(k), expected, atol=1e-4)


def test_a_level_move_keeps_the_smile_in_standardised_moneyness(surface):
    one = surface.slices[3]
    moved = moved_slice(one, increments(level=0.5), HORIZONS, kept="log_moneyness")
    z = np.linspace(-3.0, 3.0, 7)
    found = moved.volatility(z * moved.deviation)[0, 0]
    np.testing.assert_allclose(found, one.volatility(z * one.deviation) * np.exp(0.5), rtol=1e-12)


def test_bends_add_to_skew_and_curvature_and_leave_the_level(surface):
    one = surface.slices[3]
    moved = moved_slice(one, increments(skew=-0.04, curvature=0.03), HORIZONS, kept="log_moneyness")
    before = np.log(one.volatility(np.array([0.0, -1.0, 1.0]) * one.deviation))
    after = np.log(moved.volatility(np.array([0.0, -1.0, 1.0]) * moved.deviation))[0, 0]
    np.testing.assert_allclose(after - before, [0.0, 0.07, -0.01], atol=1e-12)


def test_the_clock_keeps_the_slice_in_log_moneyness_or_in_deviations(surface):
    one = surface.slices[2]
    k = np.linspace(-0.2, 0.2, 5) * np.ones((1, 2, 1))
    still = moved_slice(one, increments(), HORIZONS, kept="log_moneyness")
    np.testing.assert_array_equal(still.volatility(k)[0, 1], one.volatility(k[0, 0]))
    rolled = moved_slice(one, increments(), HORIZONS, kept="standardised")
    z = np.linspace(-2.0, 2.0, 5)
    np.testing.assert_allclose(
        rolled.volatility(z * rolled.deviation)[0, 1], one.volatility(z * one.deviation), rtol=1e-12
    )


def test_time_that_remains_stops_at_zero():
    np.testing.assert_array_equal(remaining(10.0 / 8760.0, np.array([10.0, 11.0])), [0.0, 0.0])
    assert remaining(np.inf, np.array([1.0]))[0] == np.inf
