"""Events of the regime from long histories and from chains, with figures, state, picture and artefact."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from greekdrift.cli.shifts import keep_beside, packaged_values, show_now
from greekdrift.features.history import example
from greekdrift.forecast.artefact import load_regime

ROOT = Path(__file__).resolve().parents[2]
HOURS = 24 * 600


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hourly bars of three coins whose variance reverts, as the described set holds them."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "binance_spot_1h").mkdir()
    frames = []
    for at, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        random = np.random.default_rng(at)
        level = np.zeros(HOURS // 24)
        for day in range(1, len(level)):
            level[day] = 0.85 * level[day - 1] + 0.5 * random.normal()
        close = 100.0 * np.exp(np.cumsum(0.006 * np.exp(np.repeat(level, 24) / 2) * random.normal(size=HOURS)))
        times = pd.date_range("2021-01-01", periods=HOURS, freq="h", tz="UTC")
        prices = {f"{name}_usdt": close for name in ("open", "high", "low", "close")}
        frames.append(pd.DataFrame({"symbol": symbol, "open_ts_utc": times, **prices, "volume_coin": 1.0}))
    pd.concat(frames).to_parquet(folder / "binance_spot_1h" / "spot_ohlcv.parquet")
    return folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = yaml.safe_load((ROOT / "configs/regime/coins.yaml").read_text())
    values |= {"first": "2022-02-15", "sets": [str(ROOT / "configs/data/binance_spot_1h.yaml")]}
    path = tmp_path_factory.mktemp("config") / "coins.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_markets_of_a_file(run: Callable, data: Path, config: Path, tmp_path: Path) -> None:
    asked = ("regime", "--config", config, "--data", data, "--runs", tmp_path / "runs", "--out", tmp_path / "out")
    done = run(*asked, "--plot", tmp_path / "regime.html")
    assert done.code == 0, done.err
    for word in ("climatology", "level only", "hidden state", "greekdrift", "cal. error", "95 %"):
        assert word in done.out
    assert "filtered: a description, no forecast" in done.err
    kept = load_regime(tmp_path / "out" / "model")
    assert kept.learnt_from == "BTC, ETH, SOL"
    events = json.loads((tmp_path / "out" / "regime.json").read_text())["events"]
    assert [one["event"].split(":")[0] for one in events[:3]] == ["BTC", "ETH", "SOL"]
    assert len({tuple(one["history"]["probability"]) for one in events[:3]}) == 3
    page = (tmp_path / "regime.html").read_text()
    assert "data:image/svg+xml" in page
    assert "BTC: variance of 5 days above twice that of the last 22, 3 markets pooled" in page
    first = (tmp_path / "out" / "regime.json").read_bytes()
    assert run(*asked).code == 0
    assert (tmp_path / "out" / "regime.json").read_bytes() == first


def test_with_as_of_later_prices_change_nothing(run: Callable, data: Path, config: Path, tmp_path: Path) -> None:
    """The same prices, cut in the file, and then corrupted after the instant."""
    cut = tmp_path / "cut"
    (cut / "binance_spot_1h").mkdir(parents=True)
    frame = pd.read_parquet(data / "binance_spot_1h" / "spot_ohlcv.parquet")
    late = frame.open_ts_utc >= pd.Timestamp("2022-07-01", tz="UTC")
    for name in ("open", "high", "low", "close"):
        frame.loc[late, f"{name}_usdt"] *= 3.0
    frame.to_parquet(cut / "binance_spot_1h" / "spot_ohlcv.parquet")
    found = []
    for at, folder in enumerate((data, cut)):
        out = tmp_path / str(at)
        asked = ("--as-of", "2022-07-01T00:30Z", "--runs", tmp_path / f"runs{at}", "--out", out)
        done = run("regime", "--config", config, "--data", folder, *asked)
        assert done.code == 0, done.err
        found.append(((out / "regime.json").read_bytes(), (out / "model" / "manifest.json").read_bytes()))
    assert found[0] == found[1]


def test_a_short_history_and_other_data_are_refused(run: Callable, data: Path, config: Path, tmp_path: Path) -> None:
    short = run("regime", "--config", config, "--data", data, "--as-of", "2021-02-01T00:00Z", "--runs", tmp_path)
    assert short.code == 2
    assert "BTC: 29 whole days are too few to tell its regime, 60 are needed" in short.err
    none = run("regime", "--config", config, "--data", tmp_path, "--runs", tmp_path)
    assert none.code == 2
    assert "there is no such file" in none.err


def test_chains_are_shrunk_to_the_shipped_history(run: Callable, tmp_path: Path) -> None:
    settings = ("--set", "data.days=75", "--set", "data.underlyings=[BTC]")
    asked = ("regime", "--config", ROOT / "configs/experiment/simulated.yaml", *settings, "--runs", tmp_path)
    done = run(*asked, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "shrunk to a regime of BTC, ETH, SOL" in done.err
    assert "before: BTC, ETH, SOL" in load_regime(tmp_path / "out" / "model").learnt_from
    alone = run(*asked, "--alone")
    assert alone.code == 2
    assert "shrink to a longer history" in alone.err


def test_nothing_is_said_of_events_where_closes_can_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closes = replace(example(rows=40), clock="sessions")
    keep_beside(closes, tmp_path, seed=0)
    show_now(closes, None)
    assert not (tmp_path / "regime").exists()
    assert capsys.readouterr() == ("", "")
    show_now(example(rows=40), None)
    assert "too few to tell its regime" in capsys.readouterr().err


def test_shipped_regimes_can_be_read_and_advertise_what_was_measured() -> None:
    coins, index = (load_regime(ROOT / "models" / name) for name in ("regime-coins", "regime-sp500"))
    assert coins.events["variance_doubling"].has_skill
    assert not coins.events["fall"].has_skill
    assert not index.events["volatility_jump"].has_skill
    assert index.events["volatility_jump"].verdict.startswith("no skill")


def test_the_packaged_index_has_its_figures() -> None:
    """AUC 0.754 and Brier skill 10.5 % were measured on these data by others; at least that."""
    values = packaged_values(seed=7, progress=lambda _at, _of: None)
    own = next(row for row in values["scores"]["rows"] if row[0] == "greekdrift")
    assert own[2] > 0.754
    assert own[4] > 0.105
    assert own[6] < 0.03
    assert len(values["history"]["days"]) == len(values["history"]["wild"])
