"""What trades do to an account, and what they cost: bookkeeping that proposer and judge share."""

from collections.abc import Iterable
from dataclasses import replace
from math import fsum

from greekdrift.book.account import Account, Position
from greekdrift.book.adjustment import Order
from greekdrift.book.chain import Chain
from greekdrift.book.instrument import Kind
from greekdrift.book.venue import Venue


def after_orders(account: Account, orders: Iterable[Order], chain: Chain, venue: Venue) -> Account:
    """The account after all orders are filled at their limits: positions merged, payments moved to collateral.

    An option and spot are paid in full: −n size limit. A future or perpetual is marked to market at once against
    the row's forward F: n size (F − limit), or n size (1/limit − 1/F) in the coin where it is inverse. Fees leave
    the currency of settlement, in the coin at the index. Quantities are kept to 1e-9 contracts; flat lines go.
    """
    quantities = {position.instrument: position.quantity for position in account.positions}
    paid = {currency: [amount] for currency, amount in account.collateral.items()}
    for order in orders:
        instrument = order.instrument
        quantities[instrument] = quantities.get(instrument, 0.0) + order.quantity
        payments = paid.setdefault(instrument.currency, [])
        payments.append(_payment(order, chain))
        index = chain.index_price[instrument.underlying]
        payments.append(-_fee_usd(order, chain, venue) / (index if instrument.is_inverse else 1.0))
    positions = [Position(instrument=one, quantity=round(quantity, 9)) for one, quantity in quantities.items()]
    return replace(
        account,
        collateral={currency: fsum(amounts) for currency, amounts in paid.items()},
        positions=tuple(position for position in positions if position.quantity != 0.0),
    )


def order_cost_usd(order: Order, chain: Chain, venue: Venue) -> float:
    """Cost of an order in USD: its fee, and what its limit is worse than the mark; a better limit counts 0.

    worse = |n| size (limit − mark)⁺ for a purchase, (mark − limit)⁺ for a sale; in USD at the index for inverse
    options; relative to the mark for inverse futures and perpetuals, whose size is in USD.
    """
    instrument = order.instrument
    row = chain.row_of[instrument.name]
    mark, amount = float(chain.mark[row]), abs(order.quantity) * float(chain.contract_size[row])
    worse = max(order.limit_price - mark if order.quantity > 0.0 else mark - order.limit_price, 0.0)
    if instrument.is_option and instrument.is_inverse:
        worse *= chain.index_price[instrument.underlying]
    elif instrument.is_inverse:
        worse /= mark
    return _fee_usd(order, chain, venue) + amount * worse


def _payment(order: Order, chain: Chain) -> float:
    row = chain.row_of[order.instrument.name]
    amount, forward = order.quantity * float(chain.contract_size[row]), float(chain.forward[row])
    if order.instrument.kind in (Kind.OPTION, Kind.SPOT):
        return -amount * order.limit_price
    if order.instrument.is_inverse:
        return amount * (1.0 / order.limit_price - 1.0 / forward)
    return amount * (forward - order.limit_price)


def _fee_usd(order: Order, chain: Chain, venue: Venue) -> float:
    instrument = order.instrument
    index = chain.index_price[instrument.underlying]
    in_coin = instrument.is_option and instrument.is_inverse
    price_usd = order.limit_price * index if in_coin else order.limit_price
    return venue.product(instrument).fee_usd(order.quantity, price_usd=price_usd, index_usd=index)
