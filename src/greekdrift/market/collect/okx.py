"""Chains of OKX through ccxt as snapshots of a collector: the same checks, columns and folder as those of Deribit.

ccxt asks one question after the other and waits for each, so that a thread does it; the answers of one snapshot lie a
few seconds apart, and rows whose own stamps lie too far apart are rejected like those of any venue.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.book import Venue
from greekdrift.book.instrument import parse
from greekdrift.config import load_venue
from greekdrift.errors import InputError, VenueError
from greekdrift.market import okx
from greekdrift.market.collect.clock import Clock, SystemClock
from greekdrift.market.collect.collector import Collector, Report
from greekdrift.market.collect.manifest import Source
from greekdrift.market.collect.payload import Quotes
from greekdrift.market.collect.rejects import Rejects
from greekdrift.market.collect.snapshot import Bounds, Refusal, checked_currencies, moment
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.table import Tolerance, chain_table, checked, series_table
from greekdrift.units import stamp

VENUE = "okx"
Answers = tuple[list[dict[str, Any]], dict[str, tuple[float, datetime]], Counter[str]]


class OkxSnapshots:
    """Takes chains of some currencies: live options and the coin-settled perpetual, index and next funding rate."""

    def __init__(
        self,
        exchange: okx.Exchange,
        currencies: Sequence[str],
        *,
        clock: Clock,
        bounds: Bounds | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        self._exchange = exchange
        self._currencies = checked_currencies(currencies)
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._tolerance = tolerance or Tolerance()
        self._venue: Venue = load_venue(VENUE)

    async def open(self) -> None:
        """Nothing has to be opened."""

    async def close(self) -> None:
        """Nothing has to be closed."""

    async def take(self, *, until: float) -> Batch:
        """A whole snapshot, or `Refusal`: `venue` where OKX cannot be asked or its answer cannot be used."""
        if self._clock.monotonic() > until:
            raise Refusal("venue", "the cadence was over before OKX could be asked")
        try:
            return self._batch(*await asyncio.to_thread(self._answers))
        except VenueError as problem:
            raise Refusal("venue", str(problem)) from None
        except InputError as problem:
            raise Refusal("rejected", str(problem)) from None

    def _answers(self) -> Answers:
        left_out: Counter[str] = Counter()
        rows = okx.contracts(self._exchange, self._currencies, venue=self._venue, left_out=left_out)
        funding = {one: okx.next_funding(self._exchange, one) for one in self._currencies}
        return rows, funding, left_out

    def _batch(
        self, rows: list[dict[str, Any]], funding: dict[str, tuple[float, datetime]], left_out: Counter[str]
    ) -> Batch:
        """What is written; all of it is known once the last answer has arrived."""
        as_of, now, rejects = self._as_of(rows), self._clock.now(), Rejects()
        quotes = _quotes(rows)
        index = {one.underlying: row["index_price_usd"] for one, row in zip(quotes.instruments, rows, strict=True)}
        series = [(coin, "index", price, as_of) for coin, price in sorted(index.items())]
        series += [(coin, "next_funding", rate, at) for coin, (rate, at) in sorted(funding.items())]
        known_at = max(now, as_of, *(one[-1] for one in series))
        found = checked(
            quotes,
            as_of=as_of,
            known_at=known_at,
            index=index,
            contract_size={row["instrument_name"]: row["contract_size"] for row in rows},
            rejects=rejects,
            tolerance=self._tolerance,
            venue=VENUE,
        )
        return Batch(
            key="chain",
            as_of=as_of,
            known_at=known_at,
            tables={"chain": chain_table(found), "series": series_table(series, known_at=known_at)},
            facts={
                "underlyings": found.underlyings,
                "rejected": rejects.counts(),
                "missing": [],
                "left_out": dict(sorted(left_out.items())),
            },
            details={"examples": rejects.examples},
        )

    def _as_of(self, rows: list[dict[str, Any]]) -> datetime:
        """The latest stamp of an option; refused where this machine's clock says otherwise."""
        stamps = [row["stamp"] for row in rows if row["is_option"] and np.isfinite(row["stamp"])]
        if not stamps:
            raise VenueError(f"okx answered no option of {', '.join(self._currencies)} that can be used.")
        as_of, now = moment(max(stamps)), self._clock.now()
        if abs(now - as_of) > timedelta(seconds=self._bounds.clock_skew) + timedelta(seconds=self._tolerance.oldest):
            raise Refusal(
                "clock_skew", f"okx stamps its answers {stamp(as_of)}, it is {stamp(now)} here; set the clock"
            )
        return as_of


def collector(
    folder: Path | str,
    currencies: Sequence[str] = ("BTC", "ETH"),
    *,
    every: timedelta = timedelta(minutes=10),
    exchange: okx.Exchange | None = None,
    clock: Clock | None = None,
    tolerance: Tolerance | None = None,
    report: Report | None = None,
    verify: bool = False,
) -> Collector:
    """A collector of OKX's chains into a folder; call `run` on it. `exchange` stands for ccxt's where it is given."""
    ticking = clock or SystemClock()
    make = partial(OkxSnapshots, currencies=currencies, clock=ticking, tolerance=tolerance)
    return Collector(
        make(exchange or okx.public()),
        folder,
        every=every,
        clock=ticking,
        report=report,
        source=Source(venue=VENUE),
        verify=verify,
    )


def _quotes(rows: Sequence[dict[str, Any]]) -> Quotes:
    """The rows as those of any venue; the volume of the perpetual is in USD, as its contracts are."""
    nan = float("nan")
    found = Quotes()
    for row in rows:
        unit = "coin" if row["is_option"] else "usd"
        volume = row["volume_24h_coin"]
        found.instruments.append(parse(row["instrument_name"]))
        found.forward_names.append("" if row["is_option"] else row["instrument_name"])
        found.rows.append(
            (
                row["stamp"],
                *(row[f"{price}_price_{unit}"] for price in ("bid", "ask", "mark")),
                row["mark_iv"],
                row["forward_price_usd"],
                row["open_interest_coin"],
                volume if row["is_option"] else nan,
                nan if row["is_option"] else volume,
                row["bid_size"],
                row["ask_size"],
            )
        )
    return found
