"""Numbers of the risk-matrix form: moves, damping by law, names of books, terms that are not there."""

from dataclasses import replace

import pytest

from greekdrift.book.matrix_rules import MatrixBook, MatrixLinear
from greekdrift.config import load_rules
from greekdrift.errors import BookError

P = load_rules("deribit_pm").parameters


def test_moves_are_in_ranges_in_the_regular_table_and_relative_in_the_tail() -> None:
    regular, tail = P.matrix_scenarios[0], P.matrix_scenarios[-1]
    assert (regular.move(0.16), regular.move(0.18), tail.move(0.16)) == (-0.16, -0.18, 5.0)


def test_damping_is_that_of_the_scenario_or_by_law() -> None:
    """tail_factor range/|move|: half of a half as large range, whole in the regular table."""
    pair, tail = P.pair("BTC"), P.matrix_scenarios[-1]
    assert P.damping(tail, pair) == pytest.approx(0.16 / 5.0)
    assert P.damping(tail, replace(pair, tail_factor=0.5, price_range=0.08)) == pytest.approx(0.25 * 0.16 / 5.0)
    assert P.damping(replace(tail, damping=0.3), pair) == 0.3
    assert P.damping(replace(P.matrix_scenarios[0], damping=None), pair) == 1.0


def test_terms_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(BookError, match=r"no terms for SOL \(it has: BTC, ETH\); add them to pairs"):
        P.pair("SOL")
    with pytest.raises(BookError, match=r"\(it has: BTC, ETH, USD\); add them to settlements"):
        P.settlement("SOL")
    with pytest.raises(BookError, match="collateral SOL"):
        P.terms_of("SOL")


def test_a_book_is_named_by_its_underlying_and_what_it_settles_in() -> None:
    line = MatrixLinear(amount=1.0, forward=1.0, time_to_expiry=0.5)
    book = MatrixBook(underlying="ETH", currency="ETH", spot_price=1.0, linears=(line,))
    assert (book.name, replace(book, currency="USD").name) == ("ETH", "ETH-USD")
