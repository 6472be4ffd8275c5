"""`greekdrift greeks`: both views and units, chains and books in every format, three deltas, vega by tenor."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from greekdrift.config import load_venue
from greekdrift.market.parquet import read_chain, write_chain


def _rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def csv_chain(chain_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    chain = read_chain(chain_file, venue=load_venue("deribit"))
    return write_chain(chain, tmp_path_factory.mktemp("csv") / "chain.csv")


@pytest.fixture(scope="module")
def book_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("book") / "book.csv"
    path.write_text(
        "account_id,instrument,quantity\nmaker,BTC-27MAR26-70000-C,-5\nmaker,BTC-27MAR26-70000-P,-5\n"
        "maker,BTC-PERPETUAL,20000\nmaker,BTC,3\nmaker,USDC,50000\nsilent,BTC-27MAR26-80000-C,-1\nsilent,BTC,1\n"
    )
    return path


def test_csv_and_parquet_give_the_same_numbers(
    run: Callable, chain_file: Path, csv_chain: Path, book_file: Path, book_table: Path, tmp_path: Path
) -> None:
    for at, (chain, book) in enumerate([(chain_file, book_file), (csv_chain, book_table)]):
        assert run("greeks", "--chain", chain, "--out", tmp_path / f"chain{at}.json").code == 0
        assert run("greeks", "--chain", chain, "--book", book, "--out", tmp_path / f"book{at}.json").code == 0
    for what in ("chain", "book"):
        for row, twin in zip(_rows(tmp_path / f"{what}0.json"), _rows(tmp_path / f"{what}1.json"), strict=True):
            assert list(row) == list(twin)
            for name, value in row.items():
                assert value == (pytest.approx(twin[name], rel=1e-12) if isinstance(value, float) else twin[name])


def test_the_coin_view_is_worth_the_mark_and_has_the_premium_adjusted_delta(
    run: Callable, chain_file: Path, tmp_path: Path
) -> None:
    for view in ("usd", "coin"):
        done = run(
            "greeks", "--chain", chain_file, "--view", view, "--names", "value,delta,vega",
            "--out", tmp_path / f"{view}.parquet",
        )  # fmt: skip
        assert done.code == 0, done.err
    usd, coin = (pq.read_table(tmp_path / f"{view}.parquet").to_pylist() for view in ("usd", "coin"))
    marks = dict(zip(*_marks(chain_file), strict=True))
    for row, twin in zip(usd, coin, strict=True):
        if row["instrument"] == "BTC-PERPETUAL":
            continue
        assert twin["value"] == pytest.approx(marks[row["instrument"]], rel=1e-9)
        assert twin["delta"] == pytest.approx(row["delta"] - twin["value"], abs=1e-12)
        assert twin["vega"] == pytest.approx(row["vega"] / row["forward"], rel=1e-12)
    assert "value in coins, delta in coins, vega in coins per point" in done.out


def _marks(path: Path) -> tuple[list[str], list[float]]:
    chain = read_chain(path, venue=load_venue("deribit"))
    return [one.name for one in chain.instruments], chain.mark.tolist()


def test_a_book_shows_three_deltas_and_vega_by_tenor(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path
) -> None:
    done = run("greeks", "--chain", chain_file, "--book", book_file, "--out", tmp_path / "book.csv")
    assert done.code == 0, done.err
    assert "The three deltas and the coin equity" in done.out
    assert "Vega by days to expiry, USD per point" in done.out
    for row in csv.DictReader((tmp_path / "book.csv").read_text().splitlines()):
        buckets = sum(float(row[f"vega {label}"]) for label in ("0-7d", "7-30d", "30-90d", "90-180d", "180d+"))
        assert buckets == pytest.approx(float(row["vega"]))
        equity = float(row["delta_collateral"]) - float(row["delta_net"])
        assert equity == pytest.approx(float(row["coin_equity"]))


def test_every_name_in_both_views(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    names = "value,delta,gamma,vega,theta,rho,vanna,volga,charm,veta,speed,zomma,color"
    for view in ("usd", "coin"):
        done = run("greeks", "--chain", chain_file, "--view", view, "--names", names, "--out", tmp_path / "g.json")
        assert done.code == 0, done.err
        assert all(value is not None for name, value in _rows(tmp_path / "g.json")[0].items() if name in names)


def test_the_chain_of_an_experiment(run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("qmoms")
    config = Path(__file__).resolve().parents[2] / "configs" / "experiment" / "demo.yaml"
    done = run("greeks", "--config", config, "--at", "2023-12-26T21:00Z", "--view", "coin", "--out", tmp_path / "g.csv")
    assert done.code == 0, done.err
    assert "linear contracts are paid in USD" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chain", "{chain}", "--names", "vana"], 'did you mean "vanna"'),
        (["--chain", "{chain}", "--names", "delta_net", "--view", "coin"], 'did you mean "delta"'),
        (["--chain", "{book}"], "a book goes to --book"),
        (["--chain", "{table}"], "this is a book, not a chain"),
        ([], "give --chain FILE"),
        (["--chain", "{chain}", "--out", "{chain}"], "would be lost"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, book_file: Path, book_table: Path, arguments: list[str], message: str
) -> None:
    files = {"chain": chain_file, "book": book_file, "table": book_table}
    done = run("greeks", *(one.format(**files) for one in arguments))
    assert done.code == 2
    assert message in done.err


def test_a_file_that_is_written_again_is_said_to_be_replaced(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    for verb in ("wrote", "replaced"):
        done = run("greeks", "--chain", chain_file, "--out", tmp_path / "g.csv")
        assert f"{verb} {tmp_path / 'g.csv'} (29 rows)" in done.err


@pytest.mark.shared
def test_a_whole_venue_chain_at_once(run: Callable, shared: Path, tmp_path: Path) -> None:
    files = shared / "data" / "deribit_option_chain_6h"
    done = run("greeks", "--chain", files, "--at", "2026-02-05T04:30Z", "--out", tmp_path / "g.parquet")
    assert done.code == 0, done.err
    assert pq.read_metadata(tmp_path / "g.parquet").num_rows > 1_500
