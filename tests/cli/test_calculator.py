"""The calculator's commands: numbers on the screen, files on disk, one message for a mistake."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greekdrift.cli.tables import plain, write
from greekdrift.errors import InputError


def test_greeks_of_a_chain_in_both_units(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    for units in ("venue", "internal"):
        done = run(
            "greeks", "--chain", chain_file, "--names", "vega", "--units", units, "--out", tmp_path / f"{units}.json"
        )
        assert done.code == 0
    venue, internal = (json.loads((tmp_path / f"{units}.json").read_text()) for units in ("venue", "internal"))
    assert len(venue) == 29
    for row, twin in zip(venue, internal, strict=True):
        assert row["vega"] * 100.0 == pytest.approx(twin["vega"])
    assert venue[-1]["mark_iv"] is None


def test_greeks_of_a_book(run: Callable, chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    done = run("greeks", "--chain", chain_file, "--book", book_file, "--out", tmp_path / "book.csv")
    assert done.code == 0
    assert "maker" in done.out
    rows = list(csv.DictReader((tmp_path / "book.csv").read_text().splitlines()))
    assert [row["account"] for row in rows] == ["maker", "silent"]
    assert float(rows[0]["vega"]) < 0.0


def test_implied_gives_a_volatility_or_the_reason(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    done = run("implied", "--chain", chain_file, "--out", tmp_path / "iv.parquet")
    assert done.code == 0
    table = pq.read_table(tmp_path / "iv.parquet").to_pydict()
    for implied, mark in zip(table["mark_iv"], table["venue_mark_iv"], strict=True):
        assert implied == pytest.approx(mark, abs=1e-9)
    assert set(table["mark_reason"]) == {"found"}


def test_margin_writes_every_scenario(run: Callable, chain_file: Path, book_file: Path, tmp_path: Path) -> None:
    done = run("margin", "--chain", chain_file, "--book", book_file, "--out", tmp_path / "margin.json")
    assert done.code == 0
    maker = json.loads((tmp_path / "margin.json").read_text())["accounts"]["maker"]
    assert maker["equity_usd"] - maker["initial_margin_usd"] == pytest.approx(maker["excess_usd"])
    assert len(maker["scenario_pnl_usd"]) > 20
    assert "dated default" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["greeks", "--chain", "absent.parquet"], "absent.parquet"),
        (["greeks", "--chain", "{chain}", "--names", "vegga"], 'did you mean "vega"'),
        (["greeks", "--chain", "{chain}", "--venue", "derbit"], 'did you mean "deribit"'),
        (["greeks", "--chain", "{chain}", "--book", "{chain}"], "is a chain, not a book"),
        (["greeks", "--chain", "{chain}", "--at", "noon"], "not an ISO 8601 time"),
        (["implied", "--chain", "{chain}", "--out", "iv.xlsx"], ".json, .csv or .parquet"),
        (["margin", "--chain", "{chain}", "--book", "{book}", "--rules", "derive"], "derive_pm2"),
        (["margin", "--chain", "{chain}"], "--book"),
        (["greeks", "--chain", "{chain}", "--names", ""], "--names is empty"),
        (["greeks", "--chain", "{chain}", "--names", " , "], "--names is empty"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, book_file: Path, arguments: list[str], message: str
) -> None:
    done = run(*(argument.format(chain=chain_file, book=book_file) for argument in arguments))
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_column_never_holds_nan(tmp_path: Path) -> None:
    assert plain([1.0, float("inf"), float("nan"), "x"]) == [1.0, None, None, "x"]
    with pytest.raises(InputError, match="xlsx"):
        write({"a": [1.0]}, tmp_path / "a.xlsx")


@pytest.mark.parametrize(
    "command",
    [
        ["greeks", "--chain", "{chain}"],
        ["implied", "--chain", "{chain}"],
        ["surface", "--chain", "{chain}"],
        ["margin", "--chain", "{chain}", "--book", "{book}"],
        ["data", "simulate", "--days", "1"],
        ["data", "import", "{chain}"],
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_computed(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "out.csv").mkdir()
    (tmp_path / "file").write_text("")
    given = [argument.format(chain=chain_file, book=book_file) for argument in command]
    targets = {"out.csv": "is a folder", "file/out.csv": "is a file, not a folder"}
    if command[0] != "margin":
        targets["out.txt"] = ".csv"
    for name, message in targets.items():
        done = run(*given, "--out", tmp_path / name)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["propose", "train", "evaluate"])
def test_a_file_in_place_of_a_folder_is_refused_first(run: Callable, tmp_path: Path, command: str) -> None:
    (tmp_path / "taken").write_text("kept")
    for option in ("--out", "--runs"):
        done = run(command, "--config", tmp_path / "absent.yaml", option, tmp_path / "taken")
        assert done.code == 2
        assert "is a file; name a folder" in done.err
    assert (tmp_path / "taken").read_text() == "kept"


def test_an_account_without_exposure_is_named(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("accounts:\n  - {account_id: cash, collateral: {USDC: 1000}, positions: {}}\n")
    done = run("greeks", "--chain", chain_file, "--book", book)
    assert done.code == 0
    assert "cash: no exposure to show" in done.err


@pytest.mark.parametrize("command", ["greeks", "margin", "propose"])
def test_brackets_in_a_name_are_shown_as_they_are(
    run: Callable, chain_file: Path, tmp_path: Path, command: str
) -> None:
    book = tmp_path / "book.yaml"
    text = 'accounts:\n  - {account_id: "[/red]odd", collateral: {BTC: 1}, positions: {BTC-PERPETUAL: 20000}}\n'
    book.write_text(text)
    done = run(command, "--chain", chain_file, "--book", book)
    assert done.code == 0, done.err
    assert "[/red]odd" in done.out


def test_a_long_title_stands_on_one_line(run: Callable, chain_file: Path) -> None:
    done = run("data", "list", "--root", chain_file.parent)
    assert f"Chain files in {chain_file.parent}" in done.out.splitlines()
