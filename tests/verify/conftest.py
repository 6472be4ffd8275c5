"""An account, its chain, and an honest proposer, which claims what the engine and the exposure say."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import floor

import pytest

from greekdrift.book import (
    Account,
    Adjustment,
    Band,
    Chain,
    Claim,
    Kind,
    Mandate,
    Order,
    Position,
    RuleSet,
    Venue,
    View,
    after_orders,
    digest,
    order_cost_usd,
)
from greekdrift.config import load_rules, load_venue
from greekdrift.greeks.bands import band_values
from greekdrift.margin import grid
from greekdrift.verify import Refused, Verified, verify

MANDATE = Mandate(
    rule_set="derive_pm2",
    bands=(
        Band(greek="delta", underlying="BTC", lower=-0.2, upper=0.2),
        Band(greek="delta", underlying="BTC", lower=1.0, upper=3.0, view=View.COLLATERAL),
        Band(greek="gamma", underlying="BTC", lower=-5e-5, upper=5e-5),
        Band(greek="vega", underlying="BTC", lower=-40_000.0, upper=40_000.0, tenor_days=(0.0, 60.0)),
        Band(greek="theta", underlying="BTC", lower=-2e5, upper=2e5),
    ),
    liquidity_buffer_usd=5_000.0,
    venues=("deribit",),
    max_order_notional_usd=1e6,
    max_cost_usd=2_000.0,
    hedge_kinds=(Kind.PERPETUAL, Kind.OPTION),
)


@dataclass(frozen=True, kw_only=True)
class World:
    chain: Chain
    account: Account
    rules: RuleSet
    venue: Venue
    now: datetime

    def order(self, name: str, quantity: float, *, leg: int = 0, worse: float = 1.0) -> Order:
        """An order at the next tick beyond the mark, or some ticks worse."""
        row = self.chain.row_of[name]
        instrument, mark = self.chain.instruments[row], float(self.chain.mark[row])
        tick = self.venue.product(instrument).tick_at(mark)
        ticks = floor(mark / tick) + (worse if quantity > 0.0 else 1.0 - worse)
        return Order(
            instrument=instrument, quantity=quantity, limit_price=round(ticks * tick, 9), leg=leg, reason="delta"
        )

    def propose(self, *orders: Order, **changes: object) -> Adjustment:
        """An adjustment with the claim of the vectorised engine, and any field changed."""
        after = after_orders(self.account, orders, self.chain, self.venue)
        margin = grid.requirement(self.chain, after, self.rules)
        claim = Claim(
            greeks=band_values(self.chain, after),
            initial_margin_usd=margin.initial_margin_usd,
            maintenance_margin_usd=margin.maintenance_margin_usd,
            equity_usd=margin.equity_usd,
            cash=after.collateral,
            cost_usd=sum(order_cost_usd(order, self.chain, self.venue) for order in orders),
        )
        given = {
            "account_id": self.account.account_id,
            "as_of": self.chain.as_of,
            "valid_until": self.now + timedelta(minutes=10),
            "orders": orders,
            "margin_addon_usd": 0.0,
            "claim": claim,
            "chain_digest": digest(self.chain),
            "account_digest": digest(self.account),
            "is_forecast_based": False,
            "provenance": "rule",
        }
        return Adjustment(**{**given, **changes})

    def judge(self, adjustment: Adjustment, **changes: object) -> Verified | Refused:
        given = {"rules": self.rules, "venue": self.venue, "now": self.now, "mandate": self.account.mandate, **changes}
        return verify(
            given.get("account", self.account),
            given.get("chain", self.chain),
            adjustment,
            given["mandate"],
            given["rules"],
            given["now"],
            venue=given["venue"],
        )

    def having(self, **changes: object) -> "World":
        """The same world with parts of the mandate, the collateral or the positions of the account changed."""
        own = {name: changes.pop(name) for name in ("collateral", "positions") if name in changes}
        mandate = replace(self.account.mandate, **changes) if changes else self.account.mandate
        return replace(self, account=replace(self.account, mandate=mandate, **own))


@pytest.fixture(scope="session")
def make_world(make_chain: Callable[..., Chain]) -> Callable[..., World]:
    venue, rules = load_venue("deribit"), load_rules("derive_pm2")

    def world(**columns: object) -> World:
        chain = make_chain(**columns)
        positions = (
            Position.of("BTC-31JAN26-100000-C", -2.0),
            Position.of("BTC-31JAN26-95000-P", -1.5),
            Position.of("BTC-2APR26-115000-C", 1.0),
            Position.of("BTC-3JAN26-100000-P", 0.5),
            Position.of("BTC-PERPETUAL", 11_000.0),
        )
        account = Account(
            account_id="desk", collateral={"BTC": 2.0, "USDC": 100_000.0}, positions=positions, mandate=MANDATE
        )
        now = chain.known_at + timedelta(minutes=1)
        return World(chain=chain, account=account, rules=rules, venue=venue, now=now)

    return world


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    return make_world()
