"""Faults depend on seed, place, minute and attempt alone; each that strikes is counted."""

from collections import Counter
from itertools import pairwise

import pytest
from tests.venue.faults import ROWS, TRANSPORT, Fault, Plan


def _drawn(plan: Plan, places: list[str]) -> dict[tuple[str, int], Fault | None]:
    count: Counter[str] = Counter()
    found = {}
    for place in places:
        count[place] += 1
        found[place, count[place]] = plan.draw(TRANSPORT, place=place, minute="1")[0]
    return found


def test_faults_do_not_depend_on_the_order_of_concurrent_calls() -> None:
    share = dict.fromkeys(Fault, 0.05)
    places = ["a", "b", "c"] * 40
    one, other = Plan(seed=1, share=share), Plan(seed=1, share=share)
    assert _drawn(one, places) == _drawn(other, sorted(places, reverse=True))
    assert one.fired == other.fired
    assert sum(one.fired.values()) > 20
    assert _drawn(Plan(seed=2, share=share), places) != _drawn(Plan(seed=1, share=share), places)


def test_shares_are_kept() -> None:
    plan = Plan(seed=3, share={Fault.SLOW: 0.2, Fault.NAN: 0.3})
    for number in range(4000):
        plan.draw(TRANSPORT, place="x", minute=f"{number}")
    assert set(plan.fired) == {Fault.SLOW}
    assert plan.fired[Fault.SLOW] == pytest.approx(800, abs=100)


def test_a_forced_fault_strikes_once_where_it_was_meant_and_can() -> None:
    plan = Plan()
    plan.force(Fault.NAN, where="option")
    assert plan.draw(TRANSPORT, place="option", minute="1")[0] is None
    assert plan.draw(ROWS, place="future", minute="1")[0] is None
    assert plan.draw(ROWS, place="option/BTC", minute="1")[0] is Fault.NAN
    assert plan.draw(ROWS, place="option/BTC", minute="1")[0] is None
    assert plan.fired == {Fault.NAN: 1}


def test_every_fault_can_strike_a_call() -> None:
    assert {*TRANSPORT, *ROWS} == set(Fault)
    assert not set(TRANSPORT) & set(ROWS)
    assert all(a is not b for a, b in pairwise(Fault))
