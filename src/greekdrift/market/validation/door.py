"""The door: columns, types, ranges and keys of raw rows, by pandera; what passes can be read by `market.schema`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from greekdrift.book import Venue
from greekdrift.book.chain import LARGEST_VOLATILITY
from greekdrift.book.instrument import Instrument, parse
from greekdrift.errors import ConfigError, DataError, InputError
from greekdrift.greeks.black import LARGEST, LEAST
from greekdrift.market.schema import PRICES
from greekdrift.market.validation.finding import Hits
from greekdrift.units import datetime64

TIMES = ("snapshot_ts_utc", "expiry_ts_utc", "known_at_utc", "event")
TEXTS = ("instrument_name", "origin", "venue")
SIZES = ("open_interest_coin", "volume_24h_coin", "contract_size")
KEY = ["stamp", "code"]

Check = Callable[[pd.Series], pd.Series]


def passed(raw: pd.DataFrame, *, venue: Venue, where: str) -> tuple[pd.DataFrame, list[Hits]]:
    """Rows that can be read, numbers and times as such, in order of time; and what was found at the door.

    `raw` has the columns of a chain file beside `file` and `row`. A column that holds no times at all is refused.
    """
    table = _parsed(raw, venue, where=where)
    try:
        _schema(table).validate(table, lazy=True)
        failures = pd.DataFrame({"check": [], "index": []})
    except pa.errors.SchemaErrors as problem:
        failures = problem.failure_cases
    wrong = failures[~failures["check"].isin(RANGES)]
    if len(wrong):
        raise DataError(f"{where}: {wrong['column'].iloc[0]} {wrong['check'].iloc[0]}; write the file again.")
    hits = list(_hits(failures, table))
    is_bad = np.zeros(len(raw), dtype=np.bool_)
    for one in hits:
        is_bad[np.searchsorted(table["key"], one.file * _FILE + one.row)] = True
    left = _typed(raw, table).loc[~is_bad]
    left = left.iloc[np.argsort(table["stamp"].to_numpy()[~is_bad], kind="stable")].reset_index(drop=True)
    return left, hits


_FILE = 1 << 40


def _parsed(raw: pd.DataFrame, venue: Venue, *, where: str) -> pd.DataFrame:
    """Every column that the rules look at, as numbers and times; what is none is counted in `texts`."""
    names = pd.Categorical(raw["instrument_name"])
    known = [_instrument(str(name)) for name in names.categories]
    of = _by_name(known, venue)
    code = np.asarray(names.codes, dtype=np.int64)
    made: dict[str, Any] = {name: np.append(values, blank)[code] for name, (values, blank) in of.items()}
    shown = np.append(np.asarray(names.categories, dtype=object), "")[code]
    made |= {"shown": shown, "code": code, "key": raw["file"].to_numpy() * _FILE + raw["row"].to_numpy()}
    texts = np.zeros(len(raw), dtype=np.float64)
    number: dict[str, np.ndarray] = {}
    for column in raw.columns:
        if column not in (*TIMES, *TEXTS, "file", "row"):
            number[column] = pd.to_numeric(raw[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            texts += np.isnan(number[column]) & raw[column].notna().to_numpy()
    none = np.full(len(raw), np.nan)
    for price in PRICES:
        coin, usd = (number.get(f"{price}_price_{unit}", none) for unit in ("coin", "usd"))
        made[price] = np.where(made["is_coin"], coin, usd)
    for column, source in (
        ("mark_iv", "mark_iv"),
        ("bid_iv", "bid_iv"),
        ("ask_iv", "ask_iv"),
        ("forward", "forward_price_usd"),
        ("index", "index_price_usd"),
        ("said_strike", "strike_usd"),
        *((name, name) for name in SIZES),
    ):
        made[column] = number.get(source, none)
    made["texts"] = texts
    made["stamp"] = times(raw["snapshot_ts_utc"], where=where)
    made["said_expiry"] = times(raw["expiry_ts_utc"], where=where) if "expiry_ts_utc" in raw else made["expiry"]
    table = pd.DataFrame(made)
    return _with_differences(table, raw)


def _with_differences(table: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """Beside the columns what two of them say about each other: days to expiry, agreement with the name, copies."""
    table["days"] = (table["expiry"] - table["stamp"]).dt.total_seconds() / 86_400.0
    table["expiry_gap"] = (table["said_expiry"] - table["expiry"]).dt.total_seconds().fillna(0.0) / 86_400.0
    is_absent = table["said_strike"].isna() if "strike_usd" not in raw else table["strike"].isna()
    table["strike_gap"] = (table["said_strike"] - table["strike"]).mask(is_absent, 0.0)
    is_keyed = table["stamp"].notna() & (table["code"] >= 0)
    is_twin = table.duplicated(KEY, keep=False) & is_keyed
    table["copies"], table["rivals"] = 1.0, 1.0
    if is_twin.any():
        twins = raw.loc[is_twin.to_numpy()].drop(columns=["file", "row"])
        of = table.loc[is_twin, KEY]
        content = pd.util.hash_pandas_object(twins.astype(str), index=False).to_numpy()
        group = of.assign(content=content).groupby(KEY)
        table.loc[is_twin, "rivals"] = group["content"].transform("nunique").astype(np.float64)
        table.loc[is_twin, "copies"] = 1.0 + of.assign(content=content).groupby([*KEY, "content"]).cumcount()
    return table


def _instrument(name: str) -> Instrument | None:
    try:
        return parse(name)
    except InputError:
        return None


def _by_name(known: list[Instrument | None], venue: Venue) -> dict[str, tuple[np.ndarray, Any]]:
    """What each name says, and the value for a row without a name."""
    nat = np.datetime64("NaT", "us")
    expiry = [nat if one is None or one.expiry is None else datetime64(one.expiry) for one in known]
    strike = [np.nan if one is None or one.strike is None else one.strike for one in known]
    return {
        "is_known": (np.array([one is not None for one in known], dtype=np.bool_), True),
        "is_listed": (np.array([one is None or _is_listed(one, venue) for one in known], dtype=np.bool_), True),
        "is_option": (np.array([one is not None and one.is_option for one in known], dtype=np.bool_), False),
        "is_coin": (
            np.array([one is not None and one.is_option and one.is_inverse for one in known], dtype=np.bool_),
            False,
        ),
        "expiry": (np.array(expiry, dtype="datetime64[us]"), nat),
        "strike": (np.array(strike, dtype=np.float64), np.nan),
    }


def _is_listed(instrument: Instrument, venue: Venue) -> bool:
    try:
        venue.product(instrument)
    except ConfigError:
        return False
    return True


def times(column: pd.Series, *, where: str) -> pd.Series:
    """Times in UTC without a zone, NaT where a cell is none; numbers are refused as in `schema.instants`."""
    if column.dtype.kind in "iufcb":
        raise DataError(
            f"{where}: {column.name} is not a column of times: it holds {column.dtype}; write ISO 8601 in UTC, "
            "like 2026-02-05T08:00Z."
        )
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        times = pd.to_datetime(column, utc=True)
    else:
        times = pd.to_datetime(column.astype("string"), utc=True, format="ISO8601", errors="coerce")
    return times.dt.tz_localize(None).astype("datetime64[us]").reset_index(drop=True)


def _typed(raw: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The raw rows, text that stands for numbers and times read as such."""
    typed = raw.reset_index(drop=True)
    for column in typed.columns:
        if column == "snapshot_ts_utc":
            typed[column] = table["stamp"]
        elif column not in (*TIMES, *TEXTS) and typed[column].dtype.kind not in "iufb":
            typed[column] = pd.to_numeric(typed[column], errors="coerce").astype(np.float64)
    return typed


def _not_negative(values: pd.Series) -> pd.Series:
    return ~((values < 0.0) | np.isinf(values))


def _positive_or_absent(values: pd.Series) -> pd.Series:
    return values.isna() | ((values > 0.0) & ~np.isinf(values))


RANGES: dict[str, tuple[str, Check, float]] = {
    "no_time": ("stamp", lambda x: x.notna(), np.nan),
    "no_name": ("code", lambda x: x >= 0, np.nan),
    "unknown_name": ("is_known", lambda x: x, np.nan),
    "unknown_product": ("is_listed", lambda x: x, np.nan),
    "not_a_number": ("texts", lambda x: x == 0.0, np.nan),
    "expired": ("days", lambda x: ~(x <= 0.0), 0.0),
    "wrong_strike": ("strike_gap", lambda x: x == 0.0, 0.0),
    "wrong_expiry": ("expiry_gap", lambda x: x == 0.0, 0.0),
    "duplicate": ("copies", lambda x: x == 1.0, 1.0),
    "conflict": ("rivals", lambda x: x == 1.0, 1.0),
    "bad_bid": ("bid", _not_negative, 0.0),
    "bad_ask": ("ask", _positive_or_absent, 0.0),
    "bad_mark": ("mark", lambda x: (x >= 0.0) & ~np.isinf(x), 0.0),
    "bad_volatility": ("option_iv", lambda x: (x > 0.0) & (x < 100.0 * LARGEST_VOLATILITY), LARGEST_VOLATILITY),
    "bad_quoted_volatility": ("quoted_iv", lambda x: _not_negative(x) & ~(x >= 100.0 * LARGEST_VOLATILITY), 50.0),
    "bad_forward": ("forward", lambda x: (x >= LEAST) & (x <= LARGEST), 0.0),
    "bad_index": ("index", _positive_or_absent, 0.0),
    "bad_size": ("sizes", _not_negative, 0.0),
}
"""Rules of the door: the column, the claim that holds for each of its values, and the limit shown."""


def _schema(table: pd.DataFrame) -> pa.DataFrameSchema:
    """The schema; adds the columns that stand for several: volatility of options, worst size, worst quoted one."""
    table["option_iv"] = table["mark_iv"].where(table["is_option"], 0.5)
    table["quoted_iv"] = _worst(table[["bid_iv", "ask_iv"]])
    sizes = table[list(SIZES)].copy()
    sizes["contract_size"] = sizes["contract_size"].replace(0.0, -np.inf)
    table["sizes"] = _worst(sizes)
    kinds = {name: str(table[name].dtype) for name, _, _ in RANGES.values()}
    checks: dict[str, list[pa.Check]] = {name: [] for name in kinds}
    for rule, (name, claim, _) in RANGES.items():
        checks[name].append(pa.Check(claim, name=rule, error=rule, ignore_na=False))
    return pa.DataFrameSchema({name: pa.Column(kinds[name], checks[name], nullable=True) for name in kinds})


def _worst(values: pd.DataFrame) -> pd.Series:
    """Per row the negative value, if there is one, else the largest; NaN where all are absent."""
    least, most = values.min(axis=1), values.max(axis=1)
    return least.where(least < 0.0, most)


def _hits(failures: pd.DataFrame, table: pd.DataFrame) -> Iterator[Hits]:
    """The failures of each rule; a row without a name or time breaks that rule alone, a conflict is no duplicate."""
    done = np.zeros(len(table), dtype=np.bool_)
    is_rival = (table["rivals"] > 1.0).to_numpy()
    for rule, (column, _, limit) in RANGES.items():
        at = np.sort(failures.loc[failures["check"] == rule, "index"].to_numpy(dtype=np.int64))
        at = at[~done[at]]
        if rule in ("no_time", "no_name", "unknown_name"):
            done[at] = True
        if rule == "duplicate":
            at = at[~is_rival[at]]
        if at.size:
            yield _hit(rule, table, at, column, limit)


def _hit(rule: str, table: pd.DataFrame, at: np.ndarray, column: str, limit: float) -> Hits:
    figure = table[column].to_numpy()[at]
    is_number = np.isfinite(limit)
    key = table["key"].to_numpy()[at]
    return Hits(
        rule=rule,
        moment=table["stamp"].to_numpy(dtype="datetime64[us]")[at],
        name=table["shown"].to_numpy()[at],
        file=key // _FILE,
        row=key % _FILE,
        figure=figure.astype(np.float64) if is_number else np.full(at.size, np.nan),
        limit=np.full(at.size, limit),
    )
