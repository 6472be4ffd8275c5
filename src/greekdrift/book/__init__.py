"""The words: frozen records that pass between rooms, validated where they are made."""

from greekdrift.book.account import Account, Position
from greekdrift.book.adjustment import Adjustment, Claim, Finding, Order, Outcome
from greekdrift.book.canonical import canonical, digest
from greekdrift.book.chain import Chain
from greekdrift.book.instrument import Instrument, Kind, Settlement
from greekdrift.book.mandate import Band, Mandate, View
from greekdrift.book.rules import NetPortfolio, NetPortfolioParameters, RuleSet
from greekdrift.book.scenarios import Scenarios
from greekdrift.book.trade import after_orders, order_cost_usd
from greekdrift.book.venue import Product, Venue

__all__ = [
    "Account",
    "Adjustment",
    "Band",
    "Chain",
    "Claim",
    "Finding",
    "Instrument",
    "Kind",
    "Mandate",
    "NetPortfolio",
    "NetPortfolioParameters",
    "Order",
    "Outcome",
    "Position",
    "Product",
    "RuleSet",
    "Scenarios",
    "Settlement",
    "Venue",
    "View",
    "after_orders",
    "canonical",
    "digest",
    "order_cost_usd",
]
