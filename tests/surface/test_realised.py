"""Realised changes per contract: differences of two chains, settled and lost rows."""

from datetime import timedelta

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.greeks.exposure import line_quantities
from greekdrift.surface import FACTORS, Surface
from greekdrift.surface.realised import changes, find
from greekdrift.surface.scenario import move
from greekdrift.units import datetime64

NAMES = ("delta_usd", "delta_net", "gamma", "vega", "value_usd", "value_coin", "pnl_usd", "pnl_coin")


@pytest.fixture(scope="module")
def later(chain: Chain, surface: Surface) -> Chain:
    """A day on: the index 5 % up, and the expiry of the first morning gone."""
    increments = np.zeros((2, len(FACTORS)))
    increments[:, 0] = np.log(1.05)
    return move(chain, surface, increments, 24.0, ("BTC", "ETH"))


def test_listed_rows_change_by_the_difference_of_their_lines(chain: Chain, later: Chain) -> None:
    rows = np.array([row for row, one in enumerate(chain.instruments) if one.name in later.row_of])
    found = changes(chain, later, rows, NAMES, settlement=np.full(rows.size, np.nan))
    at = later.rows([chain.instruments[row].name for row in rows])
    before, after = line_quantities(chain, NAMES[:6], rows), line_quantities(later, NAMES[:6], at)
    for name in NAMES[:6]:
        np.testing.assert_array_equal(found[name], after[name] - before[name])
    is_linear = ~chain.is_option[rows] & ~chain.is_inverse[rows]
    assert np.all(found["pnl_coin"][is_linear] == 0.0)
    coins = chain.is_inverse[rows] & ~chain.is_option[rows]
    size, start, end = chain.contract_size[rows][coins], chain.forward[rows][coins], later.forward[at][coins]
    np.testing.assert_allclose(found["pnl_coin"][coins], size * (1.0 / start - 1.0 / end), rtol=1e-12)
    np.testing.assert_allclose(found["pnl_usd"][coins], found["pnl_coin"][coins] * later.index[at][coins], rtol=1e-12)
    spot = chain.is_spot[rows]
    np.testing.assert_allclose(found["pnl_usd"][spot], later.index[at][spot] - chain.index[rows][spot], rtol=1e-12)


def test_expired_rows_are_settled_at_the_price_that_is_given(chain: Chain, later: Chain) -> None:
    gone = np.flatnonzero(chain.expiry <= datetime64(chain.as_of + timedelta(hours=24.0)))
    where = find(chain, later, gone)
    assert np.all(where.is_settled)
    price = 1.02 * chain.index[gone]
    found = changes(chain, later, gone, NAMES, settlement=price)
    before = line_quantities(chain, NAMES[:6], gone)
    for name in ("delta_usd", "delta_net", "gamma", "vega"):
        np.testing.assert_array_equal(found[name], -before[name])
    money = np.where(chain.is_call[gone], price - chain.strike[gone], chain.strike[gone] - price)
    coins = chain.contract_size[gone] * np.maximum(money, 0.0) / price
    options = chain.is_option[gone]
    later_index = 1.05 * chain.index[gone]
    np.testing.assert_allclose(found["pnl_coin"][options], (coins - before["value_coin"])[options], atol=1e-15)
    expected = (coins * later_index - before["value_usd"])[options]
    np.testing.assert_allclose(found["pnl_usd"][options], expected, rtol=1e-10, atol=1e-9)


def test_what_is_not_known_is_not_a_number(chain: Chain, later: Chain) -> None:
    gone = np.flatnonzero(chain.expiry <= datetime64(chain.as_of + timedelta(hours=24.0)))
    found = changes(chain, later, gone, NAMES, settlement=np.full(gone.size, np.nan))
    assert all(np.all(np.isnan(column)) for name, column in found.items() if name.startswith(("pnl", "value")))
    lost = np.array([chain.row_of["BTC-PERPETUAL"], chain.row_of["ETH_USDC"]])
    without = later.take(np.array([one.name not in ("BTC-PERPETUAL", "ETH_USDC") for one in later.instruments]))
    for column in changes(chain, without, lost, NAMES, settlement=np.full(2, 70_000.0)).values():
        assert np.all(np.isnan(column))
