"""Worths in scenarios: no NaN passes, and nothing jumps."""

from dataclasses import replace

import numpy as np
import pytest

from greekdrift.config import load_rules
from greekdrift.errors import CalculationError
from greekdrift.margin.shocks import OptionStates, worths

P = load_rules("derive_pm2").parameters


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
