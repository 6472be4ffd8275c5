"""Option tables of others in our columns, with an account of how each column was read; what cannot be told is refused.

Inferred, in this order: columns by their names (`market.columns`), the unit of stamps by their magnitude, contracts by
their names or by strike, expiry and side (`contract_columns`), volatilities in points by their median or their %,
prices in the coin or in USD by which of the two the market's bounds and the Black price allow (`price_columns`).
Missing numbers are made where the others determine them (`completion`). Nothing else is filled in; `market.plausible`
judges what comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from greekdrift.book import Venue
from greekdrift.book.instrument import parse
from greekdrift.errors import ConfigError, DataError
from greekdrift.market import columns, completion, contract_columns, figures, names, price_columns
from greekdrift.market.plausible import LARGEST_MEDIAN_VOLATILITY
from greekdrift.market.sheet import Reading, Sheet

_NAMED_SAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """Rows in the columns of a chain file, how each was read, and their columns that were not."""

    rows: pd.DataFrame
    readings: tuple[Reading, ...]
    unread: tuple[str, ...]


def translate(
    table: pd.DataFrame, *, venue: Venue, given: Mapping[str, Sequence[str]], where: str, is_gathered: bool = False
) -> Translated:
    """The rows of a foreign table as those of a chain file; `given` are columns that stand for ours by decree.

    Two rows on one contract at one time are refused, unless the last row of each is to be gathered anyway.
    """
    sheet = Sheet(table, _found(table, venue, given, where=where), venue, where)
    _instants(sheet)
    of = contract_columns.contracts(sheet)
    _volatilities(sheet)
    levels = price_columns.levels(sheet, of)
    quoted = price_columns.quoted(sheet, of, levels)
    completion.complete(sheet, of, levels, quoted)
    if of.name is None:
        contract_columns.named(sheet, of, is_inverse=bool(np.any(quoted.is_coin)))
    _amounts(sheet)
    _labels(sheet)
    if not is_gathered:
        _refuse_twice(sheet)
    order = {one: at for at, one in enumerate(columns.WORDS)}
    used = {one.theirs for one in sheet.readings}
    return Translated(
        rows=pd.DataFrame(sheet.rows),
        readings=tuple(sorted(sheet.readings, key=lambda one: order[one.ours])),
        unread=tuple(one for one in sheet.unread if one not in used),
    )


def serves(table: pd.DataFrame, venue: Venue, *, given: Mapping[str, Sequence[str]], where: str) -> bool:
    """Whether a venue file has a product for every contract of a table, as far as its columns tell."""
    of = _found(table, venue, given, where=where).theirs
    if "instrument_name" in of:
        said = table[of["instrument_name"]].dropna().astype(str).unique()[:_NAMED_SAMPLE]
        return contract_columns.lists(venue, underlyings=set(), instruments=set(said))
    if "underlying" not in of:
        return True
    said = table[of["underlying"]].dropna().astype(str).str.strip().str.upper().unique()
    return contract_columns.lists(venue, underlyings=set(said), instruments=set())


def _found(table: pd.DataFrame, venue: Venue, given: Mapping[str, Sequence[str]], *, where: str) -> columns.Found:
    named = [
        str(column)
        for column in table.columns
        if table[column].dtype.kind not in "iufbM"
        and names.readable(table[column].dropna().astype(str).unique()[:_NAMED_SAMPLE], venue=venue) > 0.5
    ]
    for theirs, ours in given.items():
        if "instrument_name" in ours and theirs in table.columns:
            named.append(theirs)
    return columns.find([str(one) for one in table.columns], given=given, named=named, where=where)


def _instants(sheet: Sheet) -> None:
    for ours in ("snapshot_ts_utc", "known_at_utc"):
        if ours not in sheet.of:
            continue
        found, how = sheet.instants(ours)
        if np.any(np.isnat(found)):
            row = int(np.argmax(np.isnat(found)))
            raise DataError(f"{sheet.where}: row {row} has no {sheet.of[ours]}; fill it in or drop the row.")
        sheet.put(ours, found, how, "UTC")
    if "snapshot_ts_utc" not in sheet.rows:
        raise sheet.missing("snapshot_ts_utc", "the time of each quote")


def _volatilities(sheet: Sheet) -> None:
    there = [name for name in ("mark_iv", "bid_iv", "ask_iv") if name in sheet.of]
    raw = {name: sheet.numbers(name) for name in there}
    known = np.concatenate([one[np.isfinite(one) & (one > 0.0)] for one in raw.values()]) if raw else np.empty(0)
    is_points = known.size > 0 and bool(np.median(known) > LARGEST_MEDIAN_VOLATILITY)
    for name, values in raw.items():
        is_own = is_points or figures.is_per_cent(sheet.column(name))
        own = values / 100.0 if is_own else values
        made = np.where(own > 0.0, own, np.nan)
        sheet.put(name, made, "per cent / 100" if is_own else "fractions as they are", "per 1.00")


def _amounts(sheet: Sheet) -> None:
    """Open interest and volume in coins, contract sizes."""
    if "contract_size" in sheet.of and not _is_a_word(sheet):
        sheet.put("contract_size", sheet.numbers("contract_size"), "as it is", "coins")
    for ours in ("open_interest", "volume_24h"):
        if f"{ours}_coin" in sheet.of:
            sheet.put(f"{ours}_coin", sheet.numbers(f"{ours}_coin"), "as it is", "coins")
        elif ours in sheet.of:
            values = sheet.numbers(ours) * _sizes(sheet)
            sheet.put(f"{ours}_coin", values, "contracts × contract size", "coins", theirs=sheet.of[ours])


def _is_a_word(sheet: Sheet) -> bool:
    """Whether the size of each contract is said to be the usual one; the venue file knows it."""
    said = sheet.column("contract_size").dropna().astype(str).str.strip().str.upper()
    return bool(len(said)) and bool((said == "REGULAR").all())


def _sizes(sheet: Sheet) -> np.ndarray:
    if "contract_size" in sheet.rows:
        return np.asarray(sheet.rows["contract_size"])
    known = pd.Categorical(sheet.rows["instrument_name"])
    try:
        size = [sheet.venue.product(parse(str(one))).contract_size for one in known.categories]
    except ConfigError as problem:
        raise DataError(
            f"{sheet.where}: {problem} Give the venue of the file with --venue, or map a contract_size."
        ) from None
    return np.array(size, dtype=np.float64)[known.codes]


def _labels(sheet: Sheet) -> None:
    if "origin" in sheet.of:
        sheet.put("origin", sheet.column("origin").to_numpy(), "as it is", "")
    if "venue" in sheet.of:
        said = sheet.column("venue").astype("string").str.strip().str.lower().to_numpy()
        sheet.put("venue", said, "lower case", "")


def _refuse_twice(sheet: Sheet) -> None:
    """Two rows on one contract at one time say two things; which of them holds nobody can tell."""
    key = pd.DataFrame({"at": sheet.at, "name": sheet.rows["instrument_name"]})
    is_second = key.duplicated().to_numpy()
    if not np.any(is_second):
        return
    row = int(np.argmax(is_second))
    first = int(np.argmax((key == key.iloc[row]).all(axis=1).to_numpy()))
    name, moment = key["name"].iloc[row], pd.Timestamp(key["at"].iloc[row])
    apart = [name for name in sheet.names if not sheet.theirs(name).iloc[[first, row]].duplicated().iloc[1]]
    raise DataError(
        f"{sheet.where}: rows {first} and {row} both quote {name} at {moment:%Y-%m-%dT%H:%M:%S}Z "
        f"({int(is_second.sum())} such rows) and differ in {', '.join(apart[:4])}; drop one of each, or give the time "
        "of each row with --map yours=snapshot_ts_utc."
    )
