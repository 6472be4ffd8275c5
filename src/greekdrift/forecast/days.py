"""Days of one market, from any path of prices: variance, return, close, implied variance and slope of the curve.

Timing: a day can be known when a price at or after its end is known. Missing is NaN, never zero: a day over which
prices leave a hole has no variance, and a window asks for four fifths of its days.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view

from greekdrift.errors import DataError, InputError, nearest
from greekdrift.features.history import Panel

Clock = Literal["elapsed", "sessions"]
Values = Float[ndarray, " day"]
Instants = Shaped[ndarray, " row"]

LONGEST_CLOSURE = 8
"""Days between two sessions; more is a hole."""
COVERED = 0.8
LEAST = 60
"""Days from which on a market may be described."""
DAY = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Days:
    """One market by day (days since 1970, increasing): calendar days on the clock "elapsed", else its sessions.

    `variance` is realised, a day, as fraction squared (1e-4 = 1 % a day); `returns` are logarithmic; `implied` is the
    30-day implied variance a day; `slope` is the logarithm of 30-day over 90-day volatility. NaN where missing.
    """

    symbol: str
    clock: Clock
    day: Int[ndarray, " day"]
    known_at: Shaped[ndarray, " day"]
    close: Values
    variance: Values
    returns: Values
    implied: Values
    slope: Values

    def __post_init__(self) -> None:
        for name in ("known_at", "close", "variance", "returns", "implied", "slope"):
            if getattr(self, name).shape != self.day.shape:
                raise DataError(f"{self.symbol}: {name} must have one value for each of {len(self.day)} days.")
        if np.any(np.diff(self.day) <= 0):
            raise DataError(f"{self.symbol}: days do not increase; sort them and drop those that stand twice.")
        for name in ("close", "variance", "implied"):
            values = getattr(self, name)
            if np.any(values <= 0.0) or np.any(np.isinf(values)):
                at = int(np.flatnonzero((values <= 0.0) | np.isinf(values))[0])
                raise DataError(
                    f"{self.symbol}: {name} {values[at]} of {self.date(at)} is not positive; a missing one is NaN."
                )

    def __len__(self) -> int:
        return len(self.day)

    def date(self, at: int) -> str:
        """ISO date of a row."""
        return str(self.day[at].astype("datetime64[D]"))

    def until(self, moment: np.datetime64) -> "Days":
        """The days that were known at an instant."""
        return self._rows(slice(0, int(np.searchsorted(self.known_at, moment, side="right"))))

    def _rows(self, rows: slice) -> "Days":
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        cut: dict[str, Any] = {name: one[rows] if isinstance(one, ndarray) else one for name, one in kept.items()}
        return Days(**cut)

    def described(self) -> "Days":
        """Itself, if it can be described at all; too few days and a price that never moved are refused."""
        there = int(np.isfinite(self.variance).sum())
        if there < LEAST:
            raise DataError(
                f"{self.symbol}: {there} whole days are too few to tell its regime, {LEAST} are needed; give a longer "
                "history."
            )
        if not np.nanstd(np.log(self.variance)) > 0.0:
            raise DataError(f"{self.symbol}: its variance is the same on every day; check the prices.")
        return self


def of_path(
    symbol: str,
    *,
    event_time: Instants,
    known_at: Instants,
    price: Float[ndarray, " row"],
    hole_hours: float,
    volatilities: tuple[Float[ndarray, " row"], Float[ndarray, " row"]] | None = None,
) -> Days:
    """Calendar days (UTC) of prices at any instants: σ² = Σ r², a step over midnight shared by its hours.

    `volatilities` are those of 30 and of 90 days, annualised, at the same instants; a day takes the last within it.
    A day touched by a step longer than `hole_hours` is missing. An unchanging day has variance NaN, not zero.

    >>> hours = np.datetime64("2026-01-01", "us") + np.arange(73) * np.timedelta64(3600_000_000, "us")
    >>> price = 100.0 * np.exp(0.01 * (np.arange(73) % 2))
    >>> days = of_path("X", event_time=hours, known_at=hours, price=price, hole_hours=3.0)
    >>> len(days), days.variance.round(4).tolist(), str(days.known_at[0])
    (3, [0.0024, 0.0024, 0.0024], '2026-01-02T00:00:00.000000')
    """
    is_there = np.isfinite(price)
    event_time, known_at, price = event_time[is_there], known_at[is_there], price[is_there]
    if len(price) < 2:
        raise DataError(f"{symbol}: {len(price)} prices have no days; give a longer history.")
    hours = (event_time - event_time[0]) / np.timedelta64(3_600_000_000, "us")
    first, last = (event_time[at].astype("datetime64[D]").astype(np.int64) for at in (0, -1))
    first += int(event_time[0] > event_time[0].astype("datetime64[D]"))
    day = np.arange(first, last)
    if len(day) == 0:
        raise DataError(f"{symbol}: {len(price)} prices cover no whole day; give a longer history.")
    edges = (np.append(day, last).astype("datetime64[D]") - event_time[0]) / np.timedelta64(3_600_000_000, "us")
    steps = np.diff(np.log(price))
    total = np.interp(edges, hours, np.append(0.0, np.cumsum(steps**2)))
    level = np.interp(edges, hours, np.log(price))
    hole = np.interp(
        edges, hours, np.append(0.0, np.cumsum(np.where(np.diff(hours) > hole_hours, np.diff(hours), 0.0)))
    )
    is_whole = np.diff(hole) < 1e-9
    variance = np.where(is_whole & (np.diff(total) > 0.0), np.diff(total), np.nan)
    after = np.searchsorted(hours, edges[1:] - 1e-9)
    implied, slope = np.full((2, len(day)), np.nan)
    if volatilities is not None:
        short, long = (values[is_there] for values in volatilities)
        before = np.searchsorted(hours, edges[1:] + 1e-9) - 1
        is_fresh = edges[1:] - hours[before] < 24.0
        implied = np.where(is_fresh, short[before] ** 2 / 365.0, np.nan)
        slope = np.where(is_fresh, np.log(short[before] / long[before]), np.nan)
    return Days(
        symbol=symbol,
        clock="elapsed",
        day=day,
        known_at=np.maximum.accumulate(known_at)[after],
        close=np.where(is_whole, np.exp(level[1:]), np.nan),
        variance=variance,
        returns=np.where(is_whole, np.diff(level), np.nan),
        implied=implied,
        slope=slope,
    )


def of_sessions(
    symbol: str,
    *,
    day: Int[ndarray, " session"],
    known_at: Instants,
    close: Values,
    variance: Values,
    implied: Values | None = None,
    slope: Values | None = None,
) -> Days:
    """Trading sessions as they are recorded; a hole of more than eight days becomes missing days that no window spans.

    >>> day = np.array([0, 1, 40])
    >>> at = day.astype("datetime64[D]").astype("datetime64[us]")
    >>> len(of_sessions("X", day=day, known_at=at, close=np.ones(3), variance=np.full(3, 1e-4)))
    41
    """
    gap = np.diff(day)
    if np.any(gap <= 0):
        raise DataError(f"{symbol}: sessions do not increase; sort them and drop those that stand twice.")
    missing = [
        np.arange(before + 1, before + one) for before, one in zip(day[:-1], gap, strict=True) if one > LONGEST_CLOSURE
    ]
    every = np.sort(np.concatenate([day, *missing]))
    at = np.searchsorted(every, day)

    def spread(values: ndarray | None) -> Values:
        found = np.full(len(every), np.nan)
        if values is not None:
            found[at] = values
        return found

    known = known_at[np.minimum(np.searchsorted(day, every), len(day) - 1)]
    full_close = spread(close)
    returns = np.append(np.nan, np.diff(np.log(full_close)))
    return Days(
        symbol=symbol,
        clock="sessions",
        day=every,
        known_at=known,
        close=full_close,
        variance=spread(variance),
        returns=returns,
        implied=spread(implied),
        slope=spread(slope),
    )


def trailing(values: Values, days: int, *, least: int | None = None) -> Values:
    """Mean of those of the last `days` values that are there; NaN where fewer than `least` (four fifths) are.

    >>> trailing(np.array([1.0, np.nan, 6.0]), 2, least=1).tolist()
    [1.0, 1.0, 6.0]
    """
    needed = int(np.ceil(COVERED * days)) if least is None else least
    padded = np.concatenate([np.full(days - 1, np.nan), values])
    windows = sliding_window_view(padded, days)
    is_there = np.isfinite(windows)
    count = is_there.sum(axis=1)
    total = np.where(is_there, windows, 0.0).sum(axis=1)
    return np.where(count >= max(needed, 1), total / np.maximum(count, 1), np.nan)


def so_far(values: Values, *, least: int = 1) -> Values:
    """Mean of all values up to each day that are there; NaN before there are `least`.

    >>> so_far(np.array([np.nan, 1.0, np.nan, 3.0])).tolist()
    [nan, 1.0, 1.0, 2.0]
    """
    is_there = np.isfinite(values)
    total, count = np.cumsum(np.where(is_there, values, 0.0)), np.cumsum(is_there)
    return np.where(count >= max(least, 1), total / np.maximum(count, 1), np.nan)


def ahead_mean(values: Values, days: int) -> Values:
    """Mean of the next `days` values; NaN where one of them is missing or not there yet."""
    return _ahead(values, days).mean(axis=1)


def ahead_extreme(values: Values, days: int, *, is_lowest: bool) -> Values:
    """Lowest or highest of the next `days` values; NaN where one of them is missing or not there yet.

    >>> ahead_extreme(np.array([1.0, 3.0, 2.0]), 2, is_lowest=True).tolist()
    [2.0, nan, nan]
    """
    windows = _ahead(values, days)
    return windows.min(axis=1) if is_lowest else windows.max(axis=1)


def _ahead(values: Values, days: int) -> Float[ndarray, "day ahead"]:
    return sliding_window_view(np.append(values[1:], np.full(days, np.nan)), days)


def of_panel(panel: Panel, underlying: str) -> Days:
    """The days of one underlying of a panel of chains: index, and volatilities of 30 and 90 days.

    >>> from greekdrift.features.history import example
    >>> days = of_panel(example(rows=40), "BTC")
    >>> days.clock, len(days)
    ('elapsed', 9)
    """
    if underlying not in panel.underlyings:
        raise InputError(f'the panel has no "{underlying}"; {nearest(underlying, panel.underlyings)}')
    at = panel.underlyings.index(underlying)
    if panel.clock != "elapsed":
        raise DataError(
            f"{underlying}: closes of sessions alone tell no variance of a day; describe the market in configs/regime "
            "with its range or a realised variance."
        )
    price, short, long = (np.exp(_factor(panel, name)[:, at]) for name in ("forward", "atm_30", "atm_90"))
    return of_path(
        underlying,
        event_time=panel.as_of,
        known_at=panel.known_at,
        price=price,
        hole_hours=panel.gap_steps * panel.step_hours,
        volatilities=(short, long),
    )


def _factor(panel: Panel, name: str) -> Float[ndarray, "row underlying"]:
    """A factor of the state; missing where the state has none of the name."""
    has_it = name in panel.factors
    return panel.factor(name) if has_it else np.full((len(panel), len(panel.underlyings)), np.nan)
