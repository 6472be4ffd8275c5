"""Series from small files made here: times, units, defects, spread and pillars, and what is refused where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.config.data_set import DataSet
from greekdrift.errors import DataError
from greekdrift.market import pruning, series_files
from greekdrift.market.series_files import load
from greekdrift.units import instant

Frame = Callable[..., None]
ROWS = {
    "date": pd.to_datetime(["2026-01-05", "2026-01-06", "2026-07-01", "2026-01-05"]),
    "symbol": ["SPX", "SPX", "SPX", "VIX"],
    "close": [5000.0, 5010.0, 5100.0, 15.0],
    "tenor": [30, 30, 30, 30],
}


def _set(**changed: Any) -> DataSet:
    table = {
        "path": Path("prices/daily.parquet"),
        "stamps": {"column": "date", "zone": "America/New_York", "event_after_hours": 16.25, "lag_minutes": 15},
        "hole_hours": 180,
        "keys": {"SPX": {"where": {"symbol": "SPX"}}},
        "columns": {"close": {"of": "close", "unit": "index point", "above": 0}},
    }
    table |= changed
    return DataSet.model_validate({"name": "prices", "source": "x", "licence": "MIT", "tables": (table,)}, strict=False)


@pytest.fixture
def write(tmp_path: Path) -> Frame:
    def written(rows: dict[str, Any] | pd.DataFrame, *, row_group_size: int = 100) -> None:
        (tmp_path / "prices").mkdir(exist_ok=True)
        table = pa.table(
            {
                name: pa.array([None if value is pd.NaT else value for value in column])
                for name, column in pd.DataFrame(rows).items()
            }
        )
        pq.write_table(table, tmp_path / "prices" / "daily.parquet", row_group_size=row_group_size)

    return written


def test_a_session_ends_at_the_local_clock_of_its_date(write: Frame, tmp_path: Path) -> None:
    write(ROWS)
    (one,) = load(_set(), tmp_path).values()
    assert one.name == "prices/SPX"
    assert one.columns == ("close",)
    assert one.units == ("index point",)
    assert one.event_time.astype(str).tolist() == [
        "2026-01-05T21:15:00.000000",
        "2026-01-06T21:15:00.000000",
        "2026-07-01T20:15:00.000000",
    ]
    assert np.all(one.known_at - one.event_time == np.timedelta64(15, "m"))
    assert one.is_after_hole.tolist() == [True, False, True]


def test_a_shifted_event_keeps_its_knowledge(write: Frame, tmp_path: Path) -> None:
    write(ROWS)
    stamps = {"column": "date", "zone": "UTC", "event_after_hours": 0, "lag_minutes": 1}
    keys = {"SPX": {"where": {"symbol": "SPX"}, "event_shift_hours": -8}}
    (one,) = load(_set(stamps=stamps, keys=keys), tmp_path).values()
    assert one.event_time[0] == np.datetime64("2026-01-04T16:00")
    assert one.known_at[0] == np.datetime64("2026-01-05T00:01")
    assert one.lag_hours == pytest.approx(8.0 + 1.0 / 60.0)


def test_units_are_converted_and_missing_stays_missing(write: Frame, tmp_path: Path) -> None:
    write({**ROWS, "close": [18.4, np.nan, 20.0, 15.0]})
    columns = {"level": {"of": "close", "unit": "per 1.00 a year", "scale": 0.01, "above": 0}}
    (one,) = load(_set(columns=columns), tmp_path).values()
    np.testing.assert_allclose(one.column("level"), [0.184, np.nan, 0.2])


def test_known_defects_are_dropped_or_made_missing(write: Frame, tmp_path: Path) -> None:
    write({**ROWS, "close": [5000.0, 0.0, 5100.0, 15.0]})
    defect = {"says": "a zero", "column": "close", "at_most": 0.0, "where": {"symbol": "SPX"}}
    (missing,) = load(_set(defects=({**defect, "becomes": "missing"},)), tmp_path).values()
    np.testing.assert_array_equal(missing.column("close"), [5000.0, np.nan, 5100.0])
    (dropped,) = load(_set(defects=({**defect, "becomes": "dropped"},)), tmp_path).values()
    np.testing.assert_array_equal(dropped.column("close"), [5000.0, 5100.0])
    tuesday = {"says": "a Tuesday", "becomes": "dropped", "weekdays": (1,)}
    (workdays,) = load(_set(defects=(tuesday,)), tmp_path).values()
    np.testing.assert_array_equal(workdays.column("close"), [5000.0, 5100.0])


def test_rows_that_repeat_are_dropped_only_where_the_set_says_so(write: Frame, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    write(pd.concat([frame, frame.iloc[:1]]))
    with pytest.raises(DataError, match=r"daily.parquet: row 4: prices/SPX has 2026-01-05.* a second time"):
        load(_set(), tmp_path)
    (one,) = load(_set(defects=({"says": "twice", "becomes": "dropped", "repeats": True},)), tmp_path).values()
    assert len(one) == 3
    other = frame.iloc[:1].assign(close=1.0)
    write(pd.concat([frame, other]))
    with pytest.raises(DataError, match="row 4"):
        load(_set(defects=({"says": "twice", "becomes": "dropped", "repeats": True},)), tmp_path)


def test_numbered_rows_stand_side_by_side(write: Frame, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime(["2026-01-05"] * 3 + ["2026-01-06"] * 2),
            "symbol": "SPX",
            "close": [0.3, 0.4, 0.9, 0.5, 0.8],
            "tenor": [7, 30, 90, 30, 90],
        }
    )
    write(frame)
    (wide,) = load(_set(spread={"column": "tenor", "at": (7.0, 30.0)}), tmp_path).values()
    assert wide.columns == ("close_7", "close_30")
    np.testing.assert_array_equal(wide.values, [[0.3, 0.4], [np.nan, 0.5]])
    (curve,) = load(_set(pillars={"column": "tenor", "at": (7.0, 60.0, 120.0)}), tmp_path).values()
    np.testing.assert_allclose(curve.values, [[0.3, 0.65, np.nan], [np.nan, 0.65, np.nan]])
    write(pd.concat([frame, frame.iloc[1:2]]))
    for kind in ("spread", "pillars"):
        with pytest.raises(DataError, match=r"row (1|5): tenor.* stands twice"):
            load(_set(**{kind: {"column": "tenor", "at": (7.0, 30.0)}}), tmp_path)


@pytest.mark.parametrize(
    ("rows", "changed", "fact"),
    [
        ({"close": [5000.0, -1.0, 1.0, 1.0]}, {}, "row 1: close is -1 index point, must be above 0"),
        ({"close": [5000.0, np.inf, 1.0, 1.0]}, {}, "row 1: close is inf .* must be finite"),
        ({"close": ["a", "b", "c", "d"]}, {}, '"close" holds .* no numbers'),
        ({"date": ["2026-01-05"] * 4}, {}, "date holds .* no timestamps"),
        ({"date": [pd.NaT, *ROWS["date"][1:]]}, {}, "row 0 has no date"),
        ({"date": ROWS["date"].tz_localize("UTC")}, {}, "date is in UTC, the set says America/New_York"),
        ({}, {"columns": {"x": {"of": "closes", "unit": "1"}}}, 'has no column "closes"; did you mean "close"'),
        ({}, {"keys": {"NDX": {"where": {"symbol": "NDX"}}}}, "no row has .*NDX"),
    ],
)
def test_what_is_not_as_described_is_refused(
    write: Frame, tmp_path: Path, rows: dict[str, Any], changed: dict[str, Any], fact: str
) -> None:
    write({**ROWS, **rows})
    with pytest.raises(DataError, match=rf"daily.parquet: .*{fact}"):
        load(_set(**changed), tmp_path)


def test_a_file_that_is_none_is_refused(write: Frame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file; name the folder"):
        load(_set(), tmp_path)
    write(ROWS)
    (tmp_path / "prices" / "daily.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"cannot be read as Parquet"):
        load(_set(), tmp_path)
    with pytest.raises(DataError, match='has no "SPY"; did you mean "SPX"'):
        load(_set(), tmp_path, keys=["SPY"])


def test_cells_that_hold_lists_and_damaged_names_are_refused(write: Frame, tmp_path: Path) -> None:
    write({**ROWS, "close": [[1.0], [2.0], [3.0], [4.0]]})
    with pytest.raises(DataError, match=r"close holds list.*, not one value a row"):
        load(_set(), tmp_path)
    write(ROWS)
    path = tmp_path / "prices" / "daily.parquet"
    path.write_bytes(path.read_bytes().replace(b"symbol", b"sym\xffol"))
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        load(_set(), tmp_path)


def test_a_stretch_reads_only_the_row_groups_that_reach_into_it(
    write: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = pd.date_range("2026-01-01", periods=100, freq="D")
    write({"date": days, "symbol": "SPX", "close": np.arange(1.0, 101.0)}, row_group_size=10)
    read: list[int] = []

    def counted(*given: Any, **named: Any) -> tuple[int, ...]:
        found = pruning.row_groups(*given, **named)
        read.append(len(found))
        return found

    monkeypatch.setattr(series_files, "row_groups", counted)
    (whole,) = load(_set(), tmp_path).values()
    (part,) = load(_set(), tmp_path, since=instant("2026-02-10T00:00Z"), until=instant("2026-02-15T23:00Z")).values()
    assert read == [10, 2]
    inside = (whole.event_time >= np.datetime64("2026-02-10")) & (whole.event_time <= np.datetime64("2026-02-15T23:00"))
    np.testing.assert_array_equal(part.event_time, whole.event_time[inside])
    np.testing.assert_array_equal(part.column("close"), whole.column("close")[inside])


def test_a_stretch_without_rows_is_empty(write: Frame, tmp_path: Path) -> None:
    write(ROWS)
    (one,) = load(_set(), tmp_path, since=instant("2030-01-01T00:00Z")).values()
    assert len(one) == 0
