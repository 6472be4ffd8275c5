"""What a made chain goes by: expiries and events by the calendar, strikes that stay listed once they are."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

WEDNESDAY, FRIDAY = 2, 4


def third_friday(year: int, month: int) -> date:
    """The third Friday of a month: the last trading day of US monthly options.

    >>> third_friday(2023, 6)
    datetime.date(2023, 6, 16)
    """
    first = date(year, month, 1)
    return first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)


def last_friday(year: int, month: int) -> date:
    """The last Friday of a month: the day of Deribit's monthly expiries.

    >>> last_friday(2026, 3)
    datetime.date(2026, 3, 27)
    """
    following = date(year + month // 12, month % 12 + 1, 1)
    last = following - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - FRIDAY) % 7)


def releases(start: datetime, end: datetime) -> tuple[datetime, ...]:
    """Days of events of a made market: the second Wednesday of each month at 13:30 UTC, from `start` up to `end`.

    >>> from greekdrift.units import instant
    >>> [f"{one:%d%b %H:%M}" for one in releases(instant("2026-01-20T00:00Z"), instant("2026-04-01T00:00Z"))]
    ['11Feb 13:30', '11Mar 13:30']
    """
    months = range((end.year - start.year) * 12 + end.month - start.month + 1)
    firsts = [date(start.year + (start.month - 1 + m) // 12, (start.month - 1 + m) % 12 + 1, 1) for m in months]
    days = [first + timedelta(days=(WEDNESDAY - first.weekday()) % 7 + 7) for first in firsts]
    moments = [datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC) for day in days]
    return tuple(moment for moment in moments if start <= moment < end)


def coin_expiries(moment: datetime, *, hour: int = 8) -> tuple[datetime, ...]:
    """Expiries that a Deribit-like venue lists: 3 daily, 3 weekly, 3 monthly and 4 quarterly ones still to come.

    >>> from greekdrift.units import instant
    >>> [f"{one:%d%b}" for one in coin_expiries(instant("2026-02-05T10:00Z"))[:6]]
    ['06Feb', '07Feb', '08Feb', '13Feb', '20Feb', '27Feb']
    """

    def ahead(day: date) -> datetime | None:
        at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        return at if at > moment else None

    today = moment.date()
    days = [today + timedelta(days=count) for count in range(35)]
    months = [(today.year + (today.month - 1 + count) // 12, (today.month - 1 + count) % 12 + 1) for count in range(15)]
    weekly = [day for day in days if day.weekday() == FRIDAY]
    monthly = [last_friday(*month) for month in months]
    quarterly = [last_friday(*month) for month in months if month[1] % 3 == 0]
    listed = set()
    for calendar, count in ((days, 3), (weekly, 3), (monthly, 3), (quarterly, 4)):
        listed.update([at for day in calendar if (at := ahead(day)) is not None][:count])
    return tuple(sorted(listed))


def ladder(
    forward: Float[ndarray, " snapshot"],
    deviation: Float[ndarray, " snapshot"],
    *,
    base: float,
    width: float = 2.0,
    spacing: float = 0.35,
) -> tuple[Float[ndarray, " strike"], Int[ndarray, " strike"]]:
    """Strikes of one expiry and the snapshot since which each is listed; a listed strike never goes away.

    At each snapshot the multiples of a step within F exp(±width · σ√T) are added, with `deviation` = σ√T and the
    step base · 2ᵏ at most spacing · F σ√T (but at least base), so that finer grids contain coarser ones. Uses nothing
    later than the snapshot.

    >>> ladder(np.array([100.0, 100.0]), np.array([0.10, 0.05]), base=2.5, width=1.0, spacing=0.5)
    (array([ 95. ,  97.5, 100. , 102.5, 105. , 110. ]), array([0, 1, 0, 1, 0, 0]))
    """
    since: dict[int, int] = {}
    for at, (price, sd) in enumerate(zip(forward, deviation, strict=True)):
        fold = 2 ** max(int(np.floor(np.log2(max(spacing * price * sd / base, 1.0)))), 0)
        low = max(int(np.ceil(price * np.exp(-width * sd) / (base * fold))), 1)
        high = int(np.floor(price * np.exp(width * sd) / (base * fold)))
        for multiple in range(low, high + 1):
            since.setdefault(multiple * fold, at)
    multiples = sorted(since)
    return np.array(multiples, dtype=np.float64) * base, np.array([since[one] for one in multiples], dtype=np.int64)
