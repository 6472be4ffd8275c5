from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import ChainError, InputError
from greekdrift.greeks import compute
from greekdrift.surface import FACTORS, Surface
from greekdrift.surface.fit import fit
from greekdrift.surface.revalue import revalue
from greekdrift.surface.scenario import index_return, move, moved
from greekdrift.surface.state import BASIS, CURVATURE, FORWARD, LEVEL, SKEW, state

U = 2


def still(horizons: int = 1, scenarios: int = 1) -> np.ndarray:
    return np.zeros((scenarios, horizons, U, len(FACTORS)))


def everything(chain) -> np.ndarray:
    return np.arange(len(chain))


@pytest.mark.parametrize("kept", ["log_moneyness", "standardised"])
def test_the_zero_move_returns_forward_and_mark_iv(chain, surface, scenarios, kept):
    forward, volatility, years, index = moved(chain, surface, scenarios(still(), (0.0,)), everything(chain), kept=kept)
    np.testing.assert_array_equal(forward[0, 0], chain.forward)
    np.testing.assert_allclose(volatility[0, 0], chain.mark_iv, rtol=1e-12, atol=0.0)
    np.testing.assert_array_equal(years[0], chain.time_to_expiry)
    np.testing.assert_allclose(index[0, 0], [70_000.0, 2_000.0], rtol=1e-15)


def test_the_clock_alone_moves_nothing_but_time(chain, surface, scenarios):
    forward, volatility, years, _ = moved(chain, surface, scenarios(still(2), (6.0, 72.0)), everything(chain))
    for at in range(2):
        np.testing.assert_array_equal(forward[0, at], chain.forward)
        np.testing.assert_allclose(volatility[0, at], chain.mark_iv, rtol=1e-12)
    expected = np.maximum(chain.time_to_expiry - 72.0 / 8760.0, 0.0)
    np.testing.assert_allclose(years[1], expected, atol=1e-15)
    assert np.any(years[1] == 0.0)


@pytest.mark.parametrize("minutes_left", [15.0, 90.0])
def test_marks_of_a_moved_chain_are_what_its_options_are_revalued_at(chain, scenarios, minutes_left):
    """Inside the settlement window too: an option is worth Black's price of the forward of the average."""
    settled = replace(chain, settlement_average_minutes=30.0)
    hours = 8760.0 * float(np.min(settled.time_to_expiry)) - minutes_left / 60.0
    increments = still()
    increments[..., FORWARD] = 0.01
    fitted = fit(settled)
    later = move(settled, fitted, increments[0, 0], hours, settled.underlyings)
    assert np.any(later.time_to_expiry < later.settlement_window) == (minutes_left < 30.0)
    found = revalue(settled, fitted, scenarios(increments, (hours,)), rows=everything(settled), names=("price",))
    price = found.cube("price")[0, 0] / settled.contract_size
    worth = np.where(settled.is_inverse, price / found.forward[0, 0], price)[settled.is_option]
    np.testing.assert_allclose(later.mark[settled.is_option], worth, rtol=1e-11, atol=1e-14)


def test_forwards_move_with_the_index_and_the_basis(chain, surface, scenarios):
    increments = still()
    increments[..., 0, FORWARD], increments[..., 0, BASIS] = -0.1, 0.05
    forward, _, years, index = moved(chain, surface, scenarios(increments, (12.0,)), everything(chain))
    own = chain.underlying == "BTC"
    carry = np.where(np.isfinite(years[0]), years[0], 0.0) * 0.05
    np.testing.assert_allclose(forward[0, 0][own], (chain.forward * np.exp(-0.1 + carry))[own], rtol=1e-12)
    np.testing.assert_array_equal(forward[0, 0][~own], chain.forward[~own])
    np.testing.assert_allclose(index[0, 0], [70_000.0 * np.exp(-0.1), 2_000.0])


def test_the_smile_goes_with_the_forward(chain, surface, scenarios):
    """A quote that a move brings to where another one was takes over that one's volatility, residual and all."""
    rows = np.flatnonzero(
        (chain.expiry == chain.expiry[surface_rows(chain)[0]]) & chain.is_call & (chain.underlying == "BTC")
    )
    rows = rows[chain.is_option[rows]]
    rows = rows[np.argsort(chain.strike[rows])]
    increments = still()
    increments[..., 0, FORWARD] = np.log(chain.strike[rows[12]] / chain.strike[rows[10]])
    _, volatility, _, _ = moved(chain, surface, scenarios(increments, (0.0,)), rows)
    assert volatility[0, 0, 12] == pytest.approx(chain.mark_iv[rows[10]], rel=1e-9)


def surface_rows(chain) -> np.ndarray:
    days = chain.time_to_expiry * 365.0
    return np.flatnonzero(chain.is_option & (days > 20) & (days < 40))


def test_level_multiplies_every_quote_at_its_standardised_moneyness(chain, surface, scenarios):
    increments = still()
    increments[..., LEVEL] = 0.2
    rows = surface_rows(chain)
    atm = rows[np.argmin(np.abs(np.log(chain.strike[rows] / chain.forward[rows])))]
    _, volatility, _, _ = moved(chain, surface, scenarios(increments, (0.0,)), np.array([atm]))
    assert volatility[0, 0, 0] == pytest.approx(chain.mark_iv[atm] * np.exp(0.2), rel=5e-3)


def test_state_of_the_moved_chain_is_state_plus_increment(chain, surface):
    increments = np.zeros((U, len(FACTORS)))
    increments[0, FORWARD], increments[0, LEVEL], increments[0, SKEW] = -0.05, 0.15, -0.02
    increments[0, CURVATURE], increments[0, BASIS] = 0.01, 0.01
    increments[1, LEVEL] = np.linspace(0.3, 0.0, 8)
    later = move(chain, surface, increments, 0.0, ("BTC", "ETH"))
    difference = state(fit(later), later).values - state(surface, chain).values - increments
    np.testing.assert_allclose(difference[0], 0.0, atol=6e-3)
    np.testing.assert_allclose(difference[1], 0.0, atol=2.5e-2)


def test_a_moved_chain_is_a_chain_of_living_rows_with_black_marks(chain, surface):
    later = move(chain, surface, np.zeros((U, len(FACTORS))), 24.0, ("BTC", "ETH"))
    assert (later.as_of - chain.as_of).total_seconds() == 86_400.0
    assert later.origin == "modelled"
    assert len(later) < len(chain)
    assert "BTC-6FEB26" not in later.row_of
    option = later.is_option
    price = compute(
        ["price"],
        forward=later.forward[option],
        strike=later.strike[option],
        volatility=later.mark_iv[option],
        time_to_expiry=later.time_to_expiry[option],
        is_call=later.is_call[option],
    )["price"]
    np.testing.assert_allclose(later.mark[option], price / later.forward[option], rtol=1e-12)
    assert later.mark[later.row_of["BTC-PERPETUAL"]] == 70_010.0


def test_the_zero_move_of_a_chain_prices_mark_iv(chain, surface):
    same = move(chain, surface, np.zeros((U, len(FACTORS))), 0.0, ("BTC", "ETH"))
    np.testing.assert_allclose(same.mark_iv, chain.mark_iv, rtol=1e-12)
    np.testing.assert_allclose(same.mark, chain.mark, rtol=1e-12, atol=1e-18)


def test_an_expiry_within_the_horizon_settles_on_the_path(chain, surface, scenarios):
    """The nearest expiry is 16 hours away; the path is at -0.1 after 12 hours and at +0.1 after 24."""
    increments = still(3)
    increments[0, :, 0, FORWARD] = [-0.1, 0.1, 0.5]
    row = chain.row_of["BTC-6FEB26"]
    forward, volatility, years, _ = moved(chain, surface, scenarios(increments, (12.0, 24.0, 48.0)), np.array([row]))
    settled = chain.forward[row] * np.exp(-0.1 + 0.2 * 4.0 / 12.0)
    np.testing.assert_allclose(forward[0, :, 0], [chain.forward[row] * np.exp(-0.1), settled, settled])
    np.testing.assert_array_equal(years[1:, 0], 0.0)
    assert np.isnan(volatility).all()


def test_the_path_starts_at_the_origin():
    path = np.array([[0.4]])
    assert index_return(path, 6.0 / 8760.0, np.array([24.0]))[0, 0] == pytest.approx(0.1)
    assert index_return(path, 0.0, np.array([0.0]))[0, 0] == 0.0


def test_what_does_not_belong_together_is_refused(chain, surface, scenarios, frame, build):
    rows = everything(chain)
    with pytest.raises(InputError, match=r"state\.FACTORS"):
        moved(chain, surface, scenarios(np.zeros((1, 1, 2, 1)), factors=("forward",)), rows)
    with pytest.raises(InputError, match='no "ETH"'):
        moved(chain, surface, scenarios(still()[:, :, :1], underlyings=("BTC",)), rows)
    with pytest.raises(InputError, match='no index price of "SOL"'):
        moved(chain, surface, scenarios(np.zeros((1, 1, 3, 26)), underlyings=("BTC", "ETH", "SOL")), rows)
    with pytest.raises(InputError, match="is no way to keep a smile"):
        moved(chain, surface, scenarios(still()), rows, kept="delta")
    later = chain.as_of.replace(hour=17)
    with pytest.raises(InputError, match="predict from this chain"):
        moved(chain, surface, scenarios(still(), as_of=later, known_at=later), rows)
    with pytest.raises(InputError, match="fit this chain"):
        moved(chain, Surface(as_of=later, slices=surface.slices), scenarios(still()), rows)
    few = chain.take([chain.row_of["BTC-6FEB26"]])
    with pytest.raises(ChainError, match="expires within"):
        move(few, surface, np.zeros((1, len(FACTORS))), 24.0, ("BTC",))


@pytest.mark.parametrize("hours", [np.nan, np.inf, -1.0, 1e9])
def test_a_move_by_hours_that_are_none_is_refused(chain, surface, hours):
    with pytest.raises(InputError, match="hours"):
        move(chain, surface, np.zeros((U, len(FACTORS))), hours, ("BTC", "ETH"))
