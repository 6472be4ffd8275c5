"""Whether a collected folder holds what was acknowledged, once, whole, and nothing that the venue did not mean."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.venue import documents
from tests.venue.market import MINUTE, Market

from greekdrift.config import load_venue
from greekdrift.market.collect import manifest
from greekdrift.market.collect.manifest import Walk
from greekdrift.market.parquet import ParquetSource
from greekdrift.units import instant

READ_EVERY = 20
"""Each so many-th chain is read back as a whole `Chain`."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """Counts; the first group must be 0, the second says how much was looked at."""

    lost: int = 0
    changed: int = 0
    duplicates: int = 0
    unlisted: int = 0
    untrue_rows: int = 0
    untrue_levels: int = 0
    unread: int = 0
    unexplained: int = 0
    snapshots: int = 0
    rows: int = 0
    levels: int = 0
    minutes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    MUST_BE_ZERO = (
        "lost",
        "changed",
        "duplicates",
        "unlisted",
        "untrue_rows",
        "untrue_levels",
        "unread",
        "unexplained",
    )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(getattr(self, name) for name in self.MUST_BE_ZERO)

    def note(self, name: str, example: str, *, times: int = 1) -> None:
        """Counts a finding, and keeps the first few as examples."""
        setattr(self, name, getattr(self, name) + times)
        if len(self.examples) < 10:
            self.examples.append(f"{name}: {example}")


def audit(
    folder: Path,
    market: Market,
    *,
    acknowledged: Mapping[str, str],
    damaged: Iterable[str],
    explained: Iterable[datetime],
    until: datetime,
) -> Findings:
    """Compares a closed folder with what was acknowledged (file → SHA-256) and with the market behind it.

    `damaged` files were changed from outside on purpose and must not be there; `explained` instants may lack a snapshot
    because the collector was killed in their minute. `until` is where the collection ended.
    """
    found = Findings()
    listed, minutes = _listed(folder, found)
    hurt = set(damaged)
    for name, digest in acknowledged.items():
        path = folder / name
        if name in hurt:
            if name in listed or path.exists():
                found.note("changed", f"{name} was damaged and is still there")
        elif name not in listed or not path.is_file():
            found.note("lost", name)
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            found.note("changed", name)
    for table in ("chain", "series", "depth"):
        there = {path.relative_to(folder).as_posix() for path in (folder / table).glob("date=*/*")}
        for name in there - listed:
            found.note("unlisted", name)
    for path in manifest.files(folder, "chain"):
        _hold(pq.read_table(path, partitioning=None), market, found, where=path.name)
    for path in manifest.files(folder, "depth"):
        _hold_levels(pq.read_table(path, partitioning=None), market, found, where=path.name)
    _read(folder, found)
    _explain(minutes, market, found, explained=explained, until=until)
    return found


def _listed(folder: Path, found: Findings) -> tuple[set[str], set[datetime]]:
    """Files that the manifest lists and has not put aside, and the minutes that it accounts for."""
    listed: set[str] = set()
    seen: set[tuple[str, str]] = set()
    minutes: set[datetime] = set()
    for line in Walk(folder / manifest.NAME):
        body = line.body
        if body["kind"] == "snapshot":
            key = (body["key"], body["as_of"])
            if key in seen or listed & set(body["files"]):
                found.note("duplicates", f"{key}")
            seen.add(key)
            listed |= set(body["files"])
            found.snapshots += body["key"] == "chain"
            minutes.add(_minute(instant(body["as_of"])))
        elif body["kind"] == "quarantined":
            listed.discard(body["file"])
        elif body["kind"] == "refused":
            found.refused[body["reason"]] += 1
            minutes.add(_minute(instant(body["due"])))
    return listed, minutes


def _hold(table: pa.Table, market: Market, found: Findings, *, where: str) -> None:
    """Holds each row against the market at the instant that the row says it is of."""
    column = {name: table[name].to_pylist() for name in ("instrument_name", "event_time_utc", "option_type")}
    names = [f"{price}_price_{unit}" for price in ("bid", "ask", "mark") for unit in ("coin", "usd")]
    number = {name: table[name].to_numpy() for name in (*names, "forward_price_usd", "mark_iv", "index_price_usd")}
    if len(set(column["instrument_name"])) != table.num_rows:
        found.note("duplicates", f"{where} lists a contract twice")
    for at, (name, moment) in enumerate(zip(column["instrument_name"], column["event_time_utc"], strict=True)):
        quotes = market.at(moment)
        row = quotes.row_of.get(name)
        unit = "usd" if column["option_type"][at] is None else "coin"
        found.rows += 1
        if row is None:
            found.note("untrue_rows", f"{where}: {name} is not listed at {moment}")
            continue
        told = [number[f"{price}_price_{unit}"][at] for price in ("bid", "ask", "mark")]
        told += [number["forward_price_usd"][at], number["mark_iv"][at]]
        true = [quotes.bid[row], quotes.ask[row], quotes.mark[row], quotes.forward[row], quotes.mark_iv[row]]
        if not np.allclose(told, true, rtol=1e-9, atol=1e-12, equal_nan=True):
            found.note("untrue_rows", f"{where}: {name} {told} instead of {true}")


def _hold_levels(table: pa.Table, market: Market, found: Findings, *, where: str) -> None:
    """Holds each level against the order book that the change at its instant made."""
    rows = zip(*(table[name].to_pylist() for name in ("instrument_name", "event_time_utc", "side")), strict=True)
    told = zip(table["level"].to_pylist(), table["price"].to_pylist(), table["size"].to_pylist(), strict=True)
    for (name, moment, side), (level, price, size) in zip(rows, told, strict=True):
        quotes = market.at(moment)
        found.levels += 1
        change_id = documents.change_at(quotes.minute, moment)
        sides = documents.levels(quotes, name, change_id)
        true = list(sides[side == "ask"].items())
        if not (level < len(true) and true[level] == (price, size)):
            found.note("untrue_levels", f"{where}: {name} {side} {level} at {moment}: {(price, size)}, true {true}")


def _read(folder: Path, found: Findings) -> None:
    """Reads the folder as any user of it does."""
    source = ParquetSource(str(folder), venue=load_venue("deribit"))
    moments = source.snapshots()
    chains = len(manifest.files(folder, "chain"))
    if len(moments) != chains:
        found.note("unread", f"{len(moments)} snapshots of {chains} files", times=abs(chains - len(moments)))
    for moment in moments[::READ_EVERY]:
        source.chain(moment)


def _explain(
    minutes: set[datetime], market: Market, found: Findings, *, explained: Iterable[datetime], until: datetime
) -> None:
    """Each minute has a snapshot, a reason why not, or saw the collector killed or started again."""
    known = minutes | {_minute(one) for one in explained}
    minute = market.start
    while minute < _minute(until):
        found.minutes += 1
        if minute not in known:
            found.note("unexplained", f"{minute:%H:%M}")
        minute += MINUTE


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
