"""What the fake venue says, in the fields and types that the venue documents: one function a document.

Source: docs.deribit.com, API 2.1.1. Prices of options are in coins, volatilities and the volatility index in per cent,
stamps in milliseconds since 1970. An absent quote is null in a summary and 0 in a ticker or an order book.
"""

import random
from datetime import datetime, timedelta
from math import isnan
from typing import Any

from tests.venue.clock import micros
from tests.venue.market import Market, Quotes

from greekdrift.book import Instrument, Kind

BEATS = 3
"""Order books change so many times a minute."""
LEVELS = 5
NEVER = 32_503_708_800_000
"""Expiration stamp of a perpetual."""

Json = dict[str, Any]


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return micros(moment) // 1000


def price(value: float) -> float | None:
    """A price, null where there is none."""
    return None if isnan(value) else float(value)


def amount(value: float) -> float:
    """A price or size, 0 where there is none."""
    return 0.0 if isnan(value) else float(value)


def summary(quotes: Quotes, currency: str, kind: str, moment: datetime) -> list[Json]:
    """`get_book_summary_by_currency` for "option" or "future"."""
    return [summary_row(quotes, at, moment) for at in quotes.rows(currency, is_option=kind == "option")]


def summary_row(quotes: Quotes, at: int, moment: datetime) -> Json:
    """One row of it."""
    one, mark = quotes.instruments[at], float(quotes.mark[at])
    bid, ask = price(quotes.bid[at]), price(quotes.ask[at])
    row: Json = {
        "instrument_name": one.name,
        "high": mark * 1.1,
        "low": mark * 0.9,
        "base_currency": one.underlying,
        "quote_currency": one.underlying if one.is_option else "USD",
        "volume": 3.0,
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": None if bid is None or ask is None else (bid + ask) / 2.0,
        "mark_price": mark,
        "last": mark,
        "open_interest": 12.5 if one.is_option else 125_000.0,
        "creation_timestamp": milliseconds(moment),
        "volume_usd": 210_000.0,
        "price_change": None,
    }
    if one.is_option:
        row |= _of_option(quotes, at)
    else:
        row["estimated_delivery_price"] = quotes.index[one.underlying]
        row["volume_notional"] = 210_000.0
    if one.kind is Kind.PERPETUAL:
        row |= _funding(quotes, one.underlying)
    return row


def _of_option(quotes: Quotes, at: int) -> Json:
    one = quotes.instruments[at]
    return {
        "mark_iv": round(100.0 * float(quotes.mark_iv[at]), 2),
        "interest_rate": 0.0,
        "underlying_price": float(quotes.forward[at]),
        "underlying_index": one.name.rsplit("-", 2)[0],
    }


def _funding(quotes: Quotes, currency: str) -> Json:
    return {"current_funding": 0.0, "funding_8h": quotes.funding[currency]}


def instruments(quotes: Quotes, currency: str) -> list[Json]:
    """`get_instruments`."""
    return [
        _instrument(one, float(quotes.contract_size[at]), at)
        for at, one in enumerate(quotes.instruments)
        if one.underlying == currency
    ]


def _instrument(one: Instrument, size: float, at: int) -> Json:
    row: Json = {
        "kind": "option" if one.is_option else "future",
        "settlement_currency": one.underlying,
        "counter_currency": "USD",
        "base_currency": one.underlying,
        "quote_currency": one.underlying if one.is_option else "USD",
        "min_trade_amount": 0.1 if one.is_option else size,
        "instrument_name": one.name,
        "instrument_id": 100_000 + at,
        "is_active": True,
        "settlement_period": "perpetual" if one.expiry is None else "month",
        "creation_timestamp": 1_534_167_754_000,
        "tick_size": 0.0001 if one.is_option else 0.5,
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}] if one.is_option else [],
        "expiration_timestamp": NEVER if one.expiry is None else milliseconds(one.expiry),
        "instrument_type": "reversed",
        "contract_size": int(size),
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "block_trade_commission": 0.00015,
        "block_trade_tick_size": 0.0001,
        "block_trade_min_trade_amount": 25,
        "price_index": f"{one.underlying.lower()}_usd",
        "state": "open",
    }
    if one.is_option:
        row |= {"strike": one.strike, "option_type": "call" if one.is_call else "put"}
    else:
        row |= {"max_leverage": 50, "max_liquidation_commission": 0.0075, "future_type": "reversed"}
    return row


def index_price(quotes: Quotes, index_name: str) -> Json:
    """`get_index_price`."""
    value = quotes.index[index_name.split("_", maxsplit=1)[0].upper()]
    return {"index_price": value, "estimated_delivery_price": value}


def volatility_index(market: Market, currency: str, moment: datetime) -> Json:
    """`get_volatility_index_data` in minutes: [opening, open, high, low, close] of the last two."""
    minute = market.at(moment).minute
    data = []
    for back in (1, 0):
        close = market.at(minute - timedelta(minutes=back)).dvol[currency]
        data.append([milliseconds(minute - timedelta(minutes=back)), close, close + 0.1, close - 0.1, close])
    return {"data": data, "continuation": None}


def ticker(quotes: Quotes, at: int, moment: datetime) -> Json:
    """`ticker`, as a reply and as a notice of the stream."""
    one, mark = quotes.instruments[at], float(quotes.mark[at])
    index = quotes.index[one.underlying]
    row: Json = {
        "instrument_name": one.name,
        "timestamp": milliseconds(moment),
        "state": "open",
        "stats": {"volume": 3.0, "low": mark * 0.9, "high": mark * 1.1, "price_change": None, "volume_usd": 210_000.0},
        "open_interest": 12.5 if one.is_option else 125_000.0,
        "best_bid_price": amount(quotes.bid[at]),
        "best_bid_amount": 0.0 if isnan(quotes.bid[at]) else 10.0,
        "best_ask_price": amount(quotes.ask[at]),
        "best_ask_amount": 0.0 if isnan(quotes.ask[at]) else 12.0,
        "index_price": index,
        "min_price": mark * 0.5,
        "max_price": mark * 1.5,
        "mark_price": mark,
        "last_price": mark,
        "settlement_price": mark,
        "estimated_delivery_price": index,
    }
    if one.is_option:
        greeks = {"delta": 0.5, "gamma": 1e-5, "rho": 1.0, "theta": -10.0, "vega": 20.0}
        row |= _of_option(quotes, at) | {"bid_iv": row_iv(quotes, at), "ask_iv": row_iv(quotes, at), "greeks": greeks}
    if one.kind is Kind.PERPETUAL:
        row |= _funding(quotes, one.underlying) | {"interest_value": 0.0028}
    return row


def row_iv(quotes: Quotes, at: int) -> float:
    """The mark's volatility in per cent."""
    return round(100.0 * float(quotes.mark_iv[at]), 2)


def order_book(market: Market, name: str, depth: int, moment: datetime) -> Json:
    """`get_order_book`: a ticker with levels."""
    quotes = market.at(moment)
    row = ticker(quotes, quotes.row_of[name], moment)
    change_id = change_at(quotes.minute, moment)
    bids, asks = levels(quotes, name, change_id)
    found = {key: value for key, value in row.items() if key not in {"interest_value", "estimated_delivery_price"}}
    return found | {
        "change_id": change_id,
        "bids": [[one, size] for one, size in bids.items()][:depth],
        "asks": [[one, size] for one, size in asks.items()][:depth],
    }


def beat(minute: datetime, number: int = 0) -> int:
    """Change identifier of an order book: one for each third of a minute."""
    return micros(minute) // 60_000_000 * BEATS + number


def change_at(minute: datetime, moment: datetime) -> int:
    """The change that an order book stands at: the second and third come one and two seconds into the minute."""
    return beat(minute, max(0, min(BEATS - 1, (moment - minute) // timedelta(seconds=1))))


def levels(quotes: Quotes, name: str, change_id: int) -> tuple[dict[float, float], dict[float, float]]:
    """Sizes by price of both sides as of a change, nearest first: the truth that order books are held against."""
    at = quotes.row_of[name]
    step = 0.0005 if quotes.instruments[at].is_option else 2.5
    rng = random.Random(f"{name}/{change_id}")
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for side, best, sign in zip(sides, (quotes.bid[at], quotes.ask[at]), (-1.0, 1.0), strict=True):
        for number in range(LEVELS):
            place = round(float(best) + sign * number * step, 6)
            if place > 0.0 and rng.random() < (1.0 if number == 0 else 0.8):
                side[place] = float(rng.randint(1, 500))
    return sides


def book_snapshot(quotes: Quotes, name: str, change_id: int, moment: datetime) -> Json:
    """The first notice of an order-book channel."""
    bids, asks = levels(quotes, name, change_id)
    return {
        "type": "snapshot",
        "instrument_name": name,
        "timestamp": milliseconds(moment),
        "change_id": change_id,
        "prev_change_id": None,
        "bids": [["new", one, size] for one, size in bids.items()],
        "asks": [["new", one, size] for one, size in asks.items()],
    }


def book_change(before: tuple[Quotes, int], after: tuple[Quotes, int], name: str, moment: datetime) -> Json:
    """A later notice: what changed between two books, each given as (market, change identifier)."""
    sides = [
        _changes(old, new)
        for old, new in zip(levels(before[0], name, before[1]), levels(after[0], name, after[1]), strict=True)
    ]
    return {
        "type": "change",
        "instrument_name": name,
        "timestamp": milliseconds(moment),
        "change_id": after[1],
        "prev_change_id": before[1],
        "bids": sides[0],
        "asks": sides[1],
    }


def _changes(old: dict[float, float], new: dict[float, float]) -> list[list[Any]]:
    gone = [["delete", one, 0.0] for one in old if one not in new]
    came = [["change" if one in old else "new", one, size] for one, size in new.items() if old.get(one) != size]
    return gone + came


def volatility_notice(quotes: Quotes, index_name: str, moment: datetime) -> Json:
    """A notice of the volatility index, in per cent."""
    value = quotes.dvol[index_name.split("_", maxsplit=1)[0].upper()]
    return {"timestamp": milliseconds(moment), "volatility": value, "index_name": index_name}


def reply(result: Any, moment: datetime, *, number: Any = None) -> Json:
    """The envelope of an answer."""
    stamp = micros(moment)
    body: Json = {"jsonrpc": "2.0", "result": result, "usIn": stamp, "usOut": stamp, "usDiff": 0, "testnet": False}
    return body if number is None else body | {"id": number}


def error(code: int, message: str, *, data: Any = None, number: Any = None) -> Json:
    """The envelope of an error."""
    found: Json = {"code": code, "message": message}
    body: Json = {"jsonrpc": "2.0", "error": found if data is None else found | {"data": data}, "testnet": False}
    return body if number is None else body | {"id": number}


def notice(channel: str, data: Json) -> Json:
    """The envelope of a subscription's message."""
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
