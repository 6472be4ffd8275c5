from datetime import timedelta

import numpy as np
import pytest

from greekdrift.errors import CalculationError
from greekdrift.surface import Surface
from greekdrift.surface.clock import Clock
from greekdrift.surface.slices import SHORTEST, expiries


def test_slices_are_sorted_and_found(surface):
    mixed = Surface(as_of=surface.as_of, slices=tuple(reversed(surface.slices)))
    assert mixed.slices == surface.slices
    assert mixed.underlyings == ("BTC", "ETH")
    one = surface.of("ETH")[2]
    assert surface.slice("ETH", one.expiry) is one


def test_volatility_and_total_variance_agree(surface):
    one = surface.slices[5]
    k = np.linspace(-1.0, 1.0, 5)
    np.testing.assert_allclose(one.volatility(k) ** 2 * one.time_to_expiry, one.total_variance(k))
    assert one.deviation > 0.0
    assert one.clock >= SHORTEST


def test_every_option_row_belongs_to_one_expiry(chain):
    rows = np.concatenate([rows for _, _, rows in expiries(chain)])
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(chain.is_option))


@pytest.mark.parametrize("clock", [Clock(), Clock(weekend=0.3)])
def test_a_listed_expiry_is_its_own_slice(surface, clock):
    k = np.linspace(-0.2, 0.2, 5)
    for one in surface.of("ETH"):
        found = surface.total_variance("ETH", k, one.expiry, clock)
        np.testing.assert_allclose(found, one.total_variance(k), rtol=1e-12)
        np.testing.assert_allclose(surface.volatility("ETH", k, one.expiry, clock), one.volatility(k), rtol=1e-9)


def test_total_variance_between_expiries_is_linear_in_the_clock_and_never_falls(surface):
    earlier, later = surface.of("BTC")[2:4]
    k = np.linspace(-5.0, 5.0, 41) * later.deviation
    moments = [earlier.expiry + timedelta(hours=int(h)) for h in np.linspace(0, 21 * 24, 50)]
    for clock in (Clock(), Clock(weekend=0.0)):
        w = np.array([surface.total_variance("BTC", k, moment, clock) for moment in moments])
        share = np.array(
            [float(clock.hours(earlier.expiry, one) / clock.hours(earlier.expiry, later.expiry)) for one in moments]
        )
        expected = earlier.total_variance(k) + share[:, None] * (later.total_variance(k) - earlier.total_variance(k))
        np.testing.assert_allclose(w, expected, rtol=1e-12)
        assert np.diff(w, axis=0).min() >= -1e-15


def test_outside_the_listed_expiries_volatility_is_flat(surface):
    k = np.array([-0.05, 0.0, 0.05])
    first, last = surface.of("BTC")[0], surface.of("BTC")[-1]
    np.testing.assert_allclose(
        surface.volatility("BTC", k, surface.as_of + timedelta(hours=3)), first.volatility(k), rtol=1e-9
    )
    np.testing.assert_allclose(
        surface.volatility("BTC", k, last.expiry + timedelta(days=300)), last.volatility(k), rtol=1e-9
    )


def test_an_instant_that_has_passed_and_an_unknown_underlying_are_refused(surface):
    with pytest.raises(CalculationError, match="nothing is left"):
        surface.volatility("BTC", np.zeros(1), surface.as_of)
    with pytest.raises(CalculationError, match="no slice for SOL"):
        surface.volatility("SOL", np.zeros(1), surface.as_of + timedelta(days=1))
