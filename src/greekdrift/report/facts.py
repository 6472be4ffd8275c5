"""Stylised facts of several markets in one picture: correlations, tails, and two term structures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from greekdrift.report.figures import STYLE

if TYPE_CHECKING:
    from greekdrift.features.facts import Facts

COLOURS = ("#2f6db5", "#1b9aaa", "#c2452d", "#e08e45", "#2b8a5b", "#7b5ea7")
CORRELATIONS = {
    "repeats": "return and the next",
    "clusters": "|return| and the next",
    "leverage": "return and next |return|",
    "repeats_of_atm": "Δ ln σ and the next",
    "spot_vol_put": "return and Δ ln σ, −1 sd",
    "spot_vol_30": "return and Δ ln σ, money",
    "spot_vol_call": "return and Δ ln σ, +1 sd",
}
TAILS = {"kurtosis": "returns", "kurtosis_of_atm": "Δ ln σ at the money"}


def picture(markets: "Mapping[str, Facts]") -> Figure:
    """One colour a market: correlations, excess kurtosis, and by tenor how volatility follows the spot and moves."""
    with rc_context(STYLE):
        figure = Figure(figsize=(13.0, 8.0), layout="constrained")
        axes: Any = figure.subplots(2, 2, width_ratios=[1.25, 1.0])
        _bars(axes[0, 0], markets, CORRELATIONS, title="Correlations (30 days where a tenor is needed)")
        _bars(axes[1, 0], markets, TAILS, title="Excess kurtosis")
        _terms(axes[0, 1], markets, "spot_vol_", title="Correlation of return and Δ ln σ by tenor")
        _terms(axes[1, 1], markets, "volatility_of_atm_", title="Volatility of ln σ at the money by tenor, a year")
        axes[1, 1].set_yscale("log")
        for formatted in (axes[1, 1].yaxis.set_major_formatter, axes[1, 1].yaxis.set_minor_formatter):
            formatted(StrMethodFormatter("{x:g}"))
        handles, labels = axes[0, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1), frameon=False)
        return figure


def _bars(axes: Axes, markets: "Mapping[str, Facts]", names: Mapping[str, str], *, title: str) -> None:
    place, height = np.arange(len(names)), 0.8 / len(markets)
    for at, one in enumerate(markets.values()):
        values = [one.measures[name] for name in names]
        axes.barh(place + (at - 0.5 * (len(markets) - 1)) * height, values, height, color=_colour(at))
    axes.set_axisbelow(True)
    axes.set_yticks(place, list(names.values()))
    axes.invert_yaxis()
    axes.axvline(0.0, color="#7b8794", linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=11)


def _terms(axes: Axes, markets: "Mapping[str, Facts]", prefix: str, *, title: str) -> None:
    for at, (label, one) in enumerate(markets.items()):
        ends = {name.removeprefix(prefix): value for name, value in one.measures.items() if name.startswith(prefix)}
        days = sorted(int(end) for end in ends if end.isdigit())
        axes.plot(days, [ends[str(day)] for day in days], "o-", color=_colour(at), markersize=4, label=label)
        axes.set_xscale("log")
        axes.set_xticks(days, [str(day) for day in days])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("days")
    axes.set_title(title, loc="left", fontsize=11)


def _colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]
