from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from greekdrift.book import Chain, Scenarios
from greekdrift.errors import DataError, InputError
from greekdrift.evaluate import Results, Settings, walk
from greekdrift.evaluate.results import NO_CHANGE
from greekdrift.evaluate.settings import QUANTITIES
from greekdrift.evaluate.walk import seed_of
from greekdrift.features.panel import Panel
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.historical import Historical
from greekdrift.market.simulate import SimulatedSource
from greekdrift.units import datetime64, instant


class Spy:
    """A clock that notes what it is shown."""

    name = "spy"

    def __init__(self) -> None:
        self.fitted: list[Panel] = []
        self.shown: list[tuple[Panel, tuple[float, ...], int, int]] = []

    def fit(self, panel: Panel) -> "Spy":
        self.fitted.append(panel)
        return self

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        self.shown.append((history, tuple(horizons), n, seed))
        return Clock().fit(self.fitted[-1]).predict(history, horizons=horizons, n=n, seed=seed)


class Without:
    """A source that lacks some snapshots."""

    def __init__(self, source: SimulatedSource, gone: set[datetime]) -> None:
        self._source, self._gone = source, gone
        self.name, self.underlyings = source.name, source.underlyings
        self.step_hours, self.clock = source.step_hours, source.clock

    def snapshots(self) -> tuple[datetime, ...]:
        return tuple(moment for moment in self._source.snapshots() if moment not in self._gone)

    def chain(self, as_of: datetime) -> Chain:
        return self._source.chain(as_of)


@pytest.fixture
def settings(results: Results) -> Settings:
    return results.settings


def test_forecasters_see_what_was_known_and_the_exact_elapsed_time(
    source: SimulatedSource, panel: Panel, settings: Settings
) -> None:
    spy = Spy()
    results = walk(panel, source, {"spy": spy}, replace(settings, every=4))
    assert len(spy.fitted) == int(results.fold.max()) + 1
    starts = [settings.start.timestamp() + 3600.0 * settings.refit_hours * number for number in range(len(spy.fitted))]
    for known, start in zip(spy.fitted, starts, strict=True):
        last = (known.known_at[-1] - np.datetime64(0, "us")) / np.timedelta64(1, "s")
        assert last <= start - 3600.0 * settings.embargo_hours
    np.testing.assert_array_equal([history.as_of[-1] for history, *_ in spy.shown], results.origin)
    for history, horizons, n, seed in spy.shown:
        row = len(history) - 1
        assert n == settings.scenarios
        assert seed == seed_of(settings.seed, history.as_of[-1])
        hours = panel.hours - panel.hours[row]
        assert all(np.isclose(hours, one).any() and one > 0.0 for one in horizons)
        assert all(min(abs(one - wanted) for wanted in settings.horizons) <= 1.5 for one in horizons)


def test_origins_start_where_the_settings_say(results: Results, panel: Panel) -> None:
    start = datetime64(results.settings.start)
    rows = [panel.row(moment) for moment in results.origin]
    assert panel.known_at[rows[0]] >= start > panel.known_at[rows[0] - results.settings.every]
    assert set(np.diff(rows).tolist()) == {results.settings.every}


def test_a_forecaster_scores_the_same_under_two_names(results: Results) -> None:
    one, other = results.of("historical"), results.of("again")
    for name in ("crps", "energy", "factor_crps", "is_inside", "width", "breach_probability"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_same_settings_give_the_same_numbers(
    source: SimulatedSource, panel: Panel, settings: Settings, results: Results
) -> None:
    again = walk(panel, source, {"historical": Historical()}, settings)
    np.testing.assert_array_equal(again.of("historical").crps, results.of("historical").crps)
    np.testing.assert_array_equal(again.drift, results.drift)


def test_the_truth_is_better_than_history_and_history_than_the_clock(results: Results) -> None:
    mean = {name: np.nanmean(results.energy(name, 24.0)) for name in results.scores}
    assert mean["foresight"] < 1e-9 < mean["truth"] < mean["historical"] < mean["clock"]
    loss = {name: np.nanmean(results.losses(name, 6.0)) for name in (*results.scores, NO_CHANGE)}
    assert loss["truth"] < loss["historical"] < loss["clock"]


def test_with_the_state_foreseen_the_calculator_leaves_almost_nothing(results: Results) -> None:
    for quantity in QUANTITIES:
        left = np.nanmean(results.losses("foresight", 24.0, (quantity,)))
        assert left < 0.12 * np.nanmean(results.losses("clock", 24.0, (quantity,))), quantity


def test_the_truth_covers_as_it_says(results: Results) -> None:
    inside = np.nanmean(results.of("truth").is_inside, axis=(0, 1, 2, 3))
    np.testing.assert_allclose(inside, [0.50, 0.80, 0.95], atol=0.12)
    assert np.nanmax(results.of("clock").is_inside) == 0.0


def test_what_is_missing_is_missing_for_all(results: Results) -> None:
    missing = np.isnan(results.of("clock").crps)
    for scores in results.scores.values():
        np.testing.assert_array_equal(np.isnan(scores.crps), missing)
    np.testing.assert_array_equal(np.isnan(results.drift), missing)
    assert missing.mean() < 0.1


def test_no_change_loses_the_size_of_the_drift(results: Results) -> None:
    expected = np.abs(results.drift[:, 1]) / results.scale[results.fold, 1]
    np.testing.assert_allclose(results.cell_losses(NO_CHANGE, 24.0), expected)
    normal = np.nanmean(results.losses(NO_CHANGE, 24.0))
    assert 0.8 < normal < 3.5


def test_breaches_are_cumulative_over_the_horizons(results: Results) -> None:
    for scores in results.scores.values():
        short, long = scores.breach_probability[:, 0], scores.breach_probability[:, 1]
        both = np.isfinite(short) & np.isfinite(long)
        assert np.all(long[both] >= short[both])
    frequency = np.nanmean(results.breach[:, 1])
    assert 0.02 < frequency < 0.8
    assert np.isin(results.breach[np.isfinite(results.breach)], (0.0, 1.0)).all()


def test_origins_without_a_target_are_dropped_and_counted(
    source: SimulatedSource, settings: Settings, results: Results
) -> None:
    from greekdrift.features.panel import build

    snapshots = source.snapshots()
    gone = set(snapshots[120:126])
    shorter = Without(source, gone)
    panel = build(shorter)
    found = walk(panel, shorter, {"clock": Clock()}, replace(settings, every=1, horizons=(24.0,)))
    counted = found.dropped["origins without a target within the tolerance"]
    assert 6 <= counted <= 14
    assert len(found.origin) + counted == int(np.sum(panel.known_at >= datetime64(settings.start)))


def test_refusals(source: SimulatedSource, panel: Panel, settings: Settings) -> None:
    with pytest.raises(InputError, match="at least one forecaster"):
        walk(panel, source, {}, settings)
    with pytest.raises(InputError, match="build one from the other"):
        walk(replace(panel, underlyings=("ETH",)), source, {"clock": Clock()}, settings)
    with pytest.raises(DataError, match="test earlier"):
        walk(panel, source, {"clock": Clock()}, replace(settings, start=instant("2026-01-01T00:00Z")))
    with pytest.raises(DataError, match="training rows"):
        walk(panel, source, {"clock": Clock()}, replace(settings, start=instant("2025-01-02T00:00Z")))


def test_unknown_words_are_answered_with_the_nearest(results: Results) -> None:
    with pytest.raises(InputError, match='did you mean "historical"'):
        results.of("historicl")
    with pytest.raises(InputError, match="no scores at 12 h"):
        results.losses("clock", 12.0)


def test_progress_is_told(source: SimulatedSource, panel: Panel, settings: Settings) -> None:
    told: list[Any] = []
    walk(panel, source, {"clock": Clock()}, replace(settings, every=8), progress=lambda *done: told.append(done))
    assert told[-1][0] == told[-1][1] == len(told)
