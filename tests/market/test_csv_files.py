from pathlib import Path

import pandas as pd
import pytest

from greekdrift.errors import DataError
from greekdrift.market import csv_files


def written(folder: Path, text: str) -> Path:
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_by_its_header(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,c\n1,2,3\n5,6,\n")
    pd.testing.assert_frame_equal(
        csv_files.read(path, columns=["c", "a"]), pd.DataFrame({"c": [3.0, None], "a": [1, 5]})
    )
    assert list(csv_files.read(path, rows=0).columns) == ["a", "b", "c"]
    assert csv_files.read(written(tmp_path, "a,b\n")).empty


@pytest.mark.parametrize("rows", ["1,2,3,4\n5,6,7,8\n", "1,2,3\n5,6,7,8\n", "1,2,3,4\n5,6,7\n"])
@pytest.mark.parametrize("columns", [None, ["a", "b"]])
def test_rows_with_more_cells_than_the_header_are_never_shifted(
    tmp_path: Path, rows: str, columns: list[str] | None
) -> None:
    with pytest.raises(DataError, match="write it again"):
        csv_files.read(written(tmp_path, f"a,b,c\n{rows}"), columns=columns)


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    for name in ("b.csv", "none.csv"):
        with pytest.raises(DataError, match="cannot be read as CSV"):
            csv_files.read(tmp_path / name)
