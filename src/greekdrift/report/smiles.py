"""The fitted surface of one underlying as a picture: each smile with its quotes and errors, and all of them in time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullLocator

from greekdrift import units
from greekdrift.report.figures import FAN, INK, LIMIT, QUIET, STYLE

COLUMNS = 4
MAP = "viridis"
DARK_PART = 1.2
"""The map of colours reaches so much beyond the last expiry, where it is too light to read."""
TICKS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 540, 730)
"""Days that may be marked on the term structure."""


def smiles(panels: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Smiles of the expiries in order of time, and below them total variance in moneyness and the term structure.

    A panel holds `title`, `note`, `days`, `atm`; of the quotes `k`, `bid`, `ask`, `mark` (volatilities, NaN where there
    is none), whether it has both sides, `is_quoted`, and its `error`, slice less mark; of the fit `line_k` and `line`;
    and `quoted`, the range of k that it was fitted on.
    """
    rows = -(-len(panels) // COLUMNS)
    with rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
        figure = Figure(figsize=(4.1 * COLUMNS, 3.0 * rows + 4.0), layout=layout)
        figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=13, fontweight="bold")
        halves: Any = figure.subfigures(2, 1, height_ratios=[3.0 * rows, 3.6])
        upper, lower = halves
        cells = upper.subfigures(rows, COLUMNS, squeeze=False)
        for at, panel in enumerate(panels):
            cell = cells[at // COLUMNS][at % COLUMNS]
            smile, error = cell.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
            _draw_smile(smile, panel)
            _draw_error(error, panel)
        left, right = lower.subplots(1, 2)
        _draw_variance(left, panels)
        _draw_term(right, panels)
        return figure


def _draw_smile(axes: Axes, panel: Mapping[str, Any]) -> None:
    k, bid, ask = (np.asarray(panel[name]) for name in ("k", "bid", "ask"))
    is_both = np.isfinite(bid) & np.isfinite(ask)
    axes.vlines(k[is_both], 100.0 * bid[is_both], 100.0 * ask[is_both], color=QUIET, alpha=0.55, linewidth=1.1)
    used, mark = np.asarray(panel["is_quoted"], dtype=bool), 100.0 * np.asarray(panel["mark"])
    axes.plot(k[used], mark[used], "o", color=INK, markersize=2.4, zorder=4)
    axes.plot(k[~used], mark[~used], "x", color=QUIET, markersize=3.0, zorder=3)
    line_k, line = np.asarray(panel["line_k"]), 100.0 * np.asarray(panel["line"])
    low, high = panel["quoted"]
    is_in = (line_k >= low) & (line_k <= high)
    axes.plot(line_k, line, color=FAN, linewidth=1.0, linestyle=(0, (3, 2)))
    axes.plot(line_k[is_in], line[is_in], color=FAN, linewidth=1.8)
    axes.set_title(_plain(panel["title"]), loc="left", fontsize=9.5, fontweight="bold")
    axes.text(
        0.98, 0.96, _plain(panel["note"]), transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=QUIET
    )
    seen = np.r_[line[is_in], mark[used]] if np.any(used) else line
    room = 0.25 * max(float(np.ptp(seen)), 2.0)
    axes.set_ylim(float(seen.min()) - room, float(seen.max()) + 2.0 * room)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.tick_params(labelsize=7.5)


def _draw_error(axes: Axes, panel: Mapping[str, Any]) -> None:
    """Errors in points over half the spread of each quote."""
    used = np.asarray(panel["is_quoted"], dtype=bool)
    k, error = np.asarray(panel["k"])[used], 100.0 * np.asarray(panel["error"])[used]
    half = 50.0 * (np.asarray(panel["ask"]) - np.asarray(panel["bid"]))[used]
    is_both = np.isfinite(half)
    axes.vlines(k[is_both], -half[is_both], half[is_both], color=QUIET, alpha=0.3, linewidth=2.2)
    axes.plot(k, error, "o", color=LIMIT, markersize=2.2, zorder=4)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    reach = 1.25 * max(float(np.abs(error).max(initial=0.0)), 0.5)
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("points", fontsize=7)
    axes.tick_params(labelsize=7)


def _draw_variance(axes: Axes, panels: Sequence[Mapping[str, Any]]) -> None:
    """Total variance by log-moneyness; lines that cross would be calendar arbitrage."""
    shade = _shade(panels)
    for panel in panels:
        line_k, line = np.asarray(panel["line_k"]), np.asarray(panel["line"])
        years = max(panel["days"], 1.0 / 1440.0) / units.DAYS_PER_YEAR
        color = shade.to_rgba(np.log(max(panel["days"], 0.01)))
        axes.plot(line_k, line**2 * years, color=color, linewidth=1.3)
        axes.annotate(
            f" {panel['days']:.3g} d", (line_k[-1], line[-1] ** 2 * years), fontsize=7, color=color, va="center"
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("Total variance by expiry: no line may cross another", loc="left", fontsize=9.5, fontweight="bold")
    axes.set_xlabel("ln(K/F)", fontsize=8.5)
    axes.tick_params(labelsize=8)


def _draw_term(axes: Axes, panels: Sequence[Mapping[str, Any]]) -> None:
    days = np.array([panel["days"] for panel in panels])
    axes.plot(days, [100.0 * panel["atm"] for panel in panels], "o-", color=FAN, markersize=4, linewidth=1.3)
    axes.set_xscale("log")
    axes.set_xticks([day for day in TICKS if 0.7 * days.min() <= day <= 1.4 * days.max()])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title("Volatility at the money by days to expiry", loc="left", fontsize=9.5, fontweight="bold")
    axes.set_xlabel("days", fontsize=8.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.tick_params(labelsize=8)


def _shade(panels: Sequence[Mapping[str, Any]]) -> ScalarMappable:
    life = np.log([max(panel["days"], 0.01) for panel in panels])
    low, high = float(life.min()), float(life.max())
    return ScalarMappable(norm=Normalize(low, low + DARK_PART * max(high - low, 1.0)), cmap=MAP)


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return str(text).replace("$", r"\$")
