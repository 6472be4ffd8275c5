"""Adjustments as they were sent, back as records: for whoever wants to verify what a server answered."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from greekdrift.book import Adjustment, Claim, Order
from greekdrift.book.instrument import parse
from greekdrift.config.problem import Section

Finite = Annotated[float, Field(allow_inf_nan=False)]


class OrderBody(Section):
    """One order; the instrument by name."""

    instrument: str
    quantity: Finite
    limit_price: Finite
    leg: int
    reason: str

    def record(self) -> Order:
        """The order."""
        return Order(**{**dict(self), "instrument": parse(self.instrument)})


class ClaimBody(Section):
    """What the proposer said that the account will be."""

    greeks: dict[str, Finite]
    initial_margin_usd: Finite
    maintenance_margin_usd: Finite
    equity_usd: Finite
    cash: dict[str, Finite]
    cost_usd: Finite

    def record(self) -> Claim:
        """The claim."""
        return Claim(**dict(self))


class AdjustmentBody(Section):
    """An adjustment as `encode.adjustment_values` writes it."""

    account_id: str
    as_of: AwareDatetime
    valid_until: AwareDatetime
    orders: tuple[OrderBody, ...]
    margin_addon_usd: Finite
    claim: ClaimBody
    chain_digest: str
    account_digest: str
    is_forecast_based: bool
    provenance: str

    def record(self) -> Adjustment:
        """The adjustment, the same to the bit as the one that was sent."""
        orders = tuple(order.record() for order in self.orders)
        return Adjustment(**{**dict(self), "orders": orders, "claim": self.claim.record()})
