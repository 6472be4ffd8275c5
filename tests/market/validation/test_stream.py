"""Files in blocks: the findings do not depend on how the rows are cut up, and what stands in memory is one block."""

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Venue
from greekdrift.errors import DataError
from greekdrift.market.validation import stream
from greekdrift.market.validation.validate import Validation, validate

PER_SNAPSHOT = 54
NAME = "BTC-27FEB26-70000-C"


def spoilt(table: pd.DataFrame) -> pd.DataFrame:
    """Absences, a repeat, quotes that stand still, late knowledge, a crossed quote, a row without a stamp."""
    hour = table.index // PER_SNAPSHOT
    still = ["bid_price_coin", "ask_price_coin", "mark_price_coin", "mark_iv"]
    own = table.index[table["instrument_name"] == "BTC-27MAR26-70000-C"]
    table.loc[own[1:7], still] = table.loc[own[1], still].to_numpy()
    table.loc[hour == 2, "known_at_utc"] += pd.Timedelta(minutes=190)
    table.loc[100, "bid_price_coin"] = table.loc[100, "ask_price_coin"] + 0.0005
    table.loc[20, "snapshot_ts_utc"] = pd.NaT
    copied = table[hour == 6].assign(snapshot_ts_utc=table["snapshot_ts_utc"][hour == 7].to_numpy())
    left = table[~np.isin(hour, [3, 4, 7]) & ~((hour == 1) & (table["instrument_name"] == NAME))]
    is_expiry = left["instrument_name"].str.contains("13FEB26") & (left.index // PER_SNAPSHOT == 5)
    return pd.concat([left[~is_expiry], copied], ignore_index=True)


def told(validation: Validation) -> dict[str, list[tuple[object, ...]]]:
    """Every place of every finding, in one order."""
    columns = ["snapshot_ts_utc", "name", "file", "row", "figure", "limit"]
    return {
        one.rule.name: sorted(map(str, one.places[columns].itertuples(index=False, name=None)))
        for one in validation.findings
    }


@pytest.fixture
def two_files(tmp_path: Path, table: pd.DataFrame) -> Path:
    """The spoilt snapshots of BTC in one file, of ETH in another, both in row groups of other sizes."""
    btc = spoilt(table)
    eth = btc.assign(instrument_name=btc["instrument_name"].str.replace("BTC", "ETH"))
    for name, one, size in (("a", btc, 70), ("b", eth[eth.index // PER_SNAPSHOT != 1], 33)):
        one.to_parquet(tmp_path / f"{name}_chain.parquet", index=False, row_group_size=size)
    return tmp_path


@pytest.mark.parametrize("rows", [1, 60, 100, 250])
def test_findings_do_not_depend_on_the_blocks(two_files: Path, deribit: Venue, rows: int):
    whole = validate(two_files, venue=deribit, rows=10_000)
    cut = validate(two_files, venue=deribit, rows=rows)
    assert told(cut) == told(whole)
    assert set(told(whole)) >= {
        "no_time",
        "crossed",
        "repeated_snapshot",
        "stale",
        "known_late",
        "known_backwards",
        "missing_contract",
        "missing_expiry",
        "time_gap",
        "partial_snapshot",
    }
    assert cut.instants.tolist() == whole.instants.tolist()
    assert {name: count.tolist() for name, count in cut.counts.items()} == {
        name: count.tolist() for name, count in whole.counts.items()
    }


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_unsorted_file_is_judged_as_a_sorted_one(tmp_path: Path, table: pd.DataFrame, deribit: Venue, ending: str):
    table.loc[100, "bid_price_coin"] = table.loc[100, "ask_price_coin"] + 0.0005
    turned = pd.concat([table[table.index >= 200], table[table.index < 200]], ignore_index=True)
    path = tmp_path / f"turned_chain.{ending}"
    turned.to_csv(path, index=False) if ending == "csv" else turned.to_parquet(path, index=False)
    found = told(validate(path, venue=deribit, rows=60))
    assert set(found) == {"crossed", "out_of_order", "mark_outside"}
    assert len(found["out_of_order"]) == 200
    assert f", {100 + len(table) - 200}," in found["crossed"][0]


def test_blocks_are_whole_snapshots_in_order_of_time(two_files: Path):
    survey = stream.survey(sorted(two_files.glob("*.parquet")))
    last = np.datetime64("1970-01-01", "us")
    rows = 0
    for block in stream.blocks(survey, rows=60):
        stamps = block["snapshot_ts_utc"].dropna().dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        assert stamps.min() > last
        last = stamps.max()
        rows += len(block)
    assert rows == survey.rows


def test_damage_in_a_late_page_is_known_before_anything_is_judged(two_files: Path, deribit: Venue):
    path = two_files / "b_chain.parquet"
    content = bytearray(path.read_bytes())
    middle = len(content) * 2 // 3
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    found = validate(two_files, venue=deribit, rows=60)
    assert [one.name for one, _ in found.unread] == ["b_chain.parquet"]
    assert found.underlyings == ("BTC",)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        validate(path, venue=deribit)


def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, table: pd.DataFrame, deribit: Venue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream, "BATCH", 432)

    def peak(times: int) -> float:
        path = tmp_path / f"{times}_chain.parquet"
        eight = pd.Timedelta(hours=8)
        parts = [
            table.assign(**{name: table[name] + at * eight for name in ("snapshot_ts_utc", "known_at_utc")})
            for at in range(times)
        ]
        pd.concat(parts).to_parquet(path, index=False, row_group_size=432)
        tracemalloc.start()
        validate(path, venue=deribit, rows=864)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(3)
    assert peak(10) < 1.5 * peak(3)
