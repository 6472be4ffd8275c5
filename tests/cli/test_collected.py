"""A collected folder is a source like any other: validated, joined, forecast from, watched, data of an experiment."""

import asyncio
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.venue.clock import SharedClock
from tests.venue.conftest import START
from tests.venue.market import Market, thinned
from tests.venue.server import Venue, running

from greekdrift.config import load_venue
from greekdrift.market.collect.deribit import collector
from greekdrift.market.collect.rest import Limits
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.simulate import SimulatedSource

HOURS = 26
BOOK = """accounts:
  - account_id: maker
    collateral: {BTC: 10.0}
    positions: {BTC-PERPETUAL: 1000}
    mandate:
      rule_set: derive_pm2
      venues: [deribit]
      hedge_kinds: [perpetual]
      bands: [{greek: delta, underlying: BTC, lower: -2.0, upper: 2.0}]
      liquidity_buffer_usd: 1000
      max_order_notional_usd: 100000
      max_cost_usd: 1000
"""
EXPERIMENT = """name: collected
seed: 7
data: {use: parquet, root: chains}
venue: deribit
rules: derive_pm2
book: book.yaml
horizons: [6]
scenarios: 50
forecaster: {use: historical}
evaluation: {start: 2026-02-06T04:00Z, horizons: [6], checks: [], refit_hours: 24, every: 4, scenarios: 20}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a day and more of the fake venue in `chains`, a book and an experiment."""
    folder = tmp_path_factory.mktemp("collected")
    (folder / "book.yaml").write_text(BOOK)
    (folder / "experiment.yaml").write_text(EXPERIMENT)
    source = SimulatedSource(venue=load_venue("deribit"), seed=2, days=1.0, start=START)
    market = Market(thinned(source.chain(source.snapshots()[0]), expiries=4, strikes=7), seed=2)
    clock = SharedClock(folder / "clock", start=market.start)

    async def go(url: str) -> Any:
        made = collector(
            folder / "chains",
            every=timedelta(hours=1),
            base_url=url,
            clock=clock,
            limits=Limits(timeout=5.0, per_second=1e6),
        )
        return await made.run(count=HOURS)

    with running(Venue(market, clock)) as url:
        assert asyncio.run(go(url)).snapshots == HOURS
    clock.close()
    return folder


def test_it_is_sound(run: Callable, place: Path) -> None:
    done = run("data", "validate", place / "chains")
    assert done.code == 0, done.out + done.err
    assert f"snapshots     {HOURS} from" in done.out


def test_a_day_of_it_becomes_one_file_with_the_same_chains(run: Callable, place: Path, tmp_path: Path) -> None:
    day, joined = place / "chains" / "chain" / "date=2026-02-06", tmp_path / "day.parquet"
    done = run("data", "import", day, "--out", joined)
    assert done.code == 0, done.err
    there, made = (ParquetSource(str(one), venue=load_venue("deribit")) for one in (day, joined))
    assert there.snapshots() == made.snapshots()
    assert len(made.snapshots()) == 9
    for moment in made.snapshots()[::4]:
        before, after = there.chain(moment), made.chain(moment)
        assert before.instruments == after.instruments
        assert before.known_at == after.known_at
        for name in ("bid", "ask", "mark", "mark_iv", "forward", "open_interest", "volume_24h", "contract_size"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    refused = run("data", "import", day, "--map", "a=mark_iv", "--out", tmp_path / "x.parquet")
    assert refused.code == 2
    assert "as it stands" in refused.err


def test_a_snapshot_of_one_coin_alone_is_in_the_file_too(run: Callable, place: Path, tmp_path: Path) -> None:
    day, joined = tmp_path / "day", tmp_path / "day.parquet"
    shutil.copytree(place / "chains" / "chain" / "date=2026-02-06", day)
    for file in sorted(day.iterdir())[1:]:
        file.unlink()
    first = next(day.iterdir())
    later = pd.read_parquet(first)
    for name in ("snapshot_ts_utc", "known_at_utc"):
        later[name] += pd.Timedelta(hours=1)
    later[later["underlying"] == "BTC"].to_parquet(day / "chain-later.parquet", index=False)
    done = run("data", "import", day, "--out", joined)
    assert done.code == 0, done.err
    assert "kept, without one of BTC, ETH: 1 snapshot\n" in done.err
    assert "2 snapshots of BTC, ETH" in done.err
    one, other = (ParquetSource(str(at), venue=load_venue("deribit"), with_partial=True) for at in (day, joined))
    assert one.snapshots() == other.snapshots()
    assert one.partial == other.partial == one.snapshots()[1:]
    for moment in one.snapshots():
        assert one.chain(moment).instruments == other.chain(moment).instruments


def test_it_is_forecast_from(run: Callable, place: Path) -> None:
    done = run(
        "forecast", "--chains", place / "chains", "--book", place / "book.yaml", "--model", "historical",
        "--horizons", "6", "--samples", "50", "--rules", "none",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"{HOURS} rows of BTC, ETH" in done.err
    assert "BTC delta" in done.out


def test_it_is_the_data_of_an_experiment(run: Callable, place: Path) -> None:
    done = run(
        "forecast", "--config", place / "experiment.yaml", "--set", f"data.root={place / 'chains'}",
        "--model", "historical", "--rules", "none",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"{HOURS} rows of BTC, ETH" in done.err


def test_it_is_watched(run: Callable, place: Path) -> None:
    done = run("watch", "--chains", place / "chains", "--book", place / "book.yaml", "--once")
    assert done.code == 0, done.err
    assert "inside" in done.out
