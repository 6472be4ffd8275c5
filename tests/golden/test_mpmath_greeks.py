"""Prices and Greeks against 60 digits: 20,000 options of any seed in both modes, and the closed forms themselves."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from greekdrift.greeks import QUANTITIES, compute

EVERY = tuple(QUANTITIES)
LIMIT = dict.fromkeys(EVERY, 1e-10) | {"price": 1e-11, "delta": 1e-12, "strike_delta": 1e-12}
"""Largest error: of a price relative to itself, of a Greek relative to the larger of |value| and its largest term."""

any_seed = given(seed=st.integers(0, 2**32 - 1))
DERIVATIVE = {  # how often to differentiate to forward, strike, volatility and calendar time
    "price": (0, 0, 0, 0), "delta": (1, 0, 0, 0), "gamma": (2, 0, 0, 0), "speed": (3, 0, 0, 0),
    "vega": (0, 0, 1, 0), "volga": (0, 0, 2, 0), "vanna": (1, 0, 1, 0), "zomma": (2, 0, 1, 0),
    "theta": (0, 0, 0, 1), "charm": (1, 0, 0, 1), "veta": (0, 0, 1, 1), "color": (2, 0, 0, 1),
    "strike_delta": (0, 1, 0, 0), "strike_gamma": (0, 2, 0, 0),
}  # fmt: skip


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@any_seed
def test_any_options_equal_60_digits_in_both_modes(seed, draw, reference):
    options = draw(seed, 2600)
    right = reference(options, EVERY)
    for deterministic in (True, False):
        got = compute(EVERY, **options, deterministic=deterministic)
        for name in EVERY:
            error = np.abs(got[name] - right.value[name]) / np.maximum(right.largest[name], np.abs(right.value[name]))
            worst = int(np.argmax(error))
            option = {column: values[worst] for column, values in options.items()}
            assert error[worst] <= LIMIT[name], (name, deterministic, option, got[name][worst])


@pytest.mark.parametrize("is_call", [True, False])
def test_closed_forms_are_the_derivatives_of_the_price(is_call, terms_of):
    """No Greek formula enters here: the 60-digit price is differentiated numerically, the rate held as time moves."""
    rng = np.random.default_rng(60)
    for _ in range(6):
        sigma, tau, rate = (mp.mpf(float(x)) for x in (rng.uniform(0.05, 3.0), rng.uniform(0.01, 2.0), 0.04))
        F = mp.mpf(float(10.0 ** rng.uniform(-1.0, 5.0)))
        K = F * mp.exp(mp.mpf(float(rng.uniform(-3.0, 3.0))) * sigma * mp.sqrt(tau))
        with mp.workdps(60):

            def price(forward, strike, vol, elapsed, r=rate, years=tau):
                left = years - elapsed
                return terms_of(forward, strike, vol, left, mp.exp(-r * left), is_call=is_call)["price"][0]

            terms = terms_of(F, K, sigma, tau, mp.exp(-rate * tau), is_call=is_call)
            at = (F, K, sigma, mp.mpf(0))
            for name, order in DERIVATIVE.items():
                # steps in units of each variable, or differences would drown in the digits of a forward of 1e5
                scale = [x or tau for x in at]
                unit = lambda *moves: price(*(x + y * m for x, y, m in zip(at, scale, moves, strict=True)))  # noqa: B023, E731
                slope = mp.diff(unit, (0, 0, 0, 0), order) if any(order) else price(*at)
                slope /= mp.fprod(y**n for y, n in zip(scale, order, strict=True))
                assert abs(mp.fsum(terms[name]) - slope) <= mp.mpf(10) ** -12 * max(map(abs, terms[name])), name
            rho = mp.diff(lambda r: price(F * mp.exp((r - rate) * tau), K, sigma, mp.mpf(0), r=r), rate)  # noqa: B023
            assert abs(terms["rho"][0] - rho) <= mp.mpf(10) ** -12 * abs(rho)
    assert DERIVATIVE.keys() | {"rho"} == terms.keys()


def test_every_quantity_has_an_exact_twin(terms_of):
    one = mp.mpf(1)
    assert set(EVERY) == set(terms_of(one, one, one, one, one, is_call=True))
