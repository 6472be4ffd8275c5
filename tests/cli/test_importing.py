"""Tables of others become chain files, and the diff says how; nothing is replaced or left half written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

COLUMNS = ("mark_iv", "mark_price_coin", "bid_price_coin", "forward_price_usd", "index_price_usd")


@pytest.fixture
def theirs(chain_file: Path) -> pd.DataFrame:
    """Options of the chain in other words: milliseconds, per cent, OKX names, one index, no forward."""
    rows = pd.read_parquet(chain_file)
    rows = rows[rows["strike_usd"].notna()].reset_index(drop=True)
    day = rows["expiry_ts_utc"].dt.strftime("%y%m%d")
    side = rows["option_type"].str[0].str.upper()
    return pd.DataFrame(
        {
            "ts": rows["snapshot_ts_utc"].astype("int64") // 1000,
            "instId": "BTC-USD-" + day + "-" + rows["strike_usd"].map("{:.0f}".format) + "-" + side,
            "IV": rows["mark_iv"] * 100.0,
            "bid": rows["bid_price_coin"],
            "ask": rows["ask_price_coin"],
            "mark": rows["mark_price_coin"],
            "spot": rows["index_price_usd"],
        }
    )


def same(made: Path, chain_file: Path) -> None:
    left, right = pd.read_parquet(made), pd.read_parquet(chain_file)
    left, right = (one[one["strike_usd"].notna()].set_index("instrument_name").sort_index() for one in (left, right))
    assert list(left.index) == list(right.index)
    for name in COLUMNS:
        np.testing.assert_allclose(left[name], right[name], rtol=1e-9, err_msg=name)


def test_everything_that_can_be_inferred_is(
    run: Callable, theirs: pd.DataFrame, chain_file: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "mine.csv", tmp_path / "ours.parquet"
    theirs.to_csv(path, index=False, sep=";", decimal=",")
    looked = run("data", "import", path, "--dry-run")
    assert looked.code == 0, looked.err
    for said in (
        "semicolon",
        "milliseconds since 1970",
        "per cent / 100",
        "put-call parity",
        "coins by the Black price",
        "in our form of names",
    ):
        assert said in looked.out
    assert not list(tmp_path.glob("*.parquet"))
    done = run("data", "import", path, "--out", out)
    assert done.code == 0, done.err
    same(out, chain_file)


def test_what_is_there_is_replaced_only_by_force(run: Callable, theirs: pd.DataFrame, tmp_path: Path) -> None:
    path, out = tmp_path / "mine.csv", tmp_path / "ours.parquet"
    theirs.to_csv(path, index=False)
    out.write_bytes(b"precious")
    refused = run("data", "import", path, "--out", out)
    assert refused.code == 2
    assert "--force" in refused.err
    assert out.read_bytes() == b"precious"
    assert run("data", "import", path, "--out", out, "--force").code == 0
    assert len(pd.read_parquet(out)) == len(theirs) + 1


def test_a_table_that_is_refused_leaves_what_was_there(run: Callable, theirs: pd.DataFrame, tmp_path: Path) -> None:
    path, out = tmp_path / "mine.csv", tmp_path / "ours.parquet"
    theirs.assign(mark=-theirs["mark"]).to_csv(path, index=False)
    out.write_bytes(b"precious")
    assert run("data", "import", path, "--out", out, "--force").code == 2
    assert out.read_bytes() == b"precious"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.csv", "ours.parquet"]


def test_what_cannot_be_told_is_asked_for_with_the_nearest_word(
    run: Callable, theirs: pd.DataFrame, chain_file: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "mine.csv", tmp_path / "ours.parquet"
    theirs.rename(columns={"ts": "snapshot_tx"}).to_csv(path, index=False)
    refused = run("data", "import", path, "--dry-run")
    assert refused.code == 2
    assert 'did you mean "snapshot_tx"?' in refused.err
    assert "--map yours=snapshot_ts_utc" in refused.err
    wrong = run("data", "import", path, "--dry-run", "--map", "snapshot_tx=snapshot_ts_ut")
    assert wrong.code == 2
    assert 'did you mean "snapshot_ts_utc"?' in wrong.err
    assert run("data", "import", path, "--out", out, "--map", "snapshot_tx=snapshot_ts_utc").code == 0
    same(out, chain_file)


def test_our_own_form_comes_back_as_it_was(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.parquet"
    assert run("data", "import", chain_file, "--out", out).code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(chain_file))


def test_usage_that_cannot_be_is_refused(run: Callable, theirs: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    theirs.to_csv(path, index=False)
    assert "--out" in run("data", "import", path).err
    assert "--dry-run" in run("data", "import", path, "--dry-run", "--out", tmp_path / "x.parquet").err
    assert "yours=ours" in run("data", "import", path, "--dry-run", "--map", "ts").err
    assert "one by one" in run("data", "import", path, path, "--dry-run").err


TICKS = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,"
    "bid_price,bid_iv,ask_price,ask_iv,mark_price,mark_iv,underlying_price\n"
    "deribit,BTC-29MAR24-43000-P,1704067199900000,1704067200000001,put,43000,1711699200000000,390.8,"
    "0.0995,58.33,0.1025,59.9,0.1012,59.24,44198.06\n"
    "deribit,BTC-29MAR24-43000-C,1704070700000000,1704070700100000,call,43000,1711699200000000,10,"
    "0.1250,58.33,0.1300,59.9,0.1283,59.24,44198.06\n"
)


def test_recorded_ticks_become_chains_at_a_cadence(run: Callable, tmp_path: Path) -> None:
    path, out = tmp_path / "OPTIONS.csv.gz", tmp_path / "chains.parquet"
    path.write_bytes(gzip.compress(TICKS.encode()))
    done = run("data", "import", path, "--every", "10m", "--out", out)
    assert done.code == 0, done.err
    assert "2 of 2 contracts" in done.out
    assert pd.read_parquet(out)["snapshot_ts_utc"].nunique() == 5
    short = run("data", "import", path, "--every", "1d", "--dry-run")
    assert short.code == 2
    assert "give a shorter one" in short.err
