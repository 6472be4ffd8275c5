"""Bundles of decisions read back: chain, accounts, rules, venue and the instant, each held against its digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greekdrift.book import Account, Adjustment, Chain, Mandate, RuleSet, Venue
from greekdrift.config import load_rules, load_venue
from greekdrift.config.books import accounts
from greekdrift.config.document import Document
from greekdrift.config.problem import parse
from greekdrift.errors import BookError, DataError, nearest
from greekdrift.serve.decode import AdjustmentBody
from greekdrift.serve.schema import ChainBody
from greekdrift.units import instant

PARTS = ("now", "venue", "rules", "decisions", "accounts", "chain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a decision was made from."""

    chain: Chain
    accounts: Mapping[str, Account]
    rules: RuleSet
    venue: Venue
    now: datetime

    def account(self, name: str) -> Account:
        """An account that has a mandate."""
        if name not in self.accounts:
            raise BookError(f'the bundle has no account "{name}"; {nearest(name, self.accounts)}')
        return self.accounts[name]

    def mandate(self, name: str) -> Mandate:
        """The mandate of an account; without one nothing may have been decided."""
        mandate = self.account(name).mandate
        if mandate is None:
            raise BookError(f"{name} has no mandate, so it cannot have an adjustment.")
        return mandate


def read_bundle(values: Mapping[str, Any], *, venue: str | None, rules: str | None) -> Bundle:
    """The records of a bundle; a part that is missing or facts of another content are refused."""
    missing = [part for part in PARTS if part not in values]
    if missing or not _are_decisions(values["decisions"]):
        raise DataError(
            f"the file lacks {', '.join(missing) or 'a list of decisions'}; give decisions.json of propose."
        )
    for part in ("rules", "venue"):
        facts = values[part]
        if not isinstance(facts, dict) or not {"name", "sha256"} <= facts.keys():
            raise DataError(f"{part}: should be an object with name and sha256; give decisions.json of propose.")
    book = accounts(Document(name="accounts", values={"accounts": values["accounts"]}))
    facts_of_venue = _same(load_venue(venue or str(values["venue"]["name"])), values["venue"], what="venue")
    return Bundle(
        chain=parse(ChainBody, Document(name="chain", values=values["chain"]), error=DataError).record(facts_of_venue),
        accounts={account.account_id: account for account in book},
        rules=_same(load_rules(rules or str(values["rules"]["name"])), values["rules"], what="rules"),
        venue=facts_of_venue,
        now=instant(str(values["now"])),
    )


def _are_decisions(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(one, dict) for one in values)


def adjustment_of(values: Any, name: str) -> Adjustment:
    """The adjustment of a decision."""
    if not isinstance(values, dict):
        raise DataError(f"{name}: the decision is no HOLD and holds no adjustment; the file is incomplete.")
    return parse(AdjustmentBody, Document(name=f"adjustment of {name}", values=values), error=DataError).record()


def _same(found: Any, wanted: Mapping[str, Any], *, what: str) -> Any:
    if found.sha256 != wanted["sha256"]:
        raise DataError(
            f"{what} {found.name} have other content ({found.sha256[:12]}) than the decisions rest on "
            f"({str(wanted['sha256'])[:12]}); give the file that they were made with by --{what}."
        )
    return found


def copied(values: Any) -> Any:
    """Values as they are once written and read again."""
    return json.loads(json.dumps(values, allow_nan=False))
