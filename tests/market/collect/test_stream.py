import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from websockets.asyncio.server import ServerConnection, serve

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.market.collect import manifest
from greekdrift.market.collect.clock import SystemClock
from greekdrift.market.collect.collector import Missed
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits
from greekdrift.market.collect.snapshot import Bounds
from greekdrift.market.collect.stream import Patience
from greekdrift.market.collect.table import Tolerance
from greekdrift.market.simulate import SimulatedSource

QUICK = Patience(
    heartbeat=10, silence=0.4, opening=1.0, first_wait=0.01, longest_wait=0.05, first_tickers=2.0, pause=0.0
)


def milliseconds() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def present() -> Chain:
    start = datetime.now(UTC).replace(microsecond=0)
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=1.0, start=start, underlyings=("BTC",))
    return source.chain(source.snapshots()[0])


class Streaming:
    """A websocket of the venue: sends the chain again and again; `also` is called after each round."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.asked: list[tuple[str, Any]] = []
        self.connections = 0
        self.change = 100
        self.also: Callable[[ServerConnection, int], Awaitable[None]] | None = None
        self.refuse = False
        self.answer: Callable[[int, list[str]], list[str] | None] = lambda connection, channels: channels
        """Channels that a subscription takes up on a connection; None leaves it unanswered and unheeded."""

    def ticker(self, name: str) -> dict[str, Any]:
        at = self.chain.row_of[name]
        one = self.chain.instruments[at]
        row: dict[str, Any] = {
            "instrument_name": name,
            "timestamp": milliseconds(),
            "best_bid_price": float(np.nan_to_num(self.chain.bid[at])),
            "best_ask_price": float(np.nan_to_num(self.chain.ask[at])),
            "best_bid_amount": 3.0,
            "best_ask_amount": 4.0,
            "mark_price": float(self.chain.mark[at]),
            "open_interest": 5.0,
            "stats": {"volume": 1.0, "volume_usd": 2.0},
            "index_price": float(self.chain.index[at]),
        }
        if one.is_option:
            return row | {
                "mark_iv": 100.0 * float(self.chain.mark_iv[at]),
                "underlying_price": float(self.chain.forward[at]),
                "underlying_index": "index_price",
            }
        return row | {"current_funding": 0.0, "funding_8h": 1e-5}

    def data(self, channel: str) -> dict[str, Any]:
        kind, name = channel.split(".")[:2]
        if kind == "ticker":
            return self.ticker(name)
        if kind == "book":
            return {
                "type": "snapshot",
                "instrument_name": name,
                "timestamp": milliseconds(),
                "change_id": self.change,
                "bids": [["new", 1.0, 2.0], ["new", 0.5, 1.0]],
                "asks": [["new", 1.5, 2.0]],
            }
        return {"index_name": name, "volatility": 55.0, "timestamp": milliseconds()}

    async def __call__(self, socket: ServerConnection) -> None:
        self.connections += 1
        number = self.connections
        channels: list[str] = []
        sender = asyncio.ensure_future(self.send(socket, channels))
        try:
            async for raw in socket:
                message = json.loads(raw)
                self.asked.append((message["method"], message["params"]))
                is_subscription = message["method"] == "public/subscribe"
                asked = message["params"].get("channels", [])
                new = self.answer(number, asked) if is_subscription else asked
                if new is None:
                    continue
                answer: dict[str, Any] = {"result": new if is_subscription else "ok"}
                answer = {"error": {"code": 10028}} if self.refuse else answer
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}))
                if is_subscription:
                    for channel in [one for one in new if one.startswith("book.")]:
                        self.change += 1
                        await self.notify(socket, channel, self.data(channel))
                    channels += new
                elif message["method"] == "public/unsubscribe":
                    channels[:] = [one for one in channels if one not in message["params"]["channels"]]
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def send(self, socket: ServerConnection, channels: list[str]) -> None:
        number = 0
        while True:
            await asyncio.sleep(0.02)
            if channels:
                for channel in [one for one in channels if not one.startswith("book.")]:
                    await self.notify(socket, channel, self.data(channel))
                number += 1
                if self.also is not None:
                    await self.also(socket, number)

    async def notify(self, socket: ServerConnection, channel: str, data: Any) -> None:
        message = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
        await socket.send(json.dumps(message))


def run(
    streaming: Streaming,
    folder: Path,
    *,
    count: int = 2,
    depth: int = 0,
    every: float = 1.0,
    patience: Patience = QUICK,
    **given: Any,
) -> tuple[Any, list[Any], Any]:
    events: list[Any] = []

    def listing(request: httpx.Request) -> httpx.Response:
        rows = [
            {"instrument_name": one.name, "contract_size": float(size), "tick_size": 0.0001, "is_active": True}
            for one, size in zip(streaming.chain.instruments, streaming.chain.contract_size, strict=True)
        ]
        return httpx.Response(200, json={"result": rows})

    async def go() -> tuple[Any, Any]:
        async with serve(streaming, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            made = collector(
                folder,
                ("BTC",),
                every=timedelta(seconds=every),
                base_url=f"http://127.0.0.1:{port}",
                clock=SystemClock(),
                transport=httpx.MockTransport(listing),
                stream=True,
                depth=depth,
                patience=patience,
                limits=Limits(attempts=2),
                report=lambda what, *rest: events.append(what),
                **given,
            )
            inner = made._snapshots._snapshots  # type: ignore[attr-defined]
            return await made.run(count=count), inner

    tally, inner = asyncio.run(go())
    return tally, events, inner


def test_snapshots_of_the_stream_carry_sizes_and_series(present: Chain, tmp_path: Path) -> None:
    tally, _, _ = run(Streaming(present), tmp_path)
    assert tally.snapshots == 2
    table = pq.read_table(manifest.files(tmp_path)[-1]).to_pandas()
    assert len(table) == len(present)
    assert (table["bid_size"] == 3.0).all()
    assert table["event_time_utc"].max() == table["snapshot_ts_utc"].iloc[0]
    series = pq.read_table(manifest.files(tmp_path, "series")[-1]).to_pandas()
    assert set(series["name"]) == {"index", "current_funding", "funding_8h", "dvol"}


def test_the_first_snapshot_waits_for_every_contract_and_not_for_ever(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    fresh = streaming.ticker
    quiet = {one.name for one in present.instruments[:5]}
    streaming.ticker = lambda one: fresh(one) | ({"mark_price": None} if one in quiet else {})  # type: ignore[method-assign]
    tally, _, _ = run(streaming, tmp_path, count=1)
    assert tally.snapshots == 1
    assert pq.read_table(manifest.files(tmp_path)[0]).num_rows == len(present) - 5
    (line,) = [line.body for line in manifest.Walk(tmp_path / manifest.NAME)]
    assert line["absent"] == 5


def test_a_heartbeat_is_answered(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)

    async def beat(socket: ServerConnection, number: int) -> None:
        await socket.send(json.dumps({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}))

    streaming.also = beat
    run(streaming, tmp_path, count=1)
    methods = [method for method, _ in streaming.asked]
    assert methods[0] == "public/set_heartbeat"
    assert "public/test" in methods


def test_a_gap_in_a_book_is_subscribed_again_and_the_new_snapshot_counts(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)

    async def gap(socket: ServerConnection, number: int) -> None:
        if number == 3:
            data = streaming.data("book.BTC-PERPETUAL.100ms") | {
                "type": "change",
                "change_id": 10_000,
                "prev_change_id": 9_999,
            }
            streaming.change = 20_000
            await streaming.notify(socket, "book.BTC-PERPETUAL.100ms", data)

    streaming.also = gap
    _, _, inner = run(streaming, tmp_path, count=2, depth=5)
    assert inner.feed.counts["resubscribed"] == 1
    assert ("public/unsubscribe", {"channels": ["book.BTC-PERPETUAL.100ms"]}) in streaming.asked
    depth = pq.read_table(manifest.files(tmp_path, "depth")[-1]).to_pandas()
    assert set(depth["instrument_name"]) == {one.name for one in present.instruments}
    assert depth["level"].max() == 1


def test_many_gaps_are_mended_by_few_questions(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    names = [one.name for one in present.instruments][:40]

    async def gaps(socket: ServerConnection, number: int) -> None:
        if number == 3:
            streaming.change = 20_000
            for name in names:
                data = streaming.data(f"book.{name}.100ms") | {"type": "change", "prev_change_id": 1}
                await streaming.notify(socket, f"book.{name}.100ms", data | {"change_id": 10_000})

    streaming.also = gaps
    _, _, inner = run(streaming, tmp_path, count=2, depth=5)
    assert inner.feed.counts["resubscribed"] == 40
    asked = [method for method, _ in streaming.asked if method == "public/unsubscribe"]
    assert 1 <= len(asked) <= 10
    depth = pq.read_table(manifest.files(tmp_path, "depth")[-1])
    assert set(names) <= set(depth["instrument_name"].to_pylist())


def test_a_lost_connection_is_made_again(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)

    async def drop(socket: ServerConnection, number: int) -> None:
        if number == 4:
            socket.transport.abort()

    streaming.also = drop
    tally, _, _ = run(streaming, tmp_path, count=3)
    assert streaming.connections >= 2
    assert tally.snapshots == 3


def test_a_silent_connection_is_made_again(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)

    async def sleep(socket: ServerConnection, number: int) -> None:
        if number == 3 and streaming.connections == 1:
            await asyncio.sleep(60.0)

    streaming.also = sleep
    tally, _, inner = run(streaming, tmp_path, count=3)
    assert inner.feed.counts["silent"] >= 1
    assert tally.snapshots >= 2


def test_heartbeats_alone_are_silence(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    tell = streaming.notify

    async def beat(socket: ServerConnection, channel: str, data: Any) -> None:
        if streaming.connections > 1:
            await tell(socket, channel, data)
        else:
            await socket.send(json.dumps({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}))

    streaming.notify = beat  # type: ignore[method-assign]
    tally, _, inner = run(streaming, tmp_path, count=1, every=3.0)
    assert inner.feed.counts["silent"] >= 1
    assert tally.snapshots == 1


def test_a_subscription_that_stays_unanswered_ends_the_connection(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    streaming.answer = lambda connection, channels: (
        None if connection == 1 and "deribit_volatility_index.btc_usd" in channels else channels
    )
    patience = replace(QUICK, per_subscription=len(present) // 2, silence=30.0)
    tally, _, inner = run(streaming, tmp_path, count=1, every=3.0, patience=patience)
    assert inner.feed.counts["refused"] == 1
    assert tally.snapshots == 1
    assert streaming.connections == 2


def test_channels_that_the_venue_left_out_are_asked_for_again(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    late = [f"ticker.{one.name}.100ms" for one in present.instruments[:7]]
    asked = 0

    def answer(connection: int, channels: list[str]) -> list[str]:
        nonlocal asked
        asked += 1
        return [one for one in channels if asked > 1 or one not in late]

    streaming.answer = answer
    _, _, inner = run(streaming, tmp_path, count=3)
    assert inner.feed.counts["left_out"] == 7
    rows = [pq.read_table(path).num_rows for path in manifest.files(tmp_path)]
    assert (rows[0], rows[-1]) == (len(present) - 7, len(present))


def test_a_refused_connection_that_does_not_stop_talking_is_dropped_at_once(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    refused = 0

    async def flood(socket: ServerConnection, number: int) -> None:
        nonlocal refused
        if number == 1 and streaming.connections == 1:
            refused += 1
            await socket.send(json.dumps({"error": {"code": 1}}))
            while True:
                await streaming.notify(socket, "ticker.BTC-PERPETUAL.100ms", streaming.ticker("BTC-PERPETUAL"))
                await asyncio.sleep(0)

    streaming.also = flood
    patience = replace(QUICK, queue=4, closing=6.0)
    tally, _, _ = run(streaming, tmp_path, count=1, every=3.0, patience=patience)
    assert (refused, tally.snapshots) == (1, 1)


def test_a_book_that_stays_void_and_a_ticker_that_stays_away_are_subscribed_again(
    present: Chain, tmp_path: Path
) -> None:
    streaming = Streaming(present)
    lost, quiet = (f"{kind}.{present.instruments[0].name}.100ms" for kind in ("book", "ticker"))
    asked: list[str] = []
    times: dict[int, Counter[str]] = {}
    tell = streaming.notify

    async def some(socket: ServerConnection, channel: str, data: Any) -> None:
        if channel == lost and asked.count(lost) == 1:
            data = data | {"type": "change", "prev_change_id": 5}
        if channel != quiet or asked.count(quiet) > 1:
            await tell(socket, channel, data)

    def answer(connection: int, channels: list[str]) -> list[str]:
        asked.extend(channels)
        times.setdefault(connection, Counter()).update(channels)
        return channels

    streaming.notify, streaming.answer = some, answer  # type: ignore[method-assign]
    run(streaming, tmp_path, count=4, depth=5)
    assert min(asked.count(lost), asked.count(quiet)) >= 2
    again = {channel for one in times.values() for channel, count in one.items() if count > 1}
    assert again <= {lost, quiet}, "a connection asks again for what it misses, and for nothing else"
    assert len(times) > 1 or again == {lost, quiet}
    assert all(len(one) == 2 * len(present) + 1 for one in times.values())
    tables = [pq.read_table(manifest.files(tmp_path, name)[-1]) for name in ("chain", "depth")]
    assert all(present.instruments[0].name in table["instrument_name"].to_pylist() for table in tables)


def test_a_stream_that_refuses_is_asked_again_with_patience(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    streaming.refuse = True
    tally, events, inner = run(streaming, tmp_path, count=1, every=2.0)
    assert tally.snapshots == 0
    assert events[0].reason == "incomplete"
    assert inner.feed.counts["rate_limit"] >= 2
    assert streaming.connections < 100


def test_contracts_that_fell_silent_are_stale_and_left_out(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    fresh = streaming.ticker
    name = present.instruments[0].name
    first = milliseconds()
    streaming.ticker = lambda one: fresh(one) | ({"timestamp": first - 10_000} if one == name else {})  # type: ignore[method-assign]
    tally, _, _ = run(streaming, tmp_path, count=1, tolerance=Tolerance(oldest=5.0))
    assert tally.rejected == 1
    assert name not in pq.read_table(manifest.files(tmp_path)[0])["instrument_name"].to_pylist()


def test_a_stream_that_stands_still_gives_no_snapshot(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)
    fresh = streaming.ticker
    first = milliseconds()
    streaming.ticker = lambda one: fresh(one) | {"timestamp": first}  # type: ignore[method-assign]
    tally, events, _ = run(streaming, tmp_path, count=4, bounds=Bounds(clock_skew=1.5))
    assert tally.snapshots == 1
    assert {event.reason for event in events if isinstance(event, Missed)} <= {"repeated", "stale"}
    assert "stale" in {event.reason for event in events if isinstance(event, Missed)}


def test_one_ticker_from_the_future_costs_no_snapshot_and_all_of_them_say_clock_skew(
    present: Chain, tmp_path: Path
) -> None:
    streaming = Streaming(present)
    fresh = streaming.ticker
    name = present.instruments[0].name
    streaming.ticker = lambda one: fresh(one) | ({"timestamp": 4_000_000_000_000} if one == name else {})  # type: ignore[method-assign]
    tally, _, _ = run(streaming, tmp_path / "one", count=2)
    assert tally.snapshots == 2
    listing = pq.read_table(manifest.files(tmp_path / "one")[0])["instrument_name"].to_pylist()
    assert name not in listing
    assert len(listing) == len(present) - 1
    streaming.ticker = lambda one: fresh(one) | {"timestamp": 4_000_000_000_000}  # type: ignore[method-assign]
    _, events, _ = run(streaming, tmp_path / "all", count=1)
    assert [event.reason for event in events if isinstance(event, Missed)] == ["clock_skew"]


def test_messages_that_are_none_disturb_nothing(present: Chain, tmp_path: Path) -> None:
    streaming = Streaming(present)

    async def noise(socket: ServerConnection, number: int) -> None:
        for text in ("{", "[]", "5", "null", '{"method": 5}', '{"method": "subscription"}', "[" * 10_000):
            await socket.send(text)
        await streaming.notify(socket, "ticker.BTC-PERPETUAL.100ms", None)
        await streaming.notify(socket, "book.BTC-PERPETUAL.100ms", "x")

    streaming.also = noise
    tally, _, inner = run(streaming, tmp_path, count=2)
    assert tally.snapshots == 2
    assert inner.feed.counts["no_json"] > 0
