"""A venue on this machine: the public methods and the stream of Deribit, on a clock of its own, failing by plan.

Faults of a call: `disconnect` ends the connection inside the body; `truncated` sends half a document that is called
whole; `slow` waits `stall` seconds, or drips bytes; `rate_limit` is status 429 with `Retry-After`, or error 10028;
`server` is a page of status 500 to 503; `clock_skew` stamps everything two minutes off; `out_of_order` is the answer of
some minutes ago. Of rows of a summary: `stale` rows are of twenty minutes ago and say so, `duplicate` rows stand twice,
`gap` rows are missing, `nan` rows hold NaN, infinities or words, `crossed` rows bid above their ask.
"""

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from tests.venue import documents, stream
from tests.venue.clock import SharedClock
from tests.venue.faults import ROWS, TRANSPORT, Fault, Plan
from tests.venue.market import Market

NUMBERS = ("mark_price", "bid_price", "ask_price", "mark_iv", "underlying_price")
SKEW = timedelta(minutes=2)
STALE = timedelta(minutes=20)
LATE = timedelta(minutes=3)


class Venue:
    """The application, and what it did: `calls` by method, `plan.fired` by fault, `sockets` opened."""

    def __init__(self, market: Market, clock: SharedClock, *, plan: Plan | None = None, stall: float = 1.0) -> None:
        self.market = market
        self.clock = clock
        self.plan = plan or Plan()
        self.stall = stall
        self.calls: dict[str, int] = {}
        self.sockets = 0
        self.app = Starlette(
            routes=[Route("/api/v2/{method:path}", self._call), WebSocketRoute("/ws/api/v2", self._socket)]
        )

    async def _socket(self, socket: WebSocket) -> None:
        self.sockets += 1
        await stream.Session(socket, self.market, self.clock, plan=self.plan, stall=self.stall).run()

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"].removeprefix("public/")
        self.calls[method] = self.calls.get(method, 0) + 1
        parameters = dict(request.query_params)
        now = self.clock.now()
        place = f"{method}/{parameters.get('currency', '')}/{parameters.get('kind', '')}"
        has_rows = method == "get_book_summary_by_currency"
        possible = (*TRANSPORT, *ROWS) if has_rows else TRANSPORT
        fault, rng = self.plan.draw(possible, place=place, minute=f"{now:%d%H%M}")
        moment = now - LATE if fault is Fault.OUT_OF_ORDER else now
        if fault is Fault.CLOCK_SKEW:
            moment = now + rng.choice((-1, 1)) * SKEW
        try:
            result = self.result(method, parameters, moment)
        except (KeyError, ValueError) as problem:
            return _json(documents.error(-32602, "Invalid params", data={"reason": str(problem)}), status=400)
        if has_rows and fault in ROWS:
            result = self._spoiled(result, fault, parameters, moment, rng)
        return await self._sent(_encoded(documents.reply(result, moment)), fault, rng)

    def result(self, method: str, parameters: dict[str, str], moment: datetime) -> Any:
        """What a method answers when nothing goes wrong; `KeyError` for a parameter that it does not know."""
        quotes = self.market.at(moment)
        currency = parameters.get("currency", "")
        if currency and currency not in self.market.currencies:
            raise KeyError(currency)
        if method == "get_book_summary_by_currency":
            return documents.summary(quotes, currency, parameters.get("kind", "option"), moment)
        if method == "get_instruments":
            return documents.instruments(quotes, currency)
        if method == "get_index_price":
            return documents.index_price(quotes, parameters["index_name"])
        if method == "ticker":
            return documents.ticker(quotes, quotes.row_of[parameters["instrument_name"]], moment)
        if method == "get_volatility_index_data":
            return documents.volatility_index(self.market, currency, moment)
        if method == "get_order_book":
            name, depth = parameters["instrument_name"], int(parameters.get("depth", "5"))
            return documents.order_book(self.market, name, depth, moment)
        if method == "get_time":
            return documents.milliseconds(moment)
        raise KeyError(method)

    def _spoiled(
        self, rows: list[Any], fault: Fault, parameters: dict[str, str], moment: datetime, rng: random.Random
    ) -> list[Any]:
        """The rows with the fault in one to five of them."""
        chosen = set(rng.sample(range(len(rows)), min(len(rows), rng.randint(1, 5))))
        if fault is Fault.GAP:
            return [row for at, row in enumerate(rows) if at not in chosen]
        if fault is Fault.DUPLICATE:
            twice = [row for at, row in enumerate(rows) for _ in range(2 if at in chosen else 1)]
            return rng.sample(twice, len(twice))
        old = {
            row["instrument_name"]: row
            for row in self.result("get_book_summary_by_currency", parameters, moment - STALE)
        }
        for at in chosen:
            rows[at] = _spoiled_row(rows[at], fault, old, rng)
        return rows

    async def _sent(self, body: bytes, fault: Fault | None, rng: random.Random) -> Response:
        """The answer, whole or as the fault has it."""
        if fault is Fault.RATE_LIMIT:
            return _rate_limited(rng)
        if fault is Fault.SERVER:
            return Response(
                b"<html>unavailable</html>", status_code=rng.choice((500, 502, 503)), media_type="text/html"
            )
        if fault is Fault.TRUNCATED:
            return Response(body[: rng.randrange(1, len(body) - 1)], media_type="application/json")
        if fault is Fault.DISCONNECT:
            return _Cut(body[: rng.randrange(0, len(body))], length=len(body))
        if fault is Fault.SLOW:
            if rng.random() < 0.5:
                return _Drip(body, self.stall)
            await asyncio.sleep(self.stall)
        return Response(body, media_type="application/json")


class _Cut(Response):
    """A body that ends before its length; the server then ends the connection."""

    def __init__(self, part: bytes, *, length: int) -> None:
        super().__init__(part, headers={"content-length": str(length)}, media_type="application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class _Drip(Response):
    """A body a byte at a time, for so long."""

    def __init__(self, body: bytes, seconds: float) -> None:
        super().__init__(body, media_type="application/json")
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for at in range(20):
            await send({"type": "http.response.body", "body": self.body[at : at + 1], "more_body": True})
            await asyncio.sleep(self._seconds / 20.0)
        await send({"type": "http.response.body", "body": self.body[20:]})


def _spoiled_row(row: dict[str, Any], fault: Fault, old: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    if fault is Fault.STALE:
        return dict(old.get(row["instrument_name"], row))
    if fault is Fault.CROSSED:
        if row["bid_price"] is None or row["ask_price"] is None:
            return row | {"bid_price": row["mark_price"] + 0.0002, "ask_price": row["mark_price"] + 0.0001}
        return row | {"bid_price": row["ask_price"], "ask_price": row["bid_price"]}
    key = rng.choice([name for name in NUMBERS if name in row])
    return row | {key: rng.choice((float("nan"), float("inf"), "NaN", "0.05"))}


def _rate_limited(rng: random.Random) -> Response:
    body = documents.error(10028, "too_many_requests", data={"wait": 1})
    if rng.random() < 0.5:
        return _json(body, status=429, headers={"retry-after": "1"})
    return _json(body, status=400)


def _encoded(body: dict[str, Any]) -> bytes:
    """JSON; NaN and infinities go as the bare words that some venues write."""
    return json.dumps(body).encode()


def _json(body: dict[str, Any], *, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(_encoded(body), status_code=status, headers=headers, media_type="application/json")


@contextmanager
def running(venue: Venue) -> Iterator[str]:
    """Serves the venue from a thread on a free port of 127.0.0.1; gives its base URL."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            venue.app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    limit = time.monotonic() + 20.0
    while not server.started:
        if time.monotonic() > limit or not thread.is_alive():
            raise RuntimeError("the fake venue did not start in 20 s")
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10.0)
        listening.close()
