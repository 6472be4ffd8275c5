"""The forecast of margin: consistent with the engine of now, monotone where it must be, isolated by account."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position, Scenarios
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import InputError
from greekdrift.forecast.margin import EXCESS, INITIAL, QUANTITIES, MarginForecast, margin_forecast
from greekdrift.margin.engine import requirement
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.fit import fit

RULES = load_rules("derive_pm2")
HOURS = (6.0, 12.0, 24.0)


@pytest.fixture(scope="module")
def chain() -> Chain:
    source = SimulatedSource(venue=load_venue("deribit"), seed=2, underlyings=("BTC",), days=3.0)
    return source.chain(source.snapshots()[0])


@pytest.fixture(scope="module")
def scenarios() -> Scenarios:
    source = SimulatedSource(venue=load_venue("deribit"), seed=2, underlyings=("BTC",), days=3.0)
    return source.true_scenarios(source.snapshots()[0], horizons=HOURS, n=80, seed=1)


def book(chain: Chain, name: str, size: float, coins: float) -> Account:
    alive = np.flatnonzero(chain.is_option & (chain.time_to_expiry > 10.0 / 365.0))
    near = alive[np.argsort(np.abs(np.log(chain.strike[alive] / chain.forward[alive])))[:2]]
    positions = tuple(Position(instrument=chain.instruments[int(row)], quantity=size) for row in near)
    return Account(account_id=name, collateral={"BTC": coins}, positions=positions)


@pytest.fixture(scope="module")
def accounts(chain: Chain) -> list[Account]:
    return [book(chain, "short", -10.0, 6.0), book(chain, "rich", -10.0, 60.0)]


@pytest.fixture(scope="module")
def made(chain: Chain, accounts: list[Account], scenarios: Scenarios) -> MarginForecast:
    return margin_forecast(chain, accounts, RULES, surface=fit(chain), scenarios=scenarios)


def test_now_is_the_requirement_of_now(chain: Chain, accounts: list[Account], made: MarginForecast) -> None:
    for account in accounts:
        now = requirement(chain, account, RULES)
        assert made.forecast.value_now(account.account_id, INITIAL) == now.initial_margin_usd
        assert made.forecast.value_now(account.account_id, EXCESS) == now.excess_usd
    assert made.forecast.quantities == QUANTITIES


def test_excess_is_equity_less_margin_in_every_scenario(made: MarginForecast) -> None:
    of = made.forecast.of
    for name in made.account_ids:
        assert np.allclose(of(name, EXCESS), of(name, "equity_usd") - of(name, INITIAL), rtol=1e-12)
        assert np.all(of(name, INITIAL) >= of(name, "maintenance_margin_usd"))


def test_a_call_comes_before_a_liquidation_and_more_equity_delays_both(made: MarginForecast) -> None:
    for name in made.account_ids:
        assert np.all(made.call(name).within >= made.liquidation(name).within)
    low, high = (made.call_at("short", multiple).within for multiple in (1.05, 1.5))
    assert np.all(low >= high)
    assert np.all(np.diff(low) >= 0.0)
    assert made.call("rich").by(24.0) == 0.0


def test_liquidity_at_risk_grows_with_horizon_and_level_and_covers_the_fall(made: MarginForecast) -> None:
    low, high = (made.liquidity_at_risk("short", level=level) for level in (0.9, 0.99))
    assert np.all(np.diff(high) >= 0.0)
    assert np.all(high >= low)
    assert np.all(low >= 0.0)
    assert np.all(made.outlay("short") >= made.fall("short") - 1e-9)
    assert np.all(made.liquidity_error("short", level=0.9) >= 0.0)


def test_an_account_is_the_same_bits_whatever_others_hold(
    chain: Chain, accounts: list[Account], made: MarginForecast, scenarios: Scenarios
) -> None:
    alone = margin_forecast(chain, accounts[:1], RULES, surface=fit(chain), scenarios=scenarios)
    other = replace(accounts[1], positions=(replace(accounts[1].positions[0], quantity=4.0),), collateral={})
    beside = margin_forecast(chain, [accounts[0], other], RULES, surface=fit(chain), scenarios=scenarios)
    for name in QUANTITIES:
        own = alone.forecast.of("short", name).tobytes()
        assert beside.forecast.of("short", name).tobytes() == own
        assert made.forecast.of("short", name).tobytes() == own


def test_what_cannot_be_forecast_is_refused(chain: Chain, scenarios: Scenarios, made: MarginForecast) -> None:
    idle = Account(account_id="idle", collateral={"BTC": 1.0}, positions=())
    for accounts in ([idle], []):
        with pytest.raises(InputError, match="leave it out"):
            margin_forecast(chain, accounts, RULES, surface=fit(chain), scenarios=scenarios)
    with pytest.raises(InputError, match="multiple"):
        made.call_at("short", float("nan"))
