from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from greekdrift.greeks import compute
from greekdrift.surface import Parameters, Slice, Surface, arbitrage, svi


def make(parameters: Parameters, surface: Surface, years: float = 0.25) -> Slice:
    atm = float(svi.volatility(np.zeros(1), years, parameters)[0])
    return replace(surface.slices[0], parameters=parameters, time_to_expiry=years, atm_volatility=atm)


def test_g_is_the_density_of_black_prices():
    p = {"a": 0.01, "b": 0.1, "rho": -0.4, "m": 0.02, "s": 0.15}
    k, h = np.linspace(-0.6, 0.5, 23), 3e-4
    strikes = np.exp(k)[:, None] * (1.0 + np.array([-h, 0.0, h]))
    volatility = np.sqrt(svi.total_variance(np.log(strikes), **p))
    price = compute(
        ["price"],
        forward=1.0,
        strike=strikes,
        volatility=volatility,
        time_to_expiry=1.0,
        is_call=np.ones_like(strikes, bool),
    )["price"]
    density = (price[:, 0] - 2.0 * price[:, 1] + price[:, 2]) / (np.exp(k) * h) ** 2 * np.exp(k)
    root = np.sqrt(svi.total_variance(k, **p))
    normal = np.exp(-0.5 * (-k / root - 0.5 * root) ** 2) / np.sqrt(2.0 * np.pi)
    np.testing.assert_allclose(arbitrage.butterfly_g(k, **p) * normal / root, density, atol=2e-5)


def test_a_flat_smile_is_clean_and_a_wild_one_is_flagged(surface):
    flat = make(Parameters(a=0.04, b=0.0, rho=0.0, m=0.0, s=0.1), surface)
    wild = make(Parameters(a=0.0, b=1.5, rho=0.9, m=0.0, s=0.05), surface)
    assert arbitrage.is_butterfly_free(flat)
    assert not arbitrage.is_butterfly_free(wild)
    assert arbitrage.is_butterfly_free(wild, np.array([0.0]))


def test_crossing_expiries_are_found_where_they_cross(surface):
    near = make(Parameters(a=0.04, b=0.0, rho=0.0, m=0.0, s=0.1), surface, 0.25)
    far = make(Parameters(a=0.0, b=0.3, rho=0.0, m=0.0, s=0.1), surface, 0.5)
    far = replace(far, expiry=near.expiry + timedelta(days=90))
    found = arbitrage.check(Surface(as_of=surface.as_of, slices=(far, near)))
    assert [one.kind for one in found] == ["calendar"]
    assert found[0].expiry == near.expiry
    assert found[0].worst == pytest.approx((0.3 * 0.1 - 0.04) / 0.04)
    assert found[0].at_deviations == pytest.approx(0.0, abs=1e-12)


def test_the_fitted_surface_of_clean_smiles_is_clean(surface):
    assert [one for one in arbitrage.check(surface) if one.kind == "butterfly"] == []


def test_a_crossing_beyond_five_deviations_of_the_earlier_is_found(surface):
    near = make(Parameters(a=0.002, b=0.08, rho=0.0, m=0.0, s=0.1), surface, 0.05)
    far = make(Parameters(a=0.09, b=0.0, rho=0.0, m=0.0, s=0.1), surface, 0.5)
    far = replace(far, expiry=near.expiry + timedelta(days=90))
    assert 5.0 * near.deviation < 1.1 < 5.0 * far.deviation
    (found,) = arbitrage.check(Surface(as_of=surface.as_of, slices=(near, far)))
    assert found.kind == "calendar"
    assert abs(found.at_deviations) * near.deviation > 1.1


def test_a_slice_is_held_to_what_it_claims(surface):
    one = make(Parameters(a=0.04 - 21.0, b=2.1, rho=0.0, m=0.0, s=10.0), surface)
    assert arbitrage.check(Surface(as_of=surface.as_of, slices=(replace(one, arbitrage_free=(0.0, 0.0)),))) == ()
    claims = replace(one, arbitrage_free=(-60.0, 60.0))
    assert [found.kind for found in arbitrage.check(Surface(as_of=surface.as_of, slices=(claims,)))] == ["butterfly"]


def test_a_kink_between_the_points_of_an_even_grid_is_found(surface):
    sharp = make(Parameters(a=0.039999, b=0.3, rho=0.0, m=0.3511, s=1e-6), surface)
    (found,) = arbitrage.check(Surface(as_of=surface.as_of, slices=(sharp,)))
    assert found.kind == "butterfly"
