"""Chains kept up over the venue's JSON-RPC websocket: tickers of all contracts, and order books where asked for.

One task keeps the connection and feeds a `Mirror`; each due snapshot is what the mirror says then. The connection is
kept by heartbeats, made again with capped exponential back-off and jitter when it is lost, silent or refused, and a
book whose sequence breaks is subscribed again, which brings a new snapshot of it. Messages wait in a bounded queue;
when it is full the venue has to wait.

Source: docs.deribit.com, "JSON-RPC over websocket", public/set_heartbeat, public/subscribe, public/test.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pyarrow as pa
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from greekdrift.errors import InputError, VenueError
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.depth import Level, level_table
from greekdrift.market.collect.mirror import Mirror, Outcome
from greekdrift.market.collect.payload import Quotes
from greekdrift.market.collect.rejects import Reason, Rejects
from greekdrift.market.collect.rest import TOO_MANY_REQUESTS, Calls, Failed, checked_url
from greekdrift.market.collect.snapshot import Bounds, Refusal, RestSnapshots, alive, moment
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.table import Rows, Tolerance, chain_table, checked, series_table

PATH = "/ws/api/v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: heartbeats, silence that ends a connection, back-off, waiting for first and for more tickers; bounds.

    Deribit allows 500 channels a subscription, ten subscriptions at once and three a second: between them is a `pause`.
    """

    heartbeat: int = 30
    silence: float = 75.0
    opening: float = 10.0
    first_wait: float = 0.5
    longest_wait: float = 60.0
    first_tickers: float = 30.0
    settle: float = 0.25
    per_subscription: int = 500
    pause: float = 0.35
    queue: int = 256
    largest_message: int = 8 << 20


class Direct(connect):
    """A connection that follows no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The failure itself."""
        return exc


class Feed:
    """Keeps one connection up and a mirror fed, until cancelled; `channels` may be changed while it runs."""

    def __init__(
        self, base_url: str, mirror: Mirror, *, clock: Clock, patience: Patience | None = None, seed: int = 0
    ) -> None:
        host, self._is_local = checked_url(base_url)
        self._url = host.replace("http", "ws", 1) + PATH
        self._mirror = mirror
        self._clock = clock
        self._patience = patience or Patience()
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._numbers = count(1)
        self._wanted: tuple[str, ...] = ()
        self._subscribed: set[str] = set()
        self._broken: set[str] = set()
        self._changed = asyncio.Event()
        self.is_connected = False
        self._has_news = False
        self.counts: Counter[str] = Counter()
        """Connections made and lost by reason, subscriptions renewed, messages that were no JSON."""

    def want(self, channels: Sequence[str]) -> None:
        """Says which channels are to be subscribed from now on."""
        if tuple(channels) != self._wanted:
            self._wanted = tuple(channels)
            self._changed.set()

    async def run(self) -> None:
        """Connects, and connects again after each loss."""
        failures = 0
        while True:
            try:
                options: dict[str, Any] = {} if not self._is_local else {"proxy": None}
                async with Direct(
                    self._url,
                    open_timeout=self._patience.opening,
                    close_timeout=self._patience.opening,
                    max_size=self._patience.largest_message,
                    max_queue=self._patience.queue,
                    ping_interval=None,
                    **options,
                ) as socket:
                    self.counts["connected"] += 1
                    self.is_connected = True
                    await self._session(socket)
            except TimeoutError:
                self.counts["silent"] += 1
            except (OSError, WebSocketException) as problem:
                self.counts[type(problem).__name__] += 1
            except VenueError:
                self.counts["refused"] += 1
            finally:
                failures = 0 if self._has_news else failures + 1
                self.is_connected = self._has_news = False
                self._subscribed = set()
                self._broken = set()
                self._mirror.void_books()
            longest = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** min(failures, 30))
            await self._clock.sleep(longest * self._random.uniform(0.5, 1.0))

    async def _session(self, socket: ClientConnection) -> None:
        await self._send(socket, "public/set_heartbeat", {"interval": self._patience.heartbeat})
        self._changed.set()
        renewing = asyncio.ensure_future(self._renew(socket))
        try:
            while True:
                async with asyncio.timeout(self._patience.silence):
                    raw = await socket.recv()
                await self._take(socket, raw)
                if renewing.done():
                    renewing.result()
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, socket: ClientConnection) -> None:
        """Subscribes what is wanted, leaves what is not, and subscribes broken books again, whenever that changes."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted, broken = self._wanted, self._broken & self._subscribed
            self._broken = set()
            await self._ask(socket, "public/unsubscribe", sorted((self._subscribed - set(wanted)) | broken))
            new = [one for one in wanted if one not in self._subscribed or one in broken]
            self._subscribed = set(wanted)
            await self._ask(socket, "public/subscribe", new)

    async def _ask(self, socket: ClientConnection, method: str, channels: Sequence[str]) -> None:
        size = self._patience.per_subscription
        for start in range(0, len(channels), size):
            await self._send(socket, method, {"channels": list(channels[start : start + size])})
            await self._clock.sleep(self._patience.pause)

    async def _send(self, socket: ClientConnection, method: str, parameters: dict[str, Any]) -> None:
        text = json.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": parameters})
        await socket.send(text)

    async def _take(self, socket: ClientConnection, raw: str | bytes) -> None:
        """One message: a subscription, a heartbeat, or the answer to something that was asked."""
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.counts["no_json"] += 1
            return
        parameters = message.get("params")
        parameters = parameters if isinstance(parameters, dict) else {}
        if message.get("method") == "heartbeat":
            if parameters.get("type") == "test_request":
                await self._send(socket, "public/test", {})
        elif message.get("method") == "subscription":
            self._has_news = True
            self._notice(parameters.get("channel"), parameters.get("data"))
        elif "error" in message:
            error = message["error"]
            code = error.get("code") if isinstance(error, dict) else None
            if code == TOO_MANY_REQUESTS:
                self.counts["rate_limit"] += 1
            raise VenueError(f"the stream refused what was asked (code {code}); it is connected again.")

    def _notice(self, channel: Any, data: Any) -> None:
        if not isinstance(channel, str):
            self.counts["no_channel"] += 1
        elif channel.startswith("ticker."):
            self._mirror.ticker(data)
        elif channel.startswith("deribit_volatility_index."):
            self._mirror.volatility_index(data)
        elif channel.startswith("book.") and self._mirror.book(data) in {Outcome.GAP, Outcome.REJECTED}:
            self.counts["resubscribed"] += 1
            self._broken.add(channel)
            self._changed.set()


class StreamSnapshots(RestSnapshots):
    """Snapshots of what a stream says; what is listed is asked for by calls.

    With `depth` the snapshot holds so many levels of each order book too. A contract whose last ticker is older than
    the tolerance is stale and left out with that reason.
    """

    def __init__(
        self,
        calls: Calls,
        currencies: Sequence[str],
        *,
        base_url: str,
        clock: Clock,
        depth: int = 0,
        bounds: Bounds | None = None,
        tolerance: Tolerance | None = None,
        patience: Patience | None = None,
        seed: int = 0,
    ) -> None:
        streamed = tolerance or Tolerance(oldest=300.0)
        super().__init__(calls, currencies, clock=clock, bounds=bounds, tolerance=streamed)
        self._patience = patience or Patience()
        self._depth = depth
        self.mirror = Mirror(latest=self._latest)
        self.feed = Feed(base_url, self.mirror, clock=clock, patience=self._patience, seed=seed)
        self._running: asyncio.Task[None] | None = None
        self._names: list[str] = []

    async def open(self) -> None:
        """Starts the connection; what is to be subscribed follows with the first snapshot."""
        self._running = asyncio.create_task(self.feed.run())

    async def close(self) -> None:
        """Ends the connection."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def take(self, *, until: float) -> Batch:
        """What the stream says now, or `Refusal`; the first one waits until the tickers are there."""
        if self._running is not None and self._running.done():
            self._running.result()
        try:
            listings = await self.listings(until=until)
            self._subscribe(alive(listings, as_of=self._clock.now()))
            await self._await_tickers(until)
            return self._snapshot()
        except Failed as problem:
            raise Refusal(problem.reason, str(problem)) from None
        except VenueError as problem:
            raise Refusal("malformed", str(problem)) from None
        except InputError as problem:
            raise Refusal("rejected", str(problem)) from None

    def _latest(self) -> float:
        """The largest stamp (ms) that the venue can mean now, its clock being as far ahead of ours as is borne."""
        return (self._clock.now().timestamp() + self._bounds.clock_skew) * 1000.0

    def _subscribe(self, coin_of: dict[str, str]) -> None:
        self.mirror.list(coin_of)
        names = sorted(coin_of)
        channels = [f"deribit_volatility_index.{coin.lower()}_usd" for coin in self._currencies]
        channels += [f"ticker.{name}.100ms" for name in names]
        if self._depth:
            channels += [f"book.{name}.100ms" for name in names]
        self.feed.want(channels)
        self._names = names

    async def _await_tickers(self, until: float) -> None:
        """Until every contract has a ticker, or enough have one and no more come; refused if that takes too long."""
        now = asyncio.get_running_loop().time
        end, came, count = now() + self._patience.first_tickers, now(), -1
        while not (self._is_ready(len(self._names)) or (self._is_ready(self._enough) and now() > came)):
            if now() >= end or self._clock.monotonic() >= until:
                state = "connected" if self.feed.is_connected else "not connected"
                ahead = self.mirror.take_rejects().counts().get(Reason.AHEAD, 0)
                raise Refusal(
                    "clock_skew" if ahead else "incomplete",
                    f"the stream is {state}; {len(self.mirror.tickers)} of {len(self._names)} contracts have a ticker, "
                    f"{ahead} messages were stamped over {self._bounds.clock_skew:g} s ahead of this machine's clock",
                )
            if len(self.mirror.tickers) != count:
                count, came = len(self.mirror.tickers), now() + self._patience.settle
            await asyncio.sleep(0.02)

    @property
    def _enough(self) -> float:
        return (1.0 - self._tolerance.most_rejected) * len(self._names)

    def _is_ready(self, enough: float) -> bool:
        has_index = all((coin, "index") in self.mirror.series for coin in self._currencies)
        return has_index and len(self.mirror.tickers) >= enough

    def _snapshot(self) -> Batch:
        mirror = self.mirror
        messages, rejects = mirror.take_rejects(), Rejects()
        seen = [mirror.tickers[name] for name in self._names if name in mirror.tickers]
        as_of = moment(max(one.event_ms for one in seen))
        now = self._clock.now()
        ahead = (as_of - now).total_seconds()
        if abs(ahead) > self._bounds.clock_skew:
            raise Refusal(
                "clock_skew" if ahead > 0.0 else "stale",
                f"the last ticker is stamped {as_of.isoformat()}, {abs(ahead):.1f} s "
                f"{'after' if ahead > 0.0 else 'before'} this machine's clock, over {self._bounds.clock_skew:g} s",
            )
        rows = checked(
            _quotes(seen),
            as_of=as_of,
            known_at=max(now, as_of),
            index={coin: mirror.series[coin, "index"][0] for coin in self._currencies},
            contract_size={k: v for one in self._listings.values() for k, v in one.contract_size.items()},
            rejects=rejects,
            tolerance=self._tolerance,
        )
        return self._as_batch(rows, rejects, messages)

    def _as_batch(self, rows: Rows, rejects: Rejects, messages: Rejects) -> Batch:
        """What is written. Rejected rows are counted by contract, rejected messages since the last snapshot apart."""
        series = [
            (coin, name, value, moment(event_ms))
            for (coin, name), (value, event_ms) in sorted(self.mirror.series.items())
            if (rows.as_of - moment(event_ms)).total_seconds() <= self._tolerance.oldest
        ]
        known_at = max(rows.known_at, *(one[-1] for one in series))
        tables: dict[str, pa.Table] = {
            "chain": chain_table(replace(rows, known_at=known_at)),
            "series": series_table(series, known_at=known_at),
        }
        levels = self._levels(rows)
        if levels:
            tables["depth"] = level_table(levels, as_of=rows.as_of, known_at=known_at)
        return Batch(
            key="chain",
            as_of=rows.as_of,
            known_at=known_at,
            tables=tables,
            facts={
                "underlyings": rows.underlyings,
                "rejected": rejects.counts(),
                "rejected_messages": messages.counts(),
                "missing": [],
                "absent": len(self._names) - len(self.mirror.tickers),
                "void_books": sum(book.change_id is None for book in self.mirror.books.values()),
            },
            details={
                "examples": rejects.examples + messages.examples,
                "messages": dict(sorted(self.mirror.outcomes.items())),
                "connection": dict(sorted(self.feed.counts.items())),
            },
        )

    def _levels(self, rows: Rows) -> list[Level]:
        """The nearest levels of the books that are in sequence and not stale."""
        found: list[Level] = []
        for name, book in sorted(self.mirror.books.items()):
            age = (rows.as_of - moment(book.event_ms)).total_seconds()
            if book.change_id is None or not -self._tolerance.newest <= age <= self._tolerance.oldest:
                continue
            for side, levels in zip(("bid", "ask"), book.best(self._depth), strict=True):
                found += [
                    (name, float(book.event_ms), side, number, price, size)
                    for number, (price, size) in enumerate(levels)
                ]
        return found


def _quotes(seen: Sequence[Any]) -> Quotes:
    return Quotes(
        instruments=[one.instrument for one in seen],
        forward_names=[one.forward_name for one in seen],
        rows=[one.numbers for one in seen],
    )
