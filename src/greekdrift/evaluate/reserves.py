"""Two reserves against what was needed: shortfall at equal average reserve, average reserve at equal shortfall.

    shortfall(r) = Σ (need − r)⁺

`reserve` is judged against a `rival` rule. The rival is multiplied by the factor at which both hold the same on
average: a factor of reserves, never of needs, so that no outcome enters. One factor for all books, or one per book
(what is left is timing alone). Both sides go through the same arithmetic: a reserve against itself gives exactly 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from greekdrift.errors import InputError
from greekdrift.score.compare import Interval, diebold_mariano, resampled_counts

Cells = Float[ndarray, "origin book"]
Ratio = Callable[[Float[ndarray, " origin"]], float]
"""A statistic of resampled origins, given how often each is in the resample."""
STEPS = 60
EXACT = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A ratio to a rival with its block-bootstrap interval; t of Diebold & Mariano where losses were compared."""

    ratio: Interval
    statistic: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Needs:
    """Realised needs (origin, book; NaN where unknown) and how ratios are resampled: whole blocks of origins."""

    need: Cells
    block: int
    steps: int
    seed: int = 0
    draws: int = 500

    def shortfall(self, reserve: Cells, rival: Cells, *, per_book: bool = False) -> Verdict:
        """Shortfall over that of the rival at equal average reserve; per book with a factor for each."""
        need, own, other = self._shared(reserve, rival)

        def ratio(counts: Float[ndarray, " origin"]) -> float:
            factor = equal_average(own, other, counts, per_book=per_book)
            return _over(counts @ lacking(need, own), counts @ lacking(need, factor * other))

        once = np.ones(len(need))
        losses = lacking(need, equal_average(own, other, once, per_book=per_book) * other)
        return Verdict(ratio=self._interval(ratio, len(need)), statistic=self._t(lacking(need, own), losses))

    def average(self, reserve: Cells, rival: Cells) -> Verdict:
        """Average reserve that falls as short as the rival does at equal average reserve, over the rival's average."""
        need, own, other = self._shared(reserve, rival)

        def ratio(counts: Float[ndarray, " origin"]) -> float:
            factor = equal_average(own, other, counts)
            allowed = float(counts @ lacking(need, factor * other))
            return factor_at(need, own, counts, allowed)

        return Verdict(ratio=self._interval(ratio, len(need)), statistic=None)

    def as_held(self, reserve: Cells, rival: Cells) -> tuple[Verdict, float]:
        """Shortfall over the rival's, both as they were held, and the ratio of their average reserves."""
        need, own, other = self._shared(reserve, rival)

        def ratio(counts: Float[ndarray, " origin"]) -> float:
            return _over(counts @ lacking(need, own), counts @ lacking(need, other))

        found = Verdict(
            ratio=self._interval(ratio, len(need)), statistic=self._t(lacking(need, own), lacking(need, other))
        )
        return found, float(own.sum() / other.sum())

    def _shared(self, reserve: Cells, rival: Cells) -> tuple[Cells, Cells, Cells]:
        """Needs and both reserves where all are known, 0 elsewhere; origins without any are left out."""
        if reserve.shape != self.need.shape or rival.shape != self.need.shape:
            raise InputError(f"reserves {reserve.shape} and {rival.shape} for needs {self.need.shape}: one per need.")
        is_there: Bool[ndarray, "origin book"] = np.isfinite(self.need) & np.isfinite(reserve) & np.isfinite(rival)
        if np.any(reserve[is_there] < 0.0) or np.any(rival[is_there] < 0.0):
            raise InputError("a reserve is negative; hold at least 0.")
        kept = np.any(is_there, axis=1)
        if not np.any(kept) or not np.any(rival[is_there] > 0.0):
            raise InputError("no need is known beside both reserves, or the rival holds nothing at all.")
        cells = (np.where(is_there, array, 0.0)[kept] for array in (self.need, reserve, rival))
        need, own, other = cells
        return need, own, other

    def _interval(self, ratio: Ratio, n: int) -> Interval:
        value = ratio(np.ones(n))
        if n < 2 * self.block:
            return Interval(value=value, lower=np.nan, upper=np.nan)
        random = np.random.default_rng(self.seed)
        counts = resampled_counts(n, block=self.block, random=random, draws=self.draws)
        drawn = np.array([ratio(one) for one in counts])
        known = drawn[np.isfinite(drawn)]
        lower, upper = np.quantile(known, (0.025, 0.975)) if known.size else (np.nan, np.nan)
        return Interval(value=value, lower=float(lower), upper=float(upper))

    def _t(self, own: Float[ndarray, " origin"], other: Float[ndarray, " origin"]) -> float | None:
        if len(own) < 2 * self.block or (np.ptp(own - other) == 0.0 and not np.array_equal(own, other)):
            return None
        return diebold_mariano(own, other, horizon=self.steps, lag=self.block).statistic


def lacking(need: Cells, reserve: Cells) -> Float[ndarray, " origin"]:
    """What is needed beyond the reserve, summed over books.

    >>> lacking(np.array([[3.0, 1.0]]), np.array([[1.0, 2.0]])).tolist()
    [2.0]
    """
    missing: Float[ndarray, " origin"] = np.maximum(need - reserve, 0.0).sum(axis=1)
    return missing


def equal_average(
    own: Cells, other: Cells, counts: Float[ndarray, " origin"], *, per_book: bool = False
) -> Float[ndarray, "..."]:
    """The factor at which the other reserve is the own one on average, over all books or for each (0 where it is 0).

    >>> equal_average(np.array([[2.0, 4.0]]), np.array([[1.0, 1.0]]), np.ones(1), per_book=True).tolist()
    [2.0, 4.0]
    """
    left, right = counts @ own, counts @ other
    if not per_book:
        left, right = left.sum(keepdims=True), right.sum(keepdims=True)
    return np.divide(left, right, out=np.zeros(left.shape), where=right > 0.0)


def factor_at(need: Cells, reserve: Cells, counts: Float[ndarray, " origin"], allowed: float) -> float:
    """The factor on a reserve at which its shortfall is what is allowed; NaN where even none falls less short.

    Σ (need − k r)⁺ is convex, decreasing and piecewise linear in k: Newton from k = 1 ends in the exact root, and at 1
    itself where the shortfall there is the allowed one.

    >>> factor_at(np.array([[3.0]]), np.array([[1.0]]), np.ones(1), 1.0)
    2.0
    """
    factor = 1.0
    for _ in range(STEPS):
        gap = float(counts @ lacking(need, factor * reserve)) - allowed
        if abs(gap) <= EXACT * max(allowed, EXACT):
            return factor
        slope = float(counts @ np.where(need > factor * reserve, reserve, 0.0).sum(axis=1))
        if (slope == 0.0 and gap > 0.0) or (factor == 0.0 and gap < 0.0):
            return float("nan")
        factor = max(factor + gap / slope, 0.0) if slope > 0.0 else 0.0
    return factor


def _over(first: float, second: float) -> float:
    """A ratio of shortfalls; 1 where neither falls short, NaN where only the rival never does."""
    if second == 0.0:
        return 1.0 if first == 0.0 else float("nan")
    return float(first / second)
