"""Cash that an account must be able to find: liquidity at risk, what can be raised when, and the reserve between them.

    need(t)   = VM_out(t) + (IM(t) − IM(0))⁺                VM_out: fall of equity, negative where it rose
    LaR_a(H)  = Q_a [ max_{0 < t ≤ H} need(t) ]
    reserve_a = Q_a [ max_{0 < t ≤ H} (need(t) − raised(t))⁺ ]

The need of a forecast is `forecast.margin.MarginForecast.outlay`; a cost of hedging is added by the caller. `raised(t)`
is the cash ladder: what each holding fetches after its haircut by t, from its delay on and no faster than its pace. The
reserve is the least cash, at hand at once, with which all needs up to H are met in a share a of the scenarios; each
horizon alone may look covered and the path not, so the maximum stands inside the quantile.
Every figure is of one account; nothing of another enters. Source of the need: Brunnermeier & Pedersen (2009) for the
double call of loss and margin; the level is the caller's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import BookError, InputError, nearest

Paths = Float[ndarray, "scenario horizon"]
Horizons = Float[ndarray, " horizon"]
Weights = Float[ndarray, " scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raising:
    """How a currency becomes cash: haircut, hours until the first comes, and USD an hour from then on at most."""

    haircut: float
    delay_hours: float
    usd_per_hour: float = inf

    def __post_init__(self) -> None:
        if not 0.0 <= self.haircut <= 1.0:
            raise InputError(f"haircut {self.haircut} must lie in [0, 1].")
        if not (isfinite(self.delay_hours) and self.delay_hours >= 0.0):
            raise InputError(f"delay_hours {self.delay_hours} must be a number of at least 0.")
        if isnan(self.usd_per_hour) or self.usd_per_hour <= 0.0:
            raise InputError(
                f"usd_per_hour {self.usd_per_hour} must be positive; leave it out where nothing limits it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A holding that can be turned into cash."""

    currency: str
    value_usd: float
    raising: Raising

    def raised_usd(self, hours: Horizons) -> Horizons:
        """Cash that it has fetched after some hours; a debt is owed from the start.

        >>> Source(currency="BTC", value_usd=100.0, raising=Raising(haircut=0.1, delay_hours=6.0)).raised_usd(
        ...     np.array([1.0, 6.0, 24.0])
        ... )
        array([ 0., 90., 90.])
        """
        if self.value_usd <= 0.0:
            return np.full(hours.shape, self.value_usd)
        most = self.value_usd * (1.0 - self.raising.haircut)
        waited = hours - self.raising.delay_hours
        if self.raising.usd_per_hour == inf:
            return np.where(waited >= 0.0, most, 0.0)
        return np.minimum(most, self.raising.usd_per_hour * np.maximum(waited, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reserve:
    """Liquidity at risk and the ladder at each horizon, and the reserve over all of them, USD."""

    level: float
    horizons: Horizons
    liquidity_at_risk_usd: Horizons
    raised_usd: Horizons
    reserve_usd: float


def ladder(
    holdings: Mapping[str, float], prices: Mapping[str, float], raising: Mapping[str, Raising]
) -> tuple[Source, ...]:
    """The cash ladder of holdings by currency; one without a price or without terms is refused, never counted as 0."""
    found = []
    for currency in sorted(name for name, amount in holdings.items() if amount != 0.0):
        if currency not in raising:
            raise BookError(
                f"nothing says how {currency} becomes cash; {nearest(currency, raising)}, or add its terms."
            )
        price = prices.get(currency, np.nan)
        if not (isfinite(price) and price > 0.0 and isfinite(holdings[currency])):
            raise BookError(f"{currency}: {holdings[currency]} at a price of {price} has no value in USD; give both.")
        found.append(Source(currency=currency, value_usd=holdings[currency] * price, raising=raising[currency]))
    return tuple(found)


def liquidity_at_risk(need: Paths, weights: Weights, *, level: float) -> Horizons:
    """Quantile of the largest need until each horizon, at least 0.

    >>> paths = np.array([[1.0, 5.0], [4.0, 2.0], [0.0, 0.0], [3.0, 9.0]])
    >>> liquidity_at_risk(paths, np.full(4, 0.25), level=0.75)
    array([3., 5.])
    """
    _refuse_unless_numbers(need, weights, level)
    return _quantile(np.maximum(np.maximum.accumulate(need, axis=1), 0.0), weights, level)


def reserve(
    need: Paths, weights: Weights, *, horizons: Horizons, sources: Sequence[Source] = (), level: float = 0.99
) -> Reserve:
    """The least cash at hand that meets all needs on their paths, with what the ladder raises, at a level."""
    at_risk = liquidity_at_risk(need, weights, level=level)
    raised = np.zeros(len(horizons)) + sum(source.raised_usd(horizons) for source in sources)
    missing = np.maximum(np.max(need - raised, axis=1, keepdims=True), 0.0)
    return Reserve(
        level=level,
        horizons=horizons,
        liquidity_at_risk_usd=at_risk,
        raised_usd=raised,
        reserve_usd=float(_quantile(missing, weights, level)[0]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferTerms:
    """How a buffer is refilled and released.

    It is refilled by at most `refill_usd_per_day`. What is held beyond the target goes back by half in
    `release_half_life_days`, and not at all while it is within `dead_band` of the target: it does not breathe with
    every forecast.
    """

    refill_usd_per_day: float
    release_half_life_days: float = 5.0
    dead_band: float = 0.1

    def __post_init__(self) -> None:
        if not (self.refill_usd_per_day >= 0.0 and self.release_half_life_days > 0.0 and self.dead_band >= 0.0):
            raise InputError(f"{self}: refill and dead band must be at least 0, the half-life positive.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """The cash that an account keeps in reserve, and what it is meant to keep, USD."""

    held_usd: float
    target_usd: float

    @property
    def drawn_usd(self) -> float:
        """What is missing to the target."""
        return max(self.target_usd - self.held_usd, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferStep:
    """What happened to a buffer: paid for needs, left unpaid, refilled, released; USD, each at least 0.

    held afterwards = held before − paid + refilled − released.
    """

    after: Buffer
    paid_usd: float
    unpaid_usd: float
    refilled_usd: float
    released_usd: float


def stepped(before: Buffer, terms: BufferTerms, *, need_usd: float, target_usd: float, hours: float) -> BufferStep:
    """A buffer some hours later: it pays the need first, then moves towards its new target.

    >>> terms = BufferTerms(refill_usd_per_day=24.0)
    >>> step = stepped(Buffer(held_usd=100.0, target_usd=100.0), terms, need_usd=60.0, target_usd=100.0, hours=6.0)
    >>> step.paid_usd, step.refilled_usd, step.after.held_usd, step.after.drawn_usd
    (60.0, 6.0, 46.0, 54.0)
    """
    numbers = (before.held_usd, before.target_usd, need_usd, target_usd, hours)
    if not all(isfinite(one) and one >= 0.0 for one in numbers):
        raise InputError(f"buffer of {before.held_usd}, need {need_usd}, target {target_usd}, {hours} h: none below 0.")
    paid = min(before.held_usd, need_usd)
    left = before.held_usd - paid
    refilled = min(max(target_usd - left, 0.0), terms.refill_usd_per_day * hours / 24.0)
    excess = max(left - target_usd, 0.0)
    is_kept = excess <= terms.dead_band * target_usd
    released = 0.0 if is_kept else excess * (1.0 - 0.5 ** (hours / (24.0 * terms.release_half_life_days)))
    return BufferStep(
        after=Buffer(held_usd=left + refilled - released, target_usd=target_usd),
        paid_usd=paid,
        unpaid_usd=need_usd - paid,
        refilled_usd=refilled,
        released_usd=released,
    )


def _quantile(values: Paths, weights: Weights, level: float) -> Horizons:
    """The smallest value of each column whose weight, with all below, reaches a level."""
    found: ndarray = np.quantile(values, level, axis=0, weights=weights, method="inverted_cdf")
    return found


def _refuse_unless_numbers(need: Paths, weights: Weights, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputError(f"level {level} of a reserve must lie between 0 and 1.")
    if need.ndim != 2 or need.size == 0 or len(weights) != len(need):
        raise InputError(f"needs of shape {need.shape} with {len(weights)} weights; give (scenario, horizon) paths.")
    if not (np.all(np.isfinite(need)) and np.all(weights >= 0.0) and weights.sum() > 0.0):
        raise InputError("a need or a weight is not a number; no reserve follows from it.")
