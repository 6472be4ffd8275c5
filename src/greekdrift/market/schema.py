"""The columns of a chain file, read into quotes of one shape and from there into chains, and back.

A chain file has one row a contract and snapshot, times in UTC:

    snapshot_ts_utc, instrument_name, mark_iv, forward_price_usd, index_price_usd
    bid_price_coin, ask_price_coin, mark_price_coin     prices of inverse options, in the coin
    bid_price_usd, ask_price_usd, mark_price_usd        prices of everything else, in USD

`bid_iv` and `ask_iv` may stand for the bid and ask columns. Where present these are used too: open_interest_coin and
volume_24h_coin (contracts × contract size), contract_size, known_at_utc, origin, venue; strike_usd and expiry_ts_utc
must agree with the instrument's name. Volatilities are fractions (0.55 = 55 %). An empty bid or ask means "not quoted".
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from greekdrift.book import Chain, Instrument, Kind, Settlement, Venue
from greekdrift.book.chain import LARGEST_VOLATILITY, years_to
from greekdrift.book.instrument import parse
from greekdrift.errors import DataError, InputError, nearest
from greekdrift.market import plausible
from greekdrift.market.ticks import outward, prices
from greekdrift.units import datetime64, from_datetime64, stamp

NEEDED = ("snapshot_ts_utc", "instrument_name", "mark_iv", "forward_price_usd", "index_price_usd")
PRICES = ("bid", "ask", "mark")
OPTIONAL = (
    "bid_iv",
    "ask_iv",
    "strike_usd",
    "expiry_ts_utc",
    "open_interest_coin",
    "volume_24h_coin",
    "contract_size",
    "known_at_utc",
    "origin",
    "venue",
)


def needed(present: Iterable[str], *, where: str) -> list[str]:
    """The columns of a file that are read; a missing one is refused with its nearest present name."""
    columns = list(present)
    for name in NEEDED:
        if name not in columns:
            raise DataError(f'{where} has no column "{name}"; {nearest(name, columns)} Rename or add it.')
    found = [name for name in (*NEEDED, *OPTIONAL) if name in columns]
    for price in PRICES:
        options = [f"{price}_price_coin", f"{price}_price_usd"]
        there = [name for name in options if name in columns]
        if not there and (price == "mark" or f"{price}_iv" not in columns):
            also = "" if price == "mark" else f' or "{price}_iv"'
            raise DataError(
                f'{where} has no column "{options[0]}" (coin) or "{options[1]}" (USD){also}; '
                f"{nearest(options[0], columns)}"
            )
        found += there
    return found


class Contracts(NamedTuple):
    """What the names of a column say, by row; each name is parsed once."""

    names: pd.Categorical
    underlying: Any
    columns: dict[str, np.ndarray]


def contracts(column: pd.Series, *, where: str) -> Contracts:
    """Names, underlyings, and columns expiry_ts_utc, strike, is_call, is_inverse of a column of instrument names."""
    names = column.array if isinstance(column.array, pd.Categorical) else pd.Categorical(column)
    if np.any(names.codes < 0):
        raise DataError(f"{where}: row {int(np.argmax(names.codes < 0))} has no instrument_name; drop the row.")
    try:
        parsed = [parse(str(name)) for name in names.categories]
    except InputError as problem:
        raise DataError(f"{where}: {problem}") from None
    moments = {one.expiry for one in parsed if one.expiry is not None}
    expiry = {None: np.datetime64("NaT", "us")} | {moment: datetime64(moment) for moment in moments}
    by_name = {
        "expiry_ts_utc": np.array([expiry[one.expiry] for one in parsed], dtype="datetime64[us]"),
        "strike": np.array([np.nan if one.strike is None else one.strike for one in parsed], dtype=np.float64),
        "is_call": np.array([bool(one.is_call) for one in parsed], dtype=np.bool_),
        "is_inverse": np.array([one.is_inverse for one in parsed], dtype=np.bool_),
    }
    underlyings = sorted({one.underlying for one in parsed})
    number = np.array([underlyings.index(one.underlying) for one in parsed], dtype=np.int64)
    return Contracts(
        names=names,
        underlying=pd.Categorical.from_codes(number[names.codes], categories=pd.Index(underlyings)),
        columns={name: values[names.codes] for name, values in by_name.items()},
    )


def quotes(raw: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Rows of a chain file in one shape: sorted by snapshot, one column a price, what the name says beside it.

    Columns: snapshot_ts_utc and expiry_ts_utc (datetime64[us], NaT where none), instrument_name, underlying, strike,
    is_call, is_inverse, bid, ask, mark, mark_iv, forward, index_price, open_interest, volume_24h, contract_size, and
    known_at, bid_iv, ask_iv, origin, venue where the file has them.
    """
    named = contracts(raw["instrument_name"], where=where)
    table: dict[str, Any] = {
        "snapshot_ts_utc": instants(raw["snapshot_ts_utc"], where=where),
        "instrument_name": named.names,
        "underlying": named.underlying,
    }
    table |= named.columns
    is_coin = named.columns["is_inverse"] & ~np.isnan(named.columns["strike"])
    for price in PRICES:
        coin, usd = (raw.get(f"{price}_price_{unit}") for unit in ("coin", "usd"))
        if coin is None and usd is None:
            table[price] = np.full(len(raw), np.nan)
            table[f"{price}_iv"] = _volatilities(raw[f"{price}_iv"], named.names, where=where)
        else:
            table[price] = _price(coin, usd, is_coin, named.names, price=price, where=where)
    for name, column in (
        ("mark_iv", "mark_iv"),
        ("forward", "forward_price_usd"),
        ("index_price", "index_price_usd"),
        ("open_interest", "open_interest_coin"),
        ("volume_24h", "volume_24h_coin"),
        ("contract_size", "contract_size"),
    ):
        table[name] = _numbers(raw[column], where=where) if column in raw else np.full(len(raw), np.nan)
    if "known_at_utc" in raw:
        table["known_at"] = instants(raw["known_at_utc"], where=where)
    for text in ("origin", "venue"):
        if text in raw:
            table[text] = pd.Categorical(raw[text])
    made = pd.DataFrame(table)
    _agree(raw, made, where=where)
    if not made["snapshot_ts_utc"].is_monotonic_increasing:
        made = made.sort_values("snapshot_ts_utc", kind="stable", ignore_index=True)
    return made


def instants(column: pd.Series, *, where: str) -> np.ndarray:
    """`datetime64[us]` in UTC of a column of times; text is parsed, times without a zone are UTC as the name says.

    Numbers are refused: whether they count seconds or microseconds, and from when, nobody can tell.
    """
    remedy = "write ISO 8601 in UTC, like 2026-02-05T08:00Z"
    if column.dtype.kind in "iufcb":
        raise DataError(f"{where}: {column.name} is not a column of times: it holds {column.dtype}; {remedy}.")
    try:
        times = pd.to_datetime(column, utc=True, format="ISO8601")
    except (ValueError, TypeError):
        read = pd.to_datetime(column.astype(str), utc=True, format="ISO8601", errors="coerce")
        at = int(np.argmax((read.isna() & column.notna()).to_numpy()))
        raise DataError(
            f'{where}: {column.name} is not a column of times: "{column.iloc[at]}" in row {at}; {remedy}.'
        ) from None
    return times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")


def chain_of(rows: pd.DataFrame, *, venue: Venue, as_of: datetime, known_after: timedelta, where: str) -> Chain:
    """The chain of quotes of one instant, with the venue's contract sizes and a perpetual where the file has none.

    `index_price` is the median of the rows' index by underlying (a collector's calls may be minutes apart). Numbers
    that contradict each other are refused as `plausible` says.
    The added perpetual has forward = mark = index and is quoted at the venue's half-spread, rounded outwards to its
    tick; its volume and open interest are not known.
    """
    instruments = tuple(parse(name) for name in rows["instrument_name"])
    if not instruments:
        raise DataError(f"{where} has no rows at {stamp(as_of)}.")
    _right_venue(rows, venue, where=where)
    underlying = np.array([row.underlying for row in instruments])
    index = plausible.index(rows, underlying, where=where)
    columns: dict[str, Any] = {name: rows[name].to_numpy(dtype=np.float64) for name in (*PRICES, "mark_iv", "forward")}
    sizes = rows["contract_size"].to_numpy(dtype=np.float64, copy=True)
    is_open = np.isnan(sizes)
    sizes[is_open] = _sizes([instruments[at] for at in np.flatnonzero(is_open)], venue)
    is_bad = ~(sizes > 0.0) | np.isinf(sizes)
    if np.any(is_bad):
        name, size = instruments[int(np.argmax(is_bad))].name, sizes[int(np.argmax(is_bad))]
        raise DataError(f"{where}: {name} has a contract_size of {size:g}; give a positive one or leave it empty.")
    columns["contract_size"] = sizes
    for name in ("open_interest", "volume_24h"):
        columns[name] = rows[name].to_numpy(dtype=np.float64) / sizes
    _quoted_by_volatility(rows, columns, as_of, where=where)
    plausible.check(rows, columns, np.array([index[name] for name in underlying]), as_of=as_of, where=where)
    added = perpetuals(venue, index, listed=instruments)
    columns = {name: np.concatenate([column, added[1][name]]) for name, column in columns.items()}
    known_at = _known_at(rows, where=where) if "known_at" in rows else as_of + known_after
    return Chain(
        venue=venue.name,
        as_of=as_of,
        known_at=known_at,
        instruments=(*instruments, *added[0]),
        index_price=index,
        origin=_label(rows, "origin", where=where) if "origin" in rows else "recorded",
        settlement_average_minutes=venue.settlement_average_minutes,
        **columns,
    )


def perpetuals(
    venue: Venue, index: dict[str, float], *, listed: Sequence[Instrument] = ()
) -> tuple[tuple[Instrument, ...], dict[str, np.ndarray]]:
    """Rows of the coin-settled perpetuals that a venue has and a list of contracts has not: instruments and columns."""
    there = {row.underlying for row in listed if row.kind is Kind.PERPETUAL and row.is_inverse}
    made, rows = [], []
    for underlying, price in sorted(index.items()):
        for product in venue.products:
            if (product.kind, product.settlement, product.underlying) != (
                Kind.PERPETUAL,
                Settlement.INVERSE,
                underlying,
            ) or underlying in there:
                continue
            half = np.array([np.nan if product.half_spread is None else price * product.half_spread])
            bid, ask = outward(price - half, price + half, product)
            made.append(parse(f"{underlying}-PERPETUAL"))
            rows.append((bid[0], ask[0], price, np.nan, price, product.contract_size, np.nan, np.nan))
    names = ("bid", "ask", "mark", "mark_iv", "forward", "contract_size", "open_interest", "volume_24h")
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return tuple(made), {name: table[:, at] for at, name in enumerate(names)}


def table_of(chain: Chain) -> pd.DataFrame:
    """The rows of a chain in the columns of a chain file, times as plain UTC; reading them gives the same chain."""
    is_coin = chain.is_option & chain.is_inverse
    table: dict[str, Any] = {
        "snapshot_ts_utc": np.full(len(chain), datetime64(chain.as_of)),
        "underlying": chain.underlying,
        "instrument_name": [row.name for row in chain.instruments],
        "option_type": [_side(row) for row in chain.instruments],
        "strike_usd": chain.strike,
        "expiry_ts_utc": chain.expiry,
        "time_to_expiry_years_act365": np.where(np.isinf(chain.time_to_expiry), np.nan, chain.time_to_expiry),
    }
    for price in PRICES:
        column = getattr(chain, price)
        table[f"{price}_price_coin"] = np.where(is_coin, column, np.nan)
        table[f"{price}_price_usd"] = np.where(is_coin, np.nan, column)
    table |= {
        "mark_iv": chain.mark_iv,
        "forward_price_usd": chain.forward,
        "index_price_usd": chain.index,
        "open_interest_coin": chain.open_interest * chain.contract_size,
        "volume_24h_coin": chain.volume_24h * chain.contract_size,
        "contract_size": chain.contract_size,
        "known_at_utc": np.full(len(chain), datetime64(chain.known_at)),
        "origin": chain.origin,
        "venue": chain.venue,
    }
    return pd.DataFrame(table)


def _side(row: Instrument) -> str | None:
    return None if row.is_call is None else ("call" if row.is_call else "put")


def _numbers(column: pd.Series, *, where: str) -> np.ndarray:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as problem:
        raise DataError(f"{where}: {column.name} is not a column of numbers ({problem}).") from None


def _volatilities(column: pd.Series, names: pd.Categorical, *, where: str) -> np.ndarray:
    """Quoted volatilities, NaN where empty; one that cannot be is refused, points are left to `plausible`."""
    values = _numbers(column, where=where)
    is_bad = (values < 0.0) | (values >= 100.0 * LARGEST_VOLATILITY)
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(f"{where}: {names[at]} has a {column.name} of {values[at]:g}; leave an absent quote empty.")
    return values


def _price(
    coin: pd.Series | None,
    usd: pd.Series | None,
    is_coin: np.ndarray,
    names: pd.Categorical,
    *,
    price: str,
    where: str,
) -> np.ndarray:
    """Coin price of inverse options, USD price of all else; a bid of zero is no bid, an ask of zero is refused."""
    for column, rows, unit in ((coin, is_coin, "coin"), (usd, ~is_coin, "usd")):
        if column is None and np.any(rows):
            raise DataError(
                f'{where}: {names[int(np.argmax(rows))]} needs the column "{price}_price_{unit}", which is not there.'
            )
    none = np.full(len(names), np.nan)
    made = np.where(
        is_coin,
        none if coin is None else _numbers(coin, where=where),
        none if usd is None else _numbers(usd, where=where),
    )
    if price == "ask" and np.any(made == 0.0):
        raise DataError(f"{where}: {names[int(np.argmax(made == 0.0))]} has an ask of 0; leave an absent ask empty.")
    return np.where(made == 0.0, np.nan, made) if price == "bid" else made


def _agree(raw: pd.DataFrame, made: pd.DataFrame, *, where: str) -> None:
    """Strike and expiry columns, where present, say what the name says."""
    if "strike_usd" in raw:
        said, strike = _numbers(raw["strike_usd"], where=where), made["strike"].to_numpy()
        _differ(~((said == strike) | (np.isnan(said) & np.isnan(strike))), "strike_usd", said, made, where=where)
    if "expiry_ts_utc" in raw:
        told, expiry = instants(raw["expiry_ts_utc"], where=where), made["expiry_ts_utc"].to_numpy()
        _differ(~((told == expiry) | (np.isnat(told) & np.isnat(expiry))), "expiry_ts_utc", told, made, where=where)


def _differ(is_bad: np.ndarray, column: str, said: np.ndarray, made: pd.DataFrame, *, where: str) -> None:
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(
            f"{where}: {made['instrument_name'].iloc[at]} has {column} {said[at]} "
            f"({int(np.sum(is_bad))} such rows); correct the column or the name."
        )


def _label(rows: pd.DataFrame, column: str, *, where: str) -> str:
    """The one text that a column of labels holds."""
    labels = rows[column]
    if labels.isna().any():
        at = int(np.argmax(labels.isna().to_numpy()))
        raise DataError(f"{where}: {rows['instrument_name'].iloc[at]} has no {column}; fill it in or drop the column.")
    found = sorted({str(one) for one in labels.unique()})
    if len(found) > 1:
        raise DataError(f"{where} holds more than one {column}: {', '.join(found)}; split the file by {column}.")
    return found[0]


def _right_venue(rows: pd.DataFrame, venue: Venue, *, where: str) -> None:
    if "venue" not in rows:
        return
    found = _label(rows, "venue", where=where)
    if found != venue.name:
        raise DataError(f"{where} holds quotes of {found}, not of {venue.name}; pass the venue file of that venue.")


def _known_at(rows: pd.DataFrame, *, where: str) -> datetime:
    """When the last of the rows was known."""
    known = rows["known_at"].to_numpy()
    if np.any(np.isnat(known)):
        name = rows["instrument_name"].iloc[int(np.argmax(np.isnat(known)))]
        raise DataError(f"{where}: {name} has no known_at_utc; fill it in or drop the column.")
    try:
        return from_datetime64(known.max())
    except InputError as problem:
        raise DataError(f"{where}: known_at_utc {problem}") from None


def _sizes(instruments: Sequence[Instrument], venue: Venue) -> np.ndarray:
    """Contract size of each row by the venue's products, looked up once a kind."""
    known: dict[tuple[str, ...], float] = {}
    sizes = np.empty(len(instruments))
    for at, row in enumerate(instruments):
        key = (row.kind, row.settlement, row.underlying)
        if key not in known:
            known[key] = venue.product(row).contract_size
        sizes[at] = known[key]
    return sizes


def _quoted_by_volatility(rows: pd.DataFrame, columns: dict[str, np.ndarray], as_of: datetime, *, where: str) -> None:
    """Fill bid and ask from their volatilities where the file has those instead of prices; 0 or empty is no quote."""
    years = years_to(rows["expiry_ts_utc"].to_numpy(), as_of)
    for price in ("bid", "ask"):
        if f"{price}_iv" not in rows:
            continue
        volatility = rows[f"{price}_iv"].to_numpy()
        plausible.fractions(volatility, column=f"{price}_iv", where=where)
        on = np.isfinite(volatility) & (volatility > 0.0) & np.isfinite(years) & (years >= 0.0)
        made = np.array(columns[price])
        made[on] = prices(
            forward=columns["forward"][on],
            strike=rows["strike"].to_numpy()[on],
            volatility=volatility[on],
            time_to_expiry=years[on],
            is_call=rows["is_call"].to_numpy()[on],
            is_inverse=rows["is_inverse"].to_numpy()[on],
        )
        columns[price] = made
