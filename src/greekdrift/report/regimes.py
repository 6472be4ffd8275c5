"""Pictures of the regime: probability of an event over time, the filtered hidden state below it, reliability beside."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from greekdrift.report.figures import FAN, LIMIT, QUIET, STYLE


def regimes(shown: Sequence[Mapping[str, Any]]) -> Figure:
    """A row of panels for each event of a market: `event`, `history` and its `diagram`, as `regime.json` holds them."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10.6, 2.9 * len(shown)), layout="constrained")
        grid = figure.add_gridspec(2 * len(shown), 2, width_ratios=(4, 1), height_ratios=(3, 1) * len(shown))
        for at, one in enumerate(shown):
            above = figure.add_subplot(grid[2 * at, 0])
            chance(above, one["history"])
            above.set_title(one["event"], loc="left", fontsize=10)
            above.tick_params(labelbottom=False)
            _state(figure.add_subplot(grid[2 * at + 1, 0], sharex=above), one["history"])
            beside = figure.add_subplot(grid[2 * at : 2 * at + 2, 1])
            _reliability(beside, one["history"]["diagram"])
            beside.set_title(pooled(one["history"]) or "reliability", loc="left", fontsize=9)
        return figure


def regime(history: Mapping[str, Any]) -> Figure:
    """Probability of the event over time, what climatology says, when it came true; below, where kept, the state."""
    with rc_context(STYLE):
        if "wild" not in history:
            figure = Figure(figsize=(9.4, 2.4), layout="constrained")
            chance(figure.add_subplot(), history)
            return figure
        figure = Figure(figsize=(9.4, 3.0), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        chance(above, history)
        _state(below, history)
        return figure


def pooled(history: Mapping[str, Any]) -> str:
    """How many markets the diagram and the figures stand for, where it is more than the one that is shown.

    >>> pooled({"pooled": 3}), pooled({"pooled": 1})
    ('3 markets pooled', '')
    """
    markets = int(history.get("pooled", 1))
    return f"{markets} markets pooled" if markets > 1 else ""


def chance(axes: Axes, history: Mapping[str, Any]) -> None:
    """`days` (ISO), `probability`, `happened` (0, 1 or None) and `climatology`."""
    days = np.array(history["days"], dtype="datetime64[D]")
    probability = np.array(history["probability"], dtype=np.float64)
    happened = np.array([value == 1 for value in history["happened"]])
    axes.fill_between(days, 0.0, 1.0, where=happened, color=LIMIT, alpha=0.14, linewidth=0, label="it happened")
    axes.plot(days, probability, color=FAN, linewidth=1.2, label="forecast")
    axes.axhline(float(history["climatology"]), color=QUIET, linewidth=1.0, linestyle=":", label="climatology")
    axes.set_ylim(0.0, min(1.0, 1.25 * float(np.nanmax(probability))))
    _dates(axes)
    axes.legend(frameon=False, ncols=3, loc="upper left", fontsize=9)


def _state(axes: Axes, history: Mapping[str, Any]) -> None:
    days = np.array(history["days"], dtype="datetime64[D]")
    axes.fill_between(days, 0.0, np.array(history["wild"], dtype=np.float64), color=QUIET, alpha=0.5, linewidth=0)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 1.0])
    axes.set_ylabel("wild", fontsize=8)
    _dates(axes)


def _reliability(axes: Axes, diagram: Sequence[Sequence[float]]) -> None:
    """Observed frequency over forecast probability; the area of a point is its number of days."""
    forecast, frequency, count = (np.array(one, dtype=np.float64) for one in zip(*diagram, strict=True))
    top = 1.08 * float(max(forecast.max(), frequency.max()))
    axes.plot([0.0, top], [0.0, top], color=QUIET, linewidth=1.0, linestyle=":")
    axes.scatter(forecast, frequency, s=220.0 * count / count.max() + 4.0, color=FAN, alpha=0.75, linewidth=0)
    axes.set_xlim(0.0, top)
    axes.set_ylim(0.0, top)
    axes.set_xlabel("forecast", fontsize=8)
    axes.set_ylabel("happened", fontsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _dates(axes: Axes) -> None:
    locator: Any = AutoDateLocator(maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if axes.get_ylabel() != "wild":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.margins(x=0.0)
