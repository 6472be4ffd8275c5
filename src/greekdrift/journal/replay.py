"""Offline replay: every certificate in a journal is made again from the stored inputs and must come out the same.

Nothing is decided and nothing is written. What is checked: the chain of records, the content of every input, each
verdict, each certificate byte by byte, what the record says beside it, and, where a trusted key is given, that every
decision stands under its signature.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from greekdrift.book import Account, Adjustment, Chain, Outcome, Venue, canonical
from greekdrift.book.rules import RuleSet
from greekdrift.errors import BookError, GreekdriftError
from greekdrift.journal import signing
from greekdrift.journal.hash_chain import Entry
from greekdrift.journal.inputs import Store
from greekdrift.journal.journal import inputs_beside, read
from greekdrift.journal.record import decision_of
from greekdrift.units import instant
from greekdrift.verify import Refused, Verified, verify

KINDS: dict[str, type[Any]] = {
    "chain": Chain,
    "account": Account,
    "rules": RuleSet,
    "venue": Venue,
    "adjustment": Adjustment,
}


BESIDE = ("account_id", "as_of", "now", "outcome")
"""What a record says again beside its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay found: records, decisions by outcome, certificates made again, and every disagreement."""

    path: Path
    records: int
    outcomes: dict[str, int]
    replayed: int
    signed: int
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """True where everything came out as recorded."""
        return not self.problems

    def describe(self) -> str:
        """One line for people."""
        by_outcome = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items())) or "no decision"
        verdict = "all as recorded" if self.is_sound else f"{len(self.problems)} DISAGREE"
        signed = f", {self.signed} signed" if self.signed else ""
        replayed = f"{self.replayed} certificates replayed: {verdict}"
        return f"{self.path}: {self.records} records{signed}; {by_outcome}; {replayed}"


def replay(path: Path | str, *, inputs: Path | str | None = None, public_key: bytes | None = None) -> ReplayReport:
    """Replays a journal; `inputs` is its store where that does not lie beside it.

    Damage to the journal itself or to a signature raises `JournalError`; a decision that does not come out as
    recorded, whose inputs are missing or damaged, or that `public_key` has not signed, is a problem in the report.
    """
    path = Path(path)
    entries = read(path)
    store = Store(inputs) if inputs is not None else inputs_beside(path)
    said = [(entry, decision) for entry in entries if (decision := decision_of(entry)) is not None]
    found = _Inputs(store)
    problems = [problem for entry, decision in said for problem in _problems(entry, decision, found)]
    signed = _signed(entries, public_key)
    if public_key is not None:
        problems += [
            f"{_place(entry, decision)}: not signed" for entry, decision in said if entry.sequence not in signed
        ]
    return ReplayReport(
        path=path,
        records=len(entries),
        outcomes=dict(Counter(str(decision["outcome"]) for _, decision in said)),
        replayed=sum(decision["certificate"] is not None for _, decision in said),
        signed=len(signed),
        problems=tuple(problems),
    )


def _signed(entries: Sequence[Entry], public_key: bytes | None) -> tuple[int, ...]:
    return () if public_key is None else signing.check(entries, public_key)


def _problems(entry: Entry, decision: dict[str, Any], inputs: "_Inputs") -> list[str]:
    place = _place(entry, decision)
    is_hold, certificate = decision["outcome"] == Outcome.HOLD, decision["certificate"]
    if is_hold and certificate is not None:
        return [f"{place}: HOLD with a certificate"]
    if not is_hold and certificate is None:
        return [f"{place}: {decision['outcome']} without a certificate"]
    try:
        found = {name: inputs.get(name, address) for name, address in decision["inputs"].items()}
        again = None if is_hold else _verdict(found, instant(decision["now"]))
    except (GreekdriftError, KeyError) as problem:
        return [f"{place}: {problem}"]
    if again is None:
        return []
    if not isinstance(again, Verified):
        failed = ", ".join(finding.check for finding in again.findings if not finding.passed)
        return [f"{place}: refused in the replay ({failed})"]
    if canonical(again.certificate) != _bytes(certificate):
        return [f"{place}: the certificate comes out different"]
    other = [name for name in BESIDE if decision.get(name) != certificate[name]]
    return [f"{place}: {name} is {decision.get(name)}, the certificate says {certificate[name]}" for name in other]


def _place(entry: Entry, decision: dict[str, Any]) -> str:
    return f"record {entry.sequence} ({decision['account_id']} at {decision['as_of']})"


class _Inputs:
    """Stored inputs by address; what several decisions share is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[tuple[str, str], Any] = {}

    def get(self, name: str, address: str) -> Any:
        if (name, address) not in self._read:
            self._read[name, address] = self._store.get(KINDS[name], address)
        return self._read[name, address]


def _verdict(found: dict[str, Any], now: datetime) -> Verified | Refused:
    account: Account = found["account"]
    if account.mandate is None:
        raise BookError("the stored account has no mandate.")
    adjustment, rules = found["adjustment"], found["rules"]
    return verify(account, found["chain"], adjustment, account.mandate, rules, now, venue=found["venue"])


def _bytes(plain: object) -> bytes:
    """The canonical bytes of what was read from canonical text."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
