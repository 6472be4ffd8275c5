import numpy as np

from greekdrift.surface import Surface
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
