"""A collector of Deribit, put together."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import httpx

from greekdrift.market.collect.clock import Clock, SystemClock
from greekdrift.market.collect.collector import Collector, Report
from greekdrift.market.collect.rest import DERIBIT, Client, Limits
from greekdrift.market.collect.snapshot import Bounds, RestSnapshots, checked_currencies
from greekdrift.market.collect.table import Tolerance


class Collection(RestSnapshots):
    """Snapshots by calls, with the client that makes them: closed together."""

    def __init__(
        self,
        client: Client,
        currencies: Sequence[str],
        *,
        clock: Clock,
        bounds: Bounds | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        super().__init__(client, currencies, clock=clock, bounds=bounds, tolerance=tolerance)
        self._client = client

    async def close(self) -> None:
        """Gives the connections back."""
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
    transport: httpx.AsyncBaseTransport | None = None,
    report: Report | None = None,
    seed: int = 0,
) -> Collector:
    """A collector of chains by public calls into a folder; call `run` on it.

    `clock` and `transport` stand for this machine's clock and network where they are given. `seed` is that of the
    jitter of retries.
    """
    ticking = clock or SystemClock()
    wanted = checked_currencies(currencies)
    client = Client(base_url, clock=ticking, limits=limits, seed=seed, transport=transport)
    snapshots = Collection(client, wanted, clock=ticking, bounds=bounds, tolerance=tolerance)
    return Collector(snapshots, folder, every=every, clock=ticking, report=report)
