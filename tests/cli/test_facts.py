"""Facts of chains on the command line: the table, the JSON, the page, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from greekdrift.cli import main

    path = tmp_path_factory.mktemp("facts") / "made.parquet"
    with pytest.raises(SystemExit) as ended:
        main(["data", "simulate", "--days", "10", "--underlyings", "BTC", "--seed", "3", "--out", str(path)])
    assert not ended.value.code
    return path


def test_measures_stand_beside_each_other_and_on_a_page(run: Callable, chains: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(chains.read_bytes())
    page = tmp_path / "facts.html"
    done = run("data", "facts", chains, "--beside", other, "--json", "--out", page)
    assert done.code == 0
    found = json.loads(done.out)
    assert list(found) == ["made BTC", "other BTC"]
    assert found["made BTC"] == found["other BTC"]
    assert found["made BTC"]["changes"] == 40
    assert 0.1 < found["made BTC"]["volatility"] < 2.0
    text = page.read_text()
    assert "made BTC" in text
    assert "volatility of ln σ at the money, 30 days, a year" in text
    assert "_of_atm" not in text


def test_table_and_refusals(run: Callable, chains: Path, chain_file: Path, tmp_path: Path) -> None:
    done = run("data", "facts", chains)
    assert done.code == 0
    assert "correlation of a return and the next |return|" in " ".join(done.out.split())
    assert "spot_vol" not in done.out
    assert "data simulate" in done.err
    assert run("data", "facts", chain_file).code != 0
    assert run("data", "facts", chains, "--out", tmp_path / "facts.txt").code == 2
