"""The picture of a scorecard: loss ratios with their intervals, coverage against the stated level, reliability.

Imports matplotlib (extra `plot`); nothing else in this room does.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from greekdrift.evaluate.measures import breach_pairs
from greekdrift.evaluate.results import Results
from greekdrift.evaluate.scorecard import Scorecard
from greekdrift.score import reliability
from greekdrift.score.calibration import LEVELS


def figure(card: Scorecard, results: Results) -> Figure:
    """Three panels: ratio to the bar at every horizon, coverage by level, reliability of breach probabilities."""
    drawn = Figure(figsize=(13.0, 0.3 * len(card.forecasters) * len(card.horizons) + 2.6), layout="constrained")
    ratio, cover, reliable = drawn.subplots(1, 3, width_ratios=(1.4, 1.0, 1.0))
    _ratios(ratio, card)
    _coverage(cover, card)
    _reliability(reliable, card, results)
    return drawn


def save(card: Scorecard, results: Results, path: str | Path) -> Path:
    """Writes the picture (PNG or SVG by the ending) and returns where."""
    target = Path(path)
    figure(card, results).savefig(target, dpi=140)
    return target


def _ratios(axes: Axes, card: Scorecard) -> None:
    labels, at = [], 0
    for hours in card.horizons:
        for name in card.forecasters:
            one = card.find(name, hours, "loss", card.bar)
            labels.append(f"{_plain(name)}, {hours:g} h")
            if one is not None:
                if one.lower is not None and one.upper is not None:
                    axes.plot([one.lower, one.upper], [at, at], color=_colour(card, name), linewidth=3.0, alpha=0.5)
                axes.plot(one.value, at, "o", color=_colour(card, name))
            at += 1
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(f"pooled CRPS loss / {_plain(card.bar)} (less is better)")


def _coverage(axes: Axes, card: Scorecard) -> None:
    hours = card.horizons[-1]
    axes.plot([0.4, 1.0], [0.4, 1.0], color="black", linewidth=1.0)
    for name in card.forecasters:
        found = [card.find(name, hours, f"coverage {100.0 * level:g}") for level in LEVELS]
        if all(one is not None for one in found) and any(one.value > 0.0 for one in found if one is not None):
            shares = [one.value for one in found if one is not None]
            axes.plot(LEVELS, shares, "o-", color=_colour(card, name), label=_plain(name))
    axes.set_xlabel(f"stated level, {hours:g} h")
    axes.set_ylabel("share covered")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", frameon=False)


def _reliability(axes: Axes, card: Scorecard, results: Results) -> None:
    hours = card.horizons[-1]
    axes.plot([0.0, 1.0], [0.0, 1.0], color="black", linewidth=1.0)
    for name in card.forecasters:
        chance, outcome = breach_pairs(results, name, hours)
        if chance.size and np.ptp(chance) > 0.0:
            found = reliability(chance, outcome)
            axes.plot(found.forecast, found.frequency, "o-", color=_colour(card, name), label=_plain(name))
    axes.set_xlabel(f"stated probability of a breach within {hours:g} h")
    axes.set_ylabel("observed frequency")


def _colour(card: Scorecard, name: str) -> str:
    """One colour a forecaster, the same in every panel."""
    return f"C{card.forecasters.index(name)}"


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")
