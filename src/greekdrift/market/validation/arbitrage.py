"""Static arbitrage in quotes that could be traded: verticals, butterflies, and total variance across expiries.

All prices of an expiry are put over one forward, c = C/F and κ = K/F (that is the price in coins), so that one formula
serves coin and USD. A gain counts from one tick on; fees are not taken off.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.market.validation.finding import Hits, at_rows
from greekdrift.market.validation.rows import Rows

CALENDAR = 0.05
"""Share of the total variance at the money by which a later expiry may be below an earlier one (interpolated)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """Options sorted by snapshot, expiry, side and strike; `side` numbers the runs. Prices over the forward."""

    at: Int[ndarray, " rung"]
    side: Int[ndarray, " rung"]
    is_call: Bool[ndarray, " rung"]
    moneyness: Float[ndarray, " rung"]
    bid: Float[ndarray, " rung"]
    ask: Float[ndarray, " rung"]
    tick: Float[ndarray, " rung"]


def check(rows: Rows) -> Iterator[Hits]:
    """Every rule of this page."""
    if not np.any(rows.is_option):
        return
    one = ladder(rows)
    for rule, gain in (
        ("vertical", vertical(one)),
        ("wide_vertical", wide_vertical(one)),
        ("butterfly", butterfly(one)),
    ):
        yield _of_rungs(rule, rows, one, gain)
    yield from calendar(rows)


def ladder(rows: Rows) -> Ladder:
    """The options of rows as a ladder."""
    options = np.flatnonzero(rows.is_option)
    at = options[np.lexsort((rows.strike[options], rows.is_call[options], rows.group[options]))]
    forward = pd.Series(rows.forward).groupby(rows.group).transform("median").to_numpy()[at]
    scale = np.where(rows.is_coin[at], 1.0, 1.0 / forward)
    is_new = np.diff(rows.group[at], prepend=-1) != 0
    is_new |= np.r_[True, rows.is_call[at][1:] != rows.is_call[at][:-1]]
    tick = np.fmax(rows.tick(rows.bid)[at], rows.tick(rows.ask)[at]) * scale
    return Ladder(
        at=at,
        side=np.cumsum(is_new),
        is_call=rows.is_call[at],
        moneyness=rows.strike[at] / forward,
        bid=rows.bid[at] * scale,
        ask=rows.ask[at] * scale,
        tick=np.where(np.isnan(tick), 0.0, tick),
    )


def vertical(one: Ladder) -> Float[ndarray, " rung"]:
    """Gain of a spread for less than nothing: a call's bid over the least ask of a lower strike; puts the other way."""
    of_calls = one.bid - _before(one, one.ask, "cummin")
    of_puts = _before(one, one.bid, "cummax") - one.ask
    return np.where(one.is_call, of_calls, of_puts)


def wide_vertical(one: Ladder) -> Float[ndarray, " rung"]:
    """Gain of a spread sold for more than κ₂ − κ₁, the most that it can pay."""
    of_calls = _before(one, one.bid + one.moneyness, "cummax") - (one.ask + one.moneyness)
    of_puts = (one.bid - one.moneyness) - _before(one, one.ask - one.moneyness, "cummin")
    return np.where(one.is_call, of_calls, of_puts)


def butterfly(one: Ladder) -> Float[ndarray, " rung"]:
    """Gain of selling the middle of three strikes and buying the nearest quoted ones beside it, weighted to κ."""
    table = pd.DataFrame({"ask": one.ask, "moneyness": np.where(np.isnan(one.ask), np.nan, one.moneyness)})
    groups = table.groupby(one.side)
    below = groups.shift().groupby(one.side).ffill()
    above = groups.shift(-1).groupby(one.side).bfill()
    weight = (above["moneyness"] - one.moneyness) / (above["moneyness"] - below["moneyness"])
    gain: Float[ndarray, " rung"] = (one.bid - weight * below["ask"] - (1.0 - weight) * above["ask"]).to_numpy()
    return gain


def _before(one: Ladder, values: ndarray, running: str) -> Float[ndarray, " rung"]:
    """The least or largest value among the lower strikes of the same side."""
    blank = np.inf if running == "cummin" else -np.inf
    filled = pd.Series(np.where(np.isnan(values), blank, values))
    best = getattr(filled.groupby(one.side), running)().groupby(one.side).shift().to_numpy()
    return np.where(np.isinf(best), np.nan, best)


def _of_rungs(rule: str, rows: Rows, one: Ladder, gain: ndarray) -> Hits:
    is_bad = np.zeros(len(rows), dtype=np.bool_)
    figure, limit = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    is_bad[one.at], figure[one.at], limit[one.at] = gain > one.tick * (1.0 + 1e-6), gain, one.tick
    return at_rows(rule, rows, is_bad, figure=figure, limit=limit)


def calendar(rows: Rows) -> Iterator[Hits]:
    """Total variance at the money by expiry, from the marks of the calls on either side of the forward.

    w = σ²τ does not fall with τ at one log-moneyness. Source: Gatheral & Jacquier (2014), lemma 2.1.
    """
    calls = np.flatnonzero(rows.is_option & rows.is_call & np.isfinite(rows.mark_iv))
    at = calls[np.lexsort((rows.strike[calls], rows.group[calls]))]
    distance = np.log(rows.strike[at] / rows.forward[at])
    variance = rows.mark_iv[at] ** 2 * rows.years[at]
    is_pair = (np.diff(rows.group[at]) == 0) & (distance[:-1] <= 0.0) & (distance[1:] > 0.0)
    lower = np.flatnonzero(is_pair)
    share = -distance[lower] / (distance[lower + 1] - distance[lower])
    money = variance[lower] + share * (variance[lower + 1] - variance[lower])
    row = at[lower]
    order = np.lexsort((rows.expiry[row], rows.underlying[row], rows.number[row]))
    row, money = row[order], money[order]
    is_next = (np.diff(rows.number[row]) == 0) & (np.diff(rows.underlying[row]) == 0)
    lost = 1.0 - money[1:] / money[:-1]
    figure = np.full(len(rows), np.nan)
    figure[row[1:][is_next]] = lost[is_next]
    yield at_rows("calendar", rows, figure > CALENDAR, figure=figure, limit=CALENDAR)
