"""The scorecard: what a walk found, as plain text, as JSON, and as rows for a report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from greekdrift.errors import InputError, nearest
from greekdrift.evaluate.measures import Measure, measures, tenths
from greekdrift.evaluate.results import NO_CHANGE, Results
from greekdrift.evaluate.settings import QUANTITIES
from greekdrift.units import from_datetime64, stamp

BARS = ("fhs:haris-flat:pool", "fhs:hari", "historical", "clock")
"""Those that others are held against, where they were run."""
BAR = ("fhs:hari", "historical", "clock")
"""The first of these that was run is *the* bar of the table."""
MISSING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Measures of all forecasters beside the bar, and what they rest on.

    The primary endpoint is the measure "loss" against the bar at the last horizon: one pooled loss per origin.
    `tenths` is the histogram of the probability integral transform at the last horizon.
    """

    measures: tuple[Measure, ...]
    forecasters: tuple[str, ...]
    bar: str
    horizons: tuple[float, ...]
    primary: tuple[str, ...]
    n_books: int
    n_origins: int
    first: str
    last: str
    tenths: Mapping[str, tuple[float, ...]]
    dropped: Mapping[str, int]
    settings_digest: str

    def find(self, forecaster: str, horizon: float, metric: str, against: str = "") -> Measure | None:
        """One measure; None where it could not be taken. An unknown forecaster is refused."""
        if forecaster not in (*self.forecasters, NO_CHANGE):
            raise InputError(f'the scorecard has no "{forecaster}"; {nearest(forecaster, self.forecasters)}')
        for one in self.measures:
            if (one.forecaster, one.horizon, one.metric, one.against) == (forecaster, horizon, metric, against):
                return one
        return None

    @property
    def note(self) -> str:
        """What the figures are, in a few sentences."""
        lost = "; ".join(f"{count} {what}" for what, count in self.dropped.items() if count) or "nothing"
        return (
            f"Walk-forward on {self.n_origins} origins from {self.first} to {self.last}, {self.n_books} reference "
            f"books. Primary endpoint: one pooled loss per origin, the mean scaled CRPS of the drift of "
            f"{', '.join(self.primary)}, as a ratio to {self.bar} (less is better) with its 95 % block bootstrap "
            f"interval and Diebold-Mariano t. Left out: {lost}. Settings {self.settings_digest[:12]}."
        )

    def text(self) -> str:
        """Aligned tables, two per horizon, then the cells that are shown and not gated."""
        parts = [self.note]
        for hours in self.horizons:
            parts.append(f"{hours:g} h, Greek drift of the reference books\n" + aligned(*self.table(hours)))
            parts.append(f"{hours:g} h, joint state and breaches of the band\n" + aligned(*self.state_table(hours)))
        last = self.horizons[-1]
        shown = f"ratio to {self.bar} by quantity (cells: no claim rests on one)"
        parts.append(f"{last:g} h, {shown}\n" + aligned(*self.cells(last)))
        parts.append(
            f"{last:g} h, coverage of the 80 % interval by book and by regime\n" + aligned(*self.coverage(last))
        )
        words = "share of outcomes by tenth of the predicted distribution (10 % each when calibrated)"
        parts.append(f"{last:g} h, {words}\n" + aligned(*self.histogram()))
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """The same as a page of Markdown."""
        return self.text()

    def table(self, hours: float) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the primary endpoint and of coverage at a horizon."""
        columns = ["forecaster", "/ clock", f"/ {self.bar} [95 %]", "t", "cover 50", "80", "95", "n"]
        rows = []
        for name in (*self.forecasters, NO_CHANGE):
            loss = self.find(name, hours, "loss", self.bar)
            row = [name, _number(self.find(name, hours, "loss", "clock")), _interval(loss), _statistic(loss)]
            row += [_share(self.find(name, hours, f"coverage {level}")) for level in ("50", "80", "95")]
            rows.append([*row, str(loss.n) if loss else MISSING])
        return columns, rows

    def state_table(self, hours: float) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the joint energy score and of breach scores at a horizon."""
        columns = [
            "forecaster",
            f"energy / {self.bar} [95 %]",
            "t",
            f"Brier skill / {self.bar} [95 %]",
            "t",
            "cal. error",
        ]
        rows = []
        for name in self.forecasters:
            energy, breach = (self.find(name, hours, metric, self.bar) for metric in ("energy", "brier"))
            row = [name, _interval(energy), _statistic(energy), _skill(breach), _statistic(breach)]
            rows.append([*row, _number(self.find(name, hours, "calibration error"))])
        return columns, rows

    def cells(self, hours: float) -> tuple[list[str], list[list[str]]]:
        """Ratio to the bar quantity by quantity."""
        names = (*self.forecasters, NO_CHANGE)
        rows = [
            [name, *(_interval(self.find(name, hours, f"loss {one}", self.bar)) for one in QUANTITIES)]
            for name in names
        ]
        return ["forecaster", *QUANTITIES], rows

    def coverage(self, hours: float) -> tuple[list[str], list[list[str]]]:
        """Coverage of the 80 % interval where a calibrated average could hide a blind spot."""
        prefix = "coverage 80 "
        found = [one.metric.removeprefix(prefix) for one in self.measures if one.metric.startswith(prefix)]
        rows = [
            [group, *(_share(self.find(name, hours, prefix + group)) for name in self.forecasters)]
            for group in dict.fromkeys(found)
        ]
        return ["", *self.forecasters], rows

    def histogram(self) -> tuple[list[str], list[list[str]]]:
        """The probability integral transform by tenths, as percentages."""
        rows = [[name, *(f"{100.0 * share:.1f}" for share in shares)] for name, shares in self.tenths.items()]
        return ["forecaster", *(str(number) for number in range(1, 11))], rows

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values; `note`, `chart`, `columns`, `rows`, `headline` are what a report shows."""
        last = self.horizons[-1]
        columns, rows = self.table(last)
        return {
            "bar": self.bar,
            "note": self.note,
            "horizon": last,
            "chart": self.chart(last),
            "columns": columns,
            "rows": rows,
            "headline": self._headline(last),
            "origins": self.n_origins,
            "first": self.first,
            "last": self.last,
            "tenths": {name: list(shares) for name, shares in self.tenths.items()},
            "dropped": dict(self.dropped),
            "settings_digest": self.settings_digest,
            "measures": [asdict(one) for one in self.measures],
        }

    def json(self) -> str:
        """`plain` as JSON text."""
        return json.dumps(self.plain(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def chart(self, hours: float) -> list[dict[str, Any]]:
        """Loss relative to the bar by forecaster, with its interval."""
        found = [(name, self.find(name, hours, "loss", self.bar)) for name in self.forecasters]
        return [
            {"name": name, "ratio": one.value, "lower": one.lower, "upper": one.upper} for name, one in found if one
        ]

    def _headline(self, hours: float) -> dict[str, str] | None:
        """The last forecaster that is not a bar, beside the bar."""
        own = [name for name in self.forecasters if name not in BARS] or [self.bar]
        one = self.find(own[-1], hours, "loss", self.bar)
        if one is None:
            return None
        return {
            "value": f"{one.value:.3f}",
            "label": f"loss of {own[-1]} / {self.bar}, {hours:g} h",
            "detail": f"{_interval(one)}, t {_statistic(one)}, {one.n} origins".removeprefix(f"{one.value:.3f}").lstrip(
                ", "
            ),
        }


def scorecard(results: Results, *, against: Sequence[str] = BARS, seed: int = 0, draws: int = 2_000) -> Scorecard:
    """The scorecard of a walk; every forecaster is held against those of `against` that were run."""
    present = [name for name in against if name in results.scores]
    bar = next((name for name in BAR if name in present), present[0] if present else next(iter(results.scores)))
    compared = present if bar in present else [*present, bar]
    first, last = (stamp(from_datetime64(moment))[:16] + "Z" for moment in (results.origin[0], results.origin[-1]))
    return Scorecard(
        measures=measures(results, compared, seed=seed, draws=draws),
        forecasters=tuple(results.scores),
        bar=bar,
        horizons=results.settings.horizons,
        primary=results.settings.primary,
        n_books=len(results.books),
        n_origins=len(results.origin),
        first=first,
        last=last,
        tenths={name: tuple(tenths(results, name, results.settings.horizons[-1]).tolist()) for name in results.scores},
        dropped=results.dropped,
        settings_digest=results.settings.digest,
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


def _number(one: Measure | None) -> str:
    return MISSING if one is None else f"{one.value:.3f}"


def _interval(one: Measure | None) -> str:
    if one is None:
        return MISSING
    if one.lower is None or one.upper is None:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} [{one.lower:.3f}, {one.upper:.3f}]"


def _statistic(one: Measure | None) -> str:
    return MISSING if one is None or one.statistic is None else f"{one.statistic:+.1f}"


def _share(one: Measure | None) -> str:
    return MISSING if one is None else f"{100.0 * one.value:.1f} %"


def _skill(one: Measure | None) -> str:
    """Brier skill, 1 − ratio, with its interval."""
    if one is None:
        return MISSING
    value = f"{100.0 * (1.0 - one.value):+.1f} %"
    if one.lower is None or one.upper is None:
        return value
    return f"{value} [{100.0 * (1.0 - one.upper):+.1f}, {100.0 * (1.0 - one.lower):+.1f}]"
