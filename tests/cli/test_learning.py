"""Evaluate and train on a small simulated market; runs and report find what they left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="module")
def evaluated(run: Callable, runs: Path) -> Any:
    return run("evaluate", "--config", CONFIG, *_settings(), "--runs", runs, "--out", runs / "evaluated")


@pytest.fixture(scope="module")
def trained(run: Callable, runs: Path) -> Any:
    return run("train", "--config", CONFIG, *_settings(), "--runs", runs, "--out", runs / "trained")


def test_evaluate_prints_and_keeps_the_scorecard(evaluated: Any, runs: Path) -> None:
    assert evaluated.code == 0, evaluated.err
    assert "drift_net" in evaluated.out
    assert "recorded as MLflow run" in evaluated.err
    card = json.loads((runs / "evaluated" / "scorecard.json").read_text())
    assert {row["name"] for row in card["chart"]} >= {"clock", "drift_net"}
    assert (runs / "evaluated" / "scorecard.png").stat().st_size > 10_000
    assert "seed: 7" in (runs / "evaluated" / "experiment.yaml").read_text()


def test_train_keeps_an_artefact_that_forecast_and_propose_read(
    run: Callable, trained: Any, runs: Path, tmp_path: Path
) -> None:
    assert trained.code == 0, trained.err
    assert "champion of greekdrift-simulated" in trained.err
    model = runs / "trained" / "model"
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


def test_a_corrupt_model_is_one_clear_message(
    run: Callable, trained: Any, runs: Path, book_file: Path, tmp_path: Path
) -> None:
    assert trained.code == 0, trained.err
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (runs / "trained" / "model").iterdir():
        content = bytearray(path.read_bytes())
        if path.suffix == ".safetensors":
            content[-1] ^= 1
        (broken / path.name).write_bytes(content)
    done = run("forecast", "--config", CONFIG, *_settings(), "--runs", runs, "--book", book_file, "--model", broken)
    assert done.code == 2
    assert "broken" in done.err
    assert "Traceback" not in done.err


def test_runs_and_report_find_the_run(run: Callable, evaluated: Any, runs: Path) -> None:
    assert evaluated.code == 0, evaluated.err
    listed = run("runs", "--runs", runs)
    assert listed.code == 0
    assert "evaluated" in listed.out
    done = run("report", "evaluated", "--runs", runs)
    assert done.code == 0
    assert (runs / "evaluated" / "report.html").stat().st_size > 10_000
    wrong = run("report", "evaluate", "--runs", runs)
    assert wrong.code == 2
    assert 'did you mean "evaluated"' in wrong.err


def test_no_runs_is_no_mistake(run: Callable, tmp_path: Path) -> None:
    done = run("runs", "--runs", tmp_path)
    assert done.code == 0
    assert "greekdrift demo" in done.err
