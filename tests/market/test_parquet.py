"""Chains from files: what is read, how snapshots are joined, what is refused."""

import logging
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Kind, Venue, digest
from greekdrift.book.instrument import parse
from greekdrift.errors import ChainError, ConfigError, DataError, InputError
from greekdrift.greeks import compute
from greekdrift.market.parquet import ParquetSource, files, read_chain, write_chain
from greekdrift.units import instant, stamp


def source(path: Path | list[str], venue: Venue, **options) -> ParquetSource:
    return ParquetSource(path if isinstance(path, list) else str(path), venue=venue, **options)


def written(rows: pd.DataFrame, path: Path) -> Path:
    rows.to_parquet(path, index=False)
    return path


def changed(rows: pd.DataFrame, tmp_path: Path, at: int, column: str, value: object) -> Path:
    rows = rows.copy()
    rows.loc[at, column] = value
    return written(rows, tmp_path / "changed_chain.parquet")


def test_joins_coins_whose_stamps_coincide(chain_file: Path, deribit: Venue):
    both = source(chain_file, deribit)
    assert [stamp(one) for one in both.snapshots()] == ["2026-02-05T10:00:30Z", "2026-02-05T16:00:30Z"]
    assert [stamp(one) for one in both.partial] == ["2026-02-05T22:00:00Z"]
    assert both.underlyings == ("BTC", "ETH")
    assert both.step_hours == 6.0
    assert (both.name, both.clock) == ("parquet", "elapsed")


def test_a_snapshot_without_one_of_the_coins_is_kept_on_request(chain_file: Path, deribit: Venue):
    usual, every = source(chain_file, deribit), source(chain_file, deribit, with_partial=True)
    assert every.partial == usual.partial
    assert every.snapshots() == (*usual.snapshots(), *usual.partial)
    assert every.chain(every.partial[0]).underlyings == ("BTC",)
    assert every.digest != usual.digest


def test_one_coin_has_its_own_stamps(chain_file: Path, deribit: Venue):
    alone = source(chain_file, deribit, underlyings=("BTC",))
    assert len(alone.snapshots()) == 3
    assert alone.partial == ()
    assert alone.chain(alone.snapshots()[0]).underlyings == ("BTC",)


def test_two_stamps_of_one_coin_are_two_snapshots_however_close(rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
    later = rows.iloc[[0]].assign(snapshot_ts_utc=rows["snapshot_ts_utc"].iloc[0] + pd.Timedelta(minutes=1))
    path = written(pd.concat([rows, later], ignore_index=True), tmp_path / "minutes_chain.parquet")
    assert len(source(path, deribit, underlyings=("BTC",)).snapshots()) == 4


def test_chain_holds_the_rows_the_perpetuals_and_nothing_else(chain_file: Path, deribit: Venue):
    chain = source(chain_file, deribit).chain(instant("2026-02-05T10:00:30Z"))
    assert [row.name for row in chain.instruments] == [
        "BTC-27MAR26-70000-C",
        "BTC-27MAR26-70000-P",
        "BTC-27MAR26-20000-P",
        "ETH-27MAR26-2000-C",
        "BTC-PERPETUAL",
        "ETH-PERPETUAL",
    ]
    assert dict(chain.index_price) == {"BTC": 70_000.0, "ETH": 2_100.0}
    assert stamp(chain.known_at) == "2026-02-05T10:05:30Z"
    assert chain.origin == "recorded"
    put = chain.row_of["BTC-27MAR26-20000-P"]
    assert np.isnan(chain.bid[put])
    assert chain.mark[put] == 0.0
    assert np.isnan(chain.ask[chain.row_of["BTC-27MAR26-70000-P"]])
    np.testing.assert_allclose(chain.forward[:3], 70_400.0)
    assert chain.volume_24h[0] == 3.1


def test_added_perpetual_is_quoted_at_the_half_spread_on_ticks(chain_file: Path, deribit: Venue):
    chain = source(chain_file, deribit).chain(instant("2026-02-05T10:00:30Z"))
    row = chain.row_of["BTC-PERPETUAL"]
    product = deribit.product(chain.instruments[row])
    assert chain.forward[row] == chain.mark[row] == 70_000.0
    assert chain.bid[row] == 70_000.0 * (1.0 - product.half_spread)
    assert chain.ask[row] == 70_000.0 * (1.0 + product.half_spread)
    ether = chain.row_of["ETH-PERPETUAL"]
    np.testing.assert_allclose([chain.bid[ether], chain.ask[ether]], [2_099.75, 2_100.25], rtol=1e-12)
    assert chain.contract_size[row] == 10.0
    assert np.isnan(chain.volume_24h[row])
    assert np.isnan(chain.open_interest[row])


def test_a_recorded_perpetual_is_kept(rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
    perpetual = pd.DataFrame(
        {
            "snapshot_ts_utc": rows["snapshot_ts_utc"].iloc[:1],
            "instrument_name": "BTC-PERPETUAL",
            "bid_price_usd": 70_000.5,
            "ask_price_usd": 70_001.0,
            "mark_price_usd": 70_000.7,
            "mark_iv": np.nan,
            "forward_price_usd": 70_000.7,
            "index_price_usd": 70_000.0,
            "open_interest_coin": 5e8,
            "volume_24h_coin": 1e9,
        }
    )
    path = written(pd.concat([rows, perpetual], ignore_index=True), tmp_path / "perpetual_chain.parquet")
    chain = source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))
    row = chain.row_of["BTC-PERPETUAL"]
    assert [one.kind for one in chain.instruments].count(Kind.PERPETUAL) == 2
    assert (chain.bid[row], chain.ask[row], chain.mark[row]) == (70_000.5, 70_001.0, 70_000.7)
    assert chain.volume_24h[row] == 1e8


def test_several_files_unsorted_rows_and_split_row_groups_give_the_same_chains(
    rows: pd.DataFrame, chain_file: Path, tmp_path: Path, deribit: Venue
):
    of = rows["instrument_name"].str[:3]
    folder = tmp_path / "split"
    folder.mkdir()
    written(rows[of == "ETH"].iloc[::-1], folder / "eth_chain.parquet")
    shuffled = rows[of == "BTC"].sort_values("instrument_name")
    shuffled.to_parquet(folder / "btc_chain.parquet", index=False, row_group_size=2)
    whole, split = source(chain_file, deribit), source(folder, deribit)
    assert split.snapshots() == whole.snapshots()
    for moment in whole.snapshots():
        one, other = whole.chain(moment), split.chain(moment)
        assert set(one.row_of) == set(other.row_of)
        assert digest(one) == digest(other.take(other.rows(one.row_of)))


def test_volatilities_stand_for_bid_and_ask(rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
    by_volatility = rows.drop(columns=["bid_price_coin", "ask_price_coin"]).assign(bid_iv=0.54, ask_iv=0.57)
    by_volatility.loc[1, "bid_iv"] = np.nan
    chain = source(written(by_volatility, tmp_path / "iv_chain.parquet"), deribit).chain(
        instant("2026-02-05T10:00:30Z")
    )
    expected = compute(
        ("price",),
        forward=chain.forward[:1],
        strike=chain.strike[:1],
        volatility=0.54,
        time_to_expiry=chain.time_to_expiry[:1],
        is_call=chain.is_call[:1],
    )["price"]
    np.testing.assert_allclose(chain.bid[0], expected[0] / 70_400.0, rtol=1e-12)
    assert np.isnan(chain.bid[1])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_writing_and_reading_gives_the_same_chain(ending: str, chain_file: Path, tmp_path: Path, deribit: Venue):
    both = source(chain_file, deribit)
    chains = [both.chain(moment) for moment in both.snapshots()]
    path = write_chain(reversed(chains), tmp_path / f"again_chain.{ending}")
    again = source(path, deribit)
    assert again.snapshots() == both.snapshots()
    for chain in chains:
        assert digest(again.chain(chain.as_of)) == digest(chain)


def test_read_chain_asks_which_snapshot(chain_file: Path, deribit: Venue):
    with pytest.raises(DataError, match=r"2 instants: 2026-02-05T10:00:30Z, 2026-02-05T16:00:30Z; say which one"):
        read_chain(chain_file, venue=deribit)
    assert stamp(read_chain(chain_file, instant("2026-02-05T16:03Z"), venue=deribit).as_of) == "2026-02-05T16:00:30Z"
    with pytest.raises(DataError, match="no chain within 10 minutes of 2026-02-05T13:00:00Z"):
        read_chain(chain_file, instant("2026-02-05T13:00Z"), venue=deribit)


def test_read_chain_takes_the_only_snapshot(rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
    path = tmp_path / "one.csv"
    rows.iloc[:4].to_csv(path, index=False)
    assert len(read_chain(path, venue=deribit)) == 6


def test_an_unlisted_instant_is_answered_with_the_nearest(chain_file: Path, deribit: Venue):
    with pytest.raises(DataError, match=r"has no chain at 2026-02-05T11:00:00Z; 2 instants"):
        source(chain_file, deribit).chain(instant("2026-02-05T11:00Z"))


class TestBadInput:
    """Every fault names its place and what to do."""

    @pytest.mark.parametrize(
        ("column", "fact"),
        [
            ("mark_iv", 'no column "mark_iv"'),
            ("snapshot_ts_utc", 'no column "snapshot_ts_utc"'),
            ("mark_price_coin", 'no column "mark_price_coin"'),
            ("bid_price_coin", 'no column "bid_price_coin" .* or "bid_iv"'),
        ],
    )
    def test_missing_column(self, column: str, fact: str, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows.drop(columns=column), tmp_path / "short_chain.parquet")
        with pytest.raises(DataError, match=rf"short_chain.parquet has {fact}"):
            source(path, deribit)

    def test_volatility_in_points(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows.assign(mark_iv=rows["mark_iv"] * 100.0), tmp_path / "points_chain.parquet")
        with pytest.raises(DataError, match=r"looks like points; divide by 100"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_price_in_dollars(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        names = ["bid_price_coin", "ask_price_coin", "mark_price_coin"]
        path = written(rows.assign(**{name: rows[name] * 70_000.0 for name in names}), tmp_path / "usd_chain.parquet")
        with pytest.raises(DataError, match=r"BTC-27MAR26-70000-C has a mark of .* coin.*a price in USD\?"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_forward_in_another_unit(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 3, "forward_price_usd", 2.105)
        with pytest.raises(DataError, match=r"ETH-27MAR26-2000-C has a forward of 2.105 and an index of 2100"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_crossed(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 0, "bid_price_coin", 0.0520)
        with pytest.raises(ChainError, match=r"BTC-27MAR26-70000-C: bid 0.052 above ask 0.0515 .*quality.uncrossed"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    @pytest.mark.parametrize("column", ["mark_iv", "mark_price_coin", "forward_price_usd"])
    def test_not_a_number(self, column: str, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 0, column, np.nan)
        with pytest.raises(ChainError, match=r"BTC-27MAR26-70000-C: .*nan"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_expired(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 1, "instrument_name", "BTC-4FEB26-70000-P")
        with pytest.raises(ChainError, match=r"BTC-4FEB26-70000-P: has expired .*quality.alive"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_zero_ask(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 2, "ask_price_coin", 0.0)
        with pytest.raises(DataError, match=r"BTC-27MAR26-20000-P has an ask of 0"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_a_name_that_is_no_instrument(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = changed(rows, tmp_path, 0, "instrument_name", "BITCOIN")
        with pytest.raises(DataError, match=r'changed_chain.parquet: "BITCOIN" is not an instrument name'):
            source(path, deribit)

    def test_a_strike_that_the_name_denies(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        strikes = [float(name.split("-")[2]) for name in rows["instrument_name"]]
        path = changed(rows.assign(strike_usd=strikes), tmp_path, 0, "strike_usd", 71_000.0)
        with pytest.raises(DataError, match=r"BTC-27MAR26-70000-C has strike_usd 71000"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_text_where_numbers_should_be(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows.assign(mark_iv="55%"), tmp_path / "text_chain.parquet")
        with pytest.raises(DataError, match="mark_iv is not a column of numbers"):
            source(path, deribit).chain(instant("2026-02-05T10:00:30Z"))

    def test_text_where_times_should_be(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows.assign(snapshot_ts_utc="in the morning"), tmp_path / "text_chain.parquet")
        with pytest.raises(DataError, match="snapshot_ts_utc is not a column of times"):
            source(path, deribit)

    def test_another_venue(self, chain_file: Path, tmp_path: Path, deribit: Venue, equity: Venue):
        path = write_chain(read_chain(chain_file, instant("2026-02-05T10:00:30Z"), venue=deribit), tmp_path / "d.csv")
        with pytest.raises(DataError, match="holds quotes of deribit, not of equity"):
            read_chain(path, venue=equity)

    def test_an_unknown_coin(self, chain_file: Path, deribit: Venue):
        with pytest.raises(DataError, match=r'there is no "ETC"; did you mean'):
            source(chain_file, deribit, underlyings=("ETC",))

    def test_coins_that_never_meet(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows.iloc[[0, 5]], tmp_path / "apart_chain.parquet")
        with pytest.raises(DataError, match="no snapshot has all of BTC, ETH"):
            source(path, deribit)

    def test_no_rows(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        with pytest.raises(DataError, match="there are no rows"):
            source(written(rows.iloc[:0], tmp_path / "empty_chain.parquet"), deribit)

    def test_no_parquet(self, tmp_path: Path, deribit: Venue):
        path = tmp_path / "noise_chain.parquet"
        path.write_bytes(b"no parquet")
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            source(path, deribit)

    def test_damaged_pages(self, rows: pd.DataFrame, tmp_path: Path, deribit: Venue):
        path = written(rows, tmp_path / "damaged_chain.parquet")
        whole = path.read_bytes()
        for at in range(4, 2000, 40):
            path.write_bytes(whole[:at] + bytes(30) + whole[at + 30 :])
            try:
                one = source(path, deribit)
                one.chain(one.snapshots()[0])
            except InputError:
                continue
        path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            source(path, deribit)

    def test_an_empty_csv(self, tmp_path: Path, deribit: Venue):
        path = tmp_path / "empty.csv"
        path.write_text("")
        with pytest.raises(DataError, match="cannot be read as CSV"):
            source(path, deribit)

    def test_nothing_there(self, tmp_path: Path):
        with pytest.raises(DataError, match="neither a file nor a folder"):
            files(tmp_path / "nowhere")
        with pytest.raises(DataError, match=r"holds neither \*chain\*.parquet nor"):
            files(tmp_path)
        with pytest.raises(DataError, match="no chain file was named"):
            files([])
        other = tmp_path / "chain.txt"
        other.touch()
        with pytest.raises(DataError, match=r"is no \.parquet or \.csv file"):
            files(other)

    def test_writing_nothing_or_nowhere(self, chain_file: Path, tmp_path: Path, deribit: Venue):
        with pytest.raises(DataError, match="no chain to write"):
            write_chain([], tmp_path / "none.parquet")
        chain = read_chain(chain_file, instant("2026-02-05T10:00:30Z"), venue=deribit)
        with pytest.raises(DataError, match="give one of these endings"):
            write_chain(chain, tmp_path / "chain.feather")
        for ending in ("csv", "parquet"):
            (tmp_path / f"folder.{ending}").mkdir()
            with pytest.raises(DataError, match=rf"folder\.{ending} cannot be written \(.*\); choose another"):
                write_chain(chain, tmp_path / f"folder.{ending}")


def test_dropping_is_counted_and_logged(
    rows: pd.DataFrame, tmp_path: Path, deribit: Venue, caplog: pytest.LogCaptureFixture
):
    rows = rows.copy()
    rows.loc[1, "instrument_name"] = "BTC-4FEB26-70000-P"
    rows.loc[0, "bid_price_coin"] = 0.0520
    path = written(rows, tmp_path / "faulty_chain.parquet")
    clean = source(path, deribit, drop=("alive", "uncrossed", "finite"))
    moment = instant("2026-02-05T10:00:30Z")
    with caplog.at_level(logging.WARNING):
        chain = clean.chain(moment)
    assert [str(one) for one in clean.dropped[moment]] == [
        "alive: 1 of 4 dropped, first BTC-4FEB26-70000-P",
        "uncrossed: 1 of 3 dropped, first BTC-27MAR26-70000-C",
        "finite: 0 of 3 dropped",
    ]
    assert len(caplog.records) == 2
    assert "BTC-4FEB26-70000-P" not in chain.row_of
    call = chain.row_of["BTC-27MAR26-70000-C"]
    assert np.isnan(chain.bid[call])
    assert np.isnan(chain.ask[call])
    assert chain.mark[call] == 0.05071


def test_an_unknown_filter_is_refused(chain_file: Path, deribit: Venue):
    with pytest.raises(ConfigError, match=r'"alve" is not a filter of quotes; did you mean "alive"'):
        source(chain_file, deribit, drop=("alve",))


@pytest.mark.shared
class TestRecorded:
    """The real 6-hour chains."""

    def test_index_and_chains_are_fast(self, shared: Path, deribit: Venue):
        begin = time.perf_counter()
        real = source(shared / "data", deribit)
        assert time.perf_counter() - begin < 3.0
        assert len(real.snapshots()) == 690
        assert real.partial == ()
        assert real.underlyings == ("BTC", "ETH")
        real.chain(real.snapshots()[0])
        begin = time.perf_counter()
        for moment in real.snapshots()[100:120]:
            real.chain(moment)
        assert (time.perf_counter() - begin) / 20.0 < 0.05

    @pytest.mark.slow
    def test_every_chain_can_be_made(self, shared: Path, deribit: Venue):
        real = source(shared / "data" / "deribit_option_chain_6h", deribit)
        before: set[str] = set()
        rows = 0
        for moment in real.snapshots():
            chain = real.chain(moment)
            rows += int(np.sum(chain.is_option))
            missing = before - set(chain.row_of)
            assert all(source_expiry(name) - chain.as_of < timedelta(minutes=1) for name in missing)
            before = set(chain.row_of)
        assert rows == 596_012 + 525_116

    def test_marks_are_black_at_mark_iv(self, shared: Path, deribit: Venue):
        real = source(shared / "data", deribit)
        error = np.concatenate([mark_error(real.chain(moment)) for moment in real.snapshots()[::23]])
        assert np.median(error) < 1e-5
        assert np.max(error) < 6e-3


def mark_error(chain: Chain) -> np.ndarray:
    at = np.flatnonzero(chain.is_option)
    usd = compute(
        ("price",),
        forward=chain.forward[at],
        strike=chain.strike[at],
        volatility=chain.mark_iv[at],
        time_to_expiry=chain.time_to_expiry[at],
        is_call=chain.is_call[at],
    )["price"]
    return np.abs(usd / chain.forward[at] - chain.mark[at])


def source_expiry(name: str) -> datetime:
    expiry = parse(name).expiry
    assert expiry is not None
    return expiry
