import numpy as np

from greekdrift.surface.joint_steps import solve_blocks


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
    assert solve_blocks(normal, slope, cross, 0.0, step, lower, below)
    np.testing.assert_allclose(step.ravel(), np.linalg.solve(dense, -slope.ravel()), rtol=1e-8)
    assert not solve_blocks(-normal, slope, cross, 0.0, step, lower, below)
