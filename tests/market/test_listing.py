"""Calendars and strike ladders."""

from datetime import date, timedelta

import numpy as np
import pytest

from greekdrift.market.listing import coin_expiries, ladder, last_friday, third_friday
from greekdrift.units import instant


@pytest.mark.parametrize(
    ("month", "day"), [((2023, 1), 20), ((2023, 2), 17), ((2023, 9), 15), ((2023, 12), 15), ((2024, 3), 15)]
)
def test_third_fridays_as_listed(month: tuple[int, int], day: int):
    assert third_friday(*month) == date(*month, day)


@pytest.mark.parametrize(
    ("month", "day"), [((2026, 1), 30), ((2026, 3), 27), ((2026, 6), 26), ((2026, 9), 25), ((2026, 12), 25)]
)
def test_last_fridays_as_deribit_lists_them(month: tuple[int, int], day: int):
    assert last_friday(*month) == date(*month, day)


def test_coin_expiries_are_ahead_and_reach_a_year():
    moment = instant("2026-02-05T10:00Z")
    listed = coin_expiries(moment)
    assert min(listed) > moment
    assert all(one.hour == 8 for one in listed)
    assert [f"{one:%d%b%y}" for one in listed] == [
        "06Feb26", "07Feb26", "08Feb26", "13Feb26", "20Feb26", "27Feb26", "27Mar26", "24Apr26", "26Jun26", "25Sep26",
        "25Dec26",
    ]  # fmt: skip


def test_an_expiry_stays_listed_until_it_comes():
    moment = instant("2026-02-05T10:00Z")
    before = set(coin_expiries(moment))
    for _ in range(200):
        moment += timedelta(hours=7)
        now = set(coin_expiries(moment))
        assert all(one <= moment for one in before - now)
        before = now


def test_at_its_own_minute_an_expiry_is_gone():
    assert instant("2026-02-06T08:00Z") not in coin_expiries(instant("2026-02-06T08:00Z"))


def test_ladder_knows_nothing_of_the_future():
    rng = np.random.default_rng(5)
    forward = 100.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(60)))
    deviation = np.linspace(0.2, 0.02, 60)
    strikes, since = ladder(forward, deviation, base=1.0)
    for upto in (1, 20, 59):
        known, when = ladder(forward[:upto], deviation[:upto], base=1.0)
        np.testing.assert_array_equal(known, strikes[since < upto])
        np.testing.assert_array_equal(when, since[since < upto])


def test_ladder_brackets_the_forward_and_refines_as_time_runs_out():
    strikes, since = ladder(np.full(3, 101.0), np.array([0.4, 0.1, 0.02]), base=1.0)
    gaps = [np.min(np.diff(strikes[since <= at])) for at in range(3)]
    assert gaps == sorted(gaps, reverse=True)
    for at in range(3):
        assert np.min(strikes[since <= at]) < 101.0 < np.max(strikes[since <= at])
