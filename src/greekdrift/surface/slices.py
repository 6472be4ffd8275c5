"""The records of a fitted surface: one slice per underlying and expiry."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.errors import CalculationError
from greekdrift.surface import svi
from greekdrift.units import DAYS_PER_YEAR, aware, from_datetime64, stamp

Curve = Float[ndarray, "*curve"]

SHORTEST = 60.0 / (DAYS_PER_YEAR * 86_400.0)
"""Years under which the time to expiry is no longer told apart from zero (one minute)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The fitted smile of one expiry.

    `forward` is the median forward of the expiry's rows, USD; `rmse` the root mean square of (slice − mark_iv) over the
    `n_quotes` quotes used, per 1.00 of volatility; `quoted` their range in log-moneyness. `method` is
    "svi" (five parameters on two-sided quotes), "svi_marks" (five parameters, marks for want of two-sided quotes),
    "three_parameters" (m = 0 and s = σ√τ fixed; three or four quotes) or "flat".
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
class Surface:
    """All slices of a chain, sorted by underlying and expiry."""

    as_of: datetime
    slices: tuple[Slice, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_of", aware(self.as_of))
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


def expiries(chain: Chain) -> Iterator[tuple[str, datetime, ndarray]]:
    """Underlying, expiry and option rows of each listed expiry of a chain, sorted."""
    for name in chain.underlyings:
        own = np.flatnonzero(chain.is_option & (chain.underlying == name))
        moments = chain.expiry[own]
        for moment in np.unique(moments):
            yield name, from_datetime64(moment), own[moments == moment]
