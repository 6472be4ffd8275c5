"""What a dressing buys and costs on a raw series, and the one that costs least within a budget, fitted on the past.

Books are dressed apart. Figures are means over books: reserve, calls and needs count as shares of the book's own
requirement, so that a large book is not the only one heard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.margin.addon import LEAST_USD, dress
from greekdrift.margin.dressing import PLAIN, Dressing
from greekdrift.score.procyclicality import largest_call, peak_to_trough
from greekdrift.units import from_datetime64

Amounts = Float[ndarray, "origin account"]
Flags = Bool[ndarray, "origin account"]

CHOICES: Mapping[str, tuple[float | None, ...]] = {
    "scale": (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7),
    "peak_to_trough": (None, 8.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.0),
    "floor": (0.0, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2),
    "rise_per_day": (0.05, 0.075, 0.1, 0.15, 0.25, 0.5),
    "release_half_life_days": (0.5, 1.0, 2.5, 5.0, 10.0),
    "wait_days": (0.0, 1.0, 3.0),
    "dead_band": (0.0, 0.1, 0.2),
    "buffer": (0.0, 0.25),
    "stressed_weight": (0.0, 0.25),
}
"""Values that a fit tries, device by device."""
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """Raw needs of books, their requirements, and what then was needed; (origin, account), NaN where missing."""

    as_of: ndarray
    raw_usd: Amounts
    requirement_usd: Amounts
    needed_usd: Amounts

    def __post_init__(self) -> None:
        shape = (len(self.as_of), self.raw_usd.shape[-1])
        for name in ("raw_usd", "requirement_usd", "needed_usd"):
            if getattr(self, name).shape != shape:
                raise InputError(f"past: {name} of shape {getattr(self, name).shape}, expected {shape}.")
        if not np.any(self.is_there):
            raise InputError("past: no book has a need and a requirement at any origin.")

    @property
    def is_there(self) -> Flags:
        """Where need and requirement are known and the book is not closed."""
        return np.isfinite(self.raw_usd) & (np.nan_to_num(self.requirement_usd) >= LEAST_USD)

    def rows(self, chosen: slice | Bool[ndarray, " origin"]) -> "Past":
        """Some of its origins."""
        return Past(
            as_of=self.as_of[chosen],
            raw_usd=self.raw_usd[chosen],
            requirement_usd=self.requirement_usd[chosen],
            needed_usd=self.needed_usd[chosen],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One dressing (None: the raw need, undressed) on a raw series.

    `reserve` is the mean add-on, `cost` what it is above the raw one, relative. `call` is the largest rise within five
    days. `exceptions` is the share of the needs that came above the add-on, `overruns` that of the steps at which
    coverage asked for more than the budget allowed.
    """

    dressing: Dressing | None
    reserve: float
    cost: float
    peak_to_trough: float
    call: float
    exceptions: float
    overruns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a fit has to keep: allowed exceptions, peak over trough, five-day call as a share of the requirement."""

    exceptions: float
    peak_to_trough: float
    call: float

    @classmethod
    def calmer(cls, past: Past, *, exceptions: float, peak_to_trough: float, call: float) -> "Goal":
        """A goal in shares of the undressed peak over trough and call on a past."""
        raw = point(None, past)
        return cls(exceptions=exceptions, peak_to_trough=peak_to_trough * raw.peak_to_trough, call=call * raw.call)

    def excess(self, point: Point) -> float:
        """By how much a point misses the goal, relative, summed; 0 where it keeps all three."""
        found = (point.exceptions, point.peak_to_trough, point.call)
        allowed = (self.exceptions, self.peak_to_trough, self.call)
        return sum(max(0.0, one / most - 1.0) for one, most in zip(found, allowed, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The dressing of least reserve that keeps the goal on a past, beside the raw need; `finding` if none does."""

    dressing: Dressing
    point: Point
    undressed: Point
    finding: str


def held(dressing: Dressing | None, past: Past) -> tuple[Amounts, Flags]:
    """The add-on of each book along the past, USD, NaN where it is not there, and where its budget was overrun."""
    if dressing is None:
        return np.where(past.is_there, past.raw_usd, np.nan), np.zeros(past.raw_usd.shape, dtype=bool)
    addon, overrun = np.full(past.raw_usd.shape, np.nan), np.zeros(past.raw_usd.shape, dtype=bool)
    moments = [from_datetime64(one) for one in past.as_of]
    for book in range(past.raw_usd.shape[1]):
        rows = np.flatnonzero(past.is_there[:, book])
        steps = dress(
            dressing,
            past.raw_usd[rows, book],
            past.requirement_usd[rows, book],
            as_of=[moments[row] for row in rows],
        )
        addon[rows, book] = [one.addon_usd for one in steps]
        overrun[rows, book] = [bool(one.findings) for one in steps]
    return addon, overrun


def point(dressing: Dressing | None, past: Past) -> Point:
    """The figures of a dressing on a past."""
    addon, overrun = held(dressing, past)
    hours = (past.as_of - past.as_of[:1]) / np.timedelta64(1, "h")
    ratios, calls, reserves, raws = [], [], [], []
    for book in range(past.raw_usd.shape[1]):
        rows = np.flatnonzero(past.is_there[:, book])
        mine = addon[rows, book]
        positive = mine > 0.0
        if not np.any(positive):
            continue
        requirement = past.requirement_usd[rows, book]
        ratios.append(peak_to_trough(mine[positive]))
        rise = largest_call(mine[positive], hours[rows][positive], days=5.0, measure=requirement[positive])
        calls.append(rise.share)
        reserves.append(float(np.mean(mine / requirement)))
        raws.append(float(np.mean(past.raw_usd[rows, book] / requirement)))
    if not ratios:
        raise InputError("no book ever needs an add-on; there is nothing to dress.")
    is_known = past.is_there & np.isfinite(past.needed_usd)
    return Point(
        dressing=dressing,
        reserve=float(np.mean(reserves)),
        cost=float(np.mean(reserves) / np.mean(raws)) - 1.0,
        peak_to_trough=float(np.mean(ratios)),
        call=float(np.mean(calls)),
        exceptions=float(np.mean(past.needed_usd[is_known] > addon[is_known])) if np.any(is_known) else float("nan"),
        overruns=float(overrun[past.is_there].mean()),
    )


def curve(past: Past, dressings: Sequence[Dressing | None]) -> tuple[Point, ...]:
    """The points of some dressings on one past: the trade-off between calm, coverage and cost."""
    return tuple(point(one, past) for one in dressings)


def sweep(start: Dressing, device: str, values: Sequence[float | None]) -> tuple[Dressing, ...]:
    """A dressing with one device at each of some values.

    >>> [one.floor for one in sweep(Dressing(), "floor", (0.5, 1.0))]
    [0.5, 1.0]
    """
    return tuple(replace(start, **{device: one}) for one in values)  # type: ignore[arg-type]


def fit(
    past: Past,
    goal: Goal,
    *,
    start: Dressing = PLAIN,
    choices: Mapping[str, Sequence[float | None]] = CHOICES,
) -> Fitted:
    """The dressing of least mean reserve that keeps the goal on the past, found device by device from a start.

    Where nothing that was tried keeps it, the one that misses it least, and the finding says by what: then coverage
    and budget cannot both be had there. Timing: knows the past that it is given and nothing else.
    """
    undressed = point(None, past)
    tried, best = start, point(start, past)
    for _ in range(ROUNDS):
        before = best
        for device, values in choices.items():
            for one in sweep(tried, device, values):
                found = best if one == tried else point(one, past)
                if (goal.excess(found), found.reserve) < (goal.excess(best), best.reserve):
                    best, tried = found, one
        if best == before:
            break
    return Fitted(dressing=tried, point=best, undressed=undressed, finding=_finding(goal, best))


def _finding(goal: Goal, best: Point) -> str:
    """What of the goal is missed, with both numbers; blank where nothing is."""
    pairs = {
        "exceptions": (best.exceptions, goal.exceptions),
        "peak to trough": (best.peak_to_trough, goal.peak_to_trough),
        "five-day call": (best.call, goal.call),
    }
    missed = [f"{name} {found:.3g} above {most:.3g}" for name, (found, most) in pairs.items() if found > most]
    return "" if not missed else f"coverage and budget cannot both be had on this past: {', '.join(missed)}"
