import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.score import calibration


def test_intervals_of_a_small_exchangeable_sample_cover_as_stated() -> None:
    random = np.random.default_rng(3)
    draws = random.standard_t(4, size=(40, 20_000))
    for level in calibration.LEVELS:
        lower, upper = calibration.central_interval(draws[1:], level=level)
        assert calibration.coverage(lower, upper, draws[0]) == pytest.approx(level, abs=0.01)


def test_pit_is_flat_under_the_truth_and_not_when_the_spread_is_wrong() -> None:
    random = np.random.default_rng(4)
    draws = random.normal(size=(20, 20_000))
    flat = calibration.pit_histogram(*calibration.pit(draws[1:], draws[0]))
    assert np.abs(flat - 0.1).max() < 0.006
    narrow = calibration.pit_histogram(*calibration.pit(0.5 * draws[1:], draws[0]))
    assert narrow[0] > 0.15
    assert narrow[-1] > 0.15
    assert narrow.sum() == pytest.approx(1.0)


def test_pit_of_ties_spreads_over_them() -> None:
    lower, upper = calibration.pit([0.0, 0.0, 0.0], 0.0)
    assert (lower, upper) == (0.0, 1.0)


def test_pit_stays_within_its_bounds_whatever_the_rounding() -> None:
    for n in range(1, 200):
        lower, upper = calibration.pit(np.zeros(n), 1.0)
        assert 0.0 < lower < upper <= 1.0


def test_pit_with_equal_weights_is_the_plain_one() -> None:
    samples = np.arange(8.0)
    plain, weighted = calibration.pit(samples, 3.5), calibration.pit(samples, 3.5, weights=np.full(8, 0.125))
    np.testing.assert_allclose(weighted, plain)
    np.testing.assert_allclose(plain, (4 / 9, 5 / 9))


def test_reliability_counts_and_errs_as_by_hand() -> None:
    diagram = calibration.reliability([0.05, 0.15, 0.15, 1.0], [0, 0, 1, 1], bins=10)
    np.testing.assert_allclose(diagram.forecast, [0.05, 0.15, 1.0])
    np.testing.assert_allclose(diagram.frequency, [0.0, 0.5, 1.0])
    assert diagram.count.tolist() == [1, 2, 1]
    assert diagram.calibration_error == pytest.approx((0.05 + 2 * 0.35) / 4)


def test_refusals() -> None:
    with pytest.raises(InputError, match="no observations"):
        calibration.coverage([], [], [])
    with pytest.raises(InputError, match="positive length"):
        calibration.pit_histogram([0.5], [0.5])
    with pytest.raises(InputError, match="2 probabilities for 1 outcomes"):
        calibration.reliability([0.5, 0.5], [1])
