"""Margin of hypothetical books along a simulated market: known when it says, missing where it must be."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import DataError, InputError
from greekdrift.features.books import reference_books
from greekdrift.features.panel import build
from greekdrift.forecast.historical import Historical
from greekdrift.margin.dressing import PLAIN, Dressing
from greekdrift.margin.engine import requirement
from greekdrift.market.simulate import SimulatedSource
from greekdrift.policy.margin_path import Asked, listed, margin_path
from greekdrift.policy.simulated import simulated, steps_within, volatility_of
from greekdrift.score.tradeoff import point
from greekdrift.units import datetime64, from_datetime64

RULES = load_rules("derive_pm2")


@pytest.fixture(scope="module")
def source():
    return SimulatedSource(venue=load_venue("deribit"), seed=5, underlyings=("BTC",), days=14.0)


@pytest.fixture(scope="module")
def panel(source):
    return build(source)


@pytest.fixture(scope="module")
def asked(source):
    return Asked(since=source.snapshots()[0] + timedelta(days=8), scenarios=100, levels=(0.9, 0.99), refit_hours=48.0)


def _made(chain):
    """Two short books without their hedge: what they need is all in options."""
    books = [one for one in reference_books(chain, seed=0) if one.account_id in ("BTC straddle", "BTC strangle")]
    return [replace(one, positions=tuple(each for each in one.positions if each.instrument.is_option)) for one in books]


@pytest.fixture(scope="module")
def path(source, panel, asked):
    return margin_path(source, panel, _made, RULES, forecaster=Historical(), asked=asked)


def test_requirements_are_those_of_the_engine(path, source):
    for row in (0, 7):
        chain = source.chain(from_datetime64(path.as_of[row]))
        expected = [requirement(chain, one, RULES).initial_margin_usd for one in _made(chain)]
        assert path.requirement_usd[row].tolist() == expected
    assert path.account_ids == ("BTC straddle", "BTC strangle")


def test_a_higher_level_needs_more_and_the_ends_are_seen_but_for_the_last(path):
    assert np.all(path.need(0.99) >= path.need(0.9))
    assert np.all(path.need(0.99) > 0.0)
    unseen = np.isnan(path.realised_usd).all(axis=1)
    late = path.as_of > path.as_of[-1] - np.timedelta64(22, "h")
    assert unseen[late].all()
    assert unseen[~late].mean() < 0.2
    with pytest.raises(InputError, match="no need at level"):
        path.need(0.5)


def test_what_came_is_the_fall_of_the_excess_by_the_engine(path, source):
    row = 2
    chain = source.chain(from_datetime64(path.as_of[row]))
    later = source.chain(min(source.snapshots(), key=lambda one: abs(one - chain.as_of - timedelta(hours=24))))
    for at, account in enumerate(_made(chain)):
        before, after = requirement(chain, account, RULES), requirement(later, account, RULES)
        fall = (after.initial_margin_usd - after.equity_usd) - (before.initial_margin_usd - before.equity_usd)
        assert path.realised_usd[row, at] == pytest.approx(fall, rel=1e-9)


def test_nothing_later_changes_what_was_forecast(path, source, panel, asked):
    cut = path.as_of[5]
    known = panel.until(panel.known_at[np.searchsorted(panel.as_of, cut)])
    early = margin_path(source, known, _made, RULES, forecaster=Historical(), asked=asked)
    assert np.array_equal(early.need_usd, path.need_usd[:, :6])
    assert np.array_equal(early.requirement_usd, path.requirement_usd[:6])


def test_a_fixed_book_is_missing_where_it_is_not_listed(source, panel, asked):
    chain = source.chain(source.snapshots()[-1])
    first = {one.name for one in source.chain(source.snapshots()[0]).instruments}
    new = next(one for one in chain.instruments if one.name not in first and one.is_option)
    book = Account(account_id="late", collateral={"BTC": 1.0}, positions=(Position.of(new.name, -1.0),))
    found = margin_path(source, panel, listed([book]), RULES, forecaster=None, asked=asked, account_ids=("late",))
    there = np.array(
        [new.name in {i.name for i in source.chain(from_datetime64(at)).instruments} for at in found.as_of]
    )
    assert np.array_equal(np.isfinite(found.requirement_usd[:, 0]), there)
    assert np.isnan(found.need_usd).all()
    with pytest.raises(InputError, match="snapshots, 8 are needed"):
        simulated(found, "late", PLAIN, level=0.9)


def test_a_path_before_an_instant_knows_no_end_that_was_seen_later(path):
    cut = from_datetime64(path.as_of[10])
    past = path.until(cut)
    assert len(past.as_of) == 10
    known = past.as_of + np.timedelta64(24 * 60 + 90, "m") < datetime64(cut)
    assert np.isnan(past.realised_usd[~known]).all()
    assert np.array_equal(path.since(cut).as_of, path.as_of[10:])


def test_the_figures_of_a_book_stand_beside_the_undressed(path, panel):
    volatility = volatility_of(panel, path, ("BTC",))
    found = simulated(path, "BTC straddle", Dressing(buffer=0.25), level=0.9, volatility=volatility)
    assert found.raw.cost.value == 0.0
    assert found.dressed.cost.value > 0.0
    assert found.dressed.average_usd == pytest.approx(found.addon_usd.mean())
    every, thin = found.dressed_coverage
    assert every.observations == int(np.isfinite(found.realised_usd).sum())
    assert thin.every == steps_within(path) == 4
    assert thin.observations == -(-every.observations // 4)
    assert len(found.steps) == len(found.as_of)
    assert point(None, path.past(0.9)).cost == 0.0
    with pytest.raises(InputError, match="no account"):
        simulated(path, "mine", PLAIN, level=0.9)


def test_a_window_outside_history_is_refused(source, panel, asked):
    with pytest.raises(DataError, match="no snapshot"):
        margin_path(
            source,
            panel,
            _made,
            RULES,
            forecaster=None,
            asked=replace(asked, since=source.snapshots()[-1] + timedelta(days=9)),
        )
