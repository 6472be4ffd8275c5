"""Parts of a forecast drift add up in every scenario, and are those of the realised attribution where it happens."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Account, Position
from greekdrift.config import load_venue
from greekdrift.errors import InputError
from greekdrift.forecast.attribution import PARTS, attributed
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.attribution import attribute
from greekdrift.surface.fit import fit
from greekdrift.surface.increment import increment

CLOCK, SPOT, LEVEL, SKEW, CURVATURE, CROSS = range(6)


@pytest.fixture(scope="module")
def market():
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=4.0)
    moment = source.snapshots()[4]
    chain = source.chain(moment)
    far = [row for row in np.flatnonzero(chain.is_option) if chain.time_to_expiry[row] > 20.0 / 365.0]
    near = sorted(far, key=lambda row: abs(np.log(chain.strike[row] / chain.forward[row])))[:12]
    positions = [Position.of(chain.instruments[row].name, 3.0 - at % 5) for at, row in enumerate(near)]
    positions.append(Position.of("BTC-PERPETUAL", 500.0))
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=tuple(positions))
    return source, chain, fit(chain), account


def test_parts_add_up_in_every_scenario(market):
    source, chain, surface, account = market
    scenarios = source.true_scenarios(chain.as_of, horizons=(6.0, 48.0), n=60, seed=1)
    made = attributed(chain, [account], surface=surface, scenarios=scenarios)
    for name in made.total.quantities_of("a"):
        drift = made.total.of("a", name) - made.total.value_now("a", name)
        scale = np.abs(made.total.of("a", name)).max() + np.abs(drift).max() + 1e-300
        np.testing.assert_allclose(made.of("a", name).sum(axis=0), drift, rtol=0.0, atol=1e-12 * scale)
        np.testing.assert_allclose(made.mean("a", name).sum(axis=0), drift.mean(axis=0), atol=1e-12 * scale)
        assert np.ptp(made.of("a", name)[CLOCK], axis=0).max() == 0.0
        assert np.all(made.mean_error("a", name)[CLOCK] <= 1e-12 * scale)
        low, high = made.quantile("a", name, (0.1, 0.9))
        assert np.all(low <= high)
    assert len(PARTS) == len(made.parts)


def test_a_move_of_one_kind_is_that_part_alone(market):
    source, chain, surface, account = market
    scenarios = source.true_scenarios(chain.as_of, horizons=(6.0,), n=5, seed=1)
    only_spot = np.zeros_like(scenarios.increments)
    only_spot[..., 0] = scenarios.increments[..., 0]
    made = attributed(chain, [account], surface=surface, scenarios=replace(scenarios, increments=only_spot))
    parts = made.of("a", "pnl_usd")
    assert np.abs(parts[SPOT]).min() > 1.0
    np.testing.assert_allclose(parts[LEVEL:], 0.0, atol=1e-9 * np.abs(parts[SPOT]).max())


def test_what_then_happens_has_the_parts_that_explain_gives_it(market):
    source, chain, surface, account = market
    later = source.chain(source.snapshots()[6])
    hours = (later.as_of - chain.as_of) / timedelta(hours=1)
    later_surface = fit(later)
    names = chain.underlyings
    moves = [increment(chain, later, surface, later_surface, name, kept="log_moneyness").values for name in names]
    drawn = source.true_scenarios(chain.as_of, horizons=(hours,), n=2, seed=0)
    happened = replace(drawn, underlyings=names, increments=np.broadcast_to(moves, (2, 1, *np.shape(moves))))
    made = attributed(chain, [account], surface=surface, scenarios=happened)
    known = attribute(
        chain, later, [account], surface=surface, later_surface=later_surface, names=("pnl_usd", "delta_net", "vega")
    )
    for name in ("delta_net", "vega"):
        expected = next(one for one in known.of(name) if one.underlying == "BTC").parts[:-1]
        found = made.of("a", f"{name} of BTC")[:, 0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    expected = sum(one.parts[:-1] for one in known.of("pnl_usd"))
    np.testing.assert_allclose(made.of("a", "pnl_usd")[:, 1, 0], expected, rtol=1e-9, atol=1e-6)


def test_an_unknown_quantity_is_named(market):
    source, chain, surface, account = market
    scenarios = source.true_scenarios(chain.as_of, horizons=(6.0,), n=2, seed=1)
    made = attributed(chain, [account], surface=surface, scenarios=scenarios)
    with pytest.raises(InputError, match="did you mean"):
        made.of("a", "vega of BTX")
