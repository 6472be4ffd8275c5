"""The record as tables in the terminal and as one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goals import CONTRACTED, SIZE, goals
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

Record = Mapping[str, Any]

WIDTH = 150
PERFECT = 1e-17
"""Where an error of zero stands on a logarithmic axis."""


def tables(record: Record) -> None:
    """Everything of the record, in the order of the questions: how fast, how right, how honest."""
    console = Console()
    console.width = max(console.width, WIDTH)
    there = record["machine"]
    console.print(f"[bold]{there['processor']}[/], {there['cores']} cores, one thread; Python {there['python']}, "
                  f"numpy {there['numpy']}, numba {there['numba']}, scipy {there['scipy']}")  # fmt: skip
    for one in record["libraries"]:
        if not one["version"]:
            console.print(f"  {one['name']}: not installed ({one['install']})")
    for figure, sizes in record["nanoseconds"].items():
        console.print(_times(figure, sizes, record["libraries"]))
    for figure in ("revaluation", "smiles"):
        console.print(_plain(figure, record[figure]))
    for region, scores in record["accuracy"].items():
        console.print(_scores(f"Relative error against 60 digits, {region}: worst (99 %)", scores))
    for region, scores in record["accuracy of implied volatility"].items():
        title = f"Implied volatility, {region}"
        console.print(_scores(title, {name: {"volatility": one} for name, one in scores.items()}))
    console.print(_inventions(record["numbers given where none exists"]))
    console.print(_goals(record))


def picture(record: Record, path: Path) -> Path:
    """Nanoseconds an option by library, and the worst error of each, on logarithmic axes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.0, 4.8), constrained_layout=True)
    _speeds(left, record)
    _errors(right, record)
    there = record["machine"]
    figure.suptitle(f"Options calculators in one run, one thread, {there['processor']}", fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _times(figure: str, sizes: Mapping[str, Any], libraries: list[Record]) -> Table:
    table = Table(
        title=f"{figure}: nanoseconds an option, least processor time (median wall time)", title_justify="left"
    )
    table.add_column("library")
    for size in sizes:
        table.add_column(f"{int(size):,} options", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("least wall", justify="right")
    table.add_column("note")
    last = sizes[SIZE]
    for one in libraries:
        name = one["name"]
        if name not in last:
            continue
        cells = [f"{sizes[size][name]['least']:,.1f} ({sizes[size][name]['median']:,.1f})" for size in sizes]
        ratio = last[name]["least"] / last[CONTRACTED]["least"]
        table.add_row(name, *cells, f"{ratio:,.1f}", f"{last[name]['wall']:,.1f}", one["note"])
    return table


def _plain(figure: str, rows: Mapping[str, Record]) -> Table:
    table = Table(title=figure, title_justify="left")
    table.add_column("what")
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if value < 1000.0 else f"{value:,.0f}"
    return "" if value is None else str(value)


def _goals(record: Record) -> Table:
    table = Table(title="goals", title_justify="left")
    for column in ("goal", "measured", "wanted", ""):
        table.add_column(column, justify="left" if column in ("goal", "") else "right")
    for goal in goals(record):
        verdict = "[green]met[/]" if goal.is_met else "[red]MISSED[/]"
        table.add_row(goal.what, f"{goal.measured:.3g}", goal.wanted, verdict)
    return table


def _scores(title: str, scores: Mapping[str, Mapping[str, Record]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("library")
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("no number", justify="right")
    table.add_column("off by > 1e-6", justify="right")
    for library, row in scores.items():
        cells = [f"{row[name]['worst']:.0e} ({row[name]['most']:.0e})" if name in row else "-" for name in names]
        failed, wrong, asked = (sum(one[key] for one in row.values()) for key in ("failed", "wrong", "asked"))
        table.add_row(library, *cells, _share(failed, asked), _share(wrong, asked))
    return table


def _share(count: int, of: int) -> str:
    return f"[red]{count} of {of}[/]" if count else f"0 of {of}"


def _inventions(found: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table(title="Numbers given where no implied volatility exists", title_justify="left")
    table.add_column("library")
    for kind, row in found.items():
        table.add_column(f"{kind} ({row['of']})", justify="right")
    for library in [name for name in next(iter(found.values())) if name != "of"]:
        table.add_row(library, *(_share(row[library], row["of"]) for row in found.values()))
    return table


def _speeds(axes: Any, record: Record) -> None:
    figures = {"price + 4 Greeks": "#1f6f8b", "implied volatility, mixed": "#e07a5f"}
    names = [one["name"] for one in record["libraries"] if one["version"]][::-1]
    for shift, (figure, colour) in zip((0.2, -0.2), figures.items(), strict=True):
        found = record["nanoseconds"][figure][SIZE]
        rows = [(at, found[name]["least"]) for at, name in enumerate(names) if name in found]
        axes.barh([at + shift for at, _ in rows], [time for _, time in rows], height=0.38, color=colour, label=figure)
        for at, time in rows:
            axes.text(
                time * 1.08, at + shift, f"{time:,.0f}" if time >= 100 else f"{time:.1f}", va="center", fontsize=8
            )
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlim(3.0, axes.get_xlim()[1] * 4.0)
    axes.set_xlabel(f"nanoseconds an option, {int(SIZE):,} options, arrays in and out")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _errors(axes: Any, record: Record) -> None:
    near, wings = record["accuracy"].values()
    solved = list(record["accuracy of implied volatility"].values())[-1]
    names = [one["name"] for one in record["libraries"] if one["version"]][::-1]
    kinds = (
        ("price, Greeks to ±10 sd", near, "o", "#1f6f8b"),
        ("price, Greeks 10 to 30 sd", wings, "D", "#81b29a"),
        ("implied volatility 10 to 30 sd", {name: {"": one} for name, one in solved.items()}, "s", "#e07a5f"),
    )
    for label, scores, marker, colour in kinds:
        rows = [(at, scores[name]) for at, name in enumerate(names) if name in scores]
        worst = [max(PERFECT, *(one["worst"] for one in row.values())) for _, row in rows]
        axes.plot(worst, [at for at, _ in rows], marker, color=colour, label=label, markersize=7, clip_on=False)
    axes.axvline(1e-6, color="grey", linewidth=0.8, linestyle="--")
    axes.text(1.4e-6, len(names) - 0.5, "wrong", color="grey", fontsize=8)
    axes.set_yticks(range(len(names)), [])
    axes.set_ylim(-0.6, len(names) - 0.2)
    axes.set_xscale("log")
    axes.set_xlabel("worst relative error against 60 digits")
    axes.grid(axis="y", linewidth=0.4)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
