"""Evaluate and train on a small simulated market; runs and report find what they left."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "experiment" / "simulated.yaml"
SMALL = (
    "data.days=16",
    "data.underlyings=[BTC]",
    "scenarios=32",
    "horizons=[6, 24]",
    "forecaster={use: drift_net, epochs: 2, members: 1, draws: 8, batch_draws: 4}",
    "baselines=[{use: clock}, {use: fhs}]",
    "evaluation={start: 2025-01-13T00:00Z, horizons: [6, 24], every: 4, scenarios: 16, min_train: 20}",
)


def _settings() -> list[str]:
    return [word for setting in SMALL for word in ("--set", setting)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def test_evaluate_prints_and_keeps_the_scorecard(run: Callable, runs: Path) -> None:
    done = run("evaluate", "--config", CONFIG, *_settings(), "--runs", runs)
    assert done.code == 0, done.err
    assert "drift_net" in done.out
    assert "recorded as MLflow run" in done.err
    (folder,) = (path.parent for path in runs.glob("*/scorecard.json"))
    assert {row["name"] for row in json.loads((folder / "scorecard.json").read_text())["chart"]} >= {
        "clock",
        "drift_net",
    }
    assert (folder / "scorecard.png").stat().st_size > 10_000
    assert "seed: 7" in (folder / "experiment.yaml").read_text()


def test_train_keeps_an_artefact_that_forecast_and_propose_read(run: Callable, runs: Path, tmp_path: Path) -> None:
    done = run("train", "--config", CONFIG, *_settings(), "--runs", runs)
    assert done.code == 0, done.err
    assert "champion of greekdrift-simulated" in done.err
    (model,) = runs.glob("*/model")
    assert not [path for path in model.rglob("*") if path.suffix in (".pkl", ".pt", ".py", ".joblib")]
    book = tmp_path / "book.yaml"
    book.write_text("accounts: [{account_id: a, collateral: {BTC: 1}, positions: {BTC-PERPETUAL: 100}}]")
    out = tmp_path / "forecast.json"
    shared = ["--config", CONFIG, *_settings(), "--runs", runs, "--book", book, "--model", model]
    done = run("forecast", *shared, "--out", out)
    assert done.code == 0, done.err
    labels = [one["label"] for one in json.loads(out.read_text())["accounts"][0]["quantities"]]
    assert "pnl_usd" in labels
    done = run("propose", *shared)
    assert done.code == 0, done.err
    assert "no mandate" in done.out


def test_a_tracking_server_that_is_down_harms_nothing(run: Callable, runs: Path, tmp_path: Path) -> None:
    settings = [*_settings(), "--set", "tracking_uri=http://127.0.0.1:9"]
    done = run("train", "--config", CONFIG, *settings, "--runs", runs, "--out", tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("the work goes on without it") == 1
    assert (tmp_path / "model" / "manifest.json").is_file()


def test_a_corrupt_model_is_one_clear_message(run: Callable, runs: Path, book_file: Path, tmp_path: Path) -> None:
    (model,) = runs.glob("*/model")
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in model.iterdir():
        content = bytearray(path.read_bytes())
        if path.suffix == ".safetensors":
            content[-1] ^= 1
        (broken / path.name).write_bytes(content)
    done = run("forecast", "--config", CONFIG, *_settings(), "--runs", runs, "--book", book_file, "--model", broken)
    assert done.code == 2
    assert "broken" in done.err
    assert "Traceback" not in done.err


def test_runs_and_report_find_the_run(run: Callable, runs: Path) -> None:
    listed = run("runs", "--runs", runs)
    assert listed.code == 0
    (folder,) = (path.parent for path in runs.glob("*/scorecard.json"))
    assert folder.name in listed.out
    done = run("report", folder.name, "--runs", runs)
    assert done.code == 0
    assert (folder / "report.html").stat().st_size > 10_000
    assert run("report", folder.name[:-2], "--runs", runs).code == 2


def test_no_runs_is_no_mistake(run: Callable, tmp_path: Path) -> None:
    done = run("runs", "--runs", tmp_path)
    assert done.code == 0
    assert "greekdrift demo" in done.err
