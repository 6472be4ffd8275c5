"""The map of an account's margin as a picture: P&L and requirement over spot and volatility, and the scenarios."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from greekdrift.report.figures import INK, QUIET, STYLE

STATES = ("up", "none", "down")
"""Volatility states of a rule set, from the top."""
GAINS, NEEDS = "RdBu", "YlOrRd"
MOST = 8
"""Maps that a picture holds; more cannot be read."""


def margin_maps(panels: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """One row each: P&L over spot and volatility, initial margin over the same, and the rule set's scenarios.

    A panel holds `title`, `spot` and `volatility` (relative moves), `pnl_usd`, `initial_margin_usd` and
    `initial_health_usd` (volatility, spot), and `cells`: `label`, `move`, `volatility`, `pnl_usd`, `is_binding`.
    """
    with rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(16.5, 3.9 * len(panels) + 0.4), layout=layout)
        figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=13, fontweight="bold")
        for at, panel in enumerate(panels):
            row = [figure.add_subplot(len(panels), 3, 3 * at + column) for column in (1, 2, 3)]
            _map(figure, row[0], panel, "pnl_usd", f"{panel['title']}: P&L, USD")
            _map(figure, row[1], panel, "initial_margin_usd", "initial margin, USD")
            _scenarios(row[2], panel["cells"])
        return figure


def _map(figure: Figure, axes: Axes, panel: Mapping[str, Any], name: str, title: str) -> None:
    spot, volatility = 100.0 * np.asarray(panel["spot"]), 100.0 * np.asarray(panel["volatility"])
    values, health = np.asarray(panel[name]), np.asarray(panel["initial_health_usd"])
    is_gain = name == "pnl_usd"
    colours: Any = {"cmap": GAINS, "norm": _around_zero(values)} if is_gain else {"cmap": NEEDS}
    drawn = axes.pcolormesh(spot, volatility, values, shading="gouraud", rasterized=True, **colours)
    figure.colorbar(drawn, ax=axes, format=lambda value, _: _short(value), pad=0.02)
    if health.min() < 0.0 < health.max():
        line = axes.contour(spot, volatility, health, levels=[0.0], colors=[INK], linewidths=1.4)
        axes.clabel(line, fmt=lambda _: "call", fontsize=8)
    binding = [one for one in panel["cells"] if one["is_binding"]]
    for one in binding:
        if spot[0] <= 100.0 * one["move"] <= spot[-1]:
            axes.axvline(100.0 * one["move"], color=INK, linewidth=0.9, linestyle=":")
    axes.plot(0.0, 0.0, "o", color="white", markeredgecolor=INK, markersize=6, zorder=5)
    axes.set_title(_plain(title), loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xlabel("spot, % of now")
    axes.set_ylabel("volatility, % of now")
    axes.grid(visible=False)


def _scenarios(axes: Axes, cells: Sequence[Mapping[str, Any]]) -> None:
    """What counts in each scenario as a tile; the binding one is framed."""
    axes.set_title("rule set's scenarios, P&L that counts, USD", loc="left", fontsize=10.5, fontweight="bold")
    axes.grid(visible=False)
    if not cells:
        axes.text(
            0.5, 0.5, "this form has no scenarios", ha="center", va="center", color=QUIET, transform=axes.transAxes
        )
        axes.set_axis_off()
        return
    moves = sorted({one["move"] for one in cells})
    values = np.full((len(STATES), len(moves)), np.nan)
    norm = _around_zero(np.array([one["pnl_usd"] for one in cells]))
    for one in cells:
        row, column = STATES.index(one["volatility"]), moves.index(one["move"])
        if np.isnan(values[row, column]) or one["pnl_usd"] < values[row, column]:
            values[row, column] = one["pnl_usd"]
    axes.imshow(values, cmap=GAINS, norm=norm, aspect="auto")
    for row, column in np.argwhere(np.isfinite(values)):
        shade = abs(float(norm(values[row, column])) - 0.5)
        colour = "white" if shade > 0.32 else INK
        axes.text(
            column, row, _short(values[row, column]), ha="center", va="center", fontsize=6.8, color=colour, rotation=90
        )
    for one in cells:
        if one["is_binding"]:
            corner = (moves.index(one["move"]) - 0.5, STATES.index(one["volatility"]) - 0.5)
            axes.add_patch(Rectangle(corner, 1.0, 1.0, fill=False, edgecolor=INK, linewidth=2.2, zorder=6))
            axes.set_xlabel(f"binding: {one['label']}", loc="left", fontsize=8.5)
    axes.set_xticks(range(len(moves)), [f"{100.0 * move:+.4g} %" for move in moves], rotation=90, fontsize=7.5)
    axes.set_yticks(range(len(STATES)), [f"volatility {state}" for state in STATES], fontsize=8)
    axes.tick_params(length=0)


def _around_zero(values: np.ndarray) -> TwoSlopeNorm:
    """Colours with nothing in the middle, as far to either side as the larger one."""
    most = max(float(np.abs(values).max()), 1e-9)
    return TwoSlopeNorm(vcenter=0.0, vmin=-most, vmax=most)


def _short(value: float) -> str:
    """Thousands and millions by letter.

    >>> _short(-12345.0), _short(2.5e6), _short(-0.1)
    ('−12.3k', '2.5M', '0')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}".replace("-", "−")
    return f"{round(value) + 0.0:.0f}".replace("-", "−")


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
