from dataclasses import replace
from math import log

import numpy as np
import pytest

from greekdrift.features.depth import Depth, DepthImbalance, QuotedSpread
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.market.series import Series

START = np.datetime64("2026-01-01", "us")
DEPTHS = {"history": "books/{underlying}-perp", "bid": "bid_size", "ask": "ask_size"}


def _books(values: np.ndarray) -> Series:
    """One book an hour, from the start on, known at once."""
    event = START + np.arange(len(values)) * HOUR
    columns = ("bid", "ask", "bid_size", "ask_size")
    return Series(
        name="books/BTC-perp",
        event_time=event,
        known_at=event,
        columns=columns,
        units=("USD",) * 4,
        values=values,
        hole_hours=2.5,
    )


def _at(books: Series, hour: float) -> Panel:
    moment = np.array([START + np.timedelta64(round(hour * 3.6e9), "us")])
    return replace(example(rows=1), as_of=moment, known_at=moment, histories={"books/BTC-perp": books})


BOOKS = _books(
    np.array([[99.0, 101.0, 10.0, 30.0], [99.0, 101.0, 50.0, 10.0], [98.0, 102.0, 30.0, 10.0], [1.0, 2.0, 1.0, 99.0]])
)


def test_imbalance_depth_and_spread_by_hand() -> None:
    panel = _at(BOOKS, 2.5)
    assert DepthImbalance(**DEPTHS, hours=2.0).compute(panel)[0, 0] == pytest.approx((80.0 - 20.0) / 100.0)
    assert Depth(**DEPTHS, hours=2.0).compute(panel)[0, 0] == pytest.approx(log((60.0 + 40.0) / 2.0))
    spread = QuotedSpread(history=DEPTHS["history"], bid="bid", ask="ask", hours=2.0)
    assert spread.compute(panel)[0, 0] == pytest.approx(log((2.0 / 100.0 + 4.0 / 100.0) / 2.0))
    assert spread.name == "log_spread_2h"


def test_a_book_known_later_or_too_long_ago_is_not_seen() -> None:
    feature = DepthImbalance(**DEPTHS, hours=1.0)
    assert feature.compute(_at(BOOKS, 2.999))[0, 0] == pytest.approx(0.5)
    assert feature.compute(_at(BOOKS, 3.0))[0, 0] == pytest.approx(-0.98)
    assert np.isnan(feature.compute(_at(BOOKS, 6.0))).all()


def test_a_one_sided_book_has_no_spread_and_an_empty_one_no_depth() -> None:
    values = BOOKS.values.copy()
    values[2] = (0.0, 102.0, 0.0, 0.0)
    books = _books(values)
    spread = QuotedSpread(history=DEPTHS["history"], bid="bid", ask="ask", hours=1.0)
    assert spread.compute(_at(books, 2.5))[0, 0] == pytest.approx(log(0.02))
    assert np.isnan(DepthImbalance(**DEPTHS, hours=1.0).compute(_at(books, 2.5))).all()
    assert np.isnan(Depth(**DEPTHS, hours=1.0).compute(_at(books, 2.5))).all()


def test_a_missing_size_is_missing_not_zero() -> None:
    values = BOOKS.values.copy()
    values[1, 2] = np.nan
    panel = _at(_books(values), 2.5)
    assert DepthImbalance(**DEPTHS, hours=2.0).compute(panel)[0, 0] == pytest.approx(0.5)
