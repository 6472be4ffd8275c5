"""The books of the risk-matrix form, vectorised over market states, scenarios, instruments and accounts.

Model: `book.matrix_rules`. Axes: `state` (market states valued at once), `scenario` (of the rule set), `option` and
`linear` (unique instruments of the book), `account`. All money in USD at the state's index price.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.book.matrix_rules import (
    DampenerLaw,
    DeltaShockLaw,
    MatrixParameters,
    PairTerms,
    RollLaw,
    SettlementTerms,
    book_name,
)
from greekdrift.book.scenario_terms import Table, VolatilityMove
from greekdrift.errors import CalculationError
from greekdrift.greeks import compute
from greekdrift.margin.shocks import AVERAGING_SECONDS, moved_volatility
from greekdrift.units import SECONDS_PER_YEAR

PerAccount = Float[ndarray, "state account"]
Pnl = Float[ndarray, "state scenario account"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookStates:
    """The instruments of one book in some states of the market, and what some accounts hold of them.

    `options` in coins; `linear_coins` is coins per contract of each linear row, `linears` contracts. A perpetual has
    infinite `linear_years`.
    """

    underlying: str
    currency: str
    index: Float[ndarray, " state"]
    strike: Float[ndarray, " option"]
    is_call: Bool[ndarray, " option"]
    years: Float[ndarray, " option"]
    forward: Float[ndarray, "state option"]
    volatility: Float[ndarray, "state option"]
    options: Float[ndarray, "account option"]
    linear_years: Float[ndarray, " linear"]
    linear_forward: Float[ndarray, "state linear"]
    linear_coins: Float[ndarray, "state linear"]
    linears: Float[ndarray, "account linear"]

    @property
    def name(self) -> str:
        """Name of the book."""
        return book_name(self.underlying, self.currency)

    @property
    def pays_coin(self) -> bool:
        """Whether the book settles in its own coin."""
        return self.currency == self.underlying


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """Of one coin of each option and one contract of each linear row: P&L that counts by scenario, and delta in coins.

    `mark` is the Black value on the forward.
    """

    mark: Float[ndarray, "state option"]
    option_pnl: Float[ndarray, "state scenario option"]
    linear_pnl: Float[ndarray, "state scenario linear"]
    option_delta: Float[ndarray, "state option"]
    linear_delta: Float[ndarray, "state linear"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Charged:
    """One book of some accounts: P&L before and after the dampener, and the charges beside the scan."""

    book: BookStates
    units: Units
    undamped: Pnl
    pnl: Pnl
    least: PerAccount
    roll: PerAccount
    delta_shock: PerAccount
    funding: PerAccount
    fees: PerAccount


def charged(book: BookStates, p: MatrixParameters) -> Charged:
    """P&L of a book by scenario and its charges, for all accounts in all states."""
    pair, terms = p.pair(book.underlying), p.settlement(book.currency)
    units = units_of(book, p, pair)
    undamped = units.option_pnl @ book.options.T + units.linear_pnl @ book.linears.T
    delta = units.option_delta @ book.options.T + units.linear_delta @ book.linears.T
    _refuse_unless_finite(undamped, delta)
    gross = np.abs(units.option_delta) @ np.abs(book.options.T) + np.abs(units.linear_delta) @ np.abs(book.linears.T)
    index, least = book.index[:, None], pair.least_delta
    is_perpetual = np.isinf(book.linear_years)
    perpetuals = book.linear_coins[:, is_perpetual] @ book.linears[:, is_perpetual].T
    coins = np.abs(book.linear_coins) @ np.abs(book.linears.T)
    held = np.abs(book.options).sum(axis=1)
    return Charged(
        book=book,
        units=units,
        undamped=undamped,
        pnl=damped(undamped, p, pair, terms),
        least=(least.net * np.abs(delta) + least.hedged * 0.5 * (gross - np.abs(delta))) * index,
        roll=_roll(book, units, p, terms) * index,
        delta_shock=_delta_shock(np.abs(delta), index, p, pair) * index,
        funding=np.maximum(terms.fees.funding * perpetuals, 0.0) * index,
        fees=(terms.fees.linear * coins + terms.fees.option * held) * index,
    )


def units_of(book: BookStates, p: MatrixParameters, pair: PairTerms) -> Units:
    """P&L by scenario and delta of one coin of each option and one contract of each linear row."""
    moves = np.array([one.move(pair.price_range) for one in p.matrix_scenarios])
    damping = np.array([p.damping(one, pair) for one in p.matrix_scenarios])[:, None]
    _refuse_what_cannot_be(book)
    mark, option_pnl = _option_pnl(book, moves, damping, p, pair)
    delta = compute(
        ["delta"],
        forward=book.forward,
        strike=book.strike,
        volatility=book.volatility * np.sqrt(book.years),
        time_to_expiry=1.0,
        is_call=book.is_call,
    )["delta"]
    linear_damping = damping
    if p.linear_at_edge:
        is_tail = np.array([one.table is Table.TAIL for one in p.matrix_scenarios])
        moves = np.where(is_tail, np.sign(moves) * pair.price_range, moves)
        linear_damping = np.where(is_tail[:, None], pair.tail_factor, damping)
    linear_free = 1.0 - fixed_share(book.linear_years)
    grown = moves[:, None] * linear_free
    size = book.linear_coins[:, None, :]
    if book.pays_coin:
        gain = size * book.index[:, None, None] * (grown / (1.0 + grown))
    else:
        gain = size * book.linear_forward[:, None, :] * grown
    return Units(
        mark=mark,
        option_pnl=option_pnl,
        linear_pnl=gain * linear_damping,
        option_delta=delta * (1.0 - fixed_share(book.years)),
        linear_delta=book.linear_coins * linear_free,
    )


def damped(pnl: Pnl, p: MatrixParameters, pair: PairTerms, terms: SettlementTerms) -> Pnl:
    """P&L moved toward zero by what the dampener allows in the tail."""
    room = dampener(p, pair, terms)
    if not np.any(room):
        return pnl
    return np.sign(pnl) * np.maximum(np.abs(pnl) - room[:, None], 0.0)


def dampener(p: MatrixParameters, pair: PairTerms, terms: SettlementTerms) -> Float[ndarray, " scenario"]:
    """USD by which each scenario's P&L is moved toward zero at most."""
    if p.laws.dampener is DampenerLaw.NONE:
        return np.zeros(len(p.matrix_scenarios))
    beyond = [
        max(abs(one.price) / pair.price_range - 1.0, 0.0) if one.table is Table.TAIL else 0.0
        for one in p.matrix_scenarios
    ]
    return np.array(beyond) * terms.dampener_usd


def fixed_share(years: Float[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Share of the settlement average that has passed and no longer moves."""
    share: Float[ndarray, " row"] = np.clip(1.0 - years * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0, 1.0)
    return share


def counted(pnl: Pnl, terms: SettlementTerms) -> Pnl:
    """What a book's P&L counts beside other books: losses whole, gains by their share up to the largest."""
    return np.where(pnl > 0.0, np.minimum(terms.gain_share * pnl, terms.largest_gain_usd), pnl)


def roll_rates(years: Float[ndarray, " row"], p: MatrixParameters, terms: SettlementTerms) -> Float[ndarray, " row"]:
    """Move of each expiry against the others, relative."""
    if p.laws.roll is RollLaw.NONE:
        return np.zeros_like(years)
    left = np.where(np.isinf(years), 0.0, np.maximum(years, 0.0))
    return np.maximum(terms.roll.floor, terms.roll.per_year * left)


def expiries_of(book: BookStates) -> tuple[Float[ndarray, " expiry"], ndarray, ndarray]:
    """Distinct times to expiry of a book, and which of them each option and each linear row has."""
    years, at = np.unique(np.concatenate([book.years, book.linear_years]), return_inverse=True)
    return years, at[: len(book.years)], at[len(book.years) :]


def expiry_deltas(book: BookStates, units: Units) -> Float[ndarray, "state expiry account"]:
    """Net delta of each expiry in coins, perpetuals being one of their own."""
    years, of_option, of_linear = expiries_of(book)
    numbers = np.arange(len(years))[:, None]
    options = units.option_delta[:, None, :] * (of_option == numbers)
    linears = units.linear_delta[:, None, :] * (of_linear == numbers)
    found: Float[ndarray, "state expiry account"] = options @ book.options.T + linears @ book.linears.T
    return found


def _roll(book: BookStates, units: Units, p: MatrixParameters, terms: SettlementTerms) -> PerAccount:
    if p.laws.roll is RollLaw.NONE:
        return np.zeros((len(book.index), len(book.options)))
    rates = roll_rates(expiries_of(book)[0], p, terms)
    return np.einsum("sea,e->sa", np.abs(expiry_deltas(book, units)), rates)


def _delta_shock(delta: PerAccount, index: ndarray, p: MatrixParameters, pair: PairTerms) -> PerAccount:
    """Coins that the extra move of a net delta costs."""
    if p.laws.delta_shock is DeltaShockLaw.NONE:
        return np.zeros_like(delta)
    terms = pair.delta_shock
    return delta * np.minimum(terms.largest, terms.per_coin * np.maximum(delta - terms.threshold_usd / index, 0.0))


def _option_pnl(
    book: BookStates, moves: ndarray, damping: ndarray, p: MatrixParameters, pair: PairTerms
) -> tuple[ndarray, ndarray]:
    """Black value of one coin of each option on its forward, and its P&L in USD that counts by scenario.

    All scenarios and, before them, the mark go through the calculator at once. The value in coin, B(F, K)/F, is that
    of strike K/F on a forward of 1.
    """
    grown = 1.0 + np.concatenate([[0.0], moves])[:, None] * (1.0 - fixed_share(book.years))
    root = np.sqrt(book.years)
    kinds = list(VolatilityMove)
    deviations = np.stack(
        [moved_volatility(book.volatility, book.years, move, pair.volatility) * root for move in kinds], axis=1
    )
    which = [kinds.index(VolatilityMove.NONE), *(kinds.index(one.volatility) for one in p.matrix_scenarios)]
    forward: float | ndarray = 1.0 if book.pays_coin else book.forward[:, None, :] * grown
    strike = (book.strike / book.forward)[:, None, :] / grown if book.pays_coin else book.strike
    values = compute(
        ["price"],
        forward=forward,
        strike=strike,
        volatility=deviations[:, which],
        time_to_expiry=1.0,
        is_call=book.is_call,
    )["price"]
    if book.pays_coin:
        mark, unit = values[:, 0] * book.forward, book.index[:, None, None] * damping
    else:
        mark, unit = values[:, 0].copy(), damping
    pnl = values[:, 1:]
    pnl -= values[:, :1]
    pnl *= unit
    return mark, pnl


def _refuse_unless_finite(*numbers: ndarray) -> None:
    if not all(np.all(np.isfinite(array)) for array in numbers):
        raise CalculationError("a P&L in a scenario is not a number; check forward, volatility and index.")


def _refuse_what_cannot_be(book: BookStates) -> None:
    """Forwards and the index are positive, volatilities at least 0; a number that is none is neither."""
    for name, column, is_right in (
        ("forward", book.forward, book.forward > 0.0),
        ("forward of a perpetual or future", book.linear_forward, book.linear_forward > 0.0),
        ("index price", book.index, book.index > 0.0),
        ("volatility", book.volatility, book.volatility >= 0.0),
    ):
        is_wrong = ~(is_right & np.isfinite(column))
        if np.any(is_wrong):
            raise CalculationError(f"{book.name}: {name} {column[is_wrong][0]} cannot be; drop that state or row.")
