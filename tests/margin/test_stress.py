"""The fixed stressed states: moved chains, by the rule set's own scenarios."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.config import load_rules
from greekdrift.margin.naive import shocked_volatility
from greekdrift.margin.stress import stressed_chains

RULES = load_rules("derive_pm2")


def test_each_regular_scenario_moves_forward_index_and_volatility(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain()
    states = stressed_chains(chain, RULES)
    regular = [one for one in RULES.parameters.scenarios if one.table == "regular"]
    assert list(states) == [one.label for one in regular]
    for scenario, (label, state) in zip(regular, states.items(), strict=True):
        np.testing.assert_allclose(state.forward, chain.forward * scenario.spot, rtol=1e-15, err_msg=label)
        assert state.index_price["BTC"] == 100_000.0 * scenario.spot
        for row in np.flatnonzero(chain.is_option):
            years = float(chain.time_to_expiry[row])
            expected = shocked_volatility(
                float(chain.mark_iv[row]), years, scenario.volatility, RULES.parameters.volatility
            )
            assert state.mark_iv[row] == pytest.approx(expected, rel=1e-14)


def test_what_is_fixed_of_a_settlement_average_does_not_move(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain(as_of=datetime(2026, 1, 1, 7, 50, tzinfo=UTC), days=(10.0 / 1440.0, 9.0 + 10.0 / 1440.0))
    state = stressed_chains(chain, RULES)["spot -18 %, volatility up"]
    # 20 of the 30 minutes have passed, so that a third floats
    assert state.forward[0] == pytest.approx(chain.forward[0] * (1.0 - 0.18 / 3.0))
