"""Tables of others, opened: separator, compression, decimal sign and the meaning of stamps are read off the file.

What is opened here is still in the words of others; `market.mapping` says what its columns mean.
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from greekdrift.errors import DataError
from greekdrift.market import dates
from greekdrift.market.csv_files import whole_rows

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet")

EARLIEST, LATEST = np.datetime64("1990-01-01", "us"), np.datetime64("2100-01-01", "us")
"""A stamp outside of these is no instant of a market."""

EXCEL_ZERO = np.datetime64("1899-12-30", "us")
EXCEL_1990, EXCEL_2100 = 32_874.0, 73_051.0
"""Days since the zero of spreadsheets."""

_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
MOST_ABOVE = 10
"""Lines above the head that are passed over, such as a title or when it was exported."""
FEWEST_CELLS = 3
"""Cells that a table below such lines has more than."""
_SAMPLE_LINES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written: "parquet", or text: separator, decimal sign, encoding, lines above its head."""

    kind: str
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8-sig"
    above: int = 0

    def __str__(self) -> str:
        if self.kind == "parquet":
            return "Parquet"
        packed = "gzip, " if self.kind == "gzip" else ""
        wide = "UTF-16 " if self.encoding == "utf-16" else ""
        above = f", {self.above} lines above the head passed over" if self.above else ""
        return f"{packed}{SEPARATORS[self.separator]}-separated {wide}text, decimal {self.decimal}{above}"


def form(path: Path) -> Form:
    """How a file is written, read off its first bytes and lines.

    The separator is the one that splits every sampled line into the same number of at least two cells, the most of
    them; the decimal sign is a comma where the separator is none and numbers like 0,55 occur.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file; check the path.")
    if not path.name.endswith(ENDINGS):
        raise DataError(f"{path.name} is none of {', '.join(ENDINGS)}; convert it or rename it.")
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix == ".parquet":
        return Form(kind="parquet")
    kind = "gzip" if start[:2] == b"\x1f\x8b" else "text"
    if kind == "gzip":
        with _telling(path), gzip.open(path, "rb") as packed:
            start = packed.read(4)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    lines = _lines(path, Form(kind=kind, encoding=encoding))
    filled = [at for at, line in enumerate(lines) if line.strip()]
    if not filled:
        raise DataError(f"{path.name} is empty; export it again.")
    with _telling(path):
        separator, head = _separator([lines[at] for at in filled], path.name)
        decimal = _decimal([lines[at] for at in filled[head:]], separator)
        above = filled[head] if head else 0
        return Form(kind=kind, separator=separator, decimal=decimal, encoding=encoding, above=above)


def read(path: Path, of: Form) -> pd.DataFrame:
    """The whole table; column names without surrounding blanks, empty cells missing."""
    names = header(path, of)
    twice = next((name for at, name in enumerate(names) if name and name in names[:at]), None)
    if twice is not None:
        raise DataError(f'{path.name} has two columns "{twice}"; rename one of them.')
    try:
        if of.kind == "parquet":
            table = pq.read_table(path).to_pandas()
        else:
            with text(path, of) as file, whole_rows(path.name):
                table = pd.read_csv(
                    file,
                    sep=of.separator,
                    decimal=of.decimal,
                    index_col=False,
                    skipinitialspace=True,
                    low_memory=False,
                )
    except (
        pa.ArrowException,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        ValueError,
        EOFError,
        OSError,
    ) as problem:
        raise DataError(f"{path.name} cannot be read as {of} ({str(problem)[:200]}); export it again.") from None
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    if table.empty:
        raise DataError(f"{path.name} has no rows; export it again.")
    if of.kind != "parquet" and table.iloc[:, -1].isna().any():
        _refuse_short(path, of, len(names))
    return table


def _refuse_short(path: Path, of: Form, width: int) -> None:
    """A line that ends before its table does was cut; what it lacks is not missing, it is lost."""
    with _telling(path), text(path, of) as file:
        lines = csv.reader(file, delimiter=of.separator)
        for row in lines:
            if 0 < len(row) < width and any(row):
                raise DataError(
                    f"{path.name}: line {lines.line_num + of.above} has {len(row)} cells of {width}; it was cut: fetch "
                    "the file again, or drop the line."
                )


def header(path: Path, of: Form) -> list[str]:
    """The names of the columns."""
    if of.kind == "parquet":
        try:
            return [str(name) for name in pq.read_schema(path).names]
        except (pa.ArrowException, OSError) as problem:
            raise DataError(f"{path.name} cannot be read as Parquet ({problem}); write it again.") from None
    with _telling(path), text(path, of) as file:
        return [name.strip() for name in next(csv.reader(file, delimiter=of.separator), [])]


def first(path: Path, of: Form, column: str) -> str:
    """The first cell of a column of a text file; empty where there is none."""
    with _telling(path), text(path, of) as file:
        row: dict[str, str] = next(csv.DictReader(file, delimiter=of.separator), {})
    return (row.get(column) or "").strip()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Bytes that are no text, and text that is no table, are a `DataError`."""
    try:
        yield
    except (csv.Error, EOFError, OSError, UnicodeError) as problem:
        raise DataError(
            f"{path.name} cannot be read as text ({str(problem)[:200]}); export it again as UTF-8."
        ) from None


@contextmanager
def text(path: Path, of: Form) -> Iterator[TextIO]:
    """The lines of a text file from its head on, unpacked where it is packed; a byte-order mark is passed over."""
    with ExitStack() as stack:
        if of.kind == "gzip":
            file: TextIO = stack.enter_context(gzip.open(path, "rt", encoding=of.encoding, newline=""))
        else:
            file = stack.enter_context(path.open(encoding=of.encoding, newline=""))
        for _ in range(of.above):
            file.readline()
        yield file


def instants(column: pd.Series, *, where: str, beside: Sequence[pd.Series] = ()) -> tuple[np.ndarray, str]:
    """`datetime64[us]` in UTC of a column of times, and how it was read.

    Numbers count seconds, milli-, micro- or nanoseconds since 1970 (the magnitude tells), or are dates like 20240105,
    or days of a spreadsheet. Text is ISO 8601, such a number, or a date as `market.dates` reads it, in the order that
    the columns `beside` it tell. Times without a zone are taken for UTC. Missing cells stay missing.

    >>> instants(pd.Series([1704067200094000]), where="a.csv")
    (array(['2024-01-01T00:00:00.094000'], dtype='datetime64[us]'), 'microseconds since 1970')
    """
    if column.dtype.kind not in "iufM":
        numbers = pd.to_numeric(column, errors="coerce")
        if column.notna().any() and numbers.notna().sum() == column.notna().sum():
            column = numbers
    if column.dtype.kind in "iuf":
        return _counted(column, where=where)
    how = ""
    spelled = dates.iso(column, beside=beside, where=where) if column.dtype.kind != "M" else None
    if spelled is not None:
        column, how = spelled
    try:
        times = pd.to_datetime(column, utc=True, format="ISO8601")
    except (ValueError, TypeError):
        read_ = pd.to_datetime(column.astype(str), utc=True, format="ISO8601", errors="coerce")
        at = int(np.argmax((read_.isna() & column.notna()).to_numpy()))
        raise DataError(
            f'{where}: "{column.iloc[at]}" in row {at} of {column.name} is no time; write ISO 8601 like '
            "2026-02-05T08:00Z, or a count since 1970."
        ) from None
    found = times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    _within(found, column, where=where)
    has_clock = bool(np.any(found[~np.isnat(found)].astype("datetime64[D]") != found[~np.isnat(found)]))
    said = column.dropna().astype(str)
    has_zone = column.dtype.kind == "M" or bool(said.str.contains(r"(?:[Zz]|[+-]\d\d:?\d\d)$", regex=True).all())
    zone = "" if has_zone else ", taken for UTC"
    return found, f"{'times' if has_clock else 'dates'}{f' ({how[:-2]})' if how else ''}{zone}"


def _counted(column: pd.Series, *, where: str) -> tuple[np.ndarray, str]:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[np.isfinite(values)]
    if known.size and np.all((known >= 19900101) & (known <= 21000101)) and np.all(known == np.floor(known)):
        text_ = pd.Series(values).map(lambda one: "" if np.isnan(one) else f"{one:.0f}")
        found = pd.to_datetime(text_, format="%Y%m%d", errors="coerce").to_numpy(dtype="datetime64[us]")
        _within(found, column, where=where)
        return found, "dates like 20240105"
    if known.size and np.all((known >= EXCEL_1990) & (known <= EXCEL_2100)):
        found = np.full(len(values), np.datetime64("NaT", "us"))
        on = np.isfinite(values)
        found[on] = EXCEL_ZERO + np.round(values[on] * 86_400.0).astype(np.int64) * np.timedelta64(1_000_000, "us")
        has_clock = bool(np.any(known != np.floor(known)))
        return found, f"{'times' if has_clock else 'dates'} (days of a spreadsheet), taken for UTC"
    middle = float(np.median(known)) if known.size else 0.0
    for unit, per_second in _PER_SECOND.items():
        seconds = middle / per_second
        if 631_152_000.0 <= seconds <= 4_102_444_800.0:  # 1990 to 2100
            found = _whole(column, values, per_second)
            _within(found, column, where=where)
            return found, f"{unit} since 1970"
    raise DataError(
        f"{where}: {column.name} holds numbers such as {middle:g}, which count neither seconds nor milli-, micro- or "
        "nanoseconds since 1970; write ISO 8601 in UTC, or map another column with --map."
    )


def _whole(column: pd.Series, values: np.ndarray, per_second: int) -> np.ndarray:
    """Microseconds of counts, in whole numbers where the counts are whole (nanoseconds do not fit a float)."""
    found = np.full(len(values), np.datetime64("NaT", "us"))
    on = np.isfinite(values)
    if column.dtype.kind in "iu":
        counts = column.to_numpy(dtype=np.int64)
        micros = counts // (per_second // 1_000_000) if per_second > 1_000_000 else counts * (1_000_000 // per_second)
        return micros.astype("datetime64[us]")
    on &= (values >= 0.0) & (values < 4_102_444_800.0 * per_second)
    found[on] = np.round(values[on] * (1e6 / per_second)).astype(np.int64).astype("datetime64[us]")
    return found


def _within(found: np.ndarray, column: pd.Series, *, where: str) -> None:
    is_bad = (np.isnat(found) & column.notna().to_numpy()) | (found < EARLIEST) | (found > LATEST)
    if np.any(is_bad):
        at = int(np.argmax(is_bad))
        raise DataError(
            f'{where}: "{column.iloc[at]}" in row {at} of {column.name} is no instant between 1990 and 2100 '
            f"({int(np.sum(is_bad))} such rows); correct it or drop the row."
        )


def _lines(path: Path, of: Form) -> list[str]:
    """The first lines."""
    found: list[str] = []
    try:
        with text(path, of) as file:
            for line in file:
                found.append(line.rstrip("\r\n"))
                if len(found) == _SAMPLE_LINES:
                    break
    except (OSError, EOFError, UnicodeError) as problem:
        raise DataError(
            f"{path.name} cannot be read as text ({str(problem)[:200]}); export it again as UTF-8."
        ) from None
    return found


def _separator(lines: list[str], name: str) -> tuple[str, int]:
    """The separator that splits the lines alike, and the line from which it does: those above are no table."""
    for head in range(min(MOST_ABOVE, len(lines) - 1) + 1 if len(lines) > 1 else 1):
        if head and len(lines) - head < 2:
            break
        widths = {}
        for separator in SEPARATORS:
            cells = {len(row) for row in csv.reader(lines[head:], delimiter=separator)}
            if len(cells) == 1 and min(cells) > (1 if not head else FEWEST_CELLS):
                widths[separator] = cells.pop()
        if widths:
            return max(widths, key=lambda one: widths[one]), head
    known = ", ".join(SEPARATORS.values())
    raise DataError(f"{name}: no separator ({known}) splits its first lines alike; export it as CSV again.")


def _decimal(lines: list[str], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell.strip() for row in csv.reader(lines[1:], delimiter=separator) for cell in row]
    commas = sum(cell.lstrip("+-").replace(",", "", 1).isdigit() and "," in cell for cell in cells)
    points = sum(cell.lstrip("+-").replace(".", "", 1).isdigit() and "." in cell for cell in cells)
    return "," if commas > points else "."
