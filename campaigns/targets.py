"""What reads inputs from outside, each as a function of a mutated input: it takes it whole, or refuses it by name.

A target answers "taken", "refused" (with a typed error) or "part" (rows set aside and counted); anything else that it
raises, a partial file, a number that is none, is a `Defect`.
"""

import asyncio
import contextlib
import io
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from campaigns.collect import market_of
from campaigns.tries import Defect, Try, chain_of, check_chain, struck
from tests.venue import documents
from tests.venue.clock import SharedClock, micros
from tests.venue.market import Market
from tests.venue.server import Venue
from websockets.asyncio.server import ServerConnection, serve

from campaigns import documents as described
from campaigns import mutations, readers
from greekdrift.book import Chain
from greekdrift.cli import importing
from greekdrift.config import load_venue
from greekdrift.errors import GreekdriftError
from greekdrift.market.collect.depth import Depth
from greekdrift.market.collect.mirror import Mirror
from greekdrift.market.collect.rest import Client, Limits, Reply
from greekdrift.market.collect.snapshot import Refusal, RestSnapshots
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.stream import Feed, Patience
from greekdrift.market.parquet import ParquetSource, read_chain, write_chain
from greekdrift.market.tardis import COLUMNS
from greekdrift.units import stamp

HOST = "http://127.0.0.1:9"


class OneStruck:
    """Answers calls at once and soundly, but for one among the first so many (0: none).

    Its mutated body goes through the client of the collector.
    """

    def __init__(self, venue: Venue, clock: SharedClock, rng: random.Random, *, among: int = 12) -> None:
        self._venue = venue
        self._clock = clock
        self._rng = rng
        self._until_struck = rng.randrange(among) if among else -1

    async def call(self, method: str, parameters: Mapping[str, Any], *, until: float) -> Reply:
        """The reply; the struck one as far as the client lets it through."""
        now = self._clock.now()
        named = {name: str(value) for name, value in parameters.items()}
        result = self._venue.result(method.removeprefix("public/"), named, now)
        self._until_struck -= 1
        if self._until_struck != -1:
            return Reply(method=method, result=result, sent_at=now, received_at=now, venue_time=now)
        status = self._rng.choice((400, 429, 500)) if self._rng.random() < 0.05 else 200
        body = mutations.document(documents.reply(result, now), self._rng)
        transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
        client = Client(HOST, clock=self._clock, limits=Limits(attempts=1), transport=transport)
        try:
            return await client.call(method, parameters, until=until)
        finally:
            await client.close()


@contextmanager
def replies(folder: Path, seed: int) -> Iterator[Try]:
    """A whole snapshot by calls, one answer of which is mutated."""
    market = market_of(seed)
    clock = SharedClock(folder / "clock", start=market.start)
    venue = Venue(market, clock)

    async def taken(rng: random.Random) -> str:
        calls = OneStruck(venue, clock, rng)
        try:
            batch = await RestSnapshots(calls, market.currencies, clock=clock).take(until=clock.monotonic() + 1.0)
        except Refusal:
            return "refused"
        _check_batch(batch.tables)
        return "part" if batch.facts["rejected"] or batch.facts["missing"] else "taken"

    with asyncio.Runner() as runner:
        yield lambda rng: runner.run(taken(rng))


@contextmanager
def books(folder: Path, seed: int) -> Iterator[Try]:
    """Order books after a snapshot, one of which is mutated."""
    market = market_of(seed)
    clock = SharedClock(folder / "clock", start=market.start)
    venue = Venue(market, clock)
    sound = OneStruck(venue, clock, random.Random(0), among=0)

    async def taken(rng: random.Random, batch: Batch) -> str:
        calls = OneStruck(venue, clock, rng, among=4)
        chain = batch.tables["chain"].slice(0, 4)
        part = replace(batch, tables={"chain": chain})
        try:
            found = await Depth(calls, clock=clock, deepest=5).take(part, until=clock.monotonic() + 1.0)
        except Refusal:
            return "refused"
        if found is None:
            return "refused"
        for name in ("price", "size"):
            column = found.tables["depth"][name].to_numpy()
            if not np.all((column > 0.0) & np.isfinite(column)):
                raise Defect(f"a {name} of an order book is no positive number")
        return "part" if found.facts["failed"] else "taken"

    with asyncio.Runner() as runner:
        whole = runner.run(RestSnapshots(sound, market.currencies, clock=clock).take(until=clock.monotonic() + 1.0))
        yield lambda rng: runner.run(taken(rng, whole))


def _check_batch(tables: Mapping[str, pa.Table]) -> None:
    """What a snapshot may hold: sound numbers, quotes that are not crossed, each contract once."""
    chain = tables["chain"]
    number = {name: chain[name].to_numpy() for name in chain.column_names if pa.types.is_floating(chain[name].type)}
    for name, column in number.items():
        if np.any(np.isinf(column)):
            raise Defect(f"{name} holds an infinity")
        if name.endswith(("_coin", "_usd", "_iv", "_size")) and np.any(column < 0.0):
            raise Defect(f"{name} is negative")
    for unit in ("coin", "usd"):
        if np.any(number[f"bid_price_{unit}"] > number[f"ask_price_{unit}"]):
            raise Defect("a bid above its ask was taken")
    if not np.all(number["forward_price_usd"] > 0.0):
        raise Defect("a forward that is no positive number was taken")
    names = chain["instrument_name"].to_pylist()
    if len(set(names)) != len(names):
        raise Defect("a contract was taken twice")
    if not np.all(np.isfinite(tables["series"]["value"].to_numpy())):
        raise Defect("a series holds no number")


class Stream:
    """Messages of a stream, mutated, sent over a websocket to the feed of the collector."""

    def __init__(self, market: Market, clock: SharedClock) -> None:
        quotes = market.at(clock.now())
        moment = quotes.minute
        first = documents.beat(moment)
        self.coin_of = {one.name: one.underlying for one in quotes.instruments}
        name = "BTC-PERPETUAL"
        self._made = [
            documents.notice(f"ticker.{one.name}.100ms", documents.ticker(quotes, at, moment))
            for at, one in enumerate(quotes.instruments[:6])
        ]
        self._made += [
            documents.notice(f"book.{name}.100ms", documents.book_snapshot(quotes, name, first, moment)),
            documents.notice(
                f"book.{name}.100ms",
                documents.book_change((quotes, first), (quotes, first + 1), name, moment + timedelta(seconds=1)),
            ),
            documents.notice(
                "deribit_volatility_index.btc_usd", documents.volatility_notice(quotes, "btc_usd", moment)
            ),
            {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
            documents.reply(["ticker.BTC-PERPETUAL.100ms"], moment, number=1),
            documents.error(10028, "too_many_requests", number=2),
        ]

    def message(self, rng: random.Random) -> bytes:
        """One of them, mutated."""
        return mutations.document(rng.choice(self._made), rng)


@contextmanager
def stream(folder: Path, seed: int) -> Iterator[Try]:
    """Two hundred mutated messages a try over one connection; afterwards the feed lives and holds nothing strange."""
    market = market_of(seed)
    clock = SharedClock(folder / "clock", start=market.start)
    source = Stream(market, clock)

    async def attempted(rng: random.Random) -> str:
        mirror = Mirror()
        mirror.list(source.coin_of)
        async with _sending(source, rng) as (url, finished):
            feed = Feed(url, mirror, clock=clock, patience=Patience(first_wait=0.001, longest_wait=0.002))
            running = asyncio.create_task(feed.run())
            try:
                async with asyncio.timeout(30.0):
                    await asyncio.wait((running, asyncio.create_task(finished.wait())), return_when="FIRST_COMPLETED")
                if running.done():
                    raise Defect(f"the feed ended: {running.exception()!r}")
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        _check_mirror(mirror, source.coin_of)
        return "part" if mirror.rejects.total or feed.counts["no_json"] else "taken"

    yield lambda rng: asyncio.run(attempted(rng))


MESSAGES = 200
"""Messages that one try of the stream sends."""


@asynccontextmanager
async def _sending(source: Stream, rng: random.Random) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that sends the messages to whoever connects, goes on where it was cut off, and says when it is done."""
    finished = asyncio.Event()
    left = [MESSAGES]

    async def send(socket: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while left[0] > 0:
                left[0] -= 1
                data = source.message(rng)
                await socket.send(data.decode("utf-8", errors="replace") if rng.random() < 0.9 else data)
            await (await socket.ping())
            finished.set()
            await socket.wait_closed()
        if left[0] <= 0:
            finished.set()

    async with serve(send, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}", finished


def _check_mirror(mirror: Mirror, listed: Mapping[str, str]) -> None:
    if not set(mirror.tickers) | set(mirror.books) <= set(listed):
        raise Defect("a contract that is not listed is kept")
    for book in mirror.books.values():
        for price, size in (*book.bids.items(), *book.asks.items()):
            if not (0.0 < price < np.inf and 0.0 < size < np.inf):
                raise Defect(f"an order book holds {price} × {size}")
    for value, _ in mirror.series.values():
        if not np.isfinite(value):
            raise Defect("a series holds no number")
    for seen in mirror.tickers.values():
        if any(np.isinf(value) for value in seen.numbers):
            raise Defect("a ticker holds an infinity")


@contextmanager
def parquet(folder: Path, seed: int) -> Iterator[Try]:
    """A chain file whose bytes were changed."""
    whole = write_chain(chain_of(seed), folder / "whole.parquet").read_bytes()
    path = folder / "mutated.parquet"
    venue = load_venue("deribit")

    def attempt(rng: random.Random) -> str:
        path.write_bytes(struck(whole, rng))
        try:
            chain = read_chain(path, venue=venue)
        except GreekdriftError:
            return "refused"
        check_chain(chain)
        return "taken"

    yield attempt


@contextmanager
def table(folder: Path, seed: int) -> Iterator[Try]:
    """A chain file of text whose cells, lines or bytes were changed, read and imported."""
    whole = write_chain(chain_of(seed), folder / "whole.csv").read_text()
    path, out = folder / "mutated.csv", folder / "out.parquet"
    venue = load_venue("deribit")

    def attempt(rng: random.Random) -> str:
        path.write_bytes(mutations.lines(whole, rng))
        with contextlib.suppress(GreekdriftError):
            check_chain(read_chain(path, venue=venue))
        return _imported(path, out)

    yield attempt


@contextmanager
def foreign(folder: Path, seed: int) -> Iterator[Try]:
    """Tables in the words of others, as `data import` infers them: plain, calls beside puts, and as people print."""
    wholes = _tables(chain_of(seed))
    path, out = folder / "mutated.csv", folder / "out.parquet"

    def attempt(rng: random.Random) -> str:
        path.write_bytes(mutations.lines(rng.choice(wholes), rng))
        return _imported(path, out)

    yield attempt


def _tables(chain: Chain) -> tuple[str, ...]:
    """The options of a chain as three tables of text."""
    rows = [
        (at, one, one.expiry) for at, one in enumerate(chain.instruments) if one.is_option and one.expiry is not None
    ]
    plain = [
        f"{stamp(chain.as_of)},{one.underlying},{stamp(expiry)},{one.strike:g},{'call' if one.is_call else 'put'},"
        f"{chain.bid[at]},{chain.ask[at]},{chain.mark[at]},{100.0 * chain.mark_iv[at]:.2f},{chain.forward[at]},"
        f"{chain.index[at]}"
        for at, one, expiry in rows
    ]
    sides: dict[tuple[Any, ...], dict[bool, int]] = {}
    for at, one, expiry in rows:
        sides.setdefault((one.underlying, expiry, one.strike), {})[bool(one.is_call)] = at
    wide = [
        f"{chain.as_of:%Y-%m-%d},{chain.as_of:%H:%M},{name},{expiry:%d-%b-%Y},{strike:g},{chain.bid[of[True]]},"
        f"{chain.ask[of[True]]},{chain.mark_iv[of[True]]:.4f},{chain.bid[of[False]]},{chain.ask[of[False]]},"
        f"{chain.mark_iv[of[False]]:.4f},{chain.index[of[True]]}"
        for (name, expiry, strike), of in sides.items()
        if len(of) == 2
    ]
    printed = [
        f'{chain.as_of:%d.%m.%Y %H:%M},{one.name},"{chain.bid[at]:.5f}","{100.0 * chain.mark_iv[at]:.1f}%",'
        f'"${chain.forward[at]:.2f}"'
        for at, one, _ in rows
    ]
    heads = (
        "time,underlying,expiry,strike,type,bid,ask,mark,iv,forward,spot",
        "quote_date,quote_time,underlying,expire_date,strike,C_BID,C_ASK,C_IV,P_BID,P_ASK,P_IV,spot",
        "Timestamp,Symbol,Bid,IV,Forward",
    )
    return tuple(
        "\n".join((head, *lines)).replace("nan", "") for head, lines in zip(heads, (plain, wide, printed), strict=True)
    )


@contextmanager
def ticks(folder: Path, seed: int) -> Iterator[Try]:
    """Recorded ticks of an options market."""
    market = market_of(seed)
    rows = [",".join(COLUMNS)]
    for number in range(12):
        quotes = market.at(market.start + timedelta(minutes=number))
        for at, one in enumerate(quotes.instruments):
            if not one.is_option or one.expiry is None:
                continue
            at_us = micros(quotes.minute) + 1000 * at
            cells: dict[str, Any] = {
                "exchange": "deribit",
                "symbol": one.name,
                "timestamp": at_us,
                "local_timestamp": at_us + 500,
                "type": "call" if one.is_call else "put",
                "strike_price": one.strike,
                "expiration": micros(one.expiry),
                "open_interest": 5.0,
                "bid_price": quotes.bid[at],
                "ask_price": quotes.ask[at],
                "mark_price": quotes.mark[at],
                "mark_iv": round(100.0 * quotes.mark_iv[at], 2),
                "underlying_price": quotes.forward[at],
            }
            rows.append(",".join("" if (value := cells.get(name, "")) != value else str(value) for name in COLUMNS))
    whole = "\n".join(rows)
    path, out = folder / "mutated.csv", folder / "out.parquet"

    def attempt(rng: random.Random) -> str:
        path.write_bytes(mutations.lines(whole, rng))
        return _imported(path, out, every="5m")

    yield attempt


def _imported(path: Path, out: Path, **options: Any) -> str:
    """Imports a file; what is there afterwards is whole, or nothing is."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            importing.command([path], out=out, force=True, **options)
    except GreekdriftError:
        left = [one.name for one in out.parent.iterdir() if one.name.startswith((".out", "out"))]
        if left:
            raise Defect(f"a refused import left {left}") from None
        return "refused"
    try:
        source = ParquetSource(str(out), venue=load_venue("deribit"))
        for moment in source.snapshots()[:3]:
            check_chain(source.chain(moment))
    except GreekdriftError as problem:
        raise Defect(f"what was imported cannot be read: {problem}") from None
    finally:
        out.unlink()
    return "taken"


TARGETS: Mapping[str, tuple[Callable[[Path, int], Any], int, int]] = {
    "replies": (replies, 18_000, 1),
    "books": (books, 2_000, 1),
    "stream": (stream, 80, MESSAGES),
    "parquet": (parquet, 8_000, 1),
    "table": (table, 2_500, 1),
    "foreign": (foreign, 3_000, 1),
    "ticks": (ticks, 2_500, 1),
    "validate": (readers.validation, 2_000, 1),
    "series": (readers.series, 3_000, 1),
    "okx": (readers.exchange, 3_000, 1),
    "holdings": (described.holdings, 4_000, 1),
    "facts": (described.facts, 4_000, 1),
}
"""Each target, how many tries the campaign makes, and how many inputs a try is."""
