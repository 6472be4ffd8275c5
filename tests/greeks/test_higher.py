"""Greeks of higher order: symmetries and signs that hold beside the 60-digit truth of test_black."""

import numpy as np
import pytest

from greekdrift.greeks import compute
from greekdrift.greeks.black import options
from greekdrift.greeks.higher import charm, color, speed, vanna, veta, volga, zomma

GRID = {"forward": 100.0, "strike": np.linspace(60.0, 160.0, 21), "volatility": 0.6, "time_to_expiry": 0.2}


def test_undiscounted_calls_and_puts_share_every_higher_greek():
    call, put = options(**GRID, is_call=True), options(**GRID, is_call=False)
    for quantity in (vanna, volga, charm, veta, speed, zomma, color):
        assert np.array_equal(quantity(call), quantity(put)), quantity.__name__


def test_time_and_volatility_act_through_the_deviation_alone():
    at = options(**GRID, is_call=True)
    per_time = 0.6 / (2.0 * 0.2)  # dσ that shrinks s as much as dt does
    assert charm(at) == pytest.approx(-per_time * vanna(at), rel=1e-13)
    assert color(at) == pytest.approx(-per_time * zomma(at), rel=1e-13)


def test_discounting_adds_the_rate_terms():
    rate, tau = 0.04, 0.2
    plain = compute(("delta", "gamma", "vega", "charm", "color", "veta"), **GRID, is_call=True)
    held = compute(("charm", "color", "veta"), **GRID, is_call=True, discount=np.exp(-rate * tau))
    for name, of in (("charm", "delta"), ("color", "gamma"), ("veta", "vega")):
        assert held[name] == pytest.approx(np.exp(-rate * tau) * (plain[name] + rate * plain[of]), rel=1e-12, abs=1e-12)


def test_vanna_changes_sign_and_volga_is_negative_only_near_the_money():
    at = options(**GRID, is_call=True)
    d2_is_positive = at.d2 > 0.0
    assert np.array_equal(vanna(at) < 0.0, d2_is_positive)
    assert np.array_equal(volga(at) < 0.0, (at.d1 > 0.0) & (at.d2 < 0.0))
