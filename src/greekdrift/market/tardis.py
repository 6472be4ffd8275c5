"""Recorded ticks of whole option markets (Tardis `options_chain` files), as chains at a cadence.

A file is CSV, gzipped or not, one row an update of one contract, in order of arrival (to within a piece):

    exchange, symbol, timestamp, local_timestamp       microseconds since 1970: the venue's and the recorder's
    type, strike_price, expiration                     call or put, USD, microseconds
    bid_price, bid_iv, ask_price, ask_iv, mark_price, mark_iv     coins; volatilities in per cent; empty where none
    underlying_price, open_interest                    forward of the row's expiry in USD; contracts

At each multiple of the cadence the chain is what was known by then: of each contract the last update whose
`local_timestamp` is not later, so that nothing that arrived afterwards is in it, whatever the venue stamped it with.
The file is read in pieces; memory is that of one piece and one market, not of the file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from greekdrift.book import Chain, Venue
from greekdrift.book.instrument import Instrument, parse
from greekdrift.errors import ConfigError, DataError, InstrumentError, nearest
from greekdrift.market import foreign, names, parity, quality, schema
from greekdrift.market.csv_files import whole_rows
from greekdrift.units import SECONDS_PER_YEAR, from_datetime64, stamp

COLUMNS = (
    *("exchange", "symbol", "timestamp", "local_timestamp", "type", "strike_price", "expiration", "open_interest"),
    *("bid_price", "bid_iv", "ask_price", "ask_iv", "mark_price", "mark_iv", "underlying_price"),
)
NUMBERS = (
    *("timestamp", "local_timestamp", "strike_price", "expiration", "open_interest", "bid_price", "bid_iv"),
    *("ask_price", "ask_iv", "mark_price", "mark_iv", "underlying_price"),
)
EXCHANGES = {"deribit": "deribit", "okex-options": "okx"}
"""Exchanges whose units are known to be those above, and our name of the venue."""

CHUNK_ROWS = 250_000
SMALLEST_FORWARD = 1e-9
"""USD; a forward that is not above it is none."""
_AT = {name: at for at, name in enumerate(NUMBERS)}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was read: rows, contracts, chains, and what was left out by reason."""

    rows: int = 0
    contracts: int = 0
    chains: int = 0
    first: datetime | None = None
    last: datetime | None = None
    left_out: Counter[str] = field(default_factory=Counter)


def is_tardis(columns: Sequence[str]) -> bool:
    """Whether the columns are those of an `options_chain` file.

    >>> is_tardis(COLUMNS), is_tardis(["symbol", "bid"])
    (True, False)
    """
    return {"local_timestamp", "strike_price", "expiration", "underlying_price", "symbol"} <= set(columns)


def chains(
    paths: Sequence[Path],
    *,
    venue: Venue,
    every: timedelta,
    stale_after: timedelta = timedelta(hours=1),
    drop: Sequence[str] = (),
    tally: Tally | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[Chain]:
    """The chain at each multiple of `every` since 1970 that the files cover, in order of time.

    `paths` follow each other in time. A contract whose last update is older than `stale_after`, that has expired, that
    has no forward, mark or mark volatility, or that the venue file has no product for, is left out and counted in
    `tally`; an instant that no contract is left for has no chain. The index, which these files lack, is the forward of
    the nearest expiry. A chain is as of its instant, and known then. `drop` names filters of `market.quality`.
    """
    if every <= timedelta(0) or stale_after <= timedelta(0):
        raise DataError("the cadence and the age of stale quotes must be positive.")
    count = tally if tally is not None else Tally()
    market = _Market(venue, micros=int(stale_after / timedelta(microseconds=1)), tally=count)
    step = int(every / timedelta(microseconds=1))
    due: int | None = None
    for path in paths:
        for piece in _pieces(path, venue, chunk_rows, after=float(market.latest)):
            due = -(-int(piece.local[0]) // step) * step if due is None else due
            done = 0
            while due <= piece.local[-1]:
                upto = int(np.searchsorted(piece.local, due, side="right"))
                market.update(piece, slice(done, upto), where=path.name)
                # An instant at the end of the piece may have more updates in the next one.
                if upto == len(piece.local):
                    done = upto
                    break
                made = market.chain(due, drop=drop, where=f"{path.name} at {_stamp(due)}")
                done, due = upto, due + step
                if made is not None:
                    yield made
                    continue
                # Nothing becomes usable before the next update: instants until then have no chain either.
                skipped = max(0, -(-(int(piece.local[upto]) - due) // step))
                count.left_out["instants without a contract"] += skipped
                due += skipped * step
            market.update(piece, slice(done, None), where=path.name)
    if due is not None and market.latest == due:
        made = market.chain(due, drop=drop, where=f"{paths[-1].name} at {_stamp(due)}")
        if made is not None:
            yield made
    if not count.chains:
        raise DataError(
            f"{paths[0].name}: no chain can be made at a cadence of {every} between "
            f"{'nothing' if count.first is None else stamp(count.first)} and "
            f"{'nothing' if count.last is None else stamp(count.last)} ({_reasons(count)}); give a shorter one."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Consecutive rows of a file: arrival in microseconds, symbols, numbers by `NUMBERS`, side."""

    local: np.ndarray
    symbol: np.ndarray
    numbers: np.ndarray
    is_call: np.ndarray


def _pieces(path: Path, venue: Venue, chunk_rows: int, *, after: float) -> Iterator[_Piece]:
    of = foreign.form(path)
    if of.kind == "parquet":
        raise DataError(f"{path.name} is Parquet; these files are CSV, gzipped or not.")
    last, row = after, 0
    try:
        with foreign.text(path, of) as file:
            head = pd.read_csv(file, sep=of.separator, nrows=0)
        _check_columns(list(head.columns), path.name)
        types = dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(("exchange", "symbol", "type"), "category")
        with (
            foreign.text(path, of) as file,
            pd.read_csv(
                file,
                sep=of.separator,
                index_col=False,
                dtype=types,
                chunksize=chunk_rows,
            ) as reader,
        ):
            while True:
                with whole_rows(path.name):
                    whole = next(reader, None)
                if whole is None:
                    break
                table = whole[list(COLUMNS)]
                last = _check_rows(table, venue, last, row, path.name)
                row += len(table)
                table = table.sort_values("local_timestamp", kind="stable")
                yield _Piece(
                    local=table["local_timestamp"].to_numpy(),
                    symbol=table["symbol"].astype(object).to_numpy(),
                    numbers=table[list(NUMBERS)].to_numpy(),
                    is_call=(table["type"].astype("string") == "call").to_numpy(),
                )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, OSError) as problem:
        raise _unreadable(path, row, problem) from None
    except ValueError as problem:
        if isinstance(problem, DataError):
            raise
        raise _unreadable(path, row, problem) from None


def _unreadable(path: Path, row: int, problem: Exception) -> DataError:
    return DataError(
        f"{path.name} cannot be read after row {row} ({str(problem)[:200]}); fetch it again, or cut it after that row."
    )


def _check_columns(columns: Sequence[str], name: str) -> None:
    for needed in COLUMNS:
        if needed not in columns:
            raise DataError(f'{name} has no column "{needed}"; {nearest(needed, map(str, columns))}')


def _check_rows(table: pd.DataFrame, venue: Venue, last: float, row: int, name: str) -> float:
    """Refuses other exchanges, rows without a stamp or a symbol, and rows out of order; the last stamp."""
    for exchange in table["exchange"].astype("string").fillna("nothing").unique():
        if exchange not in EXCHANGES:
            raise DataError(
                f"{name} holds quotes of {exchange}; units are known of {', '.join(EXCHANGES)}. Import it as a table "
                "of one snapshot, without --every."
            )
        if EXCHANGES[exchange] != venue.name:
            raise DataError(f"{name} holds quotes of {exchange}; give --venue {EXCHANGES[exchange]}.")
    needed = table[["timestamp", "local_timestamp", "strike_price", "expiration"]].to_numpy()
    is_bad = ~np.isfinite(needed).all(axis=1) | table["symbol"].isna().to_numpy()
    is_bad |= ~table["type"].astype("string").isin(["call", "put"]).to_numpy(dtype=np.bool_)
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(f"{name}: row {row + at} lacks a symbol, side, strike, expiry or stamp; drop the row.")
    local = needed[:, 1]
    is_off = ~((local >= 631_152_000e6) & (local <= 4_102_444_800e6))  # 1990 to 2100
    if np.any(is_off):
        at = int(np.argmax(is_off))
        raise DataError(
            f"{name}: row {row + at}: local_timestamp {local[at]:.16g} does not count microseconds since 1970 (1990 to "
            "2100); convert it, or drop the row."
        )
    if np.any(local < last):
        at = int(np.argmax(local < last))
        raise DataError(
            f"{name}: row {row + at} arrived at {local[at]:.0f}, before rows far above it; sort the file by "
            "local_timestamp, or give several files in order of time."
        )
    return float(np.max(local))


class _Market:
    """The last update of each contract."""

    def __init__(self, venue: Venue, *, micros: int, tally: Tally) -> None:
        self._venue = venue
        self._stale = micros
        self._tally = tally
        self._code: dict[str, int] = {}
        self._instruments: list[Instrument | None] = []
        self._state = np.empty((0, len(NUMBERS)))
        self.latest = -1

    def update(self, piece: _Piece, rows: slice, *, where: str) -> None:
        """Takes consecutive rows in; of a contract that stands there twice the later one counts."""
        symbols, numbers = piece.symbol[rows], piece.numbers[rows]
        if not len(symbols):
            return
        codes, unique = pd.factorize(symbols)
        known = np.array([self._number(str(one), where) for one in unique], dtype=np.int64)
        self._grow()
        self._agree(known[codes], numbers, piece.is_call[rows], where)
        self._state[known[codes]] = numbers
        self._tally.rows += len(symbols)
        local = piece.local[rows]
        self._tally.first = self._tally.first or _instant(int(local[0]))
        self._tally.last = _instant(int(local[-1]))
        self.latest = int(local[-1])

    def chain(self, due: int, *, drop: Sequence[str], where: str) -> Chain | None:
        """What was known at an instant; None where no contract is left."""
        state = self._state[: len(self._instruments)]
        keep = self._usable(state, due)
        if not np.any(keep):
            self._tally.left_out["instants without a contract"] += 1
            return None
        rows = schema.quotes(self._table(state[keep], np.flatnonzero(keep), due), where=where)
        rows, _ = quality.apply(rows, drop, where=where)
        if rows.empty:
            self._tally.left_out["instants without a contract"] += 1
            return None
        as_of = _instant(due)
        made = schema.chain_of(rows, venue=self._venue, as_of=as_of, known_after=timedelta(0), where=where)
        self._tally.chains += 1
        return made

    def _usable(self, state: np.ndarray, due: int) -> np.ndarray:
        """Contracts that are alive, fresh and complete; what is left out is counted."""
        keep = np.array([one is not None for one in self._instruments], dtype=np.bool_)
        reasons = {
            "expired": state[:, _AT["expiration"]] <= due,
            "stale": state[:, _AT["local_timestamp"]] < due - self._stale,
            "no forward": ~(state[:, _AT["underlying_price"]] > SMALLEST_FORWARD),
            "no mark": ~(state[:, _AT["mark_price"]] >= 0.0),
            "no mark volatility": ~(state[:, _AT["mark_iv"]] > 0.0),
        }
        self._tally.left_out["no product at the venue"] += int(np.sum(~keep))
        for reason, is_out in reasons.items():
            self._tally.left_out[reason] += int(np.sum(keep & is_out))
            keep &= ~is_out
        return keep

    def _table(self, state: np.ndarray, at: np.ndarray, due: int) -> pd.DataFrame:
        """Usable rows in the columns of a chain file."""
        own = [one for one in (self._instruments[i] for i in at) if one is not None]
        number = {name: state[:, column] for name, column in _AT.items()}
        is_coin = np.array([one.is_inverse for one in own])
        underlying = np.array([one.underlying for one in own], dtype=object)
        years = (number["expiration"] - due) / (1e6 * SECONDS_PER_YEAR)
        size = [self._venue.product(one).contract_size for one in own]
        moment = np.datetime64(due, "us")
        table = {
            "snapshot_ts_utc": np.full(len(own), moment),
            "known_at_utc": np.full(len(own), moment),
            "instrument_name": [one.name for one in own],
            "mark_iv": number["mark_iv"] / 100.0,
            "forward_price_usd": number["underlying_price"],
            "index_price_usd": parity.nearest(number["underlying_price"], group=underlying[:, None], years=years),
            "open_interest_coin": number["open_interest"] * np.array(size),
        }
        for price in schema.PRICES:
            values = number[f"{price}_price"]
            values = np.where(values > 0.0, values, np.nan) if price != "mark" else values
            table[f"{price}_price_coin"] = np.where(is_coin, values, np.nan)
            table[f"{price}_price_usd"] = np.where(is_coin, np.nan, values)
        return pd.DataFrame(table)

    def _number(self, symbol: str, where: str) -> int:
        found = self._code.get(symbol)
        if found is None:
            found = self._code[symbol] = len(self._instruments)
            self._instruments.append(self._instrument(symbol, where))
            self._tally.contracts += 1
        return found

    def _instrument(self, symbol: str, where: str) -> Instrument | None:
        """The contract of a symbol; None where the venue file has no product for it."""
        try:
            instrument = parse(names.ours(symbol, venue=self._venue))
            self._venue.product(instrument)
        except InstrumentError as problem:
            raise DataError(f"{where}: {problem}") from None
        except ConfigError:
            return None
        return instrument

    def _agree(self, code: np.ndarray, numbers: np.ndarray, is_call: np.ndarray, where: str) -> None:
        """The columns of strike, expiry and side say what the symbol says."""
        first = np.unique(code, return_index=True)[1]
        for at in first:
            own = self._instruments[code[at]]
            if own is None or own.expiry is None:
                continue
            expiry = int(own.expiry.timestamp()) * 1_000_000
            said = (numbers[at, _AT["strike_price"]], numbers[at, _AT["expiration"]], bool(is_call[at]))
            if said != (own.strike, expiry, own.is_call):
                raise DataError(
                    f"{where}: {own.name} has strike {said[0]:g}, expiry {said[1]:.0f} and side "
                    f"{'call' if said[2] else 'put'} in its columns; correct the file."
                )

    def _grow(self) -> None:
        missing = len(self._instruments) - len(self._state)
        if missing > 0:
            more = np.full((max(missing, len(self._state)), len(NUMBERS)), np.nan)
            self._state = np.concatenate([self._state, more])


def _instant(micros: int) -> datetime:
    return from_datetime64(np.datetime64(micros, "us"))


def _stamp(micros: int) -> str:
    return stamp(_instant(micros))


def _reasons(tally: Tally) -> str:
    found = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.left_out.items()) if count)
    return found or f"{tally.rows} rows"
