"""What a decision leaves behind: its outcome, reasons and certificate, and the addresses of everything that made it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greekdrift.book import Account, Adjustment, Chain, Finding, Outcome, Venue, canonical
from greekdrift.book.rules import RuleSet
from greekdrift.errors import JournalError
from greekdrift.journal.hash_chain import Entry
from greekdrift.journal.journal import Journal
from greekdrift.verify import Certificate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """One decision about an account as it is recorded; `rules` is None where the account's are not at hand."""

    account: Account
    rules: RuleSet | None
    outcome: Outcome
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    adjustment: Adjustment | None
    certificate: Certificate | None


def enter(
    journal: Journal, decided: Sequence[Decided], *, chain: Chain, venue: Venue, now: datetime
) -> tuple[int, ...]:
    """Files the inputs, then puts all decisions on disk with one wait; returns their sequence numbers.

    The inputs are there before the record that names them. A decision that stands in the journal already keeps
    its number, so that a repeated cycle records nothing twice.
    """
    shared = {"chain": journal.inputs.put(chain), "venue": journal.inputs.put(venue)}
    payloads = []
    for one in decided:
        own = {"account": one.account, "rules": one.rules, "adjustment": one.adjustment}
        addresses = {name: journal.inputs.put(item) for name, item in own.items() if item is not None}
        payloads.append(_payload(one, {**shared, **addresses}, chain=chain, now=now))
    return journal.append_once(payloads)


def decision_of(entry: Entry) -> dict[str, Any] | None:
    """What a record says of a decision; None where it is of another kind (a signature)."""
    try:
        said = json.loads(entry.payload)
    except ValueError as error:
        raise JournalError(f"record {entry.sequence} is no text that this version writes ({error}).") from error
    return said if isinstance(said, dict) and said.get("kind") == "decision" else None


def _payload(one: Decided, inputs: dict[str, str], *, chain: Chain, now: datetime) -> bytes:
    return canonical(
        {
            "kind": "decision",
            "account_id": one.account.account_id,
            "as_of": chain.as_of,
            "now": now,
            "outcome": one.outcome,
            "reasons": one.reasons,
            "findings": one.findings,
            "certificate": one.certificate,
            "inputs": inputs,
        }
    )
