"""The panel: the market state of all underlyings over time, with what was known when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.errors import DataError, InputError, LeakError, nearest
from greekdrift.market.series import HOUR, Series
from greekdrift.units import DAYS_PER_YEAR, HOURS_PER_YEAR, counted, datetime64, from_datetime64, stamp

__all__ = ["HOUR", "Hours", "Increments", "Instants", "Panel", "example"]

SESSIONS_PER_YEAR = 252.0
LONGEST_CLOSURE_DAYS = 7.5

Instants = Shaped[ndarray, " row"]
Hours = Float[ndarray, " row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Increments:
    """Changes of the state over a horizon: values[i] = state[target[i]] − state[origin[i]].

    `origin` and `target` are row numbers of the panel; `elapsed_hours` is on the panel's clock, `calendar_hours`
    real time (they differ for sessions). NaN where either state is missing.
    """

    origin: Int[ndarray, " increment"]
    target: Int[ndarray, " increment"]
    elapsed_hours: Float[ndarray, " increment"]
    calendar_hours: Float[ndarray, " increment"]
    values: Float[ndarray, "increment underlying factor"]

    def __len__(self) -> int:
        return len(self.origin)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Market states and features, one row a snapshot, in order of time.

    `state[t, u, f]` and `features[t, u, k]` are NaN where missing, and nowhere else. `as_of` is the instant of
    the prices, `known_at` when the row could be used (both datetime64[us], UTC, never decreasing).
    On the clock "elapsed" hours run on between snapshots; on "sessions" one row is one step of `step_hours`.
    A gap of more than `gap_steps` steps (for sessions: of more than 7.5 days) is a hole that no window bridges.
    `histories` are other records that features may read (`history`), each with its own two times; `until` cuts them
    at its instant like the rows.
    """

    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    feature_names: tuple[str, ...]
    as_of: Instants
    known_at: Instants
    state: Float[ndarray, "row underlying factor"]
    features: Float[ndarray, "row underlying feature"]
    step_hours: float
    clock: Literal["elapsed", "sessions"] = "elapsed"
    gap_steps: float = 3.0
    histories: Mapping[str, Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.as_of)
        self._freeze("as_of", "datetime64[us]", (rows,))
        self._freeze("known_at", "datetime64[us]", (rows,))
        self._freeze("state", "float64", (rows, len(self.underlyings), len(self.factors)))
        self._freeze("features", "float64", (rows, len(self.underlyings), len(self.feature_names)))
        if self.clock not in ("elapsed", "sessions"):
            raise DataError(f'panel: clock "{self.clock}"; {nearest(self.clock, ("elapsed", "sessions"))}')
        if not self.step_hours > 0.0:
            raise DataError(f"panel: a step of {self.step_hours} hours; give the usual spacing of the snapshots.")
        self._check_time()

    def _freeze(self, name: str, kind: str, shape: tuple[int, ...]) -> None:
        given: Any = getattr(self, name)
        array = np.array(given, dtype=kind) if given.flags.writeable else np.asarray(given, dtype=kind)
        if array.shape != shape:
            raise DataError(f"panel: {name} has shape {array.shape}, expected {shape}.")
        if kind == "float64" and np.any(np.isinf(array)):
            raise DataError(f"panel: {name} holds an infinite number; a missing one is NaN.")
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_time(self) -> None:
        if np.any(np.isnat(self.as_of)) or np.any(np.isnat(self.known_at)):
            raise DataError("panel: a row without as_of or known_at.")
        if np.any(np.diff(self.as_of) <= np.timedelta64(0, "us")):
            at = int(np.flatnonzero(np.diff(self.as_of) <= np.timedelta64(0, "us"))[0]) + 1
            raise DataError(f"panel: row {at} at {self.as_of[at]} does not follow the row before; sort by as_of.")
        if np.any(np.diff(self.known_at) < np.timedelta64(0, "us")):
            raise DataError("panel: a row was known before an earlier one; delay its known_at to that of the earlier.")
        if np.any(self.known_at < self.as_of):
            at = int(np.flatnonzero(self.known_at < self.as_of)[0])
            raise DataError(f"panel: row {at} at {self.as_of[at]} was known before it happened.")

    def __len__(self) -> int:
        return len(self.as_of)

    @property
    def hours(self) -> Hours:
        """Hours of each row since the first, on the panel's clock."""
        if self.clock == "sessions":
            return np.arange(len(self)) * self.step_hours
        return (self.as_of - self.as_of[:1]) / HOUR

    @property
    def is_after_hole(self) -> Bool[ndarray, " row"]:
        """True where a row does not continue the row before it; the first row does not."""
        limit = 24.0 * LONGEST_CLOSURE_DAYS if self.clock == "sessions" else self.gap_steps * self.step_hours
        return np.concatenate([[True], np.diff(self.as_of) / HOUR > limit])[: len(self)]

    @property
    def hours_per_year(self) -> float:
        """Hours of the panel's clock in a year: 8,760 elapsed, 252 sessions."""
        return HOURS_PER_YEAR if self.clock == "elapsed" else SESSIONS_PER_YEAR * self.step_hours

    def factor(self, name: str) -> Float[ndarray, "row underlying"]:
        """One factor of the state."""
        if name not in self.factors:
            raise InputError(f'the state has no factor "{name}"; {nearest(name, self.factors)}')
        return self.state[:, :, self.factors.index(name)]

    def feature(self, name: str) -> Float[ndarray, "row underlying"]:
        """One feature."""
        if name not in self.feature_names:
            raise InputError(f'the panel has no feature "{name}"; {nearest(name, self.feature_names)}')
        return self.features[:, :, self.feature_names.index(name)]

    def history(self, name: str) -> Series:
        """One of the other records, such as "binance_spot_1h/BTC".

        A row's feature may use what was known at the row's `known_at`: `history(…).as_of(panel.known_at, column)`
        and `history(…).in_order().windows(panel.known_at, hours)` keep to that.
        """
        if name not in self.histories:
            known = nearest(name, self.histories) if self.histories else "it has none; build it with histories."
            raise InputError(f'the panel has no history "{name}"; {known}')
        return self.histories[name]

    def until(self, moment: datetime | np.datetime64) -> "Panel":
        """The rows, and of the histories what, was known at an instant; no row is an error.

        >>> from greekdrift.features.history import example
        >>> panel = example(rows=5)
        >>> len(panel.until(panel.known_at[2]))
        3
        """
        limit = datetime64(moment) if isinstance(moment, datetime) else moment
        count = int(np.searchsorted(self.known_at, limit, side="right"))
        if count == 0:
            raise LeakError(
                f"nothing was known at {limit}; the first row of the panel was known at {self.known_at[0]}, ask later."
                if len(self)
                else "the panel has no rows."
            )
        known = {name: one.until(limit) for name, one in self.histories.items()}
        return self._cut(slice(0, count), histories=known)

    def since(self, moment: datetime | np.datetime64) -> "Panel":
        """The rows from an instant on; for shortening a history, never for hiding what is known."""
        limit = datetime64(moment) if isinstance(moment, datetime) else moment
        return self._cut(slice(int(np.searchsorted(self.as_of, limit, side="left")), len(self)))

    def select(self, underlyings: tuple[str, ...]) -> "Panel":
        """The panel of some underlyings, in that order."""
        unknown = [name for name in underlyings if name not in self.underlyings]
        if unknown:
            raise InputError(f'the panel has no "{unknown[0]}"; {nearest(unknown[0], self.underlyings)}')
        at = [self.underlyings.index(name) for name in underlyings]
        return replace(self, underlyings=underlyings, state=self.state[:, at], features=self.features[:, at])

    def row(self, as_of: datetime | np.datetime64) -> int:
        """Number of the row at an instant; another instant is refused."""
        wanted = datetime64(as_of) if isinstance(as_of, datetime) else as_of
        at = int(np.searchsorted(self.as_of, wanted))
        if at == len(self) or self.as_of[at] != wanted:
            raise DataError(f"the panel has no row at {wanted}; its {len(self)} rows are the snapshots of its source.")
        return at

    def increments(self, hours: float, *, tolerance_hours: float = 1.5) -> Increments:
        """Changes of the state from each row to the row nearest `hours` later; rows without one are left out.

        On "elapsed" the nearest row may be `tolerance_hours` away (the earlier of two equally near ones); on
        "sessions" it is hours / step_hours rows later. No increment bridges a hole.
        Timing: increment i is known at known_at[target[i]].

        >>> from greekdrift.features.history import example
        >>> example(rows=5).increments(12.0).target.tolist()
        [2, 3, 4]
        """
        target, is_there = self._ahead(hours, tolerance_hours)
        holes = np.cumsum(self.is_after_hole)
        is_there &= holes[target] == holes
        origin = np.flatnonzero(is_there)
        target = target[origin]
        return Increments(
            origin=origin,
            target=target,
            elapsed_hours=self.hours[target] - self.hours[origin],
            calendar_hours=(self.as_of[target] - self.as_of[origin]) / HOUR,
            values=self.state[target] - self.state[origin],
        )

    def _ahead(self, hours: float, tolerance_hours: float) -> tuple[Int[ndarray, " row"], Bool[ndarray, " row"]]:
        if not hours > 0.0 or not tolerance_hours >= 0.0:
            raise InputError(f"increments over {hours} h ± {tolerance_hours} h; take a positive horizon.")
        last = max(len(self) - 1, 0)
        if self.clock == "sessions":
            steps = round(hours / self.step_hours)
            if steps < 1 or abs(steps * self.step_hours - hours) > tolerance_hours:
                raise InputError(f"increments over {hours} h; a session panel has steps of {self.step_hours} h.")
            target = np.arange(len(self)) + steps
            return np.minimum(target, last), target <= last
        wanted = self.hours + hours
        above = np.clip(np.searchsorted(self.hours, wanted), 0, last)
        below = np.maximum(above - 1, 0)
        is_below = wanted - self.hours[below] <= np.abs(self.hours[above] - wanted)
        target = np.where(is_below, below, above)
        is_near = np.abs(self.hours[target] - wanted) <= tolerance_hours
        return target, is_near & (target > np.arange(len(self)))

    def _cut(self, rows: slice, **changed: Any) -> "Panel":
        columns = {name: getattr(self, name)[rows] for name in ("as_of", "known_at", "state", "features")}
        return replace(self, **columns, **changed)

    def describe(self) -> str:
        """One line for people: span, rows, holes, share missing."""
        if len(self) == 0:
            return "an empty panel"
        first, last = (stamp(from_datetime64(moment)) for moment in (self.as_of[0], self.as_of[-1]))
        missing = float(np.mean(np.isnan(self.state)))
        holes = int(self.is_after_hole[1:].sum())
        return (
            f"{counted(len(self), 'row')} of {', '.join(self.underlyings)} from {first} to {last}, "
            f"{counted(holes, 'hole')}, {missing:.1%} of the state missing"
        )


def example(*, rows: int = 100, underlyings: tuple[str, ...] = ("BTC",), seed: int = 0) -> Panel:
    """A small panel of random walks every six hours, known five minutes later: for examples and tests.

    >>> example(rows=3).hours.tolist()
    [0.0, 6.0, 12.0]
    """
    factors = ("forward", "atm_7", "atm_30", "atm_180", "skew_30", "curvature_30", "basis")
    start = np.array([11.0, -0.7, -0.6, -0.5, -0.1, 0.05, 0.01])
    size = np.array([0.5, 0.9, 0.6, 0.3, 0.1, 0.05, 0.01]) * np.sqrt(6.0 / (24.0 * DAYS_PER_YEAR))
    shocks = np.random.default_rng(seed).normal(size=(rows, len(underlyings), len(factors)))
    as_of = np.datetime64("2026-01-01", "us") + np.arange(rows) * 6 * HOUR
    return Panel(
        underlyings=underlyings,
        factors=factors,
        feature_names=(),
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=start + np.cumsum(shocks * size, axis=0),
        features=np.empty((rows, len(underlyings), 0)),
        step_hours=6.0,
    )
