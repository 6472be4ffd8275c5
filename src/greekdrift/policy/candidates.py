"""What an account may trade: linear contracts for delta, a few liquid options of each tenor for gamma and vega.

The list depends on the chain, the venue and this account alone. Held lines are always on it (they can be closed
while somebody quotes), with their neighbours in strike and expiry (they can be rolled).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Kind, Mandate, Venue
from greekdrift.errors import BookError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.policy.impact import Costs, SquareRoot, costs
from greekdrift.units import days

DEFAULT_TENORS = ((0.0, 30.0), (30.0, 90.0), (90.0, 1e6))
ROLLED_LINES = 8
"""Held options, by gross vega, whose neighbours are candidates."""
WANTED_DELTAS = (0.5, 0.25, -0.25)
"""Delta on the forward of the options looked for in each expiry: at the money, and the two wings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Universe:
    """Chain rows that a decision is about (sorted), what the account holds of each, and how much it may trade.

    `lower` and `upper` bound the signed contracts to trade; 0 and 0 for a line that can only be kept.
    """

    rows: ndarray
    held: Float[ndarray, " row"]
    lower: Float[ndarray, " row"]
    upper: Float[ndarray, " row"]
    costs: Costs


def universe(
    chain: Chain, account: Account, venue: Venue, *, law: SquareRoot | None = None, per_expiry: int = 3
) -> Universe:
    """The rows of an account's decision.

    Options are opened only with two sides quoted, a traded volume that is not 0, and at least the mandate's
    `min_hedge_days` to live; held ones can always be reduced. Each trade is bounded by the mandate's share of the
    24-hour volume and by its largest order. An unknown volume is not a large one: such options of a recorded chain
    are not traded; on modelled chains and for linear contracts the largest order alone bounds.
    """
    mandate = _mandate(account)
    held_rows = chain.rows(account.quantities())
    wanted = np.union1d(held_rows, candidates(chain, account, venue, per_expiry=per_expiry))
    terms = costs(chain, wanted, venue, price_collar=mandate.price_collar, law=law)
    held = np.zeros(wanted.size)
    held[np.searchsorted(wanted, held_rows)] = list(account.quantities().values())
    lower, upper = _bounds(chain, mandate, terms, held)
    return Universe(rows=wanted, held=held, lower=lower, upper=upper, costs=terms)


def candidates(chain: Chain, account: Account, venue: Venue, *, per_expiry: int = 3) -> ndarray:
    """Rows beyond the held ones that could serve the account's bands, sorted."""
    mandate = _mandate(account)
    if chain.venue not in mandate.venues or venue.name != chain.venue:
        return np.zeros(0, dtype=np.int64)
    found: set[int] = set()
    for underlying in sorted({band.underlying for band in mandate.bands}):
        found.update(_linear(chain, mandate, underlying))
        if Kind.OPTION in mandate.hedge_kinds:
            listed = _open_options(chain, mandate, underlying)
            found.update(_of_tenors(chain, mandate, underlying, listed, per_expiry))
            found.update(_neighbours(chain, account, underlying, listed))
    return np.array(sorted(found), dtype=np.int64)


def _mandate(account: Account) -> Mandate:
    if account.mandate is None:
        raise BookError(f"{account.account_id} has no mandate, so nothing may be traded; add one to the book file.")
    return account.mandate


def _linear(chain: Chain, mandate: Mandate, underlying: str) -> list[int]:
    """Perpetual and spot, and the two futures that expire next after the mandate's shortest hedge."""
    here = np.flatnonzero((chain.underlying == underlying) & ~chain.is_option)
    allowed = [row for row in here if chain.instruments[row].kind in mandate.hedge_kinds]
    futures = [row for row in allowed if chain.instruments[row].kind is Kind.FUTURE]
    alive = [row for row in futures if days(chain.time_to_expiry[row]) >= mandate.min_hedge_days]
    nearest = sorted(alive, key=lambda row: float(chain.time_to_expiry[row]))[:2]
    return [int(row) for row in allowed if row not in futures or row in nearest]


def _open_options(chain: Chain, mandate: Mandate, underlying: str) -> Bool[ndarray, " row"]:
    """Options that may be opened: both sides quoted or none recorded, traded where that is recorded, long-lived."""
    unrecorded = np.isnan(chain.bid) & np.isnan(chain.ask)
    is_quoted = (chain.bid > 0.0) & (chain.ask > 0.0)
    is_traded = (chain.volume_24h > 0.0) | (np.isnan(chain.volume_24h) & (chain.origin != "recorded"))
    is_long = days(chain.time_to_expiry) >= mandate.min_hedge_days
    is_open: ndarray = chain.is_option & (chain.underlying == underlying) & (is_quoted | unrecorded)
    return is_open & is_traded & is_long & (chain.mark > 0.0)


def _of_tenors(
    chain: Chain, mandate: Mandate, underlying: str, listed: Bool[ndarray, " row"], per_expiry: int
) -> list[int]:
    """At the money and 25-delta options of the two most traded expiries in each tenor bucket of the bands."""
    banded = [band for band in mandate.bands if band.underlying == underlying and band.greek != "delta"]
    if not banded or not np.any(listed):
        return []
    tenors = sorted({tenor for band in banded for tenor in ([band.tenor_days] if band.tenor_days else DEFAULT_TENORS)})
    life = days(chain.time_to_expiry)
    found: list[int] = []
    for start, end in tenors:
        inside = np.flatnonzero(listed & (life >= start) & (life < end))
        for expiry in _most_traded(chain, inside):
            found.extend(_near_deltas(chain, inside[chain.expiry[inside] == expiry], per_expiry))
    return found


def _most_traded(chain: Chain, rows: ndarray, *, count: int = 2) -> list[np.datetime64]:
    """Expiries by recorded volume, then by number of quotes, then the earlier one."""
    listed = np.unique(chain.expiry[rows])
    volume = np.nan_to_num(chain.volume_24h[rows])
    keys = [(-float(volume[chain.expiry[rows] == at].sum()), -int((chain.expiry[rows] == at).sum())) for at in listed]
    order = sorted(range(len(listed)), key=lambda place: (*keys[place], listed[place]))
    return [listed[place] for place in order[:count]]


def _near_deltas(chain: Chain, rows: ndarray, per_expiry: int) -> list[int]:
    """The out-of-the-money row nearest to each wanted delta; of two equally near the cheaper spread."""
    is_out = np.where(
        chain.is_call[rows], chain.strike[rows] >= chain.forward[rows], chain.strike[rows] <= chain.forward[rows]
    )
    rows = rows[is_out]
    if rows.size == 0:
        return []
    line = line_quantities(chain, ("delta_usd",), rows)["delta_usd"] / chain.contract_size[rows]
    found = []
    for wanted in WANTED_DELTAS[:per_expiry]:
        off = np.abs(np.abs(line) - 0.5) if wanted == 0.5 else np.abs(line - wanted)
        found.append(int(rows[np.argmin(off)]))
    return found


def _neighbours(chain: Chain, account: Account, underlying: str, listed: Bool[ndarray, " row"]) -> list[int]:
    """For the largest held options the next strikes of their expiry, and their own strike in the next expiry."""
    held = [one for one in account.positions if one.instrument.is_option and one.instrument.underlying == underlying]
    rows = chain.rows([one.instrument.name for one in held])
    size = np.abs([one.quantity for one in held]) * line_quantities(chain, ("vega",), rows)["vega"]
    found: list[int] = []
    for row in rows[np.argsort(-size, kind="stable")[:ROLLED_LINES]]:
        alike = listed & (chain.is_call == chain.is_call[row]) & (chain.is_inverse == chain.is_inverse[row])
        same = np.flatnonzero(alike & (chain.expiry == chain.expiry[row]))
        above, below = same[chain.strike[same] > chain.strike[row]], same[chain.strike[same] < chain.strike[row]]
        later = np.flatnonzero(alike & (chain.expiry > chain.expiry[row]) & (chain.strike == chain.strike[row]))
        found += [int(above[np.argmin(chain.strike[above])])] if above.size else []
        found += [int(below[np.argmax(chain.strike[below])])] if below.size else []
        found += [int(later[np.argmin(chain.expiry[later])])] if later.size else []
    return found


def _bounds(
    chain: Chain, mandate: Mandate, terms: Costs, held: Float[ndarray, " row"]
) -> tuple[Float[ndarray, " row"], Float[ndarray, " row"]]:
    rows = terms.rows
    listed = np.zeros(len(chain), dtype=np.bool_)
    for underlying in sorted({band.underlying for band in mandate.bands}):
        listed |= _open_options(chain, mandate, underlying)
    banded = np.isin(chain.underlying[rows], sorted({band.underlying for band in mandate.bands}))
    kinds = np.array([chain.instruments[row].kind in mandate.hedge_kinds for row in rows], dtype=np.bool_)
    short_lived = days(chain.time_to_expiry[rows]) < mandate.min_hedge_days
    may_open = np.where(chain.is_option[rows], listed[rows], banded & ~short_lived) & kinds
    volume = chain.volume_24h[rows]
    unknown = np.where(chain.is_option[rows] & (chain.origin == "recorded"), 0.0, np.inf)
    share = np.where(np.isnan(volume), unknown, mandate.max_participation * volume)
    most = np.minimum(share, mandate.max_order_notional_usd / notional_usd(chain, rows))
    upper = np.where(may_open, most, np.minimum(np.maximum(-held, 0.0), most))
    lower = -np.where(may_open, most, np.minimum(np.maximum(held, 0.0), most))
    is_here = chain.venue in mandate.venues
    can_buy, can_sell = np.isfinite(terms.buy_limit) & is_here, np.isfinite(terms.sell_limit) & is_here
    return np.where(can_sell, lower, 0.0), np.where(can_buy, upper, 0.0)


def notional_usd(chain: Chain, rows: ndarray) -> Float[ndarray, " row"]:
    """Notional of one contract in USD: coins times index; the size itself for inverse futures and perpetuals."""
    is_in_usd = chain.is_inverse[rows] & ~chain.is_option[rows]
    size = chain.contract_size[rows]
    notional: ndarray = np.where(is_in_usd, size, size * chain.index[rows])
    return notional
