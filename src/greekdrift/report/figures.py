"""The pictures of the report, as self-contained SVG: fans against their bands, scorecard."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

INK = "#1c2733"
QUIET = "#7b8794"
FAN = "#2f6db5"
SHADES = ((0.025, 0.975, 0.16), (0.1, 0.9, 0.24), (0.25, 0.75, 0.36))
"""Lower and upper quantile of each ribbon and its opacity."""
LIMIT = "#c2452d"
FARTHEST = 6.0
"""A limit farther away than so many times the height of the fan is named, not drawn."""
GOOD = "#2b8a5b"

STYLE: Any = {
    "axes.edgecolor": "#c9d1d9",
    "axes.grid": True,
    "axes.labelcolor": QUIET,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "grid.color": "#e7ecf0",
    "svg.fonttype": "none",
    "svg.hashsalt": "greekdrift",
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def fan(quantity: Mapping[str, Any], horizons: Sequence[float]) -> Figure:
    """Quantiles of one quantity over the horizons, from its value now, against its band.

    `quantity` holds `label`, `now`, `lower`, `upper` (None where there is no band), `quantiles` by level and,
    where it is known, what was `realised` at the horizons.
    """
    return fans([quantity], horizons)


def fans(quantities: Sequence[Mapping[str, Any]], horizons: Sequence[float]) -> Figure:
    """Several quantities side by side, each as in `fan`."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4 * len(quantities), 2.6), layout="constrained")
        for column, quantity in enumerate(quantities):
            draw_fan(figure.add_subplot(1, len(quantities), column + 1), quantity, horizons)
        return figure


def draw_fan(axes: Axes, quantity: Mapping[str, Any], horizons: Sequence[float]) -> None:
    """One fan on axes that are there."""
    hours = np.array([0.0, *horizons])
    _ribbons(axes, hours, quantity)
    _band(axes, hours, quantity)
    axes.plot(0.0, quantity["now"], "o", color=INK, markersize=5, zorder=5, clip_on=False)
    _realised(axes, hours[1:], quantity)
    axes.set_title(_plain(quantity["label"]), loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel("hours from now")
    axes.set_xticks(hours)
    axes.margins(x=0.02)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))


def _ribbons(axes: Axes, hours: np.ndarray, quantity: Mapping[str, Any]) -> None:
    now = float(quantity["now"])
    quantiles = {float(level): np.array([now, *values]) for level, values in quantity["quantiles"].items()}
    for lower, upper, opacity in SHADES:
        if lower in quantiles and upper in quantiles:
            axes.fill_between(hours, quantiles[lower], quantiles[upper], color=FAN, alpha=opacity, linewidth=0)
    if 0.5 in quantiles:
        axes.plot(hours, quantiles[0.5], color=FAN, linewidth=1.6)


def _realised(axes: Axes, hours: np.ndarray, quantity: Mapping[str, Any]) -> None:
    known = [(at, value) for at, value in zip(hours, quantity.get("realised") or (), strict=False) if value is not None]
    if known:
        at, values = zip(*known, strict=True)
        diamond: Any = {"color": "white", "markeredgecolor": INK, "markeredgewidth": 1.4, "markersize": 5}
        axes.plot(at, values, "D", zorder=6, clip_on=False, **diamond)


def _band(axes: Axes, hours: np.ndarray, quantity: Mapping[str, Any]) -> None:
    edges = [quantity.get(side) for side in ("lower", "upper")]
    known = [float(edge) for edge in edges if edge is not None]
    low, high = axes.get_ylim()
    near = [edge for edge in known if max(low - edge, edge - high) < FARTHEST * (high - low)]
    low, high = min([low, *near]), max([high, *near])
    room = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(hours[0], hours[-1])
    for edge in near:
        axes.axhline(edge, color=LIMIT, linewidth=1.2, linestyle=(0, (4, 2)))
        side = low - room if edge == edges[0] else high + room
        axes.axhspan(min(edge, side), max(edge, side), color=LIMIT, alpha=0.06, linewidth=0)
    far = [edge for edge in known if edge not in near]
    if far:
        words = "limit" if len(far) == 1 else "limits"
        text = f"{words} {', '.join(EngFormatter(sep='')(edge) for edge in far)} far out of view"
        height, anchor = (0.03, "bottom") if far[0] < low else (0.97, "top")
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": anchor, "bbox": paper}
        axes.text(0.99, height, text, color=LIMIT, fontsize=8, **place)


def scores(rows: Sequence[Mapping[str, Any]], *, bar: str) -> Figure:
    """Loss of each forecaster relative to the bar, with its interval; left of 1 is better.

    Each row holds `name`, `ratio`, `lower`, `upper`.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 0.42 * len(rows) + 1.0), layout="constrained")
        axes = figure.add_subplot()
        for at, row in enumerate(rows):
            is_better = row["upper"] is not None and row["upper"] < 1.0
            colour = GOOD if is_better else FAN
            if row["lower"] is not None:
                axes.plot([row["lower"], row["upper"]], [at, at], color=colour, linewidth=3.0, alpha=0.45)
            axes.plot(row["ratio"], at, "o", color=colour, markersize=6)
        axes.axvline(1.0, color=INK, linewidth=1.0)
        axes.set_yticks(range(len(rows)), [_plain(row["name"]) for row in rows])
        axes.tick_params(axis="y", labelsize=10, colors=INK)
        axes.invert_yaxis()
        axes.set_xlabel(f"loss relative to {_plain(bar)} (less is better; bar = 95 % block bootstrap interval)")
        return figure


def calibration(histograms: Mapping[str, Any], diagrams: Mapping[str, Any]) -> Figure:
    """Share of the outcomes by tenth of the predicted distribution, and observed against stated breaches.

    Each histogram holds `shares`, `lower`, `upper`; each diagram `forecast`, `frequency`, `lower`, `upper`. The last
    forecaster is drawn strong with the band in which a calibrated one would lie, the others thin.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        tenths, last = np.arange(1, 11), list(histograms)[-1]
        left.axhline(0.1, color=INK, linewidth=1.0)
        right.plot([0.0, 1.0], [0.0, 1.0], color=INK, linewidth=1.0)
        for name, one in histograms.items():
            _calibrated(left, tenths, one["shares"], one, is_own=name == last, label=name)
        for name, one in diagrams.items():
            _calibrated(right, one["forecast"], one["frequency"], one, is_own=name == last, label=name)
        highest = max(
            max(one["shares"]) for name, one in histograms.items() if max(one["shares"]) < 0.3 or name == last
        )
        left.set_ylim(0.0, 1.15 * highest)
        left.set_xticks(tenths)
        left.set_xlabel("tenth of the predicted distribution")
        left.set_ylabel("share of the outcomes")
        left.legend(frameon=False, fontsize=8, loc="lower center")
        right.set_xlabel("stated probability of a breach")
        right.set_ylabel("observed")
        return figure


def _calibrated(axes: Axes, x: Any, y: Any, ends: Mapping[str, Any], *, is_own: bool, label: str) -> None:
    """One forecaster; its band too if it is the one shown."""
    if not is_own:
        axes.plot(x, y, color=QUIET, linewidth=0.8, alpha=0.5)
        return
    if ends["lower"] is not None:
        axes.fill_between(x, ends["lower"], ends["upper"], color=FAN, alpha=SHADES[0][2], linewidth=0)
    axes.plot(x, y, "o-", color=FAN, markersize=4, label=_plain(label))


def image(figure: Figure, alt: str) -> str:
    """An `<img>` that holds the figure itself, so that the page needs nothing else."""
    file = BytesIO()
    with rc_context(STYLE):
        settle(figure)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt, quote=True)}" src="data:image/svg+xml;base64,{data}">'


def settle(figure: Figure) -> None:
    """Lays a figure out once and rounds the places of its axes.

    The last bits of a layout depend on the order of the solver's memory, and the names inside an SVG on those bits.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x, y, width, height = (round(float(number), 6) for number in axes.get_position(original=True).bounds)
        axes.set_position((x, y, width, height))


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return str(text).replace("$", r"\$")
