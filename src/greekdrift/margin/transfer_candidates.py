"""Transfers that are worth a try: moves of held positions, hedged or not, perpetual pairs and boxes.

    move   a held position, or half of it, from one account to another that lists it
    hedged such a move of an option, with perpetuals the other way so that neither account's delta changes
    pair   a perpetual bought in one account and sold in another, sized to an account's delta
    box    a synthetic forward (call − put of one strike) in one account and its opposite in another, sized alike

The legs of each sum to zero over the accounts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy import ndarray

from greekdrift.book import Chain, Kind
from greekdrift.greeks.exposure import deltas, line_quantities
from greekdrift.margin.netting import Member
from greekdrift.units import days

What = Literal["move", "hedged", "pair", "box"]
KINDS: tuple[What, ...] = ("move", "hedged", "pair", "box")

SHARES = (1.0, 0.5)
"""Shares of a position that are tried."""
SIZES = (1.0, 0.75, 0.5, 0.25)
"""Shares of an account's delta that are tried with pairs and boxes."""
EXPIRIES = 3
"""Expiries of an account, by contracts held, in which boxes are tried."""
SHORTEST_BOX_DAYS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Signed contracts of an instrument that come to an account."""

    account_id: str
    instrument: str
    quantity: float


def candidates(members: Sequence[Member], kinds: Sequence[What]) -> Iterator[tuple[What, tuple[Leg, ...]]]:
    """Legs of every candidate between every two of the members."""
    for giver, taker in permutations(members, 2):
        found = list(_moves(giver, taker, kinds))
        for underlying, delta in _deltas(giver).items():
            found += _pairs(giver, taker, underlying, delta) if "pair" in kinds else ()
            found += _boxes(giver, taker, underlying, delta) if "box" in kinds else ()
        yield from ((what, legs) for what, legs in found if legs)


def coins_of_contract(chain: Chain, row: int | np.integer) -> float:
    """Coins that one contract is on."""
    is_in_usd = chain.is_inverse[row] and not chain.is_option[row]
    return float(chain.contract_size[row] / chain.forward[row] if is_in_usd else chain.contract_size[row])


def _moves(giver: Member, taker: Member, kinds: Sequence[What]) -> Iterator[tuple[What, tuple[Leg, ...]]]:
    for name, quantity in giver.account.quantities().items():
        if name not in taker.chain.row_of or quantity == 0.0:
            continue
        hedge = _hedge(giver, taker, name) if "hedged" in kinds else {}
        for share in SHARES:
            moved = -share * quantity
            if "move" in kinds:
                yield "move", _opposite(giver, taker, {name: moved})
            if hedge:
                against = {perpetual: -moved * each for perpetual, each in hedge.items()}
                yield "hedged", _opposite(giver, taker, {name: moved} | against)


def _hedge(giver: Member, taker: Member, name: str) -> dict[str, float]:
    """Perpetuals with the delta of one contract of an option; nothing where there are none, or no option."""
    chain = giver.chain
    row = chain.row_of[name]
    if not chain.is_option[row]:
        return {}
    delta = float(line_quantities(chain, ("delta_collateral",), np.array([row]))["delta_collateral"][0])
    perpetuals = _perpetuals(giver, taker, str(chain.underlying[row]))[:1]
    return {chain.instruments[one].name: delta / coins_of_contract(chain, one) for one in perpetuals}


def _perpetuals(giver: Member, taker: Member, underlying: str) -> list[int]:
    """Rows of the perpetuals on an underlying that both list."""
    chain = giver.chain
    rows = np.flatnonzero((chain.underlying == underlying) & ~chain.is_option & ~chain.is_spot)
    instruments = [(int(row), chain.instruments[row]) for row in rows]
    return [row for row, one in instruments if one.kind is Kind.PERPETUAL and one.name in taker.chain.row_of]


def _pairs(giver: Member, taker: Member, underlying: str, delta: float) -> Iterator[tuple[What, tuple[Leg, ...]]]:
    for row in _perpetuals(giver, taker, underlying):
        name = giver.chain.instruments[row].name
        for size in SIZES:
            yield "pair", _opposite(giver, taker, {name: -size * delta / coins_of_contract(giver.chain, row)})


def _boxes(giver: Member, taker: Member, underlying: str, delta: float) -> Iterator[tuple[What, tuple[Leg, ...]]]:
    """Synthetic forwards at the strike nearest the forward, in the expiries in which the giver holds most."""
    chain = giver.chain
    held: dict[np.datetime64, float] = {}
    for position in giver.account.positions:
        row = chain.row_of[position.instrument.name]
        if chain.is_option[row] and chain.underlying[row] == underlying:
            held[chain.expiry[row]] = held.get(chain.expiry[row], 0.0) + abs(position.quantity)
    for expiry in sorted(held, key=lambda one: (-held[one], one))[:EXPIRIES]:
        at = np.flatnonzero((chain.expiry == expiry) & (chain.underlying == underlying) & chain.is_option)
        both = _nearest_strike(chain, taker.chain, at)
        if both is None or days(chain.time_to_expiry[both[0]]) < SHORTEST_BOX_DAYS:
            continue
        call, put = (chain.instruments[row].name for row in both)
        for size in SIZES:
            n = size * delta / coins_of_contract(chain, both[0])
            yield "box", _opposite(giver, taker, {call: -n, put: n})


def _nearest_strike(chain: Chain, other: Chain, at: ndarray) -> tuple[int, int] | None:
    """Rows of the call and put of the strike nearest its forward that both chains list, paid in one currency."""
    listed = [int(row) for row in at if chain.instruments[row].name in other.row_of]
    calls = {(chain.strike[row], chain.instruments[row].currency): row for row in listed if chain.is_call[row]}
    puts = {(chain.strike[row], chain.instruments[row].currency): row for row in listed if not chain.is_call[row]}
    common = sorted(calls.keys() & puts.keys(), key=lambda key: (abs(key[0] - chain.forward[calls[key]]), key))
    return (calls[common[0]], puts[common[0]]) if common else None


def _deltas(member: Member) -> dict[str, float]:
    """Coins by which the account's equity moves with spot, by underlying, where it is not nothing."""
    found = deltas(member.chain, [member.account])
    return {
        name: float(found.collateral[0, at])
        for at, name in enumerate(found.underlyings)
        if found.collateral[0, at] != 0.0
    }


def _opposite(giver: Member, taker: Member, quantities: Mapping[str, float]) -> tuple[Leg, ...]:
    """Legs of the giver and their opposites in the taker, in whole lots; what rounds to nothing is left out."""
    whole = {name: _in_lots(giver, taker, name, n) for name, n in quantities.items()}
    kept = {name: n for name, n in whole.items() if n != 0.0}
    return (
        *(Leg(account_id=giver.account.account_id, instrument=name, quantity=n) for name, n in kept.items()),
        *(Leg(account_id=taker.account.account_id, instrument=name, quantity=-n) for name, n in kept.items()),
    )


def _in_lots(giver: Member, taker: Member, name: str, quantity: float) -> float:
    """The quantity towards 0 in the larger of both venues' lots; a whole position stays one."""
    if abs(quantity) == abs(giver.account.quantities().get(name, 0.0)):
        return quantity
    instrument = giver.chain.instruments[giver.chain.row_of[name]]
    lots = [one.venue.product(instrument).lot for one in (giver, taker) if one.venue is not None]
    if not lots:
        return round(quantity, 9)
    return round(np.trunc(quantity / max(lots) + np.copysign(1e-9, quantity)) * max(lots), 9)
