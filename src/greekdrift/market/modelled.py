"""Listed chains made from real implied-volatility surfaces of stocks; every chain says that it is "modelled".

Real: spot, forwards at 30, 60 and 91 days, zero rates, and the smiles at 10..50 delta. Made here:

- *contracts*: monthly expiries (third Fridays, 16:00 in New York) from 98 to 7 days ahead, strikes that stay listed;
- *forward* of an expiry: F = (S − PV(dividends)) e^{rT}. The surface's own forwards give the dividends before 30, 60
  and 91 days; the ex-dates in the file, declared weeks ahead by the companies, say on which side of an expiry each is;
- *volatility*: at one standardised log-moneyness x = ln(K/F) / (σ_atm √T), total variance is linear in time between
  the tenors; below 30 days the 30-day smile and above 91 days the 91-day smile hold in x. Between deltas: monotone
  cubic (PCHIP), the 50-delta put and call as one. Beyond the outermost delta (x about ±1.25) variance goes on linearly
  in x and never falls outwards: holding it flat there would put a kink, hence butterfly arbitrage, at the edge;
- *quotes*: mark = undiscounted Black-76, exercise European; bid and ask = the venue's half-spread around it, at least
  a tick, rounded outwards; no bid where that is below a tick. Volumes are assumptions, open interest is not known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import PchipInterpolator

from greekdrift.book import Chain, Instrument, Product, Venue
from greekdrift.book.instrument import generic_name, parse
from greekdrift.errors import DataError
from greekdrift.market.listing import ladder, third_friday
from greekdrift.market.ticks import outward, prices
from greekdrift.units import DAYS_PER_YEAR, years_between

TENORS = (30.0, 60.0, 91.0)
FIRST_DAYS, LAST_DAYS = 98, 7
BASE_STRIKE = 2.5
SMALLEST_DIVIDEND = 0.05
QUARTER = timedelta(days=91)
EARLY_CLOSES = frozenset({date(2023, 7, 3), date(2023, 11, 24)})


class Smiled(Protocol):
    """What a modelled chain needs to know of an underlying: its days, index, listing, forwards and smiles.

    An expiry is listed until `last_days` calendar days before it.
    """

    @property
    def ticker(self) -> str:
        """Symbol."""
        ...

    @property
    def last_days(self) -> int:
        """Days before the expiry at which its contracts leave the listing."""
        ...

    @property
    def dates(self) -> tuple[date, ...]:
        """Trading days, increasing."""
        ...

    @property
    def spot(self) -> Float[ndarray, " day"]:
        """Price of the underlying."""
        ...

    @property
    def listed(self) -> Mapping[date, tuple[Float[ndarray, " strike"], ndarray, int]]:
        """By expiry: its strikes, the day since which each is listed, and the first day of the expiry."""
        ...

    def forward_at(self, day: int, days: float) -> float:
        """Forward to a number of days."""
        ...

    def atm_at(self, day: int, years: float) -> float:
        """At-the-money volatility to a time."""
        ...

    def volatility_at(self, day: int, x: Float[ndarray, " strike"], years: float) -> Float[ndarray, " strike"]:
        """Volatility at standardised log-moneyness x and a time."""
        ...


@dataclass(frozen=True, kw_only=True)
class Stock:
    """One stock's year of surfaces: axes (day, tenor, strike), tenors as in `TENORS`, strikes increasing.

    Prices in USD, volatilities and continuous zero rates (day, curve_days) as fractions.
    """

    ticker: str
    dates: tuple[date, ...]
    spot: Float[ndarray, " day"]
    forward: Float[ndarray, "day tenor"]
    strike: Float[ndarray, "day tenor strike"]
    volatility: Float[ndarray, "day tenor strike"]
    curve_days: Float[ndarray, " knot"]
    curve: Float[ndarray, "day knot"]
    last_days: int = LAST_DAYS

    @cached_property
    def dividends(self) -> Float[ndarray, "day tenor"]:
        """Present value of the dividends with an ex-date within each tenor: S − F e^{−rT}, USD."""
        rates = np.array([[self.rate(day, tenor) for tenor in TENORS] for day in range(len(self.dates))])
        return self.spot[:, None] - self.forward * np.exp(-rates * np.array(TENORS) / DAYS_PER_YEAR)

    @cached_property
    def ex_dates(self) -> tuple[date, ...]:
        """Days on which the dividends within 30 days fell by one dividend, and one more a quarter after the last."""
        fell = np.flatnonzero(np.diff(self.dividends[:, 0]) < -SMALLEST_DIVIDEND) + 1
        known = [self.dates[day] for day in fell]
        return (*known, known[-1] + QUARTER) if known else ()

    def rate(self, day: int, days: float) -> float:
        """Continuous zero rate to a number of days, linear between the knots and flat outside."""
        return float(np.interp(days, self.curve_days, self.curve[day]))

    def dividend(self, day: int, days: float) -> float:
        """Present value of the dividends that go ex within a number of days, USD."""
        knots, values = (0.0, *TENORS), (0.0, *self.dividends[day])
        ahead = [float((one - self.dates[day]).days) for one in self.ex_dates]
        if days > TENORS[-1]:
            steps = np.diff(values)
            counted = int(np.sum(steps > SMALLEST_DIVIDEND))
            expected = sum(0.0 < one <= days for one in ahead)
            return values[-1] + (float(np.max(steps)) if expected > counted else 0.0)
        after = int(np.searchsorted(knots, days))
        low, high = values[max(after - 1, 0)], values[after]
        if abs(high - low) < SMALLEST_DIVIDEND or days == knots[after]:
            return high
        inside = [one for one in ahead if knots[after - 1] - 4.0 < one <= knots[after] + 4.0]
        return high if inside and days >= min(inside) else low

    def forward_at(self, day: int, days: float) -> float:
        """Forward to a number of days: (S − PV(dividends)) e^{rT}."""
        growth = np.exp(self.rate(day, days) * days / DAYS_PER_YEAR)
        return float((self.spot[day] - self.dividend(day, days)) * growth)

    @cached_property
    def smiles(self) -> dict[tuple[int, int], PchipInterpolator]:
        """Volatility over log-moneyness by (day, tenor), the two 50-delta quotes as one."""
        made = {}
        for day in range(len(self.dates)):
            for tenor in range(len(TENORS)):
                k = np.log(self.strike[day, tenor] / self.forward[day, tenor])
                half = len(k) // 2
                k = np.r_[k[: half - 1], k[half - 1 : half + 1].mean(), k[half + 1 :]]
                v = self.volatility[day, tenor]
                v = np.r_[v[: half - 1], v[half - 1 : half + 1].mean(), v[half + 1 :]]
                made[day, tenor] = PchipInterpolator(k, v)
        return made

    @cached_property
    def atm(self) -> Float[ndarray, "day tenor"]:
        """At-the-money volatility at the tenors."""
        shape = (len(self.dates), len(TENORS))
        return np.array([float(smile(0.0)) for smile in self.smiles.values()]).reshape(shape)

    def atm_at(self, day: int, years: float) -> float:
        """At-the-money volatility to a time: linear in total variance between the tenors, flat outside."""
        low, high, weight = _bracket(years)
        total = (1.0 - weight) * self.atm[day, low] ** 2 * _years(low) + weight * self.atm[day, high] ** 2 * _years(
            high
        )
        return float(np.sqrt(total / ((1.0 - weight) * _years(low) + weight * _years(high))))

    def volatility_at(self, day: int, x: Float[ndarray, " strike"], years: float) -> Float[ndarray, " strike"]:
        """Volatility at standardised log-moneyness x and a time, as the head of this module defines it."""
        low, high, weight = _bracket(years)
        total = np.zeros_like(x)
        for tenor, share in ((low, 1.0 - weight), (high, weight)):
            to_k = self.atm[day, tenor] * np.sqrt(_years(tenor))
            total += share * _years(tenor) * _variance(self.smiles[day, tenor], x * to_k)
        return np.sqrt(total / ((1.0 - weight) * _years(low) + weight * _years(high)))

    @cached_property
    def listed(self) -> dict[date, tuple[Float[ndarray, " strike"], ndarray, int]]:
        """By expiry: its strikes, the day since which each is listed, and the first day of the expiry."""
        return {expiry: self._ladder(expiry) for expiry in expiries(self.dates)}

    def _ladder(self, expiry: date) -> tuple[Float[ndarray, " strike"], ndarray, int]:
        days = [at for at, day in enumerate(self.dates) if LAST_DAYS <= (expiry - day).days <= FIRST_DAYS]
        left = [(expiry - self.dates[at]).days for at in days]
        forward = np.array([self.forward_at(at, ahead) for at, ahead in zip(days, left, strict=True)])
        years = np.array(left) / DAYS_PER_YEAR
        deviation = np.array([self.atm_at(at, year) for at, year in zip(days, years, strict=True)]) * np.sqrt(years)
        strikes, since = ladder(forward, deviation, base=BASE_STRIKE)
        return strikes, since + days[0], days[0]


def _variance(smile: PchipInterpolator, k: Float[ndarray, " strike"]) -> Float[ndarray, " strike"]:
    """Squared volatility at log-moneyness k, linear beyond the outermost nodes and there never falling outwards."""
    low, high = float(smile.x[0]), float(smile.x[-1])
    slope = [2.0 * float(smile(edge)) * float(smile(edge, 1)) for edge in (low, high)]
    below = np.maximum(low - k, 0.0) * max(-slope[0], 0.0)
    above = np.maximum(k - high, 0.0) * max(slope[1], 0.0)
    return smile(np.clip(k, low, high)) ** 2 + below + above


def expiries(dates: Sequence[date]) -> tuple[date, ...]:
    """Third Fridays that are listed on at least one of the dates."""
    first, last = dates[0] + timedelta(days=LAST_DAYS), dates[-1] + timedelta(days=FIRST_DAYS)
    months = [(first.year + (first.month - 1 + count) // 12, (first.month - 1 + count) % 12 + 1) for count in range(24)]
    fridays = [third_friday(*month) for month in months]
    return tuple(day for day in fridays if first <= day <= last)


def close_of(day: date) -> datetime:
    """Close of trading in New York as a UTC instant: 21:00 in winter, 20:00 in summer, three hours less on half days.

    >>> close_of(date(2023, 6, 16)).hour, close_of(date(2023, 1, 20)).hour
    (20, 21)
    """
    try:
        zone = ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        raise DataError("this machine knows no time zones; install them with: pip install tzdata.") from None
    return datetime.combine(day, time(13 if day in EARLY_CLOSES else 16), tzinfo=zone).astimezone(UTC)


def chain(
    stocks: Sequence[Smiled],
    day: int,
    *,
    venue: Venue,
    as_of: datetime,
    known_at: datetime,
    volumes: tuple[float, float],
) -> Chain:
    """The modelled chain of several stocks on one day: by stock its options, then the stock itself."""
    parts = [part for stock in stocks for part in _rows(stock, day, venue, as_of, volumes)]
    names = ("forward", "bid", "ask", "mark", "mark_iv", "contract_size", "volume_24h")
    columns: dict[str, Any] = {name: np.concatenate([part[1][at] for part in parts]) for at, name in enumerate(names)}
    instruments = tuple(instrument for part in parts for instrument in part[0])
    return Chain(
        venue=venue.name,
        as_of=as_of,
        known_at=known_at,
        instruments=instruments,
        index_price={stock.ticker: float(stock.spot[day]) for stock in stocks},
        origin="modelled",
        settlement_average_minutes=venue.settlement_average_minutes,
        open_interest=np.full(len(instruments), np.nan),
        **columns,
    )


def quoted(mark: Float[ndarray, " row"], product: Product) -> tuple[Float[ndarray, " row"], Float[ndarray, " row"]]:
    """Bid and ask at the product's half-spread around a mark, at least a tick away, on ticks."""
    share = 0.0 if product.half_spread is None else product.half_spread
    half = np.maximum(share * mark, [product.tick_at(price) for price in mark])
    return outward(mark - half, mark + half, product)


def _rows(
    stock: Smiled, day: int, venue: Venue, as_of: datetime, volumes: tuple[float, float]
) -> list[tuple[list[Instrument], list[Float[ndarray, " row"]]]]:
    made = []
    for expiry, (strikes, since, first) in stock.listed.items():
        if first <= day and (expiry - stock.dates[day]).days >= stock.last_days:
            made.append(_options(stock, day, close_of(expiry), strikes[since <= day], venue, as_of, volumes[0]))
    made.append(_stock(stock, day, venue, volumes[1]))
    return made


def _options(
    stock: Smiled,
    day: int,
    expiry: datetime,
    strikes: Float[ndarray, " strike"],
    venue: Venue,
    as_of: datetime,
    daily_contracts: float,
) -> tuple[list[Instrument], list[Float[ndarray, " row"]]]:
    years = years_between(as_of, expiry)
    forward = stock.forward_at(day, float((expiry.date() - stock.dates[day]).days))
    x = np.log(strikes / forward) / (stock.atm_at(day, years) * np.sqrt(years))
    volatility = np.repeat(stock.volatility_at(day, x, years), 2)
    count = len(volatility)
    is_call = np.tile([True, False], len(strikes))
    instruments = [
        parse(generic_name(stock.ticker, expiry, float(strike), is_call=side))
        for strike in strikes
        for side in (True, False)
    ]
    mark = prices(
        forward=np.full(count, forward),
        strike=np.repeat(strikes, 2),
        volatility=volatility,
        time_to_expiry=np.full(count, years),
        is_call=is_call,
        is_inverse=np.zeros(count, dtype=np.bool_),
    )
    product = venue.product(instruments[0])
    bid, ask = quoted(mark, product)
    volume = np.round(daily_contracts * np.exp(-0.5 * np.repeat(x, 2) ** 2))
    size = np.full(count, product.contract_size)
    return instruments, [np.full(count, forward), bid, ask, mark, volatility, size, volume]


def _stock(
    stock: Smiled, day: int, venue: Venue, daily_shares: float
) -> tuple[list[Instrument], list[Float[ndarray, " row"]]]:
    share = parse(f"{stock.ticker}.USD-SPOT")
    product = venue.product(share)
    spot = stock.spot[[day]]
    bid, ask = quoted(spot, product)
    size, none = np.array([product.contract_size]), np.array([np.nan])
    return [share], [spot, bid, ask, spot, none, size, np.array([daily_shares])]


def _years(tenor: int) -> float:
    return TENORS[tenor] / DAYS_PER_YEAR


def _bracket(years: float) -> tuple[int, int, float]:
    """Tenors around a time and the weight of the later one; the nearest tenor alone outside."""
    days = years * DAYS_PER_YEAR
    if days <= TENORS[0]:
        return 0, 0, 0.0
    if days >= TENORS[-1]:
        return len(TENORS) - 1, len(TENORS) - 1, 0.0
    high = int(np.searchsorted(TENORS, days))
    return high - 1, high, (days - TENORS[high - 1]) / (TENORS[high] - TENORS[high - 1])
