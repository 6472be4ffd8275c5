import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.forecast.days import of_sessions
from greekdrift.forecast.events import (
    EVENTS,
    doubling,
    fall,
    falls,
    inversion,
    jump,
    pooled,
    recipes,
    rises_above,
    rows,
)


def market(variance: np.ndarray, **more: np.ndarray):
    day = np.arange(len(variance))
    known = (day + 1).astype("datetime64[D]").astype("datetime64[us]")
    return of_sessions("X", day=day, known_at=known, variance=variance, **({"close": np.ones(len(day))} | more))


def test_doubling_compares_the_next_days_with_the_last() -> None:
    outcome, ratio = doubling(market(np.concatenate([np.full(22, 1.0), np.full(10, 2.1)])))
    assert np.isnan(outcome[:17]).all()
    assert outcome[21] == 1.0
    assert outcome[26] == 0.0
    assert np.isnan(outcome[-5:]).all()
    np.testing.assert_allclose(ratio[21], np.log(2.1 / 2.0))
    holed = np.concatenate([np.full(22, 1.0), np.full(10, 2.1)])
    holed[24] = np.nan
    assert np.isnan(doubling(market(holed))[0][21])


def test_falls_and_rises_look_ahead_only_so_far() -> None:
    close = np.array([100.0, 98.0, 96.0, 94.0, 120.0])
    np.testing.assert_array_equal(falls(close, ahead=2, share=0.05), [0.0, 0.0, 0.0, np.nan, np.nan])
    np.testing.assert_array_equal(falls(close, ahead=3, share=0.05), [1.0, 0.0, np.nan, np.nan, np.nan])
    risen = rises_above(np.array([0.0, 0.0, 2.0, 0.0]), np.ones(4), ahead=1)
    np.testing.assert_array_equal(risen, [0.0, 1.0, np.nan, np.nan])


def test_the_other_events_are_what_they_say() -> None:
    close = np.append(np.full(12, 100.0), 94.9)
    slope = np.array([-0.1] * 5 + [0.05] + [-0.1] * 7)
    implied = np.append(np.full(12, 1.0), 1.5)
    days = market(np.ones(13), close=close, slope=slope, implied=implied)
    assert fall(days)[0][2] == 1.0
    assert fall(days)[0][1] == 0.0
    np.testing.assert_array_equal(inversion(days)[0][[0, 4, 6]], [1.0, 1.0, 0.0])
    assert np.isnan(inversion(days)[0][5])
    assert jump(days)[0][7] == 1.0
    assert jump(days)[0][6] == 0.0


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("clock", ["elapsed", "sessions"])
def test_baselines_stand_before_the_own_model(event, clock) -> None:
    names = list(recipes(event, clock, has_implied=False))
    assert names == ["climatology", "level only", "hidden state", "greekdrift"]


def test_outcomes_are_complete_when_the_window_is() -> None:
    found = rows(market(np.random.default_rng(0).lognormal(size=100)), "variance_doubling")
    np.testing.assert_array_equal(found.complete[:95], found.day[:95] + 5)
    assert np.all(found.complete[95:] > 10**6)
    with pytest.raises(InputError, match='did you mean "inversion"'):
        rows(market(np.ones(30)), "inversoin")


def test_pooled_rows_are_those_of_their_parts() -> None:
    first, second = (rows(market(np.random.default_rng(at).lognormal(size=100)), "fall") for at in (0, 1))
    both = pooled([first, second])
    assert len(both.day) == 200
    np.testing.assert_array_equal(both.columns["daily"][100:], second.columns["daily"])
    assert both.ratio is None
