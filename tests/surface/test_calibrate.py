import numpy as np
import pytest

from greekdrift.surface import calibrate

P = np.array([0.55, 0.4, -0.3, 0.1, 0.9])
THETA = 0.04


def quotes(p: np.ndarray, n: int = 21, noise: float = 0.0) -> np.ndarray:
    z = np.linspace(-4.0, 4.0, n)
    y = np.sqrt([calibrate.curve(x, p)[0] for x in z]) + noise * np.random.default_rng(3).standard_normal(n)
    return np.stack([z, y, np.full(n, n**-0.5)])


def cost(p: np.ndarray, data: np.ndarray, grid: np.ndarray, floor: np.ndarray) -> tuple[float, np.ndarray]:
    normal, slope = np.zeros((5, 5)), np.zeros(5)
    return calibrate.accumulate(p, data, THETA, grid, 0.3, floor, normal, slope), slope


@pytest.mark.parametrize("start", [P, np.array([0.1, 1.5, 0.8, -0.5, 0.2]), np.array([-0.5, 0.6, 0.1, 0.3, 0.7])])
def test_the_gradient_of_every_term_agrees_with_differences(start):
    """The last starts break butterflies, the floor and the positive minimum, so that each penalty is active."""
    data, grid = quotes(P, noise=0.01), np.linspace(-5.0, 5.0, 41)
    floor = np.stack([np.linspace(-3.0, 3.0, 7), np.full(7, 1.05), np.full(7, 2.0)])
    _, slope = cost(start, data, grid, floor)
    for at in range(5):
        h = np.zeros(5)
        h[at] = 1e-6
        difference = (cost(start + h, data, grid, floor)[0] - cost(start - h, data, grid, floor)[0]) / 4e-6
        assert slope[at] == pytest.approx(difference, rel=2e-4, abs=1e-6)


def test_the_cholesky_step_is_that_of_a_dense_solver():
    rng = np.random.default_rng(1)
    jacobian = rng.standard_normal((9, 5))
    normal, slope = jacobian.T @ jacobian, rng.standard_normal(5)
    step = np.zeros(5)
    assert calibrate.solve(normal, slope, 0.0, step, np.zeros((5, 5)))
    np.testing.assert_allclose(step, np.linalg.solve(normal, -slope), rtol=1e-9)
    assert not calibrate.solve(-normal, slope, 0.0, step, np.zeros((5, 5)))


def test_the_linear_part_is_found_exactly_at_the_true_shift_and_smoothness():
    found = np.zeros(5)
    calibrate.linear_part(quotes(P), P[3], P[4], found)
    np.testing.assert_allclose(found, P, rtol=1e-5)


def test_a_noiseless_smile_is_recovered_from_the_grid_of_starts():
    data = quotes(P)
    empty = np.empty((3, 0))
    p, left = calibrate.minimise(
        calibrate.initial(data), data, THETA, np.linspace(-5.0, 5.0, 41), 0.3, empty, calibrate.LOWER, calibrate.UPPER
    )
    np.testing.assert_allclose(p, P, atol=1e-5)
    assert left < 1e-12


def test_bounds_hold():
    data = quotes(P)
    high = calibrate.UPPER.copy()
    high[1] = 0.2
    p, _ = calibrate.minimise(
        calibrate.initial(data), data, THETA, np.linspace(-5.0, 5.0, 41), 0.3, np.empty((3, 0)), calibrate.LOWER, high
    )
    assert p[1] == pytest.approx(0.2)


def test_the_least_g_of_a_curve_that_turns_negative_is_minus_one():
    assert calibrate.least_density_factor(np.array([-1.0, 0.5, 0.0, 0.0, 0.5]), THETA, -5.0, 5.0, 101) == -1.0
    assert calibrate.least_density_factor(np.array([1.0, 0.0, 0.0, 0.0, 0.5]), THETA, -5.0, 5.0, 101) == 1.0
