"""The collector on the fake venue: what a user sees of what the venue does."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.venue.clock import SharedClock
from tests.venue.faults import Fault
from tests.venue.market import Market
from tests.venue.server import Venue

from greekdrift.market.collect.collector import Missed
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits

MINUTE = timedelta(minutes=1)


def collected(url: str, clock: SharedClock, folder: Path, count: int, **given: Any) -> tuple[Any, list[Any]]:
    events: list[Any] = []

    async def go() -> Any:
        made = collector(
            folder,
            every=MINUTE,
            base_url=url,
            clock=clock,
            limits=Limits(timeout=2.0),
            report=lambda what, *rest: events.append(what),
            **given,
        )
        return await made.run(count=count)

    return asyncio.run(go()), events


@pytest.mark.parametrize("fault", [Fault.DISCONNECT, Fault.SERVER])
def test_a_stream_whose_connection_is_lost_again_and_again_is_never_stale(
    venue: Venue, market: Market, serve: Callable[[Venue], str], tmp_path: Path, fault: Fault
) -> None:
    clock = SharedClock(tmp_path / "clock", patience=0.3, settle=0.02)
    for channel in (one.name for one in market.at(market.start).instruments[:12]):
        venue.plan.force(fault, where=f"ticker.{channel}.")
    tally, events = collected(serve(venue), clock, tmp_path / "chains", 12, stream=True)
    refused = Counter(event.reason for event in events if isinstance(event, Missed))
    clock.close()
    assert venue.plan.fired[fault] == 12
    assert not refused
    assert tally.snapshots == 12
