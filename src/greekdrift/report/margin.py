"""Picture of a forecast of margin: fans of requirement and excess, cash that may be needed, chances of a call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from greekdrift.report.figures import FAN, INK, LIMIT, QUIET, STYLE, draw_fan

FANS = (("initial_margin_usd", "initial margin, USD"), ("excess_usd", "equity less initial margin, USD"))
COLOURS = {"0.95": "#d99a2b", "0.99": LIMIT}


def margin_fans(accounts: Mapping[str, Mapping[str, Any]], checks: Sequence[float], *, title: str = "") -> Figure:
    """One row an account: fans of IM and of excess (a call is due below 0), cash needed, chance of a call.

    Each account holds `now` and `quantiles` by quantity, `liquidity_at_risk_usd` by level, `call` and `liquidation`,
    each with its `within` by check.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(16.0, 2.9 * len(accounts) + 0.3 * bool(title)), layout="constrained")
        grid = figure.subplots(len(accounts), 4, squeeze=False)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        for row, (name, account) in zip(grid, accounts.items(), strict=True):
            for axes, (quantity, label) in zip(row[:2], FANS, strict=True):
                shown = {
                    "label": f"{name}: {label}",
                    "now": account["now"][quantity],
                    "lower": 0.0 if quantity == "excess_usd" else None,
                    "upper": None,
                    "quantiles": account["quantiles"][quantity],
                }
                draw_fan(axes, shown, checks)
            _cash(row[2], account, checks)
            _chances(row[3], account, checks)
        return figure


def _cash(axes: Axes, account: Mapping[str, Any], checks: Sequence[float]) -> None:
    """Liquidity at risk by the end of each check."""
    hours = [0.0, *checks]
    for level, values in account["liquidity_at_risk_usd"].items():
        label = f"{100.0 * float(level):g} %"
        axes.plot(hours, [0.0, *values], "o-", color=COLOURS.get(level, FAN), markersize=4, label=label)
    axes.set_title("cash needed until then, USD", loc="left", fontsize=11, fontweight="bold")
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    _time(axes, checks)


def _chances(axes: Axes, account: Mapping[str, Any], checks: Sequence[float]) -> None:
    """Chance of a call and of a liquidation by each check, with two Monte-Carlo errors either side."""
    hours, highest = [0.0, *checks], 0.02
    for what, colour in (("call", FAN), ("liquidation", LIMIT)):
        within, error = (np.array([0.0, *account[what][name]]) for name in ("within", "error"))
        axes.plot(hours, within, "o-", color=colour, markersize=4, label=what)
        axes.fill_between(
            hours, np.maximum(within - 2.0 * error, 0.0), within + 2.0 * error, color=colour, alpha=0.14, linewidth=0
        )
        highest = max(highest, float((within + 2.0 * error).max()))
    axes.set_ylim(0.0, min(1.05 * highest, 1.02))
    axes.set_title("chance by then", loc="left", fontsize=11, fontweight="bold")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if highest > 0.1 else 1))
    _time(axes, checks)


def _time(axes: Axes, checks: Sequence[float]) -> None:
    axes.set_xlabel("hours from now", color=QUIET)
    axes.set_xticks([0.0, *checks])
    axes.set_xlim(0.0, checks[-1])
    axes.legend(frameon=False, fontsize=8, loc="upper left", labelcolor=INK)
