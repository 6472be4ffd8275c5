import numpy as np

from greekdrift.forecast.clock import Clock


def test_nothing_moves(make_panel):
    panel = make_panel(rows=1)
    made = Clock().fit(panel).predict(panel, horizons=(6.0, 24.0), n=1, seed=0)
    assert made.increments.shape == (1, 2, 2, len(panel.factors))
    assert not np.any(made.increments)
