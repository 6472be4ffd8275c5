"""The record as Markdown, written between the marks of the README and of docs/calculator.md."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goals import CONTRACTED, SIZE, STRICT, goals

Record = Mapping[str, Any]


def write(record: Record, root: Path) -> list[Path]:
    """Replace what stands between `<!-- measured: NAME -->` and `<!-- end -->` in both pages; the pages changed."""
    makers = {"libraries": libraries, "speed": speed, "accuracy": accuracy, "books": books, "goals": reached}
    texts = {name: maker(record) for name, maker in makers.items()}
    pages = [root / "README.md", root / "docs" / "calculator.md"]
    for page in pages:
        text = page.read_text()
        for name, table in texts.items():
            text = re.sub(
                rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)",
                lambda found, table=table: f"{found[1]}{table}{found[2]}",
                text,
                flags=re.DOTALL,
            )
        page.write_text(text)
    return pages


def libraries(record: Record) -> str:
    """One line a library: time, worst error, silence and lies. For the README."""
    near, wings = record["accuracy"].values()
    solved = record["accuracy of implied volatility"].values()
    rows = []
    for one in _installed(record):
        name = one["name"]
        iv = [scores[name] for scores in solved if name in scores]
        bad = sum(score["failed"] + score["wrong"] for score in iv)
        rows.append(
            (
                _label(one),
                _time(record, "price + 4 Greeks", name),
                _time(record, "implied volatility, mixed", name),
                _worst(near, name),
                _worst(wings, name),
                f"{bad:,} of {sum(score['asked'] for score in iv):,}" if iv else "–",
            )
        )
    head = ("library", "price + 4 Greeks, ns", "implied volatility, ns", "worst error, ±10 sd", "worst error, 10-30 sd",
            "implied volatilities missing or wrong")  # fmt: skip
    return _table(head, rows) + _machine(record)


def speed(record: Record) -> str:
    """Nanoseconds an option by figure and library."""
    figures = record["nanoseconds"]
    columns = [(figure, size) for figure, sizes in figures.items() for size in sizes]
    rows = [
        (_label(one), *(_number(figures[figure][size].get(one["name"])) for figure, size in columns))
        for one in _installed(record)
    ]
    head = ("library", *(f"{figure}, {int(size):,}" for figure, size in columns))
    return _table(head, rows) + _machine(record)


def accuracy(record: Record) -> str:
    """Worst and 99 % relative error of every quantity, in both regions, and the numbers that should not be."""
    parts = []
    for region, scores in record["accuracy"].items():
        solved = record["accuracy of implied volatility"][region]
        names = list(next(iter(scores.values())))
        rows = []
        for one in _installed(record):
            row = dict(scores.get(one["name"], {})) | {"volatility": solved.get(one["name"])}
            cells = [f"{row[name]['worst']:.0e} ({row[name]['most']:.0e})" if row.get(name) else "–"
                     for name in (*names, "volatility")]  # fmt: skip
            told = [score for score in row.values() if score]
            bad = sum(score["failed"] + score["wrong"] for score in told)
            rows.append((_label(one), *cells, f"{bad:,} of {sum(score['asked'] for score in told):,}"))
        head = ("library", *names, "implied volatility", "missing or off by > 1e-6")
        parts.append(f"{region[0].upper()}{region[1:]}, worst (99 %):\n\n{_table(head, rows)}")
    made = record["numbers given where none exists"]
    rows = [
        (_label(one), *(f"{row[one['name']]:,} of {row['of']:,}" for row in made.values()))
        for one in _installed(record)
        if one["name"] in next(iter(made.values()))
    ]
    head = ("library", *made)
    return "\n".join((*parts, f"Volatilities given where none exists:\n\n{_table(head, rows)}"))


def books(record: Record) -> str:
    """The revaluation and the fits."""
    parts = []
    for figure in ("revaluation", "smiles"):
        found = record[figure]
        columns = list(dict.fromkeys(key for row in found.values() for key in row))
        rows = [(name, *(_plain(row.get(column)) for column in columns)) for name, row in found.items()]
        parts.append(_table((figure, *columns), rows))
    return "\n".join(parts)


def reached(record: Record) -> str:
    """Every goal, what was measured, and whether it is met."""
    rows = [
        (goal.what, f"{goal.measured:.3g}", goal.wanted, "met" if goal.is_met else "missed") for goal in goals(record)
    ]
    return _table(("goal", "measured", "wanted", "verdict"), rows)


def _installed(record: Record) -> list[Record]:
    return [one for one in record["libraries"] if one["version"]]


def _label(one: Record) -> str:
    note = f" ({one['note']})" if one["note"] else ""
    is_ours = one["name"] in (CONTRACTED, STRICT)
    return f"**{one['name']}**{note}" if is_ours else f"{one['name']} {one['version']}{note}"


def _time(record: Record, figure: str, name: str) -> str:
    return _number(record["nanoseconds"][figure][SIZE].get(name))


def _number(timing: Record | None) -> str:
    if timing is None:
        return "–"
    return f"{timing['least']:,.0f}" if timing["least"] >= 100.0 else f"{timing['least']:.1f}"


def _worst(scores: Mapping[str, Mapping[str, Record]], name: str) -> str:
    return f"{max(one['worst'] for one in scores[name].values()):.0e}" if name in scores else "–"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if value < 1000.0 else f"{value:,.0f}"
    return "" if value is None else str(value)


def _machine(record: Record) -> str:
    there = record["machine"]
    return (f"\n{there['processor']}, one thread, Python {there['python']}, numpy {there['numpy']}, "
            f"numba {there['numba']}; least processor time of interleaved rounds, arrays in and out.\n")  # fmt: skip


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
