"""Which breach each order answers, in words."""

import numpy as np
from numpy import ndarray

from greekdrift.policy.case import Case, Trade
from greekdrift.policy.solver import Hinges


def reasons(at: Case, trade: Trade, loss: Hinges) -> tuple[str, ...]:
    """One sentence a row: the band whose loss would grow most if this order were left out; blank where none trades.

    Options move delta too, which linear contracts correct; they are credited with another band where there is one.

    `loss` holds the hinges of all bands in the order of the targets, again and again (now, then each scenario).
    """
    bands = len(at.targets)
    if bands == 0 or not np.any(trade):
        return tuple("" for _ in trade)
    after = at.values + at.matrix @ trade
    with_all = _by_band(loss, trade, bands)
    return tuple(_reason(at, trade, loss, row, with_all, after) if trade[row] else "" for row in range(trade.size))


def _reason(at: Case, trade: Trade, loss: Hinges, row: int, with_all: ndarray, after: ndarray) -> str:
    left_out = trade.copy()
    left_out[row] = 0.0
    gain = _by_band(loss, left_out, len(at.targets)) - with_all
    if not at.lots.is_linear[row]:
        of_delta = np.array([target.band.greek == "delta" for target in at.targets])
        gain = np.where(of_delta & np.any(gain[~of_delta] > 0.0), -np.inf, gain)
    best = int(np.argmax(gain))
    if not gain[best] > 0.0:
        return "supports the other orders: no band is worse without it, but margin, stress or cost is"
    target = at.targets[best]
    value = float(at.values[best])
    is_off_target = not target.lower <= value <= target.upper
    when = "near the edge of" if is_off_target else "expected outside"
    when = "outside" if target.band.distance_outside(value) > 0.0 else when
    return (
        f"{target.band.label} {when} [{target.band.lower:.6g}, {target.band.upper:.6g}]: "
        f"{at.values[best]:.6g} to {after[best]:.6g} with all orders"
    )


def _by_band(loss: Hinges, trade: Trade, bands: int) -> ndarray:
    value = loss.start + loss.slope @ trade
    outside = np.maximum(np.maximum(loss.floor - value, value - loss.ceiling), 0.0) * loss.price
    total: ndarray = outside.reshape(-1, bands).sum(axis=0)
    return total
