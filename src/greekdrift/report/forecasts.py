"""Pictures of a forecast alone: a grid of fans, and the drift by cause."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from greekdrift.forecast.attribution import PARTS, DriftForecast
from greekdrift.report.figures import FAN, QUIET, STYLE, draw_fan

COLUMNS = 3
COLOURS = ("#8a97a5", "#2f6db5", "#c2452d", "#d99a2b", "#6a4c93", "#2b8a5b")
"""Clock, spot, level, skew, curvature, cross."""
ADAPTED = "#1c2733"


def grid(quantities: Sequence[Mapping[str, Any]], horizons: Sequence[float], *, title: str = "") -> Figure:
    """Fans of many quantities, three in a row, with breach probability and adapted intervals (see `figures.fan`)."""
    rows = max(ceil(len(quantities) / COLUMNS), 1)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4 * COLUMNS, 2.7 * rows + 0.3 * bool(title)), layout="constrained")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        for at, quantity in enumerate(quantities):
            axes = figure.add_subplot(rows, COLUMNS, at + 1)
            draw_fan(axes, quantity, horizons)
            _reported(axes, quantity, horizons)
            _chance(axes, quantity)
        return figure


def _reported(axes: Axes, quantity: Mapping[str, Any], horizons: Sequence[float]) -> None:
    """The adapted interval at each horizon that has one, as a bar with ends; an end that is unbounded has none."""
    bottom, top = axes.get_ylim()
    for at, hours in enumerate(horizons):
        if quantity.get("interval_kind", ())[at : at + 1] != ["conformal"]:
            continue
        ends = quantity["interval_low"][at], quantity["interval_high"][at]
        low, high = (edge if end is None else end for end, edge in zip(ends, (bottom, top), strict=True))
        axes.plot([hours, hours], [low, high], color=ADAPTED, linewidth=1.6, zorder=4, clip_on=False)
        known = [end for end in ends if end is not None]
        axes.plot([hours] * len(known), known, "_", color=ADAPTED, markersize=9, zorder=4, clip_on=False)
        bottom, top = min([bottom, *known]), max([top, *known])
    axes.set_ylim(bottom, top)


def _chance(axes: Axes, quantity: Mapping[str, Any]) -> None:
    """The probability of a breach by the last horizon and its Monte-Carlo error, below it, clear of a long title."""
    if quantity.get("breach_probability") is None:
        return
    chance, error = quantity["breach_probability"][-1], quantity["breach_error"][-1]
    axes.set_xlabel(f"{axes.get_xlabel()}, breach {chance:.1%} ± {error:.1%}")


def causes(parts: DriftForecast, account: str) -> Figure | None:
    """Drift of each quantity of an account by cause at the last horizon: mean as a dot, the middle 80 % as a bar.

    None where nothing drifts.
    """
    names = [name for name in parts.total.quantities if np.any(parts.of(account, name) != 0.0)]
    if not names:
        return None
    rows = ceil(len(names) / COLUMNS)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4 * COLUMNS, 2.5 * rows + 0.3), layout="constrained")
        last = parts.total.horizons[-1]
        figure.suptitle(f"{account}: drift in {last:g} h by cause", x=0.01, ha="left", fontsize=13, fontweight="bold")
        for at, name in enumerate(names):
            axes = figure.add_subplot(rows, COLUMNS, at + 1)
            mean = parts.mean(account, name)[:, -1]
            low, high = parts.quantile(account, name, (0.1, 0.9))[:, :, -1]
            for place, colour in enumerate(COLOURS):
                axes.plot([low[place], high[place]], [place, place], color=colour, linewidth=5.0, alpha=0.45)
                axes.plot(mean[place], place, "o", color=colour, markersize=5)
            axes.axvline(0.0, color=QUIET, linewidth=1.0)
            axes.axvline(float(mean.sum()), color=FAN, linewidth=1.0, linestyle=":")
            axes.set_yticks(range(len(PARTS)), PARTS)
            axes.invert_yaxis()
            axes.set_title(name, loc="left", fontsize=11, fontweight="bold")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        return figure
