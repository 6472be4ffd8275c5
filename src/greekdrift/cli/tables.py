"""Columns to a screen or to a file."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.cli.console import lead, say, table, writing
from greekdrift.errors import InputError
from greekdrift.units import counted

MOST_SHOWN = 40


def show(columns: Mapping[str, Any], *, title: str, out: Path | None, hidden: Sequence[str] = ()) -> None:
    """The columns as a table on the screen (the first rows of a long one), and in a file where one is named.

    `hidden` columns go to the file alone.
    """
    size = screen({name: column for name, column in columns.items() if name not in hidden}, title=title)
    if out is not None:
        write(columns, out)
    elif size > MOST_SHOWN or hidden:
        lead("add --out FILE.csv to keep every row and column")


def screen(columns: Mapping[str, Any], *, title: str) -> int:
    """The first rows of the columns as a table on the screen; how many rows there are."""
    size = len(next(iter(columns.values())))
    rows = list(zip(*(plain(column[:MOST_SHOWN]) for column in columns.values()), strict=True))
    table(title, list(columns), rows)
    if size > MOST_SHOWN:
        say(f"{MOST_SHOWN} of {size} rows are shown")
    return size


def write(columns: Mapping[str, Any], out: Path) -> None:
    """The columns in a file; a number that does not exist is empty, never NaN."""
    rows = list(zip(*(plain(column) for column in columns.values()), strict=True))
    with writing(out, counted(len(rows), "row")):
        _write(columns, rows, out)


def _write(columns: Mapping[str, Any], rows: Sequence[Sequence[Any]], out: Path) -> None:
    if out.suffix == ".json":
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        out.write_text(json.dumps(records, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    elif out.suffix == ".csv":
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
    elif out.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({name: plain(column) for name, column in columns.items()}), out)
    else:
        raise InputError(f"{out}: write to a .json, .csv or .parquet file.")


def plain(column: Any) -> Sequence[Any]:
    """Values of a column as Python numbers and text; NaN and infinity as None.

    >>> plain(np.array([1.0, np.nan]))
    [1.0, None]
    """
    values = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return [None if isinstance(value, float) and not np.isfinite(value) else value for value in values]
