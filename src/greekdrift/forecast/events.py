"""Events that may follow within days, as rows: what was known, whether it happened, and since when that is known.

Variance doubling, inversion of the term structure, a fall, a jump of volatility. Rows of several markets may be pooled.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from greekdrift.errors import InputError, nearest
from greekdrift.forecast.days import Clock, Days, ahead_extreme, ahead_mean, trailing
from greekdrift.forecast.regime import CLIMATOLOGY, HIDDEN_STATE, LEVEL_ONLY, MONTH, OWN, columns

Rowed = Float[ndarray, " row"]
Link = Literal["logit", "lognormal"]
Followed = tuple[Rowed, Rowed | None]

NEVER = 10**7
"""Day of an outcome that is not known."""
HAR, NEWS, IMPLIED = (
    ("daily", "weekly", "place"),
    ("bad_news_1", "bad_news_5", "bad_news_22"),
    ("premium", "implied_change", "implied_slope"),
)
CALENDAR, SHAPE, CURVE = ("weekend_ahead", "weekend_now"), ("lumpiness", "season"), ("slope", "slope_week")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Columns of a regression, its link, and whether its probabilities are calibrated on past forecasts."""

    columns: tuple[str, ...] = ()
    link: Link = "logit"
    is_calibrated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: in words, how many days it may take, and what followed each day (outcome, log ratio or none)."""

    says: str
    ahead: int
    followed: Callable[[Days], Followed]


def doubling(days: Days, *, ahead: int = 5, behind: int = MONTH, factor: float = 2.0) -> Followed:
    """Mean variance of the next days above `factor` times that of the last `behind`."""
    ratio = np.log(ahead_mean(days.variance, ahead) / (factor * trailing(days.variance, behind)))
    return np.where(np.isfinite(ratio), (ratio > 0.0).astype(float), np.nan), ratio


def inversion(days: Days, *, ahead: int = 5) -> Followed:
    """30-day above 90-day volatility on one of the next days; no outcome where it is so already."""
    return rises_above(days.slope, np.zeros(len(days)), ahead=ahead), None


def fall(days: Days, *, ahead: int = 10) -> Followed:
    """A close of the next days at least 5 % (on the clock that never stops 10 %) below today's."""
    share = 0.05 if days.clock == "sessions" else 0.1
    return falls(days.close, ahead=ahead, share=share), None


def jump(days: Days, *, ahead: int = 5, factor: float = 1.2) -> Followed:
    """30-day implied volatility of one of the next days above `factor` times today's."""
    level = np.sqrt(days.implied)
    return rises_above(level, factor * level, ahead=ahead), None


EVENTS: Mapping[str, Event] = {
    "variance_doubling": Event(says="variance of 5 days above twice that of the last 22", ahead=5, followed=doubling),
    "inversion": Event(says="30-day above 90-day volatility within 5 days", ahead=5, followed=inversion),
    "fall": Event(says="a close 5 % (coins: 10 %) lower within 10 days", ahead=10, followed=fall),
    "volatility_jump": Event(says="30-day volatility up by a fifth within 5 days", ahead=5, followed=jump),
}
"""Events by name."""


def recipes(event: str, clock: Clock, *, has_implied: bool) -> dict[str, Recipe]:
    """The own model of an event, last, after its baselines: climatology, level only, hidden state."""
    if event not in EVENTS:
        raise InputError(f'there is no event "{event}"; {nearest(event, EVENTS)}')
    own = HAR + (CALENDAR + SHAPE if clock == "elapsed" else NEWS + (IMPLIED if has_implied else ()))
    # Shape of the month and the lognormal tail gain on the clock that never stops, on sessions nothing:
    # docs/experiments.md, section 2.
    link: Link = "lognormal" if event == "variance_doubling" and clock == "elapsed" else "logit"
    if event == "inversion":
        own = HAR + CURVE
    if event == "fall":
        own = ("daily", "weekly", "level")
    return {
        CLIMATOLOGY: Recipe(),
        LEVEL_ONLY: Recipe(columns=("slope",) if event == "inversion" else ("level",)),
        HIDDEN_STATE: Recipe(columns=("hidden",)),
        OWN: Recipe(columns=own, link=link, is_calibrated=True),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What was known at the close of `day` (a number that increases with time), by column, and what followed.

    `outcome` is 0, 1 or NaN (window incomplete); it is known at `complete`. `ratio` is the logarithm of what the
    event compares over its threshold, so that the event is ratio > 0: only events that have one can use the
    lognormal link.
    """

    day: Int[ndarray, " row"]
    complete: Int[ndarray, " row"]
    outcome: Rowed
    columns: Mapping[str, Rowed]
    ratio: Rowed | None = None


def rows(days: Days, event: str, *, known: Mapping[str, Rowed] | None = None) -> Rows:
    """The rows of one event in one market; `known` are its columns where they are made already."""
    if event not in EVENTS:
        raise InputError(f'there is no event "{event}"; {nearest(event, EVENTS)}')
    found = EVENTS[event]
    outcome, ratio = found.followed(days)
    complete = np.append(days.day[found.ahead :], np.full(min(found.ahead, len(days)), NEVER))
    named = columns(days) if known is None else known
    return Rows(day=days.day, complete=complete, outcome=outcome, columns=named, ratio=ratio)


def pooled(parts: Sequence[Rows]) -> Rows:
    """Rows of several markets as one; each keeps its own days and columns, which must be the same ones."""
    ratios = [one.ratio for one in parts]
    return Rows(
        day=np.concatenate([one.day for one in parts]),
        complete=np.concatenate([one.complete for one in parts]),
        outcome=np.concatenate([one.outcome for one in parts]),
        columns={name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns},
        ratio=None
        if any(one is None for one in ratios)
        else np.concatenate([one for one in ratios if one is not None]),
    )


def falls(close: Rowed, *, ahead: int, share: float) -> Rowed:
    """1 where the close of one of the next days is at least this share below today's; NaN at the end.

    >>> falls(np.array([100.0, 99.0, 94.0, 100.0]), ahead=2, share=0.05)
    array([ 1.,  1., nan, nan])
    """
    lowest = ahead_extreme(np.log(close), ahead, is_lowest=True) - np.log(close)
    return np.where(np.isfinite(lowest), (lowest <= np.log1p(-share)).astype(float), np.nan)


def rises_above(value: Rowed, threshold: Rowed, *, ahead: int) -> Rowed:
    """1 where the value of one of the next days is above today's threshold; NaN at the end and where it is already.

    >>> rises_above(np.array([0.0, 2.0, 0.0, 3.0]), np.ones(4), ahead=1)
    array([ 1., nan,  1., nan])
    """
    highest = ahead_extreme(value, ahead, is_lowest=False)
    is_open = np.isfinite(highest) & (value <= threshold)
    return np.where(is_open, (highest > threshold).astype(float), np.nan)


def is_judged(given: Rows, *probabilities: Rowed) -> Bool[ndarray, " row"]:
    """Rows whose outcome is known and that every one of these probabilities covers."""
    judged: Bool[ndarray, " row"] = np.isfinite(given.outcome)
    for one in probabilities:
        judged &= np.isfinite(one)
    return judged
