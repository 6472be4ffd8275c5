"""Waterfalls: from nothing to the realised change of each quantity, one bar a cause."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from greekdrift.report.figures import FAN, INK, LIMIT, QUIET, STYLE

MOST = 24
"""Panels that a picture holds; more cannot be read."""


def waterfalls(panels: Sequence[Mapping[str, Any]], *, columns: int, title: str) -> Figure:
    """One panel each: `title`, `quantity`, `parts` (name → change, None where not known) and `total` (None likewise).

    Bars stand on each other: up in blue, down in red, the sum in ink.
    """
    rows = -(-len(panels) // columns)
    with rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(4.6 * columns, 2.75 * rows + 0.3), layout=layout)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=QUIET)
        for at, panel in enumerate(panels):
            _draw(figure.add_subplot(rows, columns, at + 1), panel)
        return figure


def _draw(axes: Axes, panel: Mapping[str, Any]) -> None:
    names = [*panel["parts"], "change"]
    parts = np.array([np.nan if part is None else part for part in panel["parts"].values()])
    steps = np.r_[0.0, np.cumsum(np.nan_to_num(parts))]
    for at, part in enumerate(parts):
        if isfinite(part):
            axes.bar(at, part, bottom=steps[at], color=FAN if part >= 0.0 else LIMIT, width=0.62, zorder=3)
        else:
            axes.text(at, steps[at], "?", ha="center", va="center", color=QUIET)
    for at, (_, level) in enumerate(pairwise(steps)):
        axes.plot([at - 0.31, at + 1.31], [level, level], color=QUIET, linewidth=0.8, zorder=2)
    total = panel["total"]
    if total is None:
        axes.text(parts.size, 0.0, "unknown", ha="center", va="bottom", color=QUIET, fontsize=8, rotation=90)
    else:
        axes.bar(parts.size, total, color=INK, width=0.62, zorder=3)
    _label(axes, parts, steps, total)
    axes.axhline(0.0, color=INK, linewidth=0.9, zorder=4)
    axes.set_title(str(panel["title"]).replace("$", r"\$"), loc="left", fontsize=10.5, fontweight="bold")
    axes.set_ylabel(panel["quantity"], fontsize=8.5)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    axes.tick_params(axis="y", labelsize=8.5)
    axes.use_sticky_edges = False
    axes.margins(x=0.03, y=0.14)


def _label(axes: Axes, parts: np.ndarray, steps: np.ndarray, total: float | None) -> None:
    """The number of each bar beyond its far end."""
    bars = [(at, float(part), float(steps[at] + part)) for at, part in enumerate(parts) if isfinite(part)]
    if total is not None:
        bars.append((parts.size, total, total))
    largest = max((abs(part) for _, part, _ in bars), default=0.0)
    for at, part, end in bars:
        if largest > 0.0 and abs(part) >= 0.01 * largest:
            side = "bottom" if part >= 0.0 else "top"
            offset = (0, 2 if part >= 0.0 else -2)
            axes.annotate(
                _short(part, digits=2),
                (at, end),
                xytext=offset,
                textcoords="offset points",
                ha="center",
                va=side,
                fontsize=7.5,
                zorder=5,
            )


def _short(value: float, *, digits: int = 3) -> str:
    """A few significant digits, thousands and millions by letter.

    >>> _short(-12345.0), _short(0.01234), _short(0.01234, digits=2), _short(2.5e6)
    ('−12.3k', '0.0123', '0.012', '2.5M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}".replace("-", "−")
    return (f"{value:.0f}" if abs(value) >= 10.0**digits else f"{value:.{digits}g}").replace("-", "−")
