"""How long one snapshot takes from its bytes to a fitted surface, and that nothing is kept of it."""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.market.collect import payload, table
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rejects import Rejects
from greekdrift.market.collect.rest import Limits
from greekdrift.surface.fit import fit

EXPIRIES = (2.0, 9.0, 16.0, 30.0, 58.0, 93.0, 149.0, 184.0, 275.0, 365.0)


@pytest.fixture(scope="module")
def thousand(make_chain: Callable[..., Chain]) -> Chain:
    chain = make_chain(days=EXPIRIES, moneyness=tuple(np.exp(np.linspace(-0.6, 0.6, 50)).round(3)))
    chain = chain.take(~chain.is_spot)
    assert chain.is_option.sum() == 1000
    return chain


def body(chain: Chain) -> bytes:
    """The summary of the options as the venue sends it."""
    stamp = int(chain.as_of.timestamp() * 1000)
    rows = [
        {
            "instrument_name": one.name,
            "creation_timestamp": stamp,
            "bid_price": float(chain.bid[at]),
            "ask_price": float(chain.ask[at]),
            "mark_price": float(chain.mark[at]),
            "mid_price": float(chain.mark[at]),
            "mark_iv": 100.0 * float(chain.mark_iv[at]),
            "underlying_price": float(chain.forward[at]),
            "underlying_index": "SYN.BTC",
            "open_interest": 1.0,
            "volume": 2.0,
            "volume_usd": 3.0,
            "base_currency": "BTC",
            "quote_currency": "BTC",
            "interest_rate": 0.0,
            "high": None,
            "low": None,
            "last": None,
            "price_change": None,
            "estimated_delivery_price": float(chain.index[at]),
        }
        for at, one in enumerate(chain.instruments)
        if one.is_option
    ]
    return json.dumps({"jsonrpc": "2.0", "result": rows}).encode()


def test_a_thousand_contracts_are_parsed_checked_priced_and_fitted_in_sixty_milliseconds(thousand: Chain) -> None:
    answer = body(thousand)
    sizes = dict.fromkeys((one.name for one in thousand.instruments), 1.0)
    as_of = thousand.as_of
    best = float("inf")
    for _ in range(25):
        start = time.process_time()  # of all threads, so that neither they nor a busy machine change the answer
        rejects = Rejects()
        quotes = payload.summary(json.loads(answer)["result"], currency="BTC", kind="option", rejects=rejects)
        rows = table.checked(
            quotes,
            as_of=as_of,
            known_at=as_of,
            index={"BTC": float(thousand.index[0])},
            contract_size=sizes,
            rejects=rejects,
            tolerance=table.Tolerance(),
        )
        made = table.chain_table(rows)
        surface = fit(rows.chain(settlement_average_minutes=30.0))
        best = min(best, time.process_time() - start)
    assert made.num_rows == 1000
    assert rejects.total == 0
    assert len(surface.slices) == len(EXPIRIES)
    assert best < 0.060


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
