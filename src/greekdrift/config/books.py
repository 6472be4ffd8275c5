"""Book files: accounts with collateral, signed positions and a mandate, from YAML or JSON into records.

    accounts:
      - account_id: maker
        collateral: {BTC: 12.5, USDC: 50000}
        positions: {BTC-27MAR26-90000-C: -10, BTC-PERPETUAL: 150000}
        mandate:
          rule_set: derive_pm2
          bands:
            - {greek: delta, underlying: BTC, lower: -2, upper: 2, view: net}
            - {greek: vega, underlying: BTC, lower: -900, upper: 900, tenor_days: [0, 30], unit: venue}
          ...

Numbers of a band are in internal units (volatility per 1.00, time in years); with `unit: venue` in the
venue's display units (vega per point, theta per day). An account without a mandate is read; every decision
about it is HOLD.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from greekdrift.book import Account, Band, Kind, Mandate, Position, View
from greekdrift.book.instrument import parse as parse_instrument
from greekdrift.config.book_table import ENDINGS, read_table
from greekdrift.config.document import Document, read
from greekdrift.config.problem import Section, parse
from greekdrift.errors import BookError
from greekdrift.units import from_venue

Unit = Literal["internal", "venue"]


class BandFile(Section):
    """One band of a mandate; `tenor_days` limits it to options that expire in [from, to) days."""

    greek: str
    underlying: str
    lower: float
    upper: float
    view: View | None = None
    tenor_days: tuple[float, float] | None = None
    unit: Unit = "internal"

    @model_validator(mode="after")
    def _is_a_band(self) -> "BandFile":
        self.record()
        return self

    def record(self) -> Band:
        """The band in internal units."""
        given = self.model_dump(exclude_unset=True, exclude={"unit"})
        if given.get("view", "") is None:
            del given["view"]
        band = Band(**given)
        if self.unit == "internal":
            return band
        lower, upper = (float(from_venue(self.greek, edge)) for edge in (self.lower, self.upper))
        return Band(**{**given, "lower": lower, "upper": upper})


class MandateFile(Section):
    """What an account may do; fields and defaults are those of `book.Mandate`."""

    rule_set: str
    bands: Annotated[tuple[BandFile, ...], Field(min_length=1)]
    liquidity_buffer_usd: float
    venues: Annotated[tuple[str, ...], Field(min_length=1)]
    max_order_notional_usd: float
    max_cost_usd: float
    max_participation: float | None = None
    price_collar: float | None = None
    price_of_breach: dict[str, float] | None = None
    hedge_kinds: tuple[Kind, ...] | None = None
    min_hedge_days: float | None = None
    gamma_fade_days: float | None = None
    inner_band: float | None = None
    risk_aversion: float | None = None
    valid_for_seconds: float | None = None

    @model_validator(mode="after")
    def _is_a_mandate(self) -> "MandateFile":
        self.record()
        return self

    def record(self) -> Mandate:
        """The mandate; a key that is absent or null takes the record's own default."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: value for name, value in given.items() if value is not None}
        bands = tuple(band.record() for band in self.bands)
        twice = [label for label, count in Counter(band.label for band in bands).items() if count > 1]
        if twice:
            raise BookError(f"the band {twice[0]} stands twice; keep one.")
        return Mandate(**{**kept, "bands": bands})


class AccountFile(Section):
    """One isolated account."""

    account_id: Annotated[str, Field(min_length=1, max_length=200)]
    collateral: dict[str, float]
    positions: dict[str, float]
    mandate: MandateFile | None = None

    @field_validator("positions")
    @classmethod
    def _are_instruments(cls, positions: dict[str, float]) -> dict[str, float]:
        problems = []
        for name in positions:
            try:
                parse_instrument(name)
            except ValueError as problem:
                problems.append(str(problem))
        if problems:
            raise BookError(" | ".join(problems))
        return positions

    def record(self) -> Account:
        """The account."""
        return Account(
            account_id=self.account_id,
            collateral=self.collateral,
            positions=tuple(Position.of(name, quantity) for name, quantity in self.positions.items()),
            mandate=None if self.mandate is None else self.mandate.record(),
        )


class BookFile(Section):
    """A book: at least one account, each with its own id."""

    accounts: Annotated[tuple[AccountFile, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_differ(self) -> "BookFile":
        counts = Counter(account.account_id for account in self.accounts)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise BookError(f'the account_id "{twice[0]}" stands twice; give each account its own.')
        return self

    def records(self) -> tuple[Account, ...]:
        """The accounts."""
        return tuple(account.record() for account in self.accounts)


def load_accounts(path: str | Path) -> tuple[Account, ...]:
    """The accounts of a book file (YAML or JSON; CSV or Parquet without mandates, see `book_table`).

    All problems of a YAML or JSON file are raised together.
    """
    if Path(path).suffix in ENDINGS:
        return read_table(Path(path))
    return accounts(read(path))


def accounts(document: Document) -> tuple[Account, ...]:
    """The accounts of a document that was read already.

    >>> from greekdrift.config.document import read_text
    >>> text = "accounts: [{account_id: a, collateral: {USD: 1000}, positions: {AAPL.USD-SPOT: 5}}]"
    >>> accounts(read_text(text, name="book.yaml"))[0].quantities()
    {'AAPL.USD-SPOT': 5.0}
    """
    return parse(BookFile, document, error=BookError).records()
