"""One synchronous chain from REST: book summaries, index, funding and volatility index of each coin, as of one instant.

The summaries of all coins and their indices are asked for at the same time; replies whose stamps by the venue's clock
lie too far apart, or too far from ours, refuse the snapshot. What is not needed for a chain (funding, volatility
index) may fail: it is then missing from the snapshot, and said to be.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from greekdrift.book.instrument import parse
from greekdrift.errors import DataError, InputError, VenueError
from greekdrift.market.collect import payload
from greekdrift.market.collect.clock import Clock
from greekdrift.market.collect.payload import Listing, Quotes
from greekdrift.market.collect.rejects import Rejects
from greekdrift.market.collect.rest import Calls, Failed, Reply
from greekdrift.market.collect.store import Batch
from greekdrift.market.collect.table import Rows, Tolerance, chain_table, checked, series_table
from greekdrift.units import stamp

SUMMARY = "public/get_book_summary_by_currency"
INSTRUMENTS = "public/get_instruments"
INDEX = "public/get_index_price"
TICKER = "public/ticker"
VOLATILITY = "public/get_volatility_index_data"
KINDS = ("option", "future")
CURRENCIES = ("BTC", "ETH")
CANDLE_SECONDS = 60
LATEST = datetime.max.replace(tzinfo=UTC)

Series = list[tuple[str, str, float, datetime]]


class Refusal(Exception):  # noqa: N818 - an answer, not a failure: there is no snapshot for this instant
    """There is no snapshot for an instant: a reason in one word, and the fact."""

    def __init__(self, reason: str, fact: str) -> None:
        super().__init__(fact)
        self.reason = reason
        self.fact = fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Seconds: the replies of one snapshot apart, the venue's clock from ours, a listing in use."""

    skew: float = 5.0
    clock_skew: float = 30.0
    listing_age: float = 3600.0


@dataclass(slots=True)
class _Part:
    """What one coin answered."""

    quotes: Quotes = field(default_factory=Quotes)
    times: list[datetime] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    index: float = 0.0


class RestSnapshots:
    """Takes chains of some currencies by public calls; all that it keeps is what the venue lists."""

    def __init__(
        self,
        calls: Calls,
        currencies: Sequence[str],
        *,
        clock: Clock,
        bounds: Bounds | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        self._calls = calls
        self._currencies = checked_currencies(currencies)
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._tolerance = tolerance or Tolerance()
        self._listings: dict[str, Listing] = {}
        self._listed_at = -float("inf")
        self._absent = 0

    async def open(self) -> None:
        """Nothing has to be opened."""

    async def close(self) -> None:
        """Nothing has to be closed."""

    async def take(self, *, until: float) -> Batch:
        """A whole snapshot, or `Refusal`; no call is repeated after `until` on the stopwatch."""
        rejects = Rejects()
        try:
            await self.listings(until=until)
            parts = await self._parts(rejects, until)
            if self._has_unlisted(parts):
                self._listed_at = -float("inf")
                await self.listings(until=until)
            rows = self._rows(parts, rejects)
        except Failed as problem:
            raise Refusal(problem.reason, str(problem)) from None
        except VenueError as problem:
            raise Refusal("malformed", str(problem)) from None
        except InputError as problem:
            raise Refusal("rejected", str(problem)) from None
        more, missing = await self._extras(until)
        return self._batch(rows, parts, rejects, more=more, missing=missing)

    async def listings(self, *, until: float) -> Mapping[str, Listing]:
        """What the venue lists, by currency; asked again once it is old. An old one serves where asking fails."""
        if self._clock.monotonic() - self._listed_at <= self._bounds.listing_age:
            return self._listings
        try:
            found = await self._listed(until)
        except VenueError:
            if not self._listings:
                raise
            return self._listings
        self._listings, self._listed_at = found, self._clock.monotonic()
        return found

    async def _listed(self, until: float) -> dict[str, Listing]:
        replies = await gathered(
            self._calls.call(INSTRUMENTS, {"currency": one, "expired": "false"}, until=until)
            for one in self._currencies
        )
        found = {
            currency: payload.listing(reply.result, currency=currency, rejects=Rejects())
            for currency, reply in zip(self._currencies, replies, strict=True)
        }
        for currency, one in found.items():
            if not one.contract_size:
                raise VenueError(f"get_instruments lists no contract of {currency} that can be read.")
        return found

    def _has_unlisted(self, parts: Mapping[str, _Part]) -> bool:
        """Whether a coin quotes contracts that were listed after we asked."""
        known = {name for one in self._listings.values() for name in one.contract_size}
        return any(one.name not in known for part in parts.values() for one in part.quotes.instruments)

    async def _parts(self, rejects: Rejects, until: float) -> dict[str, _Part]:
        asked = [(one, kind) for one in self._currencies for kind in KINDS]
        calls = [self._calls.call(SUMMARY, {"currency": one, "kind": kind}, until=until) for one, kind in asked]
        calls += [self._calls.call(INDEX, {"index_name": index_name(one)}, until=until) for one in self._currencies]
        replies = await gathered(calls)
        parts = {one: _Part() for one in self._currencies}
        for (currency, kind), reply in zip(asked, replies, strict=False):
            part = parts[currency]
            found = payload.summary(reply.result, currency=currency, kind=kind, rejects=rejects)
            if kind == "option" and not found.rows:
                raise DataError(f"no option of {currency} could be read ({rejects.counts()}). Nothing was written.")
            part.quotes.extend(found)
            part.replies.append(reply)
            part.times.append(reply.venue_time or _latest(found) or reply.received_at)
        for currency, reply in zip(self._currencies, replies[len(asked) :], strict=True):
            part = parts[currency]
            part.index = payload.index_price(reply.result)
            part.replies.append(reply)
            part.times.append(reply.venue_time or reply.received_at)
        return parts

    def _rows(self, parts: Mapping[str, _Part], rejects: Rejects) -> Rows:
        times = [one for part in parts.values() for one in part.times]
        self._check_times(times, parts)
        as_of = max(times)
        quotes = Quotes()
        for part in parts.values():
            quotes.extend(part.quotes)
        self._absent = absent(self._listings, {one.name for one in quotes.instruments}, as_of=as_of)
        self._check_complete(rejects)
        received = max(reply.received_at for part in parts.values() for reply in part.replies)
        return checked(
            quotes,
            as_of=as_of,
            known_at=max(received, as_of),
            index={currency: part.index for currency, part in parts.items()},
            contract_size={k: v for one in self._listings.values() for k, v in one.contract_size.items()},
            rejects=rejects,
            tolerance=self._tolerance,
        )

    def _check_times(self, times: Sequence[datetime], parts: Mapping[str, _Part]) -> None:
        apart = (max(times) - min(times)).total_seconds()
        if apart > self._bounds.skew:
            raise Refusal(
                "skew", f"the replies are {apart:.1f} s apart by the venue's clock, over {self._bounds.skew:g} s"
            )
        for part in parts.values():
            for reply, time in zip(part.replies, part.times, strict=True):
                ahead = (time - reply.received_at).total_seconds()
                behind = (reply.sent_at - time).total_seconds()
                if max(ahead, behind) > self._bounds.clock_skew:
                    raise Refusal(
                        "clock_skew",
                        f"{reply.method} is stamped {stamp(time)} and arrived at {stamp(reply.received_at)}, over "
                        f"{self._bounds.clock_skew:g} s apart; set this machine's clock or leave the venue alone",
                    )

    def _check_complete(self, rejects: Rejects) -> None:
        """Refuses a chain that lacks many of the listed contracts, whether they were rejected or never came."""
        listed = sum(len(one.contract_size) for one in self._listings.values())
        if self._absent > self._tolerance.most_rejected * listed:
            raise DataError(
                f"{self._absent} of {listed} listed contracts are not in the answers or were rejected "
                f"({rejects.counts()}), more than {self._tolerance.most_rejected:.0%}. Nothing was written."
            )

    def _batch(
        self, rows: Rows, parts: Mapping[str, _Part], rejects: Rejects, *, more: Series, missing: Sequence[str]
    ) -> Batch:
        """What is written; all of it is known from now on, even where some of it arrived earlier."""
        replies = [reply for part in parts.values() for reply in part.replies]
        times = [one for part in parts.values() for one in part.times]
        series = [(currency, "index", part.index, part.times[-1]) for currency, part in parts.items()] + more
        known_at = max(self._clock.now(), rows.known_at, *(one[-1] for one in series))
        return Batch(
            key="chain",
            as_of=rows.as_of,
            known_at=known_at,
            tables={
                "chain": chain_table(replace(rows, known_at=known_at)),
                "series": series_table(series, known_at=known_at),
            },
            facts={
                "underlyings": rows.underlyings,
                "rejected": rejects.counts(),
                "missing": list(missing),
                "absent": self._absent,
                "skew_seconds": (max(times) - min(times)).total_seconds(),
            },
            details={
                "examples": rejects.examples,
                "replies": [
                    {
                        "method": reply.method,
                        "sent_at": stamp(reply.sent_at),
                        "received_at": stamp(reply.received_at),
                        "venue_time": None if reply.venue_time is None else stamp(reply.venue_time),
                    }
                    for reply in replies
                ],
            },
        )

    async def _extras(self, until: float) -> tuple[Series, list[str]]:
        """Funding and volatility index of each coin, and the names of those that could not be had."""
        asked = [(one, ask) for one in self._currencies for ask in (self._funding, self._volatility)]
        answers = await asyncio.gather(*(ask(one, until) for one, ask in asked), return_exceptions=True)
        series: Series = []
        missing = []
        for (currency, ask), answer in zip(asked, answers, strict=True):
            if isinstance(answer, VenueError):
                missing.append(f"{currency} {'funding' if ask == self._funding else 'dvol'}: {str(answer)[:200]}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                series += answer
        return series, missing

    async def _funding(self, currency: str, until: float) -> Series:
        reply = await self._calls.call(TICKER, {"instrument_name": f"{currency}-PERPETUAL"}, until=until)
        found = payload.funding(reply.result)
        time = reply.venue_time or reply.received_at
        return [(currency, name, value, time) for name, value in found.items()]

    async def _volatility(self, currency: str, until: float) -> Series:
        now = int(self._clock.now().timestamp() * 1000.0)
        parameters = {
            "currency": currency,
            "start_timestamp": now - 10 * CANDLE_SECONDS * 1000,
            "end_timestamp": now,
            "resolution": str(CANDLE_SECONDS),
        }
        reply = await self._calls.call(VOLATILITY, parameters, until=until)
        opened, close = payload.volatility_index(reply.result)
        over = moment(opened) + timedelta(seconds=CANDLE_SECONDS)
        return [(currency, "dvol", close, min(over, reply.venue_time or reply.received_at))]


async def gathered(calls: Any) -> list[Reply]:
    """Replies of calls made at the same time; the first failure ends the others."""
    tasks = [asyncio.ensure_future(one) for one in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def checked_currencies(currencies: Sequence[str]) -> tuple[str, ...]:
    """The currencies, sorted and once each; one that has no coin-settled options is refused.

    >>> checked_currencies(["ETH", "BTC", "BTC"])
    ('BTC', 'ETH')
    """
    for one in currencies:
        if one not in CURRENCIES:
            raise InputError(f'"{one}" has no coin-settled options on this venue; known: {", ".join(CURRENCIES)}.')
    if not currencies:
        raise InputError(f"no currency was named; give one or more of {', '.join(CURRENCIES)}.")
    return tuple(sorted(set(currencies)))


def index_name(currency: str) -> str:
    """Name of a coin's index in USD.

    >>> index_name("BTC")
    'btc_usd'
    """
    return f"{currency.lower()}_usd"


def alive(listings: Mapping[str, Listing], *, as_of: datetime) -> dict[str, str]:
    """Coin of each listed contract that has not expired, by name."""
    every = {name: coin for coin, one in listings.items() for name in one.contract_size}
    return {name: coin for name, coin in every.items() if (parse(name).expiry or LATEST) > as_of}


def absent(listings: Mapping[str, Listing], names: set[str], *, as_of: datetime) -> int:
    """Number of listed contracts that have not expired and are not among the names."""
    return len(alive(listings, as_of=as_of).keys() - names)


def moment(milliseconds: float) -> datetime:
    """Instant of a stamp in milliseconds since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def _latest(quotes: Quotes) -> datetime | None:
    return moment(max(row[0] for row in quotes.rows)) if quotes.rows else None
