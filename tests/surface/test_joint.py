import numpy as np

from greekdrift.surface import joint


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
