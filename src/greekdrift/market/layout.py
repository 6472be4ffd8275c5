"""Tables of others laid out as ours are: one row a contract, one column a word, the time of each row in one cell.

Undone are calls and puts side by side in one row (`C_BID, P_BID`), columns of a time of day (`bid_1545`), a date and
a clock in two columns, and rows that stand twice. Each says what it did; nothing else is changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from greekdrift.errors import DataError, nearest
from greekdrift.market import columns, dates
from greekdrift.units import counted

PAIRS = (("c", "p"), ("call", "put"), ("calls", "puts"), ("ce", "pe"))
"""Beginnings or ends of column names that stand for calls and puts, apart from the rest of the name."""
TOLD = ("bid_price", "ask_price", "mark_price", "mark_iv", "bid_iv", "ask_iv")
"""One of these must stand on both sides for a table to be one of calls and puts side by side."""
DAYS = ("quotedate", "date", "tradedate", "asofdate", "day", "snapshotdate")
CLOCKS = ("time", "quotetime", "tradetime", "asoftime", "snapshottime", "clock")
EXCHANGE_CLOCK = "America/New_York"
"""The clock of columns such as bid_1545, which US vendors name by it."""

_CLOCKED = re.compile(r"(?P<stem>[A-Za-z].*?)_(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidOut:
    """A table with one row a contract, and what was done to it."""

    table: pd.DataFrame
    said: tuple[str, ...]


def laid_out(table: pd.DataFrame, *, constants: Mapping[str, str], where: str) -> LaidOut:
    """The table in our layout; `constants` are columns of ours that have one value in all rows.

    >>> wide = pd.DataFrame({"strike": [90.0], "C_BID": [11.0], "P_BID": [1.0]})
    >>> laid_out(wide, constants={}, where="a.csv").table.to_dict("list")
    {'strike': [90.0, 90.0], 'BID': [11.0, 1.0], 'option_type': ['call', 'put']}
    """
    said: list[str] = []
    for step in (_distinct, _unfolded, _of_one_clock, _joined):
        table, done = step(table)
        said += [done] if done else []
    for ours, value in constants.items():
        if ours not in columns.WORDS:
            raise DataError(f'--set {ours}={value}: "{ours}" is none of our columns; {nearest(ours, columns.WORDS)}')
        table = table.assign(**{constant(ours): value})
    if table.empty:
        raise DataError(f"{where} has no rows; export it again.")
    return LaidOut(table=table, said=tuple(said))


def constant(ours: str) -> str:
    """The name of a column that was given as one value."""
    return f"--set {ours}"


def _distinct(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    try:
        is_again = table.duplicated()
    except TypeError:  # cells that are lists
        return table, ""
    count = int(is_again.sum())
    return table[~is_again].reset_index(drop=True) if count else table, (
        f"read once: {counted(count, 'row')} that stood there again, the same in every cell" if count else ""
    )


def _unfolded(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Calls and puts side by side, one below the other; a side without any cell lists no contract."""
    names = [str(one) for one in table.columns]
    if any(columns.plain(one) in columns.WORDS["option_type"] for one in names):
        return table, ""
    for pair in PAIRS:
        stems = _stems(names, pair)
        words = {columns.plain(stem) for stem in stems}
        if not any(words & set(columns.WORDS[one]) for one in TOLD):
            continue
        both = {name for sides in stems.values() for name in sides}
        parts = []
        for side, number in (("call", 0), ("put", 1)):
            own = {sides[number]: stem for stem, sides in stems.items()}
            rows = table[table[list(own)].notna().any(axis=1)]
            parts.append(rows.drop(columns=list(both - set(own))).rename(columns=own).assign(option_type=side))
        made = pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
        shown = ", ".join(f"{call} and {put} as {stem}" for stem, (call, put) in list(stems.items())[:3])
        return made, f"calls and puts stand side by side: {shown}{', …' if len(stems) > 3 else ''}"
    return table, ""


def _stems(names: list[str], pair: tuple[str, str]) -> dict[str, tuple[str, str]]:
    """What is left of names that differ in the side alone, and the names of call and put."""
    found: list[dict[str, str]] = []
    for side in pair:
        form = re.compile(rf"(?:{side}[^A-Za-z0-9]+(?P<last>.+)|(?P<first>.+)[^A-Za-z0-9]+{side})", re.IGNORECASE)
        own = {}
        for name in names:
            match = form.fullmatch(name.strip("[] "))
            if match is not None:
                own[(match["last"] or match["first"]).strip()] = name
        found.append(own)
    calls, puts = found
    return {stem: (call, puts[stem]) for stem, call in calls.items() if stem in puts and stem not in names}


def _of_one_clock(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Columns of one time of day, such as bid_1545, under their plain names, and their day with that clock."""
    names = [str(one) for one in table.columns]
    matched = {name: match for name in names for match in (_CLOCKED.fullmatch(name),) if match is not None}
    clocks = {(match["hour"], match["minute"]) for match in matched.values()}
    day = next((one for word in DAYS for one in names if columns.plain(one) == word), None)
    quotes = set(columns.WORDS["bid_price"]) | set(columns.WORDS["ask_price"])
    if len(clocks) != 1 or day is None or not quotes & {columns.plain(match["stem"]) for match in matched.values()}:
        return table, ""
    hour, minute = clocks.pop()
    try:
        days = pd.to_datetime(table[day].astype(str), format="ISO8601")
    except (ValueError, TypeError):
        return table, ""
    local = (days.dt.normalize() + pd.Timedelta(hours=int(hour), minutes=int(minute))).dt.tz_localize(EXCHANGE_CLOCK)
    own = {name: match["stem"] for name, match in matched.items() if match["stem"] not in names}
    made = table.assign(**{day: local.dt.tz_convert("UTC")}).rename(columns=own)
    return made, f"columns of {hour}:{minute} are read, and {day} is that time in New York"


def _joined(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A day and a time of day in two columns, as one in that of the day."""
    by_word = {columns.plain(str(one)): str(one) for one in table.columns}
    day = next((by_word[word] for word in DAYS if word in by_word), None)
    clock = next((by_word[word] for word in CLOCKS if word in by_word), None)
    if day is None or clock is None or table[day].dtype.kind in "fM" or table[clock].dtype.kind in "iufM":
        return table, ""
    said = table[clock].astype("string").str.strip()
    if said.isna().any() or not all(dates.CLOCK.fullmatch(one) for one in said.unique()):
        return table, ""
    joined = table[day].astype("string").str.strip().str.replace(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", regex=True)
    made = table.assign(**{day: joined + " " + said}).drop(columns=clock)
    return made, f"{day} and {clock} are one time"


def gathered(
    rows: pd.DataFrame, *, every: np.timedelta64, stale_after: np.timedelta64, where: str
) -> tuple[pd.DataFrame, int]:
    """Rows that each have a stamp of their own, as snapshots at multiples of `every`, and how many these are.

    At each multiple the last row of every contract counts that was known by then (known_at_utc, else its own stamp)
    and is not older than `stale_after`; one that has expired by then is left out.
    """
    arrived = rows["known_at_utc" if "known_at_utc" in rows else "snapshot_ts_utc"].to_numpy(dtype="datetime64[us]")
    order = np.argsort(arrived, kind="stable")
    arrived, rows = arrived[order], rows.iloc[order]
    step = every.astype("timedelta64[us]").astype(np.int64)
    micros = arrived.astype(np.int64)
    parts = []
    for due in np.unique(-(-micros // step)) * step:
        first = np.searchsorted(micros, due - stale_after.astype("timedelta64[us]").astype(np.int64), side="right")
        part = rows.iloc[first : np.searchsorted(micros, due, side="right")]
        moment = np.datetime64(int(due), "us")
        part = part.drop_duplicates("instrument_name", keep="last")
        part = part.assign(snapshot_ts_utc=moment)
        parts.append(part.assign(known_at_utc=moment) if "known_at_utc" in part else part)
    if not parts:
        raise DataError(f"{where}: no snapshot can be made; give a longer --every.")
    return pd.concat(parts, ignore_index=True), len(parts)
