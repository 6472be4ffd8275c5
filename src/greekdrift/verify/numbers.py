"""The judge's own numbers of a case: the account before and after, now and under stress. No claim is in sight."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

from greekdrift.book import Account, Chain, Order, Venue, after_orders
from greekdrift.margin import MarginResult, naive_engine
from greekdrift.verify.case import Case
from greekdrift.verify.greeks import NOW, Value, band_values, stressed_states


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """An account at the chain: its Greeks by band label, now and in each stressed state, its margin and its cash."""

    account: Account
    greeks: Mapping[str, Value]
    stressed: Mapping[str, Mapping[str, Value]]
    margin: MarginResult

    @property
    def cash(self) -> Mapping[str, float]:
        """Collateral by currency."""
        return self.account.collateral


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """Before and after the orders, and what the orders cost; `gross_usd` is the scale of rounding in money."""

    before: State
    after: State
    cost_usd: float
    gross_usd: float


def numbers(case: Case) -> Numbers:
    """All numbers that the limits are held against, from the case alone."""
    filled = after_orders(case.account, case.orders, case.chain, case.venue)
    return Numbers(
        before=_state(case, case.account),
        after=_state(case, filled),
        cost_usd=fsum(cost_usd(order, case.chain, case.venue) for order in case.orders),
        gross_usd=_gross_usd(case.chain, filled),
    )


def cost_usd(order: Order, chain: Chain, venue: Venue) -> float:
    """Fee of an order plus what its limit is worse than the mark, USD; written apart from the proposer's own."""
    instrument = order.instrument
    row = chain.row_of[instrument.name]
    index = chain.index_price[instrument.underlying]
    mark, limit, size = float(chain.mark[row]), order.limit_price, float(chain.contract_size[row])
    contracts = abs(order.quantity)
    worse = limit - mark if order.quantity > 0.0 else mark - limit
    product = venue.product(instrument)
    if instrument.is_option and instrument.is_inverse:
        fee = product.fee_usd(contracts, price_usd=limit * index, index_usd=index)
        return fee + contracts * size * max(worse, 0.0) * index
    fee = product.fee_usd(contracts, price_usd=limit, index_usd=index)
    if instrument.is_inverse:
        return fee + contracts * size * max(worse, 0.0) / mark
    return fee + contracts * size * max(worse, 0.0)


def _state(case: Case, account: Account) -> State:
    labels = stressed_states(case.rules)
    now, *moved = band_values(case.chain, account, case.mandate, case.rules, (NOW, *labels))
    return State(
        account=account,
        greeks=now,
        stressed=dict(zip(labels, moved, strict=True)),
        margin=naive_engine.requirement(case.chain, account, case.rules),
    )


def _gross_usd(chain: Chain, account: Account) -> float:
    """Gross notional of lines and collateral, USD."""
    parts = [abs(amount) * chain.index_price.get(currency, 1.0) for currency, amount in account.collateral.items()]
    for position in account.positions:
        instrument, row = position.instrument, chain.row_of[position.instrument.name]
        in_usd = instrument.is_inverse and not instrument.is_option
        price = 1.0 if in_usd else chain.index_price[instrument.underlying]
        parts.append(abs(position.quantity) * float(chain.contract_size[row]) * price)
    return fsum(parts)
