"""Bid, ask and mark of a table of others, each contract's in the currency that it is paid in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.market import price_unit
from greekdrift.market.contract_columns import Contracts, are_linear
from greekdrift.market.schema import PRICES
from greekdrift.market.sheet import Sheet

Rows = Float[ndarray, " row"]
UNITS = ("coin", "usd")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """Forward and index of each row where the table says them, and which column the index is."""

    forward: Rows | None
    spot: Rows | None
    spot_theirs: str

    def base(self, count: int) -> Rows:
        """The forward of each row, or the index where there is none."""
        for one in (self.forward, self.spot):
            if one is not None:
                return np.where(one > price_unit.SMALLEST, one, np.nan)
        return np.full(count, np.nan)


def levels(sheet: Sheet, of: Contracts) -> Levels:
    """Forward and index where theirs; a "forward" that never differs between expiries is the index."""
    forward = sheet.numbers("forward_price_usd") if "forward_price_usd" in sheet.of else None
    index = sheet.numbers("index_price_usd") if "index_price_usd" in sheet.of else None
    theirs = sheet.of.get("index_price_usd", "")
    if (
        forward is not None
        and index is None
        and "forward_price_usd" not in sheet.given
        and _is_flat(sheet, of, forward)
    ):
        forward, index, theirs = None, forward, sheet.of["forward_price_usd"]
    spot = None if index is None else np.where(index == 0.0, np.nan, index)
    return Levels(forward=forward, spot=spot, spot_theirs=theirs)


def _is_flat(sheet: Sheet, of: Contracts, forward: Rows) -> bool:
    """Whether every snapshot with several expiries has one forward."""
    frame = pd.DataFrame({"at": sheet.at, "of": of.underlying, "expiry": of.expiry, "forward": forward})
    groups = frame.dropna().groupby(["at", "of"])
    expiries, found = groups["expiry"].agg(["min", "max"]), groups["forward"].agg(["min", "max"])
    several = expiries["min"] < expiries["max"]
    return bool(several.any()) and bool((found["min"] == found["max"])[several].all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quoted:
    """Prices by name in each row's own currency, which rows are in coins, and how the columns were read."""

    price: Mapping[str, Rows]
    is_coin: Bool[ndarray, " row"]
    how: Mapping[str, str]


def quoted(sheet: Sheet, of: Contracts, at: Levels) -> Quoted:
    """Bid, ask and mark in one unit each; a column that says its unit is believed, and judged at the end."""
    said = {price: [unit for unit in UNITS if f"{price}_price_{unit}" in sheet.of] for price in PRICES}
    plain = [price for price in PRICES if not said[price] and f"{price}_price" in sheet.of]
    made = {price: _both(sheet, of, at, price, units) for price, units in said.items() if units}
    raw = {price: sheet.numbers(f"{price}_price") for price in plain}
    unit, judged = _unit(sheet, of, at, list(raw.values())) if plain else ("", "")
    is_inverse = of.is_inverse
    if is_inverse is None:
        paid = unit or ("coin" if any("coin" in units for units in said.values()) else "usd")
        is_inverse = np.full(len(sheet), paid == "coin")
    is_coin = is_inverse & of.is_option
    made |= {price: _in_own(values, of, at, is_coin, unit) for price, values in raw.items()}
    how = {price: _how(said[price], unit, judged, of, is_coin) for price in PRICES}
    return Quoted(price={price: made[price] for price in PRICES if price in made}, is_coin=is_coin, how=how)


def _both(sheet: Sheet, of: Contracts, at: Levels, price: str, units: Sequence[str]) -> Rows:
    """A price whose columns say their unit; the file's own form keeps both."""
    raw = {unit: sheet.numbers(f"{price}_price_{unit}") for unit in units}
    inverse = of.is_inverse if of.is_inverse is not None else np.full(len(sheet), "coin" in raw)
    none, base = np.full(len(sheet), np.nan), at.base(len(sheet))
    coin, usd = raw.get("coin", none), raw.get("usd", none)
    is_coin = inverse & of.is_option
    own = np.where(is_coin, coin, usd)
    with np.errstate(over="ignore"):  # a price without bound is refused with its row
        return np.where(np.isnan(own), np.where(is_coin, usd / base, coin * base), own)


def _in_own(values: Rows, of: Contracts, at: Levels, is_coin: Bool[ndarray, " row"], unit: str) -> Rows:
    """Plain prices in the price currency of each contract; futures and perpetuals are in USD."""
    base = at.base(len(values))
    if unit == "coin":
        return np.where(of.is_option & ~is_coin, values * base, values)
    return np.where(of.is_option & is_coin, values / base, values)


def _unit(sheet: Sheet, of: Contracts, at: Levels, raw: Sequence[Rows]) -> tuple[str, str]:
    """The unit of plain prices, by plausibility, else that of the contracts; and how it was told."""
    found = price_unit.judged(
        middle(raw),
        forward=at.base(len(sheet)),
        strike=of.strike,
        is_call=of.is_call,
        years=sheet.years(of.expiry),
        volatility=sheet.rows.get("mark_iv"),
    )
    if found.unit:
        return found.unit, f" {found.fact},"
    return _unit_of_contracts(sheet, of, found.fact), ""


def _unit_of_contracts(sheet: Sheet, of: Contracts, fact: str) -> str:
    """The unit that the contracts themselves have, where names say it and all say the same."""
    if of.is_inverse is not None:
        if np.all(of.is_inverse[of.is_option]):
            return "coin"
        if not np.any(of.is_inverse[of.is_option]):
            return "usd"
    elif are_linear(sheet.venue):
        return "usd"
    plain = next(f"{price}_price" for price in PRICES if f"{price}_price" in sheet.of)
    theirs = sheet.of[plain]
    raise DataError(
        f"{sheet.where}: whether {theirs} is in the coin or in USD cannot be told ({fact}); say so with "
        f"--map {theirs}={plain}_coin or --map {theirs}={plain}_usd."
    )


def _how(units: Sequence[str], plain_unit: str, judged: str, of: Contracts, is_coin: Bool[ndarray, " row"]) -> str:
    unit = units[0] if len(units) == 1 else ("" if units else plain_unit)
    judged = "" if units else judged
    if unit == "usd" and np.any(is_coin):
        return f"USD{judged} / forward, since the contract is paid in the coin"
    if unit == "coin" and np.any(of.is_option & ~is_coin):
        return f"coins{judged} × forward, since the contract is paid in USD"
    return "as it is" if units else f"{'coins' if unit == 'coin' else 'USD'}{judged} as they are"


def middle(columns: Sequence[Rows]) -> Rows:
    """The mean of what is quoted, by row; NaN where nothing is.

    >>> middle([np.array([1.0, np.nan]), np.array([3.0, np.nan])])
    array([ 2., nan])
    """
    stacked = np.array(columns)
    count = np.sum(~np.isnan(stacked), axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)


def keep(sheet: Sheet, of: Quoted, mark: Rows, mark_how: str) -> None:
    """Puts prices into the two columns that a chain file has for each; a side that nobody quotes is empty."""
    unit = "coin" if np.any(of.is_coin) else "usd"
    for price in ("bid", "ask"):
        if price not in of.price and f"{price}_iv" not in sheet.rows:
            sheet.put(f"{price}_price_{unit}", np.full(len(sheet), np.nan), "no column: not quoted", "", theirs="–")
    for price, values in {**of.price, "mark": mark}.items():
        units = [unit for unit in UNITS if f"{price}_price_{unit}" in sheet.of]
        theirs = " + ".join(sheet.of[f"{price}_price_{unit}"] for unit in units) or sheet.of.get(f"{price}_price", "–")
        how = mark_how if price == "mark" and mark_how else of.how[price]
        for unit, rows in (("coin", of.is_coin), ("usd", ~of.is_coin)):
            if np.any(rows):
                own = np.where(rows, values, np.nan)
                own = np.where(own == 0.0, np.nan, own) if price != "mark" else own
                sheet.put(f"{price}_price_{unit}", own, how, "coins" if unit == "coin" else "USD", theirs=theirs)
