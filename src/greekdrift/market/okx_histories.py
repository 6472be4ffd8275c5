"""Histories of OKX's coin-settled perpetuals through ccxt: closed candles and paid funding, and when each was known."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from greekdrift.errors import VenueError
from greekdrift.market.okx import Exchange, asked, milliseconds, moment_of, value_of

PAGE = 100
"""Candles or funding rates in one answer."""
_WORDS = {"m": "minutes", "h": "hours", "d": "days"}


def candles(
    exchange: Exchange, currency: str, *, timeframe: str, since: datetime, now: Callable[[], datetime]
) -> pd.DataFrame:
    """Closed candles of the coin-settled perpetual, oldest first; what is not there is missing, never filled.

    Columns: event_time_utc (opening), known_at_utc (closing), underlying, open, high, low, close in USD, and
    volume_coin: what ccxt gives for coin-settled contracts is their volume in the coin.
    """
    length = _length(timeframe)
    found: dict[int, list[float]] = {}
    step = int(length / timedelta(milliseconds=1))
    at, limit = int(since.timestamp() * 1000.0), now()
    while moment_of(at) + length <= limit:
        page = asked(exchange.fetch_ohlcv, f"{currency}/USD:{currency}", timeframe, at, PAGE)
        new = {opened: row for opened, row in _candles(page, currency) if opened >= at}
        found |= new
        # A page without a candle is a hole: what comes after it is asked for all the same.
        at = (max(new) if new else at + (PAGE - 1) * step) + step
    closed = [(opened, row) for opened, row in sorted(found.items()) if moment_of(opened) + length <= limit]
    prices = np.array([row for _, row in closed], dtype=np.float64).reshape(len(closed), 5)
    _check_candles(prices, currency)
    opened_at = [moment_of(opened) for opened, _ in closed]
    return pd.DataFrame(
        {
            "event_time_utc": pd.Series(opened_at, dtype="datetime64[us, UTC]"),
            "known_at_utc": pd.Series([one + length for one in opened_at], dtype="datetime64[us, UTC]"),
            "underlying": currency,
            **{name: prices[:, at] for at, name in enumerate(("open", "high", "low", "close", "volume_coin"))},
        }
    )


def funding(exchange: Exchange, currency: str, *, since: datetime, now: Callable[[], datetime]) -> pd.DataFrame:
    """Funding rates that the coin-settled perpetual has paid, oldest first, as a series known when they were paid.

    As far back as OKX still answers (three months), which is later than `since` may ask.

    Columns: event_time_utc, known_at_utc, underlying, name ("funding"), value (share of the notional).
    """
    found: dict[int, float] = {}
    earliest, limit = int(since.timestamp() * 1000.0), now()
    before = int(limit.timestamp() * 1000.0) + 1
    # OKX answers the newest rates before an instant, so that pages go back in time.
    while True:
        page = asked(
            exchange.fetch_funding_rate_history, f"{currency}/USD:{currency}", None, PAGE, {"after": str(before)}
        )
        new = {paid_at: rate for paid_at, rate in _rates(page, currency) if paid_at < before}
        found |= new
        if not new or min(new) <= earliest:
            break
        before = min(new)
    paid = [(one, rate) for one, rate in sorted(found.items()) if one >= earliest and moment_of(one) <= limit]
    moments = pd.Series([moment_of(one) for one, _ in paid], dtype="datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "event_time_utc": moments,
            "known_at_utc": moments,
            "underlying": currency,
            "name": "funding",
            "value": np.array([rate for _, rate in paid], dtype=np.float64),
        }
    )


def _candles(page: Any, currency: str) -> list[tuple[int, list[float]]]:
    """When each candle opened, in milliseconds, and its open, high, low, close and volume."""
    found = []
    for row in page if isinstance(page, list) else [page]:
        cells = [value_of(cell) for cell in row[:6]] if isinstance(row, list | tuple) else []
        opened = milliseconds(cells[0]) if cells else None
        if len(cells) < 6 or opened is None or any(cell is None for cell in cells):
            raise VenueError(f"okx answered a candle of {currency} that is none: {str(row)[:200]}.")
        found.append((opened, [cell for cell in cells[1:] if cell is not None]))
    return found


def _rates(page: Any, currency: str) -> list[tuple[int, float]]:
    """When each rate was paid, in milliseconds, and the rate."""
    found = []
    for row in page if isinstance(page, list) else [page]:
        said = row if isinstance(row, Mapping) else {}
        paid_at, rate = milliseconds(value_of(said.get("timestamp"))), value_of(said.get("fundingRate"))
        if paid_at is None or rate is None or not isfinite(rate):
            raise VenueError(f"okx answered a funding rate of {currency} that is none: {str(row)[:200]}.")
        found.append((paid_at, rate))
    return found


def _check_candles(prices: np.ndarray, currency: str) -> None:
    opened, high, low, close = (prices[:, at] for at in range(4))
    is_sound = (
        (low > 0.0) & (prices[:, 4] >= 0.0) & (low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close))
    )
    is_sound &= np.isfinite(prices).all(axis=1)
    if not np.all(is_sound):
        raise VenueError(f"okx answered a candle of {currency} whose prices {prices[~is_sound][0]} are in no order.")


def _length(timeframe: str) -> timedelta:
    """Length of a candle such as 1m, 4h or 1d."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if unit not in _WORDS or not number.isdigit() or int(number) == 0:
        raise VenueError(f'"{timeframe}" is no length of a candle; write 1m, 1h or 1d.')
    return timedelta(**{_WORDS[unit]: int(number)})
