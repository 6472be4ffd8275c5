"""Adaptive conformal intervals of reported book quantities, whose outcomes are known only a horizon later.

The score of an outcome y against the interval [l, u] of its forecast is its distance outside, in widths:

    s = max(l − y, y − u) / (u − l)                    (−½ in the middle, 0 at an end)

At an origin the interval is stretched to [l − q (u − l), u + q (u − l)], q the ⌈(m + 1)(1 − α_t)⌉-th smallest of the
last m known scores; α_t moves with every outcome that becomes known:

    α_{t+1} = min(1, α_t + γ (α − 1[y was outside what was served]))

Outcomes of many books that become known together are one step: each leaves its score, α_t moves by their mean.

Claim, and no other: over T outcomes the share of misses is at most α + (α₁ + γ (d + 1)) / (γ T), whatever the data
do, d the most outcomes that were awaited at a time: at α_t ≤ 0 the interval is unbounded and cannot miss, and at
most d intervals served before can still lower α_t. Nothing is claimed for a single day, and the state's law, the
Greeks and the decisions do not change (`forecast.calibrated` does that); this serves reported intervals and the
gate that falls back (`forecast.intervals`).

Source: Gibbs & Candès (2021), eq. 2; scores in widths: Romano, Patterson & Candès (2019), Sesia & Candès (2020).
The delay: an outcome counts when it is known, never before.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.errors import InputError

Cells = Float[ndarray, " cell"]
Books = Float[ndarray, "*book cell"]
Table = Float[ndarray, "origin *book cell"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conformal:
    """What has been learnt so far for some cells (quantities of a book): α_t and the last known scores.

    `miss_rate` is α, one minus the level of the intervals; `scores` hold NaN where an outcome never became known.
    """

    miss_rate: float
    rate: float
    window: int
    current: Cells
    scores: Float[ndarray, "score cell"]

    @classmethod
    def start(cls, cells: int, *, level: float, rate: float = 0.02, window: int = 400) -> Self:
        """Nothing learnt: the forecast's own interval is served."""
        if not 0.0 < level < 1.0 or not 0.0 <= rate <= 1.0 or window < 1 or cells < 1:
            raise InputError(
                f"conformal: level {level} within (0, 1), rate {rate} within [0, 1], window {window} ≥ 1 "
                f"and cells {cells} ≥ 1 are needed."
            )
        alpha = 1.0 - level
        return cls(
            miss_rate=alpha, rate=rate, window=window, current=np.full(cells, alpha), scores=np.empty((0, cells))
        )

    @property
    def stretch(self) -> Cells:
        """q: how far, in widths, each end is moved outwards; +∞ where no bounded interval can be promised.

        0 until enough scores are known for the level, ⌈1/α⌉ − 1 of them.
        """
        known = np.sum(~np.isnan(self.scores), axis=0)
        rank = np.ceil((known + 1.0) * (1.0 - self.current) - 1e-9).astype(np.int64)
        found = np.zeros(self.current.shape)
        if len(self.scores):
            at = np.clip(rank, 1, np.maximum(known, 1)) - 1
            columns = np.ascontiguousarray(self.scores.T)  # NaN comes last
            ranked = [np.partition(column, place)[place] for column, place in zip(columns, at, strict=True)]
            found = np.where(known > 0, ranked, 0.0)
        is_enough = known >= np.ceil(1.0 / self.miss_rate - 1e-9) - 1.0
        found = np.where(is_enough, np.where(rank > known, np.inf, found), 0.0)
        return np.where(self.current <= 0.0, np.inf, found)

    def interval(self, lower: Books, upper: Books) -> tuple[Books, Books]:
        """The forecast's interval of each book, stretched; unbounded ends are ±∞."""
        _check(lower, upper)
        q, width = self.stretch, upper - lower
        moved = np.where(np.isfinite(q), np.where(np.isfinite(q), q, 0.0) * width, np.inf)
        return lower - moved, upper + moved

    def after(self, lower: Books, upper: Books, *, served: tuple[Books, Books], observed: Books) -> Self:
        """What is known once outcomes are: against the forecast's interval, and against what was served for it.

        NaN where an outcome never became known: nothing is learnt from it.

        >>> new = Conformal.start(1, level=0.8, rate=0.1)
        >>> low, high, seen = np.array([0.0]), np.array([1.0]), np.array([1.5])
        >>> later = new.after(low, high, served=(low, high), observed=seen)
        >>> float(later.current[0].round(3)), later.scores.tolist()
        (0.12, [[0.5]])
        """
        _check(lower, upper)
        is_known = np.isfinite(observed)
        missed = is_known & ~_is_within(observed, served, upper - lower)
        outside, width = np.maximum(lower - observed, observed - upper), upper - lower
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(width > 0.0, outside / width, np.where(outside > 0.0, np.inf, 0.0))
        cells = self.current.size
        count = np.sum(is_known.reshape(-1, cells), axis=0)
        share = np.sum(missed.reshape(-1, cells), axis=0) / np.maximum(count, 1)
        moved = np.minimum(self.current + self.rate * (self.miss_rate - share), 1.0)
        scores = np.concatenate([self.scores, np.where(is_known, score, np.nan).reshape(-1, cells)])
        return replace(self, current=np.where(count > 0, moved, self.current), scores=scores[-self.window :])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """Intervals as they would have been reported, α_t and the stretch when they were, and whether each held.

    `state` is what has been learnt once every outcome is known.
    """

    lower: Table
    upper: Table
    current: Float[ndarray, "origin cell"]
    stretch: Float[ndarray, "origin cell"]
    is_inside: Bool[ndarray, "origin *book cell"]
    is_known: Bool[ndarray, "origin *book cell"]
    state: Conformal

    @property
    def coverage(self) -> Cells:
        """Share of the known outcomes inside, by cell."""
        over = tuple(range(self.is_known.ndim - 1))
        count = self.is_known.sum(axis=over)
        if np.any(count == 0):
            raise InputError("conformal: a cell has no known outcome; leave it out.")
        found: Cells = (self.is_inside & self.is_known).sum(axis=over) / count
        return found


def adapt(
    lower: Table,
    upper: Table,
    observed: Table,
    *,
    made_at: Shaped[ndarray, " origin"],
    known_at: Shaped[ndarray, " origin"],
    level: float,
    rate: float = 0.02,
    window: int = 400,
) -> Served:
    """Intervals of a series of forecasts, each stretched by what was known when it was made.

    Tables are (origin, cell), or (origin, book, cell) where books share what a cell learns. `made_at` and `known_at`
    (hours or datetime64) are when a forecast was made and its outcomes known (NaT: never); an outcome at the very
    instant of a forecast counts for it. Origins go in order of time.

    >>> seen = np.random.default_rng(0).normal(scale=2.0, size=(400, 1))
    >>> made = np.arange(400.0)
    >>> served = adapt(seen * 0 - 1.28, seen * 0 + 1.28, seen, made_at=made, known_at=made + 4.0, level=0.8)
    >>> float(served.coverage[0].round(2))
    0.81
    """
    shapes = {np.shape(part) for part in (lower, upper, observed)}
    if len(shapes) != 1 or np.ndim(lower) not in (2, 3) or len(made_at) != len(lower) or len(known_at) != len(lower):
        raise InputError(f"conformal: tables of shapes {sorted(shapes)} with {len(made_at)} origins do not fit.")
    if np.any(np.diff(made_at) <= np.zeros(1, dtype=np.diff(made_at).dtype)) or np.any(known_at < made_at):
        raise InputError("conformal: origins must increase, and an outcome is known after its forecast.")
    state = Conformal.start(lower.shape[-1], level=level, rate=rate, window=window)
    served = np.empty((2, *lower.shape))
    current, stretch = np.empty((2, len(lower), lower.shape[-1]))
    arrival, heard = np.argsort(known_at, kind="stable"), 0

    def after(state: Conformal, past: int) -> Conformal:
        return state.after(lower[past], upper[past], served=(served[0, past], served[1, past]), observed=observed[past])

    for at, moment in enumerate(made_at):
        while heard < len(arrival) and known_at[arrival[heard]] <= moment and arrival[heard] < at:
            state, heard = after(state, int(arrival[heard])), heard + 1
        served[:, at] = state.interval(lower[at], upper[at])
        current[at], stretch[at] = state.current, state.stretch
    for past in arrival[heard:].tolist():
        state = after(state, past)
    return Served(
        lower=served[0],
        upper=served[1],
        current=current,
        stretch=stretch,
        is_inside=_is_within(observed, (served[0], served[1]), upper - lower),
        is_known=np.isfinite(observed),
        state=state,
    )


def miss_bound(outcomes: int, *, level: float, rate: float, awaited: int) -> float:
    """The most that the share of misses can be over so many outcomes, with at most `awaited` open at a time.

    >>> round(miss_bound(2000, level=0.8, rate=0.02, awaited=4), 4)
    0.2075
    """
    alpha = 1.0 - level
    return alpha + (alpha + rate * (awaited + 1.0)) / (rate * outcomes)


def _is_within(observed: ndarray, served: tuple[ndarray, ndarray], width: ndarray) -> ndarray:
    """Whether outcomes lie in what was served; one at an end does, whatever rounding made of the end."""
    slack = 1e-9 * width
    return (observed >= served[0] - slack) & (observed <= served[1] + slack)


def _check(lower: Books, upper: Books) -> None:
    if not np.all(np.isfinite(lower)) or not np.all(np.isfinite(upper)) or np.any(upper < lower):
        raise InputError("conformal: an interval needs two finite ends in order; leave out what has no forecast.")
