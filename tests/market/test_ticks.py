"""Made quotes lie on ticks, outside the prices that they are made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.book.instrument import parse
from greekdrift.config import load_venue
from greekdrift.greeks import compute
from greekdrift.market.ticks import outward, prices

OPTION = load_venue("deribit").product(parse("BTC-27MAR26-70000-C"))


@given(st.floats(1e-6, 3.0), st.floats(0.0, 0.5))
def test_outward(low: float, width: float):
    high = low + width
    bid, ask = outward(np.array([low]), np.array([high]), OPTION)
    assert ask[0] >= high - 1e-9
    assert np.isclose(ask[0] / OPTION.tick_at(high), round(ask[0] / OPTION.tick_at(high)), atol=1e-6)
    if np.isnan(bid[0]):
        assert low < OPTION.tick
    else:
        assert bid[0] <= low + 1e-9
        assert bid[0] <= ask[0]
        assert np.isclose(bid[0] / OPTION.tick, round(bid[0] / OPTION.tick), atol=1e-6)


def test_prices_are_in_the_coin_where_the_option_pays_in_it():
    shared = {"forward": np.full(2, 70_000.0), "strike": np.full(2, 80_000.0), "volatility": np.full(2, 0.5)}
    shared |= {"time_to_expiry": np.full(2, 0.1), "is_call": np.array([True, True])}
    usd = compute(("price",), **shared)["price"]
    np.testing.assert_allclose(prices(**shared, is_inverse=np.array([True, False])), usd / [70_000.0, 1.0], rtol=1e-15)
