"""Series kept as mapped arrays: the same as from the files, until anything that they depend on changes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.config.data_set import Chains, DataSet, Key, Measure, Stamps, Table
from greekdrift.errors import DataError
from greekdrift.market import series_files, series_store
from greekdrift.market.series_store import histories


def _set(*, lag_minutes: float = 1.0) -> DataSet:
    table = Table(
        path=Path("prices/daily.parquet"),
        stamps=Stamps(column="date", zone="UTC", event_after_hours=24.0, lag_minutes=lag_minutes),
        hole_hours=36.0,
        keys={"A": Key(where={"symbol": "A"}), "B": Key(where={"symbol": "B"})},
        columns={"close": Measure(of="close", unit="USD", above=0.0)},
    )
    return DataSet(name="prices", source="x", licence="MIT", tables=(table,))


def _write(root: Path, *, last: float = 4.0) -> None:
    (root / "prices").mkdir(exist_ok=True)
    days = np.array(["2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02"], dtype="datetime64[us]")
    pq.write_table(
        pa.table({"date": pa.array(days), "symbol": list("AABB"), "close": [1.0, 2.0, 3.0, last]}),
        root / "prices" / "daily.parquet",
    )


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    load = series_files.load

    def counted(data_set: DataSet, root: Path) -> dict[str, series_store.Series]:
        done.append(data_set.name)
        return load(data_set, root)

    monkeypatch.setattr(series_files, "load", counted)
    return done


def test_a_second_time_is_mapped_and_the_same(tmp_path: Path, reads: list[str]) -> None:
    _write(tmp_path)
    plain = histories([_set()], tmp_path)
    first = histories([_set()], tmp_path, cache=tmp_path / "cache")
    again = histories([_set()], tmp_path, cache=tmp_path / "cache")
    assert reads == ["prices", "prices"]
    assert list(again) == ["prices/A", "prices/B"]
    for name, one in again.items():
        for field in ("event_time", "known_at", "values"):
            np.testing.assert_array_equal(getattr(one, field), getattr(plain[name], field))
            np.testing.assert_array_equal(getattr(first[name], field), getattr(plain[name], field))
        assert (one.columns, one.units, one.hole_hours, one.lag_hours) == (("close",), ("USD",), 36.0, 1.0 / 60.0)
    assert isinstance(again["prices/A"].values.base, np.memmap)


def test_other_bytes_or_another_description_are_read_anew(tmp_path: Path, reads: list[str]) -> None:
    _write(tmp_path)
    histories([_set()], tmp_path, cache=tmp_path)
    _write(tmp_path, last=5.0)
    changed = histories([_set()], tmp_path, cache=tmp_path)
    assert changed["prices/B"].column("close")[-1] == 5.0
    later = histories([_set(lag_minutes=60.0)], tmp_path, cache=tmp_path)
    assert later["prices/A"].known_at[0] == np.datetime64("2026-01-02T01:00")
    assert len(reads) == 3


def test_damaged_arrays_are_read_anew(tmp_path: Path, reads: list[str]) -> None:
    _write(tmp_path)
    histories([_set()], tmp_path, cache=tmp_path)
    (block,) = tmp_path.glob("series-prices-*/values_0.npy")
    block.write_bytes(block.read_bytes()[:-1])
    again = histories([_set()], tmp_path, cache=tmp_path)
    assert again["prices/A"].column("close").tolist() == [1.0, 2.0]
    assert len(reads) == 2


def test_chains_and_lost_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        histories([_set()], tmp_path, cache=tmp_path)
    chains = Chains(path=Path("x"), venue="deribit", known_after_minutes=5.0)
    with pytest.raises(DataError, match="holds option chains"):
        histories([DataSet(name="x", source="x", licence="MIT", chains=chains)], tmp_path)
