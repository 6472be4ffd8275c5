"""`greekdrift implied`: a volatility or the reason for each price, counted by side."""

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greekdrift.market.parquet import write_chain


def test_marks_imply_what_they_were_made_of_and_quotes_lie_around(
    run: Callable, chain_file: Path, tmp_path: Path
) -> None:
    done = run("implied", "--chain", chain_file, "--out", tmp_path / "iv.parquet")
    assert done.code == 0, done.err
    for row in pq.read_table(tmp_path / "iv.parquet").to_pylist():
        assert row["mark_iv"] == pytest.approx(row["venue_mark_iv"], abs=1e-9)
        for side, sign in (("bid", -1.0), ("ask", 1.0)):
            assert (row[f"{side}_iv"] is None) == (row[f"{side}_reason"] != "found")
            if row[f"{side}_iv"] is not None:
                assert sign * (row[f"{side}_iv"] - row["mark_iv"]) >= -1e-9
    assert "What 28 options imply" in done.out


def test_the_summary_counts_what_the_file_says(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    done = run("implied", "--chain", chain_file, "--price", "bid,ask", "--out", tmp_path / "iv.csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader((tmp_path / "iv.csv").read_text().splitlines()))
    assert "mark_iv" not in rows[0]
    table = done.out[done.out.index("What 28 options imply") :].splitlines()
    for side in ("bid", "ask"):
        line = next(line.split() for line in table if line.split()[:1] == [side])
        found = sum(row[f"{side}_reason"] == "found" for row in rows)
        assert int(line[1]) == found
        assert sum(map(int, line[1:])) == len(rows)


def test_linear_options_are_read_in_usd(run: Callable, make_chain: Callable, tmp_path: Path) -> None:
    chain = make_chain(underlying="SOL", index=150.0, currency="USDC")
    path = write_chain(chain.take(~chain.is_spot), tmp_path / "c.csv")
    done = run("implied", "--chain", path, "--out", tmp_path / "iv.parquet")
    assert done.code == 0, done.err
    table = pq.read_table(tmp_path / "iv.parquet").to_pylist()
    known = [row for row in table if row["mark_reason"] == "found"]
    assert len(known) > 40
    for row in known:
        assert row["mark_iv"] == pytest.approx(row["venue_mark_iv"], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chain", "{chain}", "--price", "bids"], 'did you mean "bid"'),
        (["--chain", "{book}"], "a book goes to --book"),
        (["--chain", "{chain}", "--out", "{chain}"], "would be lost"),
        ([], "give --chain FILE"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, book_file: Path, arguments: list[str], message: str
) -> None:
    done = run("implied", *(one.format(chain=chain_file, book=book_file) for one in arguments))
    assert done.code == 2
    assert message in done.err


def test_a_chain_without_options_is_refused(run: Callable, make_chain: Callable, tmp_path: Path) -> None:
    chain = make_chain()
    path = write_chain(chain.take(~chain.is_option & ~chain.is_spot), tmp_path / "futures.parquet")
    for command in ("implied", "surface"):
        done = run(command, "--chain", path)
        assert done.code == 2
        assert "lists no option" in done.err
