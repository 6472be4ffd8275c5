import numpy as np
import pytest

from greekdrift.surface import joint
from greekdrift.surface.joint_terms import accumulate

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
        value = accumulate(p, SCALE, quotes, np.arange(4) * 9, prior, grids, kappa, normal, slope, cross)
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
