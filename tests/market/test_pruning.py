"""Row groups that may hold a stretch of time, by their own statistics."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greekdrift.market.pruning import row_groups
from greekdrift.units import instant

HOURS = np.datetime64("2026-01-01", "us") + np.arange(24) * np.timedelta64(1, "h")


def _metadata(path: Path, column: pa.Array, **options: Any) -> pq.FileMetaData:
    pq.write_table(pa.table({"x": range(len(column)), "at": column}), path, row_group_size=6, **options)
    return pq.read_metadata(path)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_groups_beyond_the_stretch_are_left_out(tmp_path: Path, zone: str | None) -> None:
    metadata = _metadata(tmp_path / "x.parquet", pa.array(HOURS).cast(pa.timestamp("us", tz=zone)))
    assert row_groups(metadata, "at") == (0, 1, 2, 3)
    assert row_groups(metadata, "at", since=instant("2026-01-01T12:00Z")) == (2, 3)
    assert row_groups(metadata, "at", until=instant("2026-01-01T05:00Z")) == (0,)
    assert row_groups(metadata, "at", since=instant("2026-01-01T11:00Z"), until=instant("2026-01-01T12:00Z")) == (1, 2)
    assert row_groups(metadata, "at", since=instant("2026-01-01T11:30Z"), until=instant("2026-01-01T11:40Z")) == ()
    assert row_groups(metadata, "at", since=instant("2027-01-01T00:00Z")) == ()


def test_a_group_that_does_not_say_is_kept(tmp_path: Path) -> None:
    metadata = _metadata(tmp_path / "x.parquet", pa.array(HOURS), write_statistics=False)
    assert row_groups(metadata, "at", since=instant("2027-01-01T00:00Z")) == (0, 1, 2, 3)
    text = _metadata(tmp_path / "y.parquet", pa.array(HOURS.astype(str)))
    assert row_groups(text, "at", since=instant("2027-01-01T00:00Z")) == (0, 1, 2, 3)
