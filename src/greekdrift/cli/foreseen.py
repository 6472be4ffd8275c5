"""How likely each band is to be left within some hours, snapshot by snapshot of a folder, for `greekdrift watch`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from greekdrift.book import Account, Chain, Venue
from greekdrift.cli.experiments import panel_of
from greekdrift.cli.setting import intervals_of, predictor_of
from greekdrift.cli.watched import Chance, Standing
from greekdrift.errors import GreekdriftError
from greekdrift.features.history import Panel
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.intervals import Learnt
from greekdrift.forecast.novelty import Novelty
from greekdrift.market.parquet import ParquetSource
from greekdrift.serve.history import with_chain
from greekdrift.serve.outlook import outlook

CHECK = 6.0
"""Hours between the checks at which a breach is looked for."""


@dataclass(slots=True, kw_only=True)
class Foresight:
    """A model and the past that it looks back on, which grows with each snapshot.

    `past` is the folder of earlier snapshots; the model is loaded, or fitted on them, when the first snapshot comes.
    """

    model: str
    past: Path
    venue: Venue
    drop: tuple[str, ...]
    within: float
    alarm: float
    samples: int
    runs: Path
    _history: Panel | None = None
    _fitted: tuple[Predictor, Novelty | None, Learnt | None] | None = field(default=None)

    def applied(self, chain: Chain, accounts: Sequence[Account], found: Sequence[Standing]) -> tuple[Standing, ...]:
        """The standings with the chance of a breach beside them: inside becomes alarm, or unknown without a chance."""
        try:
            chances, problems = self._chances(chain, accounts)
        except GreekdriftError as problem:
            chances, problems = {}, {account.account_id: str(problem) for account in accounts}
        return tuple(self._with(one, chances, problems) for one in found)

    def _with(self, one: Standing, chances: Mapping[tuple[str, str], float], problems: Mapping[str, str]) -> Standing:
        value = chances.get((one.account_id, one.band.label))
        why = problems.get(one.account_id, "the forecast does not speak of it")
        return one.foreseen(
            Chance(value=value, hours=self.within, alarm=self.alarm, reason="" if value is not None else why)
        )

    def _chances(
        self, chain: Chain, accounts: Sequence[Account]
    ) -> tuple[dict[tuple[str, str], float], Mapping[str, str]]:
        """Chance of each band of each account, and why an account has none; what holds nothing cannot drift."""
        watched = [account for account in accounts if account.mandate is not None and account.mandate.bands]
        still = {
            (account.account_id, band.label): 0.0
            for account in watched
            if account.mandate is not None and not account.positions
            for band in account.mandate.bands
        }
        history = self._seen(chain)
        predictor, novelty, intervals = self._model(history, chain)
        known = None if intervals is None else intervals.at(chain.known_at)
        reasons = ("" if novelty is None else novelty.judge(history).reason, "" if known is None else known.reason)
        if reason := reasons[0] or reasons[1]:
            return {}, {account.account_id: reason for account in watched}
        found = outlook(
            chain,
            watched,
            predictor=predictor,
            history=history,
            rules=None,
            horizons=self._checks(history),
            n=self.samples,
            seed=0,
            names=(),
        )
        chances = {
            (name, band.label): forecast.breach_probability(name, band.label)
            for forecast in found.forecasts
            for name in forecast.account_ids
            for band in forecast.bands.get(name, ())
        }
        return still | chances, found.problems

    def _seen(self, chain: Chain) -> Panel:
        """The past with this snapshot as its last row."""
        if self._history is None:
            source = ParquetSource(str(self.past), venue=self.venue, drop=self.drop, until=chain.known_at)
            self._history = panel_of(source, self.runs)
        self._history = with_chain(self._history, chain)
        return self._history

    def _model(self, history: Panel, chain: Chain) -> tuple[Predictor, Novelty | None, Learnt | None]:
        if self._fitted is None:
            predictor, novelty = predictor_of(self.model, None, history, chain, self.runs)
            if predictor is None:
                raise GreekdriftError("a model is needed to foresee a breach; give --model.")
            self._fitted = predictor, novelty, intervals_of(self.model, predictor, None, self.runs)
        return self._fitted

    def _checks(self, history: Panel) -> tuple[float, ...]:
        """Every six hours (every session where the past has sessions) up to the last hour asked for."""
        step = CHECK if history.clock == "elapsed" else history.step_hours
        count = int(self.within / step - 1e-9)
        return (*(step * (at + 1) for at in range(count)), self.within)
