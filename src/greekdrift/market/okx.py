"""OKX through ccxt: coin-settled option chains, and the next funding of the perpetual; public questions alone.

What ccxt is asked for are OKX's own answers, since its unified ones drop what a chain needs (the forward, and the
multiplier of a contract: 1 BTC there, 0.01 BTC in truth). Text is turned into numbers here; an empty text is missing.
Prices of options are in the coin, `fwdPx` and strikes in USD, volatilities fractions, stamps milliseconds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from math import isfinite
from typing import Any, Protocol

import numpy as np
import pandas as pd

from greekdrift.book import Chain, Venue
from greekdrift.book.instrument import Instrument, parse
from greekdrift.errors import InstrumentError, VenueError
from greekdrift.market import names, quality, schema
from greekdrift.units import datetime64, from_datetime64, stamp

TIMEOUT_SECONDS = 10.0

Reply = Mapping[str, Any]
Row = Mapping[str, Any]


class Exchange(Protocol):
    """What is used of `ccxt.okx`: methods that read what is public."""

    def public_get_public_instruments(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_public_opt_summary(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_public_mark_price(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_public_open_interest(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_market_tickers(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_market_index_tickers(self, params: Reply) -> Reply: ...  # noqa: D102
    def public_get_public_funding_rate(self, params: Reply) -> Reply: ...  # noqa: D102
    def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> Sequence[Sequence[float]]: ...  # noqa: D102
    def fetch_funding_rate_history(self, symbol: str, since: None, limit: int, params: Reply) -> Sequence[Row]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A chain, and how many contracts were left out of it by reason."""

    chain: Chain
    left_out: Mapping[str, int]


def public() -> Exchange:
    """The exchange, without an account; needs the extra `venues`."""
    ccxt: Any = import_module("ccxt")
    exchange: Exchange = ccxt.okx({"timeout": int(TIMEOUT_SECONDS * 1000.0), "enableRateLimit": True})
    return exchange


def snapshot(
    exchange: Exchange,
    currencies: Sequence[str],
    *,
    venue: Venue,
    now: Callable[[], datetime],
    oldest: timedelta = timedelta(minutes=1),
    drop: Sequence[str] = (),
) -> Snapshot:
    """The chain of some coins: options and the coin-settled perpetual, as of the latest stamp of an option.

    Known once the last answer has arrived, by `now`. A contract that is not live in the listing, has no mark, forward,
    volatility or stamp, or whose summary is older than `oldest` is left out and counted; terms that contradict its name
    refuse the snapshot. `drop` names filters of `market.quality`.
    """
    left_out: Counter[str] = Counter()
    rows = contracts(exchange, currencies, venue=venue, left_out=left_out)
    stamps = [row["stamp"] for row in rows if row["is_option"]]
    if not stamps:
        raise VenueError(f"okx answered no option of {', '.join(currencies)} that can be used ({dict(left_out)}).")
    newest = max(stamps)
    fresh = [row for row in rows if not row["is_option"] or newest - row["stamp"] <= oldest / timedelta(milliseconds=1)]
    left_out["stale"] += len(rows) - len(fresh)
    as_of = moment_of(newest)
    known_at = now()
    if known_at < as_of:
        raise VenueError(f"okx stamps its answers {stamp(as_of)}, after {stamp(known_at)} here; set this clock.")
    table = pd.DataFrame(fresh).drop(columns=["stamp", "is_option"])
    table = table.assign(
        snapshot_ts_utc=datetime64(as_of), known_at_utc=datetime64(known_at), origin="recorded", venue=venue.name
    )
    where = f"okx at {stamp(as_of)}"
    quotes, reports = quality.apply(schema.quotes(table, where=where), drop, where=where)
    left_out.update({report.filter: report.count for report in reports})
    chain = schema.chain_of(quotes, venue=venue, as_of=as_of, known_after=timedelta(0), where=where)
    return Snapshot(chain=chain, left_out=dict(sorted((+left_out).items())))


def contracts(
    exchange: Exchange, currencies: Sequence[str], *, venue: Venue, left_out: Counter[str]
) -> list[dict[str, Any]]:
    """Live options and the coin-settled perpetual of some coins, one row each in the columns of a chain file.

    Beside them stand `is_option`, `stamp` (ms, the venue's own), `bid_size` and `ask_size` (contracts). What cannot be
    used is counted in `left_out`.
    """
    rows: list[dict[str, Any]] = []
    for currency in currencies:
        rows += _options(exchange, currency, venue, left_out)
        rows.append(_perpetual(exchange, currency, venue))
    return rows


def next_funding(exchange: Exchange, currency: str) -> tuple[float, datetime]:
    """The rate that the coin-settled perpetual will pay next, as it stands, a share of the notional; and its stamp."""
    name = f"{currency}-USD-SWAP"
    row = _one(_rows(exchange.public_get_public_funding_rate, {"instId": name}), name)
    rate, moment = _number(row, "fundingRate"), _number(row, "ts")
    if not (isfinite(rate) and abs(rate) < 1.0 and moment > 0.0):
        raise VenueError(f"okx says a funding rate of {rate} of {name} at {row.get('ts')}; it cannot be used.")
    return rate, moment_of(moment)


def _options(exchange: Exchange, currency: str, venue: Venue, left_out: Counter[str]) -> list[dict[str, Any]]:
    family = {"uly": f"{currency}-USD"}
    listed = _rows(exchange.public_get_public_instruments, {"instType": "OPTION", **family})
    summary = _rows(exchange.public_get_public_opt_summary, family)
    marks = _rows(exchange.public_get_public_mark_price, {"instType": "OPTION", **family})
    tickers = _rows(exchange.public_get_market_tickers, {"instType": "OPTION", **family})
    interest = _rows(exchange.public_get_public_open_interest, {"instType": "OPTION", **family})
    index = _index(exchange, currency)
    rows = []
    for name, row in summary.items():
        terms = listed.get(name)
        if terms is None or terms.get("state") != "live":
            left_out["not listed"] += 1
            continue
        instrument = _instrument(name, terms, venue)
        mark = _number(marks.get(name, {}), "markPx")
        volatility, forward = _number(row, "markVol"), _number(row, "fwdPx")
        moment = _number(row, "ts")
        if not (volatility > 0.0 and forward > 0.0 and mark >= 0.0):
            left_out["no mark, forward or volatility"] += 1
            continue
        if not isfinite(moment):
            left_out["no stamp"] += 1
            continue
        rows.append(
            _row(
                instrument,
                size=_size(terms),
                prices={"mark": mark, **_quoted(tickers.get(name, {}))},
                reference=(volatility, forward, index),
                amounts=(interest.get(name, {}), tickers.get(name, {})),
                moment=moment,
            )
        )
    return rows


def _perpetual(exchange: Exchange, currency: str, venue: Venue) -> dict[str, Any]:
    """The row of the coin-settled perpetual; its mark is its forward."""
    name, kind = f"{currency}-USD-SWAP", {"instType": "SWAP", "uly": f"{currency}-USD"}
    terms = _one(_rows(exchange.public_get_public_instruments, kind), name)
    mark = _number(_one(_rows(exchange.public_get_public_mark_price, kind), name), "markPx")
    ticker = _one(_rows(exchange.public_get_market_tickers, kind), name)
    interest = _one(_rows(exchange.public_get_public_open_interest, kind), name)
    return _row(
        parse(names.ours(name, venue=venue)),
        size=_size(terms),
        prices={"mark": mark, **_quoted(ticker)},
        reference=(float("nan"), mark, _index(exchange, currency)),
        amounts=(interest, ticker),
        moment=_number(ticker, "ts"),
    )


def _row(
    instrument: Instrument,
    *,
    size: float,
    prices: Mapping[str, float],
    reference: tuple[float, float, float],
    amounts: tuple[Row, Row],
    moment: float,
) -> dict[str, Any]:
    """One contract in the columns of a chain file."""
    unit = "coin" if instrument.is_option else "usd"
    empty = {f"{price}_price_{one}": float("nan") for price in schema.PRICES for one in ("coin", "usd")}
    return {
        "instrument_name": instrument.name,
        "is_option": instrument.is_option,
        "stamp": moment,
        **empty,
        **{f"{price}_price_{unit}": value for price, value in prices.items()},
        "mark_iv": reference[0],
        "forward_price_usd": reference[1],
        "index_price_usd": reference[2],
        "open_interest_coin": _number(amounts[0], "oi") * size,
        "volume_24h_coin": _number(amounts[1], "vol24h") * size,
        "contract_size": size,
        "bid_size": _number(amounts[1], "bidSz"),
        "ask_size": _number(amounts[1], "askSz"),
    }


def _instrument(name: str, terms: Row, venue: Venue) -> Instrument:
    """Our contract of a listed option; terms that contradict the name are refused."""
    try:
        instrument = parse(names.ours(name, venue=venue))
    except InstrumentError as problem:
        raise VenueError(f"okx lists a contract that cannot be read: {problem}") from None
    strike, expiry = _number(terms, "stk"), _number(terms, "expTime")
    side = {"C": True, "P": False}.get(str(terms.get("optType")))
    said = (strike, moment_of(expiry) if isfinite(expiry) else None, side, str(terms.get("settleCcy")))
    if said != (instrument.strike, instrument.expiry, instrument.is_call, instrument.currency):
        raise VenueError(f"okx lists {name} with strike, expiry, side and currency {said}, which its name denies.")
    return instrument


def _size(terms: Row) -> float:
    """Coins of an option, USD of a perpetual: the contract's value times its multiplier."""
    size = _number(terms, "ctVal") * _number(terms, "ctMult")
    if not size > 0.0:
        raise VenueError(f"okx lists {terms.get('instId')} with a size of {size}; it cannot be used.")
    return size


def _quoted(ticker: Row) -> dict[str, float]:
    """Bid and ask; 0 is no quote."""
    found = {"bid": _number(ticker, "bidPx"), "ask": _number(ticker, "askPx")}
    return {name: value if value > 0.0 else float("nan") for name, value in found.items()}


def _index(exchange: Exchange, currency: str) -> float:
    name = f"{currency}-USD"
    price = _number(_one(_rows(exchange.public_get_market_index_tickers, {"instId": name}), name), "idxPx")
    if not price > 0.0:
        raise VenueError(f"okx has no index price of {name}.")
    return price


def _rows(call: Callable[[Reply], Reply], params: Reply) -> dict[str, Row]:
    """Rows of an answer by contract; an answer of another form is refused."""
    reply = asked(call, params)
    rows = reply.get("data") if isinstance(reply, Mapping) else None
    if not isinstance(rows, list) or str(reply.get("code")) != "0":
        raise VenueError(f"okx answered {dict(params)} with {str(reply)[:200]}, which holds no data.")
    found = {}
    for row in rows:
        if not isinstance(row, Mapping) or not isinstance(row.get("instId"), str):
            raise VenueError(f"okx answered {dict(params)} with a row that names no contract: {str(row)[:200]}.")
        found[row["instId"]] = row
    return found


def _one(rows: Mapping[str, Row], name: str) -> Row:
    if name not in rows:
        raise VenueError(f"okx did not answer for {name}.")
    return rows[name]


def asked(call: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of ccxt; its errors become ours, anything else goes through."""
    try:
        return call(*arguments)
    except Exception as problem:
        if type(problem).__module__.partition(".")[0] != "ccxt":
            raise
        fact = f"{type(problem).__name__}: {str(problem)[:300]}"
        raise VenueError(f"okx cannot be asked ({fact}); try again later.") from None


def _number(row: Row, name: str) -> float:
    """A number that OKX writes as text; absent, empty and NaN are missing."""
    text = row.get(name)
    if text is None or text == "":
        return float("nan")
    value = value_of(text)
    if value is None or abs(value) == float("inf"):
        raise VenueError(f"okx says {name} = {str(text)[:60]!r} of {row.get('instId')}, which is no number.")
    return value


def value_of(text: Any) -> float | None:
    """A number or the text of one; None where it is none."""
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        return None


def milliseconds(value: float | None) -> int | None:
    """A count of milliseconds since 1970 up to the year 2100; None where it is none."""
    is_one = value is not None and 0.0 <= value <= 4_102_444_800_000.0
    return int(value) if is_one and value is not None else None


def moment_of(since_1970: float) -> datetime:
    """The instant of a count of milliseconds."""
    counted = milliseconds(since_1970)
    if counted is None:
        raise VenueError(f"okx gives a time of {since_1970:g}, which counts no milliseconds from 1970 to 2100.")
    return from_datetime64(np.datetime64(counted, "ms"))
