"""Trials: many trades of one account in one call, premiums paid in the coin where an option is."""

from collections.abc import Callable

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules
from greekdrift.margin import naive_engine
from greekdrift.margin.trials import trials

CALL, PUT = "BTC-31JAN26-115000-C", "BTC-31JAN26-85000-P"


def test_each_trial_is_the_account_with_the_trade_made(make_chain: Callable[..., Chain]) -> None:
    chain, rules = make_chain(), load_rules("derive_pm2")
    account = Account(account_id="a", collateral={"BTC": 2.0, "USDC": 5.0}, positions=(Position.of(CALL, -3.0),))
    of = trials(chain, account, rules, instruments=[PUT, "BTC-PERPETUAL"])
    assert set(of.names) == {CALL, PUT, "BTC-PERPETUAL", "collateral BTC"}
    changes = np.zeros((2, of.amounts.size))
    changes[1, of.names.index(PUT)], changes[1, of.names.index("BTC-PERPETUAL")] = 4.0, -500.0
    initial, maintenance = of.requirements(of.paid(changes))
    price = chain.mark[chain.row_of[PUT]]
    bought = Account(
        account_id="a",
        collateral={"BTC": 2.0 - 4.0 * price, "USDC": 5.0},
        positions=(Position.of(CALL, -3.0), Position.of(PUT, 4.0), Position.of("BTC-PERPETUAL", -500.0)),
    )
    for at, one in enumerate((account, bought)):
        exact = naive_engine.requirement(chain, one, rules)
        assert initial[at] == pytest.approx(exact.initial_margin_usd, rel=1e-10)
        assert maintenance[at] == pytest.approx(exact.maintenance_margin_usd, rel=1e-10)
