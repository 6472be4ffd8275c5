"""The way of index prices from one chain to a later one, and what expired on the way settled at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, log

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Chain
from greekdrift.errors import InputError
from greekdrift.surface.realised import find
from greekdrift.units import SECONDS_PER_HOUR, from_datetime64, stamp

Rows = Int[ndarray, " row"]
Deliveries = Mapping[tuple[str, datetime], float]
Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An expiry that settled on the way, and its price in USD.

    `apart_hours` is how far apart the snapshots are that the price was read between; 0 for a given delivery price.
    """

    underlying: str
    expiry: datetime
    price: float
    apart_hours: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """Log returns of the index at instants between two chains, and at the later one (0 where not known).

    `hours` are increasing and end with the later chain. `settlement` is the price of each row that has expired and is
    not listed any more, NaN for all others and where it cannot be known.
    """

    hours: Float[ndarray, " point"]
    underlyings: tuple[str, ...]
    log_return: Float[ndarray, "underlying point"]
    settlement: Float[ndarray, " row"]
    settled: tuple[Settled, ...]


def path(chain: Chain, later: Chain, rows: Rows, *, between: Sequence[Chain] = (), deliveries: Deliveries) -> Path:
    """The index between two chains, through the chains between and given delivery prices, linear in ln S otherwise."""
    gone = rows[find(chain, later, rows).is_settled]
    expired = {(str(chain.underlying[row]), from_datetime64(chain.expiry[row])) for row in gone}
    _check(deliveries, expired)
    end = _hours(chain, later.as_of)
    names = tuple(sorted(set(chain.underlying[rows].tolist())))
    seen = {name: _seen(chain, [*between, later], name) for name in names}
    settled = [_settle(chain, name, expiry, seen[name], deliveries) for name, expiry in sorted(expired)]
    known = tuple(one for one in settled if one is not None)
    ways = {name: seen[name] + [_point(chain, one) for one in known if one.underlying == name] for name in names}
    inside = {at for way in ways.values() for at, _ in way if 0.0 < at < end}
    hours = np.array([*sorted(inside), end])
    price = {(one.underlying, one.expiry): one.price for one in known}
    settlement = np.full(rows.size, np.nan)
    for at, row in enumerate(rows):
        if row in gone:
            settlement[at] = price.get((str(chain.underlying[row]), from_datetime64(chain.expiry[row])), np.nan)
    return Path(
        hours=hours,
        underlyings=names,
        log_return=np.array([_on(hours, ways[name]) for name in names]).reshape(len(names), hours.size),
        settlement=settlement,
        settled=known,
    )


def _check(deliveries: Deliveries, expired: set[tuple[str, datetime]]) -> None:
    for (name, expiry), price in deliveries.items():
        if not (isfinite(price) and price > 0.0):
            raise InputError(f"delivery price of {name} {stamp(expiry)}: {price} is not a positive number.")
        if (name, expiry) not in expired:
            raise InputError(
                f"a delivery price of {name} {stamp(expiry)} is given, but nothing that is held settled then; drop it."
            )


def _hours(chain: Chain, moment: datetime) -> float:
    return (moment - chain.as_of).total_seconds() / SECONDS_PER_HOUR


def _seen(chain: Chain, chains: Sequence[Chain], name: str) -> Points:
    """Hours since the chain and log return of the index, where a chain up to the last one knows it, in order."""
    end = chains[-1].as_of
    points = {0.0: 0.0}
    for one in chains:
        if chain.as_of < one.as_of <= end and name in one.index_price:
            points[_hours(chain, one.as_of)] = log(one.index_price[name] / chain.index_price[name])
    return sorted(points.items())


def _settle(chain: Chain, name: str, expiry: datetime, seen: Points, deliveries: Deliveries) -> Settled | None:
    """The settlement of an expiry; None where the index after it is not known and no price is given."""
    given = deliveries.get((name, expiry))
    if given is not None:
        return Settled(underlying=name, expiry=expiry, price=float(given), apart_hours=0.0)
    at = _hours(chain, expiry)
    hours, log_return = (np.array(column) for column in zip(*seen, strict=True))
    after = int(np.searchsorted(hours, at))
    if after == hours.size:
        return None
    price = chain.index_price[name] * float(np.exp(np.interp(at, hours, log_return)))
    apart = 0.0 if hours[after] == at else float(hours[after] - hours[after - 1])
    return Settled(underlying=name, expiry=expiry, price=price, apart_hours=apart)


def _on(hours: Float[ndarray, " point"], way: Points) -> Float[ndarray, " point"]:
    at, log_return = np.array(sorted(way)).T
    return np.interp(hours, at, log_return)


def _point(chain: Chain, one: Settled) -> tuple[float, float]:
    return _hours(chain, one.expiry), log(one.price / chain.index_price[one.underlying])
