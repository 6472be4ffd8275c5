"""Risk-matrix margin as a slow loop over plain numbers: the truth that the judge uses.

One float at a time, with its own Black formula and control flow; it shares nothing but records with the engine
`margin.matrix`, and the two are tested equal. Model and its sources: `book.matrix_rules`.
"""

from math import fsum, inf, isinf

from greekdrift.book import Account, Chain, Kind
from greekdrift.book.collateral import Role
from greekdrift.book.matrix_rules import (
    USD,
    DampenerLaw,
    DeltaShockLaw,
    MatrixBook,
    MatrixLinear,
    MatrixOption,
    MatrixParameters,
    MatrixPortfolio,
    MatrixScenario,
    RollLaw,
)
from greekdrift.book.rules import RuleSet, matrix_parameters
from greekdrift.book.scenario_terms import Table
from greekdrift.errors import BookError, CalculationError
from greekdrift.margin.matrix_result import LEAST, MatrixMargin, account_margin
from greekdrift.margin.naive import AVERAGING_SECONDS, black_delta, black_price, shocked_volatility
from greekdrift.margin.result import MarginResult
from greekdrift.units import SECONDS_PER_YEAR, stamp


def requirement(chain: Chain, account: Account, rules: RuleSet) -> MarginResult:
    """Margin requirement of an account at a chain's marks, read as `margin.matrix.requirement` says."""
    p = matrix_parameters(rules)
    books, values, cash = _read(chain, account, p)
    parts = []
    for book, (scan, label) in zip(books, scan_shares(books, p), strict=True):
        parts.append(_part(book, scan, label, p, value=values.pop(book.underlying, 0.0)))
    for name, value in values.items():
        empty = MatrixBook(underlying=name, currency=name, spot_price=chain.index_price[name])
        parts.append(_part(empty, 0.0, "", p, value=value, is_alone=True))
    return account_margin(sorted(parts, key=lambda part: part.underlying), cash_usd=cash)


def matrix_margin(portfolio: MatrixPortfolio, parameters: MatrixParameters) -> tuple[float, float]:
    """Initial and maintenance margin of one portfolio, by the formulas of `book.matrix_rules`.

    >>> from greekdrift.config import load_rules
    >>> perpetual = MatrixLinear(amount=-1.0, forward=100_000.0, time_to_expiry=inf)
    >>> short = MatrixBook(underlying="BTC", currency="USD", spot_price=100_000.0, linears=(perpetual,))
    >>> margins = matrix_margin(MatrixPortfolio(books=(short,)), load_rules("deribit_pm").parameters)
    >>> round(margins[0]), round(margins[1])
    (17000, 13600)
    """
    p, books = parameters, portfolio.books
    scan = fsum(share for share, _ in scan_shares(books, p))
    risk = scan + fsum(_roll(book, p) + _delta_shock(book, p) for book in books)
    provisions = fsum(_funding(book, p) + _fees(book, p) for book in books)
    held = portfolio.cut_more_usd + portfolio.makers_usd + portfolio.orders_usd
    initial = p.factors.initial * risk + provisions + portfolio.cut_usd + held
    return initial, p.factors.maintenance * risk + provisions + portfolio.cut_usd


def scenario_pnl(book: MatrixBook, p: MatrixParameters) -> dict[str, float]:
    """P&L of a book that counts in each scenario, after damping and dampener, USD."""
    pair, dollars = p.pair(book.underlying), p.settlement(book.currency).dampener_usd
    found = {}
    for scenario in p.matrix_scenarios:
        move = scenario.move(pair.price_range)
        pnl = p.damping(scenario, pair) * fsum(_option_pnl(one, book, scenario, p) for one in book.options)
        if p.linear_at_edge and scenario.table is Table.TAIL:
            edge = pair.price_range if move > 0.0 else -pair.price_range
            pnl += pair.tail_factor * fsum(_linear_pnl(one, book, edge) for one in book.linears)
        else:
            pnl += p.damping(scenario, pair) * fsum(_linear_pnl(one, book, move) for one in book.linears)
        if p.laws.dampener is DampenerLaw.TOWARD_ZERO and scenario.table is Table.TAIL:
            room = min(abs(pnl), max(abs(scenario.price) / pair.price_range - 1.0, 0.0) * dollars)
            pnl = pnl + room if pnl < 0.0 else pnl - room
        if not -inf < pnl < inf:
            raise CalculationError(f"{book.name}: the P&L of {scenario.label} is not a number; check its market.")
        found[scenario.label] = pnl
    return found


def scan_shares(books: tuple[MatrixBook, ...], p: MatrixParameters) -> list[tuple[float, str]]:
    """Share of each book in the scan, and the scenario (or least charge) that binds it."""
    pnls, leasts = [scenario_pnl(book, p) for book in books], [_least(book, p) for book in books]
    apart, together = [], [(0.0, "")] * len(books)
    for pnl, least in zip(pnls, leasts, strict=True):
        label = min(pnl, key=lambda name: pnl[name])
        loss = max(-pnl[label], 0.0)
        apart.append((loss, label) if loss >= least else (least, LEAST))
    if p.separate < 1.0 and books:
        counts = [
            {name: _counted(value, book, p) for name, value in pnl.items()}
            for book, pnl in zip(books, pnls, strict=True)
        ]
        sums = {name: fsum(one[name] for one in counts) for name in counts[0]}
        worst = min(sums, key=lambda name: sums[name])
        loss = max(-sums[worst], 0.0)
        if loss < fsum(leasts):
            together = [(least, LEAST) for least in leasts]
        else:
            together = [(-one[worst] if loss > 0.0 else 0.0, worst) for one in counts]
    return [
        ((1.0 - p.separate) * one + p.separate * other, label or own)
        for (one, label), (other, own) in zip(together, apart, strict=True)
    ]


def _counted(pnl: float, book: MatrixBook, p: MatrixParameters) -> float:
    terms = p.settlement(book.currency)
    return min(terms.gain_share * pnl, terms.largest_gain_usd) if pnl > 0.0 else pnl


def _free(years: float) -> float:
    """Share of the settlement average that is still to come."""
    return 1.0 if isinf(years) else min(max(years * SECONDS_PER_YEAR / AVERAGING_SECONDS, 0.0), 1.0)


def _option_pnl(option: MatrixOption, book: MatrixBook, scenario: MatrixScenario, p: MatrixParameters) -> float:
    pair, years = p.pair(book.underlying), max(option.time_to_expiry, 0.0)
    forward = option.forward * (1.0 + _free(years) * scenario.move(pair.price_range))
    volatility = shocked_volatility(option.volatility, years, scenario.volatility, pair.volatility)
    before = black_price(option, forward=option.forward, volatility=option.volatility, time_to_expiry=years)
    after = black_price(option, forward=forward, volatility=volatility, time_to_expiry=years)
    if book.currency == book.underlying:
        return option.amount * book.spot_price * (after / forward - before / option.forward)
    return option.amount * (after - before)


def _linear_pnl(linear: MatrixLinear, book: MatrixBook, move: float) -> float:
    grown = _free(linear.time_to_expiry) * move
    if book.currency == book.underlying:
        return linear.amount * book.spot_price * grown / (1.0 + grown)
    return linear.amount * linear.forward * grown


def _deltas(book: MatrixBook) -> list[tuple[float, float]]:
    """Time to expiry and delta in coins of each line."""
    found = [(one.time_to_expiry, one.amount * _free(one.time_to_expiry)) for one in book.linears]
    for option in book.options:
        years = max(option.time_to_expiry, 0.0)
        delta = black_delta(option, forward=option.forward, volatility=option.volatility, time_to_expiry=years)
        found.append((years, option.amount * delta * _free(years)))
    return found


def _least(book: MatrixBook, p: MatrixParameters) -> float:
    terms, deltas = p.pair(book.underlying).least_delta, [delta for _, delta in _deltas(book)]
    net, gross = abs(fsum(deltas)), fsum(abs(delta) for delta in deltas)
    return (terms.net * net + terms.hedged * 0.5 * (gross - net)) * book.spot_price


def _roll(book: MatrixBook, p: MatrixParameters) -> float:
    if p.laws.roll is RollLaw.NONE:
        return 0.0
    terms = p.settlement(book.currency).roll
    by_expiry: dict[float, float] = {}
    for years, delta in _deltas(book):
        by_expiry[years] = by_expiry.get(years, 0.0) + delta
    charges = []
    for years, delta in by_expiry.items():
        left = 0.0 if isinf(years) else years
        charges.append(abs(delta) * max(terms.floor, terms.per_year * left))
    return fsum(charges) * book.spot_price


def _delta_shock(book: MatrixBook, p: MatrixParameters) -> float:
    if p.laws.delta_shock is DeltaShockLaw.NONE:
        return 0.0
    terms = p.pair(book.underlying).delta_shock
    net = abs(fsum(delta for _, delta in _deltas(book)))
    excess = max(net - terms.threshold_usd / book.spot_price, 0.0)
    return net * min(terms.largest, terms.per_coin * excess) * book.spot_price


def _funding(book: MatrixBook, p: MatrixParameters) -> float:
    coins = fsum(one.amount for one in book.linears if isinf(one.time_to_expiry))
    return max(p.settlement(book.currency).fees.funding * coins, 0.0) * book.spot_price


def _fees(book: MatrixBook, p: MatrixParameters) -> float:
    fees = p.settlement(book.currency).fees
    linear, options = fsum(abs(one.amount) for one in book.linears), fsum(abs(one.amount) for one in book.options)
    return (fees.linear * linear + fees.option * options) * book.spot_price


def _read(
    chain: Chain, account: Account, p: MatrixParameters
) -> tuple[tuple[MatrixBook, ...], dict[str, float], float]:
    """Books, value of each coin held, and cash."""
    cash, coins = 0.0, {}
    for currency, amount in account.collateral.items():
        if p.terms_of(currency).role is Role.CASH:
            cash += amount
        elif amount != 0.0:
            coins[currency] = amount
    options: dict[tuple[str, str], list[MatrixOption]] = {}
    linears: dict[tuple[str, str], list[MatrixLinear]] = {}
    for position in account.positions:
        row = int(chain.rows([position.instrument.name])[0])
        instrument, size = chain.instruments[row], float(chain.contract_size[row])
        if position.quantity == 0.0:
            continue
        if instrument.kind is Kind.SPOT:
            coins[instrument.underlying] = coins.get(instrument.underlying, 0.0) + position.quantity * size
            continue
        key = (instrument.underlying, instrument.underlying if instrument.is_inverse else USD)
        forward, years = float(chain.forward[row]), float(chain.time_to_expiry[row])
        if instrument.strike is not None:
            option = MatrixOption(
                strike=instrument.strike,
                is_call=bool(instrument.is_call),
                forward=forward,
                volatility=float(chain.mark_iv[row]),
                time_to_expiry=years,
                amount=position.quantity * size,
            )
            options.setdefault(key, []).append(option)
            continue
        coin = position.quantity * (size / forward if instrument.is_inverse else size)
        linears.setdefault(key, []).append(MatrixLinear(amount=coin, forward=forward, time_to_expiry=years))
    keys = sorted({*options, *linears}, key=lambda key: (key[0], key[0] != key[1]))
    books = tuple(
        MatrixBook(
            underlying=name,
            currency=currency,
            spot_price=_index(chain, name),
            options=tuple(options.get((name, currency), ())),
            linears=tuple(linears.get((name, currency), ())),
        )
        for name, currency in keys
    )
    return books, {name: amount * _index(chain, name) for name, amount in coins.items() if amount != 0.0}, cash


def _index(chain: Chain, name: str) -> float:
    price = chain.index_price.get(name)
    if price is None:
        raise BookError(
            f"collateral {name} has no index price on {chain.venue} at {stamp(chain.as_of)}; "
            "add it to the chain's index_price or hold it elsewhere."
        )
    return price


def _part(
    book: MatrixBook, scan: float, label: str, p: MatrixParameters, *, value: float, is_alone: bool = False
) -> MatrixMargin:
    roll, shock = (0.0, 0.0) if is_alone else (_roll(book, p), _delta_shock(book, p))
    funding, fees = (0.0, 0.0) if is_alone else (_funding(book, p), _fees(book, p))
    terms = p.terms_of(book.underlying) if value != 0.0 else None
    cuts = abs(value) * terms.maintenance if terms is not None else 0.0
    more = abs(value) * terms.initial if terms is not None else 0.0
    marks = []
    for one in book.options:
        years = max(one.time_to_expiry, 0.0)
        price = black_price(one, forward=one.forward, volatility=one.volatility, time_to_expiry=years)
        marks.append(one.amount * price * (book.spot_price / one.forward if book.currency == book.underlying else 1.0))
    risk = scan + roll + shock
    return MatrixMargin(
        underlying=book.name,
        index_price=book.spot_price,
        initial_margin_usd=p.factors.initial * risk + funding + fees + cuts + more,
        maintenance_margin_usd=p.factors.maintenance * risk + funding + fees + cuts,
        equity_usd=fsum([value, *marks]),
        option_value_usd=fsum(marks),
        collateral_value_usd=value,
        scenario_pnl={} if is_alone else scenario_pnl(book, p),
        worst_scenario=label,
        worst_loss_usd=-scan,
        roll_usd=roll,
        delta_shock_usd=shock,
        funding_usd=funding,
        fees_usd=fees,
        collateral_maintenance_usd=cuts,
        collateral_initial_usd=more,
    )
