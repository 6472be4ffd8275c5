"""What an adjustment must satisfy before a number of it is looked at: identity, time, listing, and terms of orders.

Each check is a function of the case that returns a `Finding`; a limit of the mandate or the venue stands in it.
"""

from collections.abc import Callable, Iterable
from math import inf, isfinite
from sys import float_info

from greekdrift.book import Finding, Instrument, Order, digest
from greekdrift.book.collateral import Role
from greekdrift.errors import BookError, ConfigError
from greekdrift.units import DAYS_PER_YEAR, stamp
from greekdrift.verify.case import Case

Check = Callable[[Case], Finding]

ROUNDING = 1e-9
"""Share of a lot or tick by which an amount may miss a whole number of them."""

LONGEST_DELAY_SECONDS = 3600.0
"""Longest time from the prices of a chain to when it is known: a slower feed is stale whenever it arrives."""


def account_is_the_one_meant(case: Case) -> Finding:
    """The adjustment is for this account, and was computed from it as it stands."""
    if case.account_id != case.account.account_id:
        return _finding(
            "account", [f"meant for {case.account_id}"], value=case.account_id, limit=case.account.account_id
        )
    return _digests("account digest", case.account_digest, digest(case.account))


def chain_is_the_one_meant(case: Case) -> Finding:
    """The adjustment was computed from this chain."""
    return _digests("chain digest", case.chain_digest, digest(case.chain))


def mandate_is_the_accounts(case: Case) -> Finding:
    """The mandate is the account's own, and names this rule set."""
    problems = []
    if case.account.mandate is None or digest(case.account.mandate) != digest(case.mandate):
        problems.append("the mandate is not the account's")
    labels = [band.label for band in case.mandate.bands]
    problems += [f'two bands "{label}"' for label in sorted(set(labels)) if labels.count(label) > 1]
    if case.mandate.rule_set != case.rules.name:
        problems.append(f"the mandate is under {case.mandate.rule_set}, the rule set is {case.rules.name}")
    return _finding("mandate", problems, value=case.rules.name, limit=case.mandate.rule_set)


def venue_is_allowed(case: Case) -> Finding:
    """Chain and venue facts are of one venue, and the mandate allows it."""
    problems = []
    if case.chain.venue != case.venue.name:
        problems.append(f"the chain is of {case.chain.venue}, the facts are of {case.venue.name}")
    if case.venue.name not in case.mandate.venues:
        problems.append(f"{case.venue.name} is not among the mandate's venues")
    return _finding("venue", problems, value=case.venue.name, limit=", ".join(case.mandate.venues))


def nothing_is_from_the_future(case: Case) -> Finding:
    """Prices, their publication and the proposal lie in this order, and none after now."""
    moments = {"chain as_of": case.chain.as_of, "chain known_at": case.chain.known_at, "as_of": case.as_of}
    problems = [f"{name} {stamp(moment)} is after now" for name, moment in moments.items() if moment > case.now]
    if case.as_of < case.chain.as_of:
        problems.append(f"proposed as of {stamp(case.as_of)}, before the chain's {stamp(case.chain.as_of)}")
    return _finding("clock", problems, value=stamp(case.as_of), limit=stamp(case.now))


def chain_is_fresh(case: Case) -> Finding:
    """The chain became known no longer ago than a proposal stays valid, and soon after its prices were made."""
    age, limit = (case.now - case.chain.known_at).total_seconds(), case.mandate.valid_for_seconds
    problems = [] if age <= limit else [f"known for {age:g} s"]
    delay = (case.chain.known_at - case.chain.as_of).total_seconds()
    if not delay <= LONGEST_DELAY_SECONDS:
        problems.append(f"known {delay:g} s after its prices, more than {LONGEST_DELAY_SECONDS:g} s")
    return _finding("freshness", problems, value=age, limit=limit)


def proposal_is_valid_now(case: Case) -> Finding:
    """`valid_until` is ahead, and no further than the mandate lets a proposal stay valid."""
    left, limit = (case.valid_until - case.now).total_seconds(), case.mandate.valid_for_seconds
    problems = [] if 0.0 < left <= limit else [f"valid for {left:g} s more"]
    return _finding("validity", problems, value=left, limit=limit)


def nothing_expires_while_valid(case: Case) -> Finding:
    """No line and no order ends before `valid_until`: the numbers of the certificate hold as long as it does."""
    held, traded = case.account.positions, case.orders
    instruments = {*(one.instrument for one in held), *(one.instrument for one in traded)}
    ends = [(one.expiry, one.name) for one in instruments if one.expiry is not None]
    problems = [f"{name} expires at {stamp(end)}" for end, name in sorted(ends) if end < case.valid_until]
    first = min((end for end, _ in ends), default=None)
    return _finding("expiry", problems, value=None if first is None else stamp(first), limit=stamp(case.valid_until))


def positions_are_listed(case: Case) -> Finding:
    """Every line of the account is on the chain under its own terms, and alive now."""
    problems = []
    for position in case.account.positions:
        problems += _unlisted(case, position.instrument)
    return _finding("positions", problems, value=len(case.account.positions), limit=None)


def orders_are_listed(case: Case) -> Finding:
    """Every order is in an instrument of the chain under its own terms, and alive now."""
    problems = []
    for order in case.orders:
        problems += _unlisted(case, order.instrument)
    return _finding("instruments", problems, value=len(case.orders), limit=None)


def collateral_has_a_price(case: Case) -> Finding:
    """Every collateral has terms in the rule set and, unless it is cash, an index price."""
    problems = []
    for currency in case.account.collateral:
        try:
            terms = case.rules.parameters.terms_of(currency)
        except BookError as error:
            problems.append(str(error))
            continue
        if terms.role is not Role.CASH and currency not in case.chain.index_price:
            problems.append(f"{currency} has no index price")
    return _finding("collateral", problems, value=len(case.account.collateral), limit=None)


def bands_have_an_underlying(case: Case) -> Finding:
    """Every band of the mandate is on an underlying of the chain; a Greek is not 0 because nobody quotes it."""
    missing = sorted({band.underlying for band in case.mandate.bands} - set(case.chain.underlyings))
    problems = [f"{name} is not on the chain" for name in missing]
    return _finding("bands", problems, value=len(case.mandate.bands), limit=None)


def products_are_known(case: Case) -> Finding:
    """The venue file has the terms of every order's instrument, and the chain's contract size is its."""
    problems = []
    for order in case.orders:
        try:
            product = case.venue.product(order.instrument)
        except ConfigError as error:
            problems.append(str(error))
            continue
        size = float(case.chain.contract_size[case.chain.row_of[order.instrument.name]])
        if size != product.contract_size:
            problems.append(
                f"{order.instrument.name}: size {size:g} on the chain, {product.contract_size:g} at the venue"
            )
    return _finding("products", problems, value=len(case.orders), limit=None)


def kinds_are_allowed(case: Case) -> Finding:
    """Orders are in the mandate's hedge kinds; a held line of another kind may only be reduced."""
    problems = [
        f"{order.instrument.name} is {order.instrument.kind}"
        for order in case.orders
        if order.instrument.kind not in case.mandate.hedge_kinds and not case.only_reduces(order)
    ]
    return _finding("kinds", problems, value=len(case.orders), limit=", ".join(case.mandate.hedge_kinds))


def hedges_live_long_enough(case: Case) -> Finding:
    """Nothing is opened that expires sooner than the mandate's shortest hedge; it may be reduced."""
    lives = [(_days(case, order), order) for order in case.orders if not case.only_reduces(order)]
    limit = case.mandate.min_hedge_days
    problems = [f"{order.instrument.name} lives {days:.3g} days" for days, order in lives if days < limit]
    shortest = min((days for days, _ in lives), default=None)
    return _finding("hedge life", problems, value=None if shortest in (None, inf) else shortest, limit=limit)


def legs_are_a_sequence(case: Case) -> Finding:
    """One order per instrument, one leg per order, options before linear contracts."""
    problems = []
    names = [order.instrument.name for order in case.orders]
    problems += [f"two orders in {name}" for name in sorted(set(names)) if names.count(name) > 1]
    legs = [order.leg for order in case.orders]
    problems += [f"two orders are leg {leg}" for leg in sorted(set(legs)) if legs.count(leg) > 1]
    options = [order.leg for order in case.orders if order.instrument.is_option]
    linear = [order.leg for order in case.orders if not order.instrument.is_option]
    if options and linear and max(options) > min(linear):
        problems.append("a linear leg comes before an option leg")
    return _finding("legs", problems, value=len(case.orders), limit=None)


def quantities_are_whole_lots(case: Case) -> Finding:
    """Every quantity is a whole number of lots, at least one."""
    problems = []
    for order in case.orders:
        lots = abs(order.quantity) / case.venue.product(order.instrument).lot
        if not _is_whole(lots):
            problems.append(f"{order.instrument.name}: {order.quantity} is {lots:g} lots")
    return _finding("lots", problems, value=len(case.orders), limit=None)


def prices_lie_on_ticks(case: Case) -> Finding:
    """Every limit is a whole number of the ticks that hold at its price, at least one."""
    problems = []
    for order in case.orders:
        tick = case.venue.product(order.instrument).tick_at(order.limit_price)
        ticks = order.limit_price / tick
        if not _is_whole(ticks):
            problems.append(f"{order.instrument.name}: {order.limit_price} is {ticks:.6g} ticks of {tick:g}")
    return _finding("ticks", problems, value=len(case.orders), limit=None)


def prices_lie_in_the_collar(case: Case) -> Finding:
    """No limit is further from the mark than the collar: relative for linear contracts, of the index for options."""
    distances = [(_distance(case, order), order) for order in case.orders]
    limit = case.mandate.price_collar
    problems = [f"{order.instrument.name}: {away:.4g} from the mark" for away, order in distances if not away <= limit]
    return _finding("price collar", problems, value=_largest(away for away, _ in distances), limit=limit)


def participation_is_small(case: Case) -> Finding:
    """No order is more than the mandate's share of the instrument's 24-hour volume.

    An unknown volume is not a large one: an option of a recorded chain is refused then. On modelled and simulated
    chains, which have none, and for linear contracts the largest order of the mandate is the only limit.
    """
    limit, problems, shares = case.mandate.max_participation, [], []
    for order in case.orders:
        volume = float(case.chain.volume_24h[case.chain.row_of[order.instrument.name]])
        if isfinite(volume):
            share = abs(order.quantity) / volume if volume > 0.0 else inf
            shares.append(share)
            if not share <= limit * (1.0 + ROUNDING):
                problems.append(f"{order.instrument.name}: {share:.3g} of a volume of {volume:g}")
        elif order.instrument.is_option and case.chain.origin == "recorded":
            problems.append(f"{order.instrument.name}: no volume recorded")
    return _finding("participation", problems, value=_largest(shares), limit=limit)


def orders_are_small(case: Case) -> Finding:
    """No order has more notional than the mandate's largest: coins at the index, or the size in USD itself."""
    sizes, limit = [(_notional_usd(case, order), order) for order in case.orders], case.mandate.max_order_notional_usd
    problems = [
        f"{order.instrument.name}: {size:.0f} USD" for size, order in sizes if not size <= limit * (1.0 + ROUNDING)
    ]
    return _finding("order notional", problems, value=_largest(size for size, _ in sizes), limit=limit)


IDENTITY: tuple[Check, ...] = (
    account_is_the_one_meant,
    chain_is_the_one_meant,
    mandate_is_the_accounts,
    venue_is_allowed,
    nothing_is_from_the_future,
    chain_is_fresh,
    proposal_is_valid_now,
)
LISTING: tuple[Check, ...] = (
    positions_are_listed,
    orders_are_listed,
    nothing_expires_while_valid,
    collateral_has_a_price,
    bands_have_an_underlying,
)
PRODUCTS: tuple[Check, ...] = (products_are_known,)
TERMS: tuple[Check, ...] = (
    kinds_are_allowed,
    hedges_live_long_enough,
    legs_are_a_sequence,
    quantities_are_whole_lots,
    prices_lie_on_ticks,
    prices_lie_in_the_collar,
    participation_is_small,
    orders_are_small,
)


def _finding(check: str, problems: list[str], *, value: float | str | None, limit: float | str | None) -> Finding:
    """Passed where there is no problem; else the problems, one after the other."""
    detail = "; ".join(problems) if problems else "as it should be"
    return Finding(check=check, passed=not problems, value=value, limit=limit, detail=detail)


def _is_whole(steps: float) -> bool:
    """Whether a number of lots or ticks is whole and at least one, but for the rounding of a quotient of doubles."""
    return round(steps) >= 1 and abs(steps - round(steps)) <= ROUNDING + 4.0 * float_info.epsilon * steps


def _digests(check: str, said: str, own: str) -> Finding:
    problems = [] if said == own else ["computed from another one than this"]
    return _finding(check, problems, value=said, limit=own)


def _unlisted(case: Case, instrument: Instrument) -> list[str]:
    """What is wrong with the listing of an instrument: not there, other terms, or not alive now."""
    row = case.chain.row_of.get(instrument.name)
    if row is None:
        return [f"{instrument.name} is not on the chain"]
    if case.chain.instruments[row] != instrument:
        return [f"{instrument.name} has other terms on the chain"]
    if instrument.expiry is not None and instrument.expiry <= case.now:
        return [f"{instrument.name} expired at {stamp(instrument.expiry)}"]
    return []


def _days(case: Case, order: Order) -> float:
    """Days that an order's instrument lives from the chain's instant; infinite where it does not expire."""
    return float(case.chain.time_to_expiry[case.chain.row_of[order.instrument.name]]) * DAYS_PER_YEAR


def _distance(case: Case, order: Order) -> float:
    """Distance of a limit from the mark: of the mark for linear contracts, of the index value for options."""
    mark = float(case.chain.mark[case.chain.row_of[order.instrument.name]])
    away = abs(order.limit_price - mark)
    if not order.instrument.is_option:
        return away / mark if mark > 0.0 else inf
    if order.instrument.is_inverse:
        return away
    return away / case.chain.index_price[order.instrument.underlying]


def _notional_usd(case: Case, order: Order) -> float:
    """Notional of an order: coins at the index, or the size itself where it is in USD."""
    instrument = order.instrument
    amount = abs(order.quantity) * float(case.chain.contract_size[case.chain.row_of[instrument.name]])
    in_usd = instrument.is_inverse and not instrument.is_option
    return amount if in_usd else amount * case.chain.index_price[instrument.underlying]


def _largest(figures: Iterable[float]) -> float | str | None:
    """The largest figure, as text where it is none or infinite; None where there is no figure."""
    largest = max(figures, default=None)
    return largest if largest is None or isfinite(largest) else str(largest)
