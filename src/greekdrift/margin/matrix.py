"""Risk-matrix margin (Deribit, Paradex), vectorised over scenarios, accounts and market states.

Model: `book.matrix_rules`. Every instrument is valued once per scenario; the margin of any number of accounts follows
by one product with their weights per book. Equal to `margin.matrix_naive` (tests/properties/test_matrix.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Chain
from greekdrift.book.matrix_rules import USD, MatrixBook, MatrixParameters, MatrixPortfolio
from greekdrift.book.rules import RuleSet, matrix_parameters
from greekdrift.margin.lines import (
    Lines,
    Moved,
    Weights,
    all_lines,
    cash_balance,
    coin_balances,
    coins_of,
    contracts,
    held_rows,
    index_price,
    marked,
    settled_coins,
)
from greekdrift.margin.matrix_books import BookStates, Charged, PerAccount, charged, counted
from greekdrift.margin.matrix_parts import parts_of
from greekdrift.margin.matrix_result import account_margin
from greekdrift.margin.matrix_slopes import slopes
from greekdrift.margin.result import MarginResult

BLOCK = 200_000
"""Values per block of a forecast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scanned:
    """All books of some accounts and what they need together, in each market state."""

    books: tuple[Charged, ...]
    together: Float[ndarray, "state scenario account"] | None
    scan: PerAccount
    charges: PerAccount
    provisions: PerAccount

    def initial(self, p: MatrixParameters) -> PerAccount:
        """Initial margin without cuts of collateral and what the venue holds."""
        return p.factors.initial * (self.scan + self.charges) + self.provisions

    def maintenance(self, p: MatrixParameters) -> PerAccount:
        """Maintenance margin without cuts of collateral."""
        return p.factors.maintenance * (self.scan + self.charges) + self.provisions


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks.

    A coin-settled book and its coin collateral are one part, dollar-settled lines of the same underlying another.
    Options at the mark volatility and their row's forward; what the account and the chain do not know
    (`MatrixParameters.absent`) counts nothing.
    """
    p = matrix_parameters(rules)
    rows = held_rows(chain, [account])
    weights, coins = contracts(chain, [account], rows), coin_balances([account], p)
    lines = all_lines(chain, rows, coins)
    states = [(line, marked(chain, rows, line.underlying)) for line in lines]
    found = scanned([book for line, moved in states for book in books_of(line, moved, weights)], p)
    collateral = {
        line.underlying: (float(moved.index[0]), float(moved.index[0] * coins_of(line, weights, coins)[0]))
        for line, moved in states
    }
    parts = parts_of(found.books, found.together, p, collateral=collateral)
    return account_margin(parts, cash_usd=cash_balance(account, p))


def requirements(
    chain: Chain,
    weights: Weights,
    rules: RuleSet,
    *,
    rows: Int[ndarray, " row"],
    coins: Mapping[str, Float[ndarray, " account"]],
) -> tuple[Float[ndarray, " account"], Float[ndarray, " account"]]:
    """Initial and maintenance margin of many books at a chain's marks, USD.

    `weights` are signed contracts (account, row) of the chain's `rows`, `coins` each account's collateral by
    currency; cash does not matter to a requirement.
    """
    p = matrix_parameters(rules)
    lines = all_lines(chain, rows, coins)
    states = [(line, marked(chain, rows, line.underlying)) for line in lines]
    balances = [coins_of(line, weights, coins)[None, :] for line in lines]
    initial, maintenance = _margins(states, balances, weights, p)
    return initial[0], maintenance[0]


def forecast_requirements(
    chain: Chain,
    accounts: Sequence[Account],
    rules: RuleSet,
    *,
    rows: Int[ndarray, " row"],
    underlyings: Sequence[str],
    forward: Float[ndarray, "scenario horizon row"],
    volatility: Float[ndarray, "scenario horizon row"],
    time_to_expiry: Float[ndarray, "horizon row"],
    index: Float[ndarray, "scenario horizon underlying"],
) -> tuple[Float[ndarray, "scenario horizon account"], Float[ndarray, "scenario horizon account"]]:
    """Initial and maintenance margin of unchanged books in every scenario at every horizon, USD.

    As `margin.engine.forecast_requirements`; worked in blocks.
    """
    p = matrix_parameters(rules)
    weights, coins = contracts(chain, accounts, rows), coin_balances(accounts, p)
    lines = all_lines(chain, rows, coins)
    initial = np.zeros((*forward.shape[:2], len(accounts)))
    maintenance = np.zeros_like(initial)
    block = max(1, BLOCK // (max(len(rows), 1) * (len(p.matrix_scenarios) + 1)))
    for horizon in range(forward.shape[1]):
        alive = np.where(time_to_expiry[horizon] > 0.0, weights, 0.0)
        for start in range(0, len(forward), block):
            part = slice(start, start + block)
            states, balances = [], []
            for line in lines:
                at = list(underlyings).index(line.underlying) if line.underlying in underlyings else None
                fixed = np.full(len(forward[part]), index_price(chain, line.underlying))
                moved = Moved(
                    forward=forward[part, horizon],
                    volatility=volatility[part, horizon],
                    years=time_to_expiry[horizon],
                    index=fixed if at is None else index[part, horizon, at],
                )
                states.append((line, moved))
                paid = settled_coins(chain, rows, line, moved, weights)
                balances.append(coins_of(line, weights, coins)[None, :] + paid)
            initial[part, horizon], maintenance[part, horizon] = _margins(states, balances, alive, p)
    return initial, maintenance


def subgradient(chain: Chain, account: Account, rules: RuleSet, rows: Int[ndarray, " row"]) -> Float[ndarray, " row"]:
    """Change of the initial margin per contract bought of each row, at the account, USD.

    Taken from the binding scenario and charges; at a kink the slope on one side. The premium of an option that pays
    in the coin leaves the coin collateral. With a dampener or a delta shock the requirement is not convex: a cut by
    this slope is a local one.
    """
    p = matrix_parameters(rules)
    every = np.union1d(held_rows(chain, [account]), rows)
    weights, coins = contracts(chain, [account], every), coin_balances([account], p)
    states = [(line, marked(chain, every, line.underlying)) for line in all_lines(chain, every, coins)]
    placed = [(line, book) for line, moved in states for book in books_of(line, moved, weights)]
    found = scanned([book for _, book in placed], p)
    slope = np.zeros(len(every))
    of_options, of_linears = slopes(found.books, found.together, p)
    for (line, _), book, options, linears in zip(placed, found.books, of_options, of_linears, strict=True):
        mine, lines = _places(line, is_coin=book.book.pays_coin)
        slope[line.options[mine]] += options * line.option_size[mine]
        slope[line.linears[lines]] += linears
        if book.book.pays_coin:
            cut = _coin_slope(line, book.book.index[0], coins_of(line, weights, coins)[0], p)
            premium = book.units.mark[0] / book.book.forward[0]
            slope[line.options[mine]] -= premium * cut * line.option_size[mine]
    for line, moved in states:
        cut = _coin_slope(line, moved.index[0], coins_of(line, weights, coins)[0], p)
        slope[line.spots] += cut * line.spot_size
    return slope[np.searchsorted(every, rows)]


def matrix_margin(portfolio: MatrixPortfolio, parameters: MatrixParameters) -> tuple[float, float]:
    """Initial and maintenance margin of one portfolio given by exactly the model's inputs, USD.

    >>> from math import inf
    >>> from greekdrift.book.matrix_rules import MatrixLinear
    >>> from greekdrift.config import load_rules
    >>> perpetual = MatrixLinear(amount=-1.0, forward=100_000.0, time_to_expiry=inf)
    >>> short = MatrixBook(underlying="BTC", currency="USD", spot_price=100_000.0, linears=(perpetual,))
    >>> margins = matrix_margin(MatrixPortfolio(books=(short,)), load_rules("deribit_pm").parameters)
    >>> round(margins[0]), round(margins[1])
    (17000, 13600)
    """
    found = scanned([states_of(book) for book in portfolio.books], parameters)
    initial, maintenance = found.initial(parameters)[0, 0], found.maintenance(parameters)[0, 0]
    held = portfolio.cut_more_usd + portfolio.makers_usd + portfolio.orders_usd
    return float(initial + portfolio.cut_usd + held), float(maintenance + portfolio.cut_usd)


def scanned(books: Sequence[BookStates], p: MatrixParameters) -> Scanned:
    """The scan and charges of some accounts over all their books."""
    found = tuple(charged(book, p) for book in books)
    if not found:
        nothing = np.zeros((1, 1))
        return Scanned(books=(), together=None, scan=nothing, charges=nothing, provisions=nothing)
    total = np.zeros_like(found[0].least)
    together = None
    if p.separate < 1.0:
        together = np.sum([counted(one.pnl, p.settlement(one.book.currency)) for one in found], axis=0)
        least = np.sum([one.least for one in found], axis=0)
        total = total + (1.0 - p.separate) * np.maximum(np.maximum(-together.min(axis=1), 0.0), least)
    if p.separate > 0.0:
        apart = [np.maximum(np.maximum(-one.pnl.min(axis=1), 0.0), one.least) for one in found]
        total = total + p.separate * np.sum(apart, axis=0)
    return Scanned(
        books=found,
        together=together,
        scan=total,
        charges=np.sum([one.roll + one.delta_shock for one in found], axis=0),
        provisions=np.sum([one.funding + one.fees for one in found], axis=0),
    )


def books_of(line: Lines, moved: Moved, weights: Weights) -> tuple[BookStates, ...]:
    """The books of an underlying: what settles in the coin, and what settles in dollars."""
    found = []
    for is_coin in (True, False):
        options, linears = _places(line, is_coin=is_coin)
        if not (np.any(options) or np.any(linears)):
            continue
        at, linear = line.options[options], line.linears[linears]
        forward = moved.forward[:, linear]
        size = line.linear_size[linears]
        found.append(
            BookStates(
                underlying=line.underlying,
                currency=line.underlying if is_coin else USD,
                index=moved.index,
                strike=line.strike[options],
                is_call=line.is_call[options],
                years=np.maximum(moved.years[at], 0.0),
                forward=moved.forward[:, at],
                volatility=moved.volatility[:, at],
                options=weights[:, at] * line.option_size[options],
                linear_years=moved.years[linear],
                linear_forward=forward,
                linear_coins=np.where(line.is_inverse[linears], size / forward, size),
                linears=weights[:, linear],
            )
        )
    return tuple(found)


def states_of(book: MatrixBook) -> BookStates:
    """A book given by its records as one account in one market state."""
    options, linears = book.options, book.linears
    return BookStates(
        underlying=book.underlying,
        currency=book.currency,
        index=np.array([book.spot_price]),
        strike=np.array([one.strike for one in options]),
        is_call=np.array([one.is_call for one in options], dtype=np.bool_),
        years=np.array([max(one.time_to_expiry, 0.0) for one in options]),
        forward=np.array([[one.forward for one in options]]),
        volatility=np.array([[one.volatility for one in options]]),
        options=np.array([[one.amount for one in options]]),
        linear_years=np.array([one.time_to_expiry for one in linears]),
        linear_forward=np.array([[one.forward for one in linears]]),
        linear_coins=np.ones((1, len(linears))),
        linears=np.array([[one.amount for one in linears]]),
    )


def _places(line: Lines, *, is_coin: bool) -> tuple[ndarray, ndarray]:
    return line.pays_coin == is_coin, line.is_inverse == is_coin


def _margins(
    states: Sequence[tuple[Lines, Moved]], balances: Sequence[PerAccount], weights: Weights, p: MatrixParameters
) -> tuple[PerAccount, PerAccount]:
    """Initial and maintenance margin with cuts of coin collateral, (state, account)."""
    found = scanned([book for line, moved in states for book in books_of(line, moved, weights)], p)
    initial, maintenance = found.initial(p), found.maintenance(p)
    for (line, moved), balance in zip(states, balances, strict=True):
        if np.any(balance):
            terms, value = p.terms_of(line.underlying), np.abs(moved.index[:, None] * balance)
            maintenance = maintenance + terms.maintenance * value
            initial = initial + (terms.maintenance + terms.initial) * value
    shape = np.zeros((len(states[0][1].index) if states else 1, len(weights)))
    return shape + initial, shape + maintenance


def _coin_slope(line: Lines, index: float, coins: float, p: MatrixParameters) -> float:
    """Change of the initial margin per coin of collateral."""
    if coins == 0.0:
        return 0.0
    terms = p.terms_of(line.underlying)
    return float(index * np.sign(coins) * (terms.maintenance + terms.initial))
