"""What the collector costs: one chain from the bytes of an answer to a fitted surface, and opening a month's folder.

    python benchmarks/collected.py [--rounds 20] [--days 30]

Times are of the processor, all threads together, least of many turns. The chain is 12 expiries × 42 strikes, calls and
puts; its answer has the fields that the venue documents. The folder holds a snapshot a minute: its manifest is that of
the collector, its files are as short as files can be, since opening reads the last of them and those that were touched.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import pyarrow as pa
from stopwatch import race
from workload import case

from greekdrift.book import Chain
from greekdrift.market.collect import payload, table
from greekdrift.market.collect.manifest import Source
from greekdrift.market.collect.rejects import Rejects
from greekdrift.market.collect.store import Batch, Store
from greekdrift.surface.fit import fit

START = datetime(2026, 2, 1, tzinfo=UTC)
MINUTES_A_DAY = 1440


def answer(chain: Chain) -> bytes:
    """The options of a chain of one coin as `get_book_summary_by_currency` sends them."""
    moment = int(chain.as_of.timestamp() * 1000)
    rows = [
        {
            "instrument_name": one.name,
            "creation_timestamp": moment,
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


def ways(chain: Chain) -> dict[str, Callable[[], object]]:
    """Each step of a snapshot on what the step before it gave, and all of them together."""
    body, sizes = answer(chain), dict.fromkeys((one.name for one in chain.instruments), 1.0)

    def parsed() -> payload.Quotes:
        return payload.summary(json.loads(body)["result"], currency="BTC", kind="option", rejects=Rejects())

    def checked(quotes: payload.Quotes) -> table.Rows:
        return table.checked(
            quotes,
            as_of=chain.as_of,
            known_at=chain.as_of,
            index={"BTC": float(chain.index[0])},
            contract_size=sizes,
            rejects=Rejects(),
            tolerance=table.Tolerance(),
        )

    def made(rows: table.Rows) -> Chain:
        return rows.chain(settlement_average_minutes=30.0)

    def together() -> tuple[object, object]:
        rows = checked(parsed())
        return table.chain_table(rows), fit(made(rows))

    quotes = parsed()
    rows = checked(quotes)
    whole = made(rows)
    return {
        "parsed": parsed,
        "checked": lambda: checked(quotes),
        "volatilities, Greeks and columns": lambda: table.chain_table(rows),
        "made a chain": lambda: made(rows),
        "surface fitted": lambda: fit(whole),
        "together": together,
    }


def month(folder: Path, *, days: int) -> None:
    """A folder as a collector of so many days at one minute leaves it."""
    short = pa.table({"value": [0.0]})
    with Store(folder, source=Source(venue="deribit")) as writer, patch("greekdrift.durable.os.fsync"):
        for minute in range(MINUTES_A_DAY * days):
            as_of = START + timedelta(minutes=minute)
            writer.append(
                Batch(
                    key="chain",
                    as_of=as_of,
                    known_at=as_of + timedelta(seconds=1),
                    tables={"chain": short, "series": short},
                    facts={"underlyings": ["BTC", "ETH"], "rejected": {}, "missing": [], "absent": 0},
                )
            )


def opened(folder: Path) -> tuple[int, int, float]:
    """Snapshots of a folder, files that opening it read, and seconds that it took."""
    start = perf_counter()
    with Store(folder) as store:
        return store.recovery.batches, store.recovery.read, perf_counter() - start


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="what the collector costs")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--days", type=int, default=30)
    asked = parser.parse_args()
    chain = case(strikes=42).chain
    found = race(ways(chain), rounds=asked.rounds)
    print(f"a chain of {len(chain):,} contracts, ms")
    for name, timing in found.items():
        print(f"  {name:<34} {1e3 * timing.least:6.1f}")
    with tempfile.TemporaryDirectory() as folder:
        month(Path(folder), days=asked.days)
        batches, read, seconds = opened(Path(folder))
    print(f"a folder of {batches:,} snapshots opened: {seconds:.1f} s, {read:,} files read")


if __name__ == "__main__":
    main()
