"""`greekdrift surface`: slices with their fit and ranges, pictures, and what was refused."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from greekdrift.market.parquet import write_chain


def test_each_slice_says_how_well_it_fits(run: Callable, chain_file: Path, tmp_path: Path) -> None:
    done = run("surface", "--chain", chain_file, "--out", tmp_path / "surface.json")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "surface.json").read_text())
    assert [row["expiry"] for row in rows] == ["2026-02-20 08:00", "2026-03-27 08:00"]
    for row in rows:
        assert row["atm"] == pytest.approx(0.6, abs=0.01)
        assert 0.0 <= row["rmse_points"] < 1.0
        assert row["rmse_spreads"] < 1.0
        assert row["free_from"] <= row["quoted_from"] < 0.0 < row["quoted_to"] <= row["free_to"]
        assert row["method"].startswith("svi")
    assert "2 slices on" in done.err
    assert "no butterfly or calendar arbitrage" in done.err


@pytest.mark.parametrize("name", ["surface.png", "surface.html"])
def test_the_picture_is_the_same_each_time(run: Callable, chain_file: Path, tmp_path: Path, name: str) -> None:
    done = run("surface", "--chain", chain_file, "--plot", tmp_path / name)
    assert done.code == 0, done.err
    first = (tmp_path / name).read_bytes()
    assert len(first) > 20_000
    assert "replaced" in run("surface", "--chain", chain_file, "--plot", tmp_path / name).err
    assert (tmp_path / name).read_bytes() == first


@pytest.fixture
def two_coins(make_chain: Callable, tmp_path: Path) -> Path:
    """Deribit's chains of two coins in one file, as CSV."""
    import pandas as pd

    from greekdrift.market.schema import table_of

    chains = [make_chain(), make_chain(underlying="ETH", index=2_500.0)]
    path = tmp_path / "coins.csv"
    pd.concat([table_of(one.take(~one.is_spot)) for one in chains]).to_csv(path, index=False)
    return path


def test_several_underlyings_need_a_page_or_a_choice(run: Callable, two_coins: Path, tmp_path: Path) -> None:
    refused = run("surface", "--chain", two_coins, "--plot", tmp_path / "both.png")
    assert refused.code == 2
    assert "name one with --underlying, or write an .html page" in refused.err
    page = run("surface", "--chain", two_coins, "--plot", tmp_path / "both.html", "--out", tmp_path / "both.csv")
    assert page.code == 0, page.err
    assert (tmp_path / "both.html").read_text().count("<img ") == 2
    assert {row["underlying"] for row in csv.DictReader((tmp_path / "both.csv").read_text().splitlines())} == {
        "BTC",
        "ETH",
    }
    one = run("surface", "--chain", two_coins, "--underlying", "ETH", "--plot", tmp_path / "one.svg")
    assert one.code == 0, one.err
    assert "BTC" not in one.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chain", "{chain}", "--underlying", "BTCC"], 'did you mean "BTC"'),
        (["--chain", "{chain}", "--plot", "surface.gif"], ".png, .svg, .pdf or .html"),
        (["--chain", "{chain}", "--plot", "{same}.html", "--out", "{same}.html"], ".json, .csv or .parquet"),
        (["--chain", "{book}"], "a book goes to --book"),
        ([], "give --chain FILE"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable, chain_file: Path, book_file: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    files = {"chain": chain_file, "book": book_file, "same": tmp_path / "same"}
    done = run("surface", *(one.format(**files) for one in arguments))
    assert done.code == 2
    assert message in done.err


def test_an_expiry_that_cannot_be_fitted_is_named(run: Callable, make_chain: Callable, tmp_path: Path) -> None:
    """Marks that jump from strike to strike follow no smile."""
    chain = make_chain(days=(9.0, 30.0, 91.0))
    wild = chain.is_option & (chain.time_to_expiry < 10.0 / 365.0)
    jump = np.where(wild & (np.arange(len(chain)) // 2 % 2 == 0), 1.6, 1.0)
    jumped = make_chain(days=(9.0, 30.0, 91.0), mark_iv=chain.mark_iv * jump)
    path = write_chain(jumped.take(~jumped.is_spot), tmp_path / "wild.parquet")
    done = run("surface", "--chain", path, "--out", tmp_path / "s.json")
    assert done.code == 0, done.err
    rows = json.loads((tmp_path / "s.json").read_text())
    refused = [row for row in rows if row["refused"]]
    assert [row["expiry"] for row in refused] == ["2026-01-10 08:00"]
    assert "BTC 2026-01-10 08:00 is refused" in done.err
    assert "*" in refused[0]["method"]
