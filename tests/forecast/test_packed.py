from dataclasses import replace

import numpy as np

from greekdrift.features.history import Panel
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.packed import pack, unpack
from greekdrift.market import series


def test_records_beside_a_panel_come_back(make_panel):
    one = replace(make_panel(rows=30), histories={"spot/BTC": series.example()})
    config, arrays = pack(one)
    again = unpack(Panel, config, arrays)
    assert list(again.histories) == ["spot/BTC"]
    was, now = one.histories["spot/BTC"], again.histories["spot/BTC"]
    assert (now.name, now.columns) == (was.name, was.columns)
    np.testing.assert_array_equal(now.values, was.values)
    np.testing.assert_array_equal(now.known_at, was.known_at)
    np.testing.assert_array_equal(again.state, one.state)


def test_a_historical_predictor_keeps_no_records_beside_the_panel(make_panel):
    panel = replace(make_panel(rows=60), histories={"spot/BTC": series.example()})
    assert not Historical().fit(panel).past.histories
