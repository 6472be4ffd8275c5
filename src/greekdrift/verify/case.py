"""What the judge is asked, without what the proposer claims."""

from dataclasses import dataclass
from datetime import datetime

from greekdrift.book import Account, Adjustment, Chain, Mandate, Order, RuleSet, Venue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """An adjustment stripped of its claim, with everything that it is held against.

    No check of this record, and no number computed from it, can have seen a claimed figure.
    """

    account: Account
    chain: Chain
    mandate: Mandate
    rules: RuleSet
    venue: Venue
    now: datetime
    account_id: str
    as_of: datetime
    valid_until: datetime
    orders: tuple[Order, ...]
    margin_addon_usd: float
    chain_digest: str
    account_digest: str

    @classmethod
    def of(
        cls,
        account: Account,
        chain: Chain,
        adjustment: Adjustment,
        mandate: Mandate,
        rules: RuleSet,
        now: datetime,
        venue: Venue,
    ) -> "Case":
        """The case of an adjustment; its claim is not read."""
        return cls(
            account=account,
            chain=chain,
            mandate=mandate,
            rules=rules,
            venue=venue,
            now=now,
            account_id=adjustment.account_id,
            as_of=adjustment.as_of,
            valid_until=adjustment.valid_until,
            orders=adjustment.orders,
            margin_addon_usd=adjustment.margin_addon_usd,
            chain_digest=adjustment.chain_digest,
            account_digest=adjustment.account_digest,
        )

    def held(self, order: Order) -> float:
        """Contracts of an order's instrument that the account holds before the trade."""
        return self.account.quantities().get(order.instrument.name, 0.0)

    def only_reduces(self, order: Order) -> bool:
        """Whether an order brings a held line nearer to zero and not beyond."""
        before = self.held(order)
        return before * order.quantity < 0.0 and abs(order.quantity) <= abs(before) * (1.0 + 1e-9)
