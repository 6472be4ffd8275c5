"""Units: inside, volatility and vega are per 1.00, time and theta per year of 365 days, rates continuous.

Only the doors convert, and only through these functions. Instants are aware UTC datetimes;
columns of instants are `datetime64[us]` in UTC.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greekdrift.errors import InputError, nearest

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86_400.0
DAYS_PER_YEAR = 365.0
HOURS_PER_YEAR = 24.0 * DAYS_PER_YEAR
SECONDS_PER_YEAR = SECONDS_PER_DAY * DAYS_PER_YEAR

VENUE_FACTOR = {
    "price": 1.0,
    "delta": 1.0,
    "gamma": 1.0,
    "vega": 1.0 / 100.0,
    "theta": 1.0 / DAYS_PER_YEAR,
    "rho": 1.0 / 100.0,
    "vanna": 1.0 / 100.0,
    "volga": 1.0 / 100.0**2,
    "charm": 1.0 / DAYS_PER_YEAR,
    "veta": 1.0 / (100.0 * DAYS_PER_YEAR),
    "speed": 1.0,
    "zomma": 1.0 / 100.0,
    "color": 1.0 / DAYS_PER_YEAR,
    "strike_delta": 1.0,
    "strike_gamma": 1.0,
}
"""Internal value × factor = venue value (vega and rho per point, theta, charm and color per day)."""


def counted(count: int, one: str, several: str = "") -> str:
    """A number, with commas, and its noun: `one`, or `several` (by default with an s) for all but one.

    >>> counted(1, "snapshot"), counted(1200, "row"), counted(0, "batch", "batches")
    ('1 snapshot', '1,200 rows', '0 batches')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def instant(text: str) -> datetime:
    """Aware UTC datetime from ISO 8601 text; a time without an offset is refused.

    >>> instant("2026-02-05T08:00Z")
    datetime.datetime(2026, 2, 5, 8, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f'"{text}" is not an ISO 8601 time; write it like 2026-02-05T08:00Z.') from None
    if parsed.tzinfo is None:
        clock = "" if ":" in text else "T00:00"
        raise InputError(f'"{text}" has no time zone; write it in UTC, like {text}{clock}Z.')
    return parsed.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 text of an aware instant, to the microsecond where there is one.

    >>> stamp(datetime(2026, 2, 5, 8, tzinfo=UTC))
    '2026-02-05T08:00:00Z'
    """
    return aware(moment).isoformat().replace("+00:00", "Z")


def aware(moment: datetime) -> datetime:
    """The same instant in UTC; a naive datetime is refused."""
    if moment.tzinfo is None:
        raise InputError(f"{moment.isoformat()} has no time zone; pass an aware datetime in UTC.")
    return moment.astimezone(UTC)


def datetime64(moment: datetime) -> np.datetime64:
    """`datetime64[us]` of an aware instant.

    >>> datetime64(datetime(2026, 2, 5, 8, tzinfo=UTC))
    np.datetime64('2026-02-05T08:00:00.000000')
    """
    return np.datetime64(aware(moment).replace(tzinfo=None), "us")


def from_datetime64(moment: np.datetime64) -> datetime:
    """Aware UTC datetime of a `datetime64`; one that is missing or beyond the years 1 to 9999 is refused.

    >>> from_datetime64(np.datetime64("2026-02-05T08:00"))
    datetime.datetime(2026, 2, 5, 8, 0, tzinfo=datetime.timezone.utc)
    """
    plain = moment.astype("datetime64[us]").item()
    if not isinstance(plain, datetime):
        raise InputError(f"{moment} is no time between the years 1 and 9999; correct the stamp or drop its row.")
    return plain.replace(tzinfo=UTC)


def years_between(start: datetime, end: datetime) -> float:
    """Time from start to end in years of 365 days; negative when end is earlier.

    >>> years_between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    1.0
    """
    return (aware(end) - aware(start)).total_seconds() / SECONDS_PER_YEAR


def days(years: ArrayLike) -> NDArray[np.float64]:
    """Days of 365-day years.

    >>> float(days(0.5))
    182.5
    """
    return np.asarray(years, dtype=np.float64) * DAYS_PER_YEAR


def years_from_hours(hours: ArrayLike) -> NDArray[np.float64]:
    """Years of 365 days from hours.

    >>> float(years_from_hours(8760.0))
    1.0
    """
    return np.asarray(hours, dtype=np.float64) / HOURS_PER_YEAR


def to_venue(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """A quantity in the venue's display units: vega and rho per point, theta, charm, color per day.

    >>> float(to_venue("vega", 1500.0))
    15.0
    """
    return np.asarray(value, dtype=np.float64) * _factor(name)


def from_venue(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `to_venue`.

    >>> float(from_venue("theta", -10.0))
    -3650.0
    """
    return np.asarray(value, dtype=np.float64) / _factor(name)


def _factor(name: str) -> float:
    try:
        return VENUE_FACTOR[name]
    except KeyError:
        raise InputError(f'unknown quantity "{name}"; {nearest(name, VENUE_FACTOR)}') from None
