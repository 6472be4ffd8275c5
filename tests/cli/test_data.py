"""Chain files in and out, and the surface of one."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from greekdrift.features.events import read_schedules


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from greekdrift.cli import main

    path = tmp_path_factory.mktemp("simulated") / "chain.parquet"
    with pytest.raises(SystemExit) as exit_:
        main(["data", "simulate", "--days", "1", "--underlyings", "BTC", "--seed", "3", "--out", str(path)])
    assert not exit_.value.code
    return path


def test_a_simulation_is_sound_and_the_same_for_a_seed(run: Callable, simulated: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    assert run("data", "simulate", "--days", 1, "--underlyings", "BTC", "--seed", 3, "--out", again).code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(simulated), pd.read_parquet(again))
    done = run("data", "validate", simulated)
    assert done.code == 0
    assert "every chain is sound" in done.err


def test_a_simulation_under_bates_and_its_schedule(run: Callable, tmp_path: Path) -> None:
    out, events = tmp_path / "bates.parquet", tmp_path / "events.csv"
    asked = ("data", "simulate", "--days", 1, "--underlyings", "BTC", "--out", out, "--events", events)
    done = run(*asked)
    assert done.code == 2
    assert "--model bates" in done.err
    assert run(*asked, "--model", "bates").code == 0
    schedule = read_schedules(events)["release"]
    assert len(schedule.at) > 10
    assert "every chain is sound" in run("data", "validate", out).err
    assert run(*asked, "--model", "bates").code == 2
    assert "bates" in run("data", "simulate", "--days", 1, "--out", tmp_path / "x.parquet", "--model", "heston").err


def test_a_simulation_replaces_nothing_unless_told_to(run: Callable, tmp_path: Path) -> None:
    taken = tmp_path / "taken.parquet"
    taken.write_text("kept")
    asked = ("data", "simulate", "--days", 1, "--underlyings", "BTC", "--out", taken)
    done = run(*asked)
    assert (done.code, taken.read_text()) == (2, "kept")
    assert "--force" in done.err
    assert run(*asked, "--force").code == 0
    assert len(pd.read_parquet(taken)) > 100


def test_an_underlying_named_twice_is_refused(run: Callable, tmp_path: Path) -> None:
    done = run("data", "simulate", "--days", 1, "--underlyings", "BTC, BTC", "--out", tmp_path / "x.parquet")
    assert done.code == 2
    assert "BTC twice" in done.err
    assert not (tmp_path / "x.parquet").exists()


def test_list_names_the_packaged_data(run: Callable) -> None:
    done = run("data", "list")
    assert done.code == 0
    assert done.out.count("content as expected") == 5
