"""Rows of a CSV table with the place of each cell, so that what is wrong is named by file, line and column."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from greekdrift.errors import DataError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cells of a line of a table, and where it stands."""

    where: str
    cells: Mapping[str, str]

    @property
    def case(self) -> str:
        """The case that the row belongs to; "" in a table without cases."""
        return self.cells.get("case", "")

    def wrong(self, column: str, fact: str) -> DataError:
        """An error about a cell."""
        of = f" of case {self.case}" if self.case else ""
        return DataError(f'{self.where}, column {column}{of}: "{self.cells.get(column, "")}" {fact}.')

    def number(self, column: str, *, least: float = -inf, above: float = -inf, most: float = inf) -> float:
        """The number of a cell; one that is none or lies outside is refused."""
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = inf
        if not isfinite(value) or "_" in text:
            raise self.wrong(column, "is not a number; fill it in")
        if value < least or value > most:
            raise self.wrong(
                column, f"is below {least:g}; correct it" if value < least else f"is above {most:g}; correct it"
            )
        if value <= above:
            raise self.wrong(column, f"is not above {above:g}; correct it")
        return value

    def expected(self, column: str) -> float | None:
        """The number of a cell that may be empty or absent."""
        return self.number(column) if self.cells.get(column) else None

    def claim(self, column: str) -> bool:
        """True or False, 1 or 0."""
        known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
        text = self.cells[column].lower()
        if text not in known:
            raise self.wrong(column, "is neither True (1) nor False (0); correct it")
        return known[text]

    def word(self, column: str, known: Mapping[str, Any]) -> Any:
        """What a word stands for, whatever its case."""
        text = self.cells[column].lower()
        if text not in known:
            raise self.wrong(column, f"is not known; {nearest(text, known)}")
        return known[text]


def rows_of(path: Path, needed: Sequence[str], *, may_be_blank: bool = False) -> list[Row]:
    """The rows of a CSV file in UTF-8 that has the needed columns; blank lines are passed over.

    One of nothing but blank lines, which some tools write of a table without rows, has none if it may be blank. A file
    without a byte is refused: it may be one that was never written.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            first = next(reader, None)
            if may_be_blank and first == []:
                return _nothing(path, reader)
            header = [name.strip() for name in first or []]
            refuse_missing(path.name, header, needed)
            twice = [name for name in header if header.count(name) > 1 and name]
            if twice:
                raise DataError(f'{path.name} has the column "{twice[0]}" twice; keep one.')
            return [_row(path, reader.line_num, header, cells) for cells in reader if any(map(str.strip, cells))]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read as CSV ({problem}); check the path and write it again.") from None


def _nothing(path: Path, rest: Iterable[Sequence[str]]) -> list[Row]:
    if any(any(map(str.strip, cells)) for cells in rest):
        raise DataError(f"{path.name} starts with a blank line; write its header there.")
    return []


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    where = f"{path.name}, line {line}"
    if len(cells) != len(header):
        raise DataError(f"{where} has {len(cells)} cells for {len(header)} columns; write it again.")
    found = Row(where=where, cells={name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    if "case" in found.cells and not found.case:
        raise found.wrong("case", "is empty; name the case that the row belongs to")
    return found


def refuse_missing(where: str, columns: Iterable[str], needed: Sequence[str]) -> None:
    """Refuses a table that lacks one of the columns it needs, with the nearest one that it has."""
    there = list(columns)
    if not there and needed:
        raise DataError(f"{where} is empty; write a header with {', '.join(needed)}.")
    for name in needed:
        if name not in there:
            raise DataError(f'{where} has no column "{name}"; {nearest(name, there)}')


def refuse_repeated(rows: Sequence[Row], key: Callable[[Row], Any], column: str, remedy: str) -> None:
    """Refuses two rows of one key, and names both lines."""
    seen: dict[Any, Row] = {}
    for row in rows:
        first = seen.setdefault(key(row), row)
        if first is not row:
            raise row.wrong(column, f"stands in line {first.where.split()[-1]} already; {remedy}")
