"""The numpy solver: monotone, and an error where it finds no root."""

import numpy as np
import pytest

from greekdrift.errors import CalculationError
from greekdrift.greeks.implied_truth import _bracketed, _low, deviation_of


def test_deviation_of_is_monotone_in_the_time_value():
    share = np.concatenate([10.0 ** np.linspace(-200.0, -1.0, 400), np.linspace(0.1001, 0.999, 400)])
    deviation = deviation_of(share, least=np.ones(800), distance=np.full(800, 0.2))
    assert np.all(np.diff(deviation) > 0.0)
    assert deviation_of(np.array([]), least=np.array([]), distance=np.array([])).shape == (0,)


def test_a_search_without_a_root_is_an_error_and_no_number():
    one = np.array([1.0])
    with pytest.raises(CalculationError, match="did not settle"):
        _bracketed(_low, 0.1 * one, np.array([np.nan]), one)
