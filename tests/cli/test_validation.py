"""`greekdrift data validate`: what it says, what it writes and how it exits."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

NAME = "BTC-20FEB26-60000-P"


@pytest.fixture(scope="module")
def crossed(chains_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three snapshots with one crossed quote in the second."""
    table = pd.read_parquet(chains_file)
    at = table.index[table["instrument_name"] == NAME][1]
    table.loc[at, "bid_price_coin"] = table.loc[at, "ask_price_coin"] + 0.01
    path = tmp_path_factory.mktemp("crossed") / "crossed_chain.parquet"
    table.to_parquet(path)
    return path


def test_sound_chains_exit_with_zero(run: Callable, chain_file: Path):
    done = run("data", "validate", chain_file)
    assert done.code == 0, done.err
    assert "every chain is sound: nothing of severity error" in done.err


def test_a_crossed_quote_is_named_with_its_remedy_and_exits_with_one(run: Callable, crossed: Path):
    done = run("data", "validate", crossed)
    assert done.code == 1
    line = next(line for line in done.out.splitlines() if "crossed" in line and NAME in line)
    assert "2026-02-05 20:00" in line
    assert "quality.uncrossed" in line
    assert "nothing was repaired" in done.err


def test_the_severity_asked_for_decides(run: Callable, chains_file: Path, tmp_path: Path):
    table = pd.read_parquet(chains_file)
    at = table.index[table["instrument_name"] == NAME][1]
    table.loc[at, "ask_price_coin"] += 0.00023
    path = tmp_path / "off_chain.parquet"
    table.to_parquet(path)
    assert run("data", "validate", path, "--no-surfaces").code == 0
    assert run("data", "validate", path, "--no-surfaces", "--severity", "warning").code == 1
    assert run("data", "validate", path, "--severity", "fatal").code == 2


def test_what_cannot_be_read_exits_with_two(run: Callable, chain_file: Path, tmp_path: Path):
    missing = tmp_path / "missing_chain.csv"
    pd.read_parquet(chain_file).drop(columns="mark_iv").to_csv(missing, index=False)
    done = run("data", "validate", missing)
    assert done.code == 2
    assert 'no column "mark_iv"' in done.err
    torn = tmp_path / "torn_chain.parquet"
    torn.write_bytes(chain_file.read_bytes()[:-9])
    assert run("data", "validate", torn).code == 2
    assert run("data", "validate", tmp_path / "nowhere.parquet").code == 2


def test_json_has_every_finding_with_its_worst_places(run: Callable, crossed: Path):
    done = run("data", "validate", crossed, "--json", "--examples", 1)
    said = json.loads(done.out)
    assert done.code == 1
    assert (said["snapshots"], said["underlyings"], said["worst"]) == (3, ["BTC"], "error")
    finding = next(one for one in said["findings"] if one["rule"] == "crossed")
    assert finding["count"] == 1
    place = finding["places"][0]
    assert (place["name"], place["snapshot"]) == (NAME, "2026-02-05T20:00:00Z")
    assert place["figure"] - place["limit"] == pytest.approx(0.01)
    assert all(len(one["places"]) <= 1 for one in said["findings"])


def test_the_page_needs_nothing_and_is_the_same_each_time(run: Callable, crossed: Path, tmp_path: Path):
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for page in pages:
        assert run("data", "validate", crossed, "--no-surfaces", "--html", page).code == 1
    text = pages[0].read_text(encoding="utf-8")
    assert text == pages[1].read_text(encoding="utf-8")
    assert text.count("data:image/svg+xml") == 3
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert NAME in text
    assert "Nothing was repaired." in text


def test_bad_rows_are_set_aside_and_a_clean_copy_is_made(run: Callable, crossed: Path, tmp_path: Path):
    aside, left = tmp_path / "aside", tmp_path / "left"
    before = crossed.read_bytes()
    assert run("data", "validate", crossed, "--quarantine", aside, "--clean", left).code == 1
    assert crossed.read_bytes() == before
    assert pd.read_parquet(aside / "rows" / crossed.name)["instrument_name"].tolist() == [NAME]
    assert run("data", "validate", left).code == 0
    assert len(pd.read_parquet(left / crossed.name)) == len(pd.read_parquet(crossed)) - 1
    again = run("data", "validate", crossed, "--quarantine", aside)
    assert again.code == 2
    assert "nothing is overwritten" in again.err


class Absent:
    """Finds that pandera is not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandera":
            raise ModuleNotFoundError(name, name=name)


def test_without_pandera_the_extra_is_named(run: Callable, chain_file: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [one for one in sys.modules if one.startswith(("pandera", "greekdrift.market.validation"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    done = run("data", "validate", chain_file)
    assert done.code == 2
    assert "greekdrift[data]" in done.err


def test_two_outputs_in_one_place_are_refused(run: Callable, chain_file: Path, tmp_path: Path):
    folder = tmp_path / "same"
    done = run("data", "validate", chain_file, "--quarantine", folder, "--clean", folder)
    assert done.code == 2
    assert "is named for two outputs" in done.err


DESCRIPTION = """
name: bars
source: made
licence: none
tables:
  - path: bars.parquet
    stamps: {column: open_ts, zone: UTC, event_after_hours: 1, lag_minutes: 1}
    hole_hours: 3
    keys: {A: {where: {}}}
    columns: {close: {of: close, unit: USD, above: 0}}
checks:
  - {says: "no hour lacks", figure: lacking, key: A, hours: 1, at_most: MOST}
"""


@pytest.mark.parametrize(("most", "code"), [(1, 0), (0, 1)])
def test_a_described_set_is_held_against_its_data(run: Callable, tmp_path: Path, most: int, code: int):
    hours = pd.date_range("2026-01-01", periods=48, freq="h", tz="UTC").delete(20)
    pd.DataFrame({"open_ts": hours, "close": 1.0}).to_parquet(tmp_path / "bars.parquet")
    path = tmp_path / "bars.yaml"
    path.write_text(DESCRIPTION.replace("MOST", str(most)), encoding="utf-8")
    done = run("data", "validate", path, "--root", tmp_path)
    assert done.code == code, done.err
    assert "no hour lacks" in done.out
    said = json.loads(run("data", "validate", path, "--root", tmp_path, "--json").out)
    assert said["stated"][0] | {"at_most": most} == said["stated"][0]
    assert (said["stated"][0]["measured"], said["stated"][0]["holds"]) == (1.0, code == 0)
    assert (said["series"][0]["rows"], said["series"][0]["step_hours"]) == (47, 1.0)
    refused = run("data", "validate", path)
    assert refused.code == 2
    assert "--root" in refused.err
    assert run("data", "validate", tmp_path / "bars.parquet", "--root", tmp_path).code == 2
    assert run("data", "validate", path, "--root", tmp_path, "--html", tmp_path / "page.html").code == 2
