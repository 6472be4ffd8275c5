"""The page of a validation: what was found where and when, how far beyond its limit, and what the data cover."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from greekdrift.market.validation.finding import Finding
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import Validation
from greekdrift.report.figures import FAN, GOOD, LIMIT, QUIET, STYLE
from greekdrift.report.picture import Table, write
from greekdrift.units import counted

BINS = 120
"""Most steps of time of the heat map."""
EXAMPLES = 5
"""Worst places of each rule that the page lists."""
DOTS = 400
"""Worst places of each rule that are drawn."""
COLOURS = {Severity.ERROR: LIMIT, Severity.WARNING: "#d08a1d", Severity.NOTE: FAN}


def build(validation: Validation, out: Path, *, title: str) -> None:
    """Writes the page; the same bytes for the same validation."""
    pictures = []
    if validation.findings:
        pictures.append((heat_map(validation), "number of places by rule and time"))
        pictures.append((excess(validation), "how far beyond the limit, by rule"))
    pictures.append((coverage(validation), "contracts by snapshot, and times without any"))
    write(out, pictures, title=f"Data quality · {title}", lead=verdict(validation), tables=_tables(validation))


def verdict(validation: Validation) -> str:
    """One sentence: how much was read, and how many places of each severity were found."""
    count = {level: sum(one.count for one in validation.findings if one.severity is level) for level in Severity}
    words = ", ".join(counted(count[level], level.word) for level in reversed(Severity))
    read = f"{counted(validation.rows, 'row')}, {counted(validation.instants.size, 'snapshot')}"
    return (
        f"{read} of {', '.join(validation.underlyings)} in "
        f"{counted(len(validation.files), 'file')}, venue {validation.venue}: {words}. "
        "Nothing was repaired."
    )


def heat_map(validation: Validation) -> Figure:
    """Places by rule (rows, the gravest above) and time (columns); a bin without a snapshot is hatched."""
    found = validation.findings
    edges = _edges(validation.instants)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 0.34 * len(found) + 1.3), layout="constrained")
        axes = figure.add_subplot()
        counts = np.array([_binned(one.places["snapshot_ts_utc"].to_numpy(), edges) for one in found], dtype=np.float64)
        shades: Any = LinearSegmentedColormap.from_list("findings", ["#fbe3cf", "#d9662f", "#7c1616"])
        norm: Any = LogNorm(vmin=1.0, vmax=max(10.0, float(counts.max(initial=1.0))))
        drawn = axes.pcolormesh(
            edges, np.arange(len(found) + 1), np.where(counts > 0.0, counts, np.nan), cmap=shades, norm=norm
        )
        empty = _binned(validation.instants, edges) == 0
        for at in np.flatnonzero(empty):
            axes.axvspan(edges[at], edges[at + 1], facecolor="#eef1f4", edgecolor="#d7dde3", hatch="///", linewidth=0.0)
        _rule_labels(axes, found, offset=0.5)
        axes.set_title("Where and when: places by rule and time", loc="left", fontsize=11, fontweight="bold")
        axes.grid(visible=False)
        _dates(axes)
        figure.colorbar(drawn, ax=axes, pad=0.01, aspect=14.0).set_label("places")
        if np.any(empty):
            axes.set_xlabel("hatched: no snapshot in this time")
        return figure


def excess(validation: Validation) -> Figure:
    """Figure over limit of the worst places of each rule; where the limit is 0, or there is none, only the count."""
    found = validation.findings
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 0.34 * len(found) + 1.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for at, one in enumerate(found):
            worst = one.places.head(DOTS)
            ratio = (worst["figure"].abs() / worst["limit"].abs().replace(0.0, np.nan)).to_numpy()
            ratio = ratio[np.isfinite(ratio) & (ratio > 0.0)]
            colour = COLOURS[one.severity]
            axes.plot(ratio, np.full(ratio.size, at), "|", color=colour, markersize=9, alpha=0.6)
            axes.annotate(
                f"{one.count:,}",
                (1.0, at),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        axes.axvline(1.0, color=QUIET, linewidth=1.0)
        _rule_labels(axes, found, offset=0.0)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_title("How far: figure over limit, and number of places", loc="left", fontsize=11, fontweight="bold")
        axes.set_xlabel(f"figure ÷ limit of the worst {DOTS} places (1 = at the limit)")
        return figure


def coverage(validation: Validation) -> Figure:
    """Contracts of each underlying by snapshot; red where a gap was found, an open ring where something is missing."""
    names = validation.underlyings
    with rc_context(STYLE):
        figure = Figure(figsize=(9.4, 1.7 * len(names) + 0.7), layout="constrained")
        by_rule = {one.rule.name: one.places for one in validation.findings}
        whole: Any = None
        for at, name in enumerate(names):
            axes = whole = figure.add_subplot(len(names), 1, at + 1, sharex=whole)
            _cover(axes, validation, name, by_rule)
            axes.set_title(f"{name}: contracts by snapshot", loc="left", fontsize=11, fontweight="bold")
            _dates(axes)
        return figure


def _cover(axes: Axes, validation: Validation, name: str, by_rule: dict[str, pd.DataFrame]) -> None:
    count = validation.counts[name]
    when = validation.instants[count > 0]
    axes.vlines(when, 0.0, count[count > 0], color=GOOD, linewidth=0.8, alpha=0.8)
    axes.set_ylim(0.0, 1.1 * max(int(count.max(initial=1)), 1))
    axes.set_ylabel("contracts")
    gaps = by_rule.get("time_gap", pd.DataFrame({"name": [], "snapshot_ts_utc": [], "figure": []}))
    own = gaps[gaps["name"] == name]
    for moment, hours in zip(own["snapshot_ts_utc"], own["figure"], strict=True):
        end: Any = np.datetime64(moment, "us")
        axes.axvspan(end - np.timedelta64(int(hours * 3.6e9), "us"), end, color=LIMIT, alpha=0.25, linewidth=0.0)
    if len(own):
        text = f"{len(own)} gap{'s' * (len(own) > 1)}, the longest {own['figure'].max():.1f} h"
        axes.set_title(text, loc="right", fontsize=9, color=LIMIT)
    for rule in ("missing_expiry", "missing_contract", "thin_snapshot", "repeated_snapshot", "partial_snapshot"):
        places = by_rule.get(rule)
        if places is not None:
            lost = places[places["name"].str.startswith(name)]["snapshot_ts_utc"].to_numpy()
            axes.plot(lost, np.zeros(lost.size), "o", color=LIMIT, fillstyle="none", markersize=6, clip_on=False)


def _edges(instants: np.ndarray) -> np.ndarray:
    """Edges of at most BINS equal steps of time that cover the snapshots."""
    if instants.size == 0:
        day = np.datetime64("1970-01-01", "us")
        return np.array([day, day + np.timedelta64(1, "D")])
    first, last = instants[0].astype(np.int64), instants[-1].astype(np.int64)
    span = max(last - first, 1_000_000)
    steps = int(min(BINS, max(instants.size, 1)))
    return (first + np.linspace(0.0, span * (1.0 + 1e-9) + 1.0, steps + 1)).astype(np.int64).astype("datetime64[us]")


def _binned(moments: np.ndarray, edges: np.ndarray) -> np.ndarray:
    known = moments[~np.isnat(moments)].astype("datetime64[us]").astype(np.int64)
    return np.histogram(known, bins=edges.astype(np.int64))[0]


def _rule_labels(axes: Axes, found: tuple[Finding, ...], *, offset: float) -> None:
    axes.set_yticks(np.arange(len(found)) + offset, [one.rule.name.replace("_", " ") for one in found])
    for label, one in zip(axes.get_yticklabels(), found, strict=True):
        label.set_color(COLOURS[one.severity])
    if offset:
        axes.set_ylim(len(found), 0)


def _dates(axes: Axes) -> None:
    locator: Any = AutoDateLocator(maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _tables(validation: Validation) -> list[Table]:
    rows = [
        (one.severity.word, one.rule.name, one.count, _share(one), one.rule.fact, one.rule.remedy)
        for one in validation.findings
    ]
    columns = ("severity", "rule", "places", "of the rows", "what is wrong", "remedy")
    tables = [Table(title="Findings", columns=columns, rows=rows)] if rows else []
    for one in validation.findings:
        named = one.rule.figure.split(", ")
        first, second = named[0], named[-1] if len(named) > 1 else ""
        tables.append(
            Table(
                title=f"{one.rule.name.replace('_', ' ')}: the worst of {one.count:,}",
                columns=(
                    "snapshot (UTC)",
                    "what",
                    "file",
                    "row",
                    first,
                    f"limit: {second}" if second not in ("", "limit") else "limit",
                ),
                rows=[_place(place) for _, place in one.places.head(EXAMPLES).iterrows()],
            )
        )
    return tables


def _share(one: Finding) -> str:
    return f"{one.count / one.of:.3%}" if one.of else "–"


def _place(place: "pd.Series[Any]") -> tuple[Any, ...]:
    moment = place["snapshot_ts_utc"]
    return (
        "–" if pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M:%S}",
        place["name"],
        place["file"] or "–",
        str(place["row"]) if place["row"] >= 0 else "–",
        None if np.isnan(place["figure"]) else float(place["figure"]),
        None if np.isnan(place["limit"]) else float(place["limit"]),
    )
