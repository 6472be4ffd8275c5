"""Instruments and their names: the venue's own form and a generic one.

Deribit form: BTC-27JUN25-100000-C, BTC-27JUN25, BTC-PERPETUAL (settled in the coin),
XRP_USDC-27JUN25-2d05-C, BTC_USDC-PERPETUAL (linear, settled in the currency after the underscore),
BTC_USDC (spot). A "d" in a strike is the decimal point.
Generic form, for everything else: AAPL.USD-20230616T2000-150-C, AAPL.USD-20230616T2000,
AAPL.USD-PERPETUAL, AAPL.USD-SPOT; times in UTC, always linear.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from math import isfinite

from greekdrift.errors import InstrumentError
from greekdrift.units import aware

DERIBIT_EXPIRY_HOUR = 8
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_PAIR = r"(?P<underlying>[A-Z0-9]+)(?:_(?P<currency>[A-Z]+))?"
_DERIBIT_DATED = re.compile(
    rf"{_PAIR}-(?P<day>\d{{1,2}})(?P<month>[A-Z]{{3}})(?P<year>\d{{2}})"
    r"(?:-(?P<strike>\d+(?:d\d+)?)-(?P<side>[CP]))?"
)
_DERIBIT_PERPETUAL = re.compile(rf"{_PAIR}-PERPETUAL")
_DERIBIT_SPOT = re.compile(r"(?P<underlying>[A-Z0-9]+)_(?P<currency>[A-Z]+)")
_GENERIC = re.compile(
    r"(?P<underlying>[A-Z0-9]+)\.(?P<currency>[A-Z]+)-"
    r"(?:(?P<word>SPOT|PERPETUAL)|(?P<moment>\d{8}T\d{4})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<side>[CP]))?)"
)


class Kind(StrEnum):
    """What kind of contract it is."""

    OPTION = "option"
    FUTURE = "future"
    PERPETUAL = "perpetual"
    SPOT = "spot"


class Settlement(StrEnum):
    """Inverse contracts pay in the coin itself, linear ones in money."""

    INVERSE = "inverse"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One listed contract. Strike in quote currency (USD-like); expiry in UTC.

    `currency` is what premium and settlement are paid in: the coin for inverse contracts.
    """

    name: str
    kind: Kind
    underlying: str
    settlement: Settlement
    currency: str
    expiry: datetime | None = None
    strike: float | None = None
    is_call: bool | None = None

    def __post_init__(self) -> None:
        is_option = self.kind is Kind.OPTION
        is_dated = self.kind in (Kind.OPTION, Kind.FUTURE)
        if is_option != (self.strike is not None) or is_option != (self.is_call is not None):
            raise InstrumentError(f"{self.name}: an option, and only an option, has a strike and a side.")
        if is_dated != (self.expiry is not None):
            raise InstrumentError(f"{self.name}: options and futures have an expiry, others have none.")
        if self.strike is not None and not (isfinite(self.strike) and self.strike > 0.0):
            raise InstrumentError(f"{self.name}: strike {self.strike} is not a positive number.")
        if self.strike is not None:
            object.__setattr__(self, "strike", float(self.strike))
        if self.expiry is not None:
            object.__setattr__(self, "expiry", aware(self.expiry))
        if (self.settlement is Settlement.INVERSE) != (self.currency == self.underlying):
            raise InstrumentError(
                f"{self.name}: an inverse contract is paid in {self.underlying}, "
                f"a linear one is not; got {self.settlement} in {self.currency}."
            )

    @property
    def is_option(self) -> bool:
        """True for calls and puts."""
        return self.kind is Kind.OPTION

    @property
    def is_inverse(self) -> bool:
        """True where premium and settlement are paid in the coin."""
        return self.settlement is Settlement.INVERSE


@lru_cache(maxsize=65_536)
def parse(name: str) -> Instrument:
    """The instrument that a name stands for; raises `InstrumentError` with the accepted forms.

    >>> option = parse("XRP_USDC-27JUN25-2d05-C")
    >>> option.strike, option.currency, str(option.settlement)
    (2.05, 'USDC', 'linear')
    >>> parse("BTC-27JUN25-100000-P").expiry
    datetime.datetime(2025, 6, 27, 8, 0, tzinfo=datetime.timezone.utc)
    """
    for pattern, build in (
        (_DERIBIT_DATED, _deribit_dated),
        (_DERIBIT_PERPETUAL, _deribit_perpetual),
        (_DERIBIT_SPOT, _deribit_spot),
        (_GENERIC, _generic),
    ):
        match = pattern.fullmatch(name)
        if match is not None:
            return build(name, match)
    raise InstrumentError(
        f'"{name}" is not an instrument name; write it like BTC-27JUN25-100000-C, BTC-PERPETUAL, '
        "XRP_USDC-27JUN25-2d05-C or, in the generic form, AAPL.USD-20230616T2000-150-C."
    )


def deribit_name(
    underlying: str, expiry: datetime, strike: float | None = None, *, is_call: bool = True, currency: str = ""
) -> str:
    """The venue's name of a dated contract; a strike of None names the future.

    >>> deribit_name("XRP", datetime(2025, 6, 27, 8, tzinfo=UTC), 2.05, currency="USDC")
    'XRP_USDC-27JUN25-2d05-C'
    """
    pair = f"{underlying}_{currency}" if currency else underlying
    day = aware(expiry)
    date = f"{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}"
    if strike is None:
        return f"{pair}-{date}"
    return f"{pair}-{date}-{_number(strike).replace('.', 'd')}-{'C' if is_call else 'P'}"


def generic_name(
    underlying: str, expiry: datetime, strike: float | None = None, *, is_call: bool = True, currency: str = "USD"
) -> str:
    """The generic name of a dated linear contract.

    >>> generic_name("AAPL", datetime(2023, 6, 16, 20, tzinfo=UTC), 150.0, is_call=False)
    'AAPL.USD-20230616T2000-150-P'
    """
    head = f"{underlying}.{currency}-{aware(expiry):%Y%m%dT%H%M}"
    return head if strike is None else f"{head}-{_number(strike)}-{'C' if is_call else 'P'}"


def _number(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _deribit_dated(name: str, match: re.Match[str]) -> Instrument:
    if match["month"] not in MONTHS:
        raise InstrumentError(f'{name}: "{match["month"]}" is not a month; use one of {", ".join(MONTHS)}.')
    year, month, day = 2000 + int(match["year"]), MONTHS.index(match["month"]) + 1, int(match["day"])
    try:
        expiry = datetime(year, month, day, DERIBIT_EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        raise InstrumentError(f"{name}: {day} {match['month']} {year} is not a date.") from None
    strike = None if match["strike"] is None else float(match["strike"].replace("d", "."))
    return _make(name, match["underlying"], match["currency"], expiry, strike, match["side"])


def _deribit_perpetual(name: str, match: re.Match[str]) -> Instrument:
    currency = match["currency"] or match["underlying"]
    return Instrument(
        name=name,
        kind=Kind.PERPETUAL,
        underlying=match["underlying"],
        settlement=_settlement(match["underlying"], currency),
        currency=currency,
    )


def _deribit_spot(name: str, match: re.Match[str]) -> Instrument:
    return Instrument(
        name=name,
        kind=Kind.SPOT,
        underlying=match["underlying"],
        settlement=Settlement.LINEAR,
        currency=match["currency"],
    )


def _generic(name: str, match: re.Match[str]) -> Instrument:
    if match["word"] is not None:
        return Instrument(
            name=name,
            kind=Kind(match["word"].lower()),
            underlying=match["underlying"],
            settlement=Settlement.LINEAR,
            currency=match["currency"],
        )
    try:
        expiry = datetime.strptime(match["moment"], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        raise InstrumentError(f"{name}: {match['moment']} is not a time; write it like 20230616T2000.") from None
    strike = None if match["strike"] is None else float(match["strike"])
    return _make(name, match["underlying"], match["currency"], expiry, strike, match["side"])


def _make(
    name: str, underlying: str, currency: str | None, expiry: datetime, strike: float | None, side: str | None
) -> Instrument:
    paid_in = currency or underlying
    return Instrument(
        name=name,
        kind=Kind.FUTURE if strike is None else Kind.OPTION,
        underlying=underlying,
        settlement=_settlement(underlying, paid_in),
        currency=paid_in,
        expiry=expiry,
        strike=strike,
        is_call=None if side is None else side == "C",
    )


def _settlement(underlying: str, currency: str) -> Settlement:
    return Settlement.INVERSE if underlying == currency else Settlement.LINEAR
