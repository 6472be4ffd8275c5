"""Whole lots: near the continuous optimum, within bounds and limits, few orders."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.policy.breach import now_hinges
from greekdrift.policy.lots import Lots, polish, whole_lots
from greekdrift.policy.solver import Hinges, Limits, Programme, solve


@pytest.fixture
def problem(case_of, desk):
    at = case_of(desk)
    return at, at.programme(now_hinges(at.targets, at.values, at.matrix, hours=24.0))


def test_every_quantity_is_a_multiple_of_its_lot_within_bounds_and_limits(problem):
    at, programme = problem
    trade = whole_lots(programme, at.lots)
    assert np.any(trade)
    assert np.allclose(trade / at.lots.lot, np.round(trade / at.lots.lot), atol=1e-9)
    assert np.all((trade >= programme.lower) & (trade <= programme.upper))
    assert programme.limits.are_kept(trade)


def test_rounding_costs_little(problem):
    """Without tickets, whole lots stay within 3 % of the continuous optimum."""
    at, programme = problem
    lots = replace(at.lots, ticket_usd=0.0)
    assert programme.objective(whole_lots(programme, lots)) <= 1.03 * solve(programme).objective


def test_tickets_make_fewer_orders(problem):
    at, programme = problem
    counts = [
        np.count_nonzero(whole_lots(programme, replace(at.lots, ticket_usd=price))) for price in (0.0, 20.0, 200.0)
    ]
    assert counts[0] > counts[1] > counts[2] > 0


def test_the_linear_contract_is_sized_after_the_options_are_rounded():
    """Option lots of 1 leave a delta that the perpetual, rounded last, takes to within its own lot."""
    lots_case = np.array([1.0, 1e-4])
    programme = Programme(
        buy_cost=np.array([1.0, 1e-6]),
        sell_cost=np.array([1.0, 1e-6]),
        impact=np.zeros(2),
        lower=np.full(2, -100.0),
        upper=np.full(2, 100.0),
        hinges=Hinges(
            slope=np.array([[10.0, 0.0], [0.5, 1.0]]),
            start=np.array([-24.0, 0.3]),
            floor=np.array([-1.0, 0.0]),
            ceiling=np.array([1.0, 0.0]),
            price=np.array([1e3, 1e3]),
        ),
        limits=Limits.none(2),
    )
    lots = Lots(lot=lots_case, notional_usd=np.ones(2), is_linear=np.array([False, True]), ticket_usd=0.0)
    trade = whole_lots(programme, lots)
    assert trade[0] in (2.0, 3.0)
    assert abs(0.3 + 0.5 * trade[0] + trade[1]) <= 1e-4 + 1e-9


def test_an_order_that_saves_less_than_its_ticket_goes_whole():
    """Each of its lots helps a little, so no step of a few lots would ever take it out; 97 is no such step."""
    programme = Programme(
        buy_cost=np.array([0.01]),
        sell_cost=np.array([0.01]),
        impact=np.zeros(1),
        lower=np.array([-200.0]),
        upper=np.array([200.0]),
        hinges=Hinges(
            slope=np.array([[1.0]]),
            start=np.array([-97.0]),
            floor=np.array([0.0]),
            ceiling=np.array([np.inf]),
            price=np.array([0.02]),
        ),
        limits=Limits.none(1),
    )
    lots = Lots(lot=np.ones(1), notional_usd=np.full(1, 10.0), is_linear=np.array([True]), ticket_usd=20.0)
    assert polish(programme, lots, np.array([97.0]), support=np.arange(1))[0] == 0.0
    assert polish(programme, replace(lots, ticket_usd=0.5), np.array([97.0]), support=np.arange(1))[0] == 97.0
