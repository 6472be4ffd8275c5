"""The records of a fitted surface: one slice per underlying and expiry."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike

from greekdrift.book import Chain
from greekdrift.errors import CalculationError
from greekdrift.surface import svi
from greekdrift.surface.clock import Clock
from greekdrift.units import DAYS_PER_YEAR, SECONDS_PER_YEAR, aware, from_datetime64, stamp

Curve = Float[ndarray, "*curve"]

SHORTEST = 60.0 / (DAYS_PER_YEAR * 86_400.0)
"""Years under which the time to expiry is no longer told apart from zero (one minute)."""
CALENDAR = Clock()
"""Every hour counts alike: act/365."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The fitted smile of one expiry.

    `forward` is the median forward of the expiry's rows, USD; `rmse` the root mean square of (slice − mark_iv) over the
    `n_quotes` quotes used, per 1.00 of volatility, `rmse_spreads` the same in bid-ask spreads of the two-sided ones (0
    where there are none); `quoted` their range in log-moneyness; `dropped` counts the rows left out, by reason.
    No arbitrage is in the slice for log-moneyness within `arbitrage_free`. `method` is "svi" (five parameters on
    two-sided quotes), "svi_marks" (marks for want of them), or "ssvi" (fewer than five quotes, or expiry
    within a minute: the shape is that of all expiries).
    """

    underlying: str
    expiry: datetime
    time_to_expiry: float
    forward: float
    parameters: svi.Parameters
    atm_volatility: float
    rmse: float
    n_quotes: int
    method: str
    quoted: tuple[float, float]
    rmse_spreads: float = 0.0
    dropped: tuple[tuple[str, int], ...] = ()
    arbitrage_free: tuple[float, float] = (0.0, 0.0)

    def total_variance(self, log_moneyness: Curve) -> Curve:
        """Total variance at log-moneyness ln(K/F)."""
        p = self.parameters
        return svi.total_variance(log_moneyness, a=p.a, b=p.b, rho=p.rho, m=p.m, s=p.s)

    def volatility(self, log_moneyness: Curve) -> Curve:
        """Implied volatility at log-moneyness ln(K/F), per 1.00 a year."""
        return svi.volatility(log_moneyness, self.clock, self.parameters)

    @property
    def clock(self) -> float:
        """Years that total variance is divided by: the time to expiry, at least one minute."""
        return max(self.time_to_expiry, SHORTEST)

    @property
    def deviation(self) -> float:
        """One standard deviation of the log return to expiry, σ_atm√τ: the unit of standardised moneyness z."""
        return self.atm_volatility * sqrt(self.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An expiry whose quotes gave no slice worth the name, and why; the surface holds a stand-in for it.

    `figure` is what the reason is about and `limit` what it had to keep: minutes to expiry, usable quotes, error of fit
    (per 1.00 of volatility) or share of variance.
    """

    underlying: str
    expiry: datetime
    reason: str
    figure: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """All slices of a chain, sorted by underlying and expiry, and the expiries that were refused (each has a stand-in).

    `known_at` is when the last of the quotes could be used; `as_of` where nothing else is said.
    """

    as_of: datetime
    slices: tuple[Slice, ...]
    refused: tuple[Refusal, ...] = ()
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", aware(self.as_of))
        object.__setattr__(self, "known_at", self.as_of if self.known_at is None else aware(self.known_at))
        ordered = tuple(sorted(self.slices, key=lambda one: (one.underlying, one.expiry)))
        object.__setattr__(self, "slices", ordered)

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Sorted underlyings that have at least one slice."""
        return tuple(sorted({one.underlying for one in self.slices}))

    def of(self, underlying: str) -> tuple[Slice, ...]:
        """Slices of an underlying, nearest expiry first."""
        return tuple(one for one in self.slices if one.underlying == underlying)

    def slice(self, underlying: str, expiry: datetime) -> Slice:
        """The slice of one expiry; a missing one is refused."""
        for one in self.slices:
            if one.underlying == underlying and one.expiry == expiry:
                return one
        raise CalculationError(
            f"the surface of {stamp(self.as_of)} has no slice for {underlying} {stamp(expiry)}; "
            "fit it on a chain that lists options of that expiry."
        )

    def total_variance(
        self, underlying: str, log_moneyness: ArrayLike, when: datetime, clock: Clock = CALENDAR
    ) -> Curve:
        """Total variance to any instant after `as_of`, listed or not, at log-moneyness of that instant's forward.

        Linear in the clock's time between the expiries on either side (a flat forward variance). Before the first and
        after the last expiry the variance rate on that clock, w/h, stays what it is there: the volatility is flat.

        Source: Gatheral (2006), chapter 3; Clark (2011), section 4.5.
        """
        slices = self.of(underlying)
        moment = aware(when)
        if not slices:
            raise CalculationError(f"the surface of {stamp(self.as_of)} has no slice for {underlying}; fit one.")
        if moment <= self.as_of:
            raise CalculationError(f"{stamp(moment)} is not after the surface of {stamp(self.as_of)}; nothing is left.")
        k = np.asarray(log_moneyness, dtype=np.float64)
        later = next((one for one in slices if one.expiry >= moment), slices[-1])
        earlier = next((one for one in reversed(slices) if one.expiry <= moment), None)
        if earlier is None or later.expiry <= moment:
            known = earlier or later
            return _share(self.as_of, known.expiry, moment, clock) * known.total_variance(k)
        share = _share(earlier.expiry, later.expiry, moment, clock)
        return (1.0 - share) * earlier.total_variance(k) + share * later.total_variance(k)

    def volatility(self, underlying: str, log_moneyness: ArrayLike, when: datetime, clock: Clock = CALENDAR) -> Curve:
        """Implied volatility to any instant, √(w/τ) of `total_variance`; τ is act/365 whatever the clock."""
        years = (aware(when) - self.as_of).total_seconds() / SECONDS_PER_YEAR
        return np.sqrt(self.total_variance(underlying, log_moneyness, when, clock) / max(years, SHORTEST))


def _share(start: datetime, end: datetime, moment: datetime, clock: Clock) -> float:
    """Part of the clock's time that has passed at a moment; of calendar time where the clock stands still."""
    whole = float(clock.hours(start, end))
    if whole <= 0.0:
        return (moment - start) / (end - start)
    return float(clock.hours(start, moment)) / whole


def expiries(chain: Chain) -> Iterator[tuple[str, datetime, ndarray]]:
    """Underlying, expiry and option rows of each listed expiry of a chain, sorted."""
    for name in chain.underlyings:
        own = np.flatnonzero(chain.is_option & (chain.underlying == name))
        moments = chain.expiry[own]
        for moment in np.unique(moments):
            yield name, from_datetime64(moment), own[moments == moment]
