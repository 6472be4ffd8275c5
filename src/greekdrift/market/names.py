"""Instrument names of others, as ours: OKX, ccxt and OCC forms beside those that `book.instrument` reads itself."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from greekdrift.book import Venue
from greekdrift.book.instrument import deribit_name, generic_name, parse
from greekdrift.errors import InstrumentError

FORMS = "BTC-27JUN25-100000-C, BTC-USD-250627-100000-C, BTC/USD:BTC-250627-100000-C or AAPL250620C00150000"

_OKX = re.compile(r"(?P<base>[A-Z0-9]+)-USD-(?:(?P<day>\d{6})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<side>[CP]))?|SWAP)")
_CCXT = re.compile(
    r"(?P<base>[A-Z0-9]+)/(?P<quote>[A-Z]+):(?P<settle>[A-Z0-9]+)"
    r"(?:-(?P<day>\d{6})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<side>[CP]))?)?"
)
_OCC = re.compile(r"(?P<base>[A-Z]{1,6}) *(?P<day>\d{6})(?P<side>[CP])(?P<strike>\d{8})")


def ours(name: str, *, venue: Venue) -> str:
    """Our name of a contract; an unknown form is refused with the forms that are read.

    A day without a clock expires at the venue's settlement hour. Coin-settled contracts (OKX's -USD- family, ccxt's
    BTC/USD:BTC) take the venue's own form, which fixes 08:00 UTC; another hour is refused.

    >>> from greekdrift.config import load_venue
    >>> ours("BTC-USD-250328-92000-C", venue=load_venue("deribit"))
    'BTC-28MAR25-92000-C'
    >>> ours("AAPL230616C00152500", venue=load_venue("equity"))
    'AAPL.USD-20230616T2100-152.5-C'
    """
    said = str(name).strip().upper()
    for pattern, settle in ((_OKX, None), (_CCXT, "settle")):
        match = pattern.fullmatch(said)
        if match is not None:
            paid_in = match["base"] if settle is None else match["settle"]
            return _crypto(match, currency="" if paid_in == match["base"] else paid_in, venue=venue)
    match = _OCC.fullmatch(said)
    if match is not None:
        expiry = _moment(match["day"], name, venue)
        return generic_name(match["base"], expiry, int(match["strike"]) / 1000.0, is_call=match["side"] == "C")
    try:
        return parse(said).name
    except InstrumentError:
        strange = str(name)[:60]
        raise InstrumentError(f'"{strange}" is not an instrument name; the forms read are {FORMS}.') from None


def readable(names: Iterable[str], *, venue: Venue) -> float:
    """Share of names that can be read."""
    found = []
    for name in names:
        try:
            ours(name, venue=venue)
        except InstrumentError:
            found.append(False)
        else:
            found.append(True)
    return sum(found) / len(found) if found else 0.0


def made(
    underlying: str, expiry: datetime, strike: float, *, is_call: bool, is_inverse: bool, currency: str = "USD"
) -> str:
    """Our name of an option that a table describes in columns.

    >>> made("BTC", datetime(2025, 6, 27, 8, tzinfo=UTC), 1e5, is_call=True, is_inverse=True)
    'BTC-27JUN25-100000-C'
    """
    if not is_inverse:
        return generic_name(underlying, expiry, strike, is_call=is_call, currency=currency)
    name = deribit_name(underlying, expiry, strike, is_call=is_call)
    if parse(name).expiry != expiry:
        raise InstrumentError(
            f"{name}: a coin-settled option expires at 08:00 UTC, this one at {expiry:%H:%M}; correct the expiry."
        )
    return name


def _crypto(match: re.Match[str], *, currency: str, venue: Venue) -> str:
    base = match["base"]
    if match["day"] is None:
        return f"{base}_{currency}-PERPETUAL" if currency else f"{base}-PERPETUAL"
    expiry = _moment(match["day"], match.string, venue)
    strike = None if match["strike"] is None else float(match["strike"])
    name = deribit_name(base, expiry, strike, is_call=match["side"] == "C", currency=currency)
    if parse(name).expiry != expiry:
        raise InstrumentError(f"{match.string}: {venue.name} settles at {expiry:%H:%M} UTC, not at 08:00; map columns.")
    return name


def _moment(day: str, name: str, venue: Venue) -> datetime:
    try:
        return datetime.strptime(day, "%y%m%d").replace(hour=venue.settlement_hour_utc, tzinfo=UTC)
    except ValueError:
        raise InstrumentError(f'{name}: "{day}" is not a date; it is read as yymmdd.') from None
