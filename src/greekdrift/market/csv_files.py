"""Text tables whose rows have the cells that the header names: a row with more is refused, not shifted or cut."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from greekdrift.errors import DataError


def read(path: Path, *, columns: Sequence[str] | None = None, rows: int | None = None) -> pd.DataFrame:
    """The table of a CSV file in UTF-8, or some of its columns; what is no such table is a `DataError`."""
    try:
        with path.open(encoding="utf-8") as text, whole_rows(str(path)):
            table = pd.read_csv(text, nrows=rows, index_col=False, low_memory=False)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path} cannot be read as CSV ({str(problem).strip()}); write it again.") from None
    return table if columns is None else table[list(columns)]


@contextmanager
def whole_rows(where: str) -> Iterator[None]:
    r"""Reading with `index_col=False` in here refuses cells beyond the header, of which pandas only warns.

    >>> from io import StringIO
    >>> with whole_rows("x.csv"):
    ...     pd.read_csv(StringIO("a,b\n1,2,3\n"), index_col=False)
    Traceback (most recent call last):
    ...
    greekdrift.errors.DataError: x.csv: its rows have more cells than its header has names; write it again.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning:
            raise DataError(f"{where}: its rows have more cells than its header has names; write it again.") from None
