"""Band values are linear in the trade, now and in scenarios: the hinges equal a recomputation of the book."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Band, View, after_orders
from greekdrift.forecast.distribution import forecast
from greekdrift.greeks.bands import band_values
from greekdrift.policy.breach import now_hinges, scenario_hinges
from greekdrift.surface.revalue import part

VIEWS = (
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.USD),
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.COLLATERAL),
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.NET),
    Band(greek="gamma", underlying="BTC", lower=-2e-4, upper=2e-4),
    Band(greek="vega", underlying="BTC", lower=-3e4, upper=3e4, tenor_days=(0.0, 25.0)),
    Band(greek="theta", underlying="BTC", lower=-1e6, upper=1e6),
)


@pytest.fixture
def at(case_of, made):
    return case_of(made.account(made.straddles, bands=VIEWS))


def some_trade(at, seed=1):
    draw = np.random.default_rng(seed)
    trade = np.round(draw.uniform(at.universe.lower, at.universe.upper) / 4 / at.lots.lot) * at.lots.lot
    return np.where(draw.random(trade.size) < 0.4, trade, 0.0)


def test_values_now_are_those_of_the_exposure_before_and_after_a_trade(at):
    before = band_values(at.chain, at.account)
    assert dict(zip(before, at.values, strict=True)) == pytest.approx(before, rel=1e-12)
    trade = some_trade(at)
    after = band_values(at.chain, at.after(trade))
    found = dict(zip(after, at.values + at.matrix @ trade, strict=True))
    paid = at.chain.index_price["BTC"]
    for label, value in after.items():
        slack = 0.02 if "collateral" in label else 1e-9 * abs(value)
        assert found[label] == pytest.approx(value, abs=slack), (label, paid)


def test_the_hinges_price_the_distance_outside_the_targets(at):
    trade = some_trade(at)
    loss = now_hinges(at.targets, at.values, at.matrix, hours=12.0)
    value = at.values + at.matrix @ trade
    by_hand = sum(
        12.0 * target.price * max(target.lower - one, one - target.upper, 0.0)
        for target, one in zip(at.targets, value, strict=True)
    )
    assert loss.cost(trade) == pytest.approx(by_hand)


def test_scenario_values_are_those_of_the_forecast_of_the_traded_book(at, outlook):
    """G_s + H_s x without any expansion: the forecast room, given the account after the trade, says the same."""
    revaluation = outlook(at, n=30)
    trade = some_trade(at)
    free = replace(at.venue, products=tuple(replace(one, taker_fee=0.0) for one in at.venue.products))
    at_marks = [replace(order, limit_price=_mark(at, order)) for order in at.orders(trade)]
    after = after_orders(at.account, at_marks, at.chain, free)
    held = part(revaluation, rows=np.unique(at.chain.rows(after.quantities())))
    seen = forecast(at.chain, [after], held)
    scenarios = np.arange(30)
    loss = scenario_hinges(
        at.chain,
        at.account,
        at.mandate,
        at.targets,
        at.universe,
        revaluation,
        hours=24.0,
        scenarios=scenarios,
        weights=revaluation.weights,
    )
    value = (loss.start + loss.slope @ trade).reshape(3, 30, len(VIEWS))
    for place, band in enumerate(VIEWS):
        wanted = seen.of(after.account_id, band.label)
        scale = np.abs(wanted).max()
        assert np.allclose(value[:, :, place].T, wanted, rtol=1e-9, atol=1e-6 * scale), band.label
    outside = np.maximum(np.maximum(loss.floor - value.ravel(), value.ravel() - loss.ceiling), 0.0)
    mean = sum(
        24.0 * target.price * outside.reshape(3, 30, -1)[:, :, place].mean() for place, target in enumerate(at.targets)
    )
    assert loss.cost(trade) == pytest.approx(mean)


def _mark(at, order):
    """The model's mark, at which a trade pays exactly what it is worth."""
    row = at.chain.row_of[order.instrument.name]
    return float(at.chain.mark[row] if order.instrument.is_option else at.chain.forward[row])
