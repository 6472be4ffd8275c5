"""Order books after a chain: prices and sizes by level, each book with its own event time.

A book is one call, so that books of a whole chain take a minute or more; they are a batch of their own and never
delay the chain. The perpetual and the contracts nearest to the money come first, for as long as the cadence allows.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from greekdrift.errors import InputError, VenueError
from greekdrift.market.collect import payload
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.rest import Calls
from greekdrift.market.collect.snapshot import Refusal, moment
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.table import MOMENT

ORDER_BOOK = "public/get_order_book"
DEPTHS = (1, 5, 10, 20, 50, 100)
AT_ONCE = 8

Level = tuple[str, float, str, int, float, float]


class Depth:
    """Takes the books of the contracts of a chain, `deepest` levels a side."""

    def __init__(self, calls: Calls, *, clock: Clock, deepest: int = 10) -> None:
        if deepest not in DEPTHS:
            raise InputError(f"a depth of {deepest} levels is not served; choose one of {', '.join(map(str, DEPTHS))}.")
        self._calls = calls
        self._clock = clock
        self._deepest = deepest

    async def take(self, after: Batch, *, until: float) -> Batch | None:
        """The books of a chain's contracts; None where nothing is quoted, `Refusal` where no book could be had."""
        names = nearest_first(after.tables["chain"])
        levels: list[Level] = []
        failed, asked = 0, 0
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            if self._clock.monotonic() >= until:
                break
            asked += len(some)
            answers = await asyncio.gather(*(self._book(name, until) for name in some), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, VenueError):
                    failed += 1
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    levels += answer
        if asked and failed == asked:
            raise Refusal("depth", f"none of {asked} order books could be read")
        if not levels:
            return None
        known_at = max(self._clock.now(), moment(max(one[1] for one in levels)), after.known_at)
        return Batch(
            key="depth",
            as_of=after.as_of,
            known_at=known_at,
            tables={"depth": level_table(levels, as_of=after.as_of, known_at=known_at)},
            facts={"books": asked - failed, "failed": failed, "not_reached": len(names) - asked},
        )

    async def _book(self, name: str, until: float) -> list[Level]:
        parameters = {"instrument_name": name, "depth": self._deepest}
        reply = await self._calls.call(ORDER_BOOK, parameters, until=until)
        stamp, bids, asks = payload.levels(reply.result, deepest=self._deepest)
        return [
            (name, float(stamp), side, number, price, size)
            for side, rows in (("bid", bids), ("ask", asks))
            for number, (price, size) in enumerate(rows)
        ]


def nearest_first(chain: pa.Table) -> list[str]:
    """Names of a chain's contracts: futures and perpetuals, then options by standard deviations from the money."""
    column = {name: chain[name].to_numpy() for name in ("strike_usd", "forward_price_usd", "mark_iv")}
    years = chain["time_to_expiry_years_act365"].to_numpy()
    with np.errstate(all="ignore"):
        away = np.abs(np.log(column["strike_usd"] / column["forward_price_usd"])) / (column["mark_iv"] * np.sqrt(years))
    names = chain["instrument_name"].to_pylist()
    order = np.lexsort((names, np.where(np.isnan(away), -1.0, away)))
    return [names[at] for at in order]


def level_table(levels: Sequence[Level], *, as_of: datetime, known_at: datetime) -> pa.Table:
    """One row a level of one side of a book: contract, side ("bid" or "ask"), level from 0, price and size."""
    name, stamp, side, number, price, size = zip(*levels, strict=True)
    rows = len(levels)
    return pa.table(
        {
            "snapshot_ts_utc": pa.array([as_of] * rows, type=MOMENT),
            "event_time_utc": pa.array([moment(one) for one in stamp], type=MOMENT),
            "known_at_utc": pa.array([known_at] * rows, type=MOMENT),
            "instrument_name": pa.array(name),
            "side": pa.array(side),
            "level": pa.array(number, type=pa.int32()),
            "price": pa.array(price, type=pa.float64()),
            "size": pa.array(size, type=pa.float64()),
        }
    )
