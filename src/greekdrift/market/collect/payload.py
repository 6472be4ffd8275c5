"""What Deribit's public methods answer, read strictly: a number is a number, and what is not is a reason.

Unknown fields are passed over; text where a number is due, NaN, infinities and negative prices reject the row. A
reply that is not of the documented shape at all raises `VenueError`.

Source: docs.deribit.com, methods public/get_book_summary_by_currency, get_instruments, get_index_price, ticker,
get_volatility_index_data, get_order_book. Units there: `mark_iv` and the volatility index in per cent, stamps in
milliseconds since 1970, prices of inverse options in coins, open interest of inverse futures in USD.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan
from typing import Any

from greekdrift.book import Instrument
from greekdrift.book.instrument import parse
from greekdrift.errors import InstrumentError, VenueError
from greekdrift.market.collect.rejects import Reason, Rejected, Rejects

LATEST_STAMP = 4_102_444_800_000
"""Milliseconds of 2100-01-01: a stamp from here on counts something else."""
PER_CENT = 0.01

NUMBERS = (
    "event_ms",
    "bid",
    "ask",
    "mark",
    "mark_iv",
    "forward",
    "open_interest",
    "volume",
    "volume_usd",
    "bid_size",
    "ask_size",
)
"""Columns of `Quotes`, in the order of its rows."""


@dataclass(slots=True)
class Quotes:
    """Rows of one or more replies: contract, name of the forward, and one tuple of `NUMBERS` each."""

    instruments: list[Instrument] = field(default_factory=list)
    forward_names: list[str] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def extend(self, other: "Quotes") -> None:
        """Adds the rows of another."""
        self.instruments += other.instruments
        self.forward_names += other.forward_names
        self.rows += other.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the venue lists: contract size (coins; USD for inverse futures) by instrument name."""

    contract_size: Mapping[str, float]


def number(row: Mapping[str, Any], key: str) -> float:
    """A finite number that must be there.

    >>> number({"mark_price": 0.05}, "mark_price")
    0.05
    """
    value = row.get(key)
    if value is None:
        raise Rejected(Reason.MISSING, key)
    return _finite(value, key)


def perhaps(row: Mapping[str, Any], key: str) -> float:
    """A finite number of at least 0, or NaN where it is null or not there."""
    value = row.get(key)
    if value is None:
        return nan
    found = _finite(value, key)
    if found < 0.0:
        raise Rejected(Reason.NEGATIVE, key)
    return found


def quoted(row: Mapping[str, Any], key: str) -> float:
    """A price that is quoted: NaN where it is null, absent or 0 (the venue writes both for "none")."""
    return perhaps(row, key) or nan


def positive(row: Mapping[str, Any], key: str) -> float:
    """A finite number above 0."""
    found = number(row, key)
    if found <= 0.0:
        raise Rejected(Reason.NEGATIVE if found < 0.0 else Reason.ZERO, key)
    return found


def milliseconds(row: Mapping[str, Any], key: str) -> int:
    """A stamp in milliseconds since 1970."""
    value = row.get(key)
    if value is None:
        raise Rejected(Reason.MISSING, key)
    if type(value) is not int:
        raise Rejected(Reason.WRONG_TYPE, key)
    if not 0 < value < LATEST_STAMP:
        raise Rejected(Reason.BAD_TIME, key)
    return value


def _finite(value: Any, key: str) -> float:
    if type(value) is not float and type(value) is not int:
        raise Rejected(Reason.WRONG_TYPE, key)
    try:
        found = float(value)
    except OverflowError:
        raise Rejected(Reason.NOT_FINITE, key) from None
    if found - found != 0.0:
        raise Rejected(Reason.NOT_FINITE, key)
    return found


def contract(row: Mapping[str, Any], currency: str) -> Instrument:
    """The coin-settled contract that a row is about; one of another coin or settlement is rejected."""
    name = row.get("instrument_name")
    if type(name) is not str:
        raise Rejected(Reason.BAD_NAME, "instrument_name")
    try:
        made = parse(name)
    except InstrumentError:
        raise Rejected(Reason.BAD_NAME, "instrument_name") from None
    if made.underlying != currency or not made.is_inverse:
        raise Rejected(Reason.OTHER_PRODUCT, "instrument_name")
    return made


def summary(result: Any, *, currency: str, kind: str, rejects: Rejects) -> Quotes:
    """Rows of `get_book_summary_by_currency` for options or for futures (which hold the perpetual too)."""
    found = Quotes()
    seen: set[str] = set()
    for row, rejected in _records(result, "get_book_summary_by_currency", rejects):
        try:
            instrument = contract(row, currency)
            if instrument.is_option != (kind == "option"):
                rejected(Reason.OTHER_PRODUCT)
            elif instrument.name in seen:
                rejected(Reason.TWICE)
            else:
                values = _option(row) if instrument.is_option else _linear(row)
                seen.add(instrument.name)
                found.instruments.append(instrument)
                found.forward_names.append(_forward_name(row, instrument))
                found.rows.append(values)
        except Rejected as problem:
            rejected(problem.reason, problem.field)
    return found


def _option(row: Mapping[str, Any]) -> tuple[float, ...]:
    return (
        milliseconds(row, "creation_timestamp"),
        quoted(row, "bid_price"),
        quoted(row, "ask_price"),
        _at_least_zero(row, "mark_price"),
        positive(row, "mark_iv") * PER_CENT,
        positive(row, "underlying_price"),
        perhaps(row, "open_interest"),
        perhaps(row, "volume"),
        perhaps(row, "volume_usd"),
        nan,
        nan,
    )


def _linear(row: Mapping[str, Any]) -> tuple[float, ...]:
    mark = positive(row, "mark_price")
    return (
        milliseconds(row, "creation_timestamp"),
        quoted(row, "bid_price"),
        quoted(row, "ask_price"),
        mark,
        nan,
        mark,
        perhaps(row, "open_interest"),
        perhaps(row, "volume"),
        perhaps(row, "volume_usd"),
        nan,
        nan,
    )


def ticker(row: Any, *, currency: str) -> tuple[Instrument, str, tuple[float, ...]]:
    """Contract, name of its forward and `NUMBERS` of one `ticker` message or reply; raises `Rejected`."""
    if not isinstance(row, dict):
        raise Rejected(Reason.NOT_A_RECORD, "ticker")
    instrument = contract(row, currency)
    stats = row.get("stats")
    stats = stats if isinstance(stats, dict) else {}
    mark = _at_least_zero(row, "mark_price") if instrument.is_option else positive(row, "mark_price")
    values = (
        milliseconds(row, "timestamp"),
        quoted(row, "best_bid_price"),
        quoted(row, "best_ask_price"),
        mark,
        positive(row, "mark_iv") * PER_CENT if instrument.is_option else nan,
        positive(row, "underlying_price") if instrument.is_option else mark,
        perhaps(row, "open_interest"),
        perhaps(stats, "volume"),
        perhaps(stats, "volume_usd"),
        perhaps(row, "best_bid_amount"),
        perhaps(row, "best_ask_amount"),
    )
    return instrument, _forward_name(row, instrument), values


def _at_least_zero(row: Mapping[str, Any], key: str) -> float:
    found = number(row, key)
    if found < 0.0:
        raise Rejected(Reason.NEGATIVE, key)
    return found


def _forward_name(row: Mapping[str, Any], instrument: Instrument) -> str:
    if not instrument.is_option:
        return instrument.name
    name = row.get("underlying_index")
    return name[:64] if isinstance(name, str) and name.isascii() else ""


def listing(result: Any, *, currency: str, rejects: Rejects) -> Listing:
    """Contract sizes of `get_instruments`; contracts that are not open are left out."""
    size: dict[str, float] = {}
    for row, rejected in _records(result, "get_instruments", rejects):
        try:
            name = contract(row, currency).name
            if row.get("is_active") is False:
                continue
            size[name] = positive(row, "contract_size")
        except Rejected as problem:
            if problem.reason is not Reason.OTHER_PRODUCT:
                rejected(problem.reason, problem.field)
    return Listing(contract_size=size)


def index_price(result: Any) -> float:
    """The index of `get_index_price`, USD."""
    return _of(result, "get_index_price", "index_price")


def volatility_index(result: Any) -> tuple[int, float]:
    """Opening stamp (ms) and close (per 1.00) of the last candle of `get_volatility_index_data`."""
    data = result.get("data") if isinstance(result, dict) else None
    if not isinstance(data, list) or not data:
        raise VenueError("get_volatility_index_data answered no candle; the index is missing from this snapshot.")
    last = data[-1]
    if not isinstance(last, list) or len(last) != 5:
        raise VenueError("get_volatility_index_data answered a candle that is not [time, open, high, low, close].")
    named = dict(zip(("time", "open", "high", "low", "close"), last, strict=True))
    try:
        opened, close = milliseconds(named, "time"), positive(named, "close") * PER_CENT
    except Rejected as problem:
        raise VenueError(f"get_volatility_index_data: {problem}; the index is missing from this snapshot.") from None
    if not 0.02 < close < 10.0:
        raise VenueError(
            f"get_volatility_index_data: a close of {close:.4g} is no volatility per 1.00; did its unit change?"
        )
    return opened, close


def funding(result: Any) -> dict[str, float]:
    """Funding rates of the perpetual's `ticker`: `current_funding` and `funding_8h`, shares of the notional."""
    found = {}
    for name in ("current_funding", "funding_8h"):
        found[name] = _of(result, "ticker", name, least=-1.0)
    return found


def levels(result: Any, *, deepest: int) -> tuple[int, list[tuple[float, float]], list[tuple[float, float]]]:
    """Stamp (ms), bids and asks (price, size in contracts or USD as the venue counts) of `get_order_book`."""
    if not isinstance(result, dict):
        raise VenueError("get_order_book answered no record.")
    try:
        stamp = milliseconds(result, "timestamp")
        sides = [[_level(one) for one in _list(result, side)[:deepest]] for side in ("bids", "asks")]
    except Rejected as problem:
        raise VenueError(f"get_order_book: {problem}; the book is left out.") from None
    bids, asks = sides
    if any(a[0] <= b[0] for a, b in pairwise(bids)) or any(a[0] >= b[0] for a, b in pairwise(asks)):
        raise VenueError("get_order_book: levels are not in order of price; the book is left out.")
    if bids and asks and bids[0][0] > asks[0][0]:
        raise VenueError(f"get_order_book: bid {bids[0][0]:g} above ask {asks[0][0]:g}; the book is left out.")
    return stamp, bids, asks


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    found = row.get(key)
    if not isinstance(found, list):
        raise Rejected(Reason.WRONG_TYPE if key in row else Reason.MISSING, key)
    return found


def _level(pair: Any) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Rejected(Reason.WRONG_TYPE, "level")
    named = {"price": pair[0], "size": pair[1]}
    return positive(named, "price"), positive(named, "size")


def _of(result: Any, method: str, key: str, *, least: float = 0.0) -> float:
    if not isinstance(result, dict):
        raise VenueError(f"{method} answered {type(result).__name__} where a record is due.")
    try:
        found = number(result, key)
    except Rejected as problem:
        raise VenueError(f"{method}: {problem}.") from None
    if found <= least:
        raise VenueError(f"{method}: {key} {found:g} is not above {least:g}.")
    return found


def _records(result: Any, method: str, rejects: Rejects) -> Iterator[tuple[dict[str, Any], "_Note"]]:
    """The records of a list, each with the way to reject it."""
    if not isinstance(result, list):
        raise VenueError(f"{method} answered {type(result).__name__} where a list is due.")
    for row in result:
        if isinstance(row, dict):
            yield row, _Note(row, rejects)
        else:
            rejects.add(Reason.NOT_A_RECORD, row)


class _Note:
    """Rejects one row."""

    __slots__ = ("_rejects", "_row")

    def __init__(self, row: Mapping[str, Any], rejects: Rejects) -> None:
        self._row = row
        self._rejects = rejects

    def __call__(self, reason: Reason, fact: str = "") -> None:
        self._rejects.add(reason, self._row.get("instrument_name"), fact)
