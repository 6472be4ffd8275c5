"""Readers of files and of OKX as targets: `data validate` with its quarantine, series files, answers through ccxt."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from campaigns.tries import Defect, Try, chain_of, check_chain, struck
from tests.venue.okx import AS_OF, Answers

from campaigns import mutations
from greekdrift.config import load_venue
from greekdrift.config.data_set import load_data_set
from greekdrift.errors import GreekdriftError
from greekdrift.market import okx, okx_histories, series_files
from greekdrift.market.parquet import write_chain
from greekdrift.market.series import Series
from greekdrift.market.validation.quarantine import clean, set_aside
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import validate

SET = """
name: bars
source: by hand
licence: none
tables:
  - path: bars.parquet
    stamps: {column: opened_utc, zone: UTC, event_after_hours: 1, lag_minutes: 1}
    hole_hours: 30
    keys:
      BTC: {where: {symbol: BTCUSDT}}
      ETH: {where: {symbol: ETHUSDT}, event_shift_hours: -2}
    columns:
      close: {of: close, unit: USDT, above: 0}
      rate: {of: rate, unit: per 1.00, scale: 0.01, at_most: 10}
    defects:
      - {says: "zero is an error of the source", becomes: missing, column: rate, at_most: 0}
      - {says: "some rows stand twice", becomes: dropped, repeats: true}
"""
ODD_CELLS = ("", "x", None, True, 1e300, float("inf"), -1.0, 0.0, float("nan"), 10**15, "2024-13-45", b"\xff", [1])


@contextmanager
def validation(folder: Path, seed: int) -> Iterator[Try]:
    """Chain files of text and Parquet, one or two in a folder, checked; bad rows set aside, the others copied."""
    chain = chain_of(seed)
    text = write_chain(chain, folder / "whole.csv").read_text()
    data = write_chain(chain, folder / "whole.parquet").read_bytes()
    venue = load_venue("deribit")
    root, aside, left = folder / "chains", folder / "aside", folder / "left"
    validate(folder / "whole.csv", venue=venue, with_surfaces=True)  # what is compiled is not timed with the first try

    def attempt(rng: random.Random) -> str:
        for one in (root, aside, left):
            shutil.rmtree(one, ignore_errors=True)
        root.mkdir()
        if rng.random() < 0.7:
            (root / "a_chain.csv").write_bytes(mutations.lines(text, rng))
        else:
            (root / "a_chain.parquet").write_bytes(struck(data, rng))
        if rng.random() < 0.2:
            (root / "b_chain.csv").write_text(text)
        try:
            found = validate(root, venue=venue, with_surfaces=rng.random() < 0.05)
            set_aside(found, aside)
            clean(found, left, severity=Severity.ERROR)
        except GreekdriftError:
            _check_nothing_left(folder, (aside, left))
            return "refused"
        for one in found.findings:
            if one.count < 1 or one.rule.remedy == "":
                raise Defect(f"a finding of {one.rule.name} without a place or a remedy")
        return "part" if found.at_least(Severity.ERROR) else "taken"

    yield attempt


def _check_nothing_left(folder: Path, whole: Sequence[Path]) -> None:
    """What is written is written whole: no unfinished folder is left behind."""
    partial = [one.name for one in folder.iterdir() if one.name.endswith(".partial")]
    if partial:
        raise Defect(f"unfinished folders are left: {partial}")
    for one in whole:
        if one.exists() and not any(one.glob("*.json")):
            raise Defect(f"{one.name} holds no account of itself")


@contextmanager
def series(folder: Path, seed: int) -> Iterator[Try]:
    """A series file whose bytes, cells or columns were changed, read as its data set describes it."""
    draw = np.random.default_rng(seed)
    (folder / "bars.yaml").write_text(SET)
    described = load_data_set(folder / "bars.yaml")
    hours = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC").as_unit("us")
    table = pd.DataFrame(
        {
            "opened_utc": np.tile(hours, 2),
            "symbol": np.repeat(["BTCUSDT", "ETHUSDT"], 60),
            "close": 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, 120))),
            "rate": draw.uniform(0.0, 5.0, 120).round(4),
        }
    ).assign(opened_utc=lambda one: pd.to_datetime(one["opened_utc"], utc=True).dt.as_unit("us"))
    path = folder / "bars.parquet"
    table.to_parquet(path, index=False)
    whole = path.read_bytes()

    def attempt(rng: random.Random) -> str:
        if rng.random() < 0.6:
            path.write_bytes(struck(whole, rng))
        elif not _changed(table, path, rng):
            return "refused"
        span = (
            (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)) if rng.random() < 0.3 else (None,) * 2
        )
        try:
            found = series_files.load(described, folder, since=span[0], until=span[1])
        except GreekdriftError:
            return "refused"
        for one in found.values():
            _check_series(one)
        return "taken"

    yield attempt


def _changed(table: pd.DataFrame, path: Path, rng: random.Random) -> bool:
    """Writes the table with cells, columns or rows changed; False where Parquet cannot hold the outcome."""
    made = table
    try:
        for _ in range(rng.randint(1, 3)):
            made = _with_a_change(made, rng)
        made.to_parquet(path, index=False)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return False
    return True


def _with_a_change(made: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    column, kind = rng.choice(list(made.columns)), rng.randrange(6)
    if kind == 0 and made.shape[1] > 1:
        return made.drop(columns=column)
    if kind == 1:
        return made.iloc[rng.sample(range(len(made)), rng.randrange(len(made) + 1))]
    if kind == 2:
        return pd.concat([made, made.iloc[: rng.randrange(5)]])
    if kind == 3:
        return made.assign(**{column: made[column].astype(str)})
    cells = list(made[column])
    odd = rng.choice(ODD_CELLS)
    for row in range(len(cells)):
        if kind == 4 or rng.random() < 0.05:
            cells[row] = odd
    return made.assign(**{column: pd.Series(cells, index=made.index, dtype=object if kind == 5 else None)})


def _check_series(one: Series) -> None:
    if np.any(np.isnat(one.event_time)) or np.any(np.isnat(one.known_at)):
        raise Defect("a series has no time")
    if np.any(one.known_at < one.event_time):
        raise Defect("a series was known before its event")
    if np.any(np.isinf(one.values)) or np.any(one.column("close") <= 0.0):
        raise Defect("a series holds what its bounds exclude")
    if np.any(np.diff(one.event_time) <= np.timedelta64(0, "us")):
        raise Defect("a series is in no order of time")


class Struck(Answers):
    """OKX, one answer of which is mutated as text and read as JSON again; what is no JSON is an error of ccxt."""

    def __init__(self, rng: random.Random, *, among: int) -> None:
        super().__init__()
        self._rng = rng
        self._until_struck = rng.randrange(among)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith(("public_get_", "fetch_")):
            return found
        return lambda *given: self._struck(found(*given))

    def _struck(self, answer: Any) -> Any:
        self._until_struck -= 1
        if self._until_struck != -1:
            return answer
        try:
            return json.loads(mutations.document(answer, self._rng))
        except (ValueError, RecursionError) as problem:
            kind = type("ExchangeError", (Exception,), {"__module__": "ccxt.base.errors"})
            raise kind(str(problem)) from None


@contextmanager
def exchange(_folder: Path, _seed: int) -> Iterator[Try]:
    """A chain, candles or funding rates of OKX through a stand-in for ccxt, one answer of which is mutated."""
    venue = load_venue("okx")
    now = AS_OF + timedelta(seconds=1)

    def attempt(rng: random.Random) -> str:
        kind = rng.randrange(4)
        try:
            if kind < 2:
                taken = okx.snapshot(Struck(rng, among=12), ["BTC"], venue=venue, now=lambda: now, drop=("uncrossed",))
                check_chain(taken.chain)
                return "part" if taken.left_out else "taken"
            if kind == 2:
                since = AS_OF - timedelta(hours=200)
                table = okx_histories.candles(Struck(rng, among=3), "BTC", timeframe="1h", since=since, now=lambda: now)
            else:
                since = AS_OF - timedelta(hours=1000)
                table = okx_histories.funding(Struck(rng, among=2), "BTC", since=since, now=lambda: now)
        except GreekdriftError:
            return "refused"
        _check_table(table)
        return "taken"

    yield attempt


def _check_table(table: pd.DataFrame) -> None:
    for name in table.columns:
        if table[name].dtype.kind == "f" and not np.all(np.isfinite(table[name])):
            raise Defect(f"{name} holds no number")
    if not table["event_time_utc"].is_monotonic_increasing or table["event_time_utc"].duplicated().any():
        raise Defect("rows are in no order of time")
