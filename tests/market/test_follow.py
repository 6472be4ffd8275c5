"""A folder that grows: each snapshot once, in order of time, half-written files tried again."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from greekdrift.book import Venue
from greekdrift.errors import DataError
from greekdrift.market.collect.store import Batch, Store
from greekdrift.market.follow import Follower

MOMENTS = [datetime(2026, 2, 5, hour, tzinfo=UTC) for hour in (10, 16, 22)]


def written(rows: pd.DataFrame, hour: int, folder: Path, name: str = "") -> Path:
    """The rows of one snapshot of one coin, renamed into place."""
    own = rows[(rows["snapshot_ts_utc"].dt.hour == hour) & rows["instrument_name"].str.startswith(name or "BTC")]
    path = folder / f"chain-{hour}{name}.parquet"
    own.to_parquet(folder / ".part", index=False)
    (folder / ".part").replace(path)
    return path


def moments(follower: Follower, **options: bool) -> list[datetime | None]:
    return [one.as_of for one in follower.poll(**options)]


def test_each_snapshot_is_given_once_in_order(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    follower = Follower(tmp_path, venue=deribit)
    assert follower.poll() == []
    written(rows, 16, tmp_path)
    written(rows, 10, tmp_path)
    assert moments(follower) == MOMENTS[:2]
    assert moments(follower) == []
    written(rows, 22, tmp_path)
    assert moments(follower) == MOMENTS[2:]


def test_the_last_alone_is_given_where_that_is_asked(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    for hour in (10, 16):
        written(rows, hour, tmp_path)
    follower = Follower(tmp_path, venue=deribit)
    assert moments(follower, last_only=True) == MOMENTS[1:2]
    assert moments(follower) == []


def test_what_is_earlier_than_what_was_given_is_passed_over(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    follower = Follower(tmp_path, venue=deribit)
    written(rows, 16, tmp_path)
    assert moments(follower) == MOMENTS[1:2]
    written(rows, 10, tmp_path)
    assert moments(follower) == []


def test_files_of_two_coins_are_one_snapshot(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    for name in ("BTC", "ETH"):
        written(rows, 16, tmp_path, name)
    written(rows, 22, tmp_path)
    found = Follower(tmp_path, venue=deribit).poll()
    assert [one.chain.underlyings for one in found if one.chain is not None] == [("BTC", "ETH"), ("BTC",)]


def test_a_half_written_file_is_tried_again(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    path = written(rows, 10, tmp_path)
    whole = path.read_bytes()
    follower = Follower(tmp_path, venue=deribit)
    for size in (0, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert follower.poll() == []
    path.write_bytes(whole)
    assert moments(follower) == MOMENTS[:1]


def test_a_file_that_stays_broken_is_reported_once(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    path = written(rows, 10, tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    follower = Follower(tmp_path, venue=deribit)
    assert follower.poll() == []
    (seen,) = follower.poll()
    assert seen.chain is None
    assert "cannot be read" in seen.problem
    assert follower.poll() == []


def test_a_snapshot_that_is_refused_says_why(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    written(rows.assign(bid_price_coin=rows["ask_price_coin"] + 0.01), 10, tmp_path)
    (seen,) = Follower(tmp_path, venue=deribit).poll()
    assert (seen.as_of, seen.chain) == (MOMENTS[0], None)
    assert "above ask" in seen.problem
    (dropped,) = Follower(tmp_path, venue=deribit, drop=("uncrossed",)).poll()
    assert dropped.chain is not None


def test_hidden_and_other_files_are_left_alone(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    path = written(rows, 10, tmp_path)
    path.replace(tmp_path / ".chain-10.parquet")
    (tmp_path / "chain-10.parquet.part").write_bytes(b"PAR1")
    (tmp_path / "notes.csv").write_text("a,b\n")
    assert Follower(tmp_path, venue=deribit).poll() == []
    with pytest.raises(DataError, match="is not a folder"):
        Follower(tmp_path / "none", venue=deribit)


def batch(rows: pd.DataFrame, hour: int) -> Batch:
    own = rows[(rows["snapshot_ts_utc"].dt.hour == hour) & rows["instrument_name"].str.startswith("BTC")]
    moment = datetime(2026, 2, 5, hour, tzinfo=UTC)
    return Batch(key="chain", as_of=moment, known_at=moment, tables={"chain": pq.read_table(BytesIO(own.to_parquet()))})


def test_of_a_collected_folder_only_what_is_acknowledged_is_given(
    rows: pd.DataFrame, deribit: Venue, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        follower = Follower(tmp_path, venue=deribit)
        assert follower.poll() == []
        for hour in (10, 16):
            entry = store.append(batch(rows, hour))
        stray = entry.files[0].with_name("chain-20260205T180000000000Z.parquet")
        stray.write_bytes(entry.files[0].read_bytes())
        assert moments(follower, last_only=True) == MOMENTS[1:2]
        entry = store.append(batch(rows, 22))
        assert moments(follower) == MOMENTS[2:]
        assert follower.poll() == []


def test_of_a_collected_folder_changed_content_is_refused(rows: pd.DataFrame, deribit: Venue, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        entry = store.append(batch(rows, 10))
        content = bytearray(entry.files[0].read_bytes())
        content[50] ^= 1
        entry.files[0].write_bytes(content)
        (seen,) = Follower(tmp_path, venue=deribit).poll()
        assert seen.chain is None
        assert "not what was acknowledged" in seen.problem
