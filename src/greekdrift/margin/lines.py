"""Rows of a chain as the scenario forms read them: columns per underlying, per contract.

Same reading as `margin.naive.portfolios`, vectorised: options at the mark volatility and their row's forward,
rate 0; those that pay in the coin are worth index/forward of their Black
value now. A future is a perpetual with its own forward. Spot contracts are coins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.collateral import Role
from greekdrift.book.rules import Parameters
from greekdrift.errors import BookError
from greekdrift.margin.shocks import OptionStates
from greekdrift.units import stamp

Weights = Float[ndarray, "account row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """States of the market at one moment for some rows: forward, volatility and index of each, and the time left.

    `forward` and `volatility` are (state, row), `index` is (state,) for one underlying, `years` (row,).
    """

    forward: Float[ndarray, "state row"]
    volatility: Float[ndarray, "state row"]
    years: Float[ndarray, " row"]
    index: Float[ndarray, " state"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """The rows of one underlying, sorted by what the model does with them.

    `options`, `linears` and `spots` are places among the given rows; `option_size` is coins per contract.
    """

    underlying: str
    options: Int[ndarray, " option"]
    linears: Int[ndarray, " linear"]
    spots: Int[ndarray, " spot"]
    option_size: Float[ndarray, " option"]
    strike: Float[ndarray, " option"]
    is_call: ndarray
    pays_coin: ndarray
    expiry_of: Int[ndarray, " option"]
    strike_of: Int[ndarray, " option"]
    first_of_expiry: Int[ndarray, " expiry"]
    linear_size: Float[ndarray, " linear"]
    is_inverse: ndarray
    spot_size: Float[ndarray, " spot"]

    def option_states(self, moved: Moved) -> OptionStates:
        """The options of these lines in some states of the market."""
        forward = moved.forward[:, self.options]
        index = np.broadcast_to(moved.index[:, None], forward.shape)
        return OptionStates(
            strike=self.strike,
            is_call=self.is_call,
            expiry_of=self.expiry_of,
            strike_of=self.strike_of,
            expiry_years=np.maximum(moved.years[self.options[self.first_of_expiry]], 0.0),
            expiry_rate=np.zeros(len(self.first_of_expiry)),
            forward=forward,
            volatility=moved.volatility[:, self.options],
            worth=np.where(self.pays_coin, index / forward, 1.0),
        )

    def linear_units(self, moved: Moved) -> tuple[ndarray, ndarray]:
        """Per contract of each linear row: USD gained per relative move of spot, and coins; both (state, linear).

        linear: size F and size;   inverse, size in USD: size S/F and size/F.
        """
        forward = moved.forward[:, self.linears]
        coins = np.where(self.is_inverse, self.linear_size / forward, self.linear_size)
        price = np.where(self.is_inverse, moved.index[:, None], forward)
        return coins * price, coins


def lines(chain: Chain, rows: Int[ndarray, " row"]) -> tuple[Lines, ...]:
    """The lines of some rows of a chain, by underlying."""
    return tuple(_lines(chain, rows, name) for name in sorted(set(chain.underlying[rows].tolist())))


def marked(chain: Chain, rows: Int[ndarray, " row"], underlying: str) -> Moved:
    """The state of the market at the chain's own marks."""
    volatility = np.where(chain.is_option[rows], chain.mark_iv[rows], 1.0)
    return Moved(
        forward=chain.forward[rows][None, :],
        volatility=volatility[None, :],
        years=chain.time_to_expiry[rows],
        index=np.array([index_price(chain, underlying)]),
    )


def index_price(chain: Chain, currency: str) -> float:
    """Index price of an underlying or of a collateral, USD; a missing one is refused."""
    price = chain.index_price.get(currency)
    if price is None:
        raise BookError(
            f"collateral {currency} has no index price on {chain.venue} at {stamp(chain.as_of)}; "
            "add it to the chain's index_price or hold it elsewhere."
        )
    return price


def held_rows(chain: Chain, accounts: Sequence[Account]) -> Int[ndarray, " row"]:
    """Sorted rows of all instruments that some accounts hold."""
    held = (item for account in accounts for item in account.quantities().items())
    return np.sort(chain.rows(dict.fromkeys(name for name, quantity in held if quantity != 0.0)))


def contracts(chain: Chain, accounts: Sequence[Account], rows: Int[ndarray, " row"]) -> Weights:
    """Signed contracts of each account in each of some rows; a position elsewhere is refused."""
    order = np.argsort(rows)
    given = rows[order]
    found = np.zeros((len(accounts), len(rows)))
    for at, account in enumerate(accounts):
        held = {name: quantity for name, quantity in account.quantities().items() if quantity != 0.0}
        if not held:
            continue
        mine = chain.rows(held)
        place = np.searchsorted(given, mine)
        is_elsewhere = (place == len(given)) | (
            given[np.minimum(place, len(given) - 1)] != mine if len(given) else True
        )
        if np.any(is_elsewhere):
            name = list(held)[int(np.argmax(is_elsewhere))]
            raise BookError(f"{account.account_id} holds {name}, which is not among the given rows; add its row.")
        found[at, order[place]] = list(held.values())
    return found


def coin_balances(accounts: Sequence[Account], p: Parameters) -> dict[str, Float[ndarray, " account"]]:
    """Collateral of each account by currency, without what counts as cash and what nobody holds."""
    names = sorted({name for account in accounts for name in account.collateral})
    found = {}
    for name in names:
        held = np.array([account.collateral.get(name, 0.0) for account in accounts])
        if p.terms_of(name).role is not Role.CASH and np.any(held != 0.0):
            found[name] = held
    return found


def cash_balance(account: Account, p: Parameters) -> float:
    """Cash of an account in USD: the currencies that the rule set counts at their amount."""
    return sum(amount for name, amount in account.collateral.items() if p.terms_of(name).role is Role.CASH)


def names_of(parts: Sequence[Lines], coins: Mapping[str, ndarray]) -> tuple[str, ...]:
    """Sorted underlyings of the lines and collateral coins."""
    return tuple(sorted({*(part.underlying for part in parts), *coins}))


def no_lines(underlying: str) -> Lines:
    """The lines of an underlying of which only coins are held."""
    none = np.zeros(0, dtype=np.int64)
    empty = np.zeros(0)
    return Lines(
        underlying=underlying,
        options=none,
        linears=none,
        spots=none,
        option_size=empty,
        strike=empty,
        is_call=np.zeros(0, dtype=np.bool_),
        pays_coin=np.zeros(0, dtype=np.bool_),
        expiry_of=none,
        strike_of=none,
        first_of_expiry=none,
        linear_size=empty,
        is_inverse=np.zeros(0, dtype=np.bool_),
        spot_size=empty,
    )


def all_lines(chain: Chain, rows: ndarray, coins: Mapping[str, ndarray]) -> list[Lines]:
    """The lines of some rows and of underlyings of which only coins are held, by underlying."""
    parts = {part.underlying: part for part in lines(chain, rows)}
    return [parts.get(name) or no_lines(name) for name in names_of(list(parts.values()), coins)]


def coins_of(line: Lines, weights: Weights, coins: Mapping[str, ndarray]) -> Float[ndarray, " account"]:
    """Collateral coins of an underlying: balances and spot contracts."""
    spots = weights[:, line.spots] @ line.spot_size
    return spots + coins.get(line.underlying, 0.0)


def settled_coins(
    chain: Chain, rows: ndarray, line: Lines, moved: Moved, weights: Weights
) -> Float[ndarray, "state account"]:
    """Coins paid until a moved state: P&L of inverse lines, N (1/F₀ − 1/F), and expired options' max(±(F − K), 0)/F."""
    forward = moved.forward[:, line.linears]
    before = chain.forward[rows[line.linears]]
    size = np.where(line.is_inverse, line.linear_size, 0.0)
    paid = (size * (1.0 / before - 1.0 / forward)) @ weights[:, line.linears].T
    has_expired = (moved.years[line.options] <= 0.0) & line.pays_coin
    if np.any(has_expired):
        final = moved.forward[:, line.options]
        side = np.where(line.is_call, 1.0, -1.0)
        payoff = np.maximum(side * (final - line.strike), 0.0) / final * line.option_size * has_expired
        paid = paid + payoff @ weights[:, line.options].T
    return paid


def _lines(chain: Chain, rows: ndarray, underlying: str) -> Lines:
    mine, is_option, is_spot = chain.underlying[rows] == underlying, chain.is_option[rows], chain.is_spot[rows]
    options = np.flatnonzero(mine & is_option)
    linears = np.flatnonzero(mine & ~is_option & ~is_spot)
    spots = np.flatnonzero(mine & is_spot)
    currencies = [chain.instruments[row].currency for row in rows[options]]
    settlement = np.where(chain.is_inverse[rows[options]], len(currencies), 0) + _ranked(currencies)
    expiry_of, first_of_expiry = _numbered(chain.time_to_expiry[rows[options]], within=settlement)
    strike_rank = np.unique(chain.strike[rows[options]], return_inverse=True)[1]
    return Lines(
        underlying=underlying,
        options=options,
        linears=linears,
        spots=spots,
        option_size=chain.contract_size[rows[options]],
        strike=chain.strike[rows[options]],
        is_call=chain.is_call[rows[options]],
        pays_coin=chain.is_inverse[rows[options]],
        expiry_of=expiry_of,
        strike_of=_numbered(expiry_of, within=strike_rank)[0],
        first_of_expiry=first_of_expiry,
        linear_size=chain.contract_size[rows[linears]],
        is_inverse=chain.is_inverse[rows[linears]],
        spot_size=chain.contract_size[rows[spots]],
    )


def _ranked(names: Sequence[str]) -> Int[ndarray, " option"]:
    rank = {name: at for at, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names], dtype=np.int64)


def _numbered(values: ndarray, *, within: Int[ndarray, " option"]) -> tuple[ndarray, ndarray]:
    """Number of each option's group of one value and one number within it, in that order; the first option of each."""
    at = np.unique(values, return_inverse=True)[1]
    _, first, number = np.unique(at * (within.max(initial=0) + 1) + within, return_index=True, return_inverse=True)
    return number, first
