"""Rows of recorded chains as columns, sorted by snapshot: what every check of quotes looks at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.book import Venue
from greekdrift.book.instrument import parse
from greekdrift.market.ticks import prices
from greekdrift.units import SECONDS_PER_YEAR

Column = Float[ndarray, " row"]
Mask = Bool[ndarray, " row"]
Codes = Int[ndarray, " row"]

NOWHERE = -1
"""File and row of something that is absent."""

SCATTERED = 3.0
"""With fewer rows a stamp than this on average, stamps are those of rows, not of snapshots."""
ONE_SNAPSHOT = np.timedelta64(120, "s")
"""Scattered stamps closer to their predecessor than this are one snapshot."""
TOGETHER = np.timedelta64(0, "s")
"""All other stamps are one snapshot where they are the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows that can be read, in order of time; prices in coins where `is_coin`, else in USD.

    `moment` is the snapshot (the last of its stamps), `number` counts snapshots from 0, `years` to expiry (infinite
    where none) from the row's own stamp. `event` is the venue's own stamp of a row, NaT where it is not recorded.
    `group` numbers underlying and expiry within a snapshot. `tick` gives the steps of a row's product. NaN is
    absent.
    """

    moment: Shaped[ndarray, " row"]
    number: Codes
    name: Codes
    names: Shaped[ndarray, " name"]
    underlying: Codes
    underlyings: tuple[str, ...]
    expiry: Shaped[ndarray, " row"]
    group: Codes
    strike: Column
    years: Column
    is_call: Mask
    is_option: Mask
    is_coin: Mask
    is_priced: Mask
    bid: Column
    ask: Column
    mark: Column
    mark_iv: Column
    forward: Column
    index: Column
    delta: Column
    known_at: Shaped[ndarray, " row"]
    event: Shaped[ndarray, " row"]
    product: Codes
    steps: tuple[tuple[tuple[float, float], ...], ...]
    file: Codes
    row: Codes

    def __len__(self) -> int:
        return self.moment.size

    def name_of(self, at: Codes) -> ndarray:
        """Instrument names of row numbers."""
        return self.names[self.name[at]]

    def tick(self, price: Column) -> Column:
        """The tick that holds at a price of each row."""
        tick = np.full(len(self), np.nan)
        for number, steps in enumerate(self.steps):
            own = self.product == number
            above = np.array([step[0] for step in steps])
            size = np.array([step[1] for step in steps])
            tick[own] = size[np.maximum(np.searchsorted(above, price[own] + 1e-12, side="right") - 1, 0)]
        return tick

    @property
    def unit(self) -> Column:
        """What prices are measured against: the larger of F and K, in the currency of the price."""
        largest = np.maximum(self.forward, np.where(self.is_option, self.strike, self.forward))
        return np.where(self.is_coin, largest / self.forward, largest)

    @property
    def worth(self) -> Column:
        """One USD in the currency of the price."""
        return np.where(self.is_coin, 1.0 / self.forward, 1.0)


def rows_of(quotes: pd.DataFrame, extra: pd.DataFrame, *, venue: Venue, join: np.timedelta64 = TOGETHER) -> Rows:
    """Columns of quotes as `market.schema` reads them, and of the same rows `file`, `row`, `delta` and `event`.

    Stamps no further apart than `join` are one snapshot.
    """
    stamps = quotes["snapshot_ts_utc"].to_numpy(dtype="datetime64[us]")
    moment, number = _snapshots(stamps, join)
    names = quotes["instrument_name"].array
    underlying = quotes["underlying"].array
    expiry = quotes["expiry_ts_utc"].to_numpy(dtype="datetime64[us]")
    is_option = ~np.isnan(quotes["strike"].to_numpy())
    product, steps = _steps(names, venue)
    columns: dict[str, Any] = {name: quotes[name].to_numpy(dtype=np.float64) for name in ("bid", "ask", "mark")}
    years = (expiry - stamps).astype(np.float64) / (1e6 * SECONDS_PER_YEAR)
    columns["years"] = np.where(np.isnat(expiry), np.inf, years)
    is_priced = np.ones(len(quotes), dtype=np.bool_)
    for price in ("bid", "ask"):
        if f"{price}_iv" in quotes:
            is_priced[:] = False
            columns[price] = _priced(quotes, quotes[f"{price}_iv"].to_numpy(), columns["years"])
    known = quotes["known_at"].to_numpy(dtype="datetime64[us]") if "known_at" in quotes else np.full(len(quotes), "NaT")
    return Rows(
        moment=moment,
        number=number,
        name=np.asarray(names.codes, dtype=np.int64),
        names=np.asarray(names.categories, dtype=object),
        underlying=np.asarray(underlying.codes, dtype=np.int64),
        underlyings=tuple(str(one) for one in underlying.categories),
        expiry=expiry,
        group=_groups(number, np.asarray(underlying.codes), expiry),
        strike=quotes["strike"].to_numpy(),
        is_call=quotes["is_call"].to_numpy(),
        is_option=is_option,
        is_coin=quotes["is_inverse"].to_numpy() & is_option,
        is_priced=is_priced,
        mark_iv=quotes["mark_iv"].to_numpy(),
        forward=quotes["forward"].to_numpy(),
        index=quotes["index_price"].to_numpy(),
        delta=extra["delta"].to_numpy(dtype=np.float64),
        known_at=known.astype("datetime64[us]"),
        event=extra["event"].to_numpy(dtype="datetime64[us]"),
        product=product,
        steps=steps,
        file=extra["file"].to_numpy(dtype=np.int64),
        row=extra["row"].to_numpy(dtype=np.int64),
        **columns,
    )


def _snapshots(stamps: Shaped[ndarray, " row"], join: np.timedelta64) -> tuple[ndarray, Codes]:
    """Instant (the last stamp) and number of the snapshot of each row."""
    is_new = np.r_[stamps.size > 0, np.diff(stamps) > join][: stamps.size]
    number = np.cumsum(is_new) - 1
    last = np.r_[np.flatnonzero(is_new)[1:] - 1, stamps.size - 1] if stamps.size else np.empty(0, dtype=np.int64)
    return stamps[last][number], number


def _groups(number: Codes, underlying: Codes, expiry: ndarray) -> Codes:
    """One number for each snapshot, underlying and expiry."""
    return (
        pd.DataFrame({"n": number, "u": underlying, "e": expiry})
        .groupby(["n", "u", "e"], dropna=False)
        .ngroup()
        .to_numpy()
    )


def _steps(names: pd.Categorical, venue: Venue) -> tuple[Codes, tuple[tuple[tuple[float, float], ...], ...]]:
    known: dict[Any, int] = {}
    number = np.empty(len(names.categories), dtype=np.int64)
    for at, name in enumerate(names.categories):
        number[at] = known.setdefault(venue.product(parse(str(name))), len(known))
    return number[names.codes], tuple(((0.0, one.tick), *one.tick_steps) for one in known)


def _priced(quotes: pd.DataFrame, volatility: Column, years: Column) -> Column:
    """Prices of quoted volatilities; 0 or empty is no quote."""
    on = np.isfinite(volatility) & (volatility > 0.0) & np.isfinite(years)
    made = np.full(len(quotes), np.nan)
    column = {name: quotes[name].to_numpy()[on] for name in ("forward", "strike", "is_call", "is_inverse")}
    made[on] = prices(volatility=volatility[on], time_to_expiry=years[on], **column)
    return made
