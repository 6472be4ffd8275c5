"""Coin view: derivatives of the coin value by bumping, linear rows without one, unknown names refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greekdrift.book import Chain
from greekdrift.errors import InputError
from greekdrift.greeks.coin_view import NAMES, coin_quantities
from greekdrift.greeks.exposure import line_quantities


def _bumped(chain: Chain, name: str, **columns: np.ndarray) -> np.ndarray:
    return coin_quantities(replace(chain, **columns), (name,))[name]


@pytest.mark.parametrize(("of", "name"), [("value", "vega"), ("vega", "volga"), ("gamma", "zomma")])
def test_derivatives_to_volatility(every_kind: Chain, of: str, name: str) -> None:
    chain = every_kind
    step = 1e-5
    up, down = (_bumped(chain, of, mark_iv=chain.mark_iv + side * step) for side in (1.0, -1.0))
    options = chain.is_option & chain.is_inverse
    found = coin_quantities(chain, (name,))[name]
    scale = np.abs(found[options]).max()
    np.testing.assert_allclose(found[options], ((up - down) / (2.0 * step))[options], rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize(("of", "name"), [("value", "delta"), ("gamma", "speed")])
def test_derivatives_to_the_forward(every_kind: Chain, of: str, name: str) -> None:
    chain = every_kind
    step = 1e-5
    sides = [replace(chain, forward=chain.forward * (1.0 + side * step)) for side in (1.0, -1.0)]
    up, down = (coin_quantities(one, (of,))[of] for one in sides)
    slope = (up - down) / (2.0 * step * chain.forward)
    rows = chain.is_inverse & (chain.is_option | (name == "speed"))
    found = coin_quantities(chain, (name,))[name] / (chain.forward if name == "delta" else 1.0)
    scale = np.abs(found[rows]).max()
    np.testing.assert_allclose(found[rows], slope[rows], rtol=1e-6, atol=1e-7 * scale)


def test_value_and_delta_are_those_of_the_exposure(every_kind: Chain) -> None:
    chain = every_kind
    found = coin_quantities(chain, ("value", "delta"))
    line = line_quantities(chain, ("value_coin", "delta_net"))
    np.testing.assert_array_equal(found["delta"], line["delta_net"])
    options = chain.is_option & chain.is_inverse
    np.testing.assert_array_equal(found["value"][options], line["value_coin"][options])
    np.testing.assert_array_equal(found["value"][chain.is_spot], chain.contract_size[chain.is_spot])


def test_linear_contracts_have_no_value_in_coins(every_kind: Chain) -> None:
    found = coin_quantities(every_kind, NAMES)
    linear = ~every_kind.is_inverse & ~every_kind.is_spot
    assert linear.sum() == 2
    for name in NAMES:
        assert np.all(np.isfinite(found[name][~linear]))
        assert np.all(np.isfinite(found[name][linear]) if name == "delta" else np.isnan(found[name][linear]))


def test_inside_the_settlement_window_they_are_derivatives_to_the_index(every_kind: Chain) -> None:
    moment = datetime(2025, 6, 27, 7, 50, tzinfo=UTC)
    few = every_kind.take(np.flatnonzero(every_kind.underlying == "BTC"))
    near = few.expiry == few.expiry[0]
    forward = np.where(near, 100_050.0, few.forward)
    late = replace(few, as_of=moment, known_at=moment, settlement_average_minutes=30.0, forward=forward)
    share = np.minimum(late.time_to_expiry / late.settlement_window, 1.0)
    is_inside, step = share < 1.0, 1e-5
    at = np.flatnonzero(is_inside & late.is_inverse)
    assert at.size == 3

    def coins(x: float, seconds: float = 0.0) -> np.ndarray:
        """Delta in coins per USD of the index: ∂(coin value)/∂S, from the net delta."""
        then = moment + timedelta(seconds=seconds)
        w = (share * late.settlement_window - seconds / 31_536_000.0) / late.settlement_window
        index = 1e5 * (1.0 + x)
        forward = late.forward + np.where(is_inside, w * 1e5, late.forward) * x
        moved = replace(late, as_of=then, known_at=then, forward=forward, index_price={"BTC": index})
        return coin_quantities(moved, ("delta",), at)["delta"] / index

    found = coin_quantities(late, ("gamma", "charm", "vega", "color"), at)
    width = 2.0 * step * 1e5
    gamma = (coins(step) - coins(-step)) / width
    assert found["gamma"] == pytest.approx(gamma, rel=1e-4, abs=1e-18)
    charm = (coins(0.0, 0.5) - coins(0.0, -0.5)) * 31_536_000.0
    assert found["charm"] == pytest.approx(charm, rel=1e-4, abs=1e-9)
    color = [(coins(step, dt) - coins(-step, dt)) / width for dt in (0.5, -0.5)]
    assert found["color"] == pytest.approx((color[0] - color[1]) * 31_536_000.0, rel=1e-3, abs=1e-12)
    assert np.all(np.isfinite(found["vega"]))


def test_rows_are_those_asked_for_and_names_are_checked(every_kind: Chain) -> None:
    chain = every_kind
    rows = np.array([5, 2])
    np.testing.assert_array_equal(
        coin_quantities(chain, ("vega",), rows)["vega"], coin_quantities(chain, ("vega",))["vega"][rows]
    )
    with pytest.raises(InputError, match='did you mean "vega"'):
        coin_quantities(chain, ("vegas",))
