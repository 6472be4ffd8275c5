"""Arrays mapped from disk: what comes back, what a writer that dies leaves, and what is not used."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.market import blocks

MOMENTS = np.array(["2026-01-01T00:00", "2026-02-05T08:00:00.000001"], dtype="datetime64[us]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    blocks.write(
        tmp_path / "made",
        {"state": np.arange(12.0).reshape(3, 4)[:, ::2], "as_of": MOMENTS, "none": np.empty((5, 0))},
        {"names": ["a", "b"]},
    )
    return tmp_path / "made"


def test_arrays_come_back_mapped_and_read_only(folder: Path) -> None:
    found = blocks.read(folder)
    assert found is not None
    state = found.arrays["state"]
    assert isinstance(state, np.memmap)
    np.testing.assert_array_equal(state, np.arange(12.0).reshape(3, 4)[:, ::2])
    np.testing.assert_array_equal(blocks.instants(found.arrays["as_of"]), MOMENTS)
    assert found.arrays["none"].shape == (5, 0)
    assert found.facts == {"names": ["a", "b"]}
    with pytest.raises(ValueError, match="read-only"):
        state[0, 0] = 1.0


def test_what_stands_is_not_written_again(folder: Path) -> None:
    blocks.write(folder, {"state": np.zeros(3)}, {})
    found = blocks.read(folder)
    assert found is not None
    assert found.arrays["state"].shape == (3, 2)
    assert [path.name for path in folder.parent.iterdir()] == ["made"]


def test_an_unfinished_folder_is_none(folder: Path) -> None:
    unfinished = folder.rename(folder.with_name("made.77.tmp"))
    assert blocks.read(folder) is None
    assert unfinished.is_dir()


@pytest.mark.parametrize("damage", ["cut", "bit", "facts", "lost", "object"])
def test_damaged_arrays_are_removed_not_used(folder: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    file = folder / "state.npy"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    elif damage == "bit":
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(bytes(data))
    elif damage == "facts":
        (folder / blocks.FACTS).write_text(json.dumps({"facts": {}})[:-2])
    elif damage == "lost":
        file.unlink()
    else:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    assert blocks.read(folder) is None
    assert not folder.exists()
    assert "made again" in caplog.text


@pytest.mark.parametrize("name", ["state.npy", "as_of.npy", blocks.FACTS])
def test_no_changed_byte_is_used(folder: Path, name: str) -> None:
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    for at in range(0, len(content[name]), 3):
        changed = bytearray(content[name])
        changed[at] ^= 1 << (at % 7)
        folder.mkdir(exist_ok=True)
        for other, whole in content.items():
            (folder / other).write_bytes(bytes(changed) if other == name else whole)
        assert blocks.read(folder) is None, (name, at)


def test_writers_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    start = Barrier(8)

    def work(number: int) -> float:
        start.wait()
        blocks.write(folder, {"state": np.arange(5000.0)}, {"n": 1})
        found = blocks.read(folder)
        assert found is not None
        return float(found.arrays["state"].sum())

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {np.arange(5000.0).sum()}
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="plain name"):
        blocks.write(tmp_path / "x", {"../a": np.zeros(2)}, {})
    with pytest.raises(DataError, match="plain numbers"):
        blocks.write(tmp_path / "x", {"a": np.array([None])}, {})
    assert not (tmp_path / "x").exists()


def test_what_a_killed_writer_left_is_removed_and_a_running_one_is_let_be(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, alive = (tmp_path / f"one.{number}.7.tmp" for number in (gone.pid, os.getpid()))
    for left in (dead, alive):
        left.mkdir()
    blocks.write(tmp_path / "one", {"a": np.arange(3)}, {})
    assert (dead.exists(), alive.exists()) == (False, True)
