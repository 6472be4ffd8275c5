"""Requirements of one account after many hypothetical trades, all of them in one call of the engine.

The lines of an account are the contracts of some rows of the chain, then its coins by currency. A trade is made at the
Black value of the mark volatility: what an option costs in the coin leaves the collateral in that coin, as
`engine.subgradient` counts it. Money that the rule set takes at its amount does not enter a requirement.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.collateral import Role
from greekdrift.book.rules import RuleSet
from greekdrift.greeks.exposure import line_quantities
from greekdrift.margin import engine
from greekdrift.margin.lines import coin_balances, contracts, held_rows

Lines = Float[ndarray, " line"]
Changes = Float[ndarray, "trial line"]
Requirements = tuple[Float[ndarray, " trial"], Float[ndarray, " trial"]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """What an account has (`amounts`: contracts of `rows`, then coins of `currencies`), and what a contract costs.

    `premium` (row, currency) is the coins that leave a currency per contract bought.
    """

    chain: Chain
    rules: RuleSet
    rows: Int[ndarray, " row"]
    currencies: tuple[str, ...]
    amounts: Lines
    premium: Float[ndarray, "row currency"]

    @property
    def names(self) -> tuple[str, ...]:
        """A word for each line: the instrument, or "collateral" and the currency."""
        instruments = [self.chain.instruments[int(row)].name for row in self.rows]
        return (*instruments, *(f"collateral {name}" for name in self.currencies))

    def paid(self, changes: Changes) -> Changes:
        """The changes with the premiums of what they buy taken from the coins."""
        count = self.rows.size
        return np.hstack([changes[:, :count], changes[:, count:] - changes[:, :count] @ self.premium])

    def requirements(self, changes: Changes) -> Requirements:
        """Initial and maintenance margin after each change of the lines, USD."""
        after, count = self.amounts + changes, self.rows.size
        coins = {name: after[:, count + at] for at, name in enumerate(self.currencies)}
        return engine.requirements(self.chain, after[:, :count], self.rules, rows=self.rows, coins=coins)


def trials(chain: Chain, account: Account, rules: RuleSet, *, instruments: Iterable[str] = ()) -> Trials:
    """The trials of an account, with the rows that it holds and those of some more instruments.

    Every coin that one of these rows is paid in is a line, also where nothing of it is held.
    """
    rows = np.union1d(held_rows(chain, [account]), chain.rows(instruments)).astype(np.int64)
    held = {name: float(amount[0]) for name, amount in coin_balances([account], rules.parameters).items()}
    in_coin = np.flatnonzero(chain.is_option[rows] & chain.is_inverse[rows])
    in_coin = np.array(
        [row for row in in_coin if _is_coin(rules, chain.instruments[int(rows[row])].currency)], np.int64
    )
    paid_in = [chain.instruments[int(row)].currency for row in rows[in_coin]]
    currencies = tuple(sorted({*held, *paid_in}))
    premium = np.zeros((rows.size, len(currencies)))
    if in_coin.size:
        columns = [currencies.index(name) for name in paid_in]
        premium[in_coin, columns] = line_quantities(chain, ("value_coin",), rows[in_coin])["value_coin"]
    coins = [held.get(name, 0.0) for name in currencies]
    return Trials(
        chain=chain,
        rules=rules,
        rows=rows,
        currencies=currencies,
        amounts=np.concatenate([contracts(chain, [account], rows)[0], coins]),
        premium=premium,
    )


def _is_coin(rules: RuleSet, currency: str) -> bool:
    return rules.parameters.terms_of(currency).role is not Role.CASH
