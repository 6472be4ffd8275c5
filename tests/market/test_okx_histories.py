"""Candles and funding of OKX through a stand-in for ccxt: what is known when, and what is refused."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.venue.okx import AS_OF, HOLE, Answers, milliseconds

from greekdrift.errors import VenueError
from greekdrift.market.okx_histories import candles, funding


@pytest.fixture
def exchange() -> Answers:
    return Answers()


def now() -> datetime:
    return AS_OF + timedelta(seconds=1)


def test_closed_candles_alone_and_holes_stay_holes(exchange: Answers) -> None:
    since = AS_OF - timedelta(hours=250)
    table = candles(exchange, "BTC", timeframe="1h", since=since, now=now)
    assert len(table) == 250 - len(HOLE)
    assert (table["known_at_utc"] - table["event_time_utc"] == timedelta(hours=1)).all()
    assert table["known_at_utc"].max() == AS_OF
    gaps = table["event_time_utc"].diff().dropna()
    assert sorted(set(gaps)) == [timedelta(hours=1), timedelta(hours=1 + len(HOLE))]
    with pytest.raises(VenueError, match="no length of a candle"):
        candles(exchange, "BTC", timeframe="1x", since=since, now=now)


def test_a_candle_in_no_order_is_refused(exchange: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [[int((AS_OF - timedelta(hours=2)).timestamp() * 1000), 100.0, 99.0, 90.0, 105.0, 7.0]]
    monkeypatch.setattr(exchange, "fetch_ohlcv", lambda *_: bad)
    with pytest.raises(VenueError, match="in no order"):
        candles(exchange, "BTC", timeframe="1h", since=AS_OF - timedelta(hours=3), now=now)


@pytest.mark.parametrize(
    "page",
    [
        [[1.0, 2.0, 3.0]], ["row"], [[{}, 1.0, 1.0, 1.0, 1.0, 1.0]], [[10**400, 1.0, 1.0, 1.0, 1.0, 1.0]], {"a": 1},
        [[milliseconds(AS_OF - timedelta(hours=2)), 1.0, 1.0, 1.0, None, 1.0]], None,
        [[milliseconds(AS_OF - timedelta(hours=2)), 100.0, 110.0, 90.0, 105.0, float("nan")]],
    ],
)  # fmt: skip
def test_what_is_no_candle_is_refused(exchange: Answers, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "fetch_ohlcv", lambda *_: page)
    with pytest.raises(VenueError, match="answered a candle of BTC"):
        candles(exchange, "BTC", timeframe="1h", since=AS_OF - timedelta(hours=3), now=now)


@pytest.mark.parametrize(
    "page",
    [
        [{"fundingRate": 1e-4}], [{"timestamp": "1e400", "fundingRate": 1e-4}], [{"timestamp": 1, "fundingRate": {}}],
        [{"timestamp": 1, "fundingRate": float("inf")}], ["row"], {"a": 1}, None,
    ],
)  # fmt: skip
def test_what_is_no_funding_rate_is_refused(exchange: Answers, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "fetch_funding_rate_history", lambda *_: page)
    with pytest.raises(VenueError, match="answered a funding rate of BTC"):
        funding(exchange, "BTC", since=AS_OF - timedelta(hours=80), now=now)


def test_funding_is_known_when_it_is_paid(exchange: Answers) -> None:
    table = funding(exchange, "BTC", since=AS_OF - timedelta(hours=2000), now=now)
    assert len(table) == 251
    assert len(funding(exchange, "BTC", since=AS_OF - timedelta(hours=80), now=now)) == 11
    assert table["event_time_utc"].max() <= AS_OF
    assert (table["event_time_utc"] == table["known_at_utc"]).all()
    assert set(table["value"]) == {1e-4}
