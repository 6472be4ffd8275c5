"""The score knows the market it learnt from: usual days pass at the stated rate, another market never does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greekdrift.errors import DataError, InputError
from greekdrift.features.history import HOUR, Panel
from greekdrift.forecast.novelty import LEAST, MEASURES, Judgement, Novelty, _walked_forward

Fault = Callable[[np.ndarray], None]


def _fitted(panel: Panel, rows: int = 300, rate: float = 0.01) -> tuple[Novelty, Panel]:
    return Novelty.fit(panel.until(panel.known_at[rows - 1]), rate=rate), panel


def _with_last(panel: Panel, change: Callable[[np.ndarray], None], rows: int = 310) -> Panel:
    """The first rows of a panel with their states changed."""
    state = panel.state[:rows].copy()
    change(state)
    return replace(
        panel,
        as_of=panel.as_of[:rows],
        known_at=panel.known_at[:rows],
        state=state,
        features=panel.features[:rows],
    )


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_alarms_inside_the_window_come_at_most_at_the_stated_rate(make_panel: Callable, rate: float) -> None:
    """The rows that it was calibrated on, each against what was known before it."""
    for seed in range(3):
        panel = make_panel(rows=300, seed=seed)
        novelty = Novelty.fit(panel, rate=rate)
        score = (_walked_forward(panel) / novelty.usual).max(axis=1)
        assert len(score) >= 150
        assert (score > novelty.limit).mean() <= rate


@pytest.mark.parametrize("clock", ["elapsed", "sessions"])
def test_unseen_days_of_the_same_law_are_usual_in_most_worlds(make_panel: Callable, clock: str) -> None:
    """Alarms come in clusters, where a volatility of long memory leaves its window; most worlds have next to none."""
    shares = []
    for seed in range(12):
        novelty, panel = _fitted(make_panel(rows=420, seed=seed, clock=clock))
        shares.append((novelty.scores(panel)[300:] > novelty.limit).mean())
    assert np.median(shares) <= 0.02
    assert np.mean(shares) <= 0.1


def _crash(state: np.ndarray) -> None:
    state[-1, :, 0] -= 0.25
    state[-1, :, 1:3] += 0.9


def _constant(state: np.ndarray) -> None:
    state[-6:] = state[-7]


def _frozen_price(state: np.ndarray) -> None:
    state[-6:, :, 0] = state[-7, :, 0]


def _percent(state: np.ndarray) -> None:
    state[-1:, :, 1:3] += np.log(100.0)


def _cents(state: np.ndarray) -> None:
    state[-40:, :, 0] += np.log(100.0)


def _another_symbol(state: np.ndarray) -> None:
    state[-40:, 0, 0] += np.log(2_500.0 / 70_000.0)


def _swapped(state: np.ndarray) -> None:
    state[:, :, 0] += np.log([1.0, 0.03])
    state[-30:] = state[-30:, ::-1]


def _one_pillar_missing(state: np.ndarray) -> None:
    state[-1, 1, 2] = np.nan


def _nothing_there(state: np.ndarray) -> None:
    state[-1] = np.nan


def _skew_of_the_wrong_sign(state: np.ndarray) -> None:
    state[-1, :, 3] = 3.0 - state[-1, :, 3]


@pytest.mark.parametrize(
    ("fault", "measures"),
    [
        (_crash, {"step"}),
        (_constant, {"repeated"}),
        (_frozen_price, {"repeated"}),
        (_percent, {"step", "level"}),
        (_cents, {"price", "variance"}),
        (_another_symbol, {"price", "variance"}),
        (_one_pillar_missing, {"missing"}),
        (_nothing_there, {"missing"}),
        (_skew_of_the_wrong_sign, {"step", "level"}),
    ],
)
def test_another_market_is_never_usual(make_panel: Callable, fault: Fault, measures: set[str]) -> None:
    novelty, panel = _fitted(make_panel())
    assert not novelty.judge(_with_last(panel, lambda _: None)).is_novel
    found = novelty.judge(_with_last(panel, fault))
    assert found.is_novel
    assert found.measure in measures
    assert found.detail in found.reason
    assert "limit" in found.reason


def test_two_symbols_taken_for_each_other(make_panel: Callable) -> None:
    panel = make_panel()
    shifted = replace(panel, state=panel.state + np.log([1.0, 0.03])[None, :, None] * (np.arange(6) == 0))
    novelty, _ = _fitted(shifted)
    assert novelty.judge(_with_last(panel, _swapped)).is_novel


def test_a_gap_and_a_hole_are_novel_one_lost_snapshot_is_not(make_panel: Callable) -> None:
    novelty, panel = _fitted(make_panel())
    for hours, is_novel in ((0, False), (6, False), (18, True), (24 * 40, True)):
        late = panel.as_of[:310].copy()
        late[-1] += hours * HOUR
        there = _with_last(panel, lambda _: None)
        history = replace(there, as_of=late, known_at=np.maximum(there.known_at, late + HOUR // 12))
        found = novelty.judge(history)
        assert found.is_novel == is_novel, (hours, found)


def test_features_outside_their_range_count(make_panel: Callable) -> None:
    bare = make_panel()
    names = tuple(f"f{number}" for number in range(8))
    features = np.random.default_rng(1).uniform(size=(len(bare), 2, 8))
    panel = replace(bare, feature_names=names, features=features)
    novelty, _ = _fitted(panel)
    outside = features[:310].copy()
    outside[-1, :, :6] = 3.0
    found = novelty.judge(replace(_with_last(panel, lambda _: None), features=outside))
    assert found.is_novel
    assert found.measure == "features"
    outside[-1] = np.nan
    assert novelty.judge(replace(_with_last(panel, lambda _: None), features=outside)).measure == "features"


def test_other_axes_are_novel_and_say_so(make_panel: Callable) -> None:
    novelty, panel = _fitted(make_panel())
    found = novelty.judge(panel.select(("BTC",)))
    assert found.is_novel
    assert "learnt from BTC, ETH" in found.reason
    assert novelty.judge(panel.until(panel.known_at[0])).is_novel
    with pytest.raises(DataError, match="learnt from"):
        novelty.scores(panel.select(("ETH",)))


def test_nan_is_over_every_limit() -> None:
    assert Judgement(score=np.nan, limit=1.0, measure="level", detail="x").is_novel
    assert Judgement(score=0.9, limit=1.0, measure="level", detail="x").reason == ""


def test_the_same_panel_gives_the_same_bytes_and_the_future_nothing(make_panel: Callable) -> None:
    panel = make_panel()
    score = Novelty.fit(panel).scores(panel)
    assert score.tobytes() == Novelty.fit(panel).scores(panel).tobytes()
    novelty, _ = _fitted(panel)
    at = 350
    known = panel.until(panel.known_at[at])
    assert novelty.scores(panel)[at] == novelty.scores(known)[at]
    assert novelty.judge(known).score == pytest.approx(novelty.scores(known)[-1], rel=1e-9)


def test_a_window_that_is_too_short_or_a_rate_that_is_none_is_refused(make_panel: Callable) -> None:
    with pytest.raises(DataError, match=str(LEAST)):
        Novelty.fit(make_panel(rows=LEAST - 1))
    for rate in (0.0, 0.5, np.nan):
        with pytest.raises(InputError, match="rate"):
            Novelty.fit(make_panel(rows=100), rate=rate)
    with pytest.raises(InputError, match="not positive"):
        replace(Novelty.fit(make_panel(rows=100)), limit=0.0)


def test_every_measure_has_a_floor_and_a_quantile(make_panel: Callable) -> None:
    assert len(Novelty.fit(make_panel(rows=200)).usual) == len(MEASURES)


@pytest.mark.shared
def test_recorded_chains_are_usual_but_for_the_shock(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """BTC and ETH of the factor file: quiet months pass at 3 % or less, 2026-02-05 is novel for a model of January."""
    from greekdrift.features.panel import assemble

    panel = _recorded(shared, assemble)
    novelty = Novelty.fit(panel.until(np.datetime64("2026-01-31", "us")))
    score, moment = novelty.scores(panel), panel.as_of
    shock = (moment > np.datetime64("2026-02-05T12")) & (moment < np.datetime64("2026-02-06T06"))
    assert np.all(score[shock] > novelty.limit)
    for month in ("2026-03-01", "2026-04-01", "2026-05-01"):
        start = np.datetime64(month, "us")
        novelty = Novelty.fit(panel.until(start))
        unseen = (moment > start) & (moment < start + np.timedelta64(30, "D"))
        assert (novelty.scores(panel)[unseen] > novelty.limit).mean() <= 0.03


def _recorded(shared: Path, assemble: Callable) -> Panel:
    """States of the recorded chains, read from the factor file, which spares the fits."""
    import pandas as pd

    table = pd.read_parquet(shared / "data" / "deribit_iv_factors_6h" / "constant_maturity.parquet")
    table["atm"], table["forward"] = np.log(table["atm_iv"]), np.log(table["index_price_usd"])
    wide = table.pivot_table(
        index="snapshot_ts_utc", columns=["underlying", "tenor_days"], values=["forward", "atm", "rr_25d", "bf_25d"]
    )
    columns = [("forward", 30), *(("atm", days) for days in (7, 30, 90, 180)), ("rr_25d", 30), ("bf_25d", 30)]
    state = np.stack([wide[[(name, coin, days) for name, days in columns]] for coin in ("BTC", "ETH")], axis=1)
    as_of = wide.index.tz_localize(None).to_numpy().astype("datetime64[us]")
    return assemble(
        ["BTC", "ETH"],
        ["forward", "atm_7", "atm_30", "atm_90", "atm_180", "skew_30", "curvature_30"],
        as_of=as_of,
        known_at=as_of + HOUR // 12,
        state=state,
        step_hours=6.0,
        features=(),
    )
