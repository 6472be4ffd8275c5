"""One snapshot's rows as the columns of a chain file, with implied volatilities of bid and ask and our own Greeks.

Columns are those of `market.schema` and of the recorded set of the same venue: times in UTC, prices of options in the
coin, of futures and perpetuals in USD; `bid_iv`, `ask_iv` and `mark_iv` per 1.00 (empty where no volatility exists),
`delta_bs` = N(d1) on the forward (calls), `gamma_bs` per USD, `vega_usd_per_volpoint`, `theta_usd_per_day`.
`event_time_utc` is the row's own stamp by the venue, `known_at_utc` when the whole snapshot had arrived.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy import ndarray

from greekdrift.book import Chain, Kind
from greekdrift.book.chain import years_to
from greekdrift.errors import DataError
from greekdrift.greeks import compute, implied
from greekdrift.market.collect.checks import Columns, check_unit, passing
from greekdrift.market.collect.payload import NUMBERS, Quotes
from greekdrift.market.collect.rejects import Reason, Rejects
from greekdrift.units import datetime64, stamp, to_venue

VENUE = "deribit"
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a row's own stamp may lie before and after the snapshot, in seconds, and the largest share rejected."""

    oldest: float = 60.0
    newest: float = 5.0
    most_rejected: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one snapshot that passed every check, and the instants of the snapshot."""

    as_of: datetime
    known_at: datetime
    instruments: tuple[Any, ...]
    forward_names: tuple[str, ...]
    numbers: Mapping[str, ndarray]
    columns: Columns
    contract_size: ndarray
    index: Mapping[str, float]
    venue: str = VENUE

    @property
    def underlyings(self) -> list[str]:
        """Coins that have rows, sorted."""
        return sorted({one.underlying for one in self.instruments})

    def chain(self, *, settlement_average_minutes: float = 0.0) -> Chain:
        """The chain of the snapshot, as reading the written file gives it."""
        size = self.contract_size
        return Chain(
            venue=self.venue,
            as_of=self.as_of,
            known_at=self.known_at,
            instruments=self.instruments,
            contract_size=size,
            forward=self.columns.forward,
            bid=self.columns.bid,
            ask=self.columns.ask,
            mark=self.columns.mark,
            mark_iv=self.columns.mark_iv,
            open_interest=self.numbers["open_interest"] / size,
            volume_24h=_volume(self) / size,
            index_price=self.index,
            settlement_average_minutes=settlement_average_minutes,
        )


def checked(
    quotes: Quotes,
    *,
    as_of: datetime,
    known_at: datetime,
    index: Mapping[str, float],
    contract_size: Mapping[str, float],
    rejects: Rejects,
    tolerance: Tolerance,
    venue: str = VENUE,
) -> Rows:
    """The rows that pass every check; each other one is noted, and too many of them refuse the snapshot."""
    offered = len(quotes.rows) + rejects.total
    numbers = dict(zip(NUMBERS, _transposed(quotes), strict=True))
    size = np.array([contract_size.get(one.name, np.nan) for one in quotes.instruments])
    columns = _columns(quotes, numbers, as_of, index)
    is_listed = size > 0.0
    for row in np.flatnonzero(~is_listed):
        rejects.add(Reason.NOT_LISTED, quotes.instruments[row].name)
    keep = np.zeros(len(size), dtype=np.bool_)
    keep[is_listed] = passing(columns.keep(is_listed), rejects, oldest=tolerance.oldest, newest=tolerance.newest)
    if rejects.total > tolerance.most_rejected * offered:
        raise DataError(
            f"{rejects.total} of {offered} rows at {stamp(as_of)} were rejected ({rejects.counts()}), more than "
            f"{tolerance.most_rejected:.0%}. Nothing was written; did the venue change its answers?"
        )
    kept = columns.keep(keep)
    check_unit(kept)
    at = np.flatnonzero(keep)
    return Rows(
        as_of=as_of,
        known_at=known_at,
        instruments=tuple(quotes.instruments[i] for i in at),
        forward_names=tuple(quotes.forward_names[i] for i in at),
        numbers={name: column[keep] for name, column in numbers.items()},
        columns=kept,
        contract_size=size[keep],
        index=index,
        venue=venue,
    )


def chain_table(rows: Rows) -> pa.Table:
    """The columns of a chain file."""
    of, numbers = rows.columns, rows.numbers
    is_option = of.is_option
    table: dict[str, pa.Array] = {
        "snapshot_ts_utc": _constant(datetime64(rows.as_of), len(is_option)),
        "event_time_utc": _instants((numbers["event_ms"] * 1000.0).astype("datetime64[us]")),
        "known_at_utc": _constant(datetime64(rows.known_at), len(is_option)),
        "underlying": pa.array(of.underlying.tolist()),
        "instrument_name": pa.array(of.names.tolist()),
        "option_type": pa.array([_SIDE[one.is_call] for one in rows.instruments], type=pa.string()),
        "strike_usd": _numbers(of.strike),
        "expiry_ts_utc": _instants(_expiries(rows.instruments)),
        "time_to_expiry_years_act365": _numbers(np.where(np.isfinite(of.years), of.years, np.nan)),
    }
    for price in ("bid", "ask", "mark"):
        column = getattr(of, price)
        table[f"{price}_price_coin"] = _numbers(np.where(is_option, column, np.nan))
        table[f"{price}_price_usd"] = _numbers(np.where(is_option, np.nan, column))
    table |= {name: _numbers(column) for name, column in _volatilities(of).items()}
    table |= {name: _numbers(column) for name, column in _greeks(of).items()}
    table |= {
        "forward_price_usd": _numbers(of.forward),
        "forward_name": pa.array(list(rows.forward_names)),
        "index_price_usd": _numbers(of.index),
        "open_interest_coin": _numbers(numbers["open_interest"]),
        "volume_24h_coin": _numbers(_volume(rows)),
        "volume_24h_usd": _numbers(numbers["volume_usd"]),
        "bid_size": _numbers(numbers["bid_size"]),
        "ask_size": _numbers(numbers["ask_size"]),
        "contract_size": _numbers(rows.contract_size),
        "origin": pa.array(["recorded"] * len(is_option)),
        "venue": pa.array([rows.venue] * len(is_option)),
    }
    return pa.table(table)


def series_table(values: Sequence[tuple[str, str, float, datetime]], *, known_at: datetime) -> pa.Table:
    """Index, funding and volatility index: underlying, name, value and event time, one row each, and known when."""
    underlying, name, value, event_time = zip(*values, strict=True)
    return pa.table(
        {
            "event_time_utc": pa.array(event_time, type=MOMENT),
            "known_at_utc": pa.array([known_at] * len(values), type=MOMENT),
            "underlying": pa.array(underlying),
            "name": pa.array(name),
            "value": pa.array(value, type=pa.float64()),
        }
    )


_SIDE = {None: None, True: "call", False: "put"}


def _transposed(quotes: Quotes) -> ndarray:
    return np.array(quotes.rows, dtype=np.float64).reshape(len(quotes.rows), len(NUMBERS)).T


def _columns(quotes: Quotes, numbers: Mapping[str, ndarray], as_of: datetime, index: Mapping[str, float]) -> Columns:
    instruments = quotes.instruments
    return Columns(
        names=np.array([one.name for one in instruments], dtype=np.str_),
        underlying=np.array([one.underlying for one in instruments], dtype=np.str_),
        is_option=np.array([one.kind is Kind.OPTION for one in instruments], dtype=np.bool_),
        is_call=np.array([bool(one.is_call) for one in instruments], dtype=np.bool_),
        strike=np.array([np.nan if one.strike is None else one.strike for one in instruments]),
        years=years_to(_expiries(instruments), as_of),
        event_age=as_of.timestamp() - numbers["event_ms"] / 1000.0,
        bid=numbers["bid"],
        ask=numbers["ask"],
        mark=numbers["mark"],
        mark_iv=numbers["mark_iv"],
        forward=numbers["forward"],
        index=np.array([index[one.underlying] for one in instruments]),
    )


def _expiries(instruments: Any) -> ndarray:
    moments = {one.expiry for one in instruments}
    known = {one: np.datetime64("NaT", "us") if one is None else datetime64(one) for one in moments}
    return np.array([known[one.expiry] for one in instruments], dtype="datetime64[us]")


def _volume(rows: Rows) -> ndarray:
    """Contracts × contract size, as a chain file has it: coins of options, USD of inverse futures."""
    return np.where(rows.columns.is_option, rows.numbers["volume"], rows.numbers["volume_usd"])


def _volatilities(of: Columns) -> dict[str, ndarray]:
    """Volatilities of mark (the venue's), bid and ask (ours); NaN where a price implies none."""
    at = np.flatnonzero(of.is_option)
    found = {"mark_iv": of.mark_iv}
    for name in ("bid", "ask"):
        column = np.full(len(of.names), np.nan)
        column[at], _ = implied.solve(
            getattr(of, name)[at],
            forward=of.forward[at],
            strike=of.strike[at],
            time_to_expiry=of.years[at],
            is_call=of.is_call[at],
            is_coin=True,
        )
        found[f"{name}_iv"] = column
    return found


def _greeks(of: Columns) -> dict[str, ndarray]:
    at = np.flatnonzero(of.is_option)
    values = compute(
        ("delta", "gamma", "vega", "theta"),
        forward=of.forward[at],
        strike=of.strike[at],
        volatility=of.mark_iv[at],
        time_to_expiry=of.years[at],
        is_call=of.is_call[at],
        threads=1,
    )
    named = {
        "delta_bs": values["delta"],
        "gamma_bs": values["gamma"],
        "vega_usd_per_volpoint": to_venue("vega", values["vega"]),
        "theta_usd_per_day": to_venue("theta", values["theta"]),
    }
    found = {}
    for name, value in named.items():
        found[name] = np.full(len(of.names), np.nan)
        found[name][at] = value
    return found


def _numbers(column: ndarray) -> pa.Array:
    return pa.array(column, type=pa.float64(), from_pandas=True)


def _instants(column: ndarray) -> pa.Array:
    return pa.array(column).cast(pa.timestamp("us")).cast(MOMENT)


def _constant(moment: np.datetime64, rows: int) -> pa.Array:
    return _instants(np.full(rows, moment))
