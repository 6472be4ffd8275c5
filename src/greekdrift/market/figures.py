"""Numbers as others write them: thousands, decimal commas, per cent and currency signs, and many words for nothing."""

import re

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError

NOTHING = frozenset(("", "nan", "none", "null", "-", "--", "n/a", "na", "#n/a", "."))
"""What stands in a cell, in lower case, where there is no number."""

_DECORATION = re.compile(r"[\s\u00a0\u202f'’$€£%]")
_POINT = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d*)(?:,\d*)?(?:[eE][+-]?\d+)?")


def numbers(column: pd.Series, *, where: str, remedy: str) -> Float[ndarray, " row"]:
    """A column of numbers; cells that say nothing are NaN, text that is no number is refused with its row.

    A column has one decimal sign: the point where every cell can be read with it (1,234.5), else the comma (1.234,5).
    Blanks, apostrophes, currency signs and % are passed over; `is_per_cent` tells whether the last stood there.

    >>> numbers(pd.Series(["1.234,5", "0,25", "n/a"]), where="a.csv", remedy="")
    array([1.2345e+03, 2.5000e-01,        nan])
    """
    made = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan).copy()
    if column.dtype.kind in "iufb":
        return made
    said = column.astype("string").str.strip().fillna("")
    is_text = np.isnan(made) & ~said.str.lower().isin(NOTHING).to_numpy(dtype=np.bool_)
    if not np.any(is_text):
        return made
    bare = {text: _DECORATION.sub("", text) for text in said.unique() if text.lower() not in NOTHING}
    for form, thousands, decimal in ((_POINT, ",", "."), (_COMMA, ".", ",")):
        if all(form.fullmatch(text) and any(map(str.isdigit, text)) for text in bare.values()):
            value = {text: float(cell.replace(thousands, "").replace(decimal, ".")) for text, cell in bare.items()}
            return said.map(value).to_numpy(dtype=np.float64, na_value=np.nan)
    row = int(np.argmax(is_text))
    raise DataError(
        f'{where}: "{said.iloc[row][:60]}" in row {row} of {column.name} is no number '
        f"({int(is_text.sum())} such rows); {remedy}."
    )


def is_per_cent(column: pd.Series) -> bool:
    """Whether a % stands in the cells.

    >>> is_per_cent(pd.Series(["4.2%", None]))
    True
    """
    return column.dtype.kind not in "iufbM" and bool(column.dropna().astype(str).str.strip().str.endswith("%").any())
