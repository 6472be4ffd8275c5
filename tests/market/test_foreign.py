"""Files of others opened: separator, packing, decimal sign, the meaning of stamps, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.errors import DataError
from greekdrift.market import foreign

MOMENT = np.datetime64("2024-01-01T00:00:00.094", "us")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_is_read_however_it_is_separated_and_packed(tmp_path: Path, separator: str, packed: bool) -> None:
    text = "\n".join(separator.join(row) for row in (("a", " b"), ("x", "0.5"), ("y", "1.25"))).encode("utf-8-sig")
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    form = foreign.form(path)
    assert form.separator == separator
    assert foreign.header(path, form) == ["a", "b"]
    assert foreign.first(path, form, "a") == "x"
    table = foreign.read(path, form)
    assert list(table.columns) == ["a", "b"]
    assert table["b"].tolist() == [0.5, 1.25]


def test_a_decimal_comma_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n0,5;1\n0,75;2\n")
    assert foreign.read(path, foreign.form(path))["a"].tolist() == [0.5, 0.75]


@pytest.mark.parametrize("above", ["", "# exported by x\n", "Title\n\nAsked for, by: me\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_above_the_head_and_wide_text_are_passed_over(
    tmp_path: Path, above: str, encoding: str, packed: bool
) -> None:
    data = (above + "a,b,c,d\n1,x,2,\n3,y,4,z\n").encode(encoding)
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    form = foreign.form(path)
    assert foreign.header(path, form) == ["a", "b", "c", "d"]
    assert foreign.first(path, form, "c") == "2"
    assert foreign.read(path, form)["c"].tolist() == [2, 4]
    assert (f"{above.count(chr(10))} lines above the head" in str(form)) == bool(above)


def test_a_line_that_was_cut_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n" + "1,2,3,4\n" * 80 + "1,2\n")
    with pytest.raises(DataError, match="line 82 has 2 cells of 4; it was cut"):
        foreign.read(path, foreign.form(path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "empty"),
        ("t.csv", b"a\nb\n", "no separator"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,a\n1,2\n", 'two columns "a"'),
        ("t.csv", b"\xff\xfe\x00", "cannot be read as text"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 50, mtime=0)[:-9], "cannot be read"),
        ("t.parquet", b"PAR1nonsense", "cannot be read as Parquet"),
        ("t.xlsx", b"PK", "none of"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        foreign.read(path, foreign.form(path))


def test_bytes_that_are_no_text_and_cells_without_end_are_refused_wherever_they_are_met(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 3000 + b"\xae,2\n")
    of = foreign.form(path)
    with pytest.raises(DataError, match="cannot be read"):
        foreign.read(path, of)
    path.write_bytes(b"a,\xae\n1,2\n")
    for look in (lambda: foreign.header(path, of), lambda: foreign.first(path, of, "a")):
        with pytest.raises(DataError, match="cannot be read as text"):
            look()
    path.write_bytes(b"a,b\n" + b"9" * 200_000 + b",2\n")
    with pytest.raises(DataError, match="cannot be read as text"):
        foreign.form(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a file"):
        foreign.form(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("cells", "how"),
    [
        ([1704067200.094], "seconds since 1970"),
        ([1704067200094], "milliseconds since 1970"),
        ([1704067200094000], "microseconds since 1970"),
        ([1704067200094000000], "nanoseconds since 1970"),
        (["1704067200094"], "milliseconds since 1970"),
        (["2024-01-01T00:00:00.094Z"], "times"),
        (["2024-01-01 01:00:00.094+01:00"], "times"),
        (["2024-01-01 00:00:00.094"], "times, taken for UTC"),
    ],
)
def test_stamps_are_told_by_their_size_and_form(cells: list[object], how: str) -> None:
    found, said = foreign.instants(pd.Series(cells, name="ts"), where="t.csv")
    assert found.tolist() == [MOMENT]
    assert said == how


@pytest.mark.parametrize("cells", [[20240101], ["20240101"], ["2024-01-01"]])
def test_dates_are_told_from_times(cells: list[object]) -> None:
    found, said = foreign.instants(pd.Series(cells, name="day"), where="t.csv")
    assert found.tolist() == [np.datetime64("2024-01-01", "us")]
    assert said.startswith("dates")


@pytest.mark.parametrize("cells", [[12345], ["soon"], [float("inf")], [1704067200, 9e20], ["0001-01-01"]])
def test_what_is_no_time_is_refused_with_its_place(cells: list[object]) -> None:
    with pytest.raises(DataError, match=r"t\.csv"):
        foreign.instants(pd.Series(cells, name="ts"), where="t.csv")


def test_missing_stamps_stay_missing() -> None:
    found, _ = foreign.instants(pd.Series([1704067200.0, None], name="ts"), where="t.csv")
    assert np.isnat(found).tolist() == [False, True]
