import numpy as np
import pytest

from greekdrift.surface import calibrate, ssvi, svi
from greekdrift.surface.arbitrage import butterfly_g

SHAPE = np.array([-0.35, np.log(0.9), 0.4])
THETA = np.array([0.001, 0.01, 0.05, 0.3])


def named(p: np.ndarray, theta: float) -> dict[str, float]:
    raw = np.empty(5)
    calibrate.unstandardised(p, theta, raw)
    return dict(zip(("a", "b", "rho", "m", "s"), raw, strict=True))


@pytest.mark.parametrize("theta", THETA)
def test_a_slice_is_raw_svi(theta):
    p = np.empty(5)
    ssvi.slice_of(theta, SHAPE, p)
    k = np.linspace(-1.0, 1.0, 11)
    phi = ssvi.steepness(theta, SHAPE) / np.sqrt(theta)
    expected = ssvi.total_variance(k, theta=theta, rho=SHAPE[0], phi=phi)
    np.testing.assert_allclose(svi.total_variance(k, **named(p, theta)), expected, rtol=1e-12)
    assert svi.total_variance(np.zeros(1), **named(p, theta))[0] == pytest.approx(theta, rel=1e-12)


@pytest.mark.parametrize(
    "shape", [SHAPE, np.array([0.9, 2.0, 0.5]), np.array([-0.9, 1.0, 0.0]), np.array([0.0, -3.0, 0.2])]
)
def test_slices_are_free_of_butterflies_however_steep(shape):
    for theta in THETA:
        p = np.empty(5)
        ssvi.slice_of(theta, shape, p)
        k = np.linspace(-20.0, 20.0, 2001) * np.sqrt(theta)
        assert butterfly_g(k, **named(p, theta)).min() >= -1e-12


def test_slices_do_not_cross():
    slices = ssvi.slices_of(THETA, SHAPE)
    k = np.linspace(-3.0, 3.0, 601)
    w = np.array([svi.total_variance(k, **named(p, theta)) for p, theta in zip(slices, THETA, strict=True)])
    assert np.diff(w, axis=0).min() > 0.0


def test_the_shape_of_clean_quotes_is_found():
    z = np.linspace(-2.5, 2.5, 21)
    smiles = [np.sqrt([calibrate.curve(x, p)[0] for x in z]) for p in ssvi.slices_of(THETA, SHAPE)]
    quotes = np.stack([np.tile(z, 4), np.concatenate(smiles), np.full(84, 1.0)])
    found = ssvi.fitted(THETA, quotes, np.arange(5) * 21)
    np.testing.assert_allclose(found, SHAPE, atol=0.02)


def test_without_quotes_the_start_stands():
    empty = np.empty((3, 0))
    np.testing.assert_array_equal(ssvi.fitted(np.array([0.04]), empty, np.zeros(2, dtype=np.int64)), ssvi.START)


def test_the_gradient_agrees_with_differences():
    rng = np.random.default_rng(4)
    quotes = np.stack([rng.uniform(-3.0, 3.0, 12), rng.uniform(0.9, 1.4, 12), np.full(12, 0.3)])
    offsets = np.array([0, 5, 12])
    theta = THETA[1:3]

    def cost(shape: np.ndarray) -> tuple[float, np.ndarray]:
        normal, slope = np.zeros((3, 3)), np.zeros(3)
        return ssvi.terms(shape, theta, quotes, offsets, normal, slope), slope

    _, slope = cost(SHAPE)
    for at in range(3):
        h = np.zeros(3)
        h[at] = 1e-6
        difference = (cost(SHAPE + h)[0] - cost(SHAPE - h)[0]) / 4e-6
        assert slope[at] == pytest.approx(difference, rel=1e-5)
