import numpy as np

from greekdrift.surface import calibrate, exact_step, svi
from greekdrift.surface.arbitrage import butterfly_g

P = np.array([[0.55, 0.4, -0.3, 0.1, 0.9], [-0.2, 0.9, 0.2, -0.3, 1.2], [0.4, 0.5, -0.1, 0.2, 1.0]])
SCALE = np.array([0.2, 0.22, 0.4])


def test_the_largest_excess_is_found_between_the_points_of_the_grid():
    rng = np.random.default_rng(6)
    k = np.linspace(-2.0, 2.0, 400_001)
    for _ in range(40):
        p, later = (
            np.array([rng.uniform(0, 1), rng.uniform(0.05, 1), rng.uniform(-0.9, 0.9), rng.uniform(-1, 1), s])
            for s in 10.0 ** rng.uniform(-1.5, 0.5, 2)
        )
        w, v = (
            scale**2 * (q[0] + q[1] * (q[2] * (k / scale - q[3]) + np.hypot(k / scale - q[3], q[4])))
            for q, scale in ((p, 0.2), (later, 0.3))
        )
        found = exact_step.excess(p, later, np.array([0.2, 0.3]), np.array([-1.0, 1.0]), np.array([-2.0, 2.0]))
        assert found >= (w - v).max() - 1e-12
        assert found <= (w - v).max() + 1e-6


def test_the_exact_step_lifts_and_flattens_until_nothing_is_left():
    wild = np.array([[0.2, 2.5, 0.9, 0.0, 0.05], [0.1, 0.3, -0.5, 0.5, 0.4], [-0.5, 0.9, 0.0, 0.0, 0.6]])
    p, spent = wild.copy(), np.zeros((3, 2))
    exact_step.enforce(p, SCALE, np.array([[-0.5, 0.5]] * 3), spent)
    raw = np.empty((3, 5))
    for i in range(3):
        calibrate.unstandardised(p[i], SCALE[i] ** 2, raw[i])
    shapes = [dict(zip(("a", "b", "rho", "m", "s"), one, strict=True)) for one in raw]
    deviation = [np.sqrt(svi.total_variance(np.zeros(1), **one)[0]) for one in shapes]
    for one, width in zip(shapes, deviation, strict=True):
        assert butterfly_g(np.linspace(-5.0, 5.0, 4001) * width, **one).min() > 0.0
    for i in range(2):
        k = np.linspace(-5.0, 5.0, 4001) * max(deviation[i : i + 2])
        assert (svi.total_variance(k, **shapes[i + 1]) - svi.total_variance(k, **shapes[i])).min() > 0.0
    assert spent[0, 1] > 0.0
    assert spent[1, 0] > 0.0


def test_clean_slices_are_left_alone_by_the_exact_step():
    clean = np.array([P[2], P[2]])
    p, spent = clean.copy(), np.zeros((2, 2))
    exact_step.enforce(p, np.array([0.2, 0.3]), np.array([[-0.5, 0.5]] * 2), spent)
    np.testing.assert_array_equal(p, clean)
    assert not spent.any()


def test_the_least_g_of_a_curve_that_turns_negative_is_minus_one():
    assert exact_step.least_density_factor(np.array([-1.0, 0.5, 0.0, 0.0, 0.5]), 0.04, -5.0, 5.0) == -1.0
    assert exact_step.least_density_factor(np.array([1.0, 0.0, 0.0, 0.0, 0.5]), 0.04, -5.0, 5.0) == 1.0
