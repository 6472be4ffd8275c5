"""Listed chains of the S&P 500, modelled from its implied-volatility surface in five factors, daily from 1996.

The data set `spx_ivs_factors` (Francois, Galarneau-Vincent, Gauthier & Godin 2022) holds the surface of each day:

    σ(M, τ) = β₁ + β₂ e^{−√(τ/0.25)} + β₃ (M if M ≥ 0 else tanh M) + β₄ (1 − e^{−M²}) ln(τ/5)
              + β₅ (1 − e^{(3M)³}) ln(τ/5) 1{M < 0},     M = ln(F/K)/√τ

Real: the index and the surface. Made here, as `greekdrift.market.modelled` makes them for stocks: monthly contracts
whose strikes stay listed, quotes at the venue's half-spread, volumes. The forward is taken to be the index: the set
has neither rates nor dividends by tenor, so that the basis of these chains says nothing. Volatility is kept above 2 %.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain, Venue
from greekdrift.errors import DataError
from greekdrift.market import modelled
from greekdrift.market.listing import ladder, third_friday
from greekdrift.market.modelled import FIRST_DAYS
from greekdrift.market.source import position
from greekdrift.units import DAYS_PER_YEAR

FILE = "spx_ivs_factors/ivs_factors.parquet"
COLUMNS = ("date", "beta_1", "beta_2", "beta_3", "beta_4", "beta_5", "close")
TICKER = "SPX"
BASE_STRIKE = 5.0
LAST_DAYS = 1
"""Contracts stay listed to the day before their expiry; the surface is extrapolated below its shortest maturities."""
LOWEST_VOLATILITY = 0.02


@dataclass(frozen=True, kw_only=True)
class FactorSurface:
    """The index and its surface by day: what `modelled.chain` asks of a stock."""

    dates: tuple[date, ...]
    spot: Float[ndarray, " day"]
    beta: Float[ndarray, "day factor"]
    ticker: str = TICKER
    last_days: int = LAST_DAYS

    def forward_at(self, day: int, days: float) -> float:  # noqa: ARG002
        """The index, whatever the number of days."""
        return float(self.spot[day])

    def atm_at(self, day: int, years: float) -> float:
        """At-the-money volatility to a time."""
        return float(self.volatility_at(day, np.zeros(1), years)[0])

    def volatility_at(self, day: int, x: Float[ndarray, " strike"], years: float) -> Float[ndarray, " strike"]:
        """Volatility at x = ln(K/F)/(σ_atm √τ) and a time, as the head of this module defines it."""
        level = max(float(volatility(self.beta[day], np.zeros(1), years)[0]), LOWEST_VOLATILITY)
        return np.maximum(volatility(self.beta[day], -x * level, years), LOWEST_VOLATILITY)

    @cached_property
    def listed(self) -> Mapping[date, tuple[Float[ndarray, " strike"], ndarray, int]]:
        """By expiry: its strikes, the day since which each is listed, and the first day of the expiry."""
        found = {}
        first, last = self.dates[0] + timedelta(days=LAST_DAYS), self.dates[-1] + timedelta(days=FIRST_DAYS)
        for month in range(12 * first.year + first.month - 1, 12 * last.year + last.month):
            expiry = third_friday(month // 12, month % 12 + 1)
            if first <= expiry <= last:
                found[expiry] = self._ladder(expiry)
        return found

    def _ladder(self, expiry: date) -> tuple[Float[ndarray, " strike"], ndarray, int]:
        start = bisect_left(self.dates, expiry - timedelta(days=FIRST_DAYS))
        stop = bisect_right(self.dates, expiry - timedelta(days=LAST_DAYS))
        years = np.array([(expiry - day).days for day in self.dates[start:stop]]) / DAYS_PER_YEAR
        level = np.array([self.atm_at(start + at, float(year)) for at, year in enumerate(years)])
        strikes, since = ladder(self.spot[start:stop], level * np.sqrt(years), base=BASE_STRIKE)
        return strikes, since + start, start


class SpxFactorsSource:
    """One chain a trading day, at the New York close, from the file of the data set under `root`.

    `since` and `until` bound the days, both included. Volumes are assumptions, as those of the packaged stocks.
    """

    name = "spx_factors"
    clock = "sessions"
    step_hours = 24.0

    def __init__(
        self,
        root: str,
        *,
        venue: Venue,
        since: date | None = None,
        until: date | None = None,
        daily_contracts: float = 1_000.0,
        daily_shares: float = 5_000_000.0,
        known_after_minutes: float = 60.0,
    ) -> None:
        self.underlyings = (TICKER,)
        self._venue = venue
        self._volumes = (daily_contracts, daily_shares)
        self._known_after = timedelta(minutes=known_after_minutes)
        self._surface = read_surface(Path(root), since, until)
        self._closes = tuple(modelled.close_of(day) for day in self._surface.dates)

    def snapshots(self) -> tuple[datetime, ...]:
        """The closes as UTC instants."""
        return self._closes

    def chain(self, as_of: datetime) -> Chain:
        """The modelled chain at the close of one day."""
        day = position(self._closes, as_of, name=self.name)
        return modelled.chain(
            (self._surface,),
            day,
            venue=self._venue,
            as_of=self._closes[day],
            known_at=self._closes[day] + self._known_after,
            volumes=self._volumes,
        )


def read_surface(root: Path, since: date | None = None, until: date | None = None) -> FactorSurface:
    """The surface from the file, or from the folder of the data sets; days in between, both included."""
    path = root if root.is_file() else root / FILE
    if not path.is_file():
        raise DataError(f"{root}: holds no {FILE}; name the folder of the data sets, or the file itself.")
    table = pd.read_parquet(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]}; it is not the table of the data set spx_ivs_factors.")
    days = pd.to_datetime(table["date"])
    wanted = pd.Series(data=True, index=table.index)
    if since is not None:
        wanted &= days >= pd.Timestamp(since)
    if until is not None:
        wanted &= days <= pd.Timestamp(until)
    table, days = table[wanted], days[wanted]
    numbers = table[list(COLUMNS[1:])].to_numpy(dtype=np.float64)
    if len(table) == 0 or not days.is_monotonic_increasing or not np.all(np.isfinite(numbers)):
        raise DataError(f"{path}: {len(table)} days between {since} and {until}; they must be in order, each complete.")
    return FactorSurface(dates=tuple(one.date() for one in days), spot=numbers[:, 5], beta=numbers[:, :5])


def volatility(beta: Float[ndarray, " factor"], m: Float[ndarray, " strike"], years: float) -> ndarray:
    """The surface at moneyness M = ln(F/K)/√τ and τ in years.

    >>> volatility(np.array([0.2, 0.0, 0.1, 0.0, 0.0]), np.array([0.0, 0.5]), 0.25).round(3).tolist()
    [0.2, 0.25]
    """
    term = np.log(years / 5.0)
    below = np.minimum(m, 0.0)
    return (
        beta[0]
        + beta[1] * np.exp(-np.sqrt(years / 0.25))
        + beta[2] * np.where(m >= 0.0, m, np.tanh(m))
        + beta[3] * (1.0 - np.exp(-(m**2))) * term
        + beta[4] * (1.0 - np.exp((3.0 * below) ** 3)) * term
    )
