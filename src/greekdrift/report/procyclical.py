"""Pictures of a margin ahead of the event: its path with and without a dressing, and what calm costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from greekdrift.report.figures import FAN, GOOD, LIMIT, QUIET, STYLE

PANELS = (
    ("exceptions", "exceptions, % of origins", 100.0),
    ("peak_to_trough", "peak over trough", 1.0),
    ("call", "largest five-day call, % of IM", 100.0),
)
COLOURS = (FAN, LIMIT, GOOD, "#8a5bb5", "#b58a2f", "#3a9aa8")


def path_figure(book: Mapping[str, Any]) -> Figure:
    """The path of one book as `margin simulate` writes it: need and add-on as shares of IM, what came; IM below."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        days = np.array([one.removesuffix("Z") for one in book["as_of"]], dtype="datetime64[us]")
        requirement = np.array(book["requirement_usd"], dtype=np.float64)
        came = np.array([np.nan if one is None else one for one in book["realised_usd"]], dtype=np.float64)
        above.plot(
            days, 100.0 * np.maximum(came, 0.0) / requirement, ".", color=QUIET, markersize=3, label="what was needed"
        )
        above.plot(
            days, 100.0 * np.array(book["need_usd"]) / requirement, color=FAN, linewidth=1.0, label="forecast need"
        )
        above.plot(
            days, 100.0 * np.array(book["addon_usd"]) / requirement, color=LIMIT, linewidth=1.4, label="add-on, dressed"
        )
        above.set_ylabel("% of IM", fontsize=9)
        above.set_ylim(bottom=0.0)
        above.set_title(str(book["account_id"]), loc="left", fontsize=10)
        above.legend(
            frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, fontsize=9
        )
        below.plot(days, requirement, color=QUIET, linewidth=1.0)
        below.set_ylabel("IM, USD", fontsize=9)
        below.yaxis.set_major_formatter(EngFormatter(sep=""))
        _dates(below)
        return figure


def tradeoff_figure(
    lines: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    undressed: Mapping[str, float],
    chosen: Mapping[str, float] | None = None,
    nominal: float | None = None,
) -> Figure:
    """What calm costs: exceptions, peak over trough and call over the extra reserve, a line a device.

    A point holds `cost`, `exceptions`, `peak_to_trough` and `call`, as `score.tradeoff.Point` does, all as shares.
    `chosen`, the dressing that is used, is drawn as a star, `nominal` as a dotted line at the allowed exceptions.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(10.6, 3.7), layout="constrained")
        for axes, (name, label, factor) in zip(figure.subplots(1, 3), PANELS, strict=True):
            for (device, points), colour in zip(lines.items(), COLOURS * 3, strict=False):
                axes.plot(
                    [100.0 * one["cost"] for one in points],
                    [factor * one[name] for one in points],
                    "o-",
                    color=colour,
                    linewidth=1.2,
                    markersize=3.5,
                    label=device,
                )
            axes.plot([0.0], [factor * undressed[name]], "s", color=QUIET, markersize=7, label="undressed")
            if chosen is not None:
                axes.plot(
                    [100.0 * chosen["cost"]],
                    [factor * chosen[name]],
                    "*",
                    color="#1c2733",
                    markersize=13,
                    linestyle="none",
                    label="dressing",
                )
            if name == "exceptions" and nominal is not None:
                axes.axhline(100.0 * nominal, color=QUIET, linewidth=1.0, linestyle=":")
            axes.set_title(label, loc="left", fontsize=10)
            axes.set_xlabel("more reserve, %", fontsize=9)
            axes.set_ylim(0.0, 1.08 * axes.dataLim.y1)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
        return figure


def _dates(axes: Axes) -> None:
    locator: Any = AutoDateLocator(minticks=3, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0.0)
