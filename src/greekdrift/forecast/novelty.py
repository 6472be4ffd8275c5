"""How unlike the past that a model learnt from a history is at its origin, and from where on it is too unlike.

Eight measures of the last row are taken against the learnt window: how far the surface stands from its usual place
(robust Mahalanobis distance by underlying), how large its last step was (the same of increments an hour), how far the
price has come since the window ended (in standard deviations of a random walk), how far the variance of the last
week is from the window's (log ratio), how often in a row a price or a whole surface was repeated to the last digit,
what is missing, how long the gap before the snapshot was, and how many features lie outside the window's range.

Each is divided by what it exceeded on a share `rate` of the rows of the window itself, walked forward: measured
against the rows before a refit alone. The score is the largest quotient; its limit is what the score exceeded on
the share `rate` of these rows. So the share of alarms inside the window is known: `rate` at most. On unseen days they
come in clusters, where the market leaves the window for good; a new fit ends them.

Source: robust distances as in Rousseeuw & Van Driessen (1999), with medians and median absolute deviations in place of
the MCD, correlations shrunk by half. Timing: known with the origin row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from greekdrift.errors import DataError, InputError
from greekdrift.features.history import HOUR, Panel
from greekdrift.forecast.memory import moves
from greekdrift.units import from_datetime64, stamp

MEASURES = ("level", "step", "price", "variance", "repeated", "missing", "gap", "features")
RATE = 0.01
LEAST = 60
"""Rows that a window needs, so that something can be called usual."""
WEEK, MONTH = 168.0, 720.0
FOLDS = 24
RECENT = np.timedelta64(20, "D")
"""What any measure of a row looks back on."""
NORMAL = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""
FLAT = 1e-6
"""Least spread of anything: a factor that never moved may move by rounding."""
ALWAYS_USUAL = (3.0, 3.0, 5.0, np.log(10.0), 1.0, 0.0, 2.5, 0.25)
"""What each measure may always reach: a calm window is no reason to call a lively week, or a price that moved, novel.

Three deviations a factor, five of the price, a week of ten times the variance, one repeated snapshot, two and a half
steps between snapshots, a quarter of the features. Of values missing there is always room for half of one.
"""
OPEN = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Score of an origin, the limit it is held against, and what it comes from; NaN is over every limit."""

    score: float
    limit: float
    measure: str
    detail: str

    @property
    def is_novel(self) -> bool:
        """Whether the origin is too unlike what was learnt from."""
        return not self.score <= self.limit

    @property
    def reason(self) -> str:
        """The finding in a sentence; blank where the origin is usual."""
        if not self.is_novel:
            return ""
        return (
            f"the market is unlike what the model learnt from: {self.detail} (novelty {self.score:.3g}, limit "
            f"{self.limit:.3g})"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """What was usual in a window: its end, prices there, and place and spread of everything measured."""

    last: Shaped[ndarray, " one"]
    price: Float[ndarray, " underlying"]
    variance: Float[ndarray, " underlying"]
    centre: Float[ndarray, "underlying factor"]
    spread: Float[ndarray, "underlying factor"]
    likeness: Float[ndarray, "factor factor"]
    step_spread: Float[ndarray, "underlying factor"]
    step_likeness: Float[ndarray, "factor factor"]
    lower: Float[ndarray, "underlying feature"]
    upper: Float[ndarray, "underlying feature"]
    was_missing: Bool[ndarray, "underlying feature"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Novelty:
    """The window that a model learnt from, and how unlike it an origin may be.

    `usual` is by measure what the window's own rows, walked forward, exceeded at `rate`; `limit` the same of the score.
    """

    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    feature_names: tuple[str, ...]
    clock: Literal["elapsed", "sessions"]
    step_hours: float
    rate: float
    window: Window
    usual: Float[ndarray, " measure"]
    limit: float

    def __post_init__(self) -> None:
        given = self.window
        positive = (given.variance, given.spread, given.step_spread, self.usual, np.array([self.limit]))
        if any(not np.all(one > 0.0) or not np.all(np.isfinite(one)) for one in positive):
            raise InputError("novelty: a spread, a usual value or the limit is not positive; fit it again.")
        shape = (len(self.underlyings), len(self.factors))
        if given.centre.shape != shape or given.lower.shape != (shape[0], len(self.feature_names)):
            raise InputError(f"novelty: the window is not of {shape[0]} underlyings in {shape[1]} factors.")

    @classmethod
    def fit(cls, panel: Panel, *, rate: float = RATE) -> Self:
        """What is usual in a panel; too few rows are refused.

        >>> from greekdrift.features.history import example
        >>> panel = example(rows=200)
        >>> novelty = Novelty.fit(panel, rate=0.05)
        >>> novelty.judge(panel).is_novel
        False
        """
        if not 0.0 < rate < 0.5:
            raise InputError(f"novelty: a rate of false alarms of {rate:g}; give a share between 0 and 0.5.")
        if len(panel) < LEAST:
            raise DataError(f"novelty: {len(panel)} rows tell nothing of what is usual; give {LEAST} or more.")
        found = _walked_forward(panel)
        usual = np.maximum(np.quantile(found, 1.0 - rate, axis=0), _floors(panel))
        return cls(
            underlyings=panel.underlyings,
            factors=panel.factors,
            feature_names=panel.feature_names,
            clock=panel.clock,
            step_hours=panel.step_hours,
            rate=rate,
            window=_window(panel),
            usual=usual,
            limit=max(float(np.quantile((found / usual).max(axis=1), 1.0 - rate)), 1.0),
        )

    def scores(self, history: Panel) -> Float[ndarray, " row"]:
        """The score of every row, each from what it and the rows before it show; the first row has none (NaN)."""
        self._check_axes(history)
        every = np.full(len(history), np.nan)
        rows = np.arange(1, len(history))
        every[rows] = (_measures(self.window, history, rows) / self.usual).max(axis=1)
        return every

    def judge(self, history: Panel) -> Judgement:
        """Whether the last row of a history is one that the model can speak of."""
        try:
            self._check_axes(history)
        except DataError as problem:
            return self._judged(np.inf, "axes", str(problem))
        if len(history) < 2:
            return self._judged(np.inf, "missing", "there is no snapshot before the origin")
        recent = history.since(min(history.as_of[-1] - RECENT, history.as_of[-2]))
        found = _measures(self.window, recent, np.array([len(recent) - 1]))[0]
        shares = np.where(np.isnan(found), np.inf, found / self.usual)
        worst = MEASURES[int(np.argmax(shares))]
        return self._judged(float(shares.max()), worst, _detail(self.window, recent, worst))

    def _judged(self, score: float, measure: str, detail: str) -> Judgement:
        return Judgement(score=score, limit=self.limit, measure=measure, detail=detail)

    def _check_axes(self, history: Panel) -> None:
        if history.underlyings != self.underlyings or history.factors != self.factors:
            raise DataError(
                f"it learnt from {', '.join(self.underlyings)} in {len(self.factors)} factors, the history shows "
                f"{', '.join(history.underlyings)} in {len(history.factors)}"
            )
        if history.feature_names != self.feature_names or history.clock != self.clock:
            raise DataError("the history carries other features or another clock than the window that it learnt from")


def _walked_forward(panel: Panel) -> Float[ndarray, "row measure"]:
    """Measures of the later two thirds of the rows, each against the rows before the last refit, about a month ago."""
    first = max(len(panel) // 3, LEAST // 2)
    block = max(round(MONTH / panel.step_hours), -(-(len(panel) - first) // FOLDS))
    parts = []
    for start in range(first, len(panel), block):
        seen = _window(panel.until(panel.known_at[start - 1]))
        parts.append(_measures(seen, panel, np.arange(start, min(start + block, len(panel)))))
    found = np.concatenate(parts)
    return found[np.all(np.isfinite(found), axis=1)]


def _floors(panel: Panel) -> Float[ndarray, " measure"]:
    half_a_value = 0.5 / (len(panel.underlyings) * len(panel.factors))
    return np.maximum(ALWAYS_USUAL, [half_a_value if name == "missing" else 0.0 for name in MEASURES])


def _window(panel: Panel) -> Window:
    state = _shapes(panel)
    steps = _steps(panel)
    price = panel.state[:, :, _forward(panel.factors)]
    low, high = (_ends(panel.features, end) for end in (np.fmin, np.fmax))
    centre, spread = _place(state)
    _, step_spread = _place(steps, about=0.0)
    return Window(
        last=panel.as_of[-1:].copy(),
        price=_last_seen(price),
        variance=_variance(panel),
        centre=centre,
        spread=spread,
        likeness=_likeness((state - centre) / spread),
        step_spread=step_spread,
        step_likeness=_likeness(steps / step_spread),
        lower=low,
        upper=high,
        was_missing=np.isnan(panel.features).any(axis=0),
    )


def _measures(window: Window, panel: Panel, rows: ndarray) -> Float[ndarray, "row measure"]:
    """`MEASURES` of some rows (not the first) against a window."""
    level = _distance((_shapes(panel)[rows] - window.centre) / window.spread, window.likeness)
    step = _distance(_steps(panel)[rows] / window.step_spread, window.step_likeness)
    features = _outside(window, panel.features[rows])
    columns = [
        level.max(axis=1),
        step.max(axis=1),
        np.nanmax(np.nan_to_num(_price(window, panel)[rows]), axis=1),
        _pace(window, panel)[rows].max(axis=1),
        _repeats(panel)[rows].max(axis=1),
        np.isnan(panel.state[rows]).mean(axis=(1, 2)),
        (np.diff(panel.as_of, prepend=panel.as_of[:1]) / HOUR)[rows] / panel.step_hours,
        features.mean(axis=(1, 2)) if features.size else np.zeros(len(rows)),
    ]
    return np.stack(columns, axis=1)


def _forward(factors: Sequence[str]) -> int:
    if "forward" not in factors:
        raise DataError("novelty: the state has no forward; give a panel with prices in it.")
    return list(factors).index("forward")


def _shapes(panel: Panel) -> Float[ndarray, "row underlying factor"]:
    """The state without its prices (0 there), which wander and are judged by themselves."""
    state = panel.state.copy()
    state[:, :, _forward(panel.factors)] = 0.0
    return state


def _steps(panel: Panel) -> Float[ndarray, "row underlying factor"]:
    """Increments over the root of their hours; NaN where missing or over a hole."""
    given = moves(panel)
    found: Float[ndarray, "row underlying factor"] = (
        given.values / np.sqrt(np.maximum(given.length, 1e-9))[:, None, None]
    )
    return found


def _place(values: ndarray, *, about: float | None = None) -> tuple[ndarray, ndarray]:
    """Median and robust spread along the rows; 0 and the least spread where nothing was seen."""
    is_seen = np.isfinite(values).any(axis=0)
    filled = np.where(is_seen, values, 0.0)
    centre = np.nanmedian(filled, axis=0) if about is None else np.full(is_seen.shape, about)
    away = np.abs(filled - centre)
    spread = np.maximum(NORMAL * np.nanmedian(away, axis=0), 0.1 * np.sqrt(np.nanmean(away**2, axis=0)))
    return centre, np.maximum(spread, FLAT)


def _likeness(scaled: Float[ndarray, "row underlying factor"]) -> Float[ndarray, "factor factor"]:
    """Correlation of the factors over all underlyings, extremes held at 4, shrunk half the way to none."""
    count = scaled.shape[-1]
    flat = np.clip(np.nan_to_num(scaled.reshape(-1, count)), -4.0, 4.0)
    size = np.sqrt(np.mean(flat**2, axis=0))
    with_size = np.where(size > 0.0, size, 1.0)
    return 0.5 * (flat.T @ flat) / len(flat) / np.outer(with_size, with_size) * (1.0 - np.eye(count)) + np.eye(count)


def _distance(scaled: Float[ndarray, "row underlying factor"], likeness: ndarray) -> Float[ndarray, "row underlying"]:
    """Root of the mean squared distance a factor; what is missing adds nothing (`missing` speaks of it)."""
    filled = np.nan_to_num(scaled)
    square = np.einsum("tuf,fg,tug->tu", filled, np.linalg.inv(likeness), filled)
    return np.sqrt(np.maximum(square, 0.0) / scaled.shape[-1])


def _last_seen(price: Float[ndarray, "row underlying"]) -> Float[ndarray, " underlying"]:
    found = np.zeros(price.shape[1])
    for at, column in enumerate(price.T):
        seen = column[np.isfinite(column)]
        if seen.size == 0:
            raise DataError("novelty: an underlying has no price in the whole window; leave it out of the panel.")
        found[at] = seen[-1]
    return found


def _variance(panel: Panel) -> Float[ndarray, " underlying"]:
    """Mean squared return an hour of real time."""
    price = panel.state[:, :, _forward(panel.factors)]
    squares = np.diff(price, axis=0) ** 2
    hours = np.broadcast_to((np.diff(panel.as_of) / HOUR)[:, None], squares.shape)
    seen = np.isfinite(squares)
    total = np.where(seen, squares, 0.0).sum(axis=0)
    return np.maximum(total / np.maximum(np.where(seen, hours, 0.0).sum(axis=0), 1.0), FLAT**2)


def _price(window: Window, panel: Panel) -> Float[ndarray, "row underlying"]:
    """|ln F − ln F at the window's end| in standard deviations of a random walk over that time, at least a week."""
    hours = np.maximum(np.abs((panel.as_of - window.last) / HOUR), WEEK)
    away = np.abs(panel.state[:, :, _forward(panel.factors)] - window.price)
    return away / np.sqrt(window.variance * hours[:, None])


def _pace(window: Window, panel: Panel) -> Float[ndarray, "row underlying"]:
    """|ln| of the variance of the last week over the window's; 0 where a week shows less than two days."""
    place = _forward(panel.factors)
    returns = moves(panel).values[:, :, place]
    hours = np.diff(panel.as_of, prepend=panel.as_of[:1]) / HOUR
    seen = np.isfinite(returns)
    squares = np.cumsum(np.where(seen, np.nan_to_num(returns) ** 2, 0.0), axis=0)
    time = np.cumsum(np.where(seen, hours[:, None], 0.0), axis=0)
    start = np.searchsorted(panel.as_of, panel.as_of - WEEK * HOUR, side="right") - 1
    is_before = (start >= 0)[:, None]
    spent = time - np.where(is_before, time[np.maximum(start, 0)], 0.0)
    power = squares - np.where(is_before, squares[np.maximum(start, 0)], 0.0)
    rate = np.maximum(power, 0.0) / np.maximum(spent, 1.0)
    return np.where(spent >= 48.0, np.abs(np.log(np.maximum(rate, FLAT**2 * 1e-6) / window.variance)), 0.0)


def _repeats(panel: Panel) -> Float[ndarray, "row underlying"]:
    """How many snapshots in a row repeated the price, or all the rest, of the one before to the last digit."""
    same = np.zeros(panel.state.shape, dtype=bool)
    same[1:] = panel.state[1:] == panel.state[:-1]
    place = _forward(panel.factors)
    others = [at for at in range(len(panel.factors)) if at != place]
    is_whole = same[:, :, others].all(axis=2) if others else np.zeros(same.shape[:2], dtype=bool)
    each = np.stack([same[:, :, place], is_whole], axis=-1)
    run = np.zeros(each.shape)
    for row in range(1, len(panel)):
        run[row] = np.where(each[row], run[row - 1] + 1.0, 0.0)
    return run.max(axis=-1)


def _ends(features: Float[ndarray, "row underlying feature"], end: np.ufunc) -> Float[ndarray, "underlying feature"]:
    """Least or greatest value of each feature; no limit where none was seen."""
    found: Float[ndarray, "underlying feature"] = end.reduce(features, axis=0)
    return np.where(np.isnan(found), -OPEN if end is np.fmin else OPEN, found)


def _outside(window: Window, features: Float[ndarray, "row underlying feature"]) -> ndarray:
    """Which features lie outside the window's range, or are missing where they never were."""
    is_absent = np.isnan(features)
    is_out = (features < window.lower) | (features > window.upper)
    return np.where(is_absent, ~window.was_missing, is_out)


def _detail(window: Window, history: Panel, measure: str) -> str:
    """Where the worst measure of the last row comes from, in words."""
    names, factors, last = history.underlyings, history.factors, len(history) - 1
    if measure in ("level", "step"):
        values, spread = (_shapes(history)[-1] - window.centre, window.spread)
        if measure == "step":
            values, spread = _steps(history)[-1], window.step_spread
        away = np.nan_to_num(np.abs(values / spread))
        at, factor = np.unravel_index(int(np.argmax(away)), away.shape)
        what = "stands" if measure == "level" else "moved in one step"
        return f"{names[at]} {factors[factor]} {what} {away[at, factor]:.1f} usual deviations away"
    if measure == "price":
        away = np.nan_to_num(_price(window, history)[-1])
        moment = stamp(from_datetime64(window.last[0]))
        return (
            f"the price of {names[int(np.argmax(away))]} is {away.max():.1f} standard deviations from that of {moment}"
        )
    if measure == "variance":
        pace = _pace(window, history)[-1]
        return f"the variance of {names[int(np.argmax(pace))]} in a week is {np.exp(pace.max()):.3g} times as far off"
    if measure == "repeated":
        run = _repeats(history)[-1]
        return f"{names[int(np.argmax(run))]} repeats itself for {run.max():.0f} snapshots"
    if measure == "missing":
        gone = np.argwhere(np.isnan(history.state[-1]))
        return f"{len(gone)} values of the surface are missing, such as {names[gone[0, 0]]} {factors[gone[0, 1]]}"
    if measure == "gap":
        hours = float((history.as_of[last] - history.as_of[last - 1]) / HOUR)
        return f"{hours:.0f} h have passed since the snapshot before"
    out = _outside(window, history.features[-1:])[0]
    at, feature = np.argwhere(out)[0]
    return f"{int(out.sum())} features are outside their range, such as {history.feature_names[feature]} of {names[at]}"
