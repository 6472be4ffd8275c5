"""`greekdrift explain`: from files or instants to a table that adds up, a picture, and clear refusals."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greekdrift.cli.two_chains import End, end_of
from greekdrift.surface.attribution import PARTS

START, END = "2026-02-05T08:00Z", "2026-02-06T08:00Z"


def _number(text: str) -> float:
    return float(text) if text else 0.0


def test_two_files_are_explained_and_the_parts_add_up(
    run: Callable, chain_file: Path, later_file: Path, book_file: Path, tmp_path: Path
) -> None:
    out, numbers = tmp_path / "why.csv", tmp_path / "why.json"
    done = run(
        "explain", "--from", chain_file, "--to", later_file, "--book", book_file, "--out", out, "--json", numbers
    )
    assert done.code == 0, done.err
    assert "The market from 2026-02-05T08:00:00Z to 2026-02-06T08:00:00Z, 24.0 hours" in done.out
    assert "+3.00 %" in done.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["quantity"] for row in rows} == {"pnl_usd", "delta_net", "gamma", "vega", "theta"}
    for row in rows:
        assert sum(_number(row[part]) for part in PARTS) == pytest.approx(_number(row["change"]), rel=1e-9)
    found = json.loads(numbers.read_text())
    assert found["hours"] == 24.0
    assert found["market"]["BTC"]["forward"] == pytest.approx(0.0295588, abs=1e-6)
    levels = {by: sum(row["change"] for row in found["by"][by] if row["quantity"] == "pnl_usd") for by in found["by"]}
    assert levels == pytest.approx(dict.fromkeys(levels, levels["account"]))
    short = next(row for row in found["by"]["instrument"] if row["label"] == "BTC-27MAR26-80000-C")
    assert short["clock"] > 0.0 > short["level"]


def test_one_file_by_instants_with_units_and_drill_down(
    run: Callable, chains_file: Path, book_file: Path, tmp_path: Path
) -> None:
    changes = {}
    for units in ("venue", "internal"):
        out = tmp_path / f"{units}.parquet"
        done = run(
            "explain", "--chain", chains_file, "--from", START, "--to", END, "--book", book_file, "--by", "instrument",
            "--quantity", "vega,equity_usd", "--units", units, "--out", out,
        )  # fmt: skip
        assert done.code == 0, done.err
        table = pq.read_table(out).to_pylist()
        changes[units] = next(row["change"] for row in table if row["label"] == "BTC-27MAR26-70000-C")
        assert any(row["label"] == "BTC collateral" and row["spot"] > 0.0 for row in table)
    assert changes["venue"] * 100.0 == pytest.approx(changes["internal"])
    assert "USD per 1.00" in done.out


@pytest.mark.parametrize("name", ["why.png", "why.html"])
def test_a_waterfall_is_drawn(run: Callable, chains_file: Path, book_file: Path, tmp_path: Path, name: str) -> None:
    given = ["explain", "--from", f"{chains_file}@{START}", "--to", f"{chains_file}@{END}", "--book", book_file]
    done = run(*given, "--plot", tmp_path / name)
    assert done.code == 0, done.err
    assert f"wrote {tmp_path / name}" in done.err
    first = (tmp_path / name).read_bytes()
    assert len(first) > 10_000
    if name.endswith("html"):
        assert b"data:image/svg+xml;base64," in first
        assert b"<script" not in first
        again = run(*given, "--plot", tmp_path / name)
        assert f"replaced {tmp_path / name}" in again.err
        assert (tmp_path / name).read_bytes() == first


def test_a_line_that_is_gone_is_named(
    run: Callable, chain_file: Path, later_file: Path, book_file: Path, tmp_path: Path
) -> None:
    text = [line for line in later_file.read_text().splitlines() if "BTC-27MAR26-70000-P" not in line]
    (tmp_path / "later.csv").write_text("\n".join(text) + "\n")
    done = run("explain", "--from", chain_file, "--to", tmp_path / "later.csv", "--book", book_file)
    assert done.code == 0, done.err
    assert "* without BTC-27MAR26-70000-P: neither listed nor expired" in done.err
    assert "2 of 3 lines *" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "{chain}", "--to", "absent.parquet"], "--to absent.parquet: there is no such file"),
        (["--from", START, "--to", END], "give --chain FILE"),
        (["--from", "{later}", "--to", "{chain}"], "swap them"),
        (["--from", "{chains}", "--to", "{later}"], "has 3 instants"),
        (["--from", "{chain}", "--to", "{later}", "--quantity", "delta_nett"], 'did you mean "delta_net"'),
        (["--from", "{chain}", "--to", "{later}", "--quantity", ","], "--quantity is empty"),
        (["--from", "{chain}", "--to", "{later}", "--underlying", "BTCC"], 'did you mean "BTC"'),
        (["--from", "{chain}", "--to", "{later}", "--delivery", "BTC-PERPETUAL=1"], "a dated contract and its price"),
        (["--from", "{chain}", "--to", "{later}", "--delivery", "BTC-6FEB26=1"], "nothing that is held settled then"),
        (["--from", "{chain}", "--to", "{later}", "--out", "{later}"], "would be lost"),
        (["--from", "{chain}", "--to", "{later}", "--plot", "why.gif"], ".png, .svg, .pdf or .html"),
        (["--from", "{book}", "--to", "{later}"], "is no .parquet or .csv file"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, later_file: Path, chains_file: Path, book_file: Path, arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    files = {"chain": chain_file, "later": later_file, "chains": chains_file, "book": book_file}
    done = run("explain", *(one.format(**files) for one in arguments), "--book", book_file)
    assert done.code == 2, done.err
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_time_beside_a_file_is_looked_up_in_it(run: Callable, chains_file: Path, book_file: Path) -> None:
    done = run("explain", "--from", f"{chains_file}@{START}", "--to", END, "--book", book_file)
    assert done.code == 0, done.err
    assert "24.0 hours" in done.out


def test_an_end_is_a_file_or_an_instant_or_both(chains_file: Path) -> None:
    assert end_of(str(chains_file), option="--from") == End(path=chains_file, at=None)
    assert end_of(f"{chains_file}@{START}", option="--from") == End(path=chains_file, at=START)


def test_packaged_data_are_explained_with_the_book_of_their_experiment(run: Callable) -> None:
    pytest.importorskip("qmoms")
    config = Path(__file__).resolve().parents[2] / "configs" / "experiment" / "demo.yaml"
    done = run(
        "explain", "--config", config, "--from", "2023-12-21T21:00Z", "--to", "2023-12-26T21:00Z",
        "--quantity", "pnl_usd", "--underlying", "CAT",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "collar" in done.out
    assert "AAPL" not in done.out
