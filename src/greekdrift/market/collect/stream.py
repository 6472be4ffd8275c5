"""The venue's JSON-RPC websocket, kept up: what is subscribed feeds a `Mirror` for as long as the task runs.

The connection is kept by heartbeats and made again with capped exponential back-off and jitter when it is lost,
refused, leaves a subscription unanswered, or tells nothing new for a while: heartbeats alone, or the same tickers over
again, are silence. Channels that the venue left out of its answer are asked for again; a book whose sequence breaks is
subscribed again, which brings a new snapshot of it. Messages wait in a bounded queue; when it is full the venue has to
wait.

Source: docs.deribit.com, "JSON-RPC over websocket", public/set_heartbeat, public/subscribe, public/test.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from greekdrift.errors import VenueError
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.mirror import Mirror, Outcome
from greekdrift.market.collect.rest import TOO_MANY_REQUESTS, checked_url

PATH = "/ws/api/v2"
SUBSCRIBE = "public/subscribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: heartbeats, silence that ends a connection, back-off, waiting for first and for more tickers; bounds.

    `opening` is how long a connection or the answer to a subscription may take, `closing` how long a lost connection is
    waited for before it is dropped.
    Deribit allows 500 channels a subscription, ten subscriptions at once and three a second: between them is a `pause`.
    """

    heartbeat: int = 30
    silence: float = 75.0
    opening: float = 10.0
    closing: float = 1.0
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
        self._unanswered: dict[int, tuple[float, tuple[str, ...]]] = {}
        self._changed = asyncio.Event()
        self.is_connected = False
        self._has_news = False
        self.counts: Counter[str] = Counter()
        """Connections made and lost by reason, channels subscribed again or left out, messages that were no JSON."""

    def want(self, channels: Sequence[str]) -> None:
        """Says which channels are to be subscribed from now on; those that are not yet are asked for."""
        self._wanted = tuple(channels)
        if set(channels) != self._subscribed:
            self._changed.set()

    def renew(self, channels: Iterable[str]) -> None:
        """Subscribes channels again that are but tell nothing; the venue then says how things stand."""
        silent = self._subscribed.intersection(channels)
        if silent:
            self.counts["resubscribed"] += len(silent)
            self._broken |= silent
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
                    close_timeout=self._patience.closing,
                    max_size=self._patience.largest_message,
                    max_queue=self._patience.queue,
                    ping_interval=None,
                    **options,
                ) as socket:
                    self.counts["connected"] += 1
                    self.is_connected = True
                    await self._served(socket)
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
                self._unanswered = {}
                self._mirror.void_books()
            longest = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** min(failures, 30))
            await self._clock.sleep(longest * self._random.uniform(0.5, 1.0))

    async def _served(self, socket: ClientConnection) -> None:
        """One connection; one that is no good is dropped without a farewell, which a full queue would keep waiting."""
        try:
            await self._session(socket)
        except (TimeoutError, VenueError):
            socket.transport.abort()
            raise

    async def _session(self, socket: ClientConnection) -> None:
        await self._send(socket, "public/set_heartbeat", {"interval": self._patience.heartbeat})
        self._changed.set()
        renewing = asyncio.ensure_future(self._renew(socket))
        now, silence = asyncio.get_running_loop().time, self._patience.silence
        try:
            async with asyncio.timeout(silence) as until:
                while True:
                    if await self._take(socket, await socket.recv()):
                        self._has_news = True
                        until.reschedule(now() + silence)
                    self._check_answers(now())
                    if renewing.done():
                        renewing.result()
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _check_answers(self, now: float) -> None:
        """A subscription that stays without an answer was lost: nobody would tell what it was for."""
        if self._unanswered and now - next(iter(self._unanswered.values()))[0] > self._patience.opening:
            raise VenueError("the stream left a subscription unanswered; it is connected again.")

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
            await self._ask(socket, SUBSCRIBE, new)

    async def _ask(self, socket: ClientConnection, method: str, channels: Sequence[str]) -> None:
        size, now = self._patience.per_subscription, asyncio.get_running_loop().time
        for start in range(0, len(channels), size):
            some, number = channels[start : start + size], next(self._numbers)
            if method == SUBSCRIBE:
                self._unanswered[number] = (now(), tuple(some))
            await self._send(socket, method, {"channels": list(some)}, number=number)
            await self._clock.sleep(self._patience.pause)

    async def _send(
        self, socket: ClientConnection, method: str, parameters: dict[str, Any], *, number: int | None = None
    ) -> None:
        asked = next(self._numbers) if number is None else number
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": asked, "method": method, "params": parameters}))

    async def _take(self, socket: ClientConnection, raw: str | bytes) -> bool:
        """One message: a notice, a heartbeat, or the answer to something that was asked; whether it told news."""
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.counts["no_json"] += 1
            return False
        parameters = message.get("params")
        parameters = parameters if isinstance(parameters, dict) else {}
        if message.get("method") == "heartbeat":
            if parameters.get("type") == "test_request":
                await self._send(socket, "public/test", {})
        elif message.get("method") == "subscription":
            return self._notice(parameters.get("channel"), parameters.get("data"))
        elif "error" in message:
            error = message["error"]
            code = error.get("code") if isinstance(error, dict) else None
            if code == TOO_MANY_REQUESTS:
                self.counts["rate_limit"] += 1
            raise VenueError(f"the stream refused what was asked (code {code}); it is connected again.")
        else:
            self._answered(message.get("id"), message.get("result"))
        return False

    def _answered(self, number: Any, result: Any) -> None:
        """Channels that the venue did not take up are not subscribed; the next `want` asks for them again."""
        _, asked = self._unanswered.pop(number, (0.0, ())) if isinstance(number, int) else (0.0, ())
        if isinstance(result, list):
            left_out = set(asked).difference(one for one in result if isinstance(one, str))
            self._subscribed -= left_out
            self.counts["left_out"] += len(left_out)

    def _notice(self, channel: Any, data: Any) -> bool:
        """A message of a channel; whether it told something that was not known."""
        if not isinstance(channel, str):
            self.counts["no_channel"] += 1
            return False
        if channel.startswith("ticker."):
            return self._mirror.ticker(data) is Outcome.APPLIED
        if channel.startswith("deribit_volatility_index."):
            return self._mirror.volatility_index(data) is Outcome.APPLIED
        found = self._mirror.book(data) if channel.startswith("book.") else Outcome.UNKNOWN
        if found in {Outcome.GAP, Outcome.REJECTED}:
            self.counts["resubscribed"] += 1
            self._broken.add(channel)
            self._changed.set()
        return found is Outcome.APPLIED
