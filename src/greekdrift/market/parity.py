"""Forwards and an index that a table of option prices implies, where it does not say them."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

Rows = Float[ndarray, " row"]

NEAR = 0.2
"""Strikes farther from the index than this share of it do not count: their prices are worth a tick."""


def forwards(
    mark: Rows,
    *,
    group: Shaped[ndarray, "row key"],
    strike: Rows,
    is_call: Bool[ndarray, " row"],
    is_coin: Bool[ndarray, " row"],
    spot: Rows | None = None,
) -> Rows:
    """Forward of each row's group (one snapshot, underlying and expiry) by put-call parity of undiscounted marks.

    F = K + C − P for prices in USD, F = K / (1 − (c − p)) for prices in the coin: the median over the strikes that
    have both sides, near the spot where that is given. NaN where no strike has both.

    >>> mark, group = np.array([7.0, 2.0]), np.array([["a"], ["a"]])
    >>> is_coin = np.array([False, False])
    >>> forwards(mark, group=group, strike=np.full(2, 100.0), is_call=np.array([True, False]), is_coin=is_coin)
    array([105., 105.])
    """
    number = pd.MultiIndex.from_arrays(list(group.T)).factorize()[0]
    frame = pd.DataFrame({"group": number, "strike": strike, "is_coin": is_coin, "mark": mark})
    is_used = ~np.isnan(strike) & ~np.isnan(mark)
    if spot is not None:
        is_used &= np.abs(strike / spot - 1.0) <= NEAR
    keys = ["group", "strike"]
    call, put = (
        frame[is_used & (is_call == side)].groupby(keys).agg(mark=("mark", "median"), is_coin=("is_coin", "first"))
        for side in (True, False)
    )
    both = call.merge(put, left_index=True, right_index=True, suffixes=("_call", "_put")).reset_index()
    gap = (both["mark_call"] - both["mark_put"]).to_numpy(dtype=np.float64)
    coin = both["is_coin_call"].to_numpy(dtype=np.bool_)
    level = both["strike"].to_numpy(dtype=np.float64)
    both["forward"] = np.where(coin & (gap < 1.0), level / np.where(gap < 1.0, 1.0 - gap, 1.0), level + gap)
    is_sound = both["forward"].to_numpy() > 0.0
    is_sound &= ~coin | (gap < 1.0)
    middle = both[is_sound].groupby("group")["forward"].median()
    return pd.Series(number).map(middle).to_numpy(dtype=np.float64)


def nearest(forward: Rows, *, group: Shaped[ndarray, "row key"], years: Rows) -> Rows:
    """The forward of the nearest expiry that is not over, by group (one snapshot and underlying); a stand-in index.

    >>> nearest(np.array([101.0, 104.0]), group=np.array([["a"], ["a"]]), years=np.array([0.1, 0.5]))
    array([101., 101.])
    """
    number = pd.MultiIndex.from_arrays(list(group.T)).factorize()[0]
    frame = pd.DataFrame({"group": number, "years": years, "forward": forward})
    near = frame[(frame["years"] >= 0.0) & frame["forward"].notna()].sort_values("years", kind="stable")
    return pd.Series(number).map(near.groupby("group")["forward"].first()).to_numpy(dtype=np.float64)
