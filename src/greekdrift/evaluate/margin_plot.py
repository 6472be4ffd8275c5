"""The picture of a margin scorecard: reserves along time beside what was needed, ratios with their intervals."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from greekdrift.evaluate.margin_card import MarginCard
from greekdrift.evaluate.margin_measures import BAR, PLAIN
from greekdrift.evaluate.margin_results import Cells, MarginResults
from greekdrift.evaluate.margin_rules import PAST, reserve, simple_rules
from greekdrift.evaluate.reserves import equal_average
from greekdrift.evaluate.results import mean_over_cells

COLOURS = ("#2f6db5", "#c2452d", "#d99a2b", "#8a97a5")
INK = "#1c2733"
STYLE: Any = {"axes.spines.right": False, "axes.spines.top": False, "font.size": 9.5, "axes.edgecolor": "#c9d1d9"}


def reserve_paths(results: MarginResults, card: MarginCard) -> Figure:
    """Mean reserve over books of the last forecaster and of rules at its average, above the mean need.

    Below: shortfall over each rival at equal average reserve, by forecaster, with its interval.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 7.0), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=(1.5, 1.0))
        _paths(above, results, card)
        _ratios(below, card)
        return figure


def shock_path(results: MarginResults, name: str, *, dressed: Cells | None = None, days: float = 12.0) -> Figure:
    """Days around the largest rise of volatility over a horizon: full quantile of a forecaster as a reserve, and rules.

    `dressed` is the same reserve as it would be held, USD. Means over books in shares of each book's mean requirement;
    the reactive rule and the requirement are held at the average of the forecaster's reserve over the whole test.
    """
    margin, usual = results.truth.initial_margin[results.tested], results.usual_requirement
    need = mean_over_cells(np.maximum(results.need, 0.0) / usual)
    steps = max(1, round(results.settings.headline / results.step_hours))
    middle = results.origin[int(np.argmax(results.level[steps:] - results.level[:-steps]))]
    shown = np.abs((results.origin - middle) / np.timedelta64(1, "h")) <= 24.0 * days
    own = np.maximum(results.of(name).quantile(results.margin.gate_level), 0.0) / results.unit
    rules = {rule: shape[results.tested] for rule, shape in simple_rules(results).items()}
    lines = {f"{name}, {100.0 * results.margin.gate_level:g} %": own}
    if dressed is not None:
        lines["the same, dressed"] = dressed / results.unit
    lines["IM · EWMA (reactive)"] = usual * _equalised(own / usual, rules["IM · EWMA"] / usual)
    lines["IM"] = usual * _equalised(own / usual, rules["IM"] / usual)
    with rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(results.origin[shown], need[shown], width=0.4, color=INK, alpha=0.28, label="need, next 24 h")
        for colour, (label, cells) in zip((COLOURS[0], "#2b8a5b", *COLOURS[1:3]), _kept(lines, dressed), strict=False):
            level = mean_over_cells(np.where(np.isfinite(margin), cells / usual, np.nan))
            axes.plot(results.origin[shown], level[shown], color=colour, linewidth=1.7, label=label)
        axes.set_ylabel("share of the usual requirement, mean over books")
        axes.set_title("Reserve around the largest rise of volatility of the test", loc="left", fontweight="bold")
        axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper right")
        axes.set_ylim(0.0, 1.18 * axes.get_ylim()[1])
        return figure


def _kept(lines: dict[str, Cells], dressed: Cells | None) -> list[tuple[str, Cells]]:
    """The lines in the order of their colours; a gap where nothing is dressed."""
    found = list(lines.items())
    return found if dressed is not None else [found[0], ("", np.full(found[0][1].shape, np.nan)), *found[1:]]


def _paths(axes: Axes, results: MarginResults, card: MarginCard) -> None:
    name = card.forecasters[-1]
    own = reserve(results, name)
    need = mean_over_cells(np.maximum(results.need, 0.0))
    axes.bar(results.origin, need, width=0.5, color=INK, alpha=0.28, label="need, mean over books")
    axes.plot(results.origin, mean_over_cells(own), color=COLOURS[0], linewidth=1.6, label=f"{name} (reserve)")
    rules = {rule: shape[results.tested] for rule, shape in simple_rules(results).items()}
    shown = {"IM": rules["IM"], PAST: rules[PAST]}
    if PLAIN in results.scores and name != PLAIN:
        shown[PLAIN] = reserve(results, PLAIN)
    for colour, (rule, shape) in zip(COLOURS[1:], shown.items(), strict=False):
        level = mean_over_cells(_equalised(own, shape))
        axes.plot(results.origin, level, color=colour, linewidth=1.1, label=f"{rule} at its average")
    axes.set_ylabel("in units of the usual need")
    axes.set_title("Reserve before the need", loc="left", fontweight="bold")
    axes.legend(frameon=False, fontsize=8, ncols=3)


def _equalised(own: Cells, shape: Cells) -> Cells:
    is_there = np.isfinite(own) & np.isfinite(shape)
    left, right = (np.where(is_there, cells, 0.0) for cells in (own, shape))
    factor = equal_average(left, right, np.ones(len(own)))
    return np.where(is_there, factor * shape, np.nan)


def _ratios(axes: Axes, card: MarginCard) -> None:
    rivals = [card.best, PAST, *(one for one in (PLAIN, BAR) if one in card.forecasters)]
    for number, rival in enumerate(rivals):
        for at, name in enumerate(card.forecasters):
            one = card.find(name, "shortfall", rival)
            if one is None or name == rival:
                continue
            place, colour = at + 0.18 * (number - 1.5), COLOURS[number]
            if one.lower is not None and one.upper is not None:
                axes.plot([one.lower, one.upper], [place, place], color=colour, linewidth=2.4, alpha=0.5)
            is_first = rival not in axes.get_legend_handles_labels()[1]
            axes.plot(one.value, place, "o", color=colour, markersize=4, label=rival if is_first else None)
    axes.axvline(1.0, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(card.forecasters)), card.forecasters)
    axes.invert_yaxis()
    axes.set_xlabel("shortfall over the rival's at equal average reserve (less is better; bar: 95 % interval)")
    axes.legend(frameon=False, fontsize=8, ncols=4)
