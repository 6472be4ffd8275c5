"""A collector of Deribit, put together."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from greekdrift.market.collect.clock import Clock, SystemClock
from greekdrift.market.collect.collector import Collector, Report, Snapshots
from greekdrift.market.collect.depth import Depth
from greekdrift.market.collect.manifest import Source
from greekdrift.market.collect.rest import DERIBIT, Client, Limits, checked_url
from greekdrift.market.collect.snapshot import Bounds, RestSnapshots, checked_currencies
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.table import VENUE, Tolerance

if TYPE_CHECKING:
    from greekdrift.market.collect.stream import Patience


class Closing:
    """Snapshots with the client that they call by: closed together."""

    def __init__(self, snapshots: Snapshots, client: Client) -> None:
        self._snapshots = snapshots
        self._client = client

    async def open(self) -> None:
        """Whatever the snapshots need first."""
        await self._snapshots.open()

    async def take(self, *, until: float) -> Batch:
        """A snapshot, or `Refusal`."""
        return await self._snapshots.take(until=until)

    async def close(self) -> None:
        """Gives the connections back."""
        try:
            await self._snapshots.close()
        finally:
            await self._client.close()


def collector(
    folder: Path | str,
    currencies: Sequence[str] = ("BTC", "ETH"),
    *,
    every: timedelta = timedelta(minutes=10),
    base_url: str = DERIBIT,
    clock: Clock | None = None,
    limits: Limits | None = None,
    bounds: Bounds | None = None,
    tolerance: Tolerance | None = None,
    depth: int = 0,
    stream: bool = False,
    patience: "Patience | None" = None,
    transport: httpx.AsyncBaseTransport | None = None,
    report: Report | None = None,
    seed: int = 0,
    verify: bool = False,
) -> Collector:
    """A collector of chains by public calls into a folder; call `run` on it.

    With `stream` the chain is kept up over a websocket, as patiently as `patience` says, and only the listing is called
    for. With `depth` so many levels of each order book are collected after each chain, as far as the cadence allows.
    Another host than the venue's own is said in the manifest and in a column `source`, and has a folder of its own.
    `verify` reads every file of the folder first. `clock` and `transport` stand for this machine's clock and network
    where they are given. `seed` is that of the jitter of retries.
    """
    ticking = clock or SystemClock()
    wanted = checked_currencies(currencies)
    client = Client(base_url, clock=ticking, limits=limits, seed=seed, transport=transport)
    more: Depth | None = None
    snapshots: Snapshots
    if stream:
        from greekdrift.market.collect.streamed import StreamSnapshots  # noqa: PLC0415 - needs the extra `venues`

        snapshots = StreamSnapshots(
            client,
            wanted,
            base_url=base_url,
            clock=ticking,
            depth=depth,
            bounds=bounds,
            tolerance=tolerance,
            patience=patience,
            seed=seed,
        )
    else:
        snapshots = RestSnapshots(client, wanted, clock=ticking, bounds=bounds, tolerance=tolerance)
        more = Depth(client, clock=ticking, deepest=depth) if depth else None
    return Collector(
        Closing(snapshots, client),
        folder,
        every=every,
        clock=ticking,
        more=more,
        report=report,
        source=source(base_url),
        verify=verify,
    )


def source(base_url: str) -> Source:
    """Whose answers come from an address: the venue's, or those of another host such as its test network.

    >>> source("https://test.deribit.com").label
    'deribit at test.deribit.com'
    """
    url, _ = checked_url(base_url)
    return Source(venue=VENUE, host=None if url == DERIBIT else urlsplit(url).netloc.lower())
