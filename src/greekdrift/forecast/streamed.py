"""The forecast of many accounts at once, without holding any contract's scenarios: the same numbers as `forecast`.

Whole books are added up while their contracts are priced (`surface.books`), underlying by underlying. A band is the
quantity of all that is held of its underlying, a band of a tenor bucket one more book. What a band counts otherwise on
the way (contracts that change their bucket, or fade), and collateral deltas, are few rows that are revalued one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Account, Band, Chain, Scenarios
from greekdrift.forecast.banded import Key, Shares, is_collateral, key_of, line, shares
from greekdrift.forecast.distribution import BOOK, PNL, Forecast
from greekdrift.greeks.bands import band_offsets, band_quantity
from greekdrift.greeks.exposure import line_quantities, weights
from greekdrift.surface.books import books
from greekdrift.surface.collateral import NEEDED
from greekdrift.surface.moved_slice import remaining
from greekdrift.surface.revalue import revalue
from greekdrift.surface.revalue_kernel import weighted
from greekdrift.surface.slices import Surface

Table = Float[ndarray, "account row"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """The rows that some account holds, increasing, with their underlying and the contracts of each account."""

    rows: Int[ndarray, " row"]
    underlying: ndarray
    contracts: Table

    @classmethod
    def of(cls, chain: Chain, accounts: Sequence[Account]) -> "Held":
        """What accounts hold of a chain; a position that is not listed is refused."""
        table = weights(chain, accounts)
        rows = np.flatnonzero(np.any(table != 0.0, axis=0))
        return cls(rows=rows, underlying=chain.underlying[rows], contracts=table[:, rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Banded:
    """One band of one account: a book of contracts, and what it counts besides now and at each horizon.

    `offset` is the coin equity of now, for a collateral delta, whose book is empty. The book of a tenor bucket holds
    what is in it all the way, that of another band all contracts of its underlying; `rest` is what counts beyond it.
    """

    account: int
    band: Band
    offset: float
    book: Float[ndarray, " row"]
    rest: Float[ndarray, "instant row"]


def forecast_books(
    chain: Chain,
    accounts: Sequence[Account],
    *,
    surface: Surface,
    scenarios: Scenarios,
    names: Sequence[str] = BOOK,
    deterministic: bool = True,
) -> Forecast:
    """The forecast of unchanged accounts: `pnl_usd`, each name by underlying, and each band of their mandates.

    Names are those of `surface.books`. Equal to `distribution.forecast` of a revaluation of all rows held, to rounding.
    An account's numbers are the same bits whatever other accounts are forecast with it. `deterministic` as in
    `surface.books`. Memory beyond the result does not grow with the contracts, but for those that move between buckets.
    """
    held = Held.of(chain, accounts)
    banded = tuple(_banded(chain, accounts, held, scenarios.horizons))
    labels = tuple(dict.fromkeys(one.band.label for one in banded))
    quantities = (PNL, *(f"{name} of {one}" for name in names for one in chain.underlyings), *labels)
    cube = np.empty((len(quantities), len(scenarios.horizons), len(accounts), scenarios.n))
    cube[0] = 0.0
    now = np.zeros((len(accounts), len(quantities)))
    for at in range(len(quantities) - len(labels), len(quantities)):
        cube[at], now[:, at] = np.nan, np.nan
    place = {name: at for at, name in enumerate(quantities)}
    for one in banded:
        at = place[one.band.label]
        cube[at, :, one.account], now[one.account, at] = one.offset, one.offset
    made = _Sums(place=place, cube=cube, now=now)
    for underlying in chain.underlyings:
        mine = [one for one in banded if one.band.underlying == underlying and not is_collateral(one.band)]
        _add_books(
            chain, held, mine, underlying, names, surface=surface, scenarios=scenarios, made=made,
            deterministic=deterministic,
        )  # fmt: skip
    _add_moving(chain, held, banded, surface=surface, scenarios=scenarios, made=made, deterministic=deterministic)
    samples = cube.transpose(3, 1, 2, 0)
    samples.setflags(write=False)
    return Forecast(
        account_ids=tuple(account.account_id for account in accounts),
        quantities=quantities,
        horizons=scenarios.horizons,
        samples=samples,
        weights=scenarios.weights,
        now=now,
        as_of=chain.as_of,
        bands={account.account_id: account.mandate.bands for account in accounts if account.mandate is not None},
        provenance=scenarios.provenance,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """What is being added up: slot of each quantity, scenarios of each, and values now."""

    place: dict[str, int]
    cube: Float[ndarray, "quantity horizon account scenario"]
    now: Float[ndarray, "account quantity"]


def _banded(
    chain: Chain, accounts: Sequence[Account], held: Held, horizons: Float[ndarray, " horizon"]
) -> Iterator[Banded]:
    """Every band of every account; shares are worked out once for all bands that count alike."""
    known: dict[Key, Shares] = {}
    if not any(account.mandate is not None and account.mandate.bands for account in accounts):
        return
    years = chain.time_to_expiry[held.rows].tolist()
    left = np.array([remaining(one, horizons) for one in years]).reshape(-1, len(horizons)).T
    for at, account in enumerate(accounts):
        mandate = account.mandate
        if mandate is None or not mandate.bands:
            continue
        for offset, band in zip(band_offsets(chain, account), mandate.bands, strict=True):
            key = key_of(band, mandate)
            if key not in known:
                known[key] = shares(chain, band, mandate, rows=held.rows, time_to_expiry=left)
            counted = known[key] * held.contracts[at]
            if is_collateral(band):
                book = np.zeros(held.rows.size)
            elif band.tenor_days is None:
                book = np.where(held.underlying == band.underlying, held.contracts[at], 0.0)
            else:
                book = np.where(np.all(counted == counted[:1], axis=0), counted[0], 0.0)
            yield Banded(account=at, band=band, offset=float(offset), book=book, rest=counted - book)


def _add_books(
    chain: Chain,
    held: Held,
    banded: Sequence[Banded],
    underlying: str,
    names: Sequence[str],
    *,
    surface: Surface,
    scenarios: Scenarios,
    made: _Sums,
    deterministic: bool,
) -> None:
    """Adds what accounts hold of an underlying, and its tenor buckets, as books that are priced at once."""
    own = held.underlying == underlying
    owners = np.flatnonzero(np.any(held.contracts[:, own] != 0.0, axis=1))
    row_of = {int(owner): at for at, owner in enumerate(owners)}
    if len(owners) < len(held.contracts):
        for name in names:
            made.cube[made.place[f"{name} of {underlying}"]] = 0.0
    if not owners.size:
        return
    table, rows = [*held.contracts[np.ix_(owners, own)]], []
    for one in banded:
        if one.band.tenor_days is None and one.account in row_of:
            rows.append((one, row_of[one.account]))
        elif np.any(one.book):
            rows.append((one, len(table)))
            table.append(one.book[own])
    wanted = tuple(dict.fromkeys((*names, *(band_quantity(one.band) for one, _ in rows))))
    found = books(
        chain, surface, scenarios, weights=table, rows=held.rows[own], names=wanted, deterministic=deterministic
    )
    line_now = line_quantities(chain, wanted, held.rows[own])
    now = {name: _in_order(np.array(table) * line_now[name]) for name in wanted}
    count, to = len(owners), slice(None) if len(owners) == len(held.contracts) else owners
    made.cube[0][:, to] += _turned(found.pnl_usd)[:, :count]
    for name in names:
        at = made.place[f"{name} of {underlying}"]
        made.cube[at][:, to], made.now[owners, at] = _turned(found.values[name])[:, :count], now[name][:count]
    for one, row in rows:
        at, name = made.place[one.band.label], band_quantity(one.band)
        made.cube[at, :, one.account] += _turned(found.values[name])[:, row]
        made.now[one.account, at] += now[name][row]


def _add_moving(
    chain: Chain,
    held: Held,
    banded: Sequence[Banded],
    *,
    surface: Surface,
    scenarios: Scenarios,
    made: _Sums,
    deterministic: bool,
) -> None:
    """Adds what bands count of contracts that move between buckets, fade, or make up a collateral delta."""
    moving = [one for one in banded if np.any(one.rest)]
    if not moving:
        return
    at = np.flatnonzero(np.any([np.any(one.rest, axis=0) for one in moving], axis=0))
    names = {band_quantity(one.band) for one in moving if not is_collateral(one.band)}
    names |= {*NEEDED} if any(is_collateral(one.band) for one in moving) else set()
    revalued = revalue(
        chain, surface, scenarios, rows=held.rows[at], names=tuple(sorted(names)), deterministic=deterministic
    )
    for name in dict.fromkeys(band_quantity(one.band) for one in moving):
        mine = [one for one in moving if band_quantity(one.band) == name]
        cube, now = line(chain, revalued, mine[0].band)
        rest = np.ascontiguousarray(np.array([one.rest[:, at] for one in mine]).transpose(1, 2, 0))
        sums = np.zeros((len(scenarios.horizons), scenarios.n, len(mine)))
        for horizon, total in enumerate(sums):
            weighted(np.ascontiguousarray(cube[:, horizon]), rest[1 + horizon], total)
        for one, total, value in zip(mine, sums.transpose(2, 0, 1), _in_order(rest[0].T * now), strict=True):
            slot = made.place[one.band.label]
            made.cube[slot, :, one.account] += total
            made.now[one.account, slot] += value


def _turned(values: Float[ndarray, "scenario horizon account"]) -> Float[ndarray, "horizon account scenario"]:
    return values.transpose(1, 2, 0)


def _in_order(terms: Table) -> Float[ndarray, " account"]:
    """Sums over rows one after the other, so that what others hold changes no bit."""
    return np.add.accumulate(terms, axis=1)[:, -1] if terms.shape[1] else np.zeros(len(terms))
