import numpy as np
import pytest
from scipy.optimize import least_squares

from greekdrift.surface import calibrate

P = np.array([0.55, 0.4, -0.3, 0.1, 0.9])
STARTS = [P, np.array([0.1, 1.5, 0.8, -0.5, 0.2]), np.array([-0.5, 0.6, 0.1, 0.3, 0.7])]


def quotes(p: np.ndarray, n: int = 21, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = np.linspace(-4.0, 4.0, n)
    y = np.sqrt([calibrate.curve(x, p)[0] for x in z]) + noise * np.random.default_rng(3).standard_normal(n)
    return z, y, np.full(n, n**-0.5)


def cost(p: np.ndarray, data: tuple[np.ndarray, ...]) -> tuple[float, np.ndarray, np.ndarray]:
    normal, slope = np.zeros((5, 5)), np.zeros(5)
    return calibrate.quote_terms(p, *data, 0, data[0].size, normal, slope), slope, normal


@pytest.mark.parametrize("start", STARTS)
def test_the_gradient_agrees_with_differences(start):
    data = quotes(P, noise=0.01)
    value, slope, normal = cost(start, data)
    assert value == pytest.approx(calibrate.fit_error(start, *data, 0, 21), rel=1e-12)
    assert np.all(np.linalg.eigvalsh(normal + np.tril(normal, -1).T) > -1e-12)
    for at in range(5):
        h = np.zeros(5)
        h[at] = 1e-6
        difference = (cost(start + h, data)[0] - cost(start - h, data)[0]) / 4e-6
        assert slope[at] == pytest.approx(difference, rel=2e-4, abs=1e-6)


@pytest.mark.parametrize("start", STARTS)
def test_the_tangent_is_the_derivative_of_the_step(start):
    by, low, high = np.empty((5, 5)), np.full(5, -1e9), np.full(5, 1e9)
    calibrate.tangent(start, np.zeros(5), low, high, by)
    for at in range(5):
        step, up, down = np.zeros(5), np.empty(5), np.empty(5)
        step[at] = 1e-6
        calibrate.moved(start, step, low, high, up)
        calibrate.moved(start, -step, low, high, down)
        np.testing.assert_allclose(by[:, at], (up - down) / 2e-6, rtol=1e-6, atol=1e-7)


def test_level_tilt_and_the_two_scales_move_one_by_one():
    step, to = np.array([0.01, -0.02, 0.1, 0.3, -0.2]), np.empty(5)
    calibrate.moved(P, step, np.full(5, -1e9), np.full(5, 1e9), to)
    assert calibrate.curve(0.0, to)[0] == pytest.approx(calibrate.curve(0.0, P)[0] + 0.01, rel=1e-12)
    assert to[1] * to[2] == pytest.approx(P[1] * P[2] - 0.02, rel=1e-12)
    np.testing.assert_allclose([to[1], to[4]], [P[1] * np.exp(0.1), P[4] * np.exp(-0.2)], rtol=1e-12)
    assert to[3] == pytest.approx(P[3] + 0.3, rel=1e-12)


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
    calibrate.linear_part(*quotes(P), 0, 21, P[3], P[4], found)
    np.testing.assert_allclose(found, P, rtol=1e-8)


@pytest.mark.parametrize("years", [1.0 / 365.0, 0.1, 2.0])
def test_a_noiseless_smile_is_recovered_whatever_the_tenor(years):
    theta = 0.3 * years
    z, y, weight = quotes(P)
    raw = calibrate.free(z * np.sqrt(theta), y * np.sqrt(0.3), weight, years)
    root = np.sqrt(theta)
    np.testing.assert_allclose(raw, [theta * P[0], root * P[1], P[2], root * P[3], root * P[4]], rtol=1e-5)


def test_the_error_is_within_a_hundredth_of_that_of_a_general_solver():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        k = np.sort(rng.uniform(-0.5, 0.4, 40))
        volatility = np.sqrt(0.2 + 0.4 * (-0.3 * k + np.hypot(k, 0.15))) + 0.004 * rng.standard_normal(40)
        weight = rng.uniform(0.5, 2.0, 40)

        def errors(p: np.ndarray, k=k, volatility=volatility, weight=weight) -> np.ndarray:
            w = p[0] + p[1] * (p[2] * (k - p[3]) + np.hypot(k - p[3], p[4]))
            return weight * (np.sqrt(np.maximum(w, 1e-12) / 0.25) - volatility)

        raw = calibrate.free(k, volatility, weight, 0.25)
        general = least_squares(errors, raw, method="lm", xtol=1e-15, ftol=1e-15, max_nfev=5000)
        assert np.sum(errors(raw) ** 2) <= 2.0 * general.cost * 1.01**2


def test_bounds_hold_and_are_those_of_lee():
    low, high, p = np.empty(5), np.empty(5), P.copy()
    calibrate.bounds(0.04, 4.0, low, high)
    assert high[1] == pytest.approx(2.0 / 0.2)
    assert high[4] == calibrate.UPPER[4]
    calibrate.bounds(0.04, 9.0, low, high)
    assert (low[3], high[3], high[4]) == (-9.0, 9.0, 9.0)
    high[1] = 0.2
    z, y, weight = quotes(P)
    calibrate.initial(z, y, weight, 0, 21, p)
    calibrate.into_box(p, low, high)
    calibrate.minimise(p, z, y, weight, 0, 21, low, high)
    assert p[1] * (1.0 + abs(p[2])) == pytest.approx(0.2, rel=1e-6)


def test_the_volatility_at_the_forward_is_interpolated():
    k, volatility = np.array([-0.1, 0.3]), np.array([0.4, 0.8])
    assert calibrate.at_the_money(k, volatility, 0, 2) == pytest.approx(0.5)
    assert calibrate.at_the_money(k + 1.0, volatility, 0, 2) == 0.4
    assert calibrate.at_the_money(k - 1.0, volatility, 0, 2) == 0.8
