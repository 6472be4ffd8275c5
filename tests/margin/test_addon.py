"""The machine that holds the add-on within a budget."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import ConfigError, InputError
from greekdrift.margin.addon import dress, step
from greekdrift.margin.dressing import PLAIN, Dressing, State

START = datetime(2026, 2, 2, tzinfo=UTC)
MONEY = st.floats(0.0, 1e9)
SHARES = st.lists(st.floats(0.0, 5.0, allow_subnormal=False), min_size=1, max_size=12)
DRESSINGS = st.builds(
    Dressing,
    scale=st.floats(0.5, 1.0),
    floor=st.floats(0.0, 1.5),
    floor_quantile=st.floats(0.0, 1.0),
    stressed_weight=st.floats(0.0, 1.0),
    buffer=st.floats(0.0, 0.5),
    look_back_days=st.floats(1.0, 40.0),
    rise_per_day=st.just(0.0) | st.floats(1e-3, 2.0),
    peak_to_trough=st.none() | st.floats(1.0, 10.0),
    release_half_life_days=st.floats(0.5, 20.0),
    dead_band=st.floats(0.0, 0.5),
    wait_days=st.floats(0.0, 5.0),
    coverage_first=st.booleans(),
)


def _times(count, hours=12.0):
    return [START + at * timedelta(hours=hours) for at in range(count)]


def _dressed(dressing, shares, *, requirement=1_000.0, previous=None, hours=12.0):
    raw = [one * requirement for one in shares]
    return dress(dressing, raw, [requirement] * len(raw), as_of=_times(len(raw), hours), previous=previous)


def _before(held_usd, *, hours=12.0, **changes):
    return State(as_of=START - timedelta(hours=hours), held_usd=held_usd, **changes)


@given(raw=MONEY, requirement=MONEY, held=st.none() | MONEY, hours=st.floats(0.0, 100.0))
def test_laws_of_the_plain_addon(raw, requirement, held, hours):
    previous = None if held is None else _before(held, hours=hours)
    found = step(PLAIN, previous, as_of=START, raw_usd=raw, requirement_usd=requirement)
    assert found.addon_usd == found.state.held_usd >= 0.0
    assert found.uncovered_usd == max(0.0, raw - found.addon_usd)
    if held is None:
        assert found.is_first
        assert found.addon_usd == raw
    else:
        most = max(raw, requirement)
        assert min(raw, held, most) <= found.addon_usd * (1 + 1e-12) + 1e-9
        assert found.addon_usd <= min(most, max(raw, held)) * (1 + 1e-12)
        assert found.addon_usd - held <= 0.5 * requirement * (hours + 1e-6) / 24.0 + 1e-6 * (1.0 + held)
        assert bool(found.findings) == (found.uncovered_usd > 1e-9 * found.addon_usd)


@given(dressing=DRESSINGS, shares=SHARES, requirement=st.floats(1.0, 1e8))
def test_a_replay_from_kept_states_is_the_same_to_the_bit(dressing, shares, requirement):
    whole = _dressed(dressing, shares, requirement=requirement)
    state = None
    for moment, share, expected in zip(_times(len(shares)), shares, whole, strict=True):
        kept = None if state is None else State.from_json(state.to_json())
        found = step(dressing, kept, as_of=moment, raw_usd=share * requirement, requirement_usd=requirement)
        assert found == expected
        state = found.state


@given(dressing=DRESSINGS, shares=SHARES, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_addon_scales_with_the_book(dressing, shares, factor):
    small, large = (_dressed(dressing, shares, requirement=one) for one in (1_000.0, 1_000.0 * factor))
    assert [one.addon_usd * factor for one in small] == pytest.approx([one.addon_usd for one in large], rel=1e-9)


@given(dressing=DRESSINGS, shares=SHARES)
def test_the_budget_is_kept_or_its_breach_is_said(dressing, shares):
    steps = _dressed(dressing, shares)
    lost = dressing.stressed_weight + 1.0 - dressing.scale
    assert steps[0].uncovered_usd <= 1_000.0 * lost * max(shares) * (1 + 1e-9)
    for before, after in pairwise(steps):
        rise = after.addon_usd - before.addon_usd
        is_within = rise <= 0.5 * dressing.rise_per_day * 1_000.0 * (1 + 1e-9) + 1e-9
        assert is_within or (dressing.coverage_first and after.findings)
        if after.addon_usd < dressing.scale * after.raw_usd - 1e-6:
            assert after.findings or after.addon_usd >= after.target_usd * (1 - 1e-9)
        if dressing.coverage_first and after.findings:
            assert after.uncovered_usd <= (1.0 - dressing.scale) * after.raw_usd * (1 + 1e-9) + 1e-9


@given(shares=SHARES, most=st.floats(1.0, 10.0))
def test_peak_over_trough_stays_within_the_budget_unless_coverage_came_first(shares, most):
    held = [one.addon_usd for one in _dressed(Dressing(peak_to_trough=most, look_back_days=60.0), shares)]
    positive = [one for one in held if one > 0.0]
    if positive and held[0] > 0.0:
        assert max(positive) / min(positive) <= most * (1 + 1e-9)


def test_the_floor_is_a_quantile_of_the_look_back():
    steps = _dressed(Dressing(floor=1.0, dead_band=0.0, rise_per_day=9.0), [0.2, 0.4, 0.3, 0.0], hours=24.0)
    assert [one.target_usd for one in steps] == pytest.approx([200.0, 400.0, 300.0, 200.0])
    assert [one.device for one in steps[-1].overrides] == ["floor", "release"]


def test_a_day_keeps_its_highest_need_and_the_look_back_forgets():
    (*_, last) = _dressed(Dressing(look_back_days=2.0), [0.9, 0.1, 0.2, 0.3, 0.1, 0.05], hours=12.0)
    assert [(one.date, one.raw) for one in last.state.days] == [("2026-02-03", 0.3), ("2026-02-04", 0.1)]


def test_a_quarter_of_the_weight_is_stressed():
    """Article 28 (1) (b): 0.75 raw + 0.25 stressed, stressed being the highest of the look-back."""
    steps = _dressed(Dressing(stressed_weight=0.25, dead_band=0.0, rise_per_day=9.0), [0.8, 0.2], hours=24.0)
    assert steps[1].target_usd == pytest.approx(0.75 * 200.0 + 0.25 * 800.0)


def test_the_buffer_is_drawn_while_the_need_stands_high_and_built_again():
    """Article 28 (1) (a): 1.25 raw normally; max(raw, min(1.25 raw, held)) while drawn."""
    shares = [0.10] * 6 + [0.12, 0.13, 0.20, 0.10]
    steps = _dressed(Dressing(buffer=0.25, rise_per_day=9.0, dead_band=0.0, draw=1.25, refill=1.1), shares, hours=24.0)
    assert [round(one.target_usd) for one in steps] == [125] * 6 + [150, 150, 200, 125]
    assert [one.state.is_drawn for one in steps] == [False] * 7 + [True, True, False]


def test_release_is_slow_forgets_its_steps_and_waits():
    """Two releases of twelve hours release as much as one of a day."""
    terms = {"as_of": START, "raw_usd": 100.0, "requirement_usd": 1_000.0}
    once = step(PLAIN, _before(900.0, hours=24.0), **terms)
    half = step(PLAIN, _before(900.0, hours=24.0), **{**terms, "as_of": START - timedelta(hours=12)})
    assert step(PLAIN, half.state, **terms).addon_usd == pytest.approx(once.addon_usd)
    assert step(PLAIN, _before(100.0), **{**terms, "raw_usd": 95.0}).addon_usd == 100.0
    recent = _before(900.0, risen_at=START - timedelta(days=1))
    waiting = step(Dressing(wait_days=2.0), recent, **terms)
    assert (waiting.addon_usd, waiting.overrides[0].device) == (900.0, "wait")
    assert step(Dressing(wait_days=0.5), recent, **terms).addon_usd < 900.0


def test_a_closed_book_keeps_no_addon():
    terms = {"as_of": START, "raw_usd": 0.0, "requirement_usd": 0.0}
    assert step(PLAIN, _before(900.0, hours=6.0), **terms).addon_usd == 0.0
    assert step(PLAIN, _before(900.0, hours=0.0), **terms).addon_usd == 0.0
    held = step(PLAIN, _before(900.0), **{**terms, "requirement_usd": 500.0})
    assert held.addon_usd == 500.0
    assert [one.device for one in held.overrides] == ["release", "size"]


def test_no_forecast_releases_slowly_and_is_no_need_of_zero():
    steps = _dressed(PLAIN, [0.3, 0.3], hours=24.0)
    found = step(PLAIN, steps[-1].state, as_of=START + timedelta(days=2), raw_usd=None, requirement_usd=1_000.0)
    assert found.addon_usd == pytest.approx(300.0 * 0.5 ** (1.0 / 5.0))
    assert [one.raw for one in found.state.days] == [0.3, 0.3]
    assert found.uncovered_usd == 0.0


@pytest.mark.parametrize(
    ("terms", "previous"),
    [
        ({"raw_usd": np.nan}, None),
        ({"raw_usd": -1.0}, None),
        ({"requirement_usd": np.nan}, None),
        ({"requirement_usd": np.inf}, None),
        ({}, State(as_of=START + timedelta(hours=1), held_usd=1.0)),
    ],
)
def test_an_addon_of_no_number_or_of_a_clock_that_went_back_is_refused(terms, previous):
    with pytest.raises(InputError):
        step(PLAIN, previous, **{"as_of": START, "raw_usd": 1.0, "requirement_usd": 1.0, **terms})


@pytest.mark.parametrize("lengths", [(1, 2, 2), (2, 1, 2), (2, 2, 1)])
def test_series_of_other_lengths_are_refused(lengths):
    raw, requirement, times = lengths
    with pytest.raises(InputError, match="one each"):
        dress(PLAIN, [1.0] * raw, [1.0] * requirement, as_of=_times(times))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"floor": -0.1}, "floor"),
        ({"rise_per_day": np.nan}, "rise_per_day"),
        ({"peak_to_trough": 0.5}, "peak_to_trough"),
        ({"stressed_weight": 1.5}, "stressed_weight"),
        ({"release_half_life_days": 0.0}, "half_life"),
        ({"draw": 1.1, "refill": 1.2}, "refill"),
    ],
)
def test_a_dressing_that_cannot_be_is_refused(changes, word):
    with pytest.raises(ConfigError, match=word):
        Dressing(**changes)
