"""The rival: back to the nearest edge, one band after another, with the cheapest contract."""

import pytest

from greekdrift import policy
from greekdrift.book import Band, Kind


@pytest.fixture
def at(case_of, desk):
    return case_of(desk)


def test_the_programme_beats_the_reactive_rule_at_its_own_objective(at):
    rule, programme = policy.reactive(at), policy.baseline(at)
    assert rule.adjustment.orders
    assert programme.objective_usd < rule.objective_usd
    vega = "BTC vega 0-30d"
    assert abs(rule.adjustment.claim.greeks[vega]) < abs(at.values[2])


def test_the_reactive_rule_stops_at_the_nearest_edge(case_of, made):
    only_delta = (Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),)
    at = case_of(made.account({"BTC-PERPETUAL": 35_000.0}, bands=only_delta, hedge_kinds=(Kind.PERPETUAL,)))
    found = policy.reactive(at)
    assert found.adjustment.claim.greeks["BTC delta (net)"] == pytest.approx(1.0, abs=2e-4)
    assert found.adjustment.claim.greeks["BTC delta (net)"] <= 1.0


def test_a_band_that_nothing_can_mend_is_left(case_of, made):
    only_gamma = (Band(greek="gamma", underlying="BTC", lower=-1e-6, upper=1e-6),)
    account = made.account(made.straddles, bands=only_gamma, hedge_kinds=(Kind.PERPETUAL,), venues=("elsewhere",))
    assert policy.reactive(case_of(account)).is_idle
