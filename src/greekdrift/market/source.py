"""What every source of chains answers: when it has a chain, and the chain of that instant."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from greekdrift.book import Chain
from greekdrift.errors import DataError
from greekdrift.units import aware, counted, stamp


class Source(Protocol):
    """A run of chains on one venue.

    `clock` is "elapsed" where time runs on between snapshots (crypto) and "sessions" where one snapshot is one
    trading day. `step_hours` is the usual spacing, 24 for sessions. `snapshots` are the instants of the prices,
    increasing; a chain carries when it was known.
    """

    @property
    def name(self) -> str:
        """Short name, as in configurations and reports."""
        ...

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Sorted underlyings; every chain has all of them."""
        ...

    @property
    def step_hours(self) -> float:
        """Usual spacing of the snapshots in hours."""
        ...

    @property
    def clock(self) -> str:
        """Either "elapsed" or "sessions"."""
        ...

    def snapshots(self) -> tuple[datetime, ...]:
        """Instants that have a chain, increasing."""
        ...

    def chain(self, as_of: datetime) -> Chain:
        """The chain of one of `snapshots()`; any other instant is refused."""
        ...


def position(snapshots: Sequence[datetime], as_of: datetime, *, name: str) -> int:
    """Place of an instant among the snapshots; a wrong one is answered with the nearest right ones.

    >>> from greekdrift.units import instant
    >>> position([instant("2026-02-05T04:00Z"), instant("2026-02-05T10:00Z")], instant("2026-02-05T10:00Z"), name="x")
    1
    """
    at = bisect_left(snapshots, aware(as_of))
    if at < len(snapshots) and snapshots[at] == aware(as_of):
        return at
    raise DataError(f"{name} has no chain at {stamp(as_of)}; {available(snapshots, near=as_of)}.")


def closest(
    snapshots: Sequence[datetime], moment: datetime, *, tolerance: timedelta = timedelta(minutes=10), name: str
) -> datetime:
    """The snapshot nearest to an instant, at most `tolerance` away; there is no silent choice of a farther one."""
    best = min(snapshots, key=lambda one: abs(one - aware(moment)))
    if abs(best - aware(moment)) > tolerance:
        minutes = tolerance.total_seconds() / 60.0
        raise DataError(
            f"{name} has no chain within {minutes:g} minutes of {stamp(moment)}; {available(snapshots, near=moment)}."
        )
    return best


def available(snapshots: Sequence[datetime], *, near: datetime | None = None, most: int = 6) -> str:
    """Readable list of the instants that can be asked for, the ones around `near` where given.

    >>> from greekdrift.units import instant
    >>> available([instant("2026-02-05T04:00Z"), instant("2026-02-05T10:00Z")])
    '2 instants: 2026-02-05T04:00:00Z, 2026-02-05T10:00:00Z'
    """
    count = len(snapshots)
    if count <= most:
        return f"{counted(count, 'instant')}: {', '.join(stamp(one) for one in snapshots)}"
    ends = f"{counted(count, 'instant')} from {stamp(snapshots[0])} to {stamp(snapshots[-1])}"
    if near is None:
        return f"{ends}, the last ones {', '.join(stamp(one) for one in snapshots[-3:])}"
    around = sorted(sorted(snapshots, key=lambda one: abs(one - aware(near)))[:3])
    return f"{ends}, the nearest {', '.join(stamp(one) for one in around)}"
