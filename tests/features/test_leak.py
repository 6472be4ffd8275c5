"""Planted leaks, each beside an honest twin: the guard names the first and lets the second pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from greekdrift.errors import LeakError
from greekdrift.features.calendar import HourOfDay
from greekdrift.features.history import HOUR, Panel, example
from greekdrift.features.leak import Leak, label_leaks, leaks, procedure_leaks, refuse_leaks
from greekdrift.market.series import Series, series

ROWS = 80


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A feature made of a function."""

    of: Callable[[Panel], np.ndarray]
    lookback_hours: float = 0.0
    timing: str = "as planted"
    source: str = "test"

    @property
    def name(self) -> str:
        return self.of.__name__

    def compute(self, panel: Panel) -> np.ndarray:
        return self.of(panel)


@pytest.fixture(scope="module")
def panel() -> Panel:
    made = example(rows=ROWS, underlyings=("BTC", "ETH", "SOL"), seed=3)
    return replace(made, histories={"daily/BTC": _daily(), "late/BTC": _late()})


def _daily() -> Series:
    """Closes of days, known a minute after the day."""
    event_time = np.datetime64("2025-12-20", "us") + np.arange(40) * 24 * HOUR
    values = 100.0 + np.cumsum(np.random.default_rng(0).normal(size=40))[:, None]
    lag = np.timedelta64(1, "m")
    return series(
        "daily/BTC",
        event_time=event_time,
        known_at=event_time + lag,
        columns=["close"],
        units=["USD"],
        values=values,
        hole_hours=36.0,
    )


def _late() -> Series:
    """Hourly numbers known three hours late, a tenth of them corrected two days later."""
    random = np.random.default_rng(1)
    event_time = np.datetime64("2025-12-31", "us") + np.arange(500) * HOUR
    again = np.sort(random.choice(500, size=50, replace=False))
    times = np.concatenate([event_time, event_time[again]])
    return series(
        "late/BTC",
        event_time=times,
        known_at=times + np.repeat([3, 48], [500, 50]) * HOUR,
        columns=["value"],
        units=["1"],
        values=random.normal(size=(550, 1)),
        hole_hours=3.0,
        lag_hours=3.0,
    )


def _broadcast(panel: Panel, line: np.ndarray) -> np.ndarray:
    return np.repeat(line[:, None], len(panel.underlyings), axis=1)


def unshifted_close(panel: Panel) -> np.ndarray:
    """The close of the day that the row lies in: stamped with the day's beginning and taken from then on."""
    one = panel.history("daily/BTC")
    row = np.searchsorted(one.event_time - 24 * HOUR, panel.as_of, side="right") - 1
    return _broadcast(panel, one.column("close")[row])


def centred_window(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    padded = np.pad(level, ((2, 2), (0, 0)), constant_values=np.nan)
    return np.mean([padded[at : at + len(level)] for at in range(5)], axis=0)


def future_fill(panel: Panel) -> np.ndarray:
    """A missing level takes the next one."""
    level = panel.factor("atm_30").copy()
    for row in range(len(level) - 2, -1, -1):
        level[row] = np.where(np.isnan(level[row]), level[row + 1], level[row])
    return level


def full_sample_scaling(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    return (level - np.nanmean(level, axis=0)) / np.nanstd(level, axis=0)


def corrections_by_event_time(panel: Panel) -> np.ndarray:
    """The last version of every event, taken from the time at which its first became known."""
    one = panel.history("late/BTC")
    final = dict(zip(one.event_time.tolist(), one.column("value").tolist(), strict=True))
    first = one.in_order()
    value = np.array([final[moment] for moment in first.event_time.tolist()])
    row = np.searchsorted(first.known_at, panel.known_at, side="right") - 1
    return _broadcast(panel, np.where(row >= 0, value[np.maximum(row, 0)], np.nan))


def late_data_filled_forward(panel: Panel) -> np.ndarray:
    """The newest event, whether it was known or not."""
    one = panel.history("late/BTC").in_order()
    row = np.searchsorted(one.event_time, panel.known_at, side="right") - 1
    return _broadcast(panel, one.column("value")[row])


def resampled_to_days(panel: Panel) -> np.ndarray:
    """The mean of the whole day at each of its rows."""
    day = panel.as_of.astype("datetime64[D]")
    level = panel.factor("atm_30")
    return np.stack([np.nanmean(level[day == one], axis=0) for one in day])


def next_row(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    return np.concatenate([level[1:], level[-1:]])


def known_only_with_the_next_row(panel: Panel) -> np.ndarray:
    """A history read up to an hour after the row was known."""
    one = panel.history("late/BTC")
    return _broadcast(panel, one.as_of(panel.known_at + HOUR, "value"))


LEAKY = (
    unshifted_close,
    centred_window,
    future_fill,
    full_sample_scaling,
    corrections_by_event_time,
    late_data_filled_forward,
    resampled_to_days,
    next_row,
    known_only_with_the_next_row,
)


def trailing_window(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    padded = np.pad(level, ((4, 0), (0, 0)), constant_values=np.nan)
    return np.mean([padded[at : at + len(level)] for at in range(5)], axis=0)


def past_fill(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30").copy()
    for row in range(1, len(level)):
        level[row] = np.where(np.isnan(level[row]), level[row - 1], level[row])
    return level


def expanding_scaling(panel: Panel) -> np.ndarray:
    level = panel.factor("atm_30")
    seen = np.cumsum(np.isfinite(level), axis=0)
    total = np.cumsum(np.where(np.isfinite(level), level, 0.0), axis=0)
    return level - np.divide(total, seen, out=np.full(level.shape, np.nan), where=seen > 0)


def close_known_by_then(panel: Panel) -> np.ndarray:
    return _broadcast(panel, panel.history("daily/BTC").as_of(panel.known_at, "close"))


def late_data_known_by_then(panel: Panel) -> np.ndarray:
    return _broadcast(panel, panel.history("late/BTC").as_of(panel.known_at, "value"))


def day_of_late_data(panel: Panel) -> np.ndarray:
    one = panel.history("late/BTC").in_order()
    start, stop = one.windows(panel.known_at, 24.0)
    running = np.concatenate([[0.0], np.cumsum(np.nan_to_num(one.column("value")))])
    return _broadcast(panel, np.where(stop > start, running[stop] - running[start], np.nan))


HONEST = (
    trailing_window,
    past_fill,
    expanding_scaling,
    close_known_by_then,
    late_data_known_by_then,
    day_of_late_data,
)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("planted", LEAKY, ids=lambda one: one.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_planted_features_are_caught(panel: Panel, planted: Callable[[Panel], np.ndarray], seed: int) -> None:
    (found,) = leaks((Planted(of=planted),), panel, seed=seed)
    assert isinstance(found, Leak)
    assert found.feature == planted.__name__
    assert found.known_at < found.changed
    with pytest.raises(LeakError, match="changed when only what was known from"):
        refuse_leaks((HourOfDay(wave="sin"), Planted(of=planted)), panel, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_honest_features_pass(panel: Panel, seed: int) -> None:
    assert leaks([Planted(of=one) for one in HONEST], panel, seed=seed) == ()


def same_bar_label(panel: Panel) -> np.ndarray:
    """The change that leads to the row."""
    return np.diff(panel.factor("atm_30"), axis=0, prepend=np.nan)


def next_change(panel: Panel) -> np.ndarray:
    return np.diff(panel.factor("atm_30"), axis=0, append=np.nan)


def next_jump(panel: Panel) -> np.ndarray:
    """Whether the level doubles within the next row: mostly no."""
    change = next_change(panel)
    return np.where(np.isnan(change), np.nan, np.abs(change) > 0.05)


def test_a_label_of_the_same_bar_is_caught(panel: Panel) -> None:
    for seed in range(5):
        (found,) = label_leaks(same_bar_label, panel, name="same bar", seed=seed)
        assert found.is_label
        assert "stayed the same" in str(found)
        assert label_leaks(next_change, panel, name="change", seed=seed) == ()
        assert label_leaks(next_jump, panel, name="jump", seed=seed) == ()


def overlapping_targets(panel: Panel, moment: np.datetime64) -> np.ndarray:
    """The mean of all increments that begin before the instant."""
    increments = panel.increments(24.0)
    return np.nanmean(increments.values[panel.known_at[increments.origin] <= moment], axis=0)


def global_normalisation(panel: Panel, moment: np.datetime64) -> np.ndarray:
    del moment
    return np.nanstd(panel.state, axis=0)


def words_of_the_test_fold(panel: Panel, moment: np.datetime64) -> np.ndarray:
    """Levels in tenths, as words, of all rows."""
    del moment
    level = panel.factor("atm_30")
    return np.unique(np.char.mod("%.1f", level[np.isfinite(level)]))


def survivors(panel: Panel, moment: np.datetime64) -> np.ndarray:
    """Underlyings that are still listed at the end."""
    del moment
    return np.array(panel.underlyings)[np.isfinite(panel.factor("atm_30")[-5:]).any(axis=0)]


def best_lag_on_the_test_fold(panel: Panel, moment: np.datetime64) -> np.ndarray:
    level = panel.factor("atm_30")
    later = panel.known_at > moment
    errors = [np.nanmean((level[4:] - level[4 - lag : -lag])[later[4:]] ** 2) for lag in (1, 2, 3)]
    return np.array([errors[int(np.argmin(errors))]])


def _only_known(procedure: Callable[[Panel, np.datetime64], np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda panel, moment: procedure(panel.until(moment), moment)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize(
    "planted",
    [overlapping_targets, global_normalisation, words_of_the_test_fold, survivors, best_lag_on_the_test_fold],
    ids=lambda one: one.__name__,
)
def test_procedures_that_see_the_future_are_caught(panel: Panel, planted: Callable[..., np.ndarray]) -> None:
    for seed in range(5):
        (found,) = procedure_leaks(planted, panel, name=planted.__name__, seed=seed)
        assert found.feature == planted.__name__
        assert found.known_at < found.changed
        if planted is not best_lag_on_the_test_fold:
            assert procedure_leaks(_only_known(planted), panel, name="honest", seed=seed) == ()
