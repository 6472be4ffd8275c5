from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.forecast.steps import path_of_steps, steps


def test_steps_are_complete_and_linked(make_panel):
    panel = make_panel(rows=50)
    state = panel.state.copy()
    state[20, 1, 3] = np.nan
    base = steps(replace(panel, state=state))
    assert len(base.values) == 47
    assert 20 not in base.origin
    assert 20 not in base.target
    assert base.following[18] == -1
    assert base.following[17] == 18
    np.testing.assert_allclose(base.values[3], panel.state[4] - panel.state[3])


def test_a_path_meets_every_horizon_exactly():
    for horizons in ([6.0], [1.0, 5.0, 23.4, 72.1], [24.0, 120.0]):
        lengths, arrivals = path_of_steps(np.array(horizons), 6.0)
        np.testing.assert_allclose(np.cumsum(lengths)[arrivals - 1], horizons)
        assert np.all(lengths > 0.0)


@pytest.mark.parametrize("horizons", [[12_001.0], [6.0, 1e9], [1e30]])
def test_a_path_that_takes_too_many_steps_is_refused(horizons):
    """Not with a fault of memory, nor by whole numbers that run over."""
    with pytest.raises(InputError, match="ask for horizons up to 12000 h"):
        path_of_steps(np.array(horizons), 6.0)
    assert path_of_steps(np.array([12_000.0]), 6.0)[1].tolist() == [2_000]
