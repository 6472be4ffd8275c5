"""What a history leaves behind: decayed sums of squares, with exact elapsed time and without bridging holes.

For a memory of τ hours, at the time t of a row,
    power = Σ_i e^{−(t − t_i)/τ} d_i²,    mass = Σ_i e^{−(t − t_i)/τ} Δt_i,    news = Σ_i e^{−(t − t_i)/τ} d_i
over the increments d_i that ended at t_i ≤ t after Δt_i hours. power / mass is a variance an hour. A missing
increment adds to neither sum, so the past fades through a hole and nothing spans it.

Source: exponential averages instead of windows in a HAR: Bollerslev, Hood, Huss & Pedersen (2018).
Timing: the sums of a row use increments that ended at that row or before.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.features.history import Panel

_CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Increments from each row to the next (first row: none), NaN where missing or over a hole."""

    hours: Float[ndarray, " row"]
    length: Float[ndarray, " row"]
    values: Float[ndarray, "row underlying factor"]


def moves(panel: Panel) -> Moves:
    """Row-to-row increments of a panel; the first row has none."""
    values = np.full(panel.state.shape, np.nan)
    values[1:] = panel.state[1:] - panel.state[:-1]
    values[panel.is_after_hole] = np.nan
    return Moves(hours=panel.hours, length=np.diff(panel.hours, prepend=panel.hours[:1]), values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Decayed sums at one moment; leading axes are rows of a history or scenarios of a path."""

    power: Float[ndarray, "... tau underlying factor"]
    mass: Float[ndarray, "... tau underlying factor"]
    news: Float[ndarray, "... tau underlying factor"]

    def after(self, increments: Float[ndarray, "... underlying factor"], hours: float, memories: ndarray) -> Self:
        """The sums once more increments have come, `hours` later; missing ones only fade the past."""
        fade = np.exp(-hours / memories)[:, None, None]
        seen = np.isfinite(increments)[..., None, :, :]
        d = np.where(seen, np.nan_to_num(increments)[..., None, :, :], 0.0)
        return type(self)(
            power=self.power * fade + d**2, mass=self.mass * fade + seen * hours, news=self.news * fade + d
        )

    def rows(self, rows: ndarray) -> Self:
        """The sums of some rows."""
        return type(self)(power=self.power[rows], mass=self.mass[rows], news=self.news[rows])

    def repeated(self, n: int) -> Self:
        """The sums of one moment as those of `n` scenarios."""
        power, mass, news = (np.repeat(part[None], n, axis=0) for part in (self.power, self.mass, self.news))
        return type(self)(power=power, mass=mass, news=news)


def memory(given: Moves, memories: Float[ndarray, " tau"], *, last_only: bool = False) -> Memory:
    """Decayed sums at every row, or at the last one only (without the leading axis).

    >>> two = Moves(hours=np.array([0.0, 1.0]), length=np.array([0.0, 1.0]), values=np.array([[[np.nan]], [[2.0]]]))
    >>> memory(two, np.array([1.0]), last_only=True).power.ravel()
    array([4.])
    """
    seen = np.isfinite(given.values)
    d = np.where(seen, np.nan_to_num(given.values), 0.0)
    parts = np.stack([d**2, seen * given.length[:, None, None], d])
    sums = np.stack([_faded(given.hours, parts, tau, last_only=last_only) for tau in memories], axis=2)
    power, mass, news = (part[0] if last_only else part for part in sums)
    return Memory(power=power, mass=mass, news=news)


class Recall:
    """The sums at the last row of one history; those of the same memories are worked out once.

    >>> from greekdrift.features.history import example
    >>> recall = Recall(example(rows=20))
    >>> recall.at(np.array([24.0])) is recall.at(np.array([24.0]))
    True
    """

    def __init__(self, history: Panel) -> None:
        self.history = history
        self._moves = moves(history)
        self._known: dict[bytes, Memory] = {}

    def at(self, memories: Float[ndarray, " tau"]) -> Memory:
        """The sums for some memories (hours), without a leading axis."""
        key = memories.tobytes()
        if key not in self._known:
            self._known[key] = memory(self._moves, memories, last_only=True)
        return self._known[key]


def _faded(hours: ndarray, parts: ndarray, tau: float, *, last_only: bool) -> ndarray:
    """Σ_{i ≤ t} e^{−(t − t_i)/τ} x_i along axis 1, in blocks of rows so that no exponential overflows."""
    if last_only:
        return np.einsum("i,pi...->p...", np.exp((hours - hours[-1]) / tau), parts)[:, None]
    faded = np.empty_like(parts)
    carried, since = np.zeros_like(parts[:, 0]), hours[0]
    for start in range(0, hours.size, _CHUNK):
        at = hours[start : start + _CHUNK]
        weights = np.tril(np.exp(np.minimum(at[None, :] - at[:, None], 0.0) / tau))
        faded[:, start : start + _CHUNK] = np.einsum("ti,pi...->pt...", weights, parts[:, start : start + _CHUNK])
        fade = np.exp((since - at) / tau)
        faded[:, start : start + _CHUNK] += fade[None, :, None, None] * carried[:, None]
        carried, since = faded[:, start + at.size - 1], at[-1]
    return faded
