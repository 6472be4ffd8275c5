"""Worths in scenarios: the fast price equals the readable one, also where nothing can happen; no NaN passes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.config import load_rules
from greekdrift.errors import CalculationError
from greekdrift.greeks import black
from greekdrift.margin.shocks import OptionStates, plain_price, worths

P = load_rules("derive_pm2").parameters


@given(
    forward=st.floats(1e-6, 1e9),
    moneyness=st.floats(-30.0, 30.0),
    volatility=st.just(0.0) | st.floats(1e-12, 40.0),
    years=st.just(0.0) | st.floats(1e-9, 30.0),
    is_call=st.booleans(),
)
def test_the_fast_price_is_the_readable_one(forward, moneyness, volatility, years, is_call):
    strike = forward * np.exp(moneyness)
    options = black.options(
        forward=[forward], strike=[strike], volatility=[volatility], time_to_expiry=[years], is_call=[is_call]
    )
    fast = plain_price(
        np.array([forward]),
        np.array([strike]),
        np.array([volatility * np.sqrt(years)]),
        side=np.array([1.0 if is_call else -1.0]),
    )
    assert fast[0] == pytest.approx(black.price(options)[0], rel=0.0, abs=4e-15 * max(forward, strike))
    assert fast[0] >= 0.0


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("forward", [80.0, 100.0, 125.0])
def test_without_deviation_it_is_the_intrinsic_value(forward, is_call):
    side = 1.0 if is_call else -1.0
    found = plain_price(np.array([forward]), np.array([100.0]), np.zeros(1), side=np.array([side]))
    assert found[0] == max(side * (forward - 100.0), 0.0)


def states(**changes):
    one = np.array([[100.0]])
    return OptionStates(
        **{
            "strike": np.array([100.0]),
            "is_call": np.array([True]),
            "expiry_of": np.zeros(1, dtype=np.int64),
            "strike_of": np.zeros(1, dtype=np.int64),
            "expiry_years": np.array([0.1]),
            "expiry_rate": np.zeros(1),
            "forward": one,
            "volatility": 0.005 * one,
            "worth": 0.01 * one,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("forward", np.nan), ("forward", np.inf), ("volatility", np.nan), ("worth", np.nan), ("worth", np.inf)],
)
def test_a_worth_that_is_no_number_is_refused(name, wrong):
    good = states()
    assert np.all(np.isfinite(worths(good, P).spot))
    with np.errstate(all="ignore"), pytest.raises(CalculationError, match="not a number"):
        worths(replace(good, **{name: np.array([[wrong]])}), P)


def test_a_longer_life_moves_smoothly_through_thirty_days():
    """The power law of the volatility shock changes its exponent there and nothing jumps."""
    near, far = (worths(states(expiry_years=np.array([days / 365.0])), P) for days in (30.0 - 1e-9, 30.0 + 1e-9))
    assert np.allclose(near.spot, far.spot, rtol=1e-8, atol=0.0)
    assert np.allclose(near.skew, far.skew, rtol=1e-8, atol=0.0)
