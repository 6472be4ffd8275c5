"""How long one snapshot takes from its bytes to a fitted surface, and that nothing is kept of it."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits

EXPIRIES = (2.0, 9.0, 16.0, 30.0, 58.0, 93.0, 149.0, 184.0, 275.0, 365.0)


@pytest.fixture(scope="module")
def thousand(make_chain: Callable[..., Chain]) -> Chain:
    chain = make_chain(days=EXPIRIES, moneyness=tuple(np.exp(np.linspace(-0.6, 0.6, 50)).round(3)))
    chain = chain.take(~chain.is_spot)
    assert chain.is_option.sum() == 1000
    return chain


@pytest.fixture(scope="module")
def collected() -> Iterator[Any]:
    """The benchmark's page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("benchmarks")
        yield import_module("collected")


def test_a_thousand_contracts_are_parsed_checked_priced_and_fitted_in_sixty_milliseconds(
    thousand: Chain, collected: Any
) -> None:
    ways = collected.ways(thousand)
    assert len(ways["parsed"]().rows) == len(ways["checked"]().instruments) == 1000
    best = float("inf")
    for _ in range(25):
        start = time.process_time()  # of all threads, so that neither they nor a busy machine change the answer
        made, surface = ways["together"]()
        best = min(best, time.process_time() - start)
    assert made.num_rows == 1000
    assert len(surface.slices) == len(EXPIRIES)
    assert best < 0.060


def test_the_folder_of_a_month_is_made_and_opened(collected: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(collected, "MINUTES_A_DAY", 20)
    collected.month(tmp_path, days=2)
    batches, read, seconds = collected.opened(tmp_path)
    assert (batches, read) == (40, 80)
    assert seconds > 0.0


def test_memory_stays_flat_over_many_snapshots(venue: Any, clock: Any, tmp_path: Path) -> None:
    resident: list[int] = []
    objects: list[int] = []
    taken = 0

    def note(*_: Any) -> None:
        nonlocal taken
        taken += 1
        venue.calls.clear()
        clock.slept.clear()
        if taken in {10, 40}:
            gc.collect()
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]))
            objects.append(len(gc.get_objects()))

    async def go() -> None:
        made = collector(
            tmp_path,
            clock=clock,
            base_url="http://127.0.0.1",
            transport=httpx.MockTransport(venue),
            every=timedelta(minutes=1),
            limits=Limits(per_second=1e6),
            report=note,
        )
        await made.run(count=40)

    asyncio.run(go())
    assert resident[1] < 1.1 * resident[0]
    assert objects[1] <= objects[0] + 200
