"""The judge's numbers: its own cost formula and its own margin, beside those of the proposer."""

import pytest

from greekdrift.book import order_cost_usd
from greekdrift.margin import grid
from greekdrift.verify.case import Case
from greekdrift.verify.numbers import cost_usd, numbers


def test_costs_are_those_of_the_book(world, make_world) -> None:
    for name in ("BTC-31JAN26-100000-C", "BTC-31JAN26-130000-C", "BTC-PERPETUAL"):
        for quantity in (-3.0, 3.0):
            for worse in (-2.0, 0.0, 1.0, 7.0):
                order = world.order(name, quantity, worse=worse)
                own = cost_usd(order, world.chain, world.venue)
                assert own == pytest.approx(order_cost_usd(order, world.chain, world.venue), rel=1e-13)
                assert own > 0.0


def test_before_and_after(world) -> None:
    orders = (world.order("BTC-31JAN26-100000-C", 0.3), world.order("BTC-PERPETUAL", -8_500.0, leg=1))
    adjustment = world.propose(*orders)
    case = Case.of(world.account, world.chain, adjustment, world.account.mandate, world.rules, world.now, world.venue)
    found = numbers(case)
    assert found.before.account is world.account
    assert found.after.account.quantities()["BTC-31JAN26-100000-C"] == -1.7
    for side in (found.before, found.after):
        engine = grid.requirement(world.chain, side.account, world.rules)
        assert side.margin.initial_margin_usd == pytest.approx(engine.initial_margin_usd, rel=1e-11)
        assert side.margin.equity_usd == pytest.approx(engine.equity_usd, rel=1e-12)
        assert len(side.stressed) == 23
    assert found.gross_usd > 5e5
    assert not hasattr(case, "claim")
