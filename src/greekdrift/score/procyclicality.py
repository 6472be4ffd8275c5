"""How hard a margin moves with the cycle: peaks over troughs, calls, what calm costs, and how it answers volatility.

Four figures stand together, for models that pass the same coverage test differ widely in the others: peak over trough,
the largest call within some days, cost, coverage. Sources: Murphy, Vasios & Vause, Bank of England FSP 29 (2014) and
SWP 597 (2016); BCBS-CPMI-IOSCO (January 2025) on the responsiveness of margin to volatility.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.errors import InputError
from greekdrift.score.compare import Interval, block_bootstrap
from greekdrift.score.exceptions import Backtest, backtest, exceeded
from greekdrift.score.samples import finite

Series = Float[ndarray, " origin"]

CALL_DAYS = (1.0, 5.0, 20.0)
SLACK_HOURS = 1.5
"""Snapshots are not punctual: a window of days reaches this much further."""
TRIGGER = 0.25
"""Relative change of volatility from which an answer of margin is read."""
USUAL_ANSWER = (0.25, 2.0)
"""Ratios of the change of margin to that of volatility outside which a review is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The largest rise within so many days: in USD, and as a share of the level it rose from (or another measure)."""

    days: float
    usd: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Procyclicality:
    """The figures of one margin series, all together.

    `cost` is mean(margin)/mean(raw) − 1 with its block-bootstrap interval, `average_usd` the mean margin. `coverage` is
    the backtest of what it had to cover; None where nothing is known of that.
    """

    peak_to_trough: float
    peak_to_median: float
    calls: tuple[Call, ...]
    average_usd: float
    cost: Interval
    coverage: Backtest | None

    def call(self, days: float) -> Call:
        """The largest call within so many days."""
        found = [one for one in self.calls if one.days == days]
        if not found:
            raise InputError(f"no call of {days:g} days; there are {', '.join(f'{one.days:g}' for one in self.calls)}.")
        return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How margin answered volatility within one quarter.

    `volatility_change` is the largest relative change within the window, `margin_change` that of margin over the same
    window; `ratio` of the two is read only where volatility moved by more than the trigger, else it is None, and
    `needs_review` where it lies outside the usual.
    """

    quarter: str
    volatility_change: float
    margin_change: float
    ratio: float | None
    needs_review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsiveness:
    """Answers by quarter, and the elasticity Σ Δln M · Δln σ / Σ (Δln σ)² over all windows with its interval."""

    window_days: float
    elasticity: Interval
    quarters: tuple[Answer, ...]


def peak_to_trough(margin: ArrayLike) -> float:
    """Highest over lowest margin of the whole series, max M / min M.

    >>> peak_to_trough([2.0, 6.0, 3.0])
    3.0
    """
    series = _positive(margin, "margin")
    return float(series.max() / series.min())


def largest_call(margin: ArrayLike, hours: ArrayLike, *, days: float, measure: ArrayLike | None = None) -> Call:
    """The largest M_s − M_t with t < s ≤ t + days, and of the same over measure_t; 0 where margin only falls.

    `hours` place the series in time. The measure is the margin itself where none is given; the two maxima may lie at
    different t.

    >>> largest_call([10.0, 15.0, 12.0, 16.0], [0.0, 24.0, 48.0, 72.0], days=1.0)
    Call(days=1.0, usd=5.0, share=0.5)
    """
    series, at = _positive(margin, "margin"), _timed(hours, margin)
    over = series if measure is None else _positive(measure, "measure")
    if over.shape != series.shape or not days > 0.0:
        raise InputError(f"call within {days:g} days of {series.size} margins over {over.size} measures; one each.")
    most_usd = most_share = 0.0
    for lag in range(1, series.size):
        is_in = at[lag:] - at[:-lag] <= 24.0 * days + SLACK_HOURS
        if not np.any(is_in):
            break
        rise = np.where(is_in, series[lag:] - series[:-lag], 0.0)
        most_usd, most_share = max(most_usd, float(rise.max())), max(most_share, float((rise / over[:-lag]).max()))
    return Call(days=days, usd=most_usd, share=most_share)


def procyclicality(
    margin: ArrayLike,
    hours: ArrayLike,
    *,
    raw: ArrayLike | None = None,
    needed: ArrayLike | None = None,
    measure: ArrayLike | None = None,
    days: tuple[float, ...] = CALL_DAYS,
    level: float = 0.95,
    every: int = 1,
    block: int = 28,
    seed: int = 0,
) -> Procyclicality:
    """All figures of one series. `raw` is the margin without the tool, `needed` what it had to cover at `level`.

    >>> found = procyclicality([10.0, 12.0, 15.0], [0.0, 24.0, 48.0], raw=[8.0, 12.0, 15.0], block=1)
    >>> found.peak_to_trough, found.call(1.0).usd, round(found.cost.value, 3)
    (1.5, 3.0, 0.057)
    """
    series = _positive(margin, "margin")
    bare = series if raw is None else finite(raw, "raw margin")
    ratio = block_bootstrap(series, bare, block=_shortened(block, series.size), seed=seed)
    return Procyclicality(
        peak_to_trough=peak_to_trough(series),
        peak_to_median=float(series.max() / np.median(series)),
        calls=tuple(largest_call(series, hours, days=one, measure=measure) for one in days),
        average_usd=float(series.mean()),
        cost=Interval(value=ratio.value - 1.0, lower=ratio.lower - 1.0, upper=ratio.upper - 1.0),
        coverage=None if needed is None else backtest(exceeded(needed, series), level=level, every=every),
    )


def responsiveness(
    margin: ArrayLike,
    volatility: ArrayLike,
    as_of: ArrayLike,
    *,
    window_days: float = 5.0,
    trigger: float = TRIGGER,
    usual: tuple[float, float] = USUAL_ANSWER,
    block: int = 28,
    seed: int = 0,
) -> Responsiveness:
    """How far margin moved when volatility did, quarter by quarter.

    Over each window (M_{t+w}/M_t − 1) stands beside (σ_{t+w}/σ_t − 1); a quarter shows that of its largest change of
    volatility. A margin of ratio 0 does not see risk, one far above 1 amplifies it. A window is of the quarter in which
    it begins.

    >>> days = np.datetime64("2026-01-01") + np.arange(8)
    >>> found = responsiveness([4.0, 6.0] * 4, [0.4, 0.8] * 4, days, window_days=1.0, block=1)
    >>> found.quarters[0].ratio, round(found.elasticity.value, 3)
    (0.5, 0.585)
    """
    series, sigma = _positive(margin, "margin"), _positive(volatility, "volatility")
    moments = np.asarray(as_of, dtype="datetime64[us]")
    hours = (moments - moments[:1]) / np.timedelta64(1, "h")
    if not series.shape == sigma.shape == _timed(hours, margin).shape:
        raise InputError(f"{series.size} margins beside {sigma.size} volatilities; one each.")
    end = np.searchsorted(hours, hours + 24.0 * window_days + SLACK_HOURS, side="right") - 1
    is_whole = hours[end] - hours >= 24.0 * window_days - SLACK_HOURS
    start = np.flatnonzero(is_whole)
    if start.size == 0 or not window_days > 0.0:
        raise InputError(f"no window of {window_days:g} days in a series of {hours[-1] / 24.0:.1f} days.")
    answered, moved = series[end[start]] / series[start], sigma[end[start]] / sigma[start]
    log_moved = np.log(moved)
    if not np.any(log_moved != 0.0):
        raise InputError("volatility never moves; nothing can answer it.")
    names = [f"{str(one)[:4]}Q{(int(str(one)[5:7]) + 2) // 3}" for one in moments[start].astype("datetime64[M]")]
    quarters = []
    for name in dict.fromkeys(names):
        mine = np.array([one == name for one in names])
        largest = int(np.flatnonzero(mine)[np.argmax(np.abs(log_moved[mine]))])
        quarters.append(_answer(name, float(moved[largest]) - 1.0, float(answered[largest]) - 1.0, trigger, usual))
    return Responsiveness(
        window_days=window_days,
        elasticity=block_bootstrap(
            np.log(answered) * log_moved, log_moved**2, block=_shortened(block, start.size), seed=seed
        ),
        quarters=tuple(quarters),
    )


def _answer(quarter: str, moved: float, answered: float, trigger: float, usual: tuple[float, float]) -> Answer:
    ratio = answered / moved if abs(moved) >= trigger else None
    return Answer(
        quarter=quarter,
        volatility_change=moved,
        margin_change=answered,
        ratio=ratio,
        needs_review=ratio is not None and not usual[0] <= ratio <= usual[1],
    )


def _shortened(block: int, observations: int) -> int:
    """The block, a quarter of the series at most: one block that holds everything makes an interval of no width."""
    return max(1, min(block, observations // 4))


def _positive(values: ArrayLike, name: str) -> Series:
    series: Series = finite(values, name)
    if series.ndim != 1 or series.size == 0 or np.any(series <= 0.0):
        raise InputError(f"{name}: {series.shape} with a least of {series.min(initial=np.inf):g}; a series above 0.")
    return series


def _timed(hours: ArrayLike, margin: ArrayLike) -> Series:
    at: Series = finite(hours, "hours")
    if at.shape != np.shape(margin) or np.any(np.diff(at) <= 0.0):
        raise InputError(f"hours of {at.shape} for margins of {np.shape(margin)} must rise, one each.")
    return at
