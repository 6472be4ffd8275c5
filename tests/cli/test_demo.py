"""The main job from quotes to a served, verified adjustment and a page, on a small simulated market."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greekdrift.config import load_venue
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import stamp

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "experiment" / "simulated.yaml"
SETTINGS = (
    "data.days=18",
    "data.underlyings=[BTC]",
    "scenarios=48",
    "horizons=[6, 24]",
    "forecaster={use: drift_net, epochs: 2, members: 1, draws: 8, batch_draws: 4}",
    "baselines=[{use: clock}, {use: fhs}]",
    "evaluation={start: 2025-01-15T00:00Z, horizons: [6], every: 1, scenarios: 16, min_train: 20}",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def done(run: Callable, folder: Path) -> Any:
    settings = [word for setting in (*SETTINGS, *_origin_and_book(folder)) for word in ("--set", setting)]
    return run("demo", "--config", CONFIG, *settings, "--runs", folder / "runs", "--out", folder / "run")


@pytest.mark.slow
def test_the_whole_job(done: Any, folder: Path) -> None:
    assert done.code == 0, done.err
    for number in range(1, 9):
        assert f"[{number}/8]" in done.err
    outcomes = {one["account_id"]: one for one in json.loads((folder / "run/decisions.json").read_text())["decisions"]}
    assert outcomes["short"]["outcome"] == "VERIFIED_ML"
    assert outcomes["short"]["adjustment"]["orders"]
    assert outcomes["wide"]["adjustment"]["orders"] == []
    assert outcomes["silent"]["outcome"] == "HOLD"
    page = (folder / "run/report.html").read_text()
    for section in ("decisions", "forecast", "regime", "scorecard", "run"):
        assert f'<section id="{section}">' in page


@pytest.mark.slow
def test_its_decisions_and_its_journal_verify_again(run: Callable, done: Any, folder: Path) -> None:
    assert done.code == 0, done.err
    assert run("verify", folder / "run/decisions.json").code == 0
    replayed = run("verify", folder / "run/journal/decisions.log")
    assert replayed.code == 0, replayed.err
    assert "all as recorded" in replayed.err


def _origin_and_book(folder: Path) -> tuple[str, str]:
    source = SimulatedSource(venue=load_venue("deribit"), seed=7, underlyings=("BTC",), days=18.0)
    chain = source.chain(source.snapshots()[-6])
    calls = [one for one in chain.instruments if one.is_option and one.is_call]
    last = max(one.expiry for one in calls if one.expiry)
    near = min((one for one in calls if one.expiry == last), key=lambda one: abs((one.strike or 0.0) - 9e4))
    mandate = (
        "{rule_set: derive_pm2, venues: [deribit], hedge_kinds: [perpetual], liquidity_buffer_usd: 1000, "
        "max_order_notional_usd: 5000000, max_cost_usd: 20000, "
        "bands: [{greek: delta, underlying: BTC, lower: -%s, upper: %s}]}"
    )
    shared = f"collateral: {{BTC: 20}}, positions: {{{near.name}: -20}}"
    path = folder / "book.yaml"
    path.write_text(
        "accounts:\n"
        f"  - {{account_id: short, {shared}, mandate: {mandate % (1, 1)}}}\n"
        f"  - {{account_id: wide, {shared}, mandate: {mandate % (80, 80)}}}\n"
        f"  - {{account_id: silent, {shared}}}\n"
    )
    return f"origin={stamp(chain.as_of)}", f"book={path}"
