"""Which internal transfer lowers margin most, net of what it costs: found by trying, each try by the venue's engine.

A transfer is legs that sum to zero over the accounts, so that the whole owns what it owned:

    move   a held position, or half of it, from one account to another that lists it
    hedged such a move of an option, with perpetuals the other way so that neither account's delta changes
    pair   a perpetual bought in one account and sold in another, sized to an account's delta
    box    a synthetic forward (call − put of one strike) in one account and its opposite in another, sized alike

What changes hands is paid at its Black value, so that no account's equity moves but by fees. Every candidate is
margined by the engine of each account that it touches, all candidates of an account in one call. The best is taken,
margined again on whole accounts, and the search goes on from there, until nothing frees more than it costs.

No account's requirement rises unless that account has given its consent, and never beyond its equity; no transfer
takes a currency of an account below zero.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Kind, Position
from greekdrift.errors import BookError, CalculationError
from greekdrift.greeks.exposure import deltas, line_quantities
from greekdrift.margin import engine
from greekdrift.margin.netting import Member
from greekdrift.margin.trials import Trials, trials
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
TOLERANCE = 1e-9
"""Share of a requirement by which it may seem to rise from rounding alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What transfers cost and how long they take.

    A move within a venue costs `move_usd` for each position. Between venues, and for pairs and boxes, every leg is a
    trade that costs `fee` of its notional.
    """

    move_usd: float = 0.0
    fee: float = 0.0003
    move_hours: float = 0.0
    trade_hours: float = 0.0

    def __post_init__(self) -> None:
        for name in ("move_usd", "fee", "move_hours", "trade_hours"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise BookError(f"costs of transfers: {name} {value} must be a number of at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Signed contracts of an instrument that come to an account."""

    account_id: str
    instrument: str
    quantity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A transfer with the initial margin of the accounts it touches, before and after, USD."""

    what: What
    legs: tuple[Leg, ...]
    before_usd: Mapping[str, float]
    after_usd: Mapping[str, float]
    cost_usd: float
    hours: float

    @property
    def freed_usd(self) -> float:
        """Margin that the accounts together need no more."""
        return sum(self.before_usd.values()) - sum(self.after_usd.values())

    @property
    def net_usd(self) -> float:
        """What is freed less what it costs."""
        return self.freed_usd - self.cost_usd

    @property
    def raises(self) -> tuple[str, ...]:
        """Accounts whose requirement rises: they must have consented."""
        return tuple(
            name
            for name, before in self.before_usd.items()
            if self.after_usd[name] > before + TOLERANCE * (1.0 + abs(before))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Advice:
    """Transfers to make one after the other, the accounts after them, and what was left out.

    `ranked` are the best candidates of the first round, whether taken or not; `refused` how many of that round free
    margin, but raise a requirement without consent or beyond equity, or overdraw a currency.
    """

    steps: tuple[Transfer, ...]
    ranked: tuple[Transfer, ...]
    members: tuple[Member, ...]
    before_usd: Mapping[str, float]
    after_usd: Mapping[str, float]
    tried: int
    refused: int


def advise(
    members: Sequence[Member],
    *,
    costs: Costs,
    consents: Collection[str] = (),
    kinds: Sequence[What] = KINDS,
    most_steps: int = 5,
    least_gain_usd: float = 1.0,
    shown: int = 10,
) -> Advice:
    """The transfers that free most margin net of cost, greedily, each step margined again on whole accounts."""
    unknown = [name for name in consents if name not in {one.account.account_id for one in members}]
    if unknown:
        raise BookError(f"consent of {unknown[0]}: there is no such account among the books.")
    now, steps, tried, refused = tuple(members), [], 0, 0
    ranked: tuple[Transfer, ...] = ()
    start = _requirements(now)
    for step in range(most_steps):
        found = tuple(sorted(_margined(now, costs, kinds), key=lambda one: (-one.net_usd, one.hours, len(one.legs))))
        gains = [one for one in found if one.net_usd >= least_gain_usd]
        allowed = [one for one in gains if _is_allowed(one, now, consents)]
        if step == 0:
            ranked, tried, refused = tuple(allowed[:shown]), len(found), len(gains) - len(allowed)
        if not allowed:
            break
        now = _after(now, allowed[0])
        steps.append(allowed[0])
    return Advice(
        steps=tuple(steps),
        ranked=ranked,
        members=now,
        before_usd=start,
        after_usd=_requirements(now),
        tried=tried,
        refused=refused,
    )


def transferred(member: Member, legs: Sequence[Leg]) -> Account:
    """The account after its legs: positions merged, options and spot paid at their Black value, quantities to 1e-9."""
    account, chain = member.account, member.chain
    quantities = {one.instrument: one.quantity for one in account.positions}
    collateral = dict(account.collateral)
    for leg in legs:
        row = chain.rows([leg.instrument])[0]
        instrument = chain.instruments[row]
        quantities[instrument] = round(quantities.get(instrument, 0.0) + leg.quantity, 9)
        price = _price(chain, int(row))
        if price:
            collateral[instrument.currency] = collateral.get(instrument.currency, 0.0) - leg.quantity * price
    positions = tuple(Position(instrument=one, quantity=n) for one, n in quantities.items() if n != 0.0)
    return replace(account, collateral=collateral, positions=positions)


def _price(chain: Chain, row: int) -> float:
    """What a contract costs in its own currency: the Black value of an option, the index of spot, else nothing."""
    if chain.is_option[row]:
        name = "value_coin" if chain.is_inverse[row] else "value_usd"
        return float(line_quantities(chain, (name,), np.array([row]))[name][0])
    return float(chain.contract_size[row] * chain.index[row]) if chain.is_spot[row] else 0.0


def _requirements(members: Sequence[Member]) -> dict[str, float]:
    return {
        one.account.account_id: engine.requirement(one.chain, one.account, one.rules).initial_margin_usd
        for one in members
    }


def _is_allowed(one: Transfer, members: Sequence[Member], consents: Collection[str]) -> bool:
    """Whether each account whose requirement rises has consented and can carry it, and none is overdrawn."""
    by_id = {member.account.account_id: member for member in members}
    for name in one.before_usd:
        held = by_id[name].account.collateral
        then = transferred(by_id[name], [leg for leg in one.legs if leg.account_id == name]).collateral
        if any(amount < min(held.get(currency, 0.0), 0.0) for currency, amount in then.items()):
            return False
    for name in one.raises:
        if name not in consents:
            return False
        at = by_id[name]
        equity = engine.requirement(at.chain, at.account, at.rules).equity_usd
        if one.after_usd[name] > equity - one.cost_usd:
            return False
    return True


def _after(members: Sequence[Member], step: Transfer) -> tuple[Member, ...]:
    """The members after a step, margined again as whole accounts: another number than was claimed is an error."""
    found = []
    for member in members:
        name = member.account.account_id
        legs = [leg for leg in step.legs if leg.account_id == name]
        if not legs:
            found.append(member)
            continue
        then = replace(member, account=transferred(member, legs))
        claimed = step.after_usd[name]
        exact = engine.requirement(then.chain, then.account, then.rules).initial_margin_usd
        if abs(exact - claimed) > 1e-6 * (1.0 + abs(claimed)):
            raise CalculationError(
                f"{name}: a {step.what} was to leave a requirement of {claimed:,.2f} USD and leaves {exact:,.2f}."
            )
        found.append(then)
    return tuple(found)


def _margined(members: Sequence[Member], costs: Costs, kinds: Sequence[What]) -> list[Transfer]:
    """Every candidate with the requirements it leads to; one engine call for each account."""
    proposed = list(_candidates(members, kinds))
    used: dict[str, set[str]] = {one.account.account_id: set() for one in members}
    for _, legs in proposed:
        for leg in legs:
            used[leg.account_id].add(leg.instrument)
    after: list[dict[str, float]] = [{} for _ in proposed]
    before: dict[str, float] = {}
    for member in members:
        name = member.account.account_id
        of = trials(member.chain, member.account, member.rules, instruments=sorted(used[name]))
        mine = [at for at, (_, legs) in enumerate(proposed) if any(leg.account_id == name for leg in legs)]
        changes = np.zeros((len(mine) + 1, of.amounts.size))
        for place, at in enumerate(mine):
            _add(changes[place], of, [leg for leg in proposed[at][1] if leg.account_id == name])
        initial, _ = of.requirements(of.paid(changes))
        before[name] = float(initial[-1])
        for place, at in enumerate(mine):
            after[at][name] = float(initial[place])
    return [
        Transfer(
            what=what,
            legs=legs,
            before_usd={name: before[name] for name in after[at]},
            after_usd=after[at],
            **_cost(members, what, legs, costs),
        )
        for at, (what, legs) in enumerate(proposed)
    ]


def _add(change: Float[ndarray, " line"], of: Trials, legs: Sequence[Leg]) -> None:
    for leg in legs:
        change[np.searchsorted(of.rows, of.chain.row_of[leg.instrument])] += leg.quantity


def _cost(members: Sequence[Member], what: What, legs: Sequence[Leg], costs: Costs) -> dict[str, float]:
    """Cost in USD and hours: within a venue the position that moves is booked over, everything else is traded."""
    by_id = {member.account.account_id: member for member in members}
    is_within = len({by_id[leg.account_id].rules.venue for leg in legs}) == 1
    booked = {legs[0].instrument} if is_within and what in ("move", "hedged") else set()
    traded = [leg for leg in legs if leg.instrument not in booked]
    notional = sum(abs(leg.quantity) * _notional(by_id[leg.account_id].chain, leg.instrument) for leg in traded)
    hours = max(costs.move_hours if booked else 0.0, costs.trade_hours if traded else 0.0)
    return {"cost_usd": costs.move_usd * len(booked) + costs.fee * notional, "hours": hours}


def _notional(chain: Chain, name: str) -> float:
    row = chain.row_of[name]
    return float(_coins(chain, row) * chain.index[row])


def _coins(chain: Chain, row: int | np.integer) -> float:
    """Coins that one contract is on."""
    is_in_usd = chain.is_inverse[row] and not chain.is_option[row]
    return float(chain.contract_size[row] / chain.forward[row] if is_in_usd else chain.contract_size[row])


def _candidates(members: Sequence[Member], kinds: Sequence[What]) -> Iterator[tuple[What, tuple[Leg, ...]]]:
    for giver, taker in permutations(members, 2):
        found = list(_moves(giver, taker, kinds))
        for underlying, delta in _deltas(giver).items():
            found += _pairs(giver, taker, underlying, delta) if "pair" in kinds else ()
            found += _boxes(giver, taker, underlying, delta) if "box" in kinds else ()
        yield from ((what, legs) for what, legs in found if legs)


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
    return {chain.instruments[one].name: delta / _coins(chain, one) for one in perpetuals}


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
            yield "pair", _opposite(giver, taker, {name: -size * delta / _coins(giver.chain, row)})


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
            n = size * delta / _coins(chain, both[0])
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
