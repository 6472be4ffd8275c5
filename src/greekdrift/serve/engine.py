"""What the server computes: one cycle of `rebalance` per snapshot, and the bytes that are read until the next."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Any

from greekdrift.book import Account, Chain, Outcome, RuleSet, Venue, digest
from greekdrift.errors import GreekdriftError, InputError
from greekdrift.features.feature import Feature
from greekdrift.features.history import Panel
from greekdrift.features.table import FEATURES
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.intervals import Learnt
from greekdrift.forecast.novelty import Novelty
from greekdrift.journal import Journal
from greekdrift.margin.dressing import PLAIN, Dressing, State
from greekdrift.rebalance import Decision, rebalance
from greekdrift.serve.encode import decision_values, forecast_values
from greekdrift.serve.history import with_chain
from greekdrift.serve.outlook import outlook
from greekdrift.units import stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One snapshot, decided: the decisions, and what is sent of them as bytes made once."""

    as_of: datetime
    chain_digest: str
    decisions: tuple[Decision, ...]
    outcomes: dict[str, str]
    decision_bytes: bytes
    chain: Chain
    head: dict[str, Any]
    forecast_bytes: bytes = b""


@dataclass(slots=True, kw_only=True)
class Engine:
    """Rules, venue, accounts and a fitted predictor (or none: then every decision is a baseline one or HOLD).

    `now` gives the instant of a decision; the chain's own where a recorded market is replayed. `history` is the past
    that the predictor looks back on, with its `features`; the chain that arrives becomes its last row. Where `novelty`
    finds that row too unlike what the predictor learnt from, or the coverage of the reported `intervals` left its band,
    there is no forecast and the deterministic rule decides.
    """

    accounts: tuple[Account, ...]
    rules: RuleSet
    venue: Venue
    horizons: Sequence[float]
    scenarios: int
    seed: int
    now: Callable[[Chain], datetime]
    predictor: Predictor | None = None
    novelty: Novelty | None = None
    intervals: Learnt | None = None
    history: Panel | None = None
    features: Sequence[Feature] = FEATURES
    journal: Journal | None = None
    dressing: Dressing = PLAIN
    addons: Mapping[str, State] = field(default_factory=dict)
    latest: Answer | None = None
    has_run: bool = False
    is_draining: bool = False
    _turn: Lock = field(default_factory=Lock)

    def readiness(self) -> dict[str, Any]:
        """Ready only when the real path ran once and the server is not draining."""
        return {
            "ready": self.has_run and not self.is_draining,
            "has_run": self.has_run,
            "draining": self.is_draining,
            "model": self.model,
            "accounts": len(self.accounts),
            "latest": None if self.latest is None else stamp(self.latest.as_of),
        }

    @property
    def model(self) -> str:
        """Name of the predictor, or "none"."""
        return "none" if self.predictor is None else self.predictor.name

    def decide(
        self,
        chain: Chain,
        accounts: Sequence[Account] | None = None,
        *,
        previous_addons: Mapping[str, State] | None = None,
    ) -> Answer:
        """Decisions about accounts (the server's own book without them); the real path of every request.

        `previous_addons` are the add-ons' states of the last decisions by account, as their answer gave them.
        """
        asked = self._asked(chain, accounts)
        history, note = self._history(chain)
        with self._turn:
            decisions = rebalance(
                chain,
                asked,
                predictor=self.predictor,
                novelty=self.novelty,
                intervals=self.intervals,
                history=history,
                rules=self.rules,
                venue=self.venue,
                now=self.now(chain),
                horizons=self.horizons,
                n=self.scenarios,
                seed=self.seed,
                journal=self.journal,
                dressing=self.dressing,
                previous_addons=previous_addons,
            )
        self.has_run = True
        address = digest(chain)
        head = self._head(chain, address, note)
        values = {**head, "decisions": [decision_values(one) for one in decisions]}
        return Answer(
            as_of=chain.as_of,
            chain_digest=address,
            decisions=tuple(decisions),
            outcomes={decision.account_id: str(decision.outcome) for decision in decisions},
            decision_bytes=_bytes(values),
            chain=chain,
            head=head,
        )

    def forecast(self, chain: Chain, accounts: Sequence[Account] | None = None) -> bytes:
        """Forecasts of accounts, as they are sent; null with a note where there is no model or history."""
        asked = self._asked(chain, accounts)
        history, note = self._history(chain)
        if history is not None and self.novelty is not None and (reason := self.novelty.judge(history).reason):
            history, note = None, reason
        now = self.now(chain)
        known = None if self.intervals is None else self.intervals.at(now)
        if history is not None and known is not None and known.reason:
            history, note = None, known.reason
        head = self._head(chain, digest(chain), note)
        if history is None or self.predictor is None:
            return _bytes({**head, "forecast": None, "problems": {}, "stand_ins": {}})
        with self._turn:
            found = outlook(
                chain,
                asked,
                predictor=self.predictor,
                history=history,
                rules=self.rules,
                horizons=self.horizons,
                n=self.scenarios,
                seed=self.seed,
                as_of=now,
            )
        values = forecast_values(found.forecasts, model=self.model, intervals=known) if found.forecasts else None
        problems, told = dict(found.problems), {name: list(one) for name, one in found.stand_ins.items()}
        return _bytes({**head, "forecast": values, "problems": problems, "stand_ins": told})

    def keep(self, chain: Chain) -> Answer:
        """Decide about the server's book on a new snapshot and keep the answer; an older snapshot is refused.

        Each add-on goes on from the one of the snapshot before; after a HOLD from the last one that was held.
        """
        if self.latest is not None and chain.as_of < self.latest.as_of:
            raise InputError(f"{stamp(chain.as_of)} is older than the latest snapshot, {stamp(self.latest.as_of)}.")
        found = self.decide(chain, previous_addons=self.addons)
        self.addons = {**self.addons, **{one.account_id: one.addon.state for one in found.decisions if one.addon}}
        try:
            seen = self.forecast(chain)
        except GreekdriftError as problem:
            head = self._head(chain, found.chain_digest, str(problem))
            seen = _bytes({**head, "forecast": None, "problems": {}, "stand_ins": {}})
        self.latest = replace(found, forecast_bytes=seen)
        return self.latest

    def proposed(self, answer: Answer) -> bytes:
        """The decisions of a kept answer as they may be used now; one past its `valid_until` is a HOLD without orders.

        It also says `"expired": true`. While every decision is valid the bytes are those made once.
        """
        now = self.now(answer.chain)
        decisions = [_still_valid(one, now) for one in answer.decisions]
        if not any("expired" in one for one in decisions):
            return answer.decision_bytes
        return _bytes({**answer.head, "decisions": decisions})

    def _asked(self, chain: Chain, accounts: Sequence[Account] | None) -> tuple[Account, ...]:
        asked = tuple(self.accounts if accounts is None else accounts)
        if not asked:
            raise InputError("the server has no book; send accounts, or start it with --book.")
        if chain.venue != self.venue.name:
            raise InputError(f'the chain is of "{chain.venue}", the server decides on {self.venue.name}.')
        return asked

    def _head(self, chain: Chain, address: str, note: str) -> dict[str, Any]:
        return {"as_of": stamp(chain.as_of), "chain_digest": address, "model": self.model, "note": note}

    def _history(self, chain: Chain) -> tuple[Panel | None, str]:
        """The history up to the chain, or none and the reason: then no forecast is made."""
        if self.predictor is None or self.history is None:
            return None, "the server has no model or no history"
        try:
            return with_chain(self.history, chain, features=self.features), ""
        except GreekdriftError as problem:
            return None, str(problem)


def _still_valid(decision: Decision, now: datetime) -> dict[str, Any]:
    values = decision_values(decision)
    if values["adjustment"] is None or decision.adjustment is None or now < decision.adjustment.valid_until:
        return values
    reason = (
        f"expired: it was valid until {stamp(decision.adjustment.valid_until)}, now is {stamp(now)}; post a snapshot"
    )
    hold = replace(
        decision, outcome=Outcome.HOLD, reasons=(*decision.reasons, reason), adjustment=None, certificate=None
    )
    return {**decision_values(hold), "expired": True}


def _bytes(values: Any) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
