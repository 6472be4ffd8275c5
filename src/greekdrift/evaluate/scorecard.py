"""The scorecard: what a walk found, as plain text, as JSON, and as rows for a report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from greekdrift.errors import InputError, nearest
from greekdrift.evaluate.calibrated import Diagram, Histogram, diagram, histogram
from greekdrift.evaluate.measures import Comparison, Measure, measures
from greekdrift.evaluate.results import NO_CHANGE, Results
from greekdrift.evaluate.tables import primary, statistic, tables
from greekdrift.units import from_datetime64, stamp

BARS = ("fhs:haris-flat:pool", "fhs:hari", "historical", "clock")
"""Those that others are held against, where they were run."""
BAR = ("fhs:hari", "historical", "clock")
"""The first of these that was run is *the* bar of the table."""
SECOND_BAR = "fhs:haris-flat:pool"
"""The bar that knows the calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Measures of all forecasters beside the bar, and what they rest on.

    The primary endpoint is the measure "loss" against the bar at the horizon `headline`: one pooled loss per origin.
    `histograms` of the probability integral transform and reliability `diagrams` of breaches are of that horizon,
    `factors` the names of index and 30-day volatility by underlying.
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
    headline: float
    factors: tuple[str, ...]
    histograms: Mapping[str, Histogram]
    diagrams: Mapping[str, Diagram]
    dropped: Mapping[str, int]
    settings_digest: str
    _found: dict[tuple[str, float, str, str], Measure] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {(one.forecaster, one.horizon, one.metric, one.against): one for one in self.measures}
        object.__setattr__(self, "_found", index)

    def find(self, forecaster: str, horizon: float, metric: str, against: str = "") -> Measure | None:
        """One measure; None where it could not be taken. An unknown forecaster is refused."""
        if forecaster not in (*self.forecasters, NO_CHANGE):
            raise InputError(f'the scorecard has no "{forecaster}"; {nearest(forecaster, self.forecasters)}')
        return self._found.get((forecaster, horizon, metric, against))

    @property
    def note(self) -> str:
        """What the figures are, in a few sentences."""
        lost = "; ".join(f"{count} {what}" for what, count in self.dropped.items() if count) or "nothing"
        return (
            f"Walk-forward on {self.n_origins} origins from {self.first} to {self.last}, {self.n_books} reference "
            f"books. Primary endpoint: one pooled loss per origin, the mean scaled CRPS of the drift of "
            f"{', '.join(self.primary)}, as a ratio to {self.bar} (less is better) with its 95 % block bootstrap "
            f"interval and Diebold-Mariano t, at {self.headline:g} h. MCS p above 0.10: in the 90 % model confidence "
            f"set. Left out: {lost}. Settings {self.settings_digest[:12]}."
        )

    @property
    def other_bars(self) -> tuple[str, ...]:
        """The second bar, where it was run beside the first."""
        return tuple(name for name in (SECOND_BAR,) if name in self.forecasters and name != self.bar)

    @property
    def tenths(self) -> dict[str, tuple[float, ...]]:
        """Shares of the outcomes by tenth of the predicted distribution."""
        return {name: one.shares for name, one in self.histograms.items()}

    def text(self) -> str:
        """The note and every table, aligned."""
        return "\n\n".join([self.note, *(one.text() for one in tables(self))])

    def markdown(self) -> str:
        """The same as a page of Markdown."""
        return "\n\n".join(["# Scorecard", self.note, *(one.markdown() for one in tables(self))]) + "\n"

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values; `note`, `chart`, `columns`, `rows`, `headline` are what a report shows."""
        hours = self.headline
        shown = primary(self, hours)
        return {
            "bar": self.bar,
            "note": self.note,
            "horizon": hours,
            "chart": self.chart(hours),
            "columns": list(shown.columns),
            "rows": [list(row) for row in shown.rows],
            "headline": self._headline(hours),
            "origins": self.n_origins,
            "first": self.first,
            "last": self.last,
            "tenths": {name: list(shares) for name, shares in self.tenths.items()},
            "histograms": {name: asdict(one) for name, one in self.histograms.items()},
            "diagrams": {name: asdict(one) for name, one in self.diagrams.items()},
            "tables": [asdict(one) for one in tables(self)],
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
        has_ends = one.lower is not None and one.upper is not None
        span = f"[{one.lower:.3f}, {one.upper:.3f}], " if has_ends else ""
        return {
            "value": f"{one.value:.3f}",
            "label": f"loss of {own[-1]} / {self.bar}, {hours:g} h",
            "detail": f"{span}t {statistic(one)}, {one.n} origins",
        }


def scorecard(results: Results, *, against: Sequence[str] = BARS, seed: int = 0, draws: int = 2_000) -> Scorecard:
    """The scorecard of a walk; every forecaster is held against those of `against` that were run."""
    present = [name for name in against if name in results.scores]
    bar = next((name for name in BAR if name in present), present[0] if present else next(iter(results.scores)))
    compared = present if bar in present else [*present, bar]
    first, last = (stamp(from_datetime64(moment))[:16] + "Z" for moment in (results.origin[0], results.origin[-1]))
    headline = results.settings.headline
    by = Comparison.of(results, hours=headline, seed=seed, draws=draws)
    diagrams = {name: diagram(by, name) for name in results.scores}
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
        headline=headline,
        factors=tuple(
            f"{name} {factor}"
            for name in results.underlyings
            for factor in ("forward", "atm_30")
            if factor in results.factors
        ),
        histograms={name: histogram(by, name) for name in results.scores},
        diagrams={name: one for name, one in diagrams.items() if one is not None},
        dropped=results.dropped,
        settings_digest=results.settings.digest,
    )
