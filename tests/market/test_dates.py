"""Dates of other forms as ISO 8601; an order of day and month that nothing tells is refused."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import DataError
from greekdrift.market import dates, foreign


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["1/5/2024", "1/19/2024"], ["2024-01-05", "2024-01-19"]),
        (["5/1/2024", "19/1/2024"], ["2024-01-05", "2024-01-19"]),
        (["05.01.2024 16:00"], ["2024-01-05T16:00"]),
        (["19-Jan-24", "2-Feb-2024"], ["2024-01-19", "2024-02-02"]),
        (["19JAN24"], ["2024-01-19"]),
        (["Jan 19, 2024", "September 2 2024"], ["2024-01-19", "2024-09-02"]),
        (["2024/1/5 4:15:30 PM"], ["2024-01-05T16:15:30"]),
        (["12/19/2024 12:00 am"], ["2024-12-19T00:00"]),
        (["2024-01-05 16:00:00 UTC"], ["2024-01-05T16:00:00Z"]),
        (["19/01/2024 16:00 -0500"], ["2024-01-19T16:00-0500"]),
    ],
)
def test_dates_are_read_in_the_order_that_the_column_tells(cells: list[str], right: list[str]) -> None:
    found = dates.iso(pd.Series(cells, name="day"), where="t.csv")
    assert found is not None
    assert found[0].tolist() == right


def test_columns_beside_tell_the_order_and_else_it_is_refused() -> None:
    column, beside = pd.Series(["2/5/2024"], name="day"), pd.Series(["2/20/2024", "3/15/2024"], name="expiry")
    found, how = foreign.instants(column, where="t.csv", beside=[beside])
    assert (str(found[0])[:10], how) == ("2024-02-05", "dates (month/day/year), taken for UTC")
    with pytest.raises(DataError, match=r'"2/5/2024" of day cannot be told; write ISO'):
        dates.iso(column, where="t.csv")
    with pytest.raises(DataError, match="cannot be told"):
        dates.iso(pd.Series(["2/20/2024", "20/2/2024"], name="day"), where="t.csv")


@pytest.mark.parametrize("cells", [["soon"], ["19-Foo-24"], ["1/5/2024", "soon"], ["24:00"]])
def test_what_has_no_such_form_is_none_of_ours(cells: list[str]) -> None:
    assert dates.iso(pd.Series(cells, name="day"), where="t.csv") is None


@pytest.mark.parametrize("cells", [["31/02/2024"], ["1/32/2024"], ["45296000"]])
def test_days_that_do_not_exist_are_refused(cells: list[str]) -> None:
    with pytest.raises(DataError, match=r"t\.csv"):
        foreign.instants(pd.Series(cells, name="day"), where="t.csv")


def test_days_of_a_spreadsheet_are_read() -> None:
    found, how = foreign.instants(pd.Series([45296.0, 45296.5], name="day"), where="t.csv")
    assert found.astype("datetime64[m]").astype(str).tolist() == ["2024-01-05T00:00", "2024-01-05T12:00"]
    assert how == "times (days of a spreadsheet), taken for UTC"


@given(st.datetimes(pd.Timestamp("2000-01-01").to_pydatetime(), pd.Timestamp("2090-01-01").to_pydatetime()))
def test_every_form_means_the_same_moment(moment: object) -> None:
    at = pd.Timestamp(moment).floor("s")
    forms = (
        "%d.%m.%Y %H:%M:%S",
        "%d-%b-%Y %I:%M:%S %p",
        "%b %d, %Y %H:%M:%S",
        "%Y/%m/%d %H:%M:%S UTC",
        "%Y-%m-%d %H:%M:%S",
    )
    for form in forms:
        found, _ = foreign.instants(pd.Series([at.strftime(form)], name="ts"), where="t.csv")
        assert found[0] == at.to_datetime64(), form
