"""The drift net's draws, compiled: bent row by row, and given the mixtures' shape cell by cell.

A draw is first what the mean leaves, b = w x + o, then bent, (c + m b) + t b_forward, then moved by the mean. A cell
(horizon, underlying, factor) whose shape is trusted is laid out as a column, sorted once, and takes a share of the way
from b to the mixtures' quantiles. Each value is worked out in the order in which `deep.network.Correction.apply` and
`deep.mixture.joined` do it, so that it has their bits; here no second array of all draws is made.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.greeks.compiled import strict

NOTHING = -0.0
"""What leaves every number as it is when it is added, also zero's sign."""
MANTISSA_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@strict
def bent(drawn: ndarray, width: ndarray, offset: ndarray, scale: ndarray, centre: ndarray, tilt: ndarray,
         is_bent: bool, mean: ndarray, forward: int, places: ndarray, columns: ndarray) -> None:  # fmt: skip
    """Bends and moves every draw (scenario, horizon, underlying, factor) in place; what the mean leaves to `columns`.

    `places` (horizon, underlying, factor) says which column is a cell's, −1 for none.
    """
    n, horizons, underlyings, factors = drawn.shape
    left = np.empty(factors)
    for path in range(n):
        for h in range(horizons):
            for u in range(underlyings):
                for f in range(factors):
                    left[f] = width[h, u, f] * drawn[path, h, u, f] + offset[h, u, f]
                lead = left[forward]
                if is_bent:
                    for f in range(factors):
                        moved = (centre[h, u, f] + scale[h, u, f] * left[f]) + tilt[h, u, f] * lead
                        drawn[path, h, u, f] = moved + mean[h, u, f]
                else:
                    for f in range(factors):
                        drawn[path, h, u, f] = left[f] + mean[h, u, f]
                for f in range(factors):
                    if places[h, u, f] >= 0:
                        columns[places[h, u, f], path] = left[f]


@strict
def shaped(columns: ndarray, order: ndarray, share: ndarray, levels: ndarray, knots: ndarray, widest: ndarray,
           centre: ndarray, cumulated: ndarray) -> None:  # fmt: skip
    """Moves each column (cell, scenario) a share of the way to its mixtures' quantiles, ranks kept, in place.

    `order` as of `roughly_ordered`; `widest` and `centre` (mixture, cell) and `cumulated` (mixture, cell, knot) are the
    mixtures on their grid.
    """
    cells, n = columns.shape
    members, _, grid = cumulated.shape
    values = np.empty(n)
    for cell in range(cells):
        column, ranked = columns[cell], order[cell]
        for i in range(1, n):
            mine = ranked[i]
            at = i
            while at > 0:
                before = ranked[at - 1]
                if column[before] < column[mine] or (column[before] == column[mine] and before < mine):
                    break
                ranked[at] = before
                at -= 1
            ranked[at] = mine
        values[:] = 0.0
        for member in range(members):
            risen = cumulated[member, cell]
            first = 0
            for upper in range(1, grid):
                until = n
                if upper < grid - 1:
                    until = first
                    while until < n and levels[until] <= risen[upper]:
                        until += 1
                low, knot, gap = risen[upper - 1], knots[upper - 1], knots[upper] - knots[upper - 1]
                rise, middle, wide = max(risen[upper] - low, 1e-12), centre[member, cell], widest[member, cell]
                for i in range(first, until):
                    part = min(max((levels[i] - low) / rise, 0.0), 1.0)
                    values[i] += middle + wide * (knot + part * gap)
                first = until
        for i in range(n):
            from_base = column[ranked[i]]
            column[ranked[i]] = from_base + share[cell] * (values[i] / members - from_base)


@strict
def put_back(columns: ndarray, cells: ndarray, mean: ndarray, out: ndarray) -> None:
    """Writes the columns, moved by the mean of their cell, over the cells' places in `out` (scenario, cell)."""
    for path in range(len(out)):
        for at in range(cells.size):
            out[path, cells[at]] = columns[at, path] + mean[cells[at]]


def roughly_ordered(columns: Float[ndarray, "cell scenario"]) -> Int[ndarray, "cell scenario"]:
    """Numbers of the scenarios of each cell from the smallest value to the largest, but for ties and near ties.

    The number takes the last bits of the value's own: one array is sorted instead of two. `shaped` puts those in order
    that had the same leading bits.

    >>> roughly_ordered(np.array([[0.3, -2.0, 0.1]])).tolist()
    [[1, 2, 0]]
    """
    n = columns.shape[1]
    number = (1 << max(n - 1, 1).bit_length()) - 1
    keys = np.empty(columns.shape, dtype=np.int64)
    _keyed(columns.view(np.int64), number, keys)
    keys.sort(axis=1)
    keys &= number
    return keys


@strict
def _keyed(bits: ndarray, number: int, keys: ndarray) -> None:
    """Whole numbers in the order of the doubles whose bits are given, with their place as the last bits."""
    cells, n = bits.shape
    for cell in range(cells):
        for i in range(n):
            own = bits[cell, i]
            keys[cell, i] = ((own ^ ((own >> 63) & MANTISSA_SIGN)) & ~number) | i


def spread(columns: Float[ndarray, "cell scenario"]) -> Float[ndarray, " cell"]:
    """`deep.mixture.spread` of each cell: √(π/2) times the mean distance of its values from their mean.

    >>> (spread(np.array([[-1.0, 1.0]])) / np.sqrt(0.5 * np.pi)).round(6).tolist()
    [1.0]
    """
    found = np.empty(len(columns))
    _distance(columns, found)
    return np.sqrt(0.5 * np.pi) * found + 1e-12


@strict
def _distance(columns: ndarray, found: ndarray) -> None:
    """Mean distance of each cell's values from their mean, from four sums at a time."""
    cells, n = columns.shape
    for cell in range(cells):
        column, sums = columns[cell], np.zeros(4)
        for i in range(n):
            sums[i & 3] += column[i]
        mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / n
        sums[:] = 0.0
        for i in range(n):
            sums[i & 3] += abs(column[i] - mean)
        found[cell] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / n
