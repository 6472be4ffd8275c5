"""`greekdrift margin --forecast`: figures that agree with each other, a picture, and plain refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.market.parquet import write_chain
from greekdrift.market.simulate import SimulatedSource


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of twelve days of chains, and a book on the last of them."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=6, underlyings=("BTC",), days=12.0)
    chains = [source.chain(moment) for moment in source.snapshots()]
    folder = tmp_path_factory.mktemp("chains")
    write_chain(chains, folder / "chain.parquet")
    last = chains[-1]
    alive = np.flatnonzero(last.is_option & (last.time_to_expiry > 10.0 / 365.0))
    near = alive[np.argsort(np.abs(np.log(last.strike[alive] / last.forward[alive])))[0]]
    book = folder / "book.yaml"
    book.write_text(
        f"accounts:\n  - account_id: short\n    collateral: {{BTC: 1.0}}\n"
        f"    positions: {{{last.instruments[int(near)].name}: -6}}\n"
        "  - account_id: idle\n    collateral: {BTC: 1.0}\n    positions: {}\n"
    )
    return folder, book


def test_what_is_written_agrees_with_itself(run: Callable[..., Any], market: tuple[Path, Path], tmp_path: Path) -> None:
    folder, book = market
    out, plot = tmp_path / "margin.json", tmp_path / "margin.png"
    ran = run(
        "margin", "--chains", folder, "--book", book, "--forecast", "margin", "--samples", 120, "--seed", 3,
        "--horizons", "6,24", "--runs", tmp_path / "runs", "--out", out, "--plot", plot,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "cash at risk" in ran.out
    assert "idle" in ran.err
    assert plot.stat().st_size > 10_000
    told = json.loads(out.read_text())
    assert told["checks_h"] == [6.0, 24.0]
    assert "idle" in told["left_out"]
    one = told["accounts"]["short"]
    assert np.all(np.diff(one["call"]["within"]) >= 0.0)
    assert np.all(np.array(one["call"]["within"]) >= one["liquidation"]["within"])
    assert one["call"]["never"] == pytest.approx(1.0 - one["call"]["within"][-1])
    risk = one["liquidity_at_risk_usd"]
    assert np.all(np.array(risk["0.99"]) >= risk["0.95"])
    excess = one["now"]["equity_usd"] - one["now"]["initial_margin_usd"]
    assert one["now"]["excess_usd"] == pytest.approx(excess)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--samples", "10"), "--chains belongs to --forecast"),
        (("--forecast", "margn"), "margn"),
        (("--forecast", "margin", "--horizons", "24,6"), "horizons"),
    ],
)
def test_a_mistake_is_one_clear_message(
    run: Callable[..., Any], market: tuple[Path, Path], words: tuple[str, ...], said: str
) -> None:
    folder, book = market
    ran = run("margin", "--chains", folder, "--book", book, *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_forecast_needs_a_past(run: Callable[..., Any], chain_file: Path, book_file: Path) -> None:
    ran = run("margin", "--chain", chain_file, "--book", book_file, "--forecast", "margin")
    assert ran.code != 0
    assert "--history" in ran.err
