"""Chains under the law of Heston and Bates: what they hold, the clock of weekends and events, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Kind, Venue, digest
from greekdrift.config.table import SOURCES, Component, build
from greekdrift.errors import ConfigError, InputError
from greekdrift.features.events import Schedule
from greekdrift.market.bates_world import BTC, BatesLaw, BatesWorld
from greekdrift.market.heston import option_values
from greekdrift.market.law import Law
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.arbitrage import check
from greekdrift.surface.state import FACTORS, state

START = datetime(2025, 1, 1, 4, tzinfo=UTC)
SAME = BatesLaw(laws={"BTC": BTC, "ETH": BTC})
"""One table of smiles for both coins."""


@pytest.fixture(scope="module")
def source(deribit: Venue) -> SimulatedSource:
    return SimulatedSource(venue=deribit, seed=11, days=30.0, model="bates", bates=SAME)


def test_chain_is_full_and_its_quotes_bracket_the_mark(source: SimulatedSource) -> None:
    for moment in source.snapshots()[::30]:
        chain = source.chain(moment)
        assert (chain.origin, chain.underlyings) == ("simulated", ("BTC", "ETH"))
        perpetuals = [row.name for row in chain.instruments if row.kind is Kind.PERPETUAL]
        assert perpetuals == ["BTC-PERPETUAL", "ETH-PERPETUAL"]
        rows = chain.is_option
        assert np.all(np.isnan(chain.bid[rows]) | (chain.bid[rows] <= chain.mark[rows] + 1e-12))
        assert np.all(np.isnan(chain.ask[rows]) | (chain.ask[rows] >= chain.mark[rows] - 1e-12))


def test_the_middle_of_quotes_is_not_the_mark(source: SimulatedSource) -> None:
    chain = source.chain(source.snapshots()[40])
    both = chain.is_option & np.isfinite(chain.bid) & np.isfinite(chain.ask) & (chain.mark > 0.02)
    share = (0.5 * (chain.bid + chain.ask) - chain.mark)[both] / (chain.ask - chain.bid)[both]
    assert 0.05 < share.std() < 0.4


def test_marks_are_values_of_the_pricer(source: SimulatedSource) -> None:
    """At the time of the clock, the hidden variance and the regime; in shares of the forward, as coins are."""
    for at in (20, 75):
        moment = source.snapshots()[at]
        chain, hidden, world = source.chain(moment), source._path[at], source._world
        for expiry in np.unique(chain.expiry[chain.is_option])[[0, 3, 7, -1]]:
            rows = np.flatnonzero((chain.underlying == "BTC") & (chain.expiry == expiry) & chain.is_option)
            exact = option_values(
                BTC,
                forward=1.0,
                strike=chain.strike[rows] / chain.forward[rows],
                years=float(world.clock.years(moment, expiry)),
                variance=float(hidden.paths.variance[0, 0]),
                regime=int(hidden.regime[0]),
                is_call=chain.is_call[rows],
            )
            np.testing.assert_allclose(chain.mark[rows], exact, rtol=0.0, atol=2e-5)


def test_puts_and_calls_are_at_parity_and_marks_hold_no_arbitrage(source: SimulatedSource) -> None:
    """Over listed strikes: slopes within 0 and 1, convex, and rising in expiry at equal moneyness; to 1e-6 of F."""
    for moment in source.snapshots()[::15]:
        chain = source.chain(moment)
        before = None
        for expiry in np.unique(chain.expiry[chain.is_option]):
            rows = np.flatnonzero((chain.underlying == "ETH") & (chain.expiry == expiry))
            call, put = rows[chain.is_call[rows]], rows[~chain.is_call[rows]]
            forward, strike = chain.forward[call[0]], chain.strike[call]
            np.testing.assert_allclose(chain.mark[call] - chain.mark[put], 1.0 - strike / forward, atol=1e-12)
            slope = np.diff(chain.mark[call]) / np.diff(strike / forward)
            assert np.all((slope <= 1e-9) & (slope >= -1.0 - 1e-9))
            assert np.all(np.diff(slope) * np.diff(strike / forward)[1:] >= -1e-6)
            total = chain.mark_iv[call] ** 2 * chain.time_to_expiry[call]
            k = np.log(strike / forward)
            if before is not None:
                inside = (before[0] > k[0]) & (before[0] < k[-1])
                assert np.all(np.interp(before[0][inside], k, total) >= before[1][inside] - 2e-6)
            before = k, total


def test_surface_is_a_fit_without_arbitrage_near_the_exact_state(source: SimulatedSource) -> None:
    worst = np.zeros(len(FACTORS))
    for moment in source.snapshots()[::15]:
        surface = source.surface(moment)
        assert check(surface) == ()
        fitted = state(surface, source.chain(moment))
        worst = np.maximum(worst, np.abs(fitted.values - source.true_state(moment).values).max(axis=0))
    errors = dict(zip(FACTORS, worst, strict=True))
    assert max(errors["forward"], errors["basis"]) < 1e-9
    assert max(errors[f"atm_{days}"] for days in (7, 14, 30, 60, 90, 180)) < 0.005
    assert max(errors[f"skew_{days}"] for days in (7, 14, 30, 60, 90, 180)) < 0.005
    assert max(errors[f"curvature_{days}"] for days in (7, 14, 30, 60, 90, 180)) < 0.01


def test_same_seed_same_bytes_and_a_longer_simulation_begins_with_the_shorter_one(
    source: SimulatedSource, deribit: Venue
) -> None:
    again = SimulatedSource(venue=deribit, seed=11, days=40.0, model="bates", bates=SAME)
    other = SimulatedSource(venue=deribit, seed=12, days=30.0, model="bates", bates=SAME)
    moments = source.snapshots()
    for at in (90, 0, 33):
        assert digest(again.chain(moments[at])) == digest(source.chain(moments[at]))
    assert digest(other.chain(other.snapshots()[33])) != digest(source.chain(moments[33]))
    one, two = (some.true_scenarios(moments[9], horizons=(24.0,), n=16, seed=1) for some in (source, again))
    assert one.increments.tobytes() == two.increments.tobytes()


@pytest.mark.parametrize("regime", [0, 1])
def test_the_forward_is_a_martingale_under_both_measures(regime: int) -> None:
    """With a basis that stays: E[F_t(T)] is F_0(T), over an event and half a weekend."""
    n, friday = 10_000, START + timedelta(days=2)
    law = BatesLaw(basis=(0.2, 15.0, 0.0), events=(friday + timedelta(hours=9),))
    world = BatesWorld(law, ("BTC", "ETH"), start=START, days=10.0)
    begin = world.start().repeated(n)
    begin = replace(begin, paths=replace(begin.paths, regime=np.full(n, regime)))
    for market in (world.physical, world.pricing):
        world.physical = market
        later = world.later(begin, friday, 96, np.random.default_rng(2))
        carried = np.exp(later.paths.log_price - begin.paths.log_price + later.basis * (86.0 - 2.0) / 365.0)
        growth = carried / np.exp(begin.basis * 86.0 / 365.0)
        assert np.all(np.abs(growth.mean(axis=0) - 1.0) < 4.0 * growth.std(axis=0) / np.sqrt(n))


def spread(source: SimulatedSource, moment: datetime, hours: float = 6.0) -> float:
    """Standard deviation of the log price some hours after a snapshot."""
    at = source.snapshots().index(moment)
    world = source._world
    later = world.later(source._path[at].repeated(4000), moment, int(2 * hours), np.random.default_rng(1))
    return float(later.paths.log_price[:, 0].std())


@pytest.fixture(scope="module")
def one_event(deribit: Venue) -> SimulatedSource:
    law = BatesLaw(laws={"ETH": BTC}, events=(datetime(2025, 1, 14, 18, tzinfo=UTC),), weekend=0.5)
    return SimulatedSource(venue=deribit, seed=4, days=16.0, model="bates", bates=law, underlyings=("ETH",))


def test_an_event_moves_more_and_a_weekend_less(one_event: SimulatedSource) -> None:
    """Six hours with a two-hour event of weight 10 hold 24 of the law's hours; Saturdays hold half of a weekday's."""

    def near(day: int, hour: int) -> datetime:
        return min(one_event.snapshots(), key=lambda one: abs(one - datetime(2025, 1, day, hour, tzinfo=UTC)))

    hours = one_event._world.clock.hours
    event, plain, saturday = near(14, 16), near(14, 10), near(11, 10)
    assert float(hours(event, event + timedelta(hours=6))) == 24.0
    assert float(hours(saturday, saturday + timedelta(hours=6))) == 3.0
    # the hidden variance differs a little between the snapshots
    assert spread(one_event, event) > 1.5 * spread(one_event, plain)
    level = {one: one_event._path[one_event.snapshots().index(one)].paths.variance[0, 0] for one in (plain, saturday)}
    ratio = spread(one_event, saturday) ** 2 / level[saturday] / (spread(one_event, plain) ** 2 / level[plain])
    assert 0.3 < ratio < 0.7


def test_an_event_is_in_the_smile_before_it_and_gone_after(one_event: SimulatedSource, deribit: Venue) -> None:
    without = SimulatedSource(
        venue=deribit,
        seed=4,
        days=16.0,
        model="bates",
        bates=replace(one_event.law, events=()),
        underlyings=("ETH",),
    )
    event = datetime(2025, 1, 14, 18, tzinfo=UTC)
    for moment in one_event.snapshots():
        if moment > event:
            break
        one, other = one_event.chain(moment), without.chain(moment)
        shared = [name for name in one.row_of if name in other.row_of and name.endswith("-C")]
        a, b = one.rows(shared), other.rows(shared)
        same = one.expiry[a] <= np.datetime64(event.replace(tzinfo=None))
        np.testing.assert_array_equal(one.mark_iv[a][same], other.mark_iv[b][same])
        money = ~same & (np.abs(np.log(one.strike[a] / one.forward[a])) < 0.02)
        assert np.all(one.mark_iv[a][money] > other.mark_iv[b][money])


def test_events_are_a_schedule_that_was_public_before_the_start(source: SimulatedSource) -> None:
    schedule = Schedule(name="release", events=source.events)
    assert np.all(schedule.announced_at <= np.datetime64("2025-01-01T04:00"))
    assert schedule.at[0] == np.datetime64("2025-01-08T13:30")
    assert schedule.at[-1] > np.datetime64("2026-04-01")


def test_the_clock_between_knots_is_the_clock() -> None:
    world = BatesWorld(BatesLaw(), ("BTC",), start=START, days=100.0)
    moments = np.datetime64("2025-01-01T04:00", "us") + np.arange(4000) * np.timedelta64(37, "m")
    exact = world.clock.hours(moments[0], moments)
    np.testing.assert_allclose(world._passed(moments) - world._passed(moments[:1]), exact, rtol=0.0, atol=1e-9)


def test_a_configuration_chooses_model_and_values(deribit: Venue) -> None:
    heston = {"reversion": 5.0, "volatility": 1.0, "correlation": -0.5, "mean": [0.2]}
    values = {"weekend": 0.3, "laws": {"BTC": heston}, "events": ["2025-01-14T18:00Z"]}
    asked = Component(use="simulated", model="bates", bates=values, days=10)
    source = build(asked, SOURCES, venue=deribit, seed=1)
    assert (source.law.weekend, source.law.premium) == (0.3, BatesLaw().premium)
    assert list(source.events) == ["2025-01-14T18:00:00Z"]
    assert [law.correlation for law in source._world.pricing.laws] == [-0.5, -0.5]
    with pytest.raises(ConfigError, match="bates"):
        build(Component(use="simulated", model="bates", bates={"wekend": 0.3}), SOURCES, venue=deribit, seed=1)


def test_refusals(deribit: Venue) -> None:
    with pytest.raises(ConfigError, match="model ssvi takes its values in law alone"):
        SimulatedSource(venue=deribit, seed=1, bates=BatesLaw())
    with pytest.raises(ConfigError, match="model bates takes its values in bates alone"):
        SimulatedSource(venue=deribit, seed=1, model="bates", law=Law())
    with pytest.raises(ConfigError, match='no model "bate"; did you mean "bates"'):
        SimulatedSource(venue=deribit, seed=1, model="bate")
    for wrong in ({"weekend": 0.0}, {"premium": np.nan}, {"event_weight": 0.5}, {"basis": (0.0, 0.0, 0.1)}):
        with pytest.raises(ConfigError, match="law: "):
            BatesLaw(**wrong)
    with pytest.raises(ConfigError, match="quote_noise"):
        BatesLaw(quote_noise=-0.1)
    world = BatesWorld(BatesLaw(), ("BTC",), start=START, days=10.0)
    with pytest.raises(InputError, match="the clock of this simulation ends"):
        world.later(world.start(), START, 48 * 600, np.random.default_rng(1))
