"""Hard rows: Greeks no further outside, cost and cash as the bookkeeping counts them."""

import numpy as np
import pytest

from greekdrift.book import Band, order_cost_usd
from greekdrift.policy.limits import cash_limits, cost_limit, no_further_outside

BANDS = tuple(Band(greek=greek, underlying="BTC", lower=-1.0, upper=1.0) for greek in ("delta", "gamma", "vega"))


def test_inside_stays_inside_and_outside_goes_no_further():
    rows = no_further_outside(BANDS, np.array([0.5, 3.0, -2.0]), np.eye(3))
    for trade, is_kept in (
        ([0.4, 0.0, 0.0], True),
        ([0.6, 0.0, 0.0], False),
        ([-1.4, 0.0, 0.0], True),
        ([-1.6, 0.0, 0.0], False),
        ([0.0, 0.1, 0.0], False),
        ([0.0, -3.9, 0.0], True),
        ([0.0, -4.1, 0.0], False),
        ([0.0, 0.0, -0.1], False),
        ([0.0, 0.0, 2.9], True),
        ([0.0, 0.0, 3.1], False),
        ([0.0, 0.0, 0.0], True),
    ):
        assert rows.are_kept(np.array(trade)) == is_kept, trade


def some_trade(at, seed):
    draw = np.random.default_rng(seed)
    trade = np.round(draw.uniform(at.universe.lower, at.universe.upper) / 3 / at.lots.lot) * at.lots.lot
    return np.where(draw.random(trade.size) < 0.4, trade, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_cost_and_cash_rows_count_as_the_bookkeeping_does(case_of, desk, seed):
    at = case_of(desk)
    trade = some_trade(at, seed)
    bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
    cost = cost_limit(at.universe, at.mandate)
    spent = sum(order_cost_usd(order, at.chain, at.venue) for order in at.orders(trade))
    assert cost.bought[0] @ bought + cost.sold[0] @ sold == pytest.approx(spent, rel=1e-12)
    cash = cash_limits(at.chain, at.account, at.universe)
    paid = at.account.collateral["BTC"] - at.after(trade).collateral["BTC"]
    perpetual = at.universe.rows == at.chain.row_of["BTC-PERPETUAL"]
    slip = abs(float(trade[perpetual][0])) * 10.0 * 1e-4 / 70_000.0
    assert cash.bought[0] @ bought + cash.sold[0] @ sold == pytest.approx(paid, abs=1.1 * slip + 1e-12)
    assert cash.bound[0] == at.account.collateral["BTC"]
