"""Values measured on the development chains that the evaluation must reproduce."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.book import Chain
from greekdrift.config import load_venue
from greekdrift.evaluate import Settings, scorecard, walk
from greekdrift.features.panel import Panel, assemble, build
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.econometric import FilteredHistorical, named
from greekdrift.forecast.historical import Historical
from greekdrift.market.parquet import ParquetSource
from greekdrift.score import crps
from greekdrift.units import instant

pytestmark = pytest.mark.shared

BURN_IN = np.timedelta64(33, "D")


class Until:
    """The first days of a source."""

    def __init__(self, source: ParquetSource, *, days: float) -> None:
        self._source = source
        first = source.snapshots()[0]
        self._moments = tuple(one for one in source.snapshots() if one < first + timedelta(days=days))
        self.name, self.underlyings = source.name, source.underlyings
        self.step_hours, self.clock = source.step_hours, source.clock

    def snapshots(self) -> Sequence[datetime]:
        return self._moments

    def chain(self, as_of: datetime) -> Chain:
        return self._source.chain(as_of)


def _published_levels(shared: Path) -> Panel:
    """Log 30-day at-the-money volatility as derived with the chains, by an independent interpolation."""
    table = pd.read_parquet(shared / "data" / "deribit_iv_factors_6h" / "constant_maturity.parquet")
    table = table[table.tenor_days == 30].pivot_table(index="snapshot_ts_utc", columns="underlying", values="atm_iv")
    as_of = table.index.tz_convert(None).to_numpy().astype("datetime64[us]")
    return assemble(
        ["BTC", "ETH"],
        ["atm_30"],
        as_of=as_of,
        known_at=as_of,
        state=np.log(table[["BTC", "ETH"]].to_numpy())[:, :, None],
        step_hours=6.0,
        features=(),
    )


def _day_ahead(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Mean fair CRPS of all past 24-hour changes, and of no change, by underlying."""
    day = panel.increments(24.0)
    made, ends = panel.as_of[day.origin], panel.as_of[day.target]
    tested = np.flatnonzero(made >= panel.as_of[0] + BURN_IN)
    level = panel.factor("atm_30")
    change = level[day.target] - level[day.origin]
    history = [crps(change[ends <= made[at]], change[at]) for at in tested]
    return np.mean(history, axis=0), np.mean(np.abs(change[tested]), axis=0)


def test_history_and_clock_of_the_30_day_level_a_day_ahead(shared: Path) -> None:
    history, clock = _day_ahead(_published_levels(shared))
    np.testing.assert_allclose(history, [0.0232, 0.0177], rtol=0.02)
    np.testing.assert_allclose(clock, [0.0310, 0.0236], rtol=0.02)


@pytest.mark.slow
def test_the_walk_on_real_chains_with_the_shock_out_of_sample(shared: Path) -> None:
    """Fitted on January alone, tested on the days around 2026-02-05."""
    source = Until(
        ParquetSource(str(shared / "data"), venue=load_venue("deribit"), drop=("alive", "finite", "uncrossed")),
        days=45.0,
    )
    panel = build(source)
    settings = Settings(
        start=instant("2026-01-28T00:00Z"), horizons=(6.0, 24.0), every=2, scenarios=200, refit_hours=2_000.0
    )
    forecasters = {one.name: one for one in (Clock(), Historical(), FilteredHistorical())}
    card = scorecard(walk(panel, source, forecasters, settings), draws=200)
    value = {(one.forecaster, one.horizon, one.metric, one.against): one.value for one in card.measures}
    for hours, low, high in ((6.0, 0.70, 0.90), (24.0, 0.64, 0.85)):
        for name in ("historical", "fhs:hari"):
            assert low < value[name, hours, "loss", "clock"] < high, (name, hours)
        assert value["historical", hours, "loss", "fhs:hari"] > 1.0
        assert 0.68 < value["fhs:hari", hours, "coverage 80", ""] < 0.92
        assert value["historical", hours, "coverage 80", ""] < value["fhs:hari", hours, "coverage 80", ""] - 0.1
    assert card.n_origins > 25
    assert card.dropped["drifts with a vanished instrument"] == 0


@pytest.mark.slow
def test_both_bars_stand_where_they_were_measured(shared: Path) -> None:
    """Mean loss over that of the clock 0.712 and 0.708, the second bar 0.994 of the first; within 2 %.

    Measured on 577 snapshots and 13 books a coin with 1,000 scenarios; here every fourth snapshot and all books.
    """
    source = ParquetSource(str(shared / "data"), venue=load_venue("deribit"))
    settings = Settings(
        start=instant("2026-01-25T00:00Z"), horizons=(24.0,), every=4, scenarios=300, refit_hours=720.0, seed=7
    )
    forecasters = {one.name: one for one in (Clock(), named("hari"), named("haris-flat:pool"))}
    card = scorecard(walk(build(source), source, forecasters, settings), draws=200)
    expected = {("fhs:hari", "clock"): 0.712, ("fhs:haris-flat:pool", "clock"): 0.708}
    expected["fhs:haris-flat:pool", "fhs:hari"] = 0.994
    for (name, other), value in expected.items():
        found = card.find(name, 24.0, "loss", other)
        assert found is not None
        assert found.value == pytest.approx(value, rel=0.02), (name, other)
