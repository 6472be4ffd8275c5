"""Tables that are laid out otherwise: one row a contract afterwards, and nothing but the layout is changed."""

import numpy as np
import pandas as pd
import pytest

from greekdrift.errors import DataError
from greekdrift.market import layout


def laid_out(table: pd.DataFrame, **constants: str) -> layout.LaidOut:
    return layout.laid_out(table, constants=constants, where="t.csv")


@pytest.mark.parametrize(
    "form", ["[C_{}] [P_{}]", "call_{} put_{}", "{}_call {}_put", "Calls {} Puts {}", "CE {} PE {}"]
)
def test_calls_beside_puts_stand_below_each_other(form: str) -> None:
    call, put = (
        (" ".join(part) for part in (form.split()[:2], form.split()[2:])) if form.count(" ") == 3 else form.split()
    )
    table = pd.DataFrame(
        {
            "strike": [90.0, 110.0], call.format("BID"): [11.0, 1.0], put.format("BID"): [1.0, np.nan],
            call.format("IV"): [0.5, 0.6], put.format("IV"): [0.5, np.nan], "call_only": [1, 2],
        }
    )  # fmt: skip
    found = laid_out(table)
    assert found.table[["strike", "BID", "IV", "option_type"]].to_numpy().tolist() == [
        [90.0, 11.0, 0.5, "call"],
        [90.0, 1.0, 0.5, "put"],
        [110.0, 1.0, 0.6, "call"],
    ]
    assert found.said[0].startswith("calls and puts stand side by side")


def test_a_table_with_a_side_or_without_prices_on_both_stays() -> None:
    for table in (
        pd.DataFrame({"C_BID": [1.0], "P_BID": [2.0], "right": ["C"]}),
        pd.DataFrame({"C_SIZE": [1.0], "P_SIZE": [2.0]}),
    ):
        assert laid_out(table).table.equals(table)


def test_columns_of_a_time_of_day_are_read_at_that_time_in_new_york() -> None:
    table = pd.DataFrame({"quote_date": ["2026-02-05", "2026-07-06"], "bid_1545": [1.0, 2.0], "bid_eod": [3.0, 4.0]})
    found = laid_out(table)
    assert found.table["bid"].tolist() == [1.0, 2.0]
    assert found.table["quote_date"].astype(str).tolist() == ["2026-02-05 20:45:00+00:00", "2026-07-06 19:45:00+00:00"]
    assert found.said == ("columns of 15:45 are read, and quote_date is that time in New York",)


def test_a_date_and_a_clock_are_one_time() -> None:
    found = laid_out(pd.DataFrame({"date": [20260205], "time": ["16:00"], "bid": [1.0]}))
    assert found.table.to_dict("list") == {"date": ["2026-02-05 16:00"], "bid": [1.0]}
    whole = pd.DataFrame({"date": ["2026-02-05"], "time": ["2026-02-05T16:00Z"]})
    assert laid_out(whole).table.equals(whole)


def test_rows_that_stand_twice_are_read_once_and_counted() -> None:
    found = laid_out(pd.DataFrame({"bid": [1.0, 1.0, 2.0]}))
    assert found.table["bid"].tolist() == [1.0, 2.0]
    assert found.said == ("read once: 1 row that stood there again, the same in every cell",)


def test_constants_fill_a_column_and_wrong_names_are_refused() -> None:
    found = laid_out(pd.DataFrame({"bid": [1.0, 2.0]}), underlying="SPX")
    assert found.table["--set underlying"].tolist() == ["SPX", "SPX"]
    with pytest.raises(DataError, match='did you mean "underlying"'):
        laid_out(pd.DataFrame({"bid": [1.0]}), underlyin="SPX")


def test_rows_with_stamps_of_their_own_become_snapshots_of_what_was_known() -> None:
    stamps = pd.to_datetime(["2026-02-05T08:01", "2026-02-05T08:04", "2026-02-05T08:11", "2026-02-05T08:20"])
    rows = pd.DataFrame(
        {"snapshot_ts_utc": stamps, "instrument_name": ["a", "b", "a", "a"], "mark": [1.0, 2.0, 3.0, 4.0]}
    )
    minutes = {"every": np.timedelta64(10, "m"), "stale_after": np.timedelta64(10, "m"), "where": "t.csv"}
    made, count = layout.gathered(rows, **minutes)
    assert count == 2
    assert made["snapshot_ts_utc"].astype(str).tolist() == ["2026-02-05 08:10:00"] * 2 + ["2026-02-05 08:20:00"]
    assert made["mark"].tolist() == [1.0, 2.0, 4.0]
    late = rows.assign(known_at_utc=stamps + pd.Timedelta(minutes=9))
    made, _ = layout.gathered(late, **minutes)
    known = made.groupby("snapshot_ts_utc")["mark"].apply(list)
    assert known.tolist() == [[1.0], [2.0, 3.0], [4.0]]
    assert (made["known_at_utc"] == made["snapshot_ts_utc"]).all()
