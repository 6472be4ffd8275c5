"""Costs of trading: limits on the tick that fill, fees, spread and the square-root law."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from greekdrift.book import Order, order_cost_usd
from greekdrift.policy.impact import SquareRoot, costs, delta_cost_share, on_tick


@pytest.mark.parametrize(
    ("price", "tick", "side", "expected"),
    [
        (0.01234, 0.0005, 1, 0.0125),
        (0.01234, 0.0005, -1, 0.012),
        (0.0125, 0.0005, 1, 0.0125),
        (0.0125, 0.0005, -1, 0.0125),
        (70_000.2, 0.5, 1, 70_000.5),
        (0.0004, 0.0005, -1, 0.0),
    ],
)
def test_a_limit_moves_to_the_tick_that_fills(price, tick, side, expected):
    assert on_tick(price, tick, side=side) == expected


def test_limits_are_the_quotes_and_costs_those_of_the_bookkeeping(chain, venue):
    """Every figure equals what `book.order_cost_usd` says of the same order, which the judge uses too."""
    rows = np.arange(len(chain))
    found = costs(chain, rows, venue)
    for row in (0, 7, 40, 65, len(chain) - 1):
        for quantity, limit, cost in (
            (3.0, found.buy_limit, found.buy_cost),
            (-3.0, found.sell_limit, found.sell_cost),
        ):
            if np.isnan(limit[row]):
                continue
            order = Order(
                instrument=chain.instruments[row], quantity=quantity, limit_price=limit[row], leg=0, reason="x"
            )
            assert order_cost_usd(order, chain, venue) == pytest.approx(3.0 * cost[row], rel=1e-12)
    quoted = np.isfinite(chain.ask)
    assert np.array_equal(found.buy_limit[quoted], chain.ask[quoted])


def test_one_missing_side_closes_it_and_no_quote_at_all_uses_the_venues_half_spread(chain, made, venue):
    bid = chain.bid.copy()
    bid[0] = np.nan
    found = costs(replace(chain, bid=bid), np.array([0]), venue)
    assert np.isnan(found.sell_limit[0])
    assert np.isfinite(found.buy_limit[0])
    unquoted = made.chain(quoted=False)
    rows = unquoted.rows(["BTC-PERPETUAL", "BTC-27MAR26-70000-C"])
    found = costs(unquoted, rows, venue)
    assert found.buy_limit[0] == pytest.approx(70_000 * 1.0001, abs=0.5)
    assert np.isnan(found.buy_limit[1]), "the venue states no half spread for options"


def test_a_limit_beyond_the_collar_closes_its_side(chain, venue):
    row = chain.rows(["BTC-27MAR26-70000-C"])
    assert np.isfinite(costs(chain, row, venue, price_collar=0.01).buy_limit[0])
    assert np.isnan(costs(chain, row, venue, price_collar=1e-5).buy_limit[0])


def test_impact_is_the_square_root_law(chain, venue):
    """Cost of n contracts: ⅔ Y s √(n/V) n, s the daily deviation of the contract's value."""
    row = chain.rows(["BTC-27MAR26-70000-C"])
    one, twice = (costs(chain, row, venue, law=SquareRoot(coefficient=y)).impact[0] for y in (0.9, 1.8))
    assert twice == pytest.approx(2.0 * one)
    quarter = replace(chain, volume_24h=chain.volume_24h / 4.0)
    assert costs(quarter, row, venue).impact[0] == pytest.approx(2.0 * one)
    deviation = one * sqrt(chain.volume_24h[row[0]]) / (0.9 * 2.0 / 3.0)
    delta_only = 0.5 * 70_000 * 0.55 / sqrt(365)
    assert 0.8 * delta_only < deviation < 1.5 * delta_only


def test_without_a_recorded_volume_no_impact_is_charged(chain, venue):
    assert costs(chain, chain.rows(["BTC-PERPETUAL"]), venue).impact[0] == 0.0


def test_the_cheapest_delta_costs_fee_and_half_spread(chain, venue):
    found = costs(chain, np.arange(len(chain)), venue)
    assert delta_cost_share(chain, found, "BTC") == pytest.approx(0.0005 + 0.0001, rel=0.01)
    assert delta_cost_share(chain, found, "SOL") is None
