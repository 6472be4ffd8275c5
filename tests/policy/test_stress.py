"""The rule under stress: rows agree with a recomputation on moved chains, and never allow what it forbids."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Band, View
from greekdrift.greeks.bands import band_values
from greekdrift.margin.stress import STRESS_TOLERANCE, stressed_chains
from greekdrift.policy.solver import Hinges, solve

BANDS = (
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.USD),
    Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),
    Band(greek="gamma", underlying="BTC", lower=-2e-4, upper=2e-4),
    Band(greek="vega", underlying="BTC", lower=-3e4, upper=3e4, tenor_days=(0.0, 30.0)),
)


@pytest.fixture
def at(case_of, made):
    return case_of(made.account(made.straddles, bands=BANDS))


def trades(at, count=40):
    draw = np.random.default_rng(7)
    for _ in range(count):
        trade = draw.uniform(at.universe.lower, at.universe.upper) * draw.uniform(0, 0.5)
        yield np.where(draw.random(trade.size) < 0.3, trade, 0.0)


def test_values_are_those_of_the_account_on_the_moved_chains(at):
    trade = np.round(next(trades(at)) / at.lots.lot) * at.lots.lot
    after = at.after(trade)
    found = at.stress.start + at.stress.slope @ trade
    for place, moved in enumerate(stressed_chains(at.chain, at.rules).values()):
        wanted = list(band_values(moved, after).values())
        assert found[place] == pytest.approx(wanted, rel=1e-9, abs=1e-9 * np.abs(wanted).max())


def test_the_collateral_delta_counts_what_inverse_lines_paid_on_the_way(case_of, made):
    bands = (Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0, view=View.COLLATERAL),)
    at = case_of(made.account(made.straddles, bands=bands))
    perpetual = at.account.quantities()["BTC-PERPETUAL"]
    for place, moved in enumerate(stressed_chains(at.chain, at.rules).values()):
        paid = perpetual * 10.0 * (1.0 / 70_000.0 - 1.0 / moved.index_price["BTC"])
        wanted = band_values(moved, at.account)["BTC delta (collateral)"] + paid
        assert at.stress.start[place, 0] == pytest.approx(wanted, rel=1e-9)


def test_the_rows_allow_only_what_the_rule_allows(at):
    """Any trade that keeps the rows of a band keeps the rule on it."""
    kept_some = 0
    for trade in trades(at, 200):
        for band in range(len(BANDS)):
            only = np.arange(len(BANDS)) == band
            if at.stress.limits(only).are_kept(trade, tolerance=0.0):
                kept_some += 1
                assert not at.stress.is_broken(trade)[band]
    assert kept_some > 20


def test_the_rule_by_hand(at):
    for trade in trades(at, 20):
        before = np.abs(at.values - 0.0)
        after = np.abs(at.values + at.matrix @ trade)
        width = at.stress.upper - at.stress.lower
        room = at.stress.worst(0 * trade) + np.maximum(before - after, 0.0) + STRESS_TOLERANCE * width
        assert np.all(at.stress.worst(trade)[~at.stress.is_broken(trade)] <= room[~at.stress.is_broken(trade)])


def test_doing_nothing_is_never_broken_and_keeps_every_row(at):
    nothing = at.nothing
    assert not np.any(at.stress.is_broken(nothing))
    assert at.stress.limits(np.ones(len(BANDS), dtype=bool)).are_kept(nothing)


def test_a_programme_with_the_rows_finds_a_trade_that_keeps_the_rule(at):
    greedy = Hinges(
        slope=at.matrix,
        start=at.values,
        floor=np.zeros(len(BANDS)),
        ceiling=np.zeros(len(BANDS)),
        price=1e6 / (at.stress.upper - at.stress.lower),
    )
    free = solve(at.programme(greedy)).trade
    held = solve(at.programme(greedy, [at.stress.limits(np.ones(len(BANDS), dtype=bool))])).trade
    assert not np.any(at.stress.is_broken(0.999 * held))
    assert greedy.cost(held) < greedy.cost(at.nothing)
    assert greedy.cost(free) <= greedy.cost(held) + 1.0


def test_an_account_without_rows_has_no_stress(case_of, made):
    at = case_of(replace(made.account({}), mandate=made.mandate(venues=("elsewhere",))))
    assert at.universe.rows.size == 0
    assert not np.any(at.stress.is_broken(at.nothing))
