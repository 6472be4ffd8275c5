"""Margin and equity as they came: against the requirement of the account that is left on the later chain."""

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules, load_venue
from greekdrift.errors import InputError
from greekdrift.margin.ahead import came
from greekdrift.margin.engine import requirement
from greekdrift.market.simulate import SimulatedSource


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    source = SimulatedSource(venue=load_venue("deribit"), seed=2, underlyings=("BTC",), days=6.0)
    moments = source.snapshots()
    return [source.chain(moments[at]) for at in (0, 4, 16)]


def test_nothing_that_expires_means_the_account_of_later(chains: list[Chain]) -> None:
    now, later, _ = chains
    rules, lives = (
        load_rules("derive_pm2"),
        now.expiry > np.datetime64(later.as_of.replace(tzinfo=None)) + np.timedelta64(5, "D"),
    )
    rows = np.flatnonzero(now.is_option & lives)[[0, 5]]
    positions = tuple(
        Position(instrument=now.instruments[row], quantity=size) for row, size in zip(rows, (-3.0, 2.0), strict=True)
    )
    account = Account(account_id="a", collateral={"BTC": 2.0}, positions=positions)
    before = requirement(now, account, rules)
    found = came(now, later, [account], rules, equity_usd=[before.equity_usd])
    after = requirement(later, account, rules)
    assert found.initial_margin[0, 0, 0] == pytest.approx(after.initial_margin_usd, rel=1e-12)
    assert found.maintenance_margin[0, 0, 0] == pytest.approx(after.maintenance_margin_usd, rel=1e-12)
    assert found.equity[0, 0, 0] == pytest.approx(after.equity_usd, rel=1e-9)


def test_what_expires_is_settled_into_coins_and_gone(chains: list[Chain]) -> None:
    now, _, later = chains
    rules = load_rules("derive_pm2")
    moment = np.datetime64(later.as_of.replace(tzinfo=None))
    gone = np.flatnonzero(now.is_option & (now.expiry < moment) & now.is_call & (now.strike < 0.97 * now.forward))
    row = int(gone[0])
    account = Account(
        account_id="a", collateral={}, positions=(Position(instrument=now.instruments[row], quantity=2.0),)
    )
    found = came(now, later, [account], rules, equity_usd=[0.0])
    index = later.index_price["BTC"]
    coins = 2.0 * now.contract_size[row] * max(index - now.strike[row], 0.0) / index
    left = requirement(later, Account(account_id="a", collateral={"BTC": coins}, positions=()), rules)
    assert found.initial_margin[0, 0, 0] == pytest.approx(left.initial_margin_usd, rel=1e-12)


def test_a_vanished_instrument_is_unknown_not_zero(chains: list[Chain]) -> None:
    now, later, _ = chains
    lives = np.flatnonzero(now.is_option & (now.expiry > np.datetime64(later.as_of.replace(tzinfo=None))))
    held = [now.instruments[int(row)] for row in lives[[0, 3]]]
    keep = np.array([at for at, one in enumerate(later.instruments) if one.name != held[0].name])
    accounts = [
        Account(account_id=one.name, collateral={}, positions=(Position(instrument=one, quantity=-1.0),))
        for one in held
    ]
    found = came(now, later.take(keep), accounts, load_rules("derive_pm2"), equity_usd=[0.0, 0.0])
    for array in (found.initial_margin, found.maintenance_margin, found.equity):
        assert np.isnan(array[0, 0, 0])
        assert np.isfinite(array[0, 0, 1])


def test_time_runs_forward(chains: list[Chain]) -> None:
    with pytest.raises(InputError, match="later"):
        came(chains[1], chains[0], [], load_rules("derive_pm2"), equity_usd=[])
