"""Filters of quotes: what goes, what stays, and the count."""

import logging

import numpy as np
import pandas as pd
import pytest

from greekdrift.errors import ConfigError
from greekdrift.market import quality, schema


@pytest.fixture
def quotes(rows: pd.DataFrame) -> pd.DataFrame:
    return schema.quotes(rows, where="hand")


def test_alive_drops_what_has_expired_at_its_snapshot(quotes: pd.DataFrame):
    quotes.loc[2, "expiry_ts_utc"] = quotes.loc[2, "snapshot_ts_utc"]
    left, report = quality.alive(quotes)
    assert (report.count, report.of, report.first) == (1, 7, "BTC-27MAR26-20000-P")
    assert len(left) == 6


def test_alive_keeps_what_never_expires(quotes: pd.DataFrame):
    quotes.loc[2, "expiry_ts_utc"] = pd.NaT
    assert quality.alive(quotes)[1].count == 0


def test_latest_keeps_the_last_row_of_a_contract(quotes: pd.DataFrame):
    one = quotes.drop_duplicates("instrument_name").reset_index(drop=True)
    left, report = quality.latest(pd.concat([one, one.loc[[1]].assign(mark=0.5)], ignore_index=True))
    assert (report.count, report.of, report.first) == (1, len(one) + 1, one.loc[1, "instrument_name"])
    assert left["mark"].iloc[-1] == 0.5
    assert quality.latest(one)[1].count == 0


def test_uncrossed_takes_both_quotes_and_leaves_the_mark(quotes: pd.DataFrame):
    quotes.loc[0, "bid"] = 1.0
    left, report = quality.uncrossed(quotes)
    assert report.count == 1
    assert left.loc[0, ["bid", "ask"]].isna().all()
    assert left.loc[0, "mark"] == 0.05071
    assert quotes.loc[0, "bid"] == 1.0
    assert left.loc[1:, "ask"].equals(quotes.loc[1:, "ask"])


def test_locked_and_one_sided_quotes_are_not_crossed(quotes: pd.DataFrame):
    quotes.loc[0, "bid"] = quotes.loc[0, "ask"]
    assert quality.uncrossed(quotes)[1].count == 0


@pytest.mark.parametrize("column", ["mark", "forward", "index_price", "mark_iv"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_finite_drops_what_is_no_number(column: str, value: float, quotes: pd.DataFrame):
    quotes.loc[3, column] = value
    left, report = quality.finite(quotes)
    assert (report.count, report.first) == (1, "ETH-27MAR26-2000-C")
    assert 3 not in left.index


def test_finite_asks_no_volatility_of_a_linear_row(quotes: pd.DataFrame):
    quotes.loc[3, ["mark_iv", "strike"]] = np.nan
    assert quality.finite(quotes)[1].count == 0


def test_apply_reports_every_filter_and_logs_losses_only(quotes: pd.DataFrame, caplog: pytest.LogCaptureFixture):
    quotes.loc[0, "bid"] = 1.0
    with caplog.at_level(logging.WARNING):
        _, reports = quality.apply(quotes, ["alive", "uncrossed"], where="here")
    assert [report.filter for report in reports] == ["alive", "uncrossed"]
    assert [record.getMessage() for record in caplog.records] == [
        "quotes dropped at here: uncrossed: 1 of 7 dropped, first BTC-27MAR26-70000-C"
    ]


def test_unknown_filter():
    with pytest.raises(ConfigError, match="did you mean"):
        quality.checked(["crossed"])
