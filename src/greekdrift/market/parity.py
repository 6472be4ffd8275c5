"""Forwards and an index that a table of option prices or deltas implies, where it does not say them."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from scipy.special import ndtri

Rows = Float[ndarray, " row"]

MIDDLE = (0.01, 0.99)
"""Deltas of calls between which a forward is read off them."""
WIDEST = 0.002
"""Quartiles of the forwards of one expiry farther apart than this share contradict each other: there is none."""
FEWEST = 3
"""Options of one expiry from which on their deltas tell a forward."""
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


def forwards_of_deltas(
    delta: Rows,
    *,
    group: Shaped[ndarray, "row key"],
    strike: Rows,
    volatility: Rows,
    years: Rows,
    is_call: Bool[ndarray, " row"],
) -> Rows:
    """Forward of each row's group (one snapshot, underlying and expiry) by the deltas of its options.

    F = K exp(d₁ σ √τ − σ² τ / 2), d₁ = N⁻¹(Δ) of a call, N⁻¹(Δ + 1) of a put: the median over `MIDDLE` deltas. NaN
    where a group has none, or where its quartiles lie `WIDEST` apart (deltas of another model).

    >>> delta, group = np.array([0.5398278, -0.4601722, 0.5398278]), np.array([["a"]] * 3)
    >>> at = {"strike": np.full(3, 100.0), "volatility": np.full(3, 0.2), "years": np.full(3, 1.0)}
    >>> forwards_of_deltas(delta, group=group, **at, is_call=np.array([True, False, True])).round(4)
    array([100., 100., 100.])
    """
    number = pd.MultiIndex.from_arrays(list(group.T)).factorize()[0]
    call = np.where(is_call, delta, 1.0 + delta)
    on = (call >= MIDDLE[0]) & (call <= MIDDLE[1]) & (strike > 0.0) & (volatility > 0.0) & (years > 0.0)
    spread = volatility[on] * np.sqrt(years[on])
    made = pd.Series(strike[on] * np.exp(ndtri(call[on]) * spread - spread**2 / 2.0)).groupby(number[on])
    low, middle, high = (made.quantile(share) for share in (0.25, 0.5, 0.75))
    is_told = (high - low <= WIDEST * middle) & (made.count() >= FEWEST)
    return pd.Series(number).map(middle.where(is_told)).to_numpy(dtype=np.float64)


def nearest(forward: Rows, *, group: Shaped[ndarray, "row key"], years: Rows) -> Rows:
    """The forward of the nearest expiry that is not over, by group (one snapshot and underlying); a stand-in index.

    >>> nearest(np.array([101.0, 104.0]), group=np.array([["a"], ["a"]]), years=np.array([0.1, 0.5]))
    array([101., 101.])
    """
    number = pd.MultiIndex.from_arrays(list(group.T)).factorize()[0]
    frame = pd.DataFrame({"group": number, "years": years, "forward": forward})
    near = frame[(frame["years"] >= 0.0) & frame["forward"].notna()].sort_values("years", kind="stable")
    return pd.Series(number).map(near.groupby("group")["forward"].first()).to_numpy(dtype=np.float64)
