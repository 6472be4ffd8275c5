"""The compiled loops of a revaluation: cells of contracts, and books as weights times cells without storing them.

Each exists in strict mode (the same bits on every machine) and, ending in `_contracted`, with fused multiply-adds.
No slice is assigned to: that compiles, for many times its own time, the text of an error that cannot happen.
Blocks of scenarios are those of `moved_kernel`; `pack` is a `strips.Packed`, `terms` its strips at each horizon.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy import ndarray

from greekdrift.greeks.compiled import contracted, strict
from greekdrift.surface.moved_kernel import (
    CHUNK,
    DELTA,
    DENSITY,
    EXPIRED,
    FADING,
    GROWTH,
    LANES,
    MOVE,
    N_CELLS,
    N_LANES,
    PER_S,
    ROOT_YEARS,
    SHRINK,
    STATE,
    TIME_VALUE,
    VOLATILITY,
    K,
    fill_lanes,
    fill_prices,
    fill_volatility,
)

(MOVED_FORWARD, MOVED_VOLATILITY, PRICE, VALUE_USD, VALUE_COIN, DELTA_USD, DELTA_NET, GAMMA, VEGA, THETA, PNL_USD,
 PNL_COIN, N_SLOTS) = range(13)  # fmt: skip
"""What `cubes` writes, each into the slot of that number; a slot of −1 is left out."""

N_COLUMNS = 5
"""Value, delta, gamma, vega and theta: what `books` adds up, in this order."""

MOVED, WORTH, COIN, USD, STEP_DELTA, INDEX, N_SHARED = range(7)
"""Rows of `shared`, of one contract in every lane: F′, worth per F′, in coins and USD; its delta; the index."""

QUAD = 4
"""Entries that are added to a pair of accounts in one pass."""


@register_jitable(forceinline=True)
def write_cubes(increments: ndarray, terms: ndarray, pack: Any, size: ndarray, index: ndarray, start_usd: ndarray,
                start_coin: ndarray, slots: ndarray, out: ndarray) -> None:  # fmt: skip
    """The slots asked for of every option row, `out` with axes (slot, scenario, horizon, row); other rows are left."""
    lanes, cells = np.empty((N_LANES, LANES)), np.zeros((N_CELLS, CHUNK * LANES))
    knot, shared = np.empty(CHUNK * LANES, dtype=np.uint64), np.empty((N_SHARED, LANES))
    total, tile = increments.shape[0], np.zeros((out.shape[0], out.shape[3], LANES))
    for start in range(0, total, LANES):
        for horizon in range(increments.shape[1]):
            for strip in range(pack.underlying.size):
                term, smile = terms[strip, horizon], pack.smile[strip]
                fill_lanes(increments[:, :, pack.underlying[strip]], start, total, horizon, term, smile, lanes)
                for lane in range(LANES):
                    shared[INDEX, lane] = index[min(start + lane, total - 1), horizon, pack.underlying[strip]]
                stop = pack.begin[strip + 1]
                for first in range(pack.begin[strip], stop, CHUNK):
                    rows = min(CHUNK, stop - first)
                    fill_chunk(pack, strip, first, rows, lanes, term, smile, knot, cells)
                    for row in range(rows):
                        for side in range(2):
                            to = pack.call[first + row] if side == 0 else pack.put[first + row]
                            if to >= 0:
                                fill_side(pack, strip, first + row, row, side, size[to], term, lanes, cells, shared)
                                fill_row(to, row, size[to], start_usd, start_coin, term, cells, shared, slots, tile)
            write_tile(pack, start, horizon, tile, out)


@register_jitable
def fill_side(pack: Any, strip: int, entry: int, row: int, side: int, size: float, term: ndarray, lanes: ndarray,
              cells: ndarray, shared: ndarray) -> None:  # fmt: skip
    """Moved forward, worth and delta of a call (side 0) or put in every lane, from its out-of-the-money cells."""
    ratio, origin = pack.strike_ratio[entry], pack.forward[entry]
    is_inverse, alive = pack.is_inverse[strip], 1.0 if term[STATE] > EXPIRED else 0.0
    below, above = (1.0, 0.0) if side == 0 else (0.0, -1.0)
    for lane in range(LANES):
        at = row * LANES + lane
        moved = origin * lanes[GROWTH, lane]
        inside = 1.0 - ratio * lanes[SHRINK, lane]
        step = below if cells[K, at] < 0.0 else above
        gain = step * inside
        worth = size * (cells[TIME_VALUE, at] + gain)
        shared[MOVED, lane] = moved
        shared[WORTH, lane] = worth
        shared[COIN, lane] = worth if is_inverse else 0.0
        shared[USD, lane] = worth * shared[INDEX, lane] if is_inverse else worth * moved
        shared[STEP_DELTA, lane] = alive * size * (cells[DELTA, at] + step)


@register_jitable
def fill_row(to: int, row: int, size: float, start_usd: ndarray, start_coin: ndarray, term: ndarray, cells: ndarray,
             shared: ndarray, slots: ndarray, tile: ndarray) -> None:  # fmt: skip
    """The slots of one contract in every lane."""
    alive, years, low = term[STATE] > EXPIRED, term[ROOT_YEARS], row * LANES
    decay = -0.5 * size / years if alive else 0.0
    for lane in range(LANES):
        tile[slots[MOVED_FORWARD], to, lane] = shared[MOVED, lane]
        tile[slots[MOVED_VOLATILITY], to, lane] = cells[VOLATILITY, low + lane]
    if slots[PRICE] >= 0:
        for lane in range(LANES):
            tile[slots[PRICE], to, lane] = shared[WORTH, lane] * shared[MOVED, lane]
    if slots[VALUE_USD] >= 0:
        for lane in range(LANES):
            tile[slots[VALUE_USD], to, lane] = shared[USD, lane]
    if slots[VALUE_COIN] >= 0:
        for lane in range(LANES):
            tile[slots[VALUE_COIN], to, lane] = shared[COIN, lane]
    if slots[DELTA_USD] >= 0:
        for lane in range(LANES):
            tile[slots[DELTA_USD], to, lane] = shared[STEP_DELTA, lane]
    if slots[DELTA_NET] >= 0:
        for lane in range(LANES):
            tile[slots[DELTA_NET], to, lane] = shared[STEP_DELTA, lane] - shared[COIN, lane] if alive else 0.0
    if slots[GAMMA] >= 0:
        for lane in range(LANES):
            density = size * cells[DENSITY, low + lane] * cells[PER_S, low + lane]
            tile[slots[GAMMA], to, lane] = density / shared[MOVED, lane]
    if slots[VEGA] >= 0:
        for lane in range(LANES):
            tile[slots[VEGA], to, lane] = size * years * cells[DENSITY, low + lane] * shared[MOVED, lane]
    if slots[THETA] >= 0:
        for lane in range(LANES):
            density = cells[DENSITY, low + lane] * cells[VOLATILITY, low + lane]
            tile[slots[THETA], to, lane] = decay * density * shared[MOVED, lane]
    if slots[PNL_USD] >= 0:
        for lane in range(LANES):
            tile[slots[PNL_USD], to, lane] = shared[USD, lane] - start_usd[to]
    if slots[PNL_COIN] >= 0:
        for lane in range(LANES):
            tile[slots[PNL_COIN], to, lane] = shared[COIN, lane] - start_coin[to]


@register_jitable
def write_tile(pack: Any, start: int, horizon: int, tile: ndarray, out: ndarray) -> None:
    """A block of all option rows to its place, scenario by scenario."""
    for slot in range(out.shape[0]):
        for lane in range(min(LANES, out.shape[1] - start)):
            for row in pack.rows:
                out[slot, start + lane, horizon, row] = tile[slot, row, lane]


@register_jitable
def fill_chunk(pack: Any, strip: int, first: int, rows: int, lanes: ndarray, term: ndarray, smile: ndarray,
               knot: ndarray, cells: ndarray) -> None:  # fmt: skip
    """Volatilities and prices of some rows of a strip; settled rows have neither, fading ones no price."""
    if term[STATE] == EXPIRED:
        for row in range(rows):
            for lane in range(LANES):
                at = row * LANES + lane
                cells[K, at] = pack.log_moneyness[first + row] - lanes[MOVE, lane]
                cells[VOLATILITY, at] = pack.mark_iv[first + row]
                cells[TIME_VALUE, at] = 0.0
                cells[DELTA, at] = 0.0
                cells[DENSITY, at] = 0.0
                cells[PER_S, at] = 0.0
        return
    knots = slice(pack.curve_begin[strip], pack.curve_begin[strip + 1])
    table = pack.table[pack.table_begin[strip] : pack.table_begin[strip + 1]]
    fill_volatility(pack.log_moneyness, first, rows, lanes, smile, pack.knots[knots], pack.residuals[knots],
                    pack.slopes[knots], table, pack.steps[strip], pack.per_bucket[strip], knot, cells)  # fmt: skip
    if term[STATE] != FADING:
        fill_prices(pack.strike_ratio, first, rows, lanes, term[ROOT_YEARS], cells)


@register_jitable(forceinline=True)
def write_books(increments: ndarray, terms: ndarray, pack: Any, calls: ndarray, puts: ndarray, value_slot: ndarray,
                settled_slot: ndarray, values: int, runs: ndarray, out: ndarray) -> None:  # fmt: skip
    """Sums over the option entries of weights times cells, `out` with axes (slot, horizon, account, scenario).

    `calls` and `puts` are contracts times size by (account, entry), an even number of accounts. The first `values`
    slots take values: `value_slot` and, once it has expired, `settled_slot` say which one a strip's goes to, in coins
    if the strip is inverse, else in USD. The others take Greeks: each of `runs` is the first and the last but one of
    some neighbouring columns (1 delta, 2 gamma, 3 vega, 4 theta) and the slot of the first. Strips within the
    settlement window are left out. Weights of a call and a put of one strike are added before they meet the cells;
    what the side in the money differs by hangs on the number of strikes below the moved forward alone, and is read
    from cumulated weights.
    """
    lanes, cells = np.empty((N_LANES, LANES)), np.zeros((N_CELLS, CHUNK * LANES))
    knot, accounts, strips = np.empty(CHUNK * LANES, dtype=np.uint64), calls.shape[0], pack.underlying.size
    slots, total, has_delta = out.shape[0], increments.shape[0], runs.shape[0] > 0 and runs[0, 0] == 1
    begin, entry_of, pair_weights = paired(calls, puts, pack)
    worth, strikes, count = cumulated(calls, puts, pack)
    columns = np.empty((longest(pack.begin), N_COLUMNS * LANES))
    sum_block, side_block = np.empty((accounts, slots * LANES)), np.empty((LANES, values + 1, accounts))
    for horizon in range(increments.shape[1]):
        for start in range(0, total, LANES):
            sum_block.fill(0.0)
            side_block.fill(0.0)
            for strip in range(strips):
                term, smile = terms[strip, horizon], pack.smile[strip]
                if term[STATE] == FADING:
                    continue
                fill_lanes(increments[:, :, pack.underlying[strip]], start, total, horizon, term, smile, lanes)
                slot = settled_slot[strip] if term[STATE] == EXPIRED else value_slot[strip]
                add_inside(pack, strip, term, lanes, worth, strikes, count, slot, values, side_block)
                if term[STATE] == EXPIRED:
                    continue
                low, stop = pack.begin[strip], pack.begin[strip + 1]
                for first in range(low, stop, CHUNK):
                    rows = min(CHUNK, stop - first)
                    fill_chunk(pack, strip, first, rows, lanes, term, smile, knot, cells)
                    fill_columns(pack.forward, pack.is_inverse[strip], term[ROOT_YEARS], first, rows, lanes, cells,
                                 first - low, columns)  # fmt: skip
                add_pairs(begin[strip], entry_of, pair_weights, columns, 0, 1, slot, sum_block)
                for run in range(runs.shape[0]):
                    add_pairs(begin[strip], entry_of, pair_weights, columns, runs[run, 0], runs[run, 1], runs[run, 2],
                              sum_block)  # fmt: skip
            write_block(start, horizon, values + int(has_delta), sum_block, side_block, out)


@register_jitable
def longest(edges: ndarray) -> int:
    """The largest distance of two edges in turn."""
    most = 0
    for at in range(edges.size - 1):
        most = max(most, edges[at + 1] - edges[at])
    return most


@register_jitable
def paired(calls: ndarray, puts: ndarray, pack: Any) -> tuple[ndarray, ndarray, ndarray]:
    """Entries with a weight in either account of a pair, by strip and pair: edges, entry within its strip, weights.

    Filled up with weights of 0 to a multiple of QUAD, so that every pass is whole.
    """
    accounts, strips = calls.shape[0], pack.underlying.size
    begin = np.zeros((strips, accounts // 2 + 1), dtype=np.int64)
    most = (accounts // 2) * (calls.shape[1] + QUAD * strips)
    entry_of, pair_weights = np.zeros(most, dtype=np.uint64), np.zeros((most, 2))
    at = 0
    for strip in range(strips):
        low = pack.begin[strip]
        for pair in range(accounts // 2):
            begin[strip, pair] = at
            for entry in range(low, pack.begin[strip + 1]):
                one = calls[2 * pair, entry] + puts[2 * pair, entry]
                two = calls[2 * pair + 1, entry] + puts[2 * pair + 1, entry]
                if one != 0.0 or two != 0.0:
                    entry_of[at], pair_weights[at, 0], pair_weights[at, 1] = entry - low, one, two
                    at += 1
            at += -at % QUAD
        begin[strip, accounts // 2] = at
    return begin, entry_of, pair_weights


@register_jitable
def cumulated(calls: ndarray, puts: ndarray, pack: Any) -> tuple[ndarray, ndarray, ndarray]:
    """What the sides in the money are worth when j entries of a strip lie below the moved forward, by account.

    Calls below less puts above: Σ w f, Σ w f K/F and Σ w, with f = 1 for inverse strips and F for linear ones. Strip i
    and j stand at row begin[i] + i + j.
    """
    strips, accounts = pack.underlying.size, calls.shape[0]
    shape = (calls.shape[1] + strips, accounts)
    worth, strikes, count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for strip in range(strips):
        low, stop = pack.begin[strip], pack.begin[strip + 1]
        for account in range(accounts):
            for entry in range(low, stop):
                factor = 1.0 if pack.is_inverse[strip] else pack.forward[entry]
                ratio, weight = pack.strike_ratio[entry], calls[account, entry]
                to = entry + strip + 1
                worth[to, account] = worth[to - 1, account] + weight * factor
                strikes[to, account] = strikes[to - 1, account] + weight * factor * ratio
                count[to, account] = count[to - 1, account] + weight
            above, above_strikes, above_count = 0.0, 0.0, 0.0
            for entry in range(stop - 1, low - 1, -1):
                factor = 1.0 if pack.is_inverse[strip] else pack.forward[entry]
                weight, to = puts[account, entry], entry + strip
                above += weight * factor
                above_strikes += weight * factor * pack.strike_ratio[entry]
                above_count += weight
                worth[to, account] -= above
                strikes[to, account] -= above_strikes
                count[to, account] -= above_count
    return worth, strikes, count


@register_jitable
def add_inside(pack: Any, strip: int, term: ndarray, lanes: ndarray, worth: ndarray, strikes: ndarray, count: ndarray,
               slot: int, values: int, side_block: ndarray) -> None:  # fmt: skip
    """Adds intrinsic values and unit deltas of the sides in the money, in every lane."""
    low, stop = pack.begin[strip], pack.begin[strip + 1]
    own = pack.log_moneyness[low:stop]
    for lane in range(LANES):
        below = np.searchsorted(own, lanes[MOVE, lane]) + low + strip
        shrink = lanes[SHRINK, lane]
        scale = 1.0 if pack.is_inverse[strip] else lanes[GROWTH, lane]
        for account in range(worth.shape[1]):
            inside = worth[below, account] - strikes[below, account] * shrink
            side_block[lane, slot, account] += scale * inside
        if term[STATE] > EXPIRED:
            for account in range(worth.shape[1]):
                side_block[lane, values, account] += count[below, account]


@register_jitable
def fill_columns(forward: ndarray, is_inverse: bool, years: float, first: int, rows: int, lanes: ndarray,
                 cells: ndarray, to: int, columns: ndarray) -> None:  # fmt: skip
    """Cells of some rows in the units in which books add them up: value, delta, gamma, vega, theta, LANES of each."""
    for row in range(rows):
        origin, at, entry = forward[first + row], row * LANES, to + row
        per_origin, by_volatility, by_time = 1.0 / origin, origin * years, -0.5 * origin / years
        fixed, moving = (1.0, 0.0) if is_inverse else (0.0, origin)
        for lane in range(LANES):
            growth, density = lanes[GROWTH, lane], cells[DENSITY, at + lane]
            columns[entry, lane] = cells[TIME_VALUE, at + lane] * (fixed + moving * growth)
            columns[entry, LANES + lane] = cells[DELTA, at + lane]
            columns[entry, 2 * LANES + lane] = density * cells[PER_S, at + lane] * (per_origin * lanes[SHRINK, lane])
            columns[entry, 3 * LANES + lane] = density * (by_volatility * growth)
            columns[entry, 4 * LANES + lane] = density * cells[VOLATILITY, at + lane] * (by_time * growth)


@register_jitable
def add_pairs(begin: ndarray, entry_of: ndarray, weights: ndarray, columns: ndarray, low: int, high: int, slot: int,
              sum_block: ndarray) -> None:  # fmt: skip
    """Adds weights times columns low … high − 1 to all accounts from a slot on, in order of the entries."""
    source, goal = np.uint64(low * LANES), np.uint64(slot * LANES)
    for pair in range(begin.size - 1):
        one, two = 2 * pair, 2 * pair + 1
        for at in range(begin[pair], begin[pair + 1], QUAD):
            u0, u1, u2, u3 = weights[at, 0], weights[at + 1, 0], weights[at + 2, 0], weights[at + 3, 0]
            v0, v1, v2, v3 = weights[at, 1], weights[at + 1, 1], weights[at + 2, 1], weights[at + 3, 1]
            e0, e1, e2, e3 = entry_of[at], entry_of[at + 1], entry_of[at + 2], entry_of[at + 3]
            for step in range((high - low) * LANES):
                j = np.uint64(step)
                c0, c1 = columns[e0, source + j], columns[e1, source + j]
                c2, c3 = columns[e2, source + j], columns[e3, source + j]
                x, y = sum_block[one, goal + j], sum_block[two, goal + j]
                sum_block[one, goal + j] = (((x + u0 * c0) + u1 * c1) + u2 * c2) + u3 * c3
                sum_block[two, goal + j] = (((y + v0 * c0) + v1 * c1) + v2 * c2) + v3 * c3


@register_jitable
def write_block(start: int, horizon: int, sides: int, sum_block: ndarray, side_block: ndarray, out: ndarray) -> None:
    """Sums of one block to their place; what the sides in the money add belongs to the first slots."""
    for slot in range(out.shape[0]):
        for account in range(out.shape[2]):
            for lane in range(min(LANES, out.shape[3] - start)):
                side = side_block[lane, slot, account] if slot < sides else 0.0
                out[slot, horizon, account, start + lane] = sum_block[account, slot * LANES + lane] + side


@strict
def cubes(increments: ndarray, terms: ndarray, pack: Any, size: ndarray, index: ndarray, start_usd: ndarray,
          start_coin: ndarray, slots: ndarray, out: ndarray) -> None:  # fmt: skip
    """See `write_cubes`; strict."""
    write_cubes(increments, terms, pack, size, index, start_usd, start_coin, slots, out)


@contracted
def cubes_contracted(increments: ndarray, terms: ndarray, pack: Any, size: ndarray, index: ndarray, start_usd: ndarray,
                     start_coin: ndarray, slots: ndarray, out: ndarray) -> None:  # fmt: skip
    """See `write_cubes`; multiply-adds fused."""
    write_cubes(increments, terms, pack, size, index, start_usd, start_coin, slots, out)


@strict
def books(increments: ndarray, terms: ndarray, pack: Any, calls: ndarray, puts: ndarray, value_slot: ndarray,
          settled_slot: ndarray, values: int, runs: ndarray, out: ndarray) -> None:  # fmt: skip
    """See `write_books`; strict."""
    write_books(increments, terms, pack, calls, puts, value_slot, settled_slot, values, runs, out)


@contracted
def books_contracted(increments: ndarray, terms: ndarray, pack: Any, calls: ndarray, puts: ndarray, value_slot: ndarray,
                     settled_slot: ndarray, values: int, runs: ndarray, out: ndarray) -> None:  # fmt: skip
    """See `write_books`; multiply-adds fused."""
    write_books(increments, terms, pack, calls, puts, value_slot, settled_slot, values, runs, out)


@strict
def weighted(cube: ndarray, weights: ndarray, out: ndarray) -> None:
    """Adds cells (cell, row) times weights (row, account) to sums (cell, account), row by row; strict."""
    for cell in range(cube.shape[0]):
        for row in range(cube.shape[1]):
            for account in range(weights.shape[1]):
                out[cell, account] += cube[cell, row] * weights[row, account]
