"""Duffie & Zhu (2011), Does a central clearing counterparty reduce counterparty risk?: their table of participants."""

import pytest

from greekdrift.margin.clearing import bilateral_exposure, cleared_exposure, fewest_participants


def test_two_classes_need_seven_participants() -> None:
    assert fewest_participants(2) == 7
    assert cleared_exposure(6, 2) > bilateral_exposure(6, 2)
    assert cleared_exposure(7, 2) < bilateral_exposure(7, 2)


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 8, 10])
def test_the_condition_of_the_paper(classes: int) -> None:
    """K < N² / (4 (N − 1))."""
    for count in range(2, 60):
        ratio = cleared_exposure(count, classes) / bilateral_exposure(count, classes)
        if classes != count * count / (4.0 * (count - 1)):
            assert (ratio < 1.0) == (classes < count * count / (4.0 * (count - 1)))


def test_the_ratio_of_exposures() -> None:
    """√((K − 1)/K) + 1/√(K (N − 1)), the reduction with one class cleared."""
    for count, classes in ((12, 4), (10, 6), (26, 6)):
        expected = ((classes - 1) / classes) ** 0.5 + 1.0 / (classes * (count - 1)) ** 0.5
        assert cleared_exposure(count, classes) / bilateral_exposure(count, classes) == pytest.approx(expected)
