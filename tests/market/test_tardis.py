"""Recorded ticks as chains: nothing that arrived later is in them, whatever the pieces they are read in."""

import gzip
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain, Venue
from greekdrift.errors import DataError
from greekdrift.greeks import compute
from greekdrift.market import tardis

START = datetime(2024, 1, 1, tzinfo=UTC)
MICROS = int(START.timestamp()) * 1_000_000
EXPIRY = datetime(2024, 1, 26, 8, tzinfo=UTC)
FORWARD = 42_000.0


def ticks(count: int, *, seed: int = 5, step: float = 7.0) -> pd.DataFrame:
    """Updates of eight contracts, `step` seconds apart; the venue's stamps are some milliseconds older."""
    draw = np.random.default_rng(seed)
    strike = draw.choice([38_000.0, 40_000.0, 42_000.0, 44_000.0], count)
    is_call = draw.random(count) < 0.5
    local = MICROS + np.arange(count) * int(step * 1e6) + 1
    forward = FORWARD * np.exp(np.cumsum(draw.normal(0.0, 2e-4, count)))
    volatility = 0.5 + draw.normal(0.0, 0.002, count)
    years = (EXPIRY.timestamp() * 1e6 - local) / (365.0 * 86_400e6)
    price = compute(
        ["price"], forward=forward, strike=strike, volatility=volatility, time_to_expiry=years, is_call=is_call
    )["price"]
    mark = price / forward
    return pd.DataFrame(
        {
            "exchange": "deribit",
            "symbol": [f"BTC-26JAN24-{k:.0f}-{'C' if c else 'P'}" for k, c in zip(strike, is_call, strict=True)],
            "timestamp": local - 4_000,
            "local_timestamp": local,
            "type": np.where(is_call, "call", "put"),
            "strike_price": strike,
            "expiration": int(EXPIRY.timestamp()) * 1_000_000,
            "open_interest": 10.0 + np.arange(count),
            "bid_price": np.round(mark * 0.97, 4),
            "bid_iv": 48.0,
            "ask_price": np.round(mark * 1.03, 4),
            "ask_iv": 52.0,
            "mark_price": mark,
            "mark_iv": volatility * 100.0,
            "underlying_price": forward,
        }
    )


def written(table: pd.DataFrame, path: Path) -> Path:
    text = table.to_csv(index=False).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def made(paths: Sequence[Path], venue: Venue, **options: object) -> list[Chain]:
    given = {"every": timedelta(minutes=5), **options}
    return list(tardis.chains(paths, venue=venue, **given))  # type: ignore[arg-type]


def as_of_join(table: pd.DataFrame, moment: datetime) -> pd.DataFrame:
    """The slow truth: the last row of each contract that had arrived."""
    upto = table[table["local_timestamp"] <= moment.timestamp() * 1e6]
    return upto.groupby("symbol").last()


def test_a_chain_is_the_last_update_that_had_arrived(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(400)
    chains = made([written(table, tmp_path / "t.csv.gz")], deribit)
    assert [one.as_of for one in chains] == [START + timedelta(minutes=5 * n) for n in range(1, 10)]
    for chain in chains:
        assert chain.known_at == chain.as_of
        truth = as_of_join(table, chain.as_of)
        options = chain.take(chain.is_option)
        assert {row.name for row in options.instruments} == set(truth.index)
        rows = truth.loc[[row.name for row in options.instruments]]
        np.testing.assert_array_equal(options.mark, rows["mark_price"])
        np.testing.assert_allclose(options.mark_iv, rows["mark_iv"] / 100.0, rtol=1e-15)
        np.testing.assert_array_equal(options.forward, rows["underlying_price"])
        np.testing.assert_array_equal(options.open_interest, rows["open_interest"])
        np.testing.assert_array_equal(options.bid, rows["bid_price"])


@pytest.mark.parametrize("rows", [1, 7, 64, 10_000])
def test_the_size_of_the_pieces_changes_nothing(deribit: Venue, tmp_path: Path, rows: int) -> None:
    path = written(ticks(150), tmp_path / "t.csv")
    usual, pieces = made([path], deribit), made([path], deribit, chunk_rows=rows)
    assert [one.as_of for one in usual] == [one.as_of for one in pieces]
    for left, right in zip(usual, pieces, strict=True):
        assert left.instruments == right.instruments
        np.testing.assert_array_equal(left.mark, right.mark)


def test_several_files_are_one(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(200)
    whole = made([written(table, tmp_path / "all.csv")], deribit)
    parts = [written(table[:77], tmp_path / "a.csv"), written(table[77:], tmp_path / "b.csv")]
    split = made(parts, deribit)
    for left, right in zip(whole, split, strict=True):
        np.testing.assert_array_equal(left.mark, right.mark)
    with pytest.raises(DataError, match="in order of time"):
        made(parts[::-1], deribit)


def test_what_arrives_later_changes_no_earlier_chain(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(300)
    later = table.copy()
    moment = START + timedelta(minutes=15)
    is_later = later["local_timestamp"] > moment.timestamp() * 1e6
    later.loc[is_later, ["mark_iv", "open_interest"]] *= 1.01
    later.loc[is_later, "timestamp"] = MICROS  # backdated by the venue
    before, after = (made([written(one, tmp_path / "t.csv")], deribit) for one in (table, later))
    for left, right in zip(before[:3], after[:3], strict=True):
        np.testing.assert_array_equal(left.mark_iv, right.mark_iv)
    assert not np.array_equal(before[3].mark_iv, after[3].mark_iv)


def test_an_update_at_the_very_instant_counts(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(60, step=6.0)
    table["local_timestamp"] -= 1
    chains = made([written(table, tmp_path / "t.csv")], deribit, every=timedelta(seconds=6), chunk_rows=9)
    assert [one.as_of for one in chains] == [START + timedelta(seconds=6 * n) for n in range(60)]
    for chain, latest in zip(chains, table["open_interest"], strict=True):
        assert np.nanmax(chain.open_interest) == latest


def test_expired_stale_and_incomplete_contracts_are_left_out_and_counted(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(200)
    table.loc[table["symbol"] == "BTC-26JAN24-38000-P", ["mark_price", "mark_iv"]] = np.nan
    extra = table.iloc[[0]].assign(
        symbol="BTC-1JAN24-42000-C", strike_price=42_000.0, type="call", local_timestamp=MICROS + 2,
        expiration=int(datetime(2024, 1, 1, 8, tzinfo=UTC).timestamp()) * 1_000_000,
    )  # fmt: skip
    linear = table.iloc[[1]].assign(
        symbol="BTC_USDC-26JAN24-42000-C", strike_price=42_000.0, type="call", local_timestamp=MICROS + 3
    )
    table = pd.concat([table, extra, linear]).sort_values("local_timestamp", kind="stable")
    tally = tardis.Tally()
    chains = made([written(table, tmp_path / "t.csv")], deribit, stale_after=timedelta(minutes=2), tally=tally)
    names = {row.name for chain in chains for row in chain.instruments}
    assert not names & {"BTC-26JAN24-38000-P", "BTC-1JAN24-42000-C", "BTC_USDC-26JAN24-42000-C"}
    assert tally.left_out["stale"] >= len(chains)
    assert tally.left_out["no mark"] > 0
    assert tally.left_out["no product at the venue"] == len(chains)
    assert tally.rows == len(table)
    assert tally.contracts == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exchange": "deribot"}, "units are known of"),
        ({"exchange": "okex-options"}, "--venue okx"),
        ({"symbol": "BTC-26JAN24-999-C"}, "in its columns"),
        ({"symbol": "nonsense"}, "not an instrument name"),
        ({"symbol": None}, "lacks a symbol"),
        ({"type": "future"}, "lacks a symbol"),
        ({"strike_price": None}, "lacks a symbol"),
        ({"local_timestamp": 1704067200}, "microseconds since 1970"),
        ({"mark_iv": "high"}, "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(deribit: Venue, tmp_path: Path, change: dict[str, object], said: str) -> None:
    table = ticks(60).astype({"mark_iv": object})
    for name, value in change.items():
        table[name] = value
    with pytest.raises(DataError, match=said):
        made([written(table, tmp_path / "t.csv")], deribit)


def test_a_stamp_far_off_is_refused_and_a_long_silence_is_passed_over_at_once(deribit: Venue, tmp_path: Path) -> None:
    table = ticks(60).astype({"local_timestamp": "float64"})
    table.loc[59, "local_timestamp"] = 1e300
    with pytest.raises(DataError, match="row 59: local_timestamp 1e\\+300 does not count"):
        made([written(table, tmp_path / "t.csv")], deribit)
    table.loc[59, "local_timestamp"] = 4_000_000_000e6
    tally, began = tardis.Tally(), time.monotonic()
    chains = made(
        [written(table, tmp_path / "t.csv")],
        deribit,
        every=timedelta(seconds=10),
        tally=tally,
        stale_after=timedelta(minutes=9),
    )
    assert time.monotonic() - began < 20.0
    silence = (4_000_000_000e6 - table["local_timestamp"][58]) / 10e6
    assert tally.left_out["instants without a contract"] == pytest.approx(silence, abs=400)
    assert max(chain.as_of for chain in chains) < datetime(2024, 1, 1, 2, tzinfo=UTC)


def test_a_cut_archive_is_refused(deribit: Venue, tmp_path: Path) -> None:
    path = written(ticks(3_000, step=0.1), tmp_path / "t.csv.gz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        made([path], deribit, chunk_rows=500, every=timedelta(minutes=1))


def test_a_missing_column_is_named(deribit: Venue, tmp_path: Path) -> None:
    path = written(ticks(60).drop(columns="mark_iv"), tmp_path / "t.csv")
    with pytest.raises(DataError, match='no column "mark_iv"'):
        made([path], deribit)


@pytest.mark.shared
def test_the_recorded_sample_gives_chains(deribit: Venue, shared: Path) -> None:
    path = shared / "data" / "api_payloads" / "recorded" / "tardis_deribit_options_chain_sample.csv"
    tally = tardis.Tally()
    chains = made([path], deribit, every=timedelta(milliseconds=50), tally=tally)
    assert (tally.rows, tally.contracts, len(chains)) == (20, 19, 5)
    assert chains[-1].underlyings == ("BTC", "ETH")
    row = chains[-1].row_of["BTC-5JAN24-43000-C"]
    assert (chains[-1].bid[row], chains[-1].mark_iv[row]) == (0.018, 0.5498)
