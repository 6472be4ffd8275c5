"""The market behind the fake venue is the same for the same minute, moves, expires and lists."""

from datetime import timedelta

import numpy as np
from tests.venue.market import Market, thinned

from greekdrift.book import Chain
from greekdrift.book.chain import years_to
from greekdrift.config import load_venue
from greekdrift.market.ticks import prices
from greekdrift.units import datetime64


def test_a_minute_is_the_same_whatever_was_asked_before(simulated: Chain) -> None:
    small = thinned(simulated, expiries=3, strikes=3)
    one, other = Market(small, seed=2), Market(small, seed=2)
    late = one.start + timedelta(hours=5, seconds=31)
    for minutes in range(20):
        other.at(other.start + timedelta(minutes=minutes))
    for name in ("bid", "ask", "mark", "mark_iv", "forward"):
        np.testing.assert_array_equal(getattr(one.at(late), name), getattr(other.at(late), name))
    assert not np.array_equal(one.at(late).forward, one.at(one.start).forward)
    assert not np.array_equal(Market(small, seed=3).at(late).forward, one.at(late).forward)


def test_marks_are_the_black_prices_of_their_volatilities_and_quotes_lie_around_them(market: Market) -> None:
    quotes = market.at(market.start + timedelta(minutes=7))
    at = [row for row, one in enumerate(quotes.instruments) if one.is_option]
    expiry = np.array([datetime64(quotes.instruments[row].expiry) for row in at])  # type: ignore[arg-type]
    made = prices(
        forward=quotes.forward[at],
        strike=np.array([quotes.instruments[row].strike for row in at], dtype=float),
        volatility=quotes.mark_iv[at],
        time_to_expiry=years_to(expiry, quotes.minute),
        is_call=np.array([bool(quotes.instruments[row].is_call) for row in at]),
        is_inverse=np.ones(len(at), dtype=bool),
    )
    np.testing.assert_allclose(quotes.mark[at], made, atol=1e-6)
    assert np.nansum(quotes.bid >= quotes.ask) == 0


def test_contracts_expire_and_are_listed_while_it_runs(market: Market) -> None:
    first = set(market.at(market.start).row_of)
    later = set(market.at(market.start + timedelta(minutes=50)).row_of)
    assert later - first
    assert first - later
    assert all(name.split("-")[1] == "5FEB26" for name in first - later)
    assert {"BTC-PERPETUAL", "ETH-PERPETUAL"} <= first & later


def test_quotes_lie_on_the_ticks_of_the_venue(market: Market) -> None:
    quotes = market.at(market.start)
    for side in (quotes.bid, quotes.ask):
        for one, price in zip(quotes.instruments, side, strict=True):
            if np.isfinite(price):
                tick = load_venue("deribit").product(one).tick_at(price)
                assert abs(price / tick - round(price / tick)) < 1e-6, (one.name, price)
