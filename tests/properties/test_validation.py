"""Whatever stands in a chain file: each row is set aside or left, never changed, and what is left has no error."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.config import load_venue
from greekdrift.errors import DataError
from greekdrift.market.parquet import write_chain
from greekdrift.market.simulate import SimulatedSource
from greekdrift.market.validation.quarantine import clean, set_aside
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import validate

COLUMNS = (
    "snapshot_ts_utc",
    "instrument_name",
    "bid_price_coin",
    "ask_price_coin",
    "mark_price_coin",
    "mark_iv",
    "forward_price_usd",
    "index_price_usd",
    "open_interest_coin",
    "strike_usd",
    "expiry_ts_utc",
    "known_at_utc",
    "contract_size",
)
VALUES = (
    "",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e300",
    "1e-300",
    "70000",
    "0.05",
    "x",
    "None",
    "\x00",
    "2026-02-30",
    "ü",
)
CELLS = st.tuples(st.integers(0, 59), st.sampled_from(COLUMNS), st.sampled_from(VALUES) | st.text(max_size=6))


@cache
def sound() -> pd.DataFrame:
    """Sixty rows of two simulated snapshots, as text."""
    venue = load_venue("deribit")
    source = SimulatedSource(venue=venue, seed=3, underlyings=("BTC",), days=1.0)
    with TemporaryDirectory() as folder:
        path = write_chain([source.chain(moment) for moment in source.snapshots()[:2]], Path(folder) / "chain.csv")
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = rows[rows["option_type"] != ""]
    return rows.groupby("snapshot_ts_utc").head(30).reset_index(drop=True)


@settings(max_examples=15)
@given(cells=st.lists(CELLS, max_size=8), doubled=st.lists(st.integers(0, 59), max_size=2))
def test_rows_are_set_aside_or_left_and_never_changed(cells: list[tuple[int, str, str]], doubled: list[int]):
    rows = sound().copy()
    for at, column, value in cells:
        rows.loc[at, column] = value
    rows = pd.concat([rows, rows.loc[doubled]], ignore_index=True)
    venue = load_venue("deribit")
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "chain.csv"
        rows.to_csv(source, index=False)
        before = source.read_bytes()
        try:
            found = validate(source, venue=venue)
        except DataError:
            return
        set_aside(found, folder / "aside")
        clean(found, folder / "clean")
        assert source.read_bytes() == before
        whole = read(source)
        left = read(folder / "clean" / "chain.csv")
        bad = folder / "aside" / "rows" / "chain.csv"
        gone = read(bad).drop(columns=["quarantine_rules", "quarantine_reason"]) if bad.exists() else whole.iloc[:0]
        assert sorted(map(tuple, pd.concat([left, gone]).to_numpy())) == sorted(map(tuple, whole.to_numpy()))
        counted = json.loads((folder / "clean" / "provenance.json").read_text())["sources"][0]["rows_left_out"]
        assert counted == len(gone)
        if len(left):
            again = validate(folder / "clean", venue=venue)
            assert [one.rule.name for one in again.at_least(Severity.ERROR)] == []


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
