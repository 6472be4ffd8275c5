"""Targets, the small-cost laws and their limits, and the default price of a breach."""

from math import sqrt

import numpy as np
import pytest

from greekdrift.book import Band
from greekdrift.book.mandate import BANDED
from greekdrift.errors import InputError
from greekdrift.policy import band


def test_whalley_wilmott_is_the_published_formula():
    """H = (1.5 e^(−rτ) λ S Γ² / g)^(1/3), by hand: (1.5 · 0.98 · 0.001 · 100 · 0.04 / 0.5)^(1/3)."""
    found = band.whalley_wilmott(gamma=0.2, cost=0.001, price=100.0, risk_aversion=0.5, discount=0.98)
    assert found == pytest.approx((1.5 * 0.98 * 0.001 * 100.0 * 0.04 / 0.5) ** (1 / 3), rel=1e-14)


@pytest.mark.parametrize("change", [{"cost": 1e-18}, {"risk_aversion": 1e18}, {"gamma": 1e-12}])
def test_the_half_width_vanishes_without_cost_with_fear_and_without_gamma(change):
    plain = {"gamma": 1e-4, "cost": 6e-4, "price": 7e4, "risk_aversion": 1e-5}
    assert band.whalley_wilmott(**(plain | change)) < 1e-4 < band.whalley_wilmott(**plain)


def test_the_general_law_contains_whalley_wilmott():
    ratio = band.variation_ratio(
        gamma=1e-4, vanna=0.0, spot_volatility=0.6, volatility_volatility=0.5, correlation=0.4, price=7e4
    )
    general = band.small_cost_half_width(cost=6e-4, price=7e4, risk_aversion=1e-5, variation_ratio=ratio)
    assert general == pytest.approx(
        band.whalley_wilmott(gamma=1e-4, cost=6e-4, price=7e4, risk_aversion=1e-5), rel=1e-12
    )


def test_the_variation_of_delta_is_that_of_a_simulated_one():
    """d⟨Δ⟩/d⟨S⟩ against a Monte Carlo of dΔ = Γ dS + V dσ."""
    draw = np.random.default_rng(1)
    gamma, vanna, price, vol, volvol, correlation = 2e-5, 0.9, 7e4, 0.5, 0.4, -0.35
    one, two = draw.normal(size=(2, 400_000))
    spot = price * vol * one
    sigma = volvol * (correlation * one + sqrt(1 - correlation**2) * two)
    simulated = np.var(gamma * spot + vanna * sigma) / np.var(spot)
    found = band.variation_ratio(
        gamma=gamma,
        vanna=vanna,
        spot_volatility=vol,
        volatility_volatility=volvol,
        correlation=correlation,
        price=price,
    )
    assert found == pytest.approx(simulated, rel=0.01)


@pytest.mark.parametrize("greek", ["delta", "gamma", "vega", "vanna", "volga", "speed", "zomma"])
def test_the_price_of_a_breach_is_a_standard_deviation_of_pnl(greek):
    """Against a Monte Carlo of the Taylor term that one unit of the Greek causes in an hour."""
    draw = np.random.default_rng(2)
    price, vol = 7e4, 0.5
    hour = 1 / 8760
    spot = price * vol * sqrt(hour) * draw.normal(size=2_000_000)
    sigma = vol * band.VOLATILITY_OF_VOLATILITY * sqrt(hour) * draw.normal(size=2_000_000)
    term = {
        "delta": spot,
        "gamma": spot**2 / 2,
        "vega": sigma,
        "vanna": spot * sigma,
        "volga": sigma**2 / 2,
        "speed": spot**3 / 6,
        "zomma": spot**2 * sigma / 2,
    }[greek]
    assert band.price_of_breach(greek, price=price, volatility=vol) == pytest.approx(np.std(term), rel=0.02)


def test_every_banded_greek_has_a_price():
    assert all(band.price_of_breach(greek, price=7e4, volatility=0.5) > 0.0 for greek in BANDED)
    short, long = (band.price_of_breach("vega", price=7e4, volatility=0.5, tenor=days) for days in (7.0, 180.0))
    assert short > long


def test_targets_are_inner_bands_with_stated_or_default_prices(made, chain):
    mandate = made.mandate(price_of_breach={"gamma": 5.0})
    found = band.targets(chain, mandate, gamma={}, cost={})
    assert [target.band for target in found] == list(mandate.bands)
    assert (found[0].lower, found[0].upper) == pytest.approx((-0.93, 0.93))
    assert found[1].price == 5.0
    level = band.near_volatility(chain, "BTC")
    assert found[0].price == pytest.approx(70_000 * level * sqrt(1 / 8760))


def test_a_risk_aversion_narrows_the_delta_target_only(made, chain):
    bold, timid = (
        band.targets(chain, made.mandate(risk_aversion=aversion), gamma={"BTC": 1e-4}, cost={"BTC": 6e-4})
        for aversion in (1e-12, 1e-4)
    )
    assert (bold[0].lower, bold[0].upper) == pytest.approx((-0.93, 0.93))
    half = band.whalley_wilmott(gamma=1e-4, cost=6e-4, price=70_000.0, risk_aversion=1e-4)
    assert (timid[0].lower, timid[0].upper) == pytest.approx((-half, half))
    assert [(one.lower, one.upper) for one in bold[1:]] == [(one.lower, one.upper) for one in timid[1:]]


def test_without_options_there_is_no_default_price(made, chain):
    perpetual = chain.take(chain.rows(["BTC-PERPETUAL"]))
    mandate = made.mandate(bands=(Band(greek="delta", underlying="BTC", lower=-1.0, upper=1.0),))
    with pytest.raises(InputError, match="give price_of_breach in the mandate"):
        band.targets(perpetual, mandate, gamma={}, cost={})
