"""Cuts of a convex loss: the relief finds its minimum, and a loss may only grow where that is allowed."""

import numpy as np
import pytest

from greekdrift.policy.relief import Cut, Relief, relieved
from greekdrift.policy.solver import Hinges, Limits, Programme, solve


def plain(n=2, cost=0.01):
    one = np.ones(n)
    return Programme(
        buy_cost=cost * one,
        sell_cost=cost * one,
        impact=0.0 * one,
        lower=-10.0 * one,
        upper=10.0 * one,
        hinges=Hinges.none(n),
        limits=Limits.none(n),
    )


def loss(x):
    """A convex loss with a kink: max of two slopes and a quadratic; its minimum is 1 at (2, −1)."""
    value = 1.0 + abs(x[0] - 2.0) + 0.5 * (x[1] + 1.0) ** 2
    return value, np.array([np.sign(x[0] - 2.0) or 1.0, x[1] + 1.0])


def test_repeated_cuts_find_the_minimum_of_a_kinked_loss():
    cuts, trade = [], np.zeros(2)
    for _ in range(25):
        value, slope = loss(trade)
        cuts.append(Cut(trade=trade, value=value, bought=slope, sold=-slope))
        relief = Relief(idle=loss(np.zeros(2))[0], worst=0.0, price=1.0, cuts=tuple(cuts))
        trade = solve(relieved(plain(), [relief])).trade[:2]
    assert loss(trade)[0] == pytest.approx(1.0, abs=0.02)


def test_a_loss_grows_only_where_it_may():
    """A hinge pays for going up in a loss that rises with x: allowed at its price, or not at all."""
    slope = np.array([1.0])
    cut = Cut(trade=np.zeros(1), value=0.0, bought=slope, sold=-slope)
    wish = Hinges(
        slope=np.ones((1, 1)), start=np.zeros(1), floor=np.array([3.0]), ceiling=np.array([9.0]), price=np.array([2.0])
    )
    base = plain(1)
    wanting = Programme(
        buy_cost=base.buy_cost,
        sell_cost=base.sell_cost,
        impact=base.impact,
        lower=base.lower,
        upper=base.upper,
        hinges=wish,
        limits=base.limits,
    )
    held = solve(relieved(wanting, [Relief(idle=0.0, worst=0.0, price=1.0, cuts=(cut,))])).trade[0]
    free = solve(relieved(wanting, [Relief(idle=0.0, worst=50.0, price=1.0, cuts=(cut,))])).trade[0]
    dear = solve(relieved(wanting, [Relief(idle=0.0, worst=50.0, price=5.0, cuts=(cut,))])).trade[0]
    assert held == pytest.approx(0.0, abs=1e-5)
    assert free == pytest.approx(3.0, abs=1e-4)
    assert dear == pytest.approx(0.0, abs=1e-4)


def test_no_relief_leaves_the_programme_as_it_is():
    programme = plain()
    assert relieved(programme, []) is programme
