"""The case of an account: frozen terms, exact margin, cuts that bound the margin from below."""

from datetime import timedelta

import numpy as np
import pytest

from greekdrift import policy
from greekdrift.verify import Verified, verify


def trades(at, count=12):
    draw = np.random.default_rng(3)
    for _ in range(count):
        trade = np.round(draw.uniform(at.universe.lower, at.universe.upper) / 5 / at.lots.lot) * at.lots.lot
        yield np.where(draw.random(trade.size) < 0.4, trade, 0.0)


def test_orders_carry_the_trade(case_of, desk):
    at = case_of(desk)
    trade = next(trades(at))
    after = at.after(trade).quantities()
    for place, row in enumerate(at.universe.rows):
        name = at.chain.instruments[row].name
        assert after.get(name, 0.0) == pytest.approx(at.universe.held[place] + trade[place], abs=1e-9)


def test_a_margin_cut_says_at_its_trade_what_the_engine_says(case_of, desk):
    at = case_of(desk)
    checked = 0
    for trade in trades(at):
        cut = at.margin_cut(trade)
        bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
        room = float(cut.bound[0] - cut.bought[0] @ bought - cut.sold[0] @ sold)
        if cut.bound[0] > 0.0:
            assert room == pytest.approx(at.margin_after(trade).excess_usd - at.required_excess_usd, abs=500.0)
            checked += 1
    assert checked >= 6


def test_margin_cuts_seldom_forbid_what_the_engine_allows(case_of, made):
    """The rule set is not convex to the last dollar, but a cut made elsewhere is off by less than 1 % of the margin."""
    at = case_of(made.account(made.straddles, collateral={"BTC": 5.0, "USDC": 500_000.0}))
    cuts = [at.margin_cut(trade) for trade in trades(at, 4)]
    assert sum(cut.bound[0] > 0.0 for cut in cuts) >= 2
    for trade in trades(at, 12):
        bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
        found = at.margin_after(trade)
        for cut in cuts:
            if cut.bound[0] > 0.0:
                room = float(cut.bound[0] - cut.bought[0] @ bought - cut.sold[0] @ sold)
                exact = found.excess_usd - at.required_excess_usd
                assert room >= exact - 0.01 * found.initial_margin_usd - 500.0


def test_shortage_cuts_lie_below_the_shortage(case_of, made):
    at = case_of(made.account(made.straddles, liquidity_buffer_usd=5e6))
    assert at.shortage_usd(at.nothing) > 0.0
    cuts = [at.shortage_cut(trade) for trade in trades(at, 4)]
    for trade in trades(at, 12):
        bought, sold = np.maximum(trade, 0.0), np.maximum(-trade, 0.0)
        for cut in cuts:
            assert cut.at_nothing + cut.bought @ bought + cut.sold @ sold <= at.shortage_usd(trade) + 50.0


def test_what_is_required_is_the_buffer_or_what_there_is(case_of, made):
    rich = case_of(made.account(made.straddles))
    poor = case_of(made.account(made.straddles, liquidity_buffer_usd=9e9))
    assert rich.required_excess_usd == rich.mandate.liquidity_buffer_usd
    assert poor.required_excess_usd == poor.margin.excess_usd


def test_doing_nothing_stands(case_of, desk):
    at = case_of(desk)
    assert at.stands(at.nothing)
    assert at.orders(at.nothing) == ()


def test_a_proposal_ends_with_the_first_expiry_of_what_it_is_about(case_of, made):
    """A line that dies within the validity shortens it, and the judge agrees."""
    far = case_of(made.account(made.straddles))
    assert far.valid_until(()) == far.now + timedelta(seconds=far.mandate.valid_for_seconds)
    near = made.account({"BTC-6MAR26-70000-C": -4.0, **made.straddles}, valid_for_seconds=7 * 86_400.0)
    at = case_of(near)
    end = near.positions[0].instrument.expiry
    assert at.valid_until(()) == end < at.now + timedelta(days=7)
    proposal = policy.baseline(at)
    assert proposal.adjustment.valid_until == end
    verdict = verify(near, at.chain, proposal.adjustment, near.mandate, at.rules, at.now, venue=at.venue)
    assert isinstance(verdict, Verified)
