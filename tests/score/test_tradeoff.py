"""What a dressing buys and costs, on needs that switch between two regimes."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.margin.dressing import Dressing
from greekdrift.score.tradeoff import Goal, Past, curve, fit, held, point, sweep

BOOKS, ORIGINS = 3, 240
FEW = {"scale": (1.0, 0.9), "floor": (0.0, 1.0), "rise_per_day": (0.1, 0.5), "release_half_life_days": (1.0, 5.0)}


@pytest.fixture(scope="module")
def past():
    """Two switches from calm to wild and back; the forecast is right in law: the need has it as its 95 % quantile."""
    random = np.random.default_rng(12)
    wild = np.repeat([0, 1, 0, 1], ORIGINS // 4)[:, None]
    requirement = np.full((ORIGINS, BOOKS), 1_000.0) * np.array([1.0, 5.0, 20.0])
    raw = requirement * np.where(wild == 1, 0.5, 0.1) * np.exp(0.1 * random.normal(size=(ORIGINS, BOOKS)))
    needed = raw * random.normal(size=raw.shape) / 1.6449
    as_of = np.datetime64("2026-01-01T00:00", "us") + np.arange(ORIGINS) * np.timedelta64(6, "h")
    return Past(as_of=as_of, raw_usd=raw, requirement_usd=requirement, needed_usd=needed)


def test_undressed_is_the_raw_need_itself(past):
    raw = point(None, past)
    assert (raw.cost, raw.overruns, raw.dressing) == (0.0, 0.0, None)
    assert raw.reserve == pytest.approx((past.raw_usd / past.requirement_usd).mean())
    assert raw.exceptions == pytest.approx(0.05, abs=0.025)
    assert raw.peak_to_trough == pytest.approx(np.mean(past.raw_usd.max(axis=0) / past.raw_usd.min(axis=0)))


def test_a_higher_floor_buys_calm_with_money(past):
    points = curve(past, sweep(Dressing(rise_per_day=5.0, dead_band=0.0), "floor", (0.0, 1.0, 2.0, 3.0)))
    for name, sign in (("cost", 1.0), ("peak_to_trough", -1.0), ("exceptions", -1.0)):
        values = [sign * getattr(one, name) for one in points]
        assert values == sorted(values), name
    assert points[-1].peak_to_trough < 0.8 * points[0].peak_to_trough


def test_a_speed_limit_buys_small_calls_with_coverage_and_says_so(past):
    slow, fast = curve(past, sweep(Dressing(), "rise_per_day", (0.03, 5.0)))
    assert slow.call < 0.5 * fast.call
    assert slow.exceptions > fast.exceptions
    assert slow.overruns > 0.05 > fast.overruns
    covered = point(Dressing(rise_per_day=0.03, coverage_first=True), past)
    assert covered.exceptions < slow.exceptions
    assert covered.overruns > 0.0


def test_a_fit_keeps_its_goal_at_less_reserve_than_devices_off_the_shelf(past):
    raw = point(None, past)
    goal = Goal(exceptions=0.06, peak_to_trough=0.8 * raw.peak_to_trough, call=0.8 * raw.call)
    found = fit(past, goal, choices=FEW)
    assert found.finding == ""
    assert goal.excess(found.point) == 0.0
    assert found.point == point(found.dressing, past)
    assert found.undressed == raw
    assert found.point.cost < 0.2
    assert found.point.reserve < point(Dressing(buffer=0.25), past).reserve


def test_a_goal_that_cannot_be_is_a_finding_with_numbers(past):
    found = fit(past, Goal(exceptions=0.0001, peak_to_trough=1.01, call=0.001), choices=FEW)
    assert "cannot both be had" in found.finding
    assert "above 0.001" in found.finding


def test_a_fit_knows_its_past_alone(past):
    first = past.rows(slice(0, 120))
    later = replace(past, raw_usd=np.concatenate([past.raw_usd[:120], 9.0 * past.raw_usd[120:]]))
    goal = Goal(exceptions=0.06, peak_to_trough=4.0, call=0.4)
    assert fit(first, goal, choices=FEW) == fit(later.rows(slice(0, 120)), goal, choices=FEW)


def test_missing_origins_are_left_out_and_books_do_not_touch_each_other(past):
    raw = past.raw_usd.copy()
    raw[::7, 0] = np.nan
    raw[:, 1] *= 2.0
    changed = replace(past, raw_usd=raw)
    addon, _ = held(Dressing(), changed)
    assert np.array_equal(np.isnan(addon[:, 0]), np.isnan(raw[:, 0]))
    assert np.array_equal(addon[:, 2], held(Dressing(), past)[0][:, 2])
    assert np.isfinite(point(Dressing(), changed).exceptions)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"raw_usd": np.full((ORIGINS, BOOKS), np.nan)}, "no book has"),
        ({"requirement_usd": np.zeros((ORIGINS, BOOKS))}, "no book has"),
        ({"needed_usd": np.zeros((ORIGINS, 1))}, "shape"),
    ],
)
def test_a_past_of_nothing_is_refused(past, changes, word):
    with pytest.raises(InputError, match=word):
        replace(past, **changes)


def test_books_that_need_nothing_have_no_figures(past):
    with pytest.raises(InputError, match="nothing to dress"):
        point(None, replace(past, raw_usd=np.zeros((ORIGINS, BOOKS))))
