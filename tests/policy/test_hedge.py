"""Whole proposals on hand-made books: they restore bands, keep limits, claim the truth, and know when to rest."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.optimize import linprog

from greekdrift import policy
from greekdrift.book import Band, after_orders, canonical, order_cost_usd
from greekdrift.errors import BookError
from greekdrift.greeks.bands import band_values
from greekdrift.margin import naive
from greekdrift.margin.dressing import State
from greekdrift.policy.breach import now_hinges
from greekdrift.policy.solver import solve

ATM = "BTC-27MAR26-70000-C"


def outside(bands, values):
    return {band.label: band.distance_outside(values[band.label]) for band in bands}


@pytest.fixture
def at(case_of, desk):
    return case_of(desk)


@pytest.mark.parametrize("rule", ["baseline", "propose"])
def test_a_book_far_outside_is_brought_back_and_every_claim_is_true(at, outlook, rule):
    found = policy.baseline(at) if rule == "baseline" else policy.propose(at, outlook(at), source="x")
    adjustment, claim = found.adjustment, found.adjustment.claim
    assert sum(outside(at.mandate.bands, band_values(at.chain, at.account)).values()) > 0.0
    assert not any(outside(at.mandate.bands, claim.greeks).values())
    assert found.objective_usd < 0.2 * found.idle_usd
    after = after_orders(at.account, adjustment.orders, at.chain, at.venue)
    slow = naive.requirement(at.chain, after, at.rules)
    assert claim.greeks == pytest.approx(band_values(at.chain, after))
    assert claim.initial_margin_usd == pytest.approx(slow.initial_margin_usd, rel=1e-9)
    assert claim.maintenance_margin_usd == pytest.approx(slow.maintenance_margin_usd, rel=1e-9)
    assert claim.equity_usd == pytest.approx(slow.equity_usd, rel=1e-9)
    assert claim.cash == dict(after.collateral)
    assert claim.cost_usd == sum(order_cost_usd(order, at.chain, at.venue) for order in adjustment.orders)
    assert adjustment.is_forecast_based == (rule == "propose")


def test_orders_are_marketable_sequenced_and_explained(at):
    orders = policy.baseline(at).adjustment.orders
    assert [order.leg for order in orders] == list(range(len(orders)))
    linear = [not order.instrument.is_option for order in orders]
    assert linear == sorted(linear)
    for order in orders:
        row = at.chain.row_of[order.instrument.name]
        assert order.limit_price == (at.chain.ask[row] if order.quantity > 0 else at.chain.bid[row])
        lot = at.venue.product(order.instrument).lot
        assert abs(order.quantity / lot - round(order.quantity / lot)) < 1e-9
    assert any("BTC vega 0-30d outside" in order.reason for order in orders)
    assert all(order.reason for order in orders)


def test_the_same_case_gives_the_same_bytes(case_of, desk, outlook):
    one, two = (
        canonical(policy.propose(at, outlook(at), source="x").adjustment) for at in (case_of(desk), case_of(desk))
    )
    assert one == two


def test_the_continuous_hedge_is_the_linear_optimum_of_highs(at):
    """On the real programme of a book, without impact: same optimum as HiGHS on the epigraph."""
    loss = now_hinges(at.targets, at.values, at.matrix, hours=24.0)
    plain = replace(at.programme(loss), impact=np.zeros(at.nothing.size))
    n, m = at.nothing.size, len(at.targets)
    unit = 1e4 / at.lots.notional_usd
    width = loss.ceiling - loss.floor
    slope = loss.slope * unit / width[:, None]
    limits = plain.limits
    row = np.abs(np.hstack([limits.bought * unit, limits.sold * unit])).max(axis=1)
    keep = row > 0
    bought, sold = ((side * unit)[keep] / row[keep, None] for side in (limits.bought, limits.sold))
    found = linprog(
        np.concatenate([plain.buy_cost * unit, plain.sell_cost * unit, loss.price * width]),
        A_ub=np.vstack(
            [
                np.hstack([slope, -slope, -np.eye(m)]),
                np.hstack([-slope, slope, -np.eye(m)]),
                np.hstack([bought, sold, np.zeros((keep.sum(), m))]),
            ]
        ),
        b_ub=np.concatenate(
            [(loss.ceiling - loss.start) / width, (loss.start - loss.floor) / width, limits.bound[keep] / row[keep]]
        ),
        bounds=[*zip(np.zeros(n), plain.upper / unit, strict=True), *zip(np.zeros(n), -plain.lower / unit, strict=True)]
        + [(0, None)] * m,
    )
    assert found.status == 0
    assert solve(plain).objective == pytest.approx(found.fun, rel=1e-5)


def test_a_book_inside_its_bands_rests(case_of, made, outlook):
    at = case_of(made.account({ATM: 0.2}))
    for found in (policy.baseline(at), policy.propose(at, outlook(at), source="x")):
        assert found.is_idle
        assert found.objective_usd == found.idle_usd
        assert found.adjustment.claim.cost_usd == 0.0


def test_a_breach_that_costs_less_than_its_hedge_is_left(case_of, made, outlook):
    cheap = dict.fromkeys(("delta", "gamma", "vega"), 1e-12)
    at = case_of(made.account(made.straddles, price_of_breach=cheap))
    assert policy.baseline(at).is_idle
    assert policy.propose(at, outlook(at), source="x").is_idle


def test_what_the_clock_brings_back_is_not_hedged(case_of, made, outlook):
    """A gamma that expires inside the horizon: the forecast's hedge spends less than the rule that sees today only."""
    only_gamma = (Band(greek="gamma", underlying="BTC", lower=-1e-4, upper=1e-4),)
    at = case_of(made.account({"BTC-6MAR26-70000-C": -6.0}, bands=only_gamma))
    ahead = outlook(at, horizons=(96.0, 120.0, 144.0))
    blind, seeing = policy.baseline(at, hours=144.0), policy.propose(at, ahead, source="x")
    assert blind.adjustment.orders
    assert seeing.parts["breach ahead"] < seeing.idle_parts["breach now"]
    assert seeing.adjustment.claim.cost_usd <= blind.adjustment.claim.cost_usd


def test_cost_and_size_limits_hold(case_of, made):
    at = case_of(made.account(made.straddles, max_cost_usd=300.0, max_order_notional_usd=140_000.0))
    found = policy.baseline(at)
    assert 0.0 < found.adjustment.claim.cost_usd <= 300.0
    assert all(
        abs(order.quantity) * (70_000.0 if order.instrument.is_option else 10.0) <= 140_000.0 + 1e-6
        for order in found.adjustment.orders
    )
    free = policy.baseline(case_of(made.account(made.straddles)))
    assert found.objective_usd > free.objective_usd


def test_no_currency_is_overdrawn(case_of, made):
    """Options are paid in coin; with little of it the hedge shrinks to what the coin pays for."""
    poor = made.account(made.straddles, collateral={"BTC": 0.2, "USDC": 3_000_000.0})
    found = policy.baseline(case_of(poor))
    assert found.adjustment.orders
    assert found.adjustment.claim.cash["BTC"] >= -1e-9


def test_the_margin_after_leaves_the_buffer(case_of, made):
    """A thin account: the exact excess after is at least the buffer, also where the free hedge would use it up."""
    rich = case_of(made.account(made.straddles))
    need = rich.margin.initial_margin_usd
    for share in (1.02, 1.1, 1.3):
        coins = 5.0
        thin = made.account(
            made.straddles,
            collateral={"BTC": coins, "USDC": need * share - rich.margin.equity_usd + (40.0 - coins) * 70_000.0 + 5e5},
            liquidity_buffer_usd=0.01 * need,
        )
        at = case_of(thin)
        found = policy.baseline(at)
        claim = found.adjustment.claim
        assert claim.equity_usd - claim.initial_margin_usd >= at.required_excess_usd - 1e-6


def test_an_account_short_of_its_buffer_is_improved(case_of, made):
    """Without any band broken, a missing buffer alone is worth trading for: the requirement falls."""
    wide = tuple(Band(greek=greek, underlying="BTC", lower=-1e9, upper=1e9) for greek in ("delta", "gamma", "vega"))
    book = {ATM: -20.0, "BTC-27MAR26-70000-P": -20.0}
    at = case_of(made.account(book, bands=wide, collateral={"BTC": 2.0, "USDC": 330_000.0}, liquidity_buffer_usd=4e5))
    assert at.margin.excess_usd < 4e5
    found = policy.baseline(at)
    claim = found.adjustment.claim
    assert claim.equity_usd - claim.initial_margin_usd > at.margin.excess_usd + 10_000.0
    assert found.parts["buffer missing"] < found.idle_parts["buffer missing"]


def test_calls_ahead_are_traded_away(case_of, made, outlook):
    """Enough margin now, calls in many scenarios: the forecast's proposal lowers them, today's rule cannot see them."""
    wide = tuple(Band(greek=greek, underlying="BTC", lower=-1e9, upper=1e9) for greek in ("delta", "gamma", "vega"))
    book = {"BTC-13MAR26-70000-C": -30.0, "BTC-13MAR26-70000-P": -30.0}
    terms = {"bands": wide, "liquidity_buffer_usd": 0.0}
    rich = case_of(made.account(book, collateral={"BTC": 2.0, "USDC": 1e6}, **terms)).margin
    at = case_of(made.account(book, collateral={"BTC": 2.0, "USDC": 1e6 - rich.excess_usd + 5_000.0}, **terms))
    assert at.margin.excess_usd > 0.0
    found = policy.propose(at, outlook(at, volatility=1.2), source="x")
    assert found.idle_parts["margin calls ahead"] > 1_000.0
    assert found.parts["margin calls ahead"] < 0.7 * found.idle_parts["margin calls ahead"]
    assert policy.baseline(at).is_idle


def test_the_addon_covers_the_quantile_ahead_and_obeys_its_speed(at, outlook):
    ahead = outlook(at, volatility=1.0)
    free = policy.propose(at, ahead, source="x").adjustment.margin_addon_usd
    before = State(as_of=at.now - timedelta(hours=1), held_usd=0.0)
    held = policy.propose(at, ahead, source="x", previous_addon=before)
    assert 0.0 < held.adjustment.margin_addon_usd < free
    assert [one.device for one in held.addon.overrides] == ["budget"]
    assert held.addon.addon_usd == held.addon.state.held_usd == held.adjustment.margin_addon_usd
    wilder = policy.propose(at, outlook(at, volatility=2.0), source="x").adjustment.margin_addon_usd
    assert wilder > free
    assert policy.baseline(at).adjustment.margin_addon_usd == 0.0


def test_accounts_under_another_rule_set_or_without_mandate_are_refused(case_of, made, desk):
    with pytest.raises(BookError, match="is under deribit_pm"):
        case_of(made.account(made.straddles, rule_set="deribit_pm"))
    with pytest.raises(BookError, match="no mandate"):
        case_of(replace(desk, mandate=None))
