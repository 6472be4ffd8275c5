"""Increments beyond the clock: a steep term structure that ages makes none, a move is read back."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.surface import FACTORS, PILLARS, Surface, state
from greekdrift.surface.fit import fit
from greekdrift.surface.increment import increment
from greekdrift.surface.scenario import move
from greekdrift.surface.state import BASIS, FORWARD, LEVEL


def _moved(chain: Chain, surface: Surface, hours: float, **factors: float) -> Chain:
    increments = np.zeros((2, len(FACTORS)))
    for name, value in factors.items():
        increments[:, FACTORS.index(name)] = value
    return move(chain, surface, increments, hours, ("BTC", "ETH"))


def test_time_alone_is_no_increment_where_the_state_itself_moves(chain: Chain, surface: Surface) -> None:
    later = _moved(chain, surface, 48.0)
    found = increment(chain, later, surface, fit(later), "ETH", kept="log_moneyness")
    assert np.abs(found.values).max() < 2e-3
    drift = state.state(fit(later), later).values - state.state(surface, chain).values
    assert np.abs(drift[1, LEVEL]).max() > 3.0 * np.abs(found.values[LEVEL]).max()


def test_forward_and_basis_are_read_back(chain: Chain, surface: Surface) -> None:
    later = _moved(chain, surface, 6.0, forward=0.05, basis=0.02)
    found = increment(chain, later, surface, fit(later), "BTC", kept="log_moneyness")
    assert found.values[FORWARD] == pytest.approx(0.05, rel=1e-12)
    assert found.values[BASIS] == pytest.approx(0.02, rel=1e-9)


def test_a_level_move_of_all_pillars_is_read_back(chain: Chain, surface: Surface) -> None:
    later = _moved(chain, surface, 6.0, **{f"atm_{days}": 0.1 for days in PILLARS})
    found = increment(chain, later, surface, fit(later), "BTC", kept="log_moneyness")
    np.testing.assert_allclose(found.values[LEVEL], 0.1, atol=5e-3)


def test_what_is_not_known_is_said(chain: Chain, surface: Surface) -> None:
    later = _moved(chain, surface, 6.0, forward=0.05)
    bare = Surface(as_of=later.as_of, slices=())
    found = increment(chain, later, surface, bare, "BTC", kept="log_moneyness")
    assert (found.has_index, found.has_smile) == (True, False)
    assert np.all(found.values[LEVEL] == 0.0)
    eth = replace(later.take(later.underlying == "ETH"), index_price={"ETH": later.index_price["ETH"]})
    lost = increment(chain, eth, surface, bare, "BTC", kept="log_moneyness")
    assert (lost.has_index, lost.has_smile) == (False, False)
    assert np.all(lost.values == 0.0)
