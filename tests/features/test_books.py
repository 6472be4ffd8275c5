from typing import Any

import numpy as np
import pytest

from greekdrift.errors import ChainError
from greekdrift.features.books import MARKET_MAKERS, RECIPES, market_makers, reference_books
from greekdrift.features.exposure import EXPOSURES, exposures
from greekdrift.greeks.exposure import exposure


def test_every_book_is_hedged_to_zero_net_delta(chain_of: Any) -> None:
    for chain in (chain_of(), chain_of(underlying="AAPL", is_inverse=False, hedge="spot")):
        books = reference_books(chain, seed=7)
        assert len(books) == len(RECIPES) + MARKET_MAKERS
        delta = exposure(chain, books).quantities["delta_net"]
        assert np.abs(delta).max() < 1e-9


def test_the_greeks_have_the_signs_of_their_names(chain_of: Any) -> None:
    chain = chain_of()
    books = {book.account_id: book for book in reference_books(chain, seed=7)}

    def greek(name: str, quantity: str) -> float:
        return exposure(chain, [books[name]]).value(name, "BTC", quantity)

    assert greek("BTC straddle", "gamma") < 0 < greek("BTC straddle", "theta")
    assert greek("BTC calendar", "vega") > 0 > greek("BTC calendar", "gamma")
    assert greek("BTC long vega", "vega") > 0
    assert greek("BTC near gamma", "gamma") < 2 * greek("BTC straddle", "gamma")
    assert abs(greek("BTC risk reversal", "gamma")) < 0.3 * abs(greek("BTC strangle", "gamma"))
    assert greek("BTC condor", "vega") < 0


def test_legs_are_the_listed_options_nearest_to_tenor_and_delta(chain_of: Any) -> None:
    books = {book.account_id: book.quantities() for book in reference_books(chain_of(), seed=7)}
    assert set(books["BTC straddle"]) == {"BTC-27MAR26-100-C", "BTC-27MAR26-100-P", "BTC-PERPETUAL"}
    assert set(books["BTC near gamma"]) == {"BTC-5MAR26-100-C", "BTC-5MAR26-100-P", "BTC-PERPETUAL"}
    assert books["BTC calendar"]["BTC-13MAR26-100-C"] == -10.0
    assert books["BTC calendar"]["BTC-1MAY26-100-C"] == 10.0


def test_a_book_that_the_listing_cannot_carry_is_left_out(chain_of: Any) -> None:
    chain = chain_of()
    narrow = chain_of(expiries=(chain.instruments[60].expiry,))
    names = {book.account_id for book in reference_books(narrow, seed=7)}
    assert "BTC straddle" in names
    assert "BTC calendar" not in names
    few = chain_of(strikes=(100.0, 105.0))
    names = {book.account_id for book in reference_books(few, seed=7)}
    assert "BTC ratio" not in names


def test_coin_books_hold_coins_and_others_money(chain_of: Any) -> None:
    coin = reference_books(chain_of(), seed=1)[0]
    assert dict(coin.collateral) == {"BTC": 5.0}
    money = reference_books(chain_of(underlying="AAPL", is_inverse=False), seed=1)[0]
    assert dict(money.collateral) == {"USD": 500.0}


def test_books_are_reproducible_and_seeds_differ(chain_of: Any) -> None:
    chain = chain_of()
    assert reference_books(chain, seed=3) == reference_books(chain, seed=3)
    assert market_makers("BTC", seed=3) != market_makers("BTC", seed=4)
    later = chain_of(hours=6.0, index=104.0)
    assert [book.account_id for book in reference_books(later, seed=3)] == [
        book.account_id for book in reference_books(chain, seed=3)
    ]


def test_without_a_hedge_or_options_there_is_no_book(chain_of: Any) -> None:
    with pytest.raises(ChainError, match="no perpetual, spot or future"):
        reference_books(chain_of(hedge=None), seed=1)
    chain = chain_of()
    with pytest.raises(ChainError, match="no option is listed"):
        reference_books(chain.take(~chain.is_option), seed=1)


def test_exposures_do_not_depend_on_size(chain_of: Any) -> None:
    chain = chain_of()
    books = reference_books(chain, seed=7)
    table = exposures(chain, books)
    assert table.shape == (len(books), len(EXPOSURES))
    assert np.abs(table[:, 0]).max() < 1e-9
    row = {
        book.account_id: dict(zip(EXPOSURES, values, strict=True)) for book, values in zip(books, table, strict=True)
    }
    assert row["BTC near gamma"]["near_gamma_share"] == 1.0
    assert row["BTC long vega"]["near_gamma_share"] == 0.0
    assert row["BTC long vega"]["long_share"] == 1.0
    assert row["BTC straddle"]["long_share"] == 0.0
    assert row["BTC straddle"]["gamma_per_percent"] < 0 < row["BTC straddle"]["theta_per_day"]
