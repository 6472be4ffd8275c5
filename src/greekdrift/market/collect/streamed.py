"""Chains of the venue's stream: tickers of all contracts, and order books where asked for, as of each due instant.

One task keeps the connection (`stream.Feed`) and feeds a `Mirror`; a snapshot is what the mirror says then. A contract
or book that told nothing for two snapshots is subscribed again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from greekdrift.errors import InputError, VenueError
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.depth import Level, level_table
from greekdrift.market.collect.mirror import Mirror
from greekdrift.market.collect.payload import Quotes
from greekdrift.market.collect.rejects import Reason, Rejects
from greekdrift.market.collect.rest import Calls, Failed
from greekdrift.market.collect.snapshot import Bounds, Refusal, RestSnapshots, alive, moment
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.stream import Feed, Patience
from greekdrift.market.collect.table import Rows, Tolerance, chain_table, checked, series_table


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
        self._silent: set[str] = set()

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
        """What the stream says now, or `Refusal`; waits a while for tickers that are not there yet, or not any more."""
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
        """Until every contract has a ticker, or enough have one and no more come, and the last is of now.

        Refused if that takes too long.
        """
        now = asyncio.get_running_loop().time
        end, came, count = now() + self._patience.first_tickers, now(), -1
        while not (self._is_ready(len(self._names)) or (self._is_ready(self._enough) and now() > came)):
            if now() >= end or self._clock.monotonic() >= until:
                raise self._not_ready()
            if len(self.mirror.tickers) != count:
                count, came = len(self.mirror.tickers), now() + self._patience.settle
            await asyncio.sleep(0.02)

    def _not_ready(self) -> Refusal:
        state = "connected" if self.feed.is_connected else "not connected"
        if self._has(self._enough):
            return Refusal("stale", f"the stream is {state}; {self._age()}")
        ahead = self.mirror.take_rejects().counts().get(Reason.AHEAD, 0)
        return Refusal(
            "clock_skew" if ahead else "incomplete",
            f"the stream is {state}; {len(self.mirror.tickers)} of {len(self._names)} contracts have a ticker, "
            f"{ahead} messages were stamped over {self._bounds.clock_skew:g} s ahead of this machine's clock",
        )

    @property
    def _enough(self) -> float:
        return (1.0 - self._tolerance.most_rejected) * len(self._names)

    def _is_ready(self, enough: float) -> bool:
        return self._has(enough) and self._ahead() >= -self._bounds.clock_skew

    def _has(self, enough: float) -> bool:
        has_index = all((coin, "index") in self.mirror.series for coin in self._currencies)
        return has_index and len(self.mirror.tickers) >= max(enough, 1.0)

    def _last(self) -> int:
        """Stamp (ms) of the latest ticker."""
        return max(one.event_ms for one in self.mirror.tickers.values())

    def _ahead(self) -> float:
        """Seconds that the latest ticker is ahead of this machine's clock."""
        return (moment(self._last()) - self._clock.now()).total_seconds()

    def _age(self) -> str:
        ahead = self._ahead()
        return (
            f"the last ticker is stamped {moment(self._last()).isoformat()}, {abs(ahead):.1f} s "
            f"{'after' if ahead > 0.0 else 'before'} this machine's clock, over {self._bounds.clock_skew:g} s"
        )

    def _renew_silent(self) -> None:
        """Subscribes again what is stale, void or absent now and was so at the last snapshot."""
        oldest = self._last() - 1000.0 * self._tolerance.oldest
        seen, books = self.mirror.tickers, self.mirror.books
        silent = {
            f"ticker.{name}.100ms" for name in self._names if name not in seen or seen[name].event_ms < oldest
        } | {f"book.{name}.100ms" for name, book in books.items() if book.change_id is None}
        self.feed.renew(silent & self._silent)
        self._silent = silent

    def _snapshot(self) -> Batch:
        mirror = self.mirror
        self._renew_silent()
        messages, rejects = mirror.take_rejects(), Rejects()
        seen = [mirror.tickers[name] for name in self._names if name in mirror.tickers]
        as_of, now = moment(self._last()), self._clock.now()
        if self._ahead() > self._bounds.clock_skew:
            raise Refusal("clock_skew", self._age())
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
