"""What a stream of messages says the market is: the last ticker of each contract and its order book, in sequence.

Messages may come twice, late, or not at all. A ticker counts only if it is later than the last one of its contract; a
change of a book only if it follows from the book that is there (`prev_change_id`), else the book is void until a new
snapshot of it. So the result is that of the sorted stream without repetitions, or it is missing, but never wrong.

Source: docs.deribit.com, subscriptions ticker.{instrument}.100ms, book.{instrument}.100ms,
deribit_volatility_index.{index}.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

from greekdrift.book import Instrument
from greekdrift.errors import VenueError
from greekdrift.market.collect import payload
from greekdrift.market.collect.rejects import Reason, Rejected, Rejects

MOST_LEVELS = 20_000
"""Levels of one side of a book; more than that is no book."""


class Outcome(StrEnum):
    """What became of a message."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    GAP = "gap"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    REJECTED = "rejected"


@dataclass(slots=True)
class Book:
    """Sizes by price of both sides, as of a change; `change_id` of None says that a snapshot is awaited."""

    change_id: int | None = None
    event_ms: int = 0
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)

    def clear(self) -> None:
        """Makes the book void until its next snapshot."""
        self.change_id = None
        self.bids.clear()
        self.asks.clear()

    def best(self, levels: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The nearest levels of bids and asks, (price, size)."""
        bids = sorted(self.bids.items(), reverse=True)[:levels]
        return bids, sorted(self.asks.items())[:levels]


@dataclass(frozen=True, slots=True)
class Seen:
    """The last ticker of a contract."""

    instrument: Instrument
    forward_name: str
    numbers: tuple[float, ...]
    event_ms: int


class Mirror:
    """The market as streamed. It holds what is listed and nothing else, so that it cannot grow.

    `latest` tells the largest stamp (ms) that can be meant now: a message from the future is rejected, or it would
    make every true one after it late.
    """

    def __init__(self, *, latest: Callable[[], float] = lambda: inf) -> None:
        self._latest = latest
        self._coin_of: dict[str, str] = {}
        self.tickers: dict[str, Seen] = {}
        self.books: dict[str, Book] = {}
        self.series: dict[tuple[str, str], tuple[float, int]] = {}
        """Value and stamp (ms) by coin and name: index, current_funding, funding_8h, dvol."""
        self.rejects = Rejects()
        self.outcomes: Counter[str] = Counter()

    def list(self, coin_of: dict[str, str]) -> None:
        """Says which contracts there are, and of which coin; what is known of others is forgotten."""
        self._coin_of = dict(coin_of)
        for known in (self.tickers, self.books):
            for name in [one for one in known if one not in self._coin_of]:
                del known[name]

    def void_books(self) -> None:
        """Makes every book void, as after a lost connection."""
        for book in self.books.values():
            book.clear()

    def ticker(self, data: Any) -> Outcome:
        """Takes a ticker message."""
        return self._noted(self._ticker(data))

    def book(self, data: Any) -> Outcome:
        """Takes a snapshot or a change of a book; GAP and REJECTED ask for a new snapshot."""
        return self._noted(self._book(data))

    def volatility_index(self, data: Any) -> Outcome:
        """Takes a volatility index, in per cent."""
        try:
            name = data.get("index_name") if isinstance(data, dict) else None
            coin = name.split("_")[0].upper() if isinstance(name, str) else ""
            if coin not in self._coin_of.values():
                return self._noted(Outcome.UNKNOWN)
            value = payload.positive(data, "volatility") * payload.PER_CENT
            return self._noted(self._keep(coin, "dvol", value, self._stamp(data)))
        except Rejected as problem:
            return self._reject(problem, "volatility_index")

    def take_rejects(self) -> Rejects:
        """What was rejected since the last call."""
        found, self.rejects = self.rejects, Rejects()
        return found

    def _ticker(self, data: Any) -> Outcome:
        name = data.get("instrument_name") if isinstance(data, dict) else None
        coin = self._coin_of.get(name) if isinstance(name, str) else None
        if coin is None or not isinstance(name, str):
            return Outcome.UNKNOWN
        try:
            instrument, forward_name, values = payload.ticker(data, currency=coin)
            index = payload.positive(data, "index_price")
            event_ms = self._stamp(data)
        except Rejected as problem:
            return self._reject(problem, name)
        last = self.tickers.get(name)
        if last is not None and event_ms <= last.event_ms:
            return Outcome.DUPLICATE if event_ms == last.event_ms else Outcome.LATE
        self.tickers[name] = Seen(instrument, forward_name, values, event_ms)
        self._keep(coin, "index", index, event_ms)
        if name == f"{coin}-PERPETUAL":
            self._funding(coin, data, event_ms)
        return Outcome.APPLIED

    def _funding(self, coin: str, data: Any, event_ms: int) -> None:
        try:
            for key, value in payload.funding(data).items():
                self._keep(coin, key, value, event_ms)
        except VenueError:
            self.rejects.add(Reason.MISSING, f"{coin}-PERPETUAL", "funding")

    def _stamp(self, data: dict[str, Any]) -> int:
        found = payload.milliseconds(data, "timestamp")
        if found > self._latest():
            raise Rejected(Reason.AHEAD, "timestamp")
        return found

    def _keep(self, coin: str, key: str, value: float, event_ms: int) -> Outcome:
        last = self.series.get((coin, key))
        if last is not None and event_ms <= last[1]:
            return Outcome.DUPLICATE if event_ms == last[1] else Outcome.LATE
        self.series[coin, key] = (value, event_ms)
        return Outcome.APPLIED

    def _book(self, data: Any) -> Outcome:
        name = data.get("instrument_name") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in self._coin_of:
            return Outcome.UNKNOWN
        book = self.books.setdefault(name, Book())
        try:
            return self._follow(book, data)
        except Rejected as problem:
            book.clear()
            return self._reject(problem, name)

    def _follow(self, book: Book, data: dict[str, Any]) -> Outcome:
        change_id, event_ms = _identifier(data, "change_id"), self._stamp(data)
        is_snapshot = data.get("type") == "snapshot"
        if book.change_id is not None and change_id <= book.change_id:
            return Outcome.DUPLICATE if change_id == book.change_id else Outcome.LATE
        if is_snapshot:
            book.clear()
        elif book.change_id is None:
            return Outcome.WAITING
        elif _identifier(data, "prev_change_id") != book.change_id:
            book.clear()
            return Outcome.GAP
        for side, levels in (("bids", book.bids), ("asks", book.asks)):
            _change(levels, data.get(side))
        if book.bids and book.asks and max(book.bids) > min(book.asks):
            raise Rejected(Reason.CROSSED, "book")
        book.change_id, book.event_ms = change_id, event_ms
        return Outcome.APPLIED

    def _reject(self, problem: Rejected, name: str) -> Outcome:
        self.rejects.add(problem.reason, name, problem.field)
        return Outcome.REJECTED

    def _noted(self, outcome: Outcome) -> Outcome:
        self.outcomes[outcome.value] += 1
        return outcome


def _identifier(data: dict[str, Any], key: str) -> int:
    value = data.get(key)
    if type(value) is not int or value < 0:
        raise Rejected(Reason.MISSING if value is None else Reason.WRONG_TYPE, key)
    return value


def _change(levels: dict[float, float], changes: Any) -> None:
    """Applies ["new" | "change" | "delete", price, size] to one side."""
    if not isinstance(changes, list):
        raise Rejected(Reason.WRONG_TYPE, "levels")
    for change in changes:
        if not isinstance(change, list) or len(change) != 3:
            raise Rejected(Reason.WRONG_TYPE, "level")
        action = change[0]
        named = {"price": change[1], "size": change[2]}
        price = payload.positive(named, "price")
        if action == "delete":
            levels.pop(price, None)
        elif action in {"new", "change"}:
            levels[price] = payload.positive(named, "size")
        else:
            raise Rejected(Reason.WRONG_TYPE, "action")
    if len(levels) > MOST_LEVELS:
        raise Rejected(Reason.BEYOND_BOUND, "levels")
