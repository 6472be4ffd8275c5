"""Simulated chains: what they hold, and that they and the truth about them agree."""

from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Kind, Venue, digest
from greekdrift.errors import ConfigError, DataError, InputError
from greekdrift.greeks import compute
from greekdrift.market.listing import coin_expiries
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.arbitrage import check
from greekdrift.surface.state import FACTORS, state


@pytest.fixture(scope="module")
def source(deribit: Venue) -> SimulatedSource:
    return SimulatedSource(venue=deribit, seed=11, days=40.0)


def test_snapshots_are_six_hours_apart_give_or_take_a_step(source: SimulatedSource):
    snapshots = source.snapshots()
    gaps = np.diff([one.timestamp() for one in snapshots]) / 3600.0
    assert len(snapshots) == 161
    assert set(gaps) <= {5.0, 5.5, 6.0, 6.5, 7.0}
    assert len(set(gaps)) > 2
    assert gaps.mean() == pytest.approx(6.0, abs=0.05)


def test_chain_is_full_and_says_that_it_is_simulated(source: SimulatedSource):
    moment = source.snapshots()[80]
    chain = source.chain(moment)
    assert chain.origin == "simulated"
    assert chain.known_at - chain.as_of == timedelta(minutes=5)
    assert chain.underlyings == ("BTC", "ETH")
    for name in chain.underlyings:
        own = chain.is_option & (chain.underlying == name)
        assert len(np.unique(chain.expiry[own])) == len(coin_expiries(moment))
        for expiry in np.unique(chain.expiry[own]):
            rows = own & (chain.expiry == expiry)
            assert np.sum(rows) >= 8
            assert np.min(chain.strike[rows]) < np.median(chain.forward[rows]) < np.max(chain.strike[rows])
    assert [row.name for row in chain.instruments if row.kind is Kind.PERPETUAL] == ["BTC-PERPETUAL", "ETH-PERPETUAL"]


def test_marks_are_black_on_the_exact_surface(source: SimulatedSource):
    moment = source.snapshots()[30]
    chain, surface = source.chain(moment), source.surface(moment)
    at = np.flatnonzero(chain.is_option)
    for row in at[::37]:
        exact = surface.slice(str(chain.underlying[row]), chain.instruments[row].expiry)
        k = np.log(chain.strike[[row]] / exact.forward)
        assert chain.mark_iv[row] == pytest.approx(float(exact.volatility(k)[0]), rel=1e-12)
    usd = compute(
        ("price",),
        forward=chain.forward[at],
        strike=chain.strike[at],
        volatility=chain.mark_iv[at],
        time_to_expiry=chain.time_to_expiry[at],
        is_call=chain.is_call[at],
    )["price"]
    np.testing.assert_allclose(chain.mark[at], usd / chain.forward[at], rtol=1e-12, atol=1e-15)


def test_quotes_bracket_the_mark_and_wings_are_thinner(source: SimulatedSource):
    near = far = near_gone = far_gone = 0
    for moment in source.snapshots()[::20]:
        chain = source.chain(moment)
        rows = chain.is_option
        assert np.all(np.isnan(chain.bid[rows]) | (chain.bid[rows] <= chain.mark[rows] + 1e-12))
        assert np.all(np.isnan(chain.ask[rows]) | (chain.ask[rows] >= chain.mark[rows] - 1e-12))
        years = chain.time_to_expiry[rows]
        z = np.abs(np.log(chain.strike[rows] / chain.forward[rows])) / (chain.mark_iv[rows] * np.sqrt(years))
        gone = np.isnan(chain.bid[rows])
        near, near_gone = near + np.sum(z < 0.5), near_gone + np.sum(gone & (z < 0.5))
        far, far_gone = far + np.sum(z > 2.0), far_gone + np.sum(gone & (z > 2.0))
    assert near_gone / near < 0.05
    assert far_gone / far > 0.2


def test_what_is_listed_stays_listed_until_it_expires(source: SimulatedSource):
    before = None
    for moment in source.snapshots():
        chain = source.chain(moment)
        if before is not None:
            gone = [before.instruments[before.row_of[name]] for name in set(before.row_of) - set(chain.row_of)]
            assert all(one.expiry <= moment for one in gone)
        before = chain


def test_true_state_is_the_state_of_the_exact_surface(source: SimulatedSource):
    for moment in source.snapshots()[::25]:
        exact = state(source.surface(moment), source.chain(moment))
        true = source.true_state(moment)
        assert exact.underlyings == true.underlyings
        np.testing.assert_allclose(true.values, exact.values, rtol=0, atol=1e-12)


def test_exact_surfaces_have_no_arbitrage(source: SimulatedSource):
    for moment in source.snapshots()[::20]:
        assert check(source.surface(moment)) == ()


def test_same_seed_same_bytes_in_any_order(source: SimulatedSource, deribit: Venue):
    again = SimulatedSource(venue=deribit, seed=11, days=40.0)
    other = SimulatedSource(venue=deribit, seed=12, days=40.0)
    moments = source.snapshots()
    assert again.snapshots() == moments
    for at in (150, 3, 77):
        assert digest(again.chain(moments[at])) == digest(source.chain(moments[at]))
    assert digest(other.chain(other.snapshots()[77])) != digest(source.chain(moments[77]))


def test_a_longer_simulation_begins_with_the_shorter_one(source: SimulatedSource, deribit: Venue):
    """Nothing in a chain depends on what comes after it."""
    longer = SimulatedSource(venue=deribit, seed=11, days=60.0)
    for at in (0, 60, 159):
        moment = source.snapshots()[at]
        assert digest(longer.chain(moment)) == digest(source.chain(moment))


def test_scenarios_are_increments_of_every_factor(source: SimulatedSource):
    moment = source.snapshots()[50]
    drawn = source.true_scenarios(moment, horizons=(6.0, 24.0), n=64, seed=1)
    assert drawn.factors == FACTORS
    assert drawn.increments.shape == (64, 2, 2, len(FACTORS))
    assert drawn.as_of == moment
    again = source.true_scenarios(moment, horizons=(6.0, 24.0), n=64, seed=1)
    assert np.array_equal(drawn.increments, again.increments)
    other = source.true_scenarios(moment, horizons=(6.0, 24.0), n=64, seed=2)
    assert not np.array_equal(drawn.increments, other.increments)


def test_one_more_horizon_changes_nothing_at_the_others(source: SimulatedSource):
    moment = source.snapshots()[50]
    few = source.true_scenarios(moment, horizons=(24.0,), n=32, seed=1)
    many = source.true_scenarios(moment, horizons=(0.5, 6.0, 24.0), n=32, seed=1)
    np.testing.assert_array_equal(few.increments[:, 0], many.increments[:, 2])


def test_no_time_no_increment(source: SimulatedSource):
    drawn = source.true_scenarios(source.snapshots()[50], horizons=(0.0,), n=8, seed=1)
    np.testing.assert_array_equal(drawn.increments, 0.0)


def test_an_underlying_named_twice_is_refused_by_name(deribit: Venue):
    with pytest.raises(ConfigError, match="names ETH twice"):
        SimulatedSource(venue=deribit, seed=1, days=2.0, underlyings=("BTC", "ETH", "ETH"))


def test_one_underlying_of_another_name_needs_a_venue_that_lists_it(deribit: Venue):
    assert SimulatedSource(venue=deribit, seed=1, days=2.0, underlyings=("ETH",)).underlyings == ("ETH",)
    with pytest.raises(ConfigError, match="deribit lists no coin-settled options on SOL"):
        SimulatedSource(venue=deribit, seed=1, underlyings=("SOL",))


def test_impossible_questions(source: SimulatedSource, deribit: Venue):
    with pytest.raises(InputError, match=r"multiples of 0\.5 hours"):
        source.true_scenarios(source.snapshots()[0], horizons=(0.3,), n=8, seed=1)
    for hours in (np.nan, np.inf):
        with pytest.raises(InputError, match=r"multiples of 0\.5 hours"):
            source.true_scenarios(source.snapshots()[0], horizons=(hours,), n=8, seed=1)
    with pytest.raises(InputError, match="n 0 must be at least 1"):
        source.true_scenarios(source.snapshots()[0], horizons=(6.0,), n=0, seed=1)
    with pytest.raises(ConfigError, match="from 6 hours to 3650 days"):
        SimulatedSource(venue=deribit, seed=1, days=0.1)
    with pytest.raises(DataError, match="simulated has no chain at"):
        source.true_state(source.snapshots()[0] + timedelta(minutes=5))


@pytest.mark.parametrize("days", [0.2, np.nan, np.inf, 1e9])
def test_a_length_that_cannot_be_simulated_is_refused(deribit, days):
    with pytest.raises(ConfigError, match=r"from 6 hours to 3650 days, got"):
        SimulatedSource(venue=deribit, seed=1, days=days)


def test_a_negative_seed_is_refused(deribit):
    with pytest.raises(ConfigError, match="seed -1 must be at least 0"):
        SimulatedSource(venue=deribit, seed=-1)
