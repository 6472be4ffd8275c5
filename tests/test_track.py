"""The record keeps what it is given, registers folders, and never harms the work."""

import json
import sqlite3
from pathlib import Path

import pytest

from greekdrift import track
from greekdrift.errors import TrackingError


@pytest.fixture(scope="module")
def record_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    (folder / "weights.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    (folder / "config.json").write_text(json.dumps({"format": 1}))
    return folder


@pytest.fixture(scope="module")
def written(record_folder: Path, artefact: Path) -> str:
    uri = track.address(record_folder)
    with track.open_record("night", uri=uri, artefacts=record_folder / "artefacts") as record:
        assert record.run_id is not None
        record.params({"seed": 7, "horizons": [6, 24], **{f"p{n}": n for n in range(150)}})
        for step in range(1200):
            record.metrics({"loss": 1.0 / (1 + step)}, step=step)
        record.text("# a card", "card.md")
        assert record.register(artefact, model="drift_net", card="scores") == "1"
        return record.run_id


def test_params_metrics_and_registry_are_kept(record_folder: Path, written: str) -> None:
    uri = track.address(record_folder)
    (run,) = [one for one in track.recorded(uri) if one["run_id"] == written]
    assert run["status"] == "FINISHED"
    assert run["metrics"]["loss"] == pytest.approx(1.0 / 1200)
    with sqlite3.connect(record_folder / "mlflow.db") as database:
        assert database.execute("select count(*) from metrics").fetchone() == (1200,)
        assert database.execute("select count(*) from params").fetchone() == (152,)
    champion = track.champion("drift_net", uri=uri)
    assert champion.version == "1"
    assert champion.run_id == written
    folder = Path(champion.source.removeprefix("file://"))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]


def test_nothing_recorded_is_a_pickle_or_code(record_folder: Path, written: str) -> None:
    assert written
    names = {path.name for path in (record_folder / "artefacts").rglob("*") if path.is_file()}
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".py")) or name == "MLmodel"}


def test_an_exception_marks_the_run_failed_and_passes(record_folder: Path, written: str) -> None:
    assert written
    with pytest.raises(ValueError, match="mine"), track.open_record("x", uri=track.address(record_folder)):
        raise ValueError("mine")
    assert track.recorded(track.address(record_folder))[0]["status"] == "FAILED"


def test_the_champion_of_nothing_is_a_clear_error(record_folder: Path, written: str) -> None:
    assert written
    with pytest.raises(TrackingError, match="train and register one"):
        track.champion("absent", uri=track.address(record_folder))


@pytest.mark.parametrize("uri", ["sqlite:////proc/no/such/mlflow.db", "http://127.0.0.1:9", "nonsense://x"])
def test_a_record_that_cannot_be_reached_is_silent_after_one_line(uri: str) -> None:
    lines: list[str] = []
    with track.open_record("night", uri=uri, warn=lines.append) as record:
        assert record.run_id is None
        record.params({"a": 1})
        record.metrics({"b": 2.0})
        record.figure(None, "x.png")
        assert record.register(Path(), model="m", card="") is None
    assert len(lines) == 1
    assert "the work goes on without it" in lines[0]


def test_a_record_that_breaks_off_says_so_once(
    record_folder: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written
    lines: list[str] = []
    record = track.open_record("night", uri=track.address(record_folder), warn=lines.append)
    assert isinstance(record, track.Record)

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(record.client, "log_batch", broken)
    with record:
        record.params({"a": 1})
        record.metrics({"b": 1.0})
        record.text("x", "y")
    assert len(lines) == 1
    assert "disk full" in lines[0]


def test_an_alias_follows_a_promotion_and_harms_nothing(record_folder: Path, artefact: Path, written: str) -> None:
    assert written
    uri, lines = track.address(record_folder), []
    assert track.name_version("drift_net", "1", alias="production", uri=uri, warn=lines.append)
    client = track._client(uri)
    assert client.get_model_version_by_alias("drift_net", "production").version in (1, "1")
    assert not track.name_version("absent", "1", alias="production", uri=uri, warn=lines.append)
    assert not track.name_version("drift_net", "1", alias="production", uri="http://127.0.0.1:9", warn=lines.append)
    assert len(lines) == 2
