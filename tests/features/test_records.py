from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.records import kept, label, matched, newest, pair_lines, present, record_lines, window_sum
from greekdrift.market.series import Series
from greekdrift.market.series import example as hourly


def _panel(**histories: Series) -> Panel:
    named = {name.replace("_", "/"): one for name, one in histories.items()}
    return replace(example(rows=6, underlyings=("BTC", "ETH")), histories=named)


def test_a_line_per_underlying_or_one_for_all() -> None:
    panel = _panel(spot_BTC=hourly(rows=60), spot_ETH=hourly(rows=30), vix_X=hourly(rows=60))
    own = record_lines(panel, "spot/{underlying}", lambda one: np.full(6, float(len(one))))
    assert own[0].tolist() == [60.0, 30.0]
    calls = []

    def line(one: Series) -> np.ndarray:
        calls.append(len(one))
        return np.arange(6.0)

    shared = record_lines(panel, "vix/X", line)
    np.testing.assert_array_equal(shared[:, 0], shared[:, 1])
    assert calls == [60]


def test_an_underlying_without_a_record_is_missing_and_none_at_all_refused() -> None:
    panel = _panel(spot_BTC=hourly(rows=60))
    column = record_lines(panel, "spot/{underlying}", lambda one: np.ones(6))
    assert column[:, 0].tolist() == [1.0] * 6
    assert np.isnan(column[:, 1]).all()
    with pytest.raises(InputError, match='no history "perp/BTC"'):
        record_lines(panel, "perp/{underlying}", lambda one: np.ones(6))
    with pytest.raises(InputError, match='no history "perp/BTC"'):
        pair_lines(panel, "spot/{underlying}", "perp/{underlying}", lambda one, other: np.ones(6))


def test_a_pair_needs_both() -> None:
    panel = _panel(spot_BTC=hourly(rows=60), spot_ETH=hourly(rows=60), perp_ETH=hourly(rows=60))
    column = pair_lines(panel, "spot/{underlying}", "perp/{underlying}", lambda one, other: np.ones(6))
    assert np.isnan(column[:, 0]).all()
    assert column[:, 1].tolist() == [1.0] * 6


def test_sums_equal_loops_over_what_was_known() -> None:
    record = hourly(rows=30)
    panel = _panel(spot_BTC=record)
    amount = np.random.default_rng(1).normal(size=30)
    total, count = window_sum(record, amount, panel, 5.0)
    for row, now in enumerate(panel.known_at):
        known = [at for at in range(30) if record.known_at[at] <= now]
        if not known or (now - record.event_time[known[-1]]) / HOUR > 3.0 + 1.0 / 60.0 or len(known) < 5:
            assert np.isnan(total[row])
            assert np.isnan(count[row])
            continue
        assert count[row] == 5.0
        assert total[row] == pytest.approx(amount[known[-5:]].sum())
        assert newest(record, amount, panel)[row] == amount[known[-1]]


def test_rows_left_out_open_a_hole() -> None:
    record = hourly(rows=30)
    values = record.values.copy()
    values[10:14] = np.nan
    holed = present(replace(record, values=values), ("close",))
    assert len(holed) == 26
    assert np.flatnonzero(holed.is_after_hole).tolist() == [0, 10]
    assert kept(record, np.ones(30, dtype=bool)) is record


def test_matched_events_are_those_of_both() -> None:
    random = np.random.default_rng(2)
    left = kept(hourly(rows=50), random.uniform(size=50) < 0.6)
    right = kept(hourly(rows=50, lag_minutes=20), random.uniform(size=50) < 0.6)
    both = matched(left, right)
    expected = sorted(set(left.event_time.tolist()) & set(right.event_time.tolist()))
    assert both.event_time.tolist() == expected
    np.testing.assert_array_equal(both.known_at, both.event_time + np.timedelta64(20, "m"))
    np.testing.assert_array_equal(both.values[:, 0], both.values[:, 1])


def test_an_empty_record_is_missing() -> None:
    panel = _panel(spot_BTC=hourly(rows=1))
    empty = hourly(rows=0)
    assert np.isnan(newest(empty, np.empty(0), panel)).all()
    assert np.isnan(window_sum(empty, np.empty(0), panel, 5.0)[0]).all()


def test_labels() -> None:
    assert label("binance_l2_depth_1s/{underlying}-perp") == "binance_l2_depth_1s"
    assert label("alone") == "alone"
