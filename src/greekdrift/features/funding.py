"""Funding of perpetuals, where a record of it exists, as it was known at each row."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.features.feature import Column, over_underlyings
from greekdrift.features.history import Panel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FundingRecord:
    """Funding of one underlying's perpetual: rates per `interval_hours` (positive: longs pay), and when known.

    Some venues print the previous interval's rate; `known_at` must say when a rate could be read.
    """

    known_at: Shaped[ndarray, " payment"]
    rate: Float[ndarray, " payment"]
    interval_hours: float

    def __post_init__(self) -> None:
        if self.known_at.shape != self.rate.shape or not np.all(np.isfinite(self.rate)):
            raise DataError(f"funding: {self.rate.size} rates for {self.known_at.size} instants, all must be numbers.")
        if np.any(np.diff(self.known_at) < np.timedelta64(0, "us")):
            raise DataError("funding: the instants decrease; sort by known_at.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Funding:
    """Mean funding of the last `hours`, annualised; missing where no payment of that window is recorded."""

    records: dict[str, FundingRecord]
    hours: float = 24.0
    timing: str = "payments known at or before the row's known_at"
    source: str = "venue's record of funding"

    @property
    def name(self) -> str:
        """Such as `funding_24h`."""
        return f"funding_{self.hours:g}h"

    @property
    def lookback_hours(self) -> float:
        """The window."""
        return self.hours

    def compute(self, panel: Panel) -> Column:
        """Values (row, underlying)."""
        return over_underlyings(panel, [self._line(panel, name) for name in panel.underlyings])

    def _line(self, panel: Panel, underlying: str) -> Float[ndarray, " row"]:
        record = self.records.get(underlying)
        if record is None:
            return np.full(len(panel), np.nan)
        upto = np.searchsorted(record.known_at, panel.known_at, side="right")
        start = panel.known_at - np.timedelta64(round(self.hours * 3.6e9), "us")
        since = np.searchsorted(record.known_at, start, side="right")
        running = np.concatenate([[0.0], np.cumsum(record.rate)])
        count = upto - since
        total = (running[upto] - running[since]) * (24.0 * 365.0 / record.interval_hours)
        return np.divide(total, count, out=np.full(len(panel), np.nan), where=count > 0)
