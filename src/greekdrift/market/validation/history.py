"""Checks of snapshots against their neighbours: gaps, holes, repeats, quotes that stand still, when it was known."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from greekdrift.book.chain import LARGEST_VOLATILITY
from greekdrift.market.validation.finding import Hits, at_moments, at_rows
from greekdrift.market.validation.quotes import delta
from greekdrift.market.validation.rows import Rows

LONGEST_GAP = 2.0
"""Times the usual spacing after which the time between two snapshots is a gap."""
FEWEST_DAYS = 6
"""Snapshots from which on the lack of any on a weekend says that there is no trade then."""
THINNEST = 0.8
"""Share of the usual number of contracts (median of the five snapshots before) under which a snapshot is thin."""
REPEATED = 0.99
"""Share of a snapshot's rows that must equal the last one's for it to be a repeat, of at least `FEWEST` rows."""
FEWEST = 20
STALE_STEPS = 3
"""Snapshots in a row over which a quote may stand still."""
STALE_MOVE = 0.005
"""Move of the index, since the quote last changed, without which it has no reason to."""
STALE_DELTA = 0.05
"""|delta| of the quotes that must answer a move: from here to one minus this."""
LATEST_MINUTES = 15.0
"""Minutes after its stamp until which a snapshot is usually known."""

Codes = Int[ndarray, " row"]


def check(rows: Rows) -> Iterator[Hits]:
    """Every rule of this page."""
    if not len(rows):
        return
    yield from known(rows)
    yield from spacing(rows)
    yield from size(rows)
    yield from missing(rows)
    yield from standing_still(rows)


def moments(rows: Rows) -> ndarray:
    """Instants of the snapshots by number."""
    first = np.flatnonzero(np.r_[True, np.diff(rows.number) > 0])
    return rows.moment[first]


def known(rows: Rows) -> Iterator[Hits]:
    """Known before it happened, long after, or before an earlier snapshot."""
    minutes = (rows.known_at - rows.moment) / np.timedelta64(1, "m")
    yield at_rows("known_early", rows, minutes < 0.0, figure=minutes, limit=0.0)
    yield at_rows("known_late", rows, minutes > LATEST_MINUTES, figure=minutes, limit=LATEST_MINUTES)
    last = pd.Series(rows.known_at).groupby(rows.number).max()
    back = (last.cummax().shift() - last).dt.total_seconds().to_numpy() / 60.0
    is_back = back > 0.0
    where = np.full(int(is_back.sum()), "whole snapshot", dtype=object)
    yield at_moments("known_backwards", moments(rows)[is_back], where, figure=back[is_back], limit=0.0)


def spacing(rows: Rows) -> Iterator[Hits]:
    """Times without a snapshot, longer than usual, of each underlying; and snapshots that lack an underlying."""
    when = moments(rows)
    there = np.zeros((when.size, len(rows.underlyings)), dtype=np.bool_)
    there[rows.number, rows.underlying] = True
    for code, name in enumerate(rows.underlyings):
        own = when[there[:, code]]
        hours = _open_hours(own)
        if hours.size > 1:
            limit = LONGEST_GAP * float(np.median(hours))
            wide = hours > limit
            named = np.full(int(wide.sum()), name, dtype=object)
            yield at_moments("time_gap", own[1:][wide], named, figure=hours[wide], limit=limit)
    yield from _partial(rows, when, there)


def _open_hours(own: ndarray) -> ndarray:
    """Hours from each instant to the next; days of a weekend do not count where there is never a snapshot on one."""
    hours: ndarray = np.diff(own) / np.timedelta64(1, "h")
    days = own.astype("datetime64[D]")
    if own.size < FEWEST_DAYS or not np.all(np.is_busday(days)):
        return hours
    weekend = np.diff(days).astype(np.int64) - np.busday_count(days[:-1], days[1:])
    return hours - 24.0 * weekend


def _partial(rows: Rows, when: ndarray, there: ndarray) -> Iterator[Hits]:
    """Snapshots without an underlying that no stamp within five minutes has."""
    near = np.timedelta64(5, "m")
    for code, name in enumerate(rows.underlyings):
        own = when[there[:, code]]
        lacking = when[~there[:, code]]
        after = np.searchsorted(own, lacking)
        gap = np.full(lacking.size, np.timedelta64(10**9, "s"))
        for at in (after - 1, after):
            is_in = (at >= 0) & (at < own.size)
            gap[is_in] = np.minimum(gap[is_in], np.abs(lacking[is_in] - own[at[is_in]]))
        is_lost = gap > near
        named = np.full(int(is_lost.sum()), f"{name} missing", dtype=object)
        yield at_moments(
            "partial_snapshot",
            lacking[is_lost],
            named,
            figure=there[~there[:, code]].sum(axis=1)[is_lost],
            limit=len(rows.underlyings),
        )


def size(rows: Rows) -> Iterator[Hits]:
    """Snapshots with far fewer contracts of an underlying than those before."""
    count = pd.Series(rows.number).groupby([rows.underlying, rows.number]).size()
    usual = count.groupby(level=0).transform(lambda one: one.rolling(5, min_periods=1).median().shift())
    is_thin = (count < THINNEST * usual).to_numpy()
    codes, numbers = (count.index.get_level_values(level).to_numpy()[is_thin] for level in (0, 1))
    names = np.array(rows.underlyings, dtype=object)[codes]
    limit = THINNEST * usual.to_numpy()[is_thin]
    yield at_moments("thin_snapshot", moments(rows)[numbers], names, figure=count.to_numpy()[is_thin], limit=limit)


def missing(rows: Rows) -> Iterator[Hits]:
    """Contracts, and whole expiries, that are absent from a snapshot and present in both neighbours of the absence.

    Neighbours are the snapshots of the same underlying.
    """
    turn = _turns(rows)
    at, gap = _holes(rows.name, turn)
    contract = _absences(rows, at, gap, turn)
    dated = np.flatnonzero(~np.isnat(rows.expiry))
    expiry = pd.factorize(pd.MultiIndex.from_arrays([rows.underlying[dated], rows.expiry[dated]]))[0]
    first, hole = _holes(expiry, turn[dated])
    whole = _absences(rows, dated[first], hole, turn)
    lost = set(zip(whole["moment"], whole["underlying"], whole["expiry"], strict=True))
    of_expiry = np.array(
        [one in lost for one in zip(contract["moment"], contract["underlying"], contract["expiry"], strict=True)],
        dtype=np.bool_,
    )
    single = contract[~of_expiry] if len(contract) else contract
    yield at_moments("missing_contract", single["moment"], single["name"].to_numpy(), figure=single["gap"], limit=0.0)
    if len(whole):
        lines = contract[of_expiry].groupby(["moment", "underlying", "expiry"]).size()
        keys = whole.set_index(["moment", "underlying", "expiry"]).index
        named = np.array([f"{u} {pd.Timestamp(e):%d%b%y}".upper() for _, u, e in keys], dtype=object)
        figure = lines.reindex(keys).fillna(0.0).to_numpy()
        yield at_moments("missing_expiry", whole["moment"], named, figure=figure, limit=0.0)


def _turns(rows: Rows) -> Codes:
    """Number of each row's snapshot among those of its underlying."""
    seen = pd.DataFrame({"u": rows.underlying, "n": rows.number})
    return seen.groupby("u")["n"].rank("dense").to_numpy().astype(np.int64) - 1


def _holes(of: Codes, turn: Codes) -> tuple[Codes, Codes]:
    """Rows after which the same contract is absent for some snapshots, and for how many."""
    order = np.lexsort((turn, of))
    step = np.diff(turn[order])
    is_hole = (np.diff(of[order]) == 0) & (step > 1)
    return order[:-1][is_hole], step[is_hole] - 1


def _absences(rows: Rows, at: Codes, gap: Codes, turn: Codes) -> pd.DataFrame:
    """One line a snapshot from which something is absent: moment, underlying, expiry, name, length of the absence."""
    each = np.repeat(at, gap)
    count = np.arange(each.size) - np.repeat(np.cumsum(gap) - gap, gap)
    by_turn = pd.DataFrame({"u": rows.underlying, "t": turn, "m": rows.moment}).drop_duplicates(["u", "t"])
    when = by_turn.set_index(["u", "t"])["m"]
    absent = pd.MultiIndex.from_arrays([rows.underlying[each], turn[each] + 1 + count])
    return pd.DataFrame(
        {
            "moment": when.reindex(absent).to_numpy(),
            "underlying": np.array(rows.underlyings, dtype=object)[rows.underlying[each]],
            "expiry": rows.expiry[each],
            "name": rows.name_of(each),
            "gap": np.repeat(gap, gap),
        }
    )


def standing_still(rows: Rows) -> Iterator[Hits]:
    """Snapshots that repeat the last one, and quotes that do not answer a move of the index."""
    order = np.lexsort((rows.number, rows.name))
    is_next = np.diff(rows.name[order], prepend=-1) == 0
    same = is_next.copy()
    for column in (rows.bid, rows.ask, rows.mark, rows.mark_iv):
        ordered = column[order]
        alike = ordered[1:] == ordered[:-1]
        same[1:] &= alike | (np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    forward = rows.forward[order]
    is_copy = same & np.r_[False, forward[1:] == forward[:-1]]
    index = pd.Series(rows.index).groupby([rows.number, rows.underlying]).transform("median").to_numpy()[order]
    copied = np.zeros(len(rows))
    copied[order] = is_copy
    yield from _repeated(rows, copied)
    start = np.maximum.accumulate(np.where(same, 0, np.arange(order.size)))
    steps = np.arange(order.size) - start
    move = np.abs(np.log(index / index[start]))
    is_live = np.zeros(len(rows), dtype=np.bool_)
    on = rows.is_option & (rows.mark_iv > 0.0) & (rows.mark_iv < LARGEST_VOLATILITY)
    size_of = np.abs(delta(rows, on))
    is_live[on] = (size_of > STALE_DELTA) & (size_of < 1.0 - STALE_DELTA)
    is_stale = np.zeros(len(rows), dtype=np.bool_)
    is_stale[order] = (steps >= STALE_STEPS) & (move > STALE_MOVE)
    length = np.zeros(len(rows))
    length[order] = steps
    yield at_rows("stale", rows, is_stale & is_live, figure=length, limit=STALE_STEPS)


def _repeated(rows: Rows, copied: ndarray) -> Iterator[Hits]:
    """The rows of snapshots that repeat the last one."""
    groups = pd.Series(copied).groupby([rows.number, rows.underlying])
    share, count = groups.transform("mean").to_numpy(), groups.transform("size").to_numpy()
    is_repeat = (share >= REPEATED) & (count >= FEWEST)
    yield at_rows("repeated_snapshot", rows, is_repeat, figure=share, limit=REPEATED)
