"""The map of an account's margin: its middle is now, its scenarios are the engine's, for every form."""

from collections.abc import Callable

import numpy as np
import pytest

from greekdrift.book import Account, Chain, Position
from greekdrift.config import load_rules
from greekdrift.margin import naive_engine
from greekdrift.margin.heat import SPOT_STEPS, VOLATILITY_STEPS, heat
from greekdrift.surface.fit import fit

LINES = (("BTC-31JAN26-115000-C", -5.0), ("BTC-31JAN26-85000-P", 3.0), ("BTC-PERPETUAL", 4e3))


@pytest.mark.parametrize("name", ["derive_pm2", "deribit_pm", "deribit_standard"])
def test_the_middle_is_now_and_the_tiles_are_the_scenarios(make_chain: Callable[..., Chain], name: str) -> None:
    chain, rules = make_chain(), load_rules(name)
    positions = tuple(Position.of(*line) for line in LINES)
    account = Account(account_id="a", collateral={"BTC": 2.0}, positions=positions)
    found = heat(chain, account, rules, surface=fit(chain), underlying="BTC")
    now = naive_engine.requirement(chain, account, rules)
    middle = VOLATILITY_STEPS // 2, SPOT_STEPS // 2
    assert found.pnl_usd[middle] == pytest.approx(0.0, abs=1e-3)
    assert found.initial_margin_usd[middle] == pytest.approx(now.initial_margin_usd, rel=1e-9)
    assert found.initial_health_usd[middle] == pytest.approx(now.excess_usd, rel=1e-9)
    (part,) = [one for one in now.parts if one.underlying == "BTC" and one.scenario_pnl] or [None]
    if part is None:
        assert found.cells == ()
        return
    for cell in found.cells:
        assert cell.pnl_usd == pytest.approx(part.scenario_pnl[cell.label], rel=1e-9, abs=1e-6)
        assert cell.is_binding == (cell.label == part.worst_scenario)
    assert sum(cell.is_binding for cell in found.cells) <= 1
    assert np.all(np.diff(found.spot) > 0.0)
