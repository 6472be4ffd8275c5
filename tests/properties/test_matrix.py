"""Laws of the risk-matrix margin, on generated portfolios, and the counterexamples to what it does not declare."""

from dataclasses import replace
from math import inf, isfinite

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book.matrix_rules import (
    DampenerLaw,
    DeltaShockLaw,
    MatrixBook,
    MatrixLinear,
    MatrixOption,
    MatrixParameters,
    MatrixPortfolio,
)
from greekdrift.book.scenario_terms import Table
from greekdrift.config import load_rules
from greekdrift.margin import matrix, matrix_naive

DERIBIT, PARADEX = load_rules("deribit_pm"), load_rules("paradex_pm")
RULES = st.sampled_from((DERIBIT.parameters, PARADEX.parameters))
SPOT = 50_000.0
YEARS = (0.0, 1e-6, 3e-5, 1e-3, 5.0 / 365.0, 30.0 / 365.0, 0.5, 2.0)


@st.composite
def options(draw: st.DrawFn, *, is_short: bool = False) -> MatrixOption:
    amount = round(draw(st.floats(-300.0, 300.0, allow_subnormal=False)), 3)
    return MatrixOption(
        strike=SPOT * draw(st.sampled_from((0.3, 0.7, 0.9, 1.0, 1.1, 1.4, 4.0))),
        is_call=draw(st.booleans()),
        forward=SPOT * draw(st.floats(0.9, 1.1)),
        volatility=draw(st.floats(0.05, 3.0)),
        time_to_expiry=draw(st.sampled_from(YEARS)),
        amount=-abs(amount) if is_short else amount,
    )


linears = st.builds(
    MatrixLinear,
    amount=st.floats(-500.0, 500.0, allow_subnormal=False).map(lambda x: round(x, 3)),
    forward=st.floats(0.9 * SPOT, 1.1 * SPOT),
    time_to_expiry=st.sampled_from((inf, 1e-5, 0.1, 0.5)),
)


@st.composite
def portfolios(draw: st.DrawFn, *, currencies: tuple[str, ...] = ("USD",)) -> MatrixPortfolio:
    books = []
    for underlying in draw(st.sampled_from((("BTC",), ("BTC", "ETH")))):
        for currency in currencies:
            books.append(  # noqa: PERF401
                MatrixBook(
                    underlying=underlying,
                    currency=underlying if currency == "coin" else currency,
                    spot_price=SPOT,
                    options=tuple(draw(st.lists(options(), max_size=4))),
                    linears=tuple(draw(st.lists(linears, max_size=2))),
                )
            )
    return MatrixPortfolio(books=tuple(books), cut_usd=draw(st.floats(0.0, 1e5)), orders_usd=draw(st.floats(0.0, 1e4)))


both = portfolios(currencies=("coin", "USD"))


def scale(portfolio: MatrixPortfolio) -> float:
    legs = [one for book in portfolio.books for one in book.options]
    gross = sum(abs(one.amount) * (one.forward + one.strike) for one in legs)
    return 1.0 + gross + sum(abs(one.amount) * one.forward for book in portfolio.books for one in book.linears)


def lone(*legs: MatrixOption | MatrixLinear, currency: str = "USD") -> MatrixPortfolio:
    return MatrixPortfolio(
        books=(
            MatrixBook(
                underlying="BTC",
                currency=currency,
                spot_price=SPOT,
                options=tuple(leg for leg in legs if isinstance(leg, MatrixOption)),
                linears=tuple(leg for leg in legs if isinstance(leg, MatrixLinear)),
            ),
        )
    )


@given(portfolio=both, separate=st.sampled_from((0.0, 0.4, 1.0)))
def test_both_engines_agree(portfolio: MatrixPortfolio, separate: float) -> None:
    p = replace(DERIBIT.parameters, separate=separate)
    close = {"rel": 1e-11, "abs": 1e-12 * scale(portfolio)}
    assert matrix.matrix_margin(portfolio, p) == pytest.approx(matrix_naive.matrix_margin(portfolio, p), **close)


@given(portfolio=portfolios())
def test_both_engines_agree_with_charges_of_paradex(portfolio: MatrixPortfolio) -> None:
    close = {"rel": 1e-11, "abs": 1e-12 * scale(portfolio)}
    fast = matrix.matrix_margin(portfolio, PARADEX.parameters)
    assert fast == pytest.approx(matrix_naive.matrix_margin(portfolio, PARADEX.parameters), **close)


@given(portfolio=portfolios(), p=RULES)
def test_1_ordered_and_finite(portfolio: MatrixPortfolio, p: MatrixParameters) -> None:
    initial, maintenance = matrix.matrix_margin(portfolio, p)
    assert isfinite(initial)
    assert initial >= maintenance >= 0.0


@given(portfolio=portfolios(), leg=options(), p=RULES)
def test_3_an_exact_hedge_changes_only_what_is_charged_on_gross(
    portfolio: MatrixPortfolio, leg: MatrixOption, p: MatrixParameters
) -> None:
    gross_free = replace(
        p,
        pairs=tuple(replace(one, least_delta=replace(one.least_delta, hedged=0.0)) for one in p.pairs),
        settlements=tuple(replace(one, fees=replace(one.fees, linear=0.0, option=0.0)) for one in p.settlements),
    )
    first = portfolio.books[0]
    pair = (leg, replace(leg, amount=-leg.amount))
    hedged = replace(portfolio, books=(replace(first, options=(*first.options, *pair)), *portfolio.books[1:]))
    close = {"rel": 1e-11, "abs": 1e-12 * (scale(portfolio) + scale(hedged))}
    one, other = matrix.matrix_margin(portfolio, gross_free), matrix.matrix_margin(hedged, gross_free)
    assert other == pytest.approx(one, **close)


@given(leg=options(), p=RULES)
def test_4_a_long_option_loses_at_most_its_value(leg: MatrixOption, p: MatrixParameters) -> None:
    for currency in {one.currency for one in p.settlements} & {"BTC", "USD"}:
        book = lone(replace(leg, amount=abs(leg.amount)), currency=currency).books[0]
        years = leg.time_to_expiry
        price = matrix_naive.black_price(leg, forward=leg.forward, volatility=leg.volatility, time_to_expiry=years) * (
            SPOT / leg.forward if currency == "BTC" else 1.0
        )
        losses = matrix_naive.scenario_pnl(book, p).values()
        assert -min(losses) <= abs(leg.amount) * price * (1.0 + 1e-12) + 1e-9 * scale(lone(leg))


@given(legs=st.lists(options(is_short=True), min_size=1, max_size=5), p=RULES, more=st.floats(1.0, 1.6))
def test_5_wider_ranges_larger_moves_and_floors_never_lower_the_margin_of_short_options(
    legs: list[MatrixOption], p: MatrixParameters, more: float
) -> None:
    """A theorem where P&L is concave in price and falls in volatility.

    A book whose worst price lies between the buckets of a wider grid breaks it for the range.
    """
    margin = matrix.matrix_margin(lone(*legs), p)[0]
    rounding = 1e-11 * scale(lone(*legs))
    for name in ("price_range", "up", "floor"):
        pairs = []
        for one in p.pairs:
            grown = {name: getattr(one.volatility, name, 0.1) * more + 0.01 * (more - 1.0)}
            if name == "price_range":
                pairs.append(replace(one, price_range=one.price_range * more))
            else:
                pairs.append(replace(one, volatility=replace(one.volatility, **grown)))
        wider = p if name != "price_range" else replace(p, matrix_scenarios=law_damped(p))
        base = margin if name != "price_range" else matrix.matrix_margin(lone(*legs), wider)[0]
        assert matrix.matrix_margin(lone(*legs), replace(wider, pairs=tuple(pairs)))[0] >= base - rounding, name


def law_damped(p: MatrixParameters) -> tuple:
    return tuple(replace(one, damping=None) if one.table is Table.TAIL else one for one in p.matrix_scenarios)


@given(portfolio=portfolios(currencies=("coin", "USD")), share=st.floats(0.0, 1.0))
def test_5_a_lower_dampener_never_lowers_the_margin_of_books_apart(portfolio: MatrixPortfolio, share: float) -> None:
    p = replace(DERIBIT.parameters, separate=1.0)
    lower = replace(p, settlements=tuple(replace(one, dampener_usd=share * one.dampener_usd) for one in p.settlements))
    one, other = matrix.matrix_margin(portfolio, p), matrix.matrix_margin(portfolio, lower)
    assert np.all(np.array(other) >= np.array(one) - 1e-12 * scale(portfolio))


@given(leg=options())
def test_6_parity_books_feel_no_move_of_price_or_volatility(leg: MatrixOption) -> None:
    """Call − put − forward, K coins' worth of an inverse future on top where it settles in coin: no P&L anywhere."""
    if leg.time_to_expiry <= 0.0:
        return
    call, put = replace(leg, is_call=True), replace(leg, is_call=False, amount=-leg.amount)
    p = replace(DERIBIT.parameters, linear_at_edge=False)
    coins = {"USD": leg.amount, "BTC": leg.amount * leg.strike / leg.forward}
    for currency, amount in coins.items():
        future = MatrixLinear(amount=-amount, forward=leg.forward, time_to_expiry=leg.time_to_expiry)
        book = lone(call, put, future, currency=currency).books[0]
        pnl = matrix_naive.scenario_pnl(book, replace(p, laws=replace(p.laws, dampener=DampenerLaw.NONE)))
        assert max(map(abs, pnl.values())) <= 1e-11 * scale(lone(call, put, future)) * 6.0


@given(leg=options(), p=RULES)
def test_7_continuous_through_thirty_days(leg: MatrixOption, p: MatrixParameters) -> None:
    sides = [replace(leg, time_to_expiry=(30.0 + step) / 365.0) for step in (-1e-7, 1e-7)]
    before, after = (matrix.matrix_margin(lone(one), p)[0] for one in sides)
    assert after == pytest.approx(before, rel=1e-5, abs=1e-7 * scale(lone(leg)))


@given(
    leg=options(),
    p=RULES,
    strike=st.sampled_from((1e-6, 1.0, 5e4, 1e9)),
    forward=st.sampled_from((1e-9, 1.0, 5e4, 1e8)),
    volatility=st.sampled_from((0.0, 1e-9, 0.5, 49.0)),
    years=st.sampled_from((0.0, 1e-9, 1e-3, 30.0 / 365.0, 30.0)),
)
def test_7_no_state_of_the_market_gives_a_number_that_is_none(
    leg: MatrixOption, p: MatrixParameters, strike: float, forward: float, volatility: float, years: float
) -> None:
    odd = lone(replace(leg, strike=strike, forward=forward, volatility=volatility, time_to_expiry=years))
    slow, fast = matrix_naive.matrix_margin(odd, p), matrix.matrix_margin(odd, p)
    assert all(map(isfinite, fast))
    assert fast == pytest.approx(slow, rel=1e-10, abs=1e-11 * scale(odd))


@given(leg=options(), p=RULES)
def test_8_what_has_expired_has_no_scenario_pnl(leg: MatrixOption, p: MatrixParameters) -> None:
    pnl = matrix_naive.scenario_pnl(lone(replace(leg, time_to_expiry=0.0)).books[0], p)
    assert max(map(abs, pnl.values())) == 0.0


@given(portfolio=both, p=st.just(DERIBIT.parameters))
def test_9_order_of_legs_and_equal_legs_do_not_matter(portfolio: MatrixPortfolio, p: MatrixParameters) -> None:
    def halved(leg: MatrixOption) -> MatrixOption:
        return replace(leg, amount=0.5 * leg.amount)

    turned = replace(
        portfolio,
        books=tuple(
            replace(
                book,
                options=tuple(map(halved, reversed(book.options))) + tuple(map(halved, book.options)),
                linears=book.linears[::-1],
            )
            for book in reversed(portfolio.books)
        ),
    )
    close = {"rel": 1e-12, "abs": 1e-13 * scale(portfolio)}
    assert matrix.matrix_margin(turned, p) == pytest.approx(matrix.matrix_margin(portfolio, p), **close)


def short_puts(loss_usd: float, p: MatrixParameters) -> MatrixPortfolio:
    """Far puts, short, that lose a given sum at -66 % after damping and nothing to speak of elsewhere."""
    put = MatrixOption(
        strike=0.4 * SPOT, is_call=False, forward=SPOT, volatility=0.2, time_to_expiry=1.0 / 365.0, amount=-1.0
    )
    calm = replace(p, laws=replace(p.laws, dampener=DampenerLaw.NONE))
    found = matrix_naive.scenario_pnl(lone(put).books[0], calm)
    worst = min(found.values())
    return lone(replace(put, amount=loss_usd / worst))


def test_counterexample_two_losses_of_60_000_need_nothing_each_and_41_875_together() -> None:
    """The dampener takes 3.125 times 25,000 USD off the loss at -66 %: not sub-additive, convex or homogeneous."""
    assert (DERIBIT.is_convex, DERIBIT.is_homogeneous, DERIBIT.is_subadditive) == (False, False, False)
    p = DERIBIT.parameters
    laws = replace(p.laws, delta_shock=DeltaShockLaw.NONE)
    settlements = tuple(replace(one, roll=replace(one.roll, floor=0.0, per_year=0.0)) for one in p.settlements)
    p = replace(p, laws=laws, settlements=settlements)
    for engine in (matrix, matrix_naive):
        alone = engine.matrix_margin(short_puts(60_000.0, p), p)[0]
        both_sides = engine.matrix_margin(short_puts(120_000.0, p), p)[0]
        assert alone == pytest.approx(0.0, abs=1e-6)
        assert both_sides == pytest.approx(41_875.0, rel=1e-9)


def test_counterexample_the_capped_delta_shock_is_neither_convex_nor_homogeneous() -> None:
    """A move that grows with the excess up to 10 %: three times the delta costs more than thrice."""
    p = replace(DERIBIT.parameters, laws=replace(DERIBIT.parameters.laws, dampener=DampenerLaw.NONE))

    def margin(coins: float) -> float:
        line = MatrixLinear(amount=coins, forward=SPOT, time_to_expiry=inf)
        return matrix.matrix_margin(lone(line), p)[0]

    assert margin(1_200.0) > 3.0 * margin(400.0) * (1.0 + 1e-6)
    threshold, cap = 400.0, 400.0 + 0.1 / 0.00005
    less, more = cap - 0.5 * (cap - threshold), cap + 0.5 * (cap - threshold)
    assert margin(cap) > 0.5 * (margin(less) + margin(more)) * (1.0 + 1e-3)


def test_counterexample_offsets_of_gains_up_to_a_largest_sum_are_not_subadditive() -> None:
    p = DERIBIT.parameters
    terms = tuple(replace(one, gain_share=0.6, largest_gain_usd=1_000.0) for one in p.settlements)
    laws = replace(p.laws, dampener=DampenerLaw.NONE, delta_shock=DeltaShockLaw.NONE)
    p = replace(p, settlements=terms, laws=laws)

    def margin(times: float) -> float:
        lines = (MatrixLinear(amount=times * coins, forward=SPOT, time_to_expiry=inf) for coins in (0.2, -0.5))
        books = tuple(
            MatrixBook(underlying=name, currency="USD", spot_price=SPOT, linears=(line,))
            for name, line in zip(("BTC", "ETH"), lines, strict=True)
        )
        return matrix.matrix_margin(MatrixPortfolio(books=books), p)[0]

    assert margin(2.0) > 2.0 * margin(1.0) * (1.0 + 1e-6)
