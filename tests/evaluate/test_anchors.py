"""Values measured on the development chains that the evaluation must reproduce."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from greekdrift.config import load_venue
from greekdrift.evaluate import Settings, scorecard, walk
from greekdrift.evaluate.results import Results, Scores
from greekdrift.features.panel import Panel, assemble, build
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.econometric import named
from greekdrift.forecast.historical import Historical
from greekdrift.market.parquet import ParquetSource
from greekdrift.score import crps
from greekdrift.units import instant

pytestmark = pytest.mark.shared

BURN_IN = np.timedelta64(33, "D")


@pytest.fixture(scope="module")
def walked(shared: Path) -> Results:
    """Both bars, the clock and plain history over every fourth snapshot, fitted anew every thirty days."""
    source = ParquetSource(str(shared / "data"), venue=load_venue("deribit"))
    settings = Settings(
        start=instant("2026-01-25T00:00Z"), horizons=(6.0, 24.0), every=4, scenarios=300, refit_hours=720.0, seed=7
    )
    forecasters = {one.name: one for one in (Clock(), Historical(), named("hari"), named("haris-flat:pool"))}
    return walk(build(source), source, forecasters, settings)


def _of_fold(results: Results, fold: int) -> Results:
    """The origins of one fold."""
    rows = results.fold == fold

    def cut(one: Results | Scores) -> dict[str, np.ndarray]:
        values = {each.name: getattr(one, each.name) for each in fields(one) if each.name != "scale"}
        return {name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)}

    scores = {name: replace(one, **cut(one)) for name, one in results.scores.items()}
    return replace(results, scores=scores, **cut(results))


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
def test_the_walk_on_real_chains_with_the_shock_out_of_sample(walked: Results) -> None:
    """Fitted on the days before 2026-01-25 alone, tested on the thirty after it, 2026-02-05 among them."""
    card = scorecard(_of_fold(walked, 0), draws=200)
    assert card.first < "2026-02-05" < card.last < "2026-02-25"
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
def test_both_bars_stand_where_they_were_measured(walked: Results) -> None:
    """Mean loss over that of the clock 0.712 and 0.708, the second bar 0.994 of the first; within 2 %.

    Measured on 577 snapshots and 13 books a coin with 1,000 scenarios; here every fourth snapshot and all books.
    """
    card = scorecard(walked, draws=200)
    expected = {("fhs:hari", "clock"): 0.712, ("fhs:haris-flat:pool", "clock"): 0.708}
    expected["fhs:haris-flat:pool", "fhs:hari"] = 0.994
    for (name, other), value in expected.items():
        found = card.find(name, 24.0, "loss", other)
        assert found is not None
        assert found.value == pytest.approx(value, rel=0.02), (name, other)
