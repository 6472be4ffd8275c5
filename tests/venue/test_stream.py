"""The fake venue's stream follows the documents, and fails as it is told to: seen by a plain websocket client."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from tests.venue import documents, stream
from tests.venue.clock import SharedClock
from tests.venue.faults import Fault
from tests.venue.market import Market
from tests.venue.server import Venue
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

BOOK = "book.BTC-PERPETUAL.100ms"
TICKER = "ticker.BTC-PERPETUAL.100ms"


def _connect(url: str) -> ClientConnection:
    return connect(f"{url.replace('http', 'ws', 1)}/ws/api/v2", proxy=None, close_timeout=1.0)


def _ask(socket: ClientConnection, method: str, **parameters: Any) -> None:
    socket.send(json.dumps({"jsonrpc": "2.0", "id": 7, "method": f"public/{method}", "params": parameters}))


def _next(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socket.recv(timeout=5.0))
    return found


def _notices(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The data of the next so many notices."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = _next(socket)
        if message.get("method") == "subscription":
            found.append(message["params"]["data"])
    return found


def _move(clock: SharedClock, minutes: float) -> None:
    asyncio.run(clock.sleep(60.0 * minutes))


def test_books_are_a_snapshot_and_changes_that_follow_from_it(
    venue: Venue, market: Market, serve: Callable[[Venue], str], clock: SharedClock
) -> None:
    with _connect(serve(venue)) as socket:
        _ask(socket, "subscribe", channels=[BOOK])
        assert _next(socket)["result"] == [BOOK]
        first = _notices(socket, 1)[0]
        assert first["type"] == "snapshot"
        sides = {side: {one[1]: one[2] for one in first[side]} for side in ("bids", "asks")}
        last = first["change_id"]
        for minute in range(1, 4):
            _move(clock, 1.0)
            for number, change in enumerate(_notices(socket, documents.BEATS)):
                assert change["prev_change_id"] == last
                last = change["change_id"]
                for side, levels in sides.items():
                    for action, price, size in change[side]:
                        assert (price in levels) == (action in {"delete", "change"})
                        levels.pop(price, None)
                        if action != "delete":
                            levels[price] = size
                quotes = market.at(clock.now())
                assert last == documents.beat(quotes.minute, number)
                true = documents.levels(quotes, "BTC-PERPETUAL", last)
                assert (sides["bids"], sides["asks"]) == true, minute


def test_tickers_and_the_volatility_index_come_at_once_and_each_minute(
    venue: Venue, market: Market, serve: Callable[[Venue], str], clock: SharedClock
) -> None:
    with _connect(serve(venue)) as socket:
        _ask(socket, "subscribe", channels=[TICKER, "deribit_volatility_index.btc_usd"])
        seen = defaultdict(list)
        for minute in range(3):
            for data in _notices(socket, 2):
                seen["volatility" in data].append(data["timestamp"])
                if "mark_price" in data:
                    quotes = market.at(clock.now())
                    assert data["mark_price"] == quotes.mark[quotes.row_of["BTC-PERPETUAL"]]
            if minute < 2:
                _move(clock, 1.0)
        assert seen[True] == seen[False] == sorted(set(seen[True]))
        _ask(socket, "unsubscribe", channels=[TICKER])
        assert _next(socket)["result"] == [TICKER]
        _move(clock, 1.0)
        assert "volatility" in _notices(socket, 1)[0]


def test_who_leaves_a_heartbeat_unanswered_is_cut_off(
    venue: Venue, serve: Callable[[Venue], str], clock: SharedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stream.Session.__init__.__kwdefaults__, "grace", 0.2)
    with _connect(serve(venue)) as socket:
        _ask(socket, "set_heartbeat", interval=30)
        assert _next(socket)["result"] == "ok"
        for _ in range(3):
            _move(clock, 1.0)
            assert _next(socket)["params"] == {"type": "test_request"}
            _ask(socket, "test")
            assert "version" in _next(socket)["result"]
        _move(clock, 1.0)
        assert _next(socket)["params"] == {"type": "test_request"}
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5.0)


def test_wrong_questions_are_errors_and_the_connection_stays(venue: Venue, serve: Callable[[Venue], str]) -> None:
    with _connect(serve(venue)) as socket:
        _ask(socket, "no_such_method")
        assert _next(socket)["error"]["code"] == -32601
        socket.send("{no json")
        assert _next(socket)["error"]["code"] == -32600
        _ask(socket, "test")
        assert "version" in _next(socket)["result"]


def test_notices_fail_as_they_are_told_to(venue: Venue, serve: Callable[[Venue], str], clock: SharedClock) -> None:
    def struck(fault: Fault, *, channel: str = BOOK, count: int = documents.BEATS) -> list[dict[str, Any]]:
        venue.plan.force(fault, where=channel)
        _move(clock, 1.0)
        return _notices(socket, count)

    with _connect(serve(venue)) as socket:
        _ask(socket, "subscribe", channels=[BOOK])
        _notices(socket, 1)
        gap = struck(Fault.GAP, count=documents.BEATS - 1)
        assert gap[0]["prev_change_id"] % documents.BEATS == 0
        twice = struck(Fault.DUPLICATE, count=documents.BEATS + 1)
        assert twice[0] == twice[1] != twice[2]
        swapped = [one["change_id"] for one in struck(Fault.OUT_OF_ORDER)]
        assert swapped == [sorted(swapped)[at] for at in (1, 0, 2)]
        ahead = struck(Fault.CLOCK_SKEW)
        assert ahead[0]["timestamp"] - ahead[1]["timestamp"] > 110_000
        spoiled = struck(Fault.NAN)[0]["bids"][0][1]
        assert isinstance(spoiled, str) or not 0.0 < spoiled < float("inf")
        _ask(socket, "unsubscribe", channels=[BOOK])
        _ask(socket, "subscribe", channels=[TICKER])
        _notices(socket, 1)
        crossed = struck(Fault.CROSSED, channel=TICKER, count=1)[0]
        assert crossed["best_bid_price"] > crossed["best_ask_price"]
        stale = struck(Fault.STALE, channel=TICKER, count=1)[0]
        assert documents.milliseconds(clock.now()) - stale["timestamp"] == 1_200_000
        venue.plan.force(Fault.TRUNCATED)
        _move(clock, 1.0)
        with pytest.raises(json.JSONDecodeError):
            _next(socket)
        venue.plan.force(Fault.RATE_LIMIT)
        _ask(socket, "subscribe", channels=[TICKER])
        assert _next(socket)["error"]["code"] == 10028
        venue.plan.force(Fault.SERVER)
        _move(clock, 1.0)
        with pytest.raises(ConnectionClosed, match="1011"):
            socket.recv(timeout=5.0)
