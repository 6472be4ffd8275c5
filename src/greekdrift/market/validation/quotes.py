"""Checks of the quotes of one snapshot against each other: bid, ask, mark, volatility, forward, index, parity, delta.

Each check takes rows and yields the places where its rules are broken. Limits were set on 1.1 million recorded quotes;
the share of them beyond each is given.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book.chain import LARGEST_VOLATILITY
from greekdrift.greeks import compute
from greekdrift.market import agreement, plausible
from greekdrift.market.validation.finding import Hits, at_rows
from greekdrift.market.validation.rows import Column, Mask, Rows

ROUNDING = 1e-9
"""Prices closer than this, in their own unit, are equal."""
OFF_TICK = 1e-4
"""Share of a tick that a price may lie off it."""
REPRICING = 1e-3
"""Largest usual |Black(mark_iv) − mark| per max(1, K/F)."""
MARK_PARITY = 2e-3
"""Largest usual |C − P − (1 − K/F)| of marks per max(1, K/F)."""
INDEX_GAP = 0.01
"""Largest usual distance of a row's index from the median of its snapshot."""
FORWARD_GAP = 0.001
"""The same of a forward and the median of its expiry."""
LOG_BASIS = 0.1
"""Largest usual |ln F/S|."""
DELTA_GAP = 0.02
"""Largest usual difference between the recorded delta and that of mark_iv and forward."""


def check(rows: Rows) -> Iterator[Hits]:
    """Every rule of this page."""
    yield from two_sides(rows)
    yield from marks(rows)
    yield from levels(rows)
    yield from parity(rows)
    yield from deltas(rows)


def two_sides(rows: Rows) -> Iterator[Hits]:
    """Crossed, locked, between two ticks, below intrinsic or above what the option can pay."""
    bid, ask = rows.bid, rows.ask
    is_two_sided = (bid > 0.0) & (ask > 0.0)
    is_crossed = is_two_sided & (bid > ask * (1.0 + ROUNDING))
    yield at_rows("crossed", rows, is_crossed, figure=bid, limit=ask)
    yield at_rows("locked", rows, is_two_sided & ~is_crossed & (bid >= ask * (1.0 - ROUNDING)), figure=bid, limit=ask)
    for price in (bid, ask):
        tick = rows.tick(price)
        with np.errstate(over="ignore", invalid="ignore"):  # a price without bound is on no tick
            off = np.abs(price / tick - np.round(price / tick))
        yield at_rows("off_tick", rows, rows.is_priced & (off > OFF_TICK), figure=price, limit=tick)
    intrinsic = np.maximum(np.where(rows.is_call, 1.0, -1.0) * (rows.forward - rows.strike), 0.0) * rows.worth
    is_below = rows.is_option & (ask < intrinsic - rows.tick(ask))
    yield at_rows("below_intrinsic", rows, is_below, figure=ask, limit=intrinsic)
    bound = np.where(rows.is_call, rows.forward, rows.strike) * rows.worth * (1.0 + 1e-6)
    for price in (rows.mark, bid):
        yield at_rows("above_bound", rows, rows.is_option & (price > bound), figure=price, limit=bound)


def marks(rows: Rows) -> Iterator[Hits]:
    """Marks outside bid and ask; volatilities in points, or that give another price than the mark."""
    far = rows.unit * ROUNDING
    for is_out, side in ((rows.mark < rows.bid - far, rows.bid), (rows.mark > rows.ask + far, rows.ask)):
        yield at_rows("mark_outside", rows, is_out, figure=rows.mark, limit=side)
    known = rows.is_option & np.isfinite(rows.mark_iv)
    median = pd.Series(np.where(known, rows.mark_iv, np.nan)).groupby(rows.number).transform("median").to_numpy()
    is_points = known & (median > plausible.LARGEST_MEDIAN_VOLATILITY)
    yield at_rows("volatility_in_points", rows, is_points, figure=median, limit=plausible.LARGEST_MEDIAN_VOLATILITY)
    is_bad = known & ~is_points & (rows.mark_iv >= LARGEST_VOLATILITY)
    yield at_rows("bad_volatility", rows, is_bad, figure=rows.mark_iv, limit=LARGEST_VOLATILITY)
    gap = repricing(rows, known & ~is_points & ~is_bad)
    largest = plausible.LARGEST_MARK_GAP
    yield at_rows("iv_contradicts", rows, gap > largest, figure=gap, limit=largest)
    yield at_rows("iv_mismatch", rows, (gap > REPRICING) & (gap <= largest), figure=gap, limit=REPRICING)


def repricing(rows: Rows, is_on: Mask) -> Column:
    """|Black(mark_iv) − mark| per max(1, K/F) of the currency of the price; NaN where a row is left out."""
    at = np.flatnonzero(is_on & (rows.years >= 0.0))
    gap = np.full(len(rows), np.nan)
    _, gap[at] = agreement.repricing(
        rows.mark[at],
        rows.mark_iv[at],
        forward=rows.forward[at],
        strike=rows.strike[at],
        time_to_expiry=rows.years[at],
        is_call=rows.is_call[at],
        is_inverse=rows.is_coin[at],
    )
    return gap


def levels(rows: Rows) -> Iterator[Hits]:
    """Index and forward against those of the other rows of the snapshot and expiry, and against each other."""
    middle = _median(rows.index, [rows.number, rows.underlying])
    yield at_rows("no_index", rows, np.isnan(middle), figure=np.nan, limit=np.nan)
    index = agreement.gap(rows.index, middle)
    yield from _two_steps("index", rows, index, INDEX_GAP, plausible.LARGEST_INDEX_GAP)
    is_dated = ~np.isnat(rows.expiry)
    usual = _median(rows.forward, [rows.group])
    forward = np.where(is_dated, agreement.gap(rows.forward, usual), np.nan)
    yield from _two_steps("forward", rows, forward, FORWARD_GAP, plausible.LARGEST_FORWARD_GAP)
    basis = agreement.log_basis(rows.forward, middle)
    yield from _two_steps("basis", rows, basis, LOG_BASIS, plausible.LARGEST_LOG_BASIS)
    linear = np.where(rows.is_option, np.nan, agreement.gap(rows.mark, rows.forward))
    is_far = linear > plausible.LARGEST_FORWARD_GAP
    yield at_rows("linear_mark_far", rows, is_far, figure=linear, limit=plausible.LARGEST_FORWARD_GAP)


def _two_steps(name: str, rows: Rows, figure: Column, usual: float, largest: float) -> Iterator[Hits]:
    yield at_rows(f"{name}_far", rows, figure > largest, figure=figure, limit=largest)
    yield at_rows(f"{name}_gap", rows, (figure > usual) & (figure <= largest), figure=figure, limit=usual)


def _median(values: Column, keys: list[ndarray]) -> Column:
    return pd.Series(values).groupby(keys).transform("median").to_numpy()


def parity(rows: Rows) -> Iterator[Hits]:
    """C − P = (F − K) in USD, over F in coins: within bid and ask of the two, and of the marks.

    What a break beyond the quotes is worth must exceed a tick of each side and the distance of the two rows' forwards.
    """
    call, put = pairs(rows)
    if not call.size:
        return
    forward, unit = 0.5 * (rows.forward[call] + rows.forward[put]), rows.unit[call]
    due = (forward - rows.strike[call]) * rows.worth[call]
    low, high = rows.bid[call] - rows.ask[put], rows.ask[call] - rows.bid[put]
    excess = np.fmax(low - due, due - high)
    slack = np.abs(rows.forward[call] - rows.forward[put]) * rows.worth[call]
    tick = np.fmax(rows.tick(rows.ask)[call], rows.tick(rows.ask)[put])
    tick = np.where(np.isnan(tick), 0.0, tick)
    yield _of_pairs("parity", rows, call, excess, tick + slack)
    gap = np.abs(rows.mark[call] - rows.mark[put] - due) / unit
    yield _of_pairs("parity_of_marks", rows, call, gap, np.full(call.size, MARK_PARITY))


def pairs(rows: Rows) -> tuple[ndarray, ndarray]:
    """Row numbers of the calls and puts of one snapshot, expiry and strike."""
    options = np.flatnonzero(rows.is_option)
    key = pd.DataFrame({"group": rows.group[options], "strike": rows.strike[options], "row": options})
    is_call = rows.is_call[options]
    joint = key[is_call].merge(key[~is_call], on=["group", "strike"], suffixes=("_call", "_put"))
    return joint["row_call"].to_numpy(), joint["row_put"].to_numpy()


def _of_pairs(rule: str, rows: Rows, call: ndarray, figure: Float[ndarray, " pair"], limit: ndarray) -> Hits:
    is_bad = np.zeros(len(rows), dtype=np.bool_)
    wide, bound = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    is_bad[call], wide[call], bound[call] = figure > limit, figure, limit
    return at_rows(rule, rows, is_bad, figure=wide, limit=bound)


def deltas(rows: Rows) -> Iterator[Hits]:
    """The recorded delta against N(d₁) of the row's own mark_iv and forward (minus one for puts)."""
    gap = delta_gap(rows)
    yield at_rows("greeks_late", rows, gap > DELTA_GAP, figure=gap, limit=DELTA_GAP)


def delta_gap(rows: Rows) -> Column:
    """|recorded delta − recomputed|; NaN where there is none."""
    on = rows.is_option & np.isfinite(rows.delta) & (rows.mark_iv > 0.0) & (rows.mark_iv < LARGEST_VOLATILITY)
    gap = np.full(len(rows), np.nan)
    gap[on] = np.abs(rows.delta[on] - delta(rows, on))
    return gap


def delta(rows: Rows, on: Mask) -> Column:
    """Delta of the forward of some rows, from mark_iv and forward."""
    found: Column = compute(
        ("delta",),
        forward=rows.forward[on],
        strike=rows.strike[on],
        volatility=rows.mark_iv[on],
        time_to_expiry=rows.years[on],
        is_call=rows.is_call[on],
    )["delta"]
    return found
