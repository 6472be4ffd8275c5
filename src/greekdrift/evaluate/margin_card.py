"""The margin scorecard: what a forecast of margin is worth as quantile, reserve and warning, and whether it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from greekdrift.errors import InputError
from greekdrift.evaluate.margin_measures import AGAINST, Coverage, Judged
from greekdrift.evaluate.margin_results import MarginResults
from greekdrift.evaluate.margin_tables import margin_tables
from greekdrift.evaluate.measures import Measure
from greekdrift.units import from_datetime64, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCard:
    """Every figure of the margin scorecard, with what it rests on."""

    measures: tuple[Measure, ...]
    coverage: tuple[Coverage, ...]
    forecasters: tuple[str, ...]
    rules: tuple[str, ...]
    best: str
    horizon: float
    cushion: float
    gate_level: float
    gate_share: float
    rule_set: str
    n_books: int
    n_origins: int
    first: str
    last: str
    dropped: Mapping[str, int]
    digest: str

    def find(self, forecaster: str, metric: str, against: str = "") -> Measure | None:
        """One measure; None where it could not be taken."""
        wanted = (forecaster, metric, against)
        return next((one for one in self.measures if (one.forecaster, one.metric, one.against) == wanted), None)

    @property
    def note(self) -> str:
        """What the figures are, in a few sentences."""
        lost = "; ".join(f"{count} {what}" for what, count in self.dropped.items() if count) or "nothing"
        return (
            f"Forecast of margin under {self.rule_set}, walk-forward on {self.n_origins} origins from {self.first} to "
            f"{self.last}, {self.n_books} books, {self.horizon:g} h. Need: the fall of excess liquidity (equity less "
            f"initial margin) of an unchanged book, in units of its climatological CRPS before the first test. Ratios "
            f"below 1 are better; 95 % block bootstrap, Diebold-Mariano t. A reserve is {self.gate_share:g} of the "
            f"{100.0 * self.gate_level:g} % quantile; rules are held at its average, by a factor taken from reserves "
            f"alone; 'fixed before': by one from needs known before each origin, averages then differ. Best rule "
            f"that scales the requirement: {self.best}. Left "
            f"out: {lost}. Settings {self.digest[:12]}."
        )

    def text(self) -> str:
        """The note and every table, aligned."""
        return "\n\n".join([self.note, *(one.text() for one in margin_tables(self))])

    def markdown(self) -> str:
        """The same as a page of Markdown."""
        return "\n\n".join(["# Margin scorecard", self.note, *(one.markdown() for one in margin_tables(self))]) + "\n"

    def plain(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "note": self.note,
            "horizon": self.horizon,
            "origins": self.n_origins,
            "first": self.first,
            "last": self.last,
            "best": self.best,
            "tables": [asdict(one) for one in margin_tables(self)],
            "measures": [asdict(one) for one in self.measures],
            "coverage": [asdict(one) for one in self.coverage],
            "dropped": dict(self.dropped),
            "settings_digest": self.digest,
        }


def margin_card(
    results: MarginResults, *, against: Sequence[str] = AGAINST, seed: int = 0, draws: int = 1_000
) -> MarginCard:
    """The scorecard of a walk of margin; every forecaster is held against those of `against` that were run."""
    if not results.scores:
        raise InputError("a margin scorecard needs at least one forecaster's walk.")
    judged = Judged.of(results, against, seed=seed, draws=draws)
    first, last = (stamp(from_datetime64(moment))[:16] + "Z" for moment in (results.origin[0], results.origin[-1]))
    margin = results.margin
    return MarginCard(
        measures=tuple(judged.measures()),
        coverage=tuple(judged.coverage()),
        forecasters=tuple(results.scores),
        rules=tuple(judged.rules),
        best=judged.best,
        horizon=results.settings.headline,
        cushion=margin.cushion,
        gate_level=margin.gate_level,
        gate_share=margin.gate_share,
        rule_set=results.rules,
        n_books=len(results.books),
        n_origins=len(results.tested),
        first=first,
        last=last,
        dropped=results.dropped,
        digest=f"{results.settings.digest[:6]}{margin.digest[:6]}",
    )
