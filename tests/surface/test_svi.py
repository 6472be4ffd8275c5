import numpy as np
import pytest

from greekdrift.errors import CalculationError
from greekdrift.surface import svi

SLICES = (
    {"a": 0.04, "b": 0.15, "rho": -0.3, "m": 0.05, "s": 0.3},
    {"a": -0.02, "b": 0.15, "rho": 0.3, "m": 0.2, "s": 0.4},
    {"a": 0.0, "b": 0.4, "rho": -0.9, "m": -0.1, "s": 0.05},
)
K = np.linspace(-1.5, 1.5, 31)


@pytest.mark.parametrize("p", SLICES)
def test_derivatives_in_moneyness_agree_with_differences(p):
    h = 1e-4
    up, middle, down = (svi.total_variance(K + x, **p) for x in (h, 0.0, -h))
    shape = {name: p[name] for name in ("b", "rho", "m", "s")}
    np.testing.assert_allclose(svi.slope(K, **shape), (up - down) / (2 * h), atol=1e-5)
    bent = {name: p[name] for name in ("b", "m", "s")}
    np.testing.assert_allclose(svi.convexity(K, **bent), (up - 2 * middle + down) / h**2, atol=2e-4)


def test_wings_and_minimum_are_those_of_the_curve():
    p = svi.Parameters(**SLICES[0])
    far = np.array([-1e6, 1e6])
    w = svi.total_variance(far, **SLICES[0])
    np.testing.assert_allclose(w / np.abs(far), p.wings, rtol=1e-5)
    fine = svi.total_variance(np.linspace(-3.0, 3.0, 100_001), **SLICES[0])
    assert p.minimum == pytest.approx(fine.min(), abs=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": -0.1}, "b >= 0"),
        ({"rho": 1.0}, "rho"),
        ({"s": 0.0}, "s > 0"),
        ({"a": -1.0}, "negative total variance"),
        ({"m": np.nan}, "not a number"),
    ],
)
def test_parameters_that_are_no_slice_are_refused(change, words):
    with pytest.raises(CalculationError, match=words):
        svi.Parameters(**(SLICES[0] | change))
