"""Checks of the times of snapshots: gaps, declared holes, snapshots that are thin or lack an underlying."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.market.validation.finding import Hits, at_moments

LONGEST_GAP = 2.0
"""Times the usual spacing after which the time between two snapshots is a gap."""
FEWEST_DAYS = 6
"""Snapshots from which on the lack of any on a weekend says that there is no trade then."""
THINNEST = 0.8
"""Share of the usual number of contracts (median of the five snapshots before) under which a snapshot is thin."""
NEAR = np.timedelta64(5, "m")
"""A snapshot of another underlying within this of a stamp belongs to it."""

HOUR = np.timedelta64(3_600_000_000, "us")
Hole = tuple[np.datetime64, np.datetime64]
"""A time that a set's description says is not covered: no event lies between the two."""
Moments = Shaped[ndarray, " snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Instants of snapshots, underlyings, and rows of each in each: `counts[underlying, snapshot]`."""

    moments: Moments
    underlyings: tuple[str, ...]
    counts: Int[ndarray, "underlying snapshot"]

    def own(self, name: str) -> Moments:
        """Instants of the snapshots that have an underlying."""
        return self.moments[self.counts[self.underlyings.index(name)] > 0]


def check(seen: Seen, holes: Sequence[Hole] = ()) -> Iterator[Hits]:
    """Every rule of this page."""
    for name in seen.underlyings:
        yield from gaps(seen.own(name), name, holes)
        yield from within(seen.own(name), name, holes)
    yield from _partial(seen)
    yield from _thin(seen)


def gaps(own: Moments, name: str, holes: Sequence[Hole], *, usual_hours: float | None = None) -> Iterator[Hits]:
    """Times without a snapshot, longer than usual; what lies in a declared hole does not count, and is noted.

    `usual_hours` is the longest usual time between two; else twice the median.
    """
    hours = _open_hours(own)
    if hours.size < (2 if usual_hours is None else 1):
        return
    limit = LONGEST_GAP * float(np.median(hours)) if usual_hours is None else usual_hours
    declared = covered(own[:-1], own[1:], holes)
    is_wide = hours > limit
    is_told = is_wide & (hours - declared <= limit)
    for rule, at in (("time_gap", is_wide & ~is_told), ("declared_hole", is_told)):
        named = np.full(int(at.sum()), name, dtype=object)
        figure = (hours - declared if rule == "time_gap" else hours)[at]
        yield at_moments(rule, own[1:][at], named, figure=figure, limit=limit)


def covered(start: Moments, stop: Moments, holes: Sequence[Hole]) -> Float[ndarray, " snapshot"]:
    """Hours of each stretch that lie in declared holes.

    >>> day = lambda text: np.array([text], dtype="datetime64[us]")
    >>> covered(day("2026-01-01"), day("2026-01-05"), [(day("2026-01-02")[0], day("2026-01-04")[0])]).tolist()
    [48.0]
    """
    total = np.zeros(start.size)
    for since, until in holes:
        overlap = (np.minimum(stop, until) - np.maximum(start, since)) / HOUR
        total += np.maximum(overlap, 0.0)
    return total


def within(own: Moments, name: str, holes: Sequence[Hole]) -> Iterator[Hits]:
    """Snapshots in a time that is declared not to be covered."""
    is_in: Bool[ndarray, " snapshot"] = np.zeros(own.size, dtype=np.bool_)
    for since, until in holes:
        is_in |= (own > since) & (own < until)
    named = np.full(int(is_in.sum()), name, dtype=object)
    yield at_moments("in_hole", own[is_in], named, figure=np.nan, limit=np.nan)


def _open_hours(own: Moments) -> Float[ndarray, " step"]:
    """Hours from each instant to the next; days of a weekend do not count where there is never a snapshot on one."""
    hours: ndarray = np.diff(own) / HOUR
    days = own.astype("datetime64[D]")
    if own.size < FEWEST_DAYS or not np.all(np.is_busday(days)):
        return hours
    weekend = np.diff(days).astype(np.int64) - np.busday_count(days[:-1], days[1:])
    return hours - 24.0 * weekend


def _partial(seen: Seen) -> Iterator[Hits]:
    """Snapshots without an underlying that no stamp within five minutes has."""
    there = seen.counts > 0
    for code, name in enumerate(seen.underlyings):
        own, lacking = seen.moments[there[code]], seen.moments[~there[code]]
        after = np.searchsorted(own, lacking)
        gap = np.full(lacking.size, np.timedelta64(10**9, "s"))
        for at in (after - 1, after):
            is_in = (at >= 0) & (at < own.size)
            gap[is_in] = np.minimum(gap[is_in], np.abs(lacking[is_in] - own[at[is_in]]))
        is_lost = gap > NEAR
        named = np.full(int(is_lost.sum()), f"{name} missing", dtype=object)
        figure = there[:, ~there[code]].sum(axis=0)[is_lost]
        yield at_moments("partial_snapshot", lacking[is_lost], named, figure=figure, limit=len(seen.underlyings))


def _thin(seen: Seen) -> Iterator[Hits]:
    """Snapshots with far fewer contracts of an underlying than those before."""
    for name, counts in zip(seen.underlyings, seen.counts, strict=True):
        own = pd.Series(counts[counts > 0])
        limit = THINNEST * own.rolling(5, min_periods=1).median().shift().to_numpy()
        is_thin = own.to_numpy() < limit
        named = np.full(int(is_thin.sum()), name, dtype=object)
        figure = own.to_numpy()[is_thin]
        yield at_moments("thin_snapshot", seen.own(name)[is_thin], named, figure=figure, limit=limit[is_thin])
