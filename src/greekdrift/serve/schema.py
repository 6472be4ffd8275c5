"""What a request may hold: strict models at module level, numbers are numbers, nothing unknown.

A chain travels as columns of equal length; null means "not quoted", never zero. Accounts are those of a book
file; their numbers are in internal units unless a band says `unit: venue`.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import AwareDatetime, Field, model_validator

from greekdrift.book import Account, Chain, Venue
from greekdrift.book.feeds import with_feeds
from greekdrift.book.instrument import parse
from greekdrift.config.books import AccountFile
from greekdrift.config.feeds import FeedsFile
from greekdrift.config.problem import Section
from greekdrift.errors import ChainError
from greekdrift.margin.dressing import State
from greekdrift.serve.wire import COLUMNS

MOST_ROWS = 20_000
MOST_ACCOUNTS = 1_000

Numbers = Annotated[list[float], Field(max_length=MOST_ROWS)]
Perhaps = Annotated[list[float | None], Field(max_length=MOST_ROWS)]


class ChainBody(Section):
    """One snapshot of a venue: columns as in `book.Chain`; without `settlement_average_minutes` the venue's own.

    `feeds` as in a feed file; without them the prices are not in doubt.
    """

    venue: Annotated[str, Field(min_length=1, max_length=100)]
    as_of: AwareDatetime
    known_at: AwareDatetime | None = None
    origin: str = "recorded"
    settlement_average_minutes: float | None = None
    index_price: dict[str, float]
    instruments: Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=MOST_ROWS)]
    contract_size: Numbers
    forward: Numbers
    mark: Numbers
    mark_iv: Perhaps
    bid: Perhaps
    ask: Perhaps
    open_interest: Perhaps | None = None
    volume_24h: Perhaps | None = None
    feeds: FeedsFile | None = None

    @model_validator(mode="after")
    def _have_one_length(self) -> "ChainBody":
        rows = len(self.instruments)
        for name in COLUMNS:
            column = getattr(self, name)
            if column is not None and len(column) != rows:
                raise ChainError(f"{name} has {len(column)} values for {rows} instruments")
        return self

    def record(self, venue: Venue) -> Chain:
        """The chain, checked as every chain is; what it does not say of its settlement, the venue's facts say."""
        missing = [None] * len(self.instruments)
        sent = {name: getattr(self, name) for name in COLUMNS}
        columns: dict[str, Any] = {
            name: np.array(missing if column is None else column, dtype=float) for name, column in sent.items()
        }
        average = self.settlement_average_minutes
        chain = Chain(
            venue=self.venue,
            as_of=self.as_of,
            known_at=self.known_at or self.as_of,
            origin=self.origin,
            settlement_average_minutes=venue.settlement_average_minutes if average is None else average,
            index_price=self.index_price,
            instruments=tuple(parse(name) for name in self.instruments),
            **columns,
        )
        return chain if self.feeds is None else with_feeds(chain, self.feeds.record())


class Snapshot(Section):
    """A chain to decide about, and the accounts; the server's own book where they are left out.

    `previous_addons` are the states of the margin add-ons of the last decisions, by account: `addon.state` of then.
    """

    chain: ChainBody
    accounts: Annotated[list[AccountFile], Field(min_length=1, max_length=MOST_ACCOUNTS)] | None = None
    previous_addons: Annotated[dict[str, dict[str, Any]], Field(max_length=MOST_ACCOUNTS)] | None = None

    @model_validator(mode="after")
    def _ids_differ(self) -> "Snapshot":
        ids = [account.account_id for account in self.accounts or ()]
        if len(set(ids)) != len(ids):
            raise ChainError("an account_id stands twice")
        return self

    def account_records(self) -> tuple[Account, ...] | None:
        """The accounts, or None where the server's book is meant."""
        return None if self.accounts is None else tuple(account.record() for account in self.accounts)

    def addon_records(self) -> dict[str, State] | None:
        """The states of the add-ons, or None where nothing is known of earlier ones."""
        if self.previous_addons is None:
            return None
        return {name: State.from_values(values) for name, values in self.previous_addons.items()}
