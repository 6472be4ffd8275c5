"""A fake venue that runs on this machine, on a clock that the test moves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.venue.clock import SharedClock
from tests.venue.faults import Plan
from tests.venue.market import Market, thinned
from tests.venue.server import Venue, running

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.market.simulate import SimulatedSource

START = datetime(2026, 2, 5, 7, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def simulated() -> Chain:
    source = SimulatedSource(venue=load_venue("deribit"), seed=2, days=1.0, start=START)
    return source.chain(source.snapshots()[0])


@pytest.fixture(scope="session")
def market(simulated: Chain) -> Market:
    return Market(thinned(simulated, expiries=3, strikes=3), seed=2, late=0.03)


@pytest.fixture
def clock(market: Market, tmp_path: Path) -> Iterator[SharedClock]:
    made = SharedClock(tmp_path / "clock", start=market.start, tick=timedelta(0))
    yield made
    made.close()


@pytest.fixture
def venue(market: Market, clock: SharedClock) -> Venue:
    return Venue(market, clock, plan=Plan(seed=1), stall=0.6)


@pytest.fixture
def serve() -> Iterator[Callable[[Venue], str]]:
    """Serves a venue until the end of the test; gives its base URL."""
    with ExitStack() as stack:
        yield lambda venue: stack.enter_context(running(venue))
