"""What is taken out of recorded quotes before they become a chain, and a count of it; nothing goes silently.

Each filter takes a frame of quotes (columns of `market.schema`) and returns what is left and a `Dropped`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from greekdrift.errors import ConfigError, nearest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """How many of how many quotes a filter took out, and the first of them."""

    filter: str
    count: int
    of: int
    first: str | None

    def __str__(self) -> str:
        first = f", first {self.first}" if self.first else ""
        return f"{self.filter}: {self.count} of {self.of} dropped{first}"


def alive(quotes: pd.DataFrame) -> tuple[pd.DataFrame, Dropped]:
    """Rows that expire after their snapshot, or never (expired ones cannot be in a chain)."""
    keep = ~(quotes["expiry_ts_utc"] <= quotes["snapshot_ts_utc"])
    return quotes.loc[keep], _dropped("alive", quotes, ~keep)


def uncrossed(quotes: pd.DataFrame) -> tuple[pd.DataFrame, Dropped]:
    """All rows, without bid and ask where the bid is above the ask: the mark stays, the two quotes go."""
    is_crossed = quotes["bid"] > quotes["ask"]
    left = quotes.copy()
    left.loc[is_crossed, ["bid", "ask"]] = np.nan
    return left, _dropped("uncrossed", quotes, is_crossed)


def finite(quotes: pd.DataFrame) -> tuple[pd.DataFrame, Dropped]:
    """Rows whose mark, forward and index are numbers, and whose mark volatility is one if they are options."""
    numbers = quotes[["mark", "forward", "index_price"]].to_numpy(dtype=np.float64)
    volatility = quotes["mark_iv"].to_numpy(dtype=np.float64)
    keep = np.isfinite(numbers).all(axis=1) & (np.isfinite(volatility) | quotes["strike"].isna().to_numpy())
    return quotes.loc[keep], _dropped("finite", quotes, pd.Series(~keep, index=quotes.index))


def latest(quotes: pd.DataFrame) -> tuple[pd.DataFrame, Dropped]:
    """Of the rows of one contract the last: a collection that stamps single rows may ask for one twice."""
    keep = ~quotes.duplicated("instrument_name", keep="last")
    return quotes.loc[keep], _dropped("latest", quotes, ~keep)


Filter = Callable[[pd.DataFrame], tuple[pd.DataFrame, Dropped]]

FILTERS: dict[str, Filter] = {"alive": alive, "finite": finite, "latest": latest, "uncrossed": uncrossed}
"""Filters by the name that a configuration uses."""


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, refused if one is not a filter.

    >>> checked(["alive"])
    ('alive',)
    """
    for name in names:
        if name not in FILTERS:
            raise ConfigError(f'"{name}" is not a filter of quotes; {nearest(name, FILTERS)}')
    return tuple(names)


def apply(quotes: pd.DataFrame, names: Sequence[str], *, where: str) -> tuple[pd.DataFrame, tuple[Dropped, ...]]:
    """What is left after filters in the given order, with one report a filter; each loss is logged with its place."""
    reports = []
    for name in checked(names):
        quotes, report = FILTERS[name](quotes)
        reports.append(report)
        if report.count:
            log.warning("quotes dropped at %s: %s", where, report)
    return quotes, tuple(reports)


def _dropped(name: str, quotes: pd.DataFrame, gone: pd.Series) -> Dropped:
    at = np.flatnonzero(gone.to_numpy())
    first = str(quotes["instrument_name"].iloc[at[0]]) if at.size else None
    return Dropped(filter=name, count=int(at.size), of=len(quotes), first=first)
