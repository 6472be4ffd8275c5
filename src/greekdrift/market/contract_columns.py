"""Which contract each row of a table of others is on: by its name, else by underlying, expiry, strike and side."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.book import Kind, Settlement, Venue
from greekdrift.book.instrument import parse
from greekdrift.errors import DataError, InputError, InstrumentError
from greekdrift.market import names
from greekdrift.market.sheet import Sheet
from greekdrift.units import from_datetime64

SIDES = {
    **dict.fromkeys(("c", "call", "calls", "ce", "call option", "true", "1", "1.0"), True),
    **dict.fromkeys(("p", "put", "puts", "pe", "put option", "false", "0", "0.0", "-1", "-1.0"), False),
}
"""Words for a call (True) and a put (False), in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contracts:
    """The contract of each row; `name` and `is_inverse` are None where columns describe it and names are still to make.

    `strike` is NaN and `expiry` NaT where there is none (perpetuals, spot); `is_inverse` means paid in the coin.
    """

    name: Shaped[ndarray, " row"] | None
    underlying: Shaped[ndarray, " row"]
    expiry: Shaped[ndarray, " row"]
    strike: Float[ndarray, " row"]
    is_call: Bool[ndarray, " row"]
    is_inverse: Bool[ndarray, " row"] | None

    @property
    def is_option(self) -> Bool[ndarray, " row"]:
        """Rows with a strike."""
        return ~np.isnan(self.strike)


def contracts(sheet: Sheet) -> Contracts:
    """The contract of each row, noted in the sheet; a row that names none is refused."""
    return _named(sheet) if "instrument_name" in sheet.of else _described(sheet)


def _named(sheet: Sheet) -> Contracts:
    column = pd.Categorical(sheet.column("instrument_name").astype("string"))
    if np.any(column.codes < 0):
        row = int(np.argmax(column.codes < 0))
        raise DataError(f"{sheet.where}: row {row} has no {sheet.of['instrument_name']}; drop the row.")
    try:
        own = [names.ours(str(one), venue=sheet.venue) for one in column.categories]
    except InstrumentError as problem:
        raise DataError(
            f"{sheet.where}: {problem} Name the right column with --map yours=instrument_name, or strike, expiry "
            "and side: --map yours=strike_usd, expiry_ts_utc, option_type."
        ) from None
    parsed = [parse(one) for one in own]
    nat = np.datetime64("NaT", "us")
    expiry = np.array([nat if p.expiry is None else np.datetime64(p.expiry.replace(tzinfo=None), "us") for p in parsed])
    at = column.codes
    name = np.array(own, dtype=object)[at]
    how = "as they are" if list(own) == [str(one) for one in column.categories] else "in our form of names"
    sheet.put("instrument_name", name, how, "")
    return Contracts(
        name=name,
        underlying=np.array([p.underlying for p in parsed])[at],
        expiry=expiry.astype("datetime64[us]")[at],
        strike=np.array([np.nan if p.strike is None else p.strike for p in parsed])[at],
        is_call=np.array([bool(p.is_call) for p in parsed])[at],
        is_inverse=np.array([p.is_inverse for p in parsed])[at],
    )


def _described(sheet: Sheet) -> Contracts:
    for ours, what in (
        ("strike_usd", "the strike"), ("expiry_ts_utc", "the expiry"), ("option_type", "call or put"),
        ("underlying", "the underlying"),
    ):  # fmt: skip
        if ours not in sheet.of:
            raise sheet.missing(ours, f"{what}, since no column holds instrument names")
    strike = sheet.numbers("strike_usd")
    expiry, how = sheet.instants("expiry_ts_utc")
    is_bad = np.isnat(expiry) | ~(strike > 0.0) | np.isinf(strike)
    if np.any(is_bad):
        raise DataError(
            f"{sheet.where}: row {int(np.argmax(is_bad))} has no strike or no expiry ({int(is_bad.sum())} such "
            "rows); drop them."
        )
    is_call = _sides(sheet)
    said = sheet.column("underlying").astype(str).str.strip().str.upper()
    sheet.note("strike_usd", "as it is", "USD")
    sheet.note("expiry_ts_utc", how, "UTC")
    sheet.note("underlying", "as it is", "")
    return Contracts(
        name=None,
        underlying=said.str.lstrip("^$.").to_numpy(),
        expiry=expiry,
        strike=strike,
        is_call=is_call,
        is_inverse=None,
    )


def _sides(sheet: Sheet) -> np.ndarray:
    said = sheet.column("option_type").astype(str).str.strip().str.lower()
    is_call = said.map(SIDES)
    if is_call.isna().any():
        row = int(np.argmax(is_call.isna().to_numpy()))
        raise DataError(
            f'{sheet.where}: {sheet.of["option_type"]} of row {row} is "{said.iloc[row]}"; write call or put, or '
            "map another column with --map yours=option_type."
        )
    sheet.note("option_type", "call where call, C or true", "")
    return is_call.to_numpy(dtype=np.bool_)


def named(sheet: Sheet, of: Contracts, *, is_inverse: bool) -> None:
    """Puts our names of contracts that columns describe."""
    number, unique = pd.factorize(pd.MultiIndex.from_arrays([of.underlying, of.expiry, of.strike, of.is_call]))
    try:
        own = [
            names.made(
                str(underlying), from_datetime64(np.datetime64(expiry, "us")), float(strike), is_call=bool(is_call),
                is_inverse=is_inverse,
            )
            for underlying, expiry, strike, is_call in unique
        ]  # fmt: skip
    except InstrumentError as problem:
        raise DataError(f"{sheet.where}: {problem}") from None
    paid = "in the coin" if is_inverse else "in USD"
    sheet.put(
        "instrument_name", np.array(own, dtype=object)[number], f"made of the columns, paid {paid}", "",
        theirs=" + ".join(sheet.of[one] for one in ("underlying", "expiry_ts_utc", "strike_usd", "option_type")),
    )  # fmt: skip


def are_linear(venue: Venue) -> bool:
    """Whether a venue has options, and none that are paid in the coin."""
    options = [one for one in venue.products if one.kind is Kind.OPTION]
    return bool(options) and all(one.settlement is Settlement.LINEAR for one in options)


def lists(venue: Venue, *, underlyings: set[str], instruments: set[str]) -> bool:
    """Whether a venue file has a product for options on these underlyings, and for these instruments.

    >>> from greekdrift.config import load_venue
    >>> lists(load_venue("deribit"), underlyings={"SPX"}, instruments=set())
    False
    """
    options = {one.underlying for one in venue.products if one.kind is Kind.OPTION}
    if "*" not in options and not underlyings <= options:
        return False
    try:
        for name in instruments:
            venue.product(parse(names.ours(name, venue=venue)))
    except InputError:
        return False
    return True
