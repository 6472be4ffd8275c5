"""The picture of a scorecard: losses beside the bar, by horizon, coverage, reliability, PIT.

Imports matplotlib (extra `plot`); nothing else in this room does.
"""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from greekdrift.evaluate.measures import REGIMES
from greekdrift.evaluate.scorecard import Scorecard
from greekdrift.score.calibration import LEVELS

PALETTE = (*range(0, 20, 2), *range(1, 20, 2))
"""Strong colours first, then their pale twins."""
POINT = "clock"
"""A forecast without spread: it covers nothing, and would only bend the scales."""


def figure(card: Scorecard) -> Figure:
    """Six panels: ratio to the bar, the same by horizon, coverage by level and by regime, reliability, PIT."""
    tall = max(3.4, 0.3 * len(card.forecasters) + 1.2)
    drawn = Figure(figsize=(15.0, tall + 4.6), layout="constrained")
    axes = drawn.subplots(2, 3, height_ratios=(tall, 4.0), width_ratios=(1.4, 1.0, 1.0))
    _ratios(axes[0, 0], card)
    _horizons(axes[0, 1], card)
    _regimes(axes[0, 2], card)
    _coverage(axes[1, 0], card)
    _reliability(axes[1, 1], card)
    _transform(axes[1, 2], card)
    return drawn


def save(card: Scorecard, path: str | Path) -> Path:
    """Writes the picture (PNG or SVG by the ending) and returns where."""
    target = Path(path)
    figure(card).savefig(target, dpi=140)
    return target


def _ratios(axes: Axes, card: Scorecard) -> None:
    for at, name in enumerate(card.forecasters):
        one = card.find(name, card.headline, "loss", card.bar)
        if one is not None and name != POINT:
            if one.lower is not None and one.upper is not None:
                axes.plot([one.lower, one.upper], [at, at], color=_colour(card, name), linewidth=3.0, alpha=0.5)
            axes.plot(one.value, at, "o", color=_colour(card, name))
        elif one is not None:
            axes.text(1.0, at, f"  {one.value:.2f}, out of view", va="center", fontsize="small")
    axes.axvline(1.0, color="black", linewidth=1.0)
    axes.set_yticks(range(len(card.forecasters)), [_plain(name) for name in card.forecasters])
    axes.set_ylim(len(card.forecasters) - 0.5, -0.5)
    axes.set_xlabel(f"pooled CRPS loss / {_plain(card.bar)}, {card.headline:g} h (less is better)")


def _horizons(axes: Axes, card: Scorecard) -> None:
    for name in _spread(card):
        found = [(hours, card.find(name, hours, "loss", card.bar)) for hours in card.horizons]
        known = [(hours, one.value) for hours, one in found if one is not None]
        axes.plot(*zip(*known, strict=True), "o-", color=_colour(card, name), label=_plain(name), markersize=3.0)
    axes.axhline(1.0, color="black", linewidth=1.0)
    axes.set_xlabel("horizon, hours")
    axes.set_ylabel(f"loss / {_plain(card.bar)}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="x-small", frameon=False, ncols=2)


def _regimes(axes: Axes, card: Scorecard) -> None:
    places = np.arange(len(REGIMES))
    for name in _spread(card):
        found = [card.find(name, card.headline, f"coverage 80 {word}") for word in REGIMES]
        axes.plot(places, [np.nan if one is None else one.value for one in found], "o", color=_colour(card, name))
    axes.axhline(0.8, color="black", linewidth=1.0)
    axes.axhspan(0.76, 0.84, color="black", alpha=0.06, linewidth=0)
    axes.set_xticks(places, list(REGIMES))
    axes.set_ylabel("share in the 80 % interval")
    axes.set_xlabel(f"third of the origins by volatility, {card.headline:g} h")


def _coverage(axes: Axes, card: Scorecard) -> None:
    axes.axhline(0.0, color="black", linewidth=1.0)
    for name in _spread(card):
        found = [card.find(name, card.headline, f"coverage {100.0 * level:g}") for level in LEVELS]
        gaps = [np.nan if one is None else one.value - level for one, level in zip(found, LEVELS, strict=True)]
        axes.plot(LEVELS, gaps, "o-", color=_colour(card, name))
    axes.axhspan(-0.02, 0.02, color="black", alpha=0.06, linewidth=0)
    axes.set_xticks(LEVELS, [f"{level:.0%}" for level in LEVELS])
    axes.set_xlabel(f"stated level, {card.headline:g} h")
    axes.set_ylabel("share covered minus stated")


def _reliability(axes: Axes, card: Scorecard) -> None:
    axes.plot([0.0, 1.0], [0.0, 1.0], color="black", linewidth=1.0)
    for name, found in card.diagrams.items():
        if name != POINT:
            axes.plot(found.forecast, found.frequency, "o-", color=_colour(card, name), markersize=3.0)
    own = card.diagrams.get(card.forecasters[-1])
    if own is not None and own.lower is not None and own.upper is not None:
        axes.fill_between(own.forecast, own.lower, own.upper, color="black", alpha=0.08, linewidth=0)
    axes.set_xlabel(f"stated probability of a breach within {card.headline:g} h")
    axes.set_ylabel(f"observed (grey: 95 % band of {_plain(card.forecasters[-1])})")


def _transform(axes: Axes, card: Scorecard) -> None:
    tenths = np.arange(1, 11)
    axes.axhline(0.1, color="black", linewidth=1.0)
    for name in _spread(card):
        axes.plot(tenths, card.histograms[name].shares, "o-", color=_colour(card, name), markersize=3.0)
    own = card.histograms[card.forecasters[-1]]
    if own.lower is not None and own.upper is not None:
        axes.fill_between(tenths, own.lower, own.upper, color="black", alpha=0.08, linewidth=0, step="mid")
    axes.set_xticks(tenths)
    axes.set_xlabel(f"tenth of the predicted distribution, {card.headline:g} h")
    axes.set_ylabel("share of the outcomes")


def _spread(card: Scorecard) -> list[str]:
    """Forecasters that have a spread."""
    return [name for name in card.forecasters if name != POINT]


def _colour(card: Scorecard, name: str) -> tuple[float, float, float, float]:
    """One colour a forecaster, the same in every panel."""
    return colormaps["tab20"](PALETTE[card.forecasters.index(name) % len(PALETTE)])


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")
