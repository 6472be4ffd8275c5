"""The stream of the fake venue: JSON-RPC over one websocket, tickers, order books and the volatility index by minute.

Faults of a notice: `duplicate` is sent twice, `out_of_order` after the one that follows it, `gap` is not sent at all,
`stale` is the ticker of twenty minutes ago, `nan` and `crossed` hold such prices, `clock_skew` is stamped two minutes
ahead, `truncated` is half a message, `slow` comes after `stall` seconds, `server` and `disconnect` end the connection;
`rate_limit` answers a subscription with error 10028.
"""

import asyncio
import json
import random
import time
from datetime import datetime, timedelta
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from tests.venue import documents
from tests.venue.clock import SharedClock
from tests.venue.documents import BEATS, beat, notice
from tests.venue.faults import Fault, Plan
from tests.venue.market import MINUTE, Market, Quotes

NOTICES = (
    Fault.DISCONNECT,
    Fault.DUPLICATE,
    Fault.OUT_OF_ORDER,
    Fault.GAP,
    Fault.SERVER,
    Fault.SLOW,
    Fault.TRUNCATED,
    Fault.CLOCK_SKEW,
    Fault.NAN,
    Fault.CROSSED,
)
LOOK = 0.002
"""Real seconds between two looks at the clock."""
MOST_BEHIND = 5
"""Minutes that are streamed one by one when the clock has moved on by more."""
STALE = timedelta(minutes=20)
SKEW_MS = 120_000


class Closed(Exception):  # noqa: N818 - an end, not a failure
    """The connection is over."""


class Session:
    """One connection: what it subscribed, and what it was last told of each order book."""

    def __init__(
        self, socket: WebSocket, market: Market, clock: SharedClock, *, plan: Plan, stall: float, grace: float = 5.0
    ) -> None:
        self._socket = socket
        self._market = market
        self._clock = clock
        self._plan = plan
        self._stall = stall
        self._grace = grace
        self._channels: dict[str, None] = {}
        self._told: dict[str, tuple[Quotes, int]] = {}
        self._heartbeat = timedelta(0)
        self._unanswered_since: float | None = None
        self._held: str | None = None

    async def run(self) -> None:
        """Until either side ends it."""
        await self._socket.accept()
        tasks = [asyncio.ensure_future(one) for one in (self._listen(), self._push())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._socket.application_state is WebSocketState.CONNECTED:
                await self._close(1001)

    async def _listen(self) -> None:
        while True:
            try:
                raw = await self._socket.receive_text()
            except (WebSocketDisconnect, RuntimeError):
                return
            try:
                message = json.loads(raw)
                await self._answer(message["id"], message["method"], message.get("params", {}))
            except (ValueError, KeyError, TypeError):
                await self._send(json.dumps(documents.error(-32600, "Invalid Request")))
            except Closed:
                return

    async def _answer(self, number: Any, method: str, parameters: dict[str, Any]) -> None:
        now = self._clock.now()
        result: Any = "ok"
        if method == "public/set_heartbeat":
            self._heartbeat = timedelta(seconds=float(parameters["interval"]))
        elif method == "public/test":
            self._unanswered_since = None
            result = {"version": "1.2.26"}
        elif method in {"public/subscribe", "public/unsubscribe"}:
            result = list(parameters["channels"])
        else:
            return await self._send(json.dumps(documents.error(-32601, "Method not found", number=number)))
        if method == "public/subscribe":
            fault, _ = self._plan.draw((Fault.RATE_LIMIT,), place="subscribe", minute=f"{now:%d%H%M}")
            if fault is not None:
                refused = documents.error(10028, "too_many_requests", data={"wait": 1}, number=number)
                return await self._send(json.dumps(refused))
        await self._send(json.dumps(documents.reply(result, now, number=number)))
        if method == "public/unsubscribe":
            for channel in result:
                self._channels.pop(channel, None)
                self._told.pop(channel, None)
        elif method == "public/subscribe":
            for channel in result:
                self._channels[channel] = None
                await self._first(channel, now)
        return None

    async def _first(self, channel: str, now: datetime) -> None:
        """What a new subscription is told at once."""
        quotes = self._market.at(now)
        kind, name = channel.split(".")[:2]
        if kind == "book" and name in quotes.row_of:
            moment = max(quotes.minute, self._market.start)
            self._told[channel] = (quotes, beat(quotes.minute))
            await self._send(
                json.dumps(notice(channel, documents.book_snapshot(quotes, name, beat(quotes.minute), moment)))
            )
        elif kind != "book":
            await self._tell(channel, quotes, now)

    async def _push(self) -> None:
        """One round of notices for each minute of the clock."""
        last = self._market.at(self._clock.now()).minute
        try:
            while True:
                now = self._clock.now()
                minute = self._market.at(now).minute
                last = max(last, minute - MOST_BEHIND * MINUTE)
                while last < minute:
                    last += MINUTE
                    await self._round(last, now if last == minute else last)
                self._clock.streamed(now)
                self._check_test()
                await asyncio.sleep(LOOK)
        except Closed:
            return

    async def _round(self, minute: datetime, now: datetime) -> None:
        if self._heartbeat:
            await self._test()
        quotes = self._market.at(minute)
        for channel in list(self._channels):
            kind = channel.split(".")[0]
            if kind == "book":
                await self._changes(channel, quotes)
            else:
                await self._tell(channel, quotes, now)
        await self._release()

    async def _changes(self, channel: str, quotes: Quotes) -> None:
        """The changes of a minute; the first follows whatever was told last."""
        name = channel.split(".")[1]
        for number in range(BEATS):
            before = self._told.get(channel)
            if before is None or name not in quotes.row_of or name not in before[0].row_of:
                return
            after = (quotes, beat(quotes.minute, number))
            if after[1] > before[1]:
                moment = quotes.minute + timedelta(seconds=number)
                self._told[channel] = after
                await self._notice(channel, documents.book_change(before, after, name, moment), quotes.minute)

    async def _tell(self, channel: str, quotes: Quotes, now: datetime) -> None:
        kind, name = channel.split(".")[:2]
        if kind == "ticker" and name in quotes.row_of:
            minute = quotes.minute
            fault, _ = self._plan.draw((Fault.STALE,), place=channel, minute=f"{minute:%d%H%M}")
            moment = now - STALE if fault is Fault.STALE else now
            of = self._market.at(moment)
            if name in of.row_of:
                await self._notice(channel, documents.ticker(of, of.row_of[name], moment), minute)
        elif kind == "deribit_volatility_index":
            await self._notice(channel, documents.volatility_notice(quotes, name, now), quotes.minute)

    async def _notice(self, channel: str, data: dict[str, Any], minute: datetime) -> None:
        possible = [one for one in NOTICES if one is not Fault.CROSSED or "best_bid_price" in data]
        fault, rng = self._plan.draw(possible, place=channel, minute=f"{minute:%d%H%M}")
        if fault in {Fault.NAN, Fault.CROSSED, Fault.CLOCK_SKEW}:
            data = _spoiled(data, fault, rng)
        text = json.dumps(notice(channel, data))
        if fault is Fault.GAP:
            return
        if fault in {Fault.DISCONNECT, Fault.SERVER}:
            await self._close(1011 if fault is Fault.SERVER else 1001)
            raise Closed
        if fault is Fault.SLOW:
            await asyncio.sleep(self._stall)
        if fault is Fault.OUT_OF_ORDER and self._held is None:
            self._held = text
            return
        if fault is Fault.TRUNCATED:
            text = text[: rng.randrange(1, len(text) - 1)]
        for _ in range(2 if fault is Fault.DUPLICATE else 1):
            await self._send(text)
        await self._release()

    async def _release(self) -> None:
        """Sends the notice that was held back."""
        held, self._held = self._held, None
        if held is not None:
            await self._send(held)

    async def _test(self) -> None:
        await self._send(json.dumps({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}))
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()

    def _check_test(self) -> None:
        """A client that leaves a test unanswered for `grace` real seconds is cut off."""
        if self._unanswered_since is not None and time.monotonic() - self._unanswered_since > self._grace:
            raise Closed

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            raise Closed from None

    async def _close(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except (WebSocketDisconnect, RuntimeError):
            return


def _spoiled(data: dict[str, Any], fault: Fault, rng: random.Random) -> dict[str, Any]:
    if fault is Fault.CLOCK_SKEW:
        return data | {"timestamp": data["timestamp"] + SKEW_MS}
    if fault is Fault.CROSSED:
        return data | {"best_bid_price": data["mark_price"] * 1.2, "best_ask_price": data["mark_price"] * 0.8}
    bad = rng.choice((float("nan"), float("inf"), "NaN", -1.0))
    if "bids" in data:
        return data | {"bids": [["new", bad, 5.0], *data["bids"]]}
    return data | {("mark_price" if "mark_price" in data else "volatility"): bad}
