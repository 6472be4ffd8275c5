"""Whether the numbers of one snapshot can be meant as they stand: units, and agreement of what says the same twice.

Wrong units cannot be seen in a single number, but in what the numbers say about each other. The tolerances are wide
(the largest deviations among 1.1 million recorded quotes are given): what they refuse is a mistake, not a market.
"""

from datetime import datetime

import numpy as np
import pandas as pd

from greekdrift.book.chain import LARGEST_VOLATILITY, years_to
from greekdrift.errors import DataError
from greekdrift.market import agreement

Columns = dict[str, np.ndarray]

LARGEST_MEDIAN_VOLATILITY = 5.0
"""Above it a column of volatilities is taken for points; the largest median of a recorded chain was 1.02."""

LARGEST_LOG_BASIS = 1.0
"""Above it a forward and its index are not in one unit; recorded: 0.05."""

LARGEST_INDEX_GAP = 0.1
"""Rows whose index lies farther than this from the others' do not mean one index; recorded: 0.027."""

LARGEST_FORWARD_GAP = 0.05
"""The same of the forwards of one expiry, and of the mark and forward of a linear contract; recorded: 0.0008."""

LARGEST_MARK_GAP = 0.1
"""Largest |Black(mark_iv) − mark| in coins per max(1, K/F); recorded: 0.006. Leaves room for discounted marks."""


def index(rows: pd.DataFrame, underlying: np.ndarray, *, where: str) -> dict[str, float]:
    """Index price by underlying, the median of its rows; empty cells are passed over, one that disagrees is refused."""
    given = rows["index_price"].to_numpy(dtype=np.float64)
    found = {}
    for name in np.unique(underlying):
        own = (underlying == name) & ~np.isnan(given)
        usable = given[own & (given > 0.0) & np.isfinite(given)]
        if usable.size == 0:
            raise DataError(f"{where}: index_price_usd of {name} is nowhere a positive number; add it.")
        middle = float(np.median(usable))
        is_bad = own & ~(agreement.gap(given, np.full(len(given), middle)) <= LARGEST_INDEX_GAP)
        if np.any(is_bad):
            at = int(np.argmax(is_bad))
            raise DataError(
                f"{where}: {rows['instrument_name'].iloc[at]}: index {given[at]:g} is not the {middle:g} of the other "
                f"rows{_more(is_bad)}; correct it or leave it empty."
            )
        found[str(name)] = middle
    return found


def check(rows: pd.DataFrame, columns: Columns, index: np.ndarray, *, as_of: datetime, where: str) -> None:
    """Refuses volatilities in points, prices in USD, and forwards and marks that contradict their neighbours.

    What is no number at all is left to `Chain`, which says so.
    """
    is_option = ~rows["strike"].isna().to_numpy()
    fractions(columns["mark_iv"][is_option], column="mark_iv", where=where)
    is_sound = (columns["forward"] > 0.0) & np.isfinite(columns["forward"])
    is_sound &= np.isfinite(columns["mark"])
    _one_forward(rows, columns, is_sound, where=where)
    _one_unit(rows, columns, index, is_sound, where=where)
    is_coin = is_option & is_sound & rows["is_inverse"].to_numpy()
    _coins(rows, columns, is_coin, where=where)
    _marks(rows, columns, is_option & is_sound, as_of=as_of, where=where)


def fractions(volatility: np.ndarray, *, column: str, where: str) -> None:
    """Refuses a column of volatilities that looks like points."""
    known = volatility[np.isfinite(volatility)]
    if known.size and np.median(known) > LARGEST_MEDIAN_VOLATILITY:
        raise DataError(
            f"{where}: the median {column} is {np.median(known):g}, which looks like points; divide by 100 "
            "(1.00 = 100 %)."
        )


def _one_forward(rows: pd.DataFrame, columns: Columns, is_sound: np.ndarray, *, where: str) -> None:
    """All rows of one expiry have one forward, and the mark of a linear contract is its forward."""
    forward, mark = columns["forward"], columns["mark"]
    expiry = rows["expiry_ts_utc"]
    middle = pd.Series(forward).groupby([rows["underlying"].to_numpy(), expiry.to_numpy()], observed=True)
    usual = middle.transform("median").to_numpy()
    is_bad = is_sound & expiry.notna().to_numpy() & (agreement.gap(forward, usual) > LARGEST_FORWARD_GAP)
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(
            f"{where}: {rows['instrument_name'].iloc[at]}: forward {forward[at]:g} is not the {usual[at]:g} of its "
            f"expiry{_more(is_bad)}; correct it."
        )
    is_linear = rows["strike"].isna().to_numpy()
    is_bad = is_sound & is_linear & (agreement.gap(mark, forward) > LARGEST_FORWARD_GAP)
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(
            f"{where}: {rows['instrument_name'].iloc[at]}: mark {mark[at]:g} is not its forward {forward[at]:g}"
            f"{_more(is_bad)}; correct one of them."
        )


def _one_unit(rows: pd.DataFrame, columns: Columns, index: np.ndarray, is_sound: np.ndarray, *, where: str) -> None:
    forward = np.where(is_sound, columns["forward"], index)
    is_bad = agreement.log_basis(forward, index) > LARGEST_LOG_BASIS
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(
            f"{where}: {rows['instrument_name'].iloc[at]} has a forward of {forward[at]:g} and an index of "
            f"{index[at]:g}; give both in USD per coin."
        )


def _coins(rows: pd.DataFrame, columns: Columns, is_coin: np.ndarray, *, where: str) -> None:
    """A price in coins above what the option can be worth is one in USD; of asks, which are free to be silly, half."""
    bound = _largest(rows, columns) * (1.0 + agreement.ROUNDING)
    for price, what in (("mark", "a mark"), ("bid", "a bid"), ("ask", "an ask")):
        quoted = is_coin & np.isfinite(columns[price])
        is_bad = quoted & (columns[price] > bound)
        if np.sum(is_bad) > (0.5 * np.sum(quoted) if price == "ask" else 0.0):
            at = int(np.argmax(is_bad))
            raise DataError(
                f"{where}: {rows['instrument_name'].iloc[at]} has {what} of {columns[price][at]:g} coin, above the "
                f"most that it can be worth ({bound[at]:.4g}; {int(np.sum(is_bad))} such rows): a price in USD? "
                "Divide by the forward."
            )


def _marks(rows: pd.DataFrame, columns: Columns, is_on: np.ndarray, *, as_of: datetime, where: str) -> None:
    """A mark and its volatility say the same thing twice."""
    years = years_to(rows["expiry_ts_utc"].to_numpy(), as_of)
    volatility = columns["mark_iv"]
    at = np.flatnonzero(is_on & (volatility >= 0.0) & (volatility < LARGEST_VOLATILITY) & (years >= 0.0))
    made, gap = agreement.repricing(
        columns["mark"][at],
        volatility[at],
        forward=columns["forward"][at],
        strike=rows["strike"].to_numpy()[at],
        time_to_expiry=years[at],
        is_call=rows["is_call"].to_numpy()[at],
        is_inverse=rows["is_inverse"].to_numpy()[at],
    )
    is_bad = gap > LARGEST_MARK_GAP
    if np.any(is_bad):
        worst = int(np.argmax(is_bad))
        row = at[worst]
        raise DataError(
            f"{where}: {rows['instrument_name'].iloc[row]}: mark_iv {volatility[row]:g} gives a price of "
            f"{made[worst]:.4g} but the mark is {columns['mark'][row]:.4g}{_more(is_bad)}; correct one of them "
            "(volatility 1.00 = 100 %)."
        )


def _largest(rows: pd.DataFrame, columns: Columns) -> np.ndarray:
    """The most coins that an option can be worth: 1 for a call, K/F for a put."""
    forward = np.where(columns["forward"] > 0.0, columns["forward"], np.nan)
    strike, is_call = rows["strike"].to_numpy(), rows["is_call"].to_numpy()
    return agreement.most_coins(forward=forward, strike=strike, is_call=is_call)


def _more(is_bad: np.ndarray) -> str:
    more = int(np.sum(is_bad)) - 1
    return f" ({more} more rows)" if more else ""
