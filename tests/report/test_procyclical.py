"""The pictures of margin ahead of the event draw what they are given."""

import numpy as np

from greekdrift.report.procyclical import path_figure, tradeoff_figure


def _point(cost):
    return {"cost": cost, "exceptions": 0.05 - 0.1 * cost, "peak_to_trough": 5.0 - 9.0 * cost, "call": 0.2 - cost}


def test_the_path_shows_need_addon_and_what_came() -> None:
    book = {
        "account_id": "desk",
        "as_of": ["2026-02-05T08:00:00Z", "2026-02-05T14:00:00Z", "2026-02-05T20:00:00.5Z"],
        "requirement_usd": [100.0, 110.0, 120.0],
        "need_usd": [10.0, 22.0, 12.0],
        "addon_usd": [10.0, 11.0, 12.0],
        "realised_usd": [5.0, -3.0, None],
    }
    above, below = path_figure(book).axes
    came, need, addon = (line.get_ydata() for line in above.lines)
    assert np.allclose(need, [10.0, 20.0, 10.0])
    assert np.allclose(addon, [10.0, 10.0, 10.0])
    assert np.allclose(came[:2], [5.0, 0.0])
    assert np.isnan(came[2])
    assert below.lines[0].get_ydata().tolist() == [100.0, 110.0, 120.0]


def test_the_tradeoff_has_a_line_a_device_and_a_star() -> None:
    lines = {"floor": [_point(0.0), _point(0.1)], "buffer": [_point(0.05)]}
    figure = tradeoff_figure(lines, undressed=_point(0.0), chosen=_point(0.03), nominal=0.05)
    for axes, name, factor in zip(
        figure.axes, ("exceptions", "peak_to_trough", "call"), (100.0, 1.0, 100.0), strict=True
    ):
        floor, buffer, raw, star = axes.lines[:4]
        assert np.allclose(floor.get_xdata(), [0.0, 10.0])
        assert np.allclose(floor.get_ydata(), [factor * _point(one)[name] for one in (0.0, 0.1)])
        assert np.allclose(buffer.get_xdata(), [5.0])
        assert np.allclose(raw.get_ydata(), [factor * _point(0.0)[name]])
        assert np.allclose(star.get_xdata(), [3.0])
    assert len(figure.axes[0].lines) == 5
