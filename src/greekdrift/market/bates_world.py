"""A simulated market under the law of Heston and Bates with regimes, on a clock of weekends and scheduled events.

The law of `market.bates` runs on the time of `surface.clock.Clock`, h(t₀, t₁) = ∫ rate dt: Saturdays and Sundays count
`weekend` of a day, the hours after an event `event_weight` times. All of it does: variance, its return to the mean,
jumps and changes of regime. So an option has the value of `market.heston` at T = h(now, expiry), exactly, and a smile
that is quoted per calendar year rises ahead of an event and on Fridays falls by what the weekend leaves out.

Two measures: smiles are those of the laws, prices move by the same with means of the variance `premium` times as high
and jumps `jump_premium` times as frequent. Under both the price grows at the basis b and is else a martingale:

    d ln S = (law of market.bates in h) + b dt,      F(T) = S e^{b T}
    b ← m + (b − m) e^{−κ dt} + ν √((1 − e^{−2κ dt}) / (2κ)) z          (one for each underlying, calendar time)

F is a martingale where the basis is constant; its random part is an error of that order (0.1 % over a quarter).
The path moves in steps of half an hour and the law *is* this chain of steps. Smiles come from `market.smile_table`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from greekdrift.errors import ConfigError, InputError
from greekdrift.market import bates
from greekdrift.market.bates import Market, Paths
from greekdrift.market.heston import Bates
from greekdrift.market.law import STEP_HOURS, STEP_YEARS, counted, values_of
from greekdrift.market.listing import coin_expiries, releases
from greekdrift.market.smile_table import SHORTEST, SmileCurve, table_of
from greekdrift.market.world import opening
from greekdrift.surface.clock import Clock, Event
from greekdrift.surface.state import Curve
from greekdrift.units import HOURS_PER_YEAR, datetime64, years_between

AHEAD = timedelta(days=500)
"""How far past the end of the simulation events are scheduled: the last expiry lies nearer."""

BTC = Bates(
    reversion=12.0,
    volatility=1.5,
    correlation=-0.72,
    mean=(0.15, 1.1),
    jump_rate=(8.0, 60.0),
    jump_mean=-0.01,
    jump_deviation=0.03,
    leave=(6.0, 60.0),
    entry_mean=-0.03,
    entry_deviation=0.02,
)
ETH = replace(BTC, volatility=1.9, mean=(0.27, 1.6), jump_deviation=0.035, entry_mean=-0.04)
LAWS: Mapping[str, Bates] = {"BTC": BTC, "ETH": ETH}
"""Laws of prices that look like those of Deribit; an underlying without one has that of BTC."""


@dataclass(frozen=True, kw_only=True)
class BatesLaw:
    """Values of the market: the laws by underlying, what ties them, risk premia, the clock and the basis.

    `across`, `jumps_across`, `own_jumps` as in `market.bates.Market`. `events` are instants with a zone, none given
    means those of `listing.releases`; each lasts `event_hours`. All are known before the simulation begins, which a
    smile far ahead of them shows. `basis`: mean, reversion and volatility a year. `quote_noise`: how far the middle of
    bid and ask lies from the mark, standard deviation in half spreads.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    laws: Mapping[str, Bates] = field(default_factory=lambda: dict(LAWS))
    across: float = 0.85
    jumps_across: float = 0.8
    own_jumps: float = 0.3
    premium: float = 0.85
    jump_premium: float = 0.8
    weekend: float = 0.45
    events: tuple[datetime, ...] | None = None
    event_hours: float = 2.0
    event_weight: float = 10.0
    basis: tuple[float, float, float] = (0.05, 15.0, 0.1)
    quote_noise: float = 0.3

    def __post_init__(self) -> None:
        for name in ("premium", "jump_premium", "weekend", "event_hours"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ConfigError(f"law: {name} {getattr(self, name)} must be positive and finite.")
        if not 1.0 <= self.event_weight < np.inf:
            raise ConfigError(f"law: event_weight {self.event_weight} must be at least 1: 1 is an hour like any other.")
        mean, reversion, volatility = self.basis
        if not (np.isfinite(mean) and 0.0 < reversion < np.inf and 0.0 <= volatility < np.inf):
            raise ConfigError(f"law: basis {self.basis} needs a finite mean, a positive reversion and a volatility.")
        if not 0.0 <= self.quote_noise < np.inf:
            raise ConfigError(f"law: quote_noise {self.quote_noise} must be at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hidden:
    """What the market does not show, of many paths at one instant: regime and variance, and the basis beside them."""

    paths: Paths
    basis: Float[ndarray, "path underlying"]

    @property
    def regime(self) -> Int[ndarray, " path"]:
        """0 calm, 1 stressed."""
        return self.paths.regime

    def repeated(self, n: int) -> "Hidden":
        """The first path, n times."""
        return Hidden(paths=self.paths.repeated(n), basis=np.repeat(self.basis[:1], n, axis=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableSmile:
    """A smile from the table, per calendar year."""

    forward: float
    time_to_expiry: float
    curve: SmileCurve

    @property
    def deviation(self) -> float:
        """σ_atm √τ."""
        return self.curve.deviation

    def volatility(self, log_moneyness: Curve) -> Curve:
        """Volatility at ln(K/F)."""
        return np.sqrt(self.curve.total_variance(log_moneyness) / self.time_to_expiry)


class BatesWorld:
    """The law for some underlyings from `start` on, for `days`."""

    def __init__(self, law: BatesLaw, underlyings: Sequence[str], *, start: datetime, days: float) -> None:
        self.law = law
        self.underlyings = tuple(underlyings)
        laws = tuple(law.laws.get(name, law.laws.get("BTC", BTC)) for name in underlyings)
        ties = {"across": law.across, "jumps_across": law.jumps_across, "own_jumps": law.own_jumps}
        self.pricing = Market(laws=laws, **ties)
        self.physical = Market(laws=tuple(_moved(one, law) for one in laws), **ties)
        end = start + timedelta(days=days) + AHEAD
        self.events = releases(start, end) if law.events is None else tuple(sorted(law.events))
        windows = [(one, one + timedelta(hours=law.event_hours)) for one in self.events]
        self.clock = Clock(
            weekend=law.weekend, events=tuple(Event(start=a, end=b, weight=law.event_weight) for a, b in windows)
        )
        self._knots, self._hours = _knots(self.clock, start, end)
        self.quote_noise = law.quote_noise

    def start(self) -> Hidden:
        """One calm path at the means."""
        paths = bates.start(self.physical, opening(self.underlyings))
        return Hidden(paths=paths, basis=np.full((1, len(self.underlyings)), self.law.basis[0]))

    def later(self, hidden: Hidden, moment: datetime, steps: int, rng: np.random.Generator) -> Hidden:
        """The hidden state some half-hours after `moment`, each as long as the clock says."""
        grid = datetime64(moment) + np.arange(steps + 1) * np.timedelta64(int(STEP_HOURS * 60), "m")
        if grid[-1] > self._knots[-1]:
            raise InputError(f"the clock of this simulation ends at {self._knots[-1]}Z; ask for less time ahead.")
        mean, reversion, volatility = self.law.basis
        fade = np.exp(-reversion * STEP_YEARS)
        spread = volatility * np.sqrt(-np.expm1(-2.0 * reversion * STEP_YEARS) / (2.0 * reversion))
        paths, basis = hidden.paths, hidden.basis
        for hours in np.diff(self._passed(grid)):
            paths = bates.step(self.physical, paths, float(hours), rng)
            paths = replace(paths, log_price=paths.log_price + basis * STEP_YEARS)
            basis = mean + (basis - mean) * fade + spread * rng.standard_normal(basis.shape)
        return Hidden(paths=paths, basis=basis)

    def index(self, hidden: Hidden) -> Float[ndarray, "path underlying"]:
        """Index prices."""
        return np.exp(hidden.paths.log_price)

    def smile(self, hidden: Hidden, u: int, moment: datetime, expiry: datetime) -> TableSmile:
        """The smile of the first path."""
        years = years_between(moment, expiry)
        curve = table_of(self.pricing.laws[u]).curve(
            years=float(self._years((moment,), (expiry,))[0]),
            variance=float(hidden.paths.variance[0, u]),
            regime=int(hidden.regime[0]),
        )
        forward = float(np.exp(hidden.paths.log_price[0, u] + hidden.basis[0, u] * years))
        return TableSmile(forward=forward, time_to_expiry=years, curve=curve)

    def outlook(
        self, path: Sequence[Hidden], u: int, moments: Sequence[datetime], expiry: datetime
    ) -> tuple[Float[ndarray, " snapshot"], Float[ndarray, " snapshot"]]:
        """Forward and deviation of one expiry."""
        calendar = np.array([years_between(moment, expiry) for moment in moments])
        years = self._years(moments, (expiry,))
        variance = np.array([one.paths.variance[0, u] for one in path])
        regime = np.array([one.regime[0] for one in path])
        log_price = np.array(
            [one.paths.log_price[0, u] + one.basis[0, u] * at for one, at in zip(path, calendar, strict=True)]
        )
        return np.exp(log_price), np.exp(table_of(self.pricing.laws[u]).corners(years, variance, regime)[0])

    def values(self, hidden: Hidden, moment: datetime) -> Float[ndarray, "path underlying factor"]:
        """Factors of the model's own smiles."""
        expiries = coin_expiries(moment)
        calendar = np.array([years_between(moment, expiry) for expiry in expiries])
        kept = counted(calendar)
        years = self._years((moment,), expiries)[-len(kept) :]
        made = []
        for u, law in enumerate(self.pricing.laws):
            paths = hidden.paths
            corners = table_of(law).corners(years, paths.variance[:, u, None], paths.regime[:, None])
            totals = list(np.exp(2.0 * corners))
            made.append(values_of(totals, kept, spot=paths.log_price[:, u], basis=hidden.basis[:, u]))
        return np.stack(made, axis=1)

    def _years(self, moments: Sequence[datetime], expiries: Sequence[datetime]) -> Float[ndarray, " pair"]:
        """Time of the law from moments to expiries, one of either or as many; 12 minutes at the least."""
        begins, ends = (self._passed(np.array([datetime64(one) for one in many])) for many in (moments, expiries))
        return np.maximum((ends - begins) / HOURS_PER_YEAR, SHORTEST)

    def _passed(self, moments: Shaped[ndarray, " moment"]) -> Float[ndarray, " moment"]:
        """Hours of the law since the first knot: the clock's own, which are linear between knots."""
        since = (moments.astype("datetime64[us]") - self._knots[0]).astype(np.float64)
        return np.interp(since, (self._knots - self._knots[0]).astype(np.float64), self._hours)


def _knots(clock: Clock, start: datetime, end: datetime) -> tuple[Shaped[ndarray, " knot"], Float[ndarray, " knot"]]:
    """Where the rate of a clock may change between two instants, and its hours since the first of them."""
    first, last = datetime64(start), datetime64(end)
    days = np.arange(first.astype("datetime64[D]"), last.astype("datetime64[D]") + 1).astype("datetime64[us]")
    edges = [datetime64(edge) for event in clock.events for edge in (event.start, event.end)]
    knots = np.unique(np.concatenate([[first, last], days, np.array(edges, dtype="datetime64[us]")]))
    knots = knots[(knots >= first) & (knots <= last)]
    return knots, clock.hours(first, knots)


def _moved(law: Bates, market: BatesLaw) -> Bates:
    """The law by which prices move, from the one that prices are."""
    mean = tuple(market.premium * value for value in law.mean)
    return replace(law, mean=mean, jump_rate=tuple(market.jump_premium * rate for rate in law.jump_rate))
