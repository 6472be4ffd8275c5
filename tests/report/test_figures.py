from typing import Any

import pytest
from matplotlib.figure import Figure

from greekdrift.report import figures


def _fan(**changed: Any) -> Figure:
    quantity = {
        "label": "BTC vega $x$",
        "now": 1.0,
        "lower": -5.0,
        "upper": 5.0,
        "quantiles": {"0.025": [0.0, -1.0], "0.5": [1.0, 1.1], "0.975": [2.0, 3.0]},
    }
    return figures.fan({**quantity, **changed}, [6.0, 24.0])


def test_a_fan_starts_at_now_and_shows_the_whole_band() -> None:
    axes = _fan().axes[0]
    low, high = axes.get_ylim()
    assert low < -5.0 < 5.0 < high
    median = axes.lines[0]
    assert list(median.get_xdata()) == [0.0, 6.0, 24.0]
    assert list(median.get_ydata()) == [1.0, 1.0, 1.1]


@pytest.mark.parametrize("edges", [(None, None), (None, 5.0), (-5.0, None)])
def test_a_band_may_be_open(edges: tuple[float | None, float | None]) -> None:
    figure = _fan(lower=edges[0], upper=edges[1])
    assert figures.image(figure, "x").startswith('<img alt="x" src="data:image/svg+xml;base64,')


@pytest.mark.parametrize(("far", "low"), [({"upper": 1e6}, 0.5), ({"lower": -1e6}, 0.0)])
def test_a_limit_out_of_view_is_named_on_its_own_side(far: dict[str, float], low: float) -> None:
    """So that the words do not lie on the limit that is in view."""
    (said,) = [one for one in _fan(**far).axes[0].texts if "out of view" in one.get_text()]
    assert low <= said.get_position()[1] <= low + 0.5


def test_a_flat_fan_is_drawn() -> None:
    low, high = _fan(lower=None, upper=None, quantiles={"0.5": [1.0, 1.0]}).axes[0].get_ylim()
    assert low < 1.0 < high


def test_scores_are_coloured_by_their_interval() -> None:
    rows = [
        {"name": "better", "ratio": 0.9, "lower": 0.85, "upper": 0.95},
        {"name": "unclear", "ratio": 0.95, "lower": 0.85, "upper": 1.05},
        {"name": "alone", "ratio": 1.0, "lower": None, "upper": None},
    ]
    axes = figures.scores(rows, bar="fhs").axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_color() == figures.GOOD for line in points] == [True, False, False]
