"""The streamed forecast of many accounts is the forecast of a revaluation, and no account sees another."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Band, Mandate, Position, View
from greekdrift.config import load_venue
from greekdrift.errors import ChainError
from greekdrift.forecast.distribution import BOOK, forecast
from greekdrift.forecast.streamed import forecast_books
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.revalue import revalue

HORIZONS = (6.0, 12.0, 48.0, 72.0)
BANDS = (
    Band(greek="delta", underlying="BTC", lower=-0.2, upper=0.2),
    Band(greek="delta", underlying="BTC", lower=-2.0, upper=9.0, view=View.COLLATERAL),
    Band(greek="delta", underlying="ETH", lower=-2.0, upper=9.0, view=View.USD),
    Band(greek="gamma", underlying="BTC", lower=-1e-3, upper=1e-3),
    Band(greek="vega", underlying="BTC", lower=-1e6, upper=1e6, tenor_days=(0.0, 30.0)),
    Band(greek="vega", underlying="BTC", lower=-1e6, upper=1e6, tenor_days=(7.0, 9.0)),
    Band(greek="vanna", underlying="ETH", lower=-1e6, upper=1e6),
)


def mandate(bands, **other):
    return Mandate(
        rule_set="derive_pm2", bands=bands, liquidity_buffer_usd=0.0, venues=("deribit",), max_order_notional_usd=1e6,
        max_cost_usd=1e4, **other,
    )  # fmt: skip


@pytest.fixture(scope="module")
def market():
    source = SimulatedSource(venue=load_venue("deribit"), seed=3, days=4.0)
    moment = source.snapshots()[8]
    chain, surface = source.chain(moment), source.surface(moment)
    rng = np.random.default_rng(5)
    rows = [*rng.choice(len(chain), 40, replace=False), *chain.rows(["BTC-PERPETUAL", "ETH-PERPETUAL"])]
    soon = np.flatnonzero(chain.is_option & (chain.time_to_expiry < 3.0 / 365.0))[:6]
    accounts = tuple(
        Account(
            account_id=f"a{at}",
            collateral={"BTC": 1.0 + at, "USDC": 1e4},
            positions=tuple(
                Position.of(chain.instruments[row].name, float(rng.integers(1, 9)))
                for row in sorted({*rng.choice(rows, 12), *soon})
            ),
            mandate=given,
        )
        for at, given in enumerate((mandate(BANDS), None, mandate(BANDS[3:5], gamma_fade_days=0.0), mandate(BANDS[:1])))
    )
    flat = Account(account_id="flat", collateral={"USDC": 1e5}, positions=(), mandate=mandate(BANDS[:2]))
    scenarios = source.true_scenarios(moment, horizons=HORIZONS, n=70, seed=0)
    return chain, surface, (*accounts, flat), scenarios


def whole(chain, surface, accounts, scenarios, names=BOOK):
    held = np.unique(np.concatenate([chain.rows(account.quantities()) for account in accounts if account.positions]))
    own = {*names, "vanna", "pnl_coin", "delta_net"}
    return forecast(
        chain, accounts, revalue(chain, surface, scenarios, rows=held, names=tuple(sorted(own))), names=names
    )


def test_it_is_the_forecast_of_a_revaluation(market):
    chain, surface, accounts, scenarios = market
    assert np.any(chain.time_to_expiry < 3.0 / 365.0)
    expected = whole(chain, surface, accounts, scenarios)
    made = forecast_books(chain, accounts, surface=surface, scenarios=scenarios)
    assert set(made.quantities) == set(expected.quantities)
    for account in made.account_ids:
        assert made.quantities_of(account)
        assert set(made.quantities_of(account)) == set(expected.quantities_of(account))
        for name in made.quantities_of(account):
            known = expected.of(account, name)
            scale = max(np.abs(known).max(), abs(expected.value_now(account, name)), 1e-300)
            np.testing.assert_allclose(made.of(account, name), known, rtol=1e-11, atol=1e-12 * scale, err_msg=name)
            at = expected.value_now(account, name)
            np.testing.assert_allclose(made.value_now(account, name), at, rtol=1e-11, atol=1e-12 * scale, err_msg=name)


def test_an_account_is_the_same_bits_in_any_company(market):
    chain, surface, accounts, scenarios = market
    together = forecast_books(chain, accounts, surface=surface, scenarios=scenarios)
    for account in accounts:
        alone = forecast_books(chain, [account], surface=surface, scenarios=scenarios)
        for name in alone.quantities_of(account.account_id):
            assert alone.of(account.account_id, name).tobytes() == together.of(account.account_id, name).tobytes(), name
            assert alone.value_now(account.account_id, name) == together.value_now(account.account_id, name)


def test_other_greeks_can_be_asked_for(market):
    chain, surface, accounts, scenarios = market
    few = replace(scenarios, increments=scenarios.increments[:5], weights=np.full(5, 0.2))
    names = ("rho", "vanna", "charm")
    made = forecast_books(chain, accounts[1:2], surface=surface, scenarios=few, names=names)
    expected = forecast(
        chain,
        accounts[1:2],
        revalue(chain, surface, few, rows=np.unique(chain.rows(accounts[1].quantities())), names=names),
        names=names,
    )
    for name in made.quantities_of("a1"):
        scale = np.abs(expected.of("a1", name)).max()
        np.testing.assert_allclose(made.of("a1", name), expected.of("a1", name), rtol=1e-10, atol=1e-12 * scale)


def test_a_position_that_is_not_listed_is_named(market):
    chain, surface, _, scenarios = market
    lost = Account(account_id="lost", collateral={}, positions=(Position.of("BTC-27MAR20-1000-C", 1.0),))
    with pytest.raises(ChainError, match="BTC-27MAR20-1000-C"):
        forecast_books(chain, [lost], surface=surface, scenarios=scenarios)
