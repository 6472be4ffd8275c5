"""Numbers as people and vendors print them: one decimal sign a column, signs passed over, nonsense refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import DataError
from greekdrift.market import figures


def read(cells: list[object]) -> list[float]:
    return figures.numbers(pd.Series(cells, name="bid"), where="t.csv", remedy="correct it").tolist()


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["1,050", "950", "12,345,678.5"], [1050.0, 950.0, 12_345_678.5]),
        (["0,553", "1,25"], [0.553, 1.25]),
        (["1.234,5", "1.234", "7"], [1234.5, 1234.0, 7.0]),
        (["$3,200.00", "", "€ 4"], [3200.0, np.nan, 4.0]),
        (["62.3%", "4 %"], [62.3, 4.0]),
        (["1 234.5", "1'234.5"], [1234.5, 1234.5]),
        (["-", "--", "#N/A", "n/a", None, "0.5"], [np.nan] * 5 + [0.5]),
        (["1e-3", "2,5e-1"], [0.001, 0.25]),
    ],
)
def test_printed_numbers_are_read(cells: list[object], right: list[float]) -> None:
    np.testing.assert_array_equal(read(cells), right)


@pytest.mark.parametrize("cells", [["dear"], ["1.2.3", "0.5"], ["1,23,4"], ["0.5", "0,5", "1.2.3"], ["$"], ["1-2"]])
def test_text_that_is_no_number_is_refused_with_its_row(cells: list[object]) -> None:
    with pytest.raises(DataError, match=r"t\.csv: .* in row \d of bid is no number .*correct it"):
        read(cells)


@given(st.lists(st.floats(0.01, 9e8).map(lambda x: round(x, 4)), min_size=1, max_size=5), st.booleans())
def test_what_is_printed_with_thousands_comes_back(values: list[float], is_comma: bool) -> None:
    texts = [f"{one:,.4f}" for one in values]
    if is_comma:
        texts = [one.translate(str.maketrans(",.", ".,")) for one in texts]
    np.testing.assert_allclose(read(texts), values, rtol=1e-12)


def test_per_cent_signs_are_seen() -> None:
    assert figures.is_per_cent(pd.Series(["4.2%", None]))
    assert not figures.is_per_cent(pd.Series(["4.2", None]))
    assert not figures.is_per_cent(pd.Series([4.2]))
