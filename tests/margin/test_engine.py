"""One door: every form answers what its own page answers; a rule set without a page is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules
from greekdrift.errors import BookError, ChainError, ConfigError
from greekdrift.margin import engine, grid, naive, naive_engine
from greekdrift.margin.lines import held_rows


def test_the_net_form_is_the_grid(make_chain: Callable[..., Chain]) -> None:
    chain, rules = make_chain(), load_rules("derive_pm2")
    account = Account(account_id="a", collateral={"BTC": 1.0}, positions=(Position.of("BTC-31JAN26-115000-C", -2.0),))
    rows = held_rows(chain, [account])
    assert engine.requirement(chain, account, rules) == grid.requirement(chain, account, rules)
    assert naive_engine.requirement(chain, account, rules) == naive.requirement(chain, account, rules)
    one = engine.requirements(chain, np.array([[-2.0]]), rules, rows=rows, coins={"BTC": np.array([1.0])})
    assert one[0][0] == pytest.approx(engine.requirement(chain, account, rules).initial_margin_usd, rel=1e-12)
    slope = engine.subgradient(chain, account, rules, rows)
    assert slope.tolist() == grid.subgradient(chain, account, rules, rows).tolist()


def test_a_form_without_a_page_is_refused(make_chain: Callable[..., Chain]) -> None:
    odd = replace(load_rules("derive_pm2"), parameters=cast("Any", object()))
    account = Account(account_id="a", collateral={}, positions=())
    for door in (engine, naive_engine):
        with pytest.raises(ConfigError, match="derive_pm2"):
            door.requirement(make_chain(), account, odd)
    with pytest.raises(ConfigError, match="net-portfolio"):
        grid.requirement(make_chain(), account, odd)


def test_an_error_names_the_account(make_chain: Callable[..., Chain]) -> None:
    chain, rules = make_chain(), load_rules("paradex_pm")
    coins = Account(account_id="vault", collateral={"BTC": 1.0}, positions=())
    with pytest.raises(BookError, match=r"^vault: collateral BTC has no terms"):
        engine.requirement(chain, coins, rules)
    lost = Account(account_id="lost", collateral={}, positions=(Position.of("BTC-31JAN26-115001-C", -2.0),))
    with pytest.raises(ChainError, match=r'^lost: "BTC-31JAN26-115001-C" is not listed'):
        engine.requirement(chain, lost, rules)
