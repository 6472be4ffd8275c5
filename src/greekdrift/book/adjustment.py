"""A proposed adjustment, what it claims, and what a check found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite

from greekdrift.book.instrument import Instrument
from greekdrift.book.numbers import as_floats, sorted_floats
from greekdrift.errors import BookError
from greekdrift.units import aware


class Outcome(StrEnum):
    """The three states that a decision can have; there is no fourth."""

    VERIFIED_ML = "VERIFIED_ML"
    BASELINE = "BASELINE"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order: signed contracts at a limit, and the breach that it answers.

    `limit_price` in the price currency of the instrument (coin for inverse options, USD otherwise).
    `leg` gives the sequence: options first, then linear instruments.
    """

    instrument: Instrument
    quantity: float
    limit_price: float
    leg: int
    reason: str

    def __post_init__(self) -> None:
        if not (isfinite(self.quantity) and self.quantity != 0.0):
            raise BookError(f"order in {self.instrument.name}: quantity {self.quantity} must be a number but 0.")
        if not (isfinite(self.limit_price) and self.limit_price > 0.0):
            raise BookError(f"order in {self.instrument.name}: limit price {self.limit_price} must be positive.")
        as_floats(self, "quantity", "limit_price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the proposer says that the account will be right after the trades; the judge recomputes each.

    `greeks` by band label; money in USD but `cash` by currency. `cost_usd` holds fees and the distance of
    each limit from the mark.
    """

    greeks: Mapping[str, float]
    initial_margin_usd: float
    maintenance_margin_usd: float
    equity_usd: float
    cash: Mapping[str, float]
    cost_usd: float

    def __post_init__(self) -> None:
        as_floats(self, "initial_margin_usd", "maintenance_margin_usd", "equity_usd", "cost_usd")
        object.__setattr__(self, "greeks", sorted_floats(self.greeks))
        object.__setattr__(self, "cash", sorted_floats(self.cash))


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """Orders and a margin add-on for one account, proposed as of an instant and valid until another.

    `chain_digest` and `account_digest` name what it was computed from. `margin_addon_usd` is held on top of
    the rule set's requirement. `is_forecast_based` tells a model's proposal from the deterministic rule's.
    An adjustment without orders and with a zero add-on is "do nothing", a proposal like any other.
    """

    account_id: str
    as_of: datetime
    valid_until: datetime
    orders: tuple[Order, ...]
    margin_addon_usd: float
    claim: Claim
    chain_digest: str
    account_digest: str
    is_forecast_based: bool
    provenance: str

    def __post_init__(self) -> None:
        if not (isfinite(self.margin_addon_usd) and self.margin_addon_usd >= 0.0):
            raise BookError(f"{self.account_id}: margin add-on {self.margin_addon_usd} must be at least 0.")
        as_floats(self, "margin_addon_usd")
        object.__setattr__(self, "as_of", aware(self.as_of))
        object.__setattr__(self, "valid_until", aware(self.valid_until))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found: its value, the limit it was held against, and the verdict."""

    check: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    detail: str
