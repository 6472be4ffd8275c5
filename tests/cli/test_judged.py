"""Evaluate on other data and with a trained model: any folder of chains, other symbols, another window."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.market.parquet import write_chain

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "experiment"
SMALL = (
    "forecaster={use: historical}",
    "baselines=[{use: clock}, {use: fhs}]",
    "evaluation.scenarios=20",
    "evaluation.every=12",
    "evaluation.checks=[]",
    "evaluation.horizons=[6, 24]",
)
SETTINGS = [word for one in SMALL for word in ("--set", one)]


EXPIRIES = [datetime(2025, 1, 3, 8, tzinfo=UTC) + timedelta(days=days) for days in (7, 14, 28, 49, 84, 175)]
STRIKES = tuple(float(strike) for strike in range(90, 320, 20))


@pytest.fixture(scope="module")
def chains(make_chain: Callable[..., Chain], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-six days of SOL, settled in USDC, in a folder, of a year in which the experiment has nothing."""
    folder = tmp_path_factory.mktemp("collected")
    random, index, made = np.random.default_rng(3), 180.0, []
    for step in range(4 * 26):
        as_of = datetime(2025, 1, 1, 8, tzinfo=UTC) + timedelta(hours=6.0 * step)
        index *= float(np.exp(0.02 * random.normal()))
        days = tuple((expiry - as_of) / timedelta(days=1) for expiry in EXPIRIES if expiry - as_of > timedelta(days=1))
        moneyness = tuple(strike / index for strike in STRIKES)
        chain = make_chain(underlying="SOL", index=index, currency="USDC", days=days, moneyness=moneyness, as_of=as_of)
        made.append(chain)
    write_chain(made, folder / "sol_chain.parquet")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def judged(run: Callable, chains: Path, runs: Path) -> Any:
    arguments = ("--config", CONFIGS / "leaderboard.yaml", "--data", chains, "--runs", runs, "--out", runs / "sol")
    return run("evaluate", *arguments, *SETTINGS)


def test_a_folder_of_another_symbol_and_year_is_judged_whole(judged: Any, runs: Path) -> None:
    assert judged.code == 0, judged.err
    assert "has no BTC, ETH; judged on what it has: SOL" in judged.err
    assert "does not fit data of 2025-01-01" in judged.err
    assert "--set evaluation.start=" in judged.err
    card = json.loads((runs / "sol" / "scorecard.json").read_text())
    assert {row["name"] for row in card["chart"]} == {"clock", "fhs:hari", "historical"}
    assert card["first"].startswith("2025-01-1")
    assert card["horizon"] == 24.0
    assert any(one["metric"] == "loss of SOL straddle" for one in card["measures"])
    assert (runs / "sol" / "scorecard.md").read_text().startswith("# Scorecard")


def test_a_second_run_walks_only_what_is_new(run: Callable, judged: Any, chains: Path, runs: Path) -> None:
    arguments = ("--config", CONFIGS / "leaderboard.yaml", "--data", chains, "--runs", runs, "--out", runs / "again")
    added = [
        word.replace("[{use: clock}, {use: fhs}]", "[{use: clock}, {use: fhs}, {use: student}]") for word in SETTINGS
    ]
    again = run("evaluate", *arguments, *added, "--workers", "2")
    assert again.code == 0, again.err
    assert "walked before: clock, fhs:hari, historical" in again.err
    first, second = (json.loads((runs / name / "scorecard.json").read_text()) for name in ("sol", "again"))
    of_first = [one for one in first["measures"] if one["metric"] in ("loss", "energy")]
    assert all(one in second["measures"] for one in of_first)


def test_a_trained_model_is_judged_after_what_it_learnt(run: Callable, chains: Path, runs: Path) -> None:
    data = ("--set", f"data.root={chains}", "--set", "data.underlyings=[SOL]")
    made = run(
        "train", "--config", CONFIGS / "leaderboard.yaml", *data, *SETTINGS, "--until", "2025-01-20T00:00Z",
        "--runs", runs, "--out", runs / "trained",
    )  # fmt: skip
    assert made.code == 0, made.err
    model = runs / "trained" / "model"
    arguments = ("--config", CONFIGS / "leaderboard.yaml", "--data", chains, "--model", model, "--runs", runs)
    found = run("evaluate", *arguments, *SETTINGS, "--only", "clock", "--out", runs / "fixed")
    assert found.code == 0, found.err
    assert "historical (trained)" in found.out
    assert "origins only after it" in found.err
    card = json.loads((runs / "fixed" / "scorecard.json").read_text())
    assert card["first"] >= "2025-01-20"
    (runs / "trained" / "run.json").unlink()
    refused = run("evaluate", *arguments, *SETTINGS)
    assert refused.code == 2
    assert "--learnt-until" in refused.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere"), "there is no such folder"),
        (("--only", "clok"), 'did you mean "clock"'),
        (("--model", "studnt"), 'did you mean "student"'),
        (("--set", "data.underlyings=[DOGE]"), '"DOGE"'),
    ],
)
def test_wrong_words_are_answered(run: Callable, chains: Path, runs: Path, arguments: Any, words: str) -> None:
    data = () if "--data" in arguments else ("--data", chains)
    found = run("evaluate", "--config", CONFIGS / "leaderboard.yaml", *data, *SETTINGS, *arguments, "--runs", runs)
    assert found.code == 2
    assert words in found.err


def test_a_start_that_is_given_stays_and_is_refused_where_it_cannot_be(run: Callable, chains: Path, runs: Path) -> None:
    config = ("--config", CONFIGS / "leaderboard.yaml", "--data", chains, "--runs", runs)
    found = run("evaluate", *config, *SETTINGS, "--set", "evaluation.start=2030-01-01T00:00Z")
    assert found.code == 2
    assert "test earlier" in found.err
