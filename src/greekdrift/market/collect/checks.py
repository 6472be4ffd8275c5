"""Which rows of a snapshot can be meant as they stand, by comparison of what says the same thing twice.

Formulas and limits are those by which a chain file is read (`market.agreement`, `market.plausible`), applied row by
row: what passes here is read back without complaint, and what does not is rejected with its reason. `market.validation`
judges recorded chains more finely, and rejects nothing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.book.chain import LARGEST_VOLATILITY
from greekdrift.errors import DataError
from greekdrift.market import agreement, plausible
from greekdrift.market.collect.rejects import Reason, Rejects

Column = Float[ndarray, " row"]
Mask = Bool[ndarray, " row"]

SMALLEST_MEDIAN_VOLATILITY = 0.02
"""Below it (2 %) a chain's volatilities were divided once too often: the venue changed its unit."""

LARGEST_ASK = 1e9
"""Asks are free to be silly, but above this (coins or USD) they are no prices and nothing can be computed of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Rows of a snapshot as columns; prices as in `book.Chain`, `event_age` in seconds before the snapshot."""

    names: Shaped[ndarray, " row"]
    underlying: Shaped[ndarray, " row"]
    is_option: Mask
    is_call: Mask
    strike: Column
    years: Column
    event_age: Column
    bid: Column
    ask: Column
    mark: Column
    mark_iv: Column
    forward: Column
    index: Column

    def keep(self, rows: Mask) -> "Columns":
        """The rows of a mask."""
        return Columns(**{name: getattr(self, name)[rows] for name in self.__slots__})


def passing(rows: Columns, rejects: Rejects, *, oldest: float, newest: float) -> Mask:
    """Rows that pass every rule; the first rule that a row breaks is noted.

    `oldest` and `newest`: seconds that a row's own stamp may lie before and after the snapshot.
    """
    keep = np.ones(len(rows.names), dtype=np.bool_)
    with np.errstate(all="ignore"):
        bound = _most(rows) * (1.0 + agreement.ROUNDING)
        rules = (
            (Reason.STALE, ~(rows.event_age <= oldest), rows.event_age),
            (Reason.AHEAD, rows.event_age < -newest, rows.event_age),
            (Reason.EXPIRED, ~(rows.years > 0.0), rows.years),
            (Reason.BAD_VOLATILITY, rows.is_option & ~(rows.mark_iv < LARGEST_VOLATILITY), rows.mark_iv),
            (Reason.CROSSED, rows.bid > rows.ask, rows.bid),
            (Reason.OFF_INDEX, _is_off_index(rows), rows.forward),
            (Reason.OFF_FORWARD, ~rows.is_option & _is_far(rows.mark, rows.forward), rows.mark),
            (Reason.BEYOND_BOUND, rows.is_option & ((rows.mark > bound) | (rows.bid > bound)), rows.mark),
            (Reason.BEYOND_BOUND, rows.ask > LARGEST_ASK, rows.ask),
        )
        for reason, is_bad, value in rules:
            _note(rows, keep, reason, is_bad, value, rejects)
        while np.any(is_off := _is_off_expiry(rows, keep)):
            _note(rows, keep, Reason.OFF_FORWARD, is_off, rows.forward, rejects)
        _note(rows, keep, Reason.OFF_VOLATILITY, _is_off_volatility(rows, keep), rows.mark, rejects)
    return keep


def check_unit(rows: Columns) -> None:
    """Refuses a snapshot whose volatilities or asks are, as a whole, in another unit than fractions and coins."""
    known = rows.mark_iv[rows.is_option]
    middle = float(np.median(known)) if known.size else np.nan
    if not SMALLEST_MEDIAN_VOLATILITY < middle < plausible.LARGEST_MEDIAN_VOLATILITY:
        raise DataError(
            f"the median mark_iv of {known.size} options is {middle:g} per 1.00; the venue gives per cent, so its unit "
            "changed or the chain is empty. Nothing was written."
        )
    asked = rows.is_option & np.isfinite(rows.ask)
    is_beyond = asked & (rows.ask > _most(rows))
    if 2 * np.sum(is_beyond) > np.sum(asked):
        raise DataError(
            f"{int(np.sum(is_beyond))} of {int(np.sum(asked))} asks are above what the option can be worth in coins; "
            "the venue changed its unit. Nothing was written."
        )


def _is_off_index(rows: Columns) -> Mask:
    return ~(agreement.log_basis(rows.forward, rows.index) <= plausible.LARGEST_LOG_BASIS)


def _most(rows: Columns) -> Column:
    return agreement.most_coins(forward=rows.forward, strike=rows.strike, is_call=rows.is_call)


def _is_far(value: Column, middle: Column) -> Mask:
    return ~(agreement.gap(value, middle) <= plausible.LARGEST_FORWARD_GAP)


def _is_off_expiry(rows: Columns, keep: Mask) -> Mask:
    """Rows whose forward is not the median one of their coin and expiry, perpetuals (no expiry) aside."""
    at = np.flatnonzero(keep & np.isfinite(rows.years))
    is_bad = np.zeros(len(keep), dtype=np.bool_)
    if at.size == 0:
        return is_bad
    order = at[np.lexsort((rows.forward[at], rows.years[at], rows.underlying[at]))]
    is_first = (rows.underlying[order][1:] != rows.underlying[order][:-1]) | (np.diff(rows.years[order]) != 0.0)
    start = np.flatnonzero(np.r_[True, is_first])
    stop = np.r_[start[1:], order.size]
    forward = rows.forward[order]
    middle = 0.5 * (forward[(start + stop - 1) // 2] + forward[(start + stop) // 2])
    is_bad[order] = _is_far(forward, np.repeat(middle, stop - start))
    return is_bad


def _is_off_volatility(rows: Columns, keep: Mask) -> Mask:
    """Options whose mark is not the Black price of their volatility."""
    at = np.flatnonzero(keep & rows.is_option)
    is_bad = np.zeros(len(keep), dtype=np.bool_)
    if at.size == 0:
        return is_bad
    _, gap = agreement.repricing(
        rows.mark[at],
        rows.mark_iv[at],
        forward=rows.forward[at],
        strike=rows.strike[at],
        time_to_expiry=rows.years[at],
        is_call=rows.is_call[at],
        is_inverse=np.ones(at.size, dtype=np.bool_),
    )
    is_bad[at] = ~(gap <= plausible.LARGEST_MARK_GAP)
    return is_bad


def _note(rows: Columns, keep: Mask, reason: Reason, is_bad: Mask, value: Column, rejects: Rejects) -> None:
    for at in np.flatnonzero(keep & is_bad):
        rejects.add(reason, str(rows.names[at]), f"{value[at]:.10g}")
    keep &= ~is_bad
