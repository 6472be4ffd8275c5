"""Which internal transfer lowers margin most, net of what it costs: found by trying, each try by the venue's engine.

A transfer is legs that sum to zero over the accounts, so that the whole owns what it owned; those that are tried are
in `transfer_candidates`.

What changes hands is paid at its Black value, so that no account's equity moves but by fees. Every candidate is
margined by the engine of each account that it touches, all candidates of an account in one call. The best is taken,
margined again on whole accounts, and the search goes on from there, until nothing frees more than it costs.

No account's requirement rises unless that account has given its consent, and never beyond its equity; no transfer
takes a currency of an account below zero.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Position
from greekdrift.errors import BookError, CalculationError
from greekdrift.greeks.exposure import line_quantities
from greekdrift.margin import engine
from greekdrift.margin.netting import Member
from greekdrift.margin.transfer_candidates import KINDS, Leg, What, candidates, coins_of_contract
from greekdrift.margin.trials import Trials, trials

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
    proposed = list(candidates(members, kinds))
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
    return float(coins_of_contract(chain, row) * chain.index[row])
