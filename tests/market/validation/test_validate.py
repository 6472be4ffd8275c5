"""Every rule finds what is planted for it, at its place, and nothing in sound data; real sets keep their README."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Venue
from greekdrift.errors import DataError
from greekdrift.market.validation import surfaces
from greekdrift.market.validation.validate import Validation, validate
from greekdrift.surface import Surface

Check = Callable[..., Validation]

PER_SNAPSHOT = 54
ROW = 3 * PER_SNAPSHOT + 26
"""An option near the money, BTC-27FEB26-70000-C, in the fourth snapshot."""
NAME = "BTC-27FEB26-70000-C"


def cell(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """One cell of the row replaced."""

    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        if isinstance(value, str):
            table[column] = table[column].astype(str)
        table.loc[ROW, column] = value(table.loc[ROW]) if callable(value) else value
        return table

    return spoil


def conflicting(table: pd.DataFrame) -> pd.DataFrame:
    other = table.loc[[ROW]].assign(mark_iv=table.loc[ROW, "mark_iv"] + 1e-4)
    return pd.concat([table, other]).sort_values("snapshot_ts_utc", kind="stable", ignore_index=True)


def doubled(table: pd.DataFrame) -> pd.DataFrame:
    """The row stands once more at the end of its snapshot."""
    return pd.concat([table, table.loc[[ROW]]]).sort_values("snapshot_ts_utc", kind="stable", ignore_index=True)


def said_strike(table: pd.DataFrame) -> pd.DataFrame:
    table["strike_usd"] = table["instrument_name"].str.split("-").str[2].astype(float)
    table.loc[ROW, "strike_usd"] += 1.0
    return table


def said_expiry(table: pd.DataFrame) -> pd.DataFrame:
    day = table["instrument_name"].str.split("-").str[1]
    table["expiry_ts_utc"] = pd.to_datetime(day, format="%d%b%y", utc=True) + pd.Timedelta(hours=8)
    table.loc[ROW, "expiry_ts_utc"] += pd.Timedelta(days=1)
    return table


ROWS = {
    "no_time": cell("snapshot_ts_utc", pd.NaT),
    "no_name": cell("instrument_name", None),
    "unknown_name": cell("instrument_name", "BTC-99XXX26-70000-C"),
    "unknown_product": cell("instrument_name", "SOL_USDC-27FEB26-200-C"),
    "not_a_number": cell("mark_iv", "fifty"),
    "expired": cell("instrument_name", "BTC-4FEB26-70000-C"),
    "wrong_strike": said_strike,
    "wrong_expiry": said_expiry,
    "duplicate": doubled,
    "bad_bid": cell("bid_price_coin", -0.01),
    "bad_ask": cell("ask_price_coin", 0.0),
    "bad_mark": cell("mark_price_coin", np.nan),
    "bad_volatility": cell("mark_iv", 60.0),
    "bad_forward": cell("forward_price_usd", 0.0),
    "bad_index": cell("index_price_usd", np.inf),
    "bad_size": cell("open_interest_coin", -1.0),
    "crossed": cell("bid_price_coin", lambda row: row["ask_price_coin"] + 0.0005),
    "above_bound": cell("mark_price_coin", 3_500.0),
    "iv_contradicts": cell("mark_iv", 3.0),
    "index_far": cell("index_price_usd", 1.0),
    "forward_far": cell("forward_price_usd", 90_000.0),
    "basis_far": cell("forward_price_usd", 1.0),
    "known_early": cell("known_at_utc", pd.Timestamp("2026-02-05T11:00Z")),
    "locked": cell("bid_price_coin", lambda row: row["ask_price_coin"]),
    "off_tick": cell("ask_price_coin", lambda row: row["ask_price_coin"] + 0.00023),
    "below_intrinsic": lambda table: cell("ask_price_coin", 0.001)(cell("bid_price_coin", np.nan)(deep(table))),
    "iv_mismatch": cell("mark_iv", lambda row: row["mark_iv"] + 0.05),
    "parity": cell("bid_price_coin", lambda row: row["ask_price_coin"] + 0.02),
    "parity_of_marks": cell("mark_price_coin", lambda row: row["mark_price_coin"] + 0.003),
    "index_gap": cell("index_price_usd", lambda row: 1.02 * row["index_price_usd"]),
    "forward_gap": cell("forward_price_usd", lambda row: 1.002 * row["forward_price_usd"]),
    "vertical": cell("bid_price_coin", lambda row: row["ask_price_coin"] + 0.05),
    "butterfly": cell("bid_price_coin", lambda row: row["ask_price_coin"] + 0.01),
    "known_late": cell("known_at_utc", pd.Timestamp("2026-02-05T20:00Z")),
    "mark_outside": cell("mark_price_coin", lambda row: row["ask_price_coin"] + 0.0001),
    "greeks_late": cell("delta_bs", lambda row: row["delta_bs"] + 0.05),
}
"""What spoils the one row for each rule of rows."""


def deep(table: pd.DataFrame) -> pd.DataFrame:
    """The row becomes deep in the money by its forward."""
    table.loc[ROW, "forward_price_usd"] *= 1.04
    return table


def found(validation: Validation) -> dict[str, pd.DataFrame]:
    return {one.rule.name: one.places for one in validation.findings}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_sound_data_have_no_finding(check: Check, table: pd.DataFrame, ending: str):
    sound = check(table, ending=ending, with_surfaces=True)
    assert sound.findings == ()
    assert (sound.rows, sound.instants.size, sound.underlyings, sound.worst) == (432, 8, ("BTC",), None)
    assert sound.counts["BTC"].tolist() == [PER_SNAPSHOT] * 8


@pytest.mark.parametrize("rule", ROWS)
def test_a_planted_row_is_found_at_its_place(check: Check, table: pd.DataFrame, rule: str):
    places = found(check(ROWS[rule](table)))
    assert rule in places, sorted(places)
    expected = 4 * PER_SNAPSHOT if rule == "duplicate" else ROW
    assert expected in places[rule]["row"].to_numpy()
    assert len(places[rule]) <= 2


@pytest.mark.parametrize("forward", [1e300, 1e-300, -1.0, np.inf])
def test_a_forward_that_no_price_can_be_made_of_stops_at_the_door(check: Check, table: pd.DataFrame, forward: float):
    places = found(check(cell("forward_price_usd", forward)(table)))
    assert places["bad_forward"]["row"].tolist() == [ROW]


def test_two_rows_that_disagree_are_both_bad(check: Check, table: pd.DataFrame):
    places = found(check(conflicting(table)))
    assert len(places["conflict"]) == 2
    assert "duplicate" not in places
    assert set(places["conflict"]["name"]) == {NAME}


def test_a_spread_that_sells_for_more_than_it_pays(check: Check, table: pd.DataFrame):
    table.loc[ROW - 6, ["bid_price_coin", "ask_price_coin"]] = 0.6, 0.61
    assert NAME in set(found(check(table))["wide_vertical"]["name"])


def test_volatilities_in_points_are_told_once_for_all(check: Check, table: pd.DataFrame):
    places = found(check(table.assign(mark_iv=100.0 * table["mark_iv"])))
    assert len(places["volatility_in_points"]) == len(table)
    assert "bad_volatility" not in places
    assert "iv_contradicts" not in places


def test_a_future_whose_mark_is_not_its_forward(check: Check, table: pd.DataFrame):
    future = table.loc[[ROW]].assign(
        instrument_name="BTC-27FEB26", mark_iv=np.nan, delta_bs=np.nan, mark_price_coin=np.nan, mark_price_usd=100.0
    )
    future[["bid_price_coin", "ask_price_coin"]] = np.nan
    table["mark_price_usd"] = np.nan
    both = pd.concat([table, future]).sort_values("snapshot_ts_utc", kind="stable", ignore_index=True)
    usd = both.assign(bid_price_usd=np.nan, ask_price_usd=np.nan)
    assert found(check(usd))["linear_mark_far"]["name"].tolist() == ["BTC-27FEB26"]


def test_total_variance_that_falls_with_expiry(check: Check, table: pd.DataFrame):
    is_long = table["instrument_name"].str.contains("27MAR26") & (table.index // PER_SNAPSHOT == 3)
    table.loc[is_long, "mark_iv"] *= 0.4
    places = found(check(table))
    assert len(places["calendar"]) == 1
    assert places["calendar"]["figure"].iloc[0] > 0.05


def test_holes_between_neighbours(check: Check, table: pd.DataFrame):
    hour = table.index // PER_SNAPSHOT
    is_expiry = table["instrument_name"].str.contains("27FEB26")
    places = found(check(table[~((hour == 3) & is_expiry) & ~((hour == 5) & (table["instrument_name"] == NAME))]))
    assert places["missing_expiry"]["name"].tolist() == ["BTC 27FEB26"]
    assert places["missing_expiry"]["figure"].tolist() == [18.0]
    assert places["missing_contract"]["name"].tolist() == [NAME]
    assert places["missing_contract"]["snapshot_ts_utc"].tolist() == [pd.Timestamp("2026-02-05T14:00")]
    assert places["thin_snapshot"]["figure"].tolist() == [36.0]


def test_a_gap_is_named_at_its_end(check: Check, table: pd.DataFrame):
    hour = table.index // PER_SNAPSHOT
    places = found(check(table[~np.isin(hour, [3, 4])]))["time_gap"]
    assert places["snapshot_ts_utc"].tolist() == [pd.Timestamp("2026-02-05T14:00")]
    assert places["figure"].tolist() == [3.0]
    assert places["limit"].tolist() == [2.0]


def test_weekends_are_no_gaps_where_there_is_no_trade_on_them(check: Check, table: pd.DataFrame):
    days = pd.to_datetime(["2026-01-22", "2026-01-23", "2026-01-26", "2026-01-27", "2026-01-28", "2026-01-29"])
    daily = table[table.index < 6 * PER_SNAPSHOT].copy()
    daily["snapshot_ts_utc"] = np.repeat(days + pd.Timedelta(hours=16), PER_SNAPSHOT)
    assert "time_gap" not in found(check(daily))
    late = daily.assign(snapshot_ts_utc=daily["snapshot_ts_utc"] + pd.to_timedelta((daily.index >= 270) * 96.0, "h"))
    assert found(check(late))["time_gap"]["figure"].tolist() == [72.0]


def test_a_snapshot_that_repeats_the_last_one(check: Check, table: pd.DataFrame):
    hour = table.index // PER_SNAPSHOT
    copied = table[hour == 3].assign(snapshot_ts_utc=table["snapshot_ts_utc"][hour == 4].to_numpy())
    both = pd.concat([table[hour < 4], copied, table[hour > 4]], ignore_index=True)
    places = found(check(both))["repeated_snapshot"]
    assert sorted(places["row"]) == list(range(4 * PER_SNAPSHOT, 5 * PER_SNAPSHOT))
    assert set(places["snapshot_ts_utc"]) == {pd.Timestamp("2026-02-05T13:00")}


def test_a_market_that_stood_still_repeats_nothing_where_the_venue_stamped_it_anew(check: Check, table: pd.DataFrame):
    hour = table.index // PER_SNAPSHOT
    times = table["snapshot_ts_utc"]
    copied = table[hour == 3].assign(snapshot_ts_utc=times[hour == 4].to_numpy())
    both = pd.concat([table[hour < 4], copied, table[hour > 4]], ignore_index=True)
    spoken = both.assign(event_time_utc=both["snapshot_ts_utc"] - pd.Timedelta(seconds=1))
    assert "repeated_snapshot" not in found(check(spoken))
    assert "repeated_snapshot" not in found(check(spoken, rows=PER_SNAPSHOT))
    is_copy = both.index // PER_SNAPSHOT == 4
    one = spoken.copy()
    one.loc[is_copy, "event_time_utc"] = spoken.loc[hour == 3, "event_time_utc"].to_numpy()
    assert len(found(check(one))["repeated_snapshot"]) == PER_SNAPSHOT
    assert len(found(check(one, rows=PER_SNAPSHOT))["repeated_snapshot"]) == PER_SNAPSHOT
    one.loc[np.flatnonzero(is_copy)[7], "event_time_utc"] += pd.Timedelta(seconds=3)
    assert "repeated_snapshot" not in found(check(one))


def test_a_quote_that_stands_still_while_the_index_moves(check: Check, table: pd.DataFrame):
    still = ["bid_price_coin", "ask_price_coin", "mark_price_coin", "mark_iv"]
    own = table.index[table["instrument_name"] == NAME]
    table.loc[own[2:6], still] = table.loc[own[2], still].to_numpy()
    places = found(check(table))["stale"]
    assert places["row"].tolist() == [own[5]]
    assert places["figure"].tolist() == [3.0]


def test_an_order_that_is_not_of_time(check: Check, table: pd.DataFrame):
    hour = table.index // PER_SNAPSHOT
    turned = pd.concat([table[hour != 2], table[hour == 2]], ignore_index=True)
    places = found(check(turned))
    assert set(places) == {"out_of_order"}
    assert len(places["out_of_order"]) == PER_SNAPSHOT
    assert set(places["out_of_order"]["row"]) == set(range(7 * PER_SNAPSHOT, 8 * PER_SNAPSHOT))


def test_a_later_snapshot_known_before_an_earlier_one(check: Check, table: pd.DataFrame):
    table.loc[table.index // PER_SNAPSHOT == 2, "known_at_utc"] += pd.Timedelta(minutes=70)
    places = found(check(table))
    assert places["known_backwards"]["snapshot_ts_utc"].tolist() == [pd.Timestamp("2026-02-05T12:00")]
    assert places["known_backwards"]["figure"].tolist() == [10.0]


def test_stamps_of_single_rows_are_joined_and_told(check: Check, table: pd.DataFrame):
    one = table[table.index < PER_SNAPSHOT].copy()
    one["snapshot_ts_utc"] += pd.to_timedelta(np.arange(PER_SNAPSHOT) * 0.5, unit="s")
    validation = check(one)
    assert validation.instants.size == 1
    assert "scattered_stamps" in found(validation)


def test_a_snapshot_without_one_of_the_coins(check: Check, table: pd.DataFrame):
    other = table.assign(instrument_name=table["instrument_name"].str.replace("BTC", "ETH"))
    both = pd.concat([table, other[other.index // PER_SNAPSHOT != 4]])
    both = both.sort_values("snapshot_ts_utc", kind="stable", ignore_index=True)
    places = found(check(both))["partial_snapshot"]
    assert places["name"].tolist() == ["ETH missing"]
    assert places["snapshot_ts_utc"].tolist() == [pd.Timestamp("2026-02-05T13:00")]


def test_surfaces_refuse_an_expiry_that_no_smile_meets(check: Check, table: pd.DataFrame):
    jagged = table[table.index < PER_SNAPSHOT].copy()
    is_own = jagged["instrument_name"].str.contains("27FEB26")
    jagged.loc[is_own, "mark_iv"] += np.where(np.arange(is_own.sum()) // 2 % 2, 0.25, -0.25)
    places = found(check(jagged, with_surfaces=True))["surface_refused"]
    assert places["name"].iloc[0].startswith("BTC 27FEB26")
    assert places["figure"].iloc[0] > places["limit"].iloc[0] == 0.03


def test_an_expiry_with_too_few_quotes_is_refused_with_their_number(check: Check, table: pd.DataFrame):
    first = table[table.index < PER_SNAPSHOT]
    few = first[~first["instrument_name"].str.contains("27FEB26") | first["instrument_name"].str.contains("-70000-")]
    places = found(check(few, with_surfaces=True))["surface_refused"]
    assert places["name"].iloc[0].startswith("BTC 27FEB26: 1 usable quote cannot carry")
    assert places[["figure", "limit"]].iloc[0].tolist() == [1.0, 5.0]


def test_a_file_that_cannot_be_read_is_a_finding_beside_one_that_can(
    tmp_path: Path, table: pd.DataFrame, deribit: Venue
):
    table.to_parquet(tmp_path / "a_chain.parquet")
    (tmp_path / "b_chain.parquet").write_bytes((tmp_path / "a_chain.parquet").read_bytes()[:-500])
    validation = validate(tmp_path, venue=deribit)
    assert found(validation)["unreadable"]["name"].iloc[0].startswith("b_chain.parquet")
    assert validation.rows == len(table)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        validate(tmp_path / "b_chain.parquet", venue=deribit)


def test_rows_of_two_files_that_overlap_are_duplicates(tmp_path: Path, table: pd.DataFrame, deribit: Venue):
    table.to_parquet(tmp_path / "a_chain.parquet")
    table[table.index // PER_SNAPSHOT == 7].to_parquet(tmp_path / "b_chain.parquet")
    places = found(validate(tmp_path, venue=deribit))["duplicate"]
    assert set(places["file"]) == {"b_chain.parquet"}
    assert len(places) == PER_SNAPSHOT


def test_a_missing_column_is_refused_with_the_nearest(check: Check, table: pd.DataFrame):
    with pytest.raises(DataError, match=r'no column "mark_iv"; did you mean "markiv"'):
        check(table.rename(columns={"mark_iv": "markiv"}))


def test_times_as_numbers_are_refused(check: Check, table: pd.DataFrame):
    with pytest.raises(DataError, match="snapshot_ts_utc is not a column of times"):
        check(table.assign(snapshot_ts_utc=1))


def test_an_index_that_is_nowhere_given(check: Check, table: pd.DataFrame):
    table.loc[table.index // PER_SNAPSHOT == 3, "index_price_usd"] = np.nan
    assert len(found(check(table))["no_index"]) == PER_SNAPSHOT


def test_a_forward_far_from_the_index_in_all_rows(check: Check, table: pd.DataFrame):
    places = found(check(table.assign(index_price_usd=0.85 * table["index_price_usd"])))
    assert len(places["basis_gap"]) == len(table)


def test_quoted_volatilities_stand_for_quotes(check: Check, table: pd.DataFrame):
    quoted = table.drop(columns=["bid_price_coin", "ask_price_coin"])
    quoted = quoted.assign(bid_iv=table["mark_iv"] - 0.01, ask_iv=table["mark_iv"] + 0.01)
    assert check(quoted).findings == ()
    quoted.loc[ROW, "bid_iv"] = quoted.loc[ROW, "ask_iv"] + 0.02
    quoted.loc[ROW + 1, "ask_iv"] = -0.5
    places = found(check(quoted))
    assert places["crossed"]["row"].tolist() == [ROW]
    assert places["bad_quoted_volatility"]["row"].tolist() == [ROW + 1]


def test_a_snapshot_of_which_no_chain_can_be_made(check: Check, table: pd.DataFrame):
    table["origin"] = "recorded"
    table.loc[ROW, "origin"] = "modelled"
    places = found(check(table, with_surfaces=True))
    assert "more than one origin" in places["unfitted"]["name"].iloc[0]
    assert len(places["unfitted"]) == 1


def test_arbitrage_that_a_fit_left_is_told(monkeypatch: pytest.MonkeyPatch, check: Check, table: pd.DataFrame):
    whole = surfaces.fit.fit

    def loose(chain: Chain) -> Surface:
        surface = whole(chain)
        first = surface.slices[0]
        bent = replace(first, parameters=replace(first.parameters, b=20.0 * first.parameters.b))
        return replace(surface, slices=(bent, *surface.slices[1:]))

    monkeypatch.setattr(surfaces.fit, "fit", loose)
    places = found(check(table[table.index < PER_SNAPSHOT], with_surfaces=True))["surface_arbitrage"]
    assert places["name"].str.contains("BTC 13FEB26: calendar").any()
    assert (places["figure"] < 0.0).all()


def test_findings_come_the_gravest_first_and_count_what_was_read(check: Check, table: pd.DataFrame):
    findings = check(ROWS["crossed"](table)).findings
    severities = [one.severity for one in findings]
    assert severities == sorted(severities, reverse=True)
    assert len(set(severities)) > 1
    assert {one.of for one in findings} == {len(table)}
