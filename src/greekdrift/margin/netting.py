"""What margin accounts would save by standing together, and whose saving it is.

Accounts of one venue under one rule set can be united: positions of the same instrument net, collateral adds. The
benefit is what the parts need beyond the whole,

    benefit = Σ IM(account) − IM(union),

at least 0 where the rule set declares itself sub-additive. It is split by Shapley's rule: each account pays the mean of
what it adds to the requirement of those that came before it, over all orders of arrival,

    φ_a = Σ_{S ∌ a} |S|! (n − |S| − 1)!/n! (IM(S ∪ a) − IM(S)),     Σ φ = IM(union),     share of a = IM(a) − φ_a.

All 2ⁿ coalitions are one call of the engine up to `MOST_EXACT` accounts; beyond that orders are drawn, which keeps the
sum exact and only makes the single shares estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, fsum

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book import Account, Chain, Position, Venue
from greekdrift.book.instrument import Instrument
from greekdrift.book.rules import RuleSet
from greekdrift.errors import BookError, GreekdriftError
from greekdrift.margin import engine
from greekdrift.margin.lines import coin_balances, contracts, held_rows

PerAccount = Float[ndarray, " account"]

MOST_EXACT = 12
ORDERS = 400
"""Orders of arrival drawn where there are more accounts; each is taken forwards and backwards."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """An account where it stands: the chain of its venue, the rule set that margins it, and its facts where known."""

    account: Account
    chain: Chain
    rules: RuleSet
    venue: Venue | None = None

    @property
    def place(self) -> tuple[int, str, str]:
        """Members of the same place can be united."""
        return id(self.chain), self.rules.name, self.rules.sha256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Accounts of one place, their initial margin apart and together, and the benefit with its split, USD."""

    rules: RuleSet
    account_ids: tuple[str, ...]
    apart_usd: PerAccount
    together_usd: float
    shares_usd: PerAccount
    is_exact: bool

    @property
    def benefit_usd(self) -> float:
        """What the parts need beyond the whole."""
        return fsum(self.apart_usd) - self.together_usd


def united(accounts: Sequence[Account], *, account_id: str = "together") -> Account:
    """One account with the positions and collateral of all: lines of one instrument net, flat ones go.

    >>> long = Account(account_id="a", collateral={"BTC": 1.0}, positions=(Position.of("BTC-PERPETUAL", 10),))
    >>> short = Account(account_id="b", collateral={"USDC": 5.0}, positions=(Position.of("BTC-PERPETUAL", -10),))
    >>> united([long, short]).positions, dict(united([long, short]).collateral)
    ((), {'BTC': 1.0, 'USDC': 5.0})
    """
    parts: dict[Instrument, list[float]] = {}
    for account in accounts:
        for position in account.positions:
            parts.setdefault(position.instrument, []).append(position.quantity)
    collateral: dict[str, list[float]] = {}
    for account in accounts:
        for name, amount in account.collateral.items():
            collateral.setdefault(name, []).append(amount)
    quantities = {instrument: fsum(amounts) for instrument, amounts in parts.items()}
    return Account(
        account_id=account_id,
        collateral={name: fsum(amounts) for name, amounts in collateral.items()},
        positions=tuple(Position(instrument=one, quantity=n) for one, n in quantities.items() if n != 0.0),
    )


def netting(members: Sequence[Member], *, random: np.random.Generator | None = None) -> tuple[Group, ...]:
    """Margin apart and together of the members of each place, in the order in which the places first come.

    `random` draws orders of arrival where a place has more than `MOST_EXACT` accounts.
    """
    names = [member.account.account_id for member in members]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BookError(f"account {twice[0]} is listed twice; give each account its own account_id.")
    places: dict[tuple[int, str, str], list[Member]] = {}
    for member in members:
        places.setdefault(member.place, []).append(member)
    return tuple(_group(own, random) for own in places.values())


def elsewhere(members: Sequence[Member], rules: Sequence[RuleSet]) -> dict[str, float | str]:
    """Initial margin of all accounts as one under each rule set, at the first member's chain; or why there is none."""
    whole = united([member.account for member in members])
    found: dict[str, float | str] = {}
    for one in rules:
        try:
            found[one.name] = engine.requirement(members[0].chain, whole, one).initial_margin_usd
        except GreekdriftError as reason:
            found[one.name] = str(reason)
    return found


def _group(members: Sequence[Member], random: np.random.Generator | None) -> Group:
    accounts, count = [member.account for member in members], len(members)
    is_exact = count <= MOST_EXACT
    if is_exact:
        numbers = np.arange(2**count)
        present = (numbers[:, None] >> np.arange(count)) & 1 == 1
        cost = _coalitions(members[0], accounts, present)
        pays = _shapley(cost, present)
    else:
        if random is None:
            raise BookError(f"{count} accounts are split over drawn orders of arrival; pass a random generator.")
        pays, cost = _drawn(members[0], accounts, random)
    apart = _coalitions(members[0], accounts, np.eye(count, dtype=np.bool_))
    return Group(
        rules=members[0].rules,
        account_ids=tuple(account.account_id for account in accounts),
        apart_usd=apart,
        together_usd=float(cost[-1]),
        shares_usd=apart - pays,
        is_exact=is_exact,
    )


def _coalitions(
    at: Member, accounts: Sequence[Account], present: Bool[ndarray, "coalition account"]
) -> Float[ndarray, " coalition"]:
    """Initial margin of each coalition as one account."""
    rows = held_rows(at.chain, accounts)
    held, coins = contracts(at.chain, accounts, rows), coin_balances(accounts, at.rules.parameters)
    included = present.astype(np.float64)
    together = {name: included @ amounts for name, amounts in coins.items()}
    initial, _ = engine.requirements(at.chain, included @ held, at.rules, rows=rows, coins=together)
    return initial


def _shapley(cost: Float[ndarray, " coalition"], present: Bool[ndarray, "coalition account"]) -> PerAccount:
    """What each account pays, from the cost of every coalition; coalitions are numbered by their bits."""
    count, size = present.shape[1], present.sum(axis=1)
    weight = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
    pays = np.zeros(count)
    for account in range(count):
        without = np.flatnonzero(~present[:, account])
        pays[account] = weight[size[without]] @ (cost[without + (1 << account)] - cost[without])
    return pays


def _drawn(
    at: Member, accounts: Sequence[Account], random: np.random.Generator
) -> tuple[PerAccount, Float[ndarray, " coalition"]]:
    count = len(accounts)
    drawn = np.argsort(random.random((ORDERS, count)), axis=1)
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    rank = np.argsort(orders, axis=1)
    present = rank[:, None, :] < np.arange(count + 1)[:, None]
    cost = _coalitions(at, accounts, present.reshape(-1, count)).reshape(len(orders), count + 1)
    added = np.diff(cost, axis=1)
    return np.take_along_axis(added, rank, axis=1).mean(axis=0), cost[0]
