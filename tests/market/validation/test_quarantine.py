"""What is set aside and what is left are together the source, value for value, and say where they come from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from greekdrift.book import Venue
from greekdrift.errors import InputError
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.validation.quarantine import KEY, clean, set_aside
from greekdrift.market.validation.rules import Severity
from greekdrift.market.validation.validate import Validation, validate

Check = Callable[..., Validation]


@pytest.fixture
def spoilt(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[7, "bid_price_coin"] = 0.9
    table.loc[60, "mark_price_coin"] = np.nan
    table.loc[60, "forward_price_usd"] = -1.0
    table.loc[100, "instrument_name"] = "nonsense"
    table["note"] = "as it was"
    return table


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_bad_rows_go_aside_as_they_stood(check: Check, spoilt: pd.DataFrame, tmp_path: Path, ending: str):
    found = check(spoilt, ending=ending)
    source = found.files[0]
    before = source.read_bytes()
    said = set_aside(found, tmp_path / "aside")
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    aside = read(tmp_path / "aside" / "rows" / source.name)
    whole = read(source)
    rows = aside.drop(columns=["quarantine_rules", "quarantine_reason"])
    pd.testing.assert_frame_equal(rows, whole.loc[[7, 60, 100]].reset_index(drop=True), check_dtype=ending != "csv")
    assert [set(rules.split(", ")) for rules in aside["quarantine_rules"]] == [
        {"crossed"} | ({"above_bound"} & set(aside["quarantine_rules"].iloc[0].split(", "))),
        {"bad_mark", "bad_forward"},
        {"unknown_name"},
    ]
    assert aside["quarantine_reason"].iloc[0].startswith("the bid is above the ask (0.9 against ")
    assert source.read_bytes() == before
    assert json.loads((tmp_path / "aside" / "quarantine.json").read_text()) == said
    assert said["sources"][0]["sha256"] == hashlib.sha256(before).hexdigest()
    assert said["sources"][0]["rows"] == 3


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_cleaned_copy_has_the_other_rows_and_says_so(check: Check, spoilt: pd.DataFrame, tmp_path: Path, ending: str):
    found = check(spoilt, ending=ending)
    said = clean(found, tmp_path / "clean")
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    left, whole = (read(folder / found.files[0].name) for folder in (tmp_path / "clean", tmp_path))
    expected = whole.drop(index=[7, 60, 100]).reset_index(drop=True)
    pd.testing.assert_frame_equal(left, expected, check_dtype=ending != "csv")
    assert said["sources"][0]["rows_left_out"] == 3
    assert said["changed_numbers"] == 0
    assert json.loads((tmp_path / "clean" / "provenance.json").read_text()) == said
    if ending == "parquet":
        inside = pq.read_schema(tmp_path / "clean" / found.files[0].name).metadata[KEY]
        assert json.loads(inside) == said["sources"][0]


def test_a_cleaned_copy_is_read_by_the_program_and_has_no_error(
    check: Check, spoilt: pd.DataFrame, tmp_path: Path, deribit: Venue
):
    clean(check(spoilt), tmp_path / "clean")
    again = validate(tmp_path / "clean", venue=deribit)
    assert again.at_least(Severity.ERROR) == ()
    source = ParquetSource(str(tmp_path / "clean"), venue=deribit)
    assert sum(len(source.chain(moment)) - 1 for moment in source.snapshots()) == len(spoilt) - 3


def test_warnings_are_set_aside_on_request_and_gaps_are_listed(check: Check, table: pd.DataFrame, tmp_path: Path):
    gappy = table[~np.isin(table.index // 54, [3, 4])].reset_index(drop=True)
    gappy.loc[0, "ask_price_coin"] += 0.00023
    found = check(gappy)
    assert "sources" in set_aside(found, tmp_path / "errors")
    assert set_aside(found, tmp_path / "warnings", severity=Severity.WARNING)["sources"][0]["rules"] == {"off_tick": 1}
    assert clean(found, tmp_path / "clean", severity=Severity.WARNING)["not_cleaned"] == {"time_gap": 1}


def test_a_file_that_cannot_be_read_is_copied_byte_for_byte(tmp_path: Path, table: pd.DataFrame, deribit: Venue):
    folder = tmp_path / "chains"
    folder.mkdir()
    table.to_parquet(folder / "a_chain.parquet")
    (folder / "b_chain.parquet").write_bytes(b"PAR1 torn")
    found = validate(folder, venue=deribit)
    said = set_aside(found, tmp_path / "aside")
    assert (tmp_path / "aside" / "files" / "b_chain.parquet").read_bytes() == b"PAR1 torn"
    assert "cannot be read as Parquet" in said["sources"][0]["reason"]
    clean(found, tmp_path / "clean")
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == ["a_chain.parquet", "provenance.json"]


def test_nothing_is_overwritten_and_nothing_is_left_half(check: Check, spoilt: pd.DataFrame, tmp_path: Path):
    found = check(spoilt)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept")
    with pytest.raises(InputError, match="is not an empty folder"):
        set_aside(found, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    found.files[0].unlink()
    with pytest.raises(InputError, match="cannot be written"):
        set_aside(found, tmp_path / "aside")
    assert not (tmp_path / "aside").exists()
    assert not list(tmp_path.glob(".*partial"))
