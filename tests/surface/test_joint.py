import numpy as np
import pytest

from greekdrift.surface import joint

P = np.array([[0.55, 0.4, -0.3, 0.1, 0.9], [-0.2, 0.9, 0.2, -0.3, 1.2], [0.4, 0.5, -0.1, 0.2, 1.0]])
SCALE = np.array([0.2, 0.22, 0.4])


def problem(kappa: float = 3.0):
    rng = np.random.default_rng(2)
    z = np.tile(np.linspace(-3.0, 3.0, 9), 3)
    quotes = np.stack([z, rng.uniform(0.9, 1.5, 27), np.full(27, 1.0 / 3.0)])
    prior = np.concatenate([P + 0.1, np.full((3, 1), 0.05)], axis=1)
    grids = np.zeros((2, 3, joint.POINTS))
    joint.grids_of(P, SCALE, np.array([[-0.7, 0.7]] * 3), grids)

    def cost(p: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        normal, slope, cross = np.empty((3, 5, 5)), np.empty((3, 5)), np.empty((3, 5, 5))
        value = joint.accumulate(p, SCALE, quotes, np.arange(4) * 9, prior, grids, kappa, normal, slope, cross)
        return value, slope, normal, cross

    return cost


@pytest.mark.parametrize(
    "p",
    [P, P + np.array([0.0, 1.5, 0.4, -0.4, -0.7]), P - np.array([0.9, 0.0, 0.0, 0.0, 0.0])],
    ids=["crossing", "steep", "negative"],
)
def test_the_gradient_of_every_term_agrees_with_differences(p):
    """Slices that cross, bend too much and turn negative, so that each penalty is active."""
    cost = problem()
    _, slope, _, _ = cost(p)
    for at in np.ndindex(3, 5):
        h = np.zeros((3, 5))
        h[at] = 1e-6
        difference = (cost(p + h)[0] - cost(p - h)[0]) / 4e-6
        assert slope[at] == pytest.approx(difference, rel=1e-3, abs=1e-4 * np.abs(slope).max())


def test_the_step_of_the_blocks_is_that_of_a_dense_solver():
    rng = np.random.default_rng(5)
    n, size = 4, 5
    jacobian = np.zeros((60, n * size))
    for pair in range(n - 1):
        jacobian[20 * pair : 20 * (pair + 1), size * pair : size * (pair + 2)] = rng.standard_normal((20, 2 * size))
    dense, slope = jacobian.T @ jacobian, rng.standard_normal((n, size))
    block = dense.reshape(n, size, n, size).transpose(0, 2, 1, 3)
    normal = np.array([block[i, i] for i in range(n)])
    cross = np.array([block[i, min(i + 1, n - 1)] for i in range(n)])
    step, lower, below = np.zeros((n, size)), np.zeros((n, size, size)), np.zeros((n, size, size))
    assert joint.solve_blocks(normal, slope, cross, 0.0, step, lower, below)
    np.testing.assert_allclose(step.ravel(), np.linalg.solve(dense, -slope.ravel()), rtol=1e-8)
    assert not joint.solve_blocks(-normal, slope, cross, 0.0, step, lower, below)


def test_outliers_are_few_and_far():
    errors, width, is_outlier = np.full(20, 0.004), np.full(20, 0.01), np.zeros(20, dtype=bool)
    errors[3], errors[7] = 0.5, 0.03
    reference, offsets = np.array([0.6]), np.array([0, 20])
    assert joint.outliers(errors, width, reference, offsets, is_outlier) == 1
    assert np.flatnonzero(is_outlier).tolist() == [3]
    width[3] = 0.4
    is_outlier[:] = False
    assert joint.outliers(errors, width, reference, offsets, is_outlier) == 0
    errors[:5] = 0.5
    assert joint.outliers(errors, np.full(20, 0.01), reference, offsets, is_outlier) == 0
