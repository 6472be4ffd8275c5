"""Margin and equity in scenarios against a full recomputation on each moved chain; parts and representatives."""

import numpy as np
import pytest

from greekdrift.margin import grid
from greekdrift.margin.ahead import ahead
from greekdrift.policy.ahead import representatives
from greekdrift.surface import fit
from greekdrift.surface.revalue import part
from greekdrift.surface.scenario import move
from greekdrift.surface.state import FACTORS


def test_margin_and_equity_are_those_of_the_account_on_the_moved_chain(case_of, made, outlook):
    """Per scenario: the chain moved by the same increment, the account with what its lines paid until then."""
    at = case_of(made.account({"BTC-27MAR26-70000-C": -12.0, "BTC-26JUN26-60000-P": 6.0}))
    revaluation = outlook(at, n=5, horizons=(24.0,))
    held = part(revaluation, rows=np.unique(at.chain.rows(at.account.quantities())))
    found = ahead(at.chain, [at.account], at.rules, held, equity_usd=[at.margin.equity_usd])
    draw = np.random.default_rng(0)
    spot, other = (draw.normal(size=(5, 1, 2)) * np.sqrt(24.0 / 8760.0) for _ in range(2))
    surface = fit.fit(at.chain)
    for scenario in range(5):
        increments = np.zeros((2, len(FACTORS)))
        increments[:, 0] = 0.55 * spot[scenario, 0]
        increments[:, 1:9] = (0.8 * other - 0.3 * spot)[scenario, 0][:, None]
        later = move(at.chain, surface, increments, 24.0, ("BTC", "ETH"))
        exact = grid.requirement(later, at.account, at.rules)
        assert found.initial_margin[scenario, 0, 0] == pytest.approx(exact.initial_margin_usd, rel=1e-9)
        assert found.maintenance_margin[scenario, 0, 0] == pytest.approx(exact.maintenance_margin_usd, rel=1e-9)
        assert found.equity[scenario, 0, 0] == pytest.approx(exact.equity_usd, rel=1e-9)
        assert found.shortfall[scenario, 0, 0] == pytest.approx(-exact.excess_usd, rel=1e-6)


def test_a_part_is_the_same_to_the_bit_whatever_else_was_revalued(case_of, desk, outlook):
    at = case_of(desk)
    whole = outlook(at, n=20)
    rows = at.universe.rows[::3]
    some = part(whole, rows=rows, scenarios=np.array([3, 7]), weights_of=np.array([0.5, 0.5]))
    assert np.array_equal(some.rows, rows)
    assert some.values["vega"].tobytes() == np.ascontiguousarray(whole.values["vega"][[3, 7]][:, :, ::3]).tobytes()
    assert some.weights.tolist() == [0.5, 0.5]
    assert some.index.shape == (2, 3, 2)


def test_representatives_keep_weight_order_and_mean():
    draw = np.random.default_rng(4)
    figure, weights = draw.normal(size=1000), draw.dirichlet(np.ones(1000))
    chosen, weight = representatives(figure, weights, 50)
    assert len(set(chosen.tolist())) == 50
    assert weight.sum() == pytest.approx(1.0)
    assert weight @ figure[chosen] == pytest.approx(weights @ figure, abs=0.05)
    every, same = representatives(figure, weights, 5000)
    assert every.tolist() == list(range(1000))
    assert same == pytest.approx(weights)
