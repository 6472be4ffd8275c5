"""The tables of a scorecard, and how they are written: aligned text, Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greekdrift.evaluate.measures import Measure
from greekdrift.evaluate.results import NO_CHANGE
from greekdrift.evaluate.settings import QUANTITIES

if TYPE_CHECKING:
    from greekdrift.evaluate.scorecard import Scorecard

MISSING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A title, the names of the columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Title and aligned columns."""
        return f"{self.title}\n{aligned(self.columns, self.rows)}"

    def markdown(self) -> str:
        """A heading and a table of Markdown.

        >>> print(Table(title="t", columns=("a", "b"), rows=(("1", "2"),)).markdown())
        ### t
        <BLANKLINE>
        | a | b |
        | --- | ---: |
        | 1 | 2 |
        """
        sides = ["---", *("---:" for _ in self.columns[1:])]
        lines = [f"| {' | '.join(row)} |" for row in (self.columns, sides, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines])


def tables(card: "Scorecard") -> Iterator[Table]:
    """Every table of a scorecard: three per horizon, then what is shown at the horizon of the primary endpoint."""
    for hours in card.horizons:
        yield primary(card, hours)
        yield joint(card, hours)
        yield breaches(card, hours)
    hours = card.headline
    if card.factors:
        yield state(card, hours)
    yield quantities(card, hours)
    yield books(card, hours)
    yield coverage(card, hours)
    yield widths(card, hours)
    yield histograms(card, hours)
    yield reliability(card, hours)


def primary(card: "Scorecard", hours: float) -> Table:
    """The primary endpoint beside both bars, the confidence set, and coverage."""
    bars = (card.bar, *card.other_bars)
    columns = ["forecaster", "/ clock"]
    for bar in bars:
        columns += [f"/ {bar} [95 %]", "t"]
    rows = []
    for name in (*card.forecasters, NO_CHANGE):
        row = [name, number(card.find(name, hours, "loss", "clock"))]
        for bar in bars:
            loss = card.find(name, hours, "loss", bar)
            row += [interval(loss), statistic(loss)]
        row.append(number(card.find(name, hours, "in the confidence set")))
        row += [share(card.find(name, hours, f"coverage {level}")) for level in ("50", "80", "95")]
        first = card.find(name, hours, "loss", card.bar)
        rows.append((*row, str(first.n) if first else MISSING))
    return Table(
        title=f"{hours:g} h, Greek drift of the reference books",
        columns=(*columns, "MCS p", "cover 50", "80", "95", "n"),
        rows=tuple(rows),
    )


def joint(card: "Scorecard", hours: float) -> Table:
    """Joint scores of the state and the quantile loss of the books."""
    rows = []
    for name in card.forecasters:
        row = [name]
        for metric in ("energy", "variogram", "quantile loss"):
            found = card.find(name, hours, metric, card.bar)
            row += [interval(found), statistic(found)]
        rows.append(tuple(row))
    scores = [f"{metric} / {card.bar} [95 %]" for metric in ("energy", "variogram", "quantile loss")]
    columns = ("forecaster", *(word for one in scores for word in (one, "t")))
    return Table(title=f"{hours:g} h, joint state, and quantiles of the books", columns=columns, rows=tuple(rows))


def breaches(card: "Scorecard", hours: float) -> Table:
    """Brier skill of leaving the band, log score, calibration error; when, at the last horizon."""
    is_last = hours == card.horizons[-1]
    columns = ["forecaster", f"Brier skill / {card.bar} [95 %]", "t", "/ historical", f"log score / {card.bar}"]
    columns += [f"time to breach / {card.bar} [95 %]", "t"] if is_last else []
    rows = []
    for name in card.forecasters:
        brier = card.find(name, hours, "brier", card.bar)
        row = [name, skill(brier), statistic(brier), skill(card.find(name, hours, "brier", "historical"))]
        row.append(number(card.find(name, hours, "log score", card.bar)))
        timed = card.find(name, hours, "breach time", card.bar)
        row += [interval(timed), statistic(timed)] if is_last else []
        rows.append((*row, number(card.find(name, hours, "calibration error"))))
    return Table(title=f"{hours:g} h, breaches of the band", columns=(*columns, "cal. error"), rows=tuple(rows))


def state(card: "Scorecard", hours: float) -> Table:
    """CRPS of index and 30-day volatility beside the bar; R² of the predicted mean against no change."""
    rows = [
        (
            name,
            *(interval(card.find(name, hours, f"crps {one}", card.bar)) for one in card.factors),
            *(skill(card.find(name, hours, f"square {one}", NO_CHANGE)) for one in card.factors),
        )
        for name in card.forecasters
    ]
    columns = (*(f"CRPS {one}" for one in card.factors), *(f"R² {one}" for one in card.factors))
    return Table(
        title=f"{hours:g} h, factors of the state: CRPS / {card.bar}, and R² of the mean against no change",
        columns=("forecaster", *columns),
        rows=tuple(rows),
    )


def quantities(card: "Scorecard", hours: float) -> Table:
    """Ratio to the bar quantity by quantity."""
    names = (*card.forecasters, NO_CHANGE)
    rows = [
        (name, *(interval(card.find(name, hours, f"loss {one}", card.bar)) for one in QUANTITIES)) for name in names
    ]
    return Table(
        title=f"{hours:g} h, ratio to {card.bar} by quantity (cells: no claim rests on one)",
        columns=("forecaster", *QUANTITIES),
        rows=tuple(rows),
    )


def books(card: "Scorecard", hours: float) -> Table:
    """Ratio to the bar book by book."""
    prefix = "loss of "
    found = [one.metric.removeprefix(prefix) for one in card.measures if one.metric.startswith(prefix)]
    shown = [name for name in card.forecasters if name != card.bar]
    rows = [
        (book, *(interval(card.find(name, hours, prefix + book, card.bar)) for name in shown))
        for book in dict.fromkeys(found)
    ]
    return Table(
        title=f"{hours:g} h, ratio to {card.bar} by book (cells: no claim rests on one)",
        columns=("book", *shown),
        rows=tuple(rows),
    )


def coverage(card: "Scorecard", hours: float) -> Table:
    """Coverage of the 80 and 95 % intervals where a calibrated average could hide a blind spot."""
    prefix = "coverage 80 "
    found = [one.metric.removeprefix(prefix) for one in card.measures if one.metric.startswith(prefix)]
    rows = [
        (
            group,
            *(
                " / ".join(share(card.find(name, hours, f"coverage {level} {group}")) for level in ("80", "95"))
                for name in card.forecasters
            ),
        )
        for group in dict.fromkeys(found)
    ]
    return Table(
        title=f"{hours:g} h, coverage of the 80 / 95 % interval by book and by regime",
        columns=("", *card.forecasters),
        rows=tuple(rows),
    )


def widths(card: "Scorecard", hours: float) -> Table:
    """Mean width of the central intervals over the training scale: narrow is good only where coverage holds."""
    rows = [
        (name, *(number(card.find(name, hours, f"width {level}")) for level in ("50", "80", "95")))
        for name in card.forecasters
    ]
    return Table(
        title=f"{hours:g} h, mean width of the central intervals over the training scale",
        columns=("forecaster", "50 %", "80 %", "95 %"),
        rows=tuple(rows),
    )


def histograms(card: "Scorecard", hours: float) -> Table:
    """The probability integral transform by tenths, as percentages; * marks a share out of its band."""
    rows = []
    for name, found in card.histograms.items():
        lower, upper = (found.lower or (0.0,) * len(found.shares)), (found.upper or (1.0,) * len(found.shares))
        marks = [
            f"{100.0 * share:.1f}{'' if low <= share <= high else '*'}"
            for low, share, high in zip(lower, found.shares, upper, strict=True)
        ]
        rows.append((name, *marks))
    return Table(
        title=(
            f"{hours:g} h, share of outcomes by tenth of the predicted distribution (10 % each when calibrated; "
            "* out of the 95 % band of a calibrated forecast)"
        ),
        columns=("forecaster", *(str(number) for number in range(1, 11))),
        rows=tuple(rows),
    )


def reliability(card: "Scorecard", hours: float) -> Table:
    """Stated and observed frequency of a breach by tenth of the stated probability."""
    rows = []
    for name, found in card.diagrams.items():
        lower, upper = (found.lower or (0.0,) * len(found.count)), (found.upper or (1.0,) * len(found.count))
        shown = [
            f"{100.0 * stated:.0f} → {100.0 * seen:.0f}{'' if low <= seen <= high else '*'} ({count})"
            for stated, seen, count, low, high in zip(
                found.forecast, found.frequency, found.count, lower, upper, strict=True
            )
        ]
        rows.append((name, "; ".join(shown)))
    return Table(
        title=(
            f"{hours:g} h, reliability of breach probabilities, stated → observed in % (cells; * out of the 95 % band "
            "of a calibrated forecast)"
        ),
        columns=("forecaster", "by tenth of the stated probability"),
        rows=tuple(rows),
    )


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: the first column to the left, the others to the right.

    >>> print(aligned(["name", "n"], [["a", "10"], ["long", "9"]]))
    name   n
    a     10
    long   9
    """
    every = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[at]) for row in every) for at in range(len(columns))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in every
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(one: Measure | None) -> str:
    """Value to three decimals, a dash where nothing was measured."""
    return MISSING if one is None else f"{one.value:.3f}"


def interval(one: Measure | None) -> str:
    """Value and its interval, where there is one."""
    if one is None:
        return MISSING
    if one.lower is None or one.upper is None:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} [{one.lower:.3f}, {one.upper:.3f}]"


def statistic(one: Measure | None) -> str:
    """Diebold-Mariano t to one digit, a dash without one."""
    return MISSING if one is None or one.statistic is None else f"{one.statistic:+.1f}"


def share(one: Measure | None) -> str:
    """Value as a percentage."""
    return MISSING if one is None else f"{100.0 * one.value:.1f} %"


def skill(one: Measure | None) -> str:
    """Brier skill, 1 − ratio, with its interval."""
    if one is None:
        return MISSING
    value = f"{100.0 * (1.0 - one.value):+.1f} %"
    if one.lower is None or one.upper is None:
        return value
    return f"{value} [{100.0 * (1.0 - one.upper):+.1f}, {100.0 * (1.0 - one.lower):+.1f}]"
