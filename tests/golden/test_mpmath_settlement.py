"""The settlement average against 60 digits: every quantity inside the window is a derivative of one definition.

V(S′, σ, τ) = D B(F + w (S′ − S), K, σ, τ) with w = τ/L and B the undiscounted Black price: the index S′ moves with the
fixed part held, time with F and S held.
"""

import mpmath as mp
import numpy as np
import pytest

from greekdrift.greeks import settlement

HALF_HOUR = 0.5 / 8760.0
DERIVATIVE = {  # how often to differentiate to the index, the strike, volatility and calendar time
    "price": (0, 0, 0, 0), "delta": (1, 0, 0, 0), "gamma": (2, 0, 0, 0), "speed": (3, 0, 0, 0),
    "vega": (0, 0, 1, 0), "volga": (0, 0, 2, 0), "vanna": (1, 0, 1, 0), "zomma": (2, 0, 1, 0),
    "theta": (0, 0, 0, 1), "charm": (1, 0, 0, 1), "veta": (0, 0, 1, 1), "color": (2, 0, 0, 1),
    "strike_delta": (0, 1, 0, 0), "strike_gamma": (0, 2, 0, 0),
}  # fmt: skip


def drawn(seed: int) -> dict[str, float]:
    """From a second before the end to the whole window, past and index apart, strikes within four deviations."""
    rng = np.random.default_rng(seed)
    S, share, sigma = (
        10.0 ** rng.uniform(2.0, 5.0),
        np.exp(rng.uniform(np.log(1.0 / 1800.0), 0.0)),
        rng.uniform(0.2, 2.0),
    )
    tau = share * HALF_HOUR
    F = S * (1.0 + (1.0 - share) * rng.uniform(-0.01, 0.01))
    distance = F * np.expm1(rng.uniform(-4.0, 4.0) * sigma * np.sqrt(tau))
    return {"forward": F, "index": S, "strike": F + distance, "volatility": sigma, "time_to_expiry": tau}


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_every_quantity_is_a_derivative_of_the_price_of_the_average(seed, is_call, terms_of):
    option, rate = drawn(seed), mp.mpf("0.05")
    F, S, K, sigma, tau = (mp.mpf(value) for value in option.values())
    window = mp.mpf(HALF_HOUR)
    with mp.workdps(60):

        def price(index, strike, vol, elapsed, r=rate, kept=rate):
            left = tau - elapsed
            w, grown = left / window, mp.exp((r - kept) * left)
            terms = terms_of(F + w * (index * grown - S), strike, vol, left, mp.exp(-r * left), is_call=is_call)
            return terms["price"][0]

        at = (S, K, sigma, mp.mpf(0))
        width = sigma * mp.sqrt(tau)
        steps = (S * width * window / tau, S * width, sigma, tau)
        got = settlement.fading(
            tuple(settlement.QUANTITIES), **option, is_call=is_call, window=HALF_HOUR,
            discount=float(mp.exp(-rate * tau)),
        )  # fmt: skip
        unit = lambda *moves: price(*(x + y * move for x, y, move in zip(at, steps, moves, strict=True)))  # noqa: E731
        for name, order in DERIVATIVE.items():
            right = mp.diff(unit, (0, 0, 0, 0), order) if any(order) else price(*at)
            scale = mp.fprod(y**n for y, n in zip(steps, order, strict=True))
            size = max(abs(right), 0 if name == "price" else mp.diff(unit, (0, 0, 0, 0), (0, 0, 1, 0))) / scale
            assert abs(float(got[name]) - right / scale) <= 1e-9 * size, name
        rho = mp.diff(lambda r: price(S, K, sigma, mp.mpf(0), r=r), rate)
        assert float(got["rho"]) == pytest.approx(float(rho), rel=1e-9)


def test_at_the_edge_of_the_window_and_at_its_end(reference):
    """At w = 1 with F = S the numbers are Black's; at w = 0 the settlement value, without risk; no NaN between."""
    names = tuple(settlement.QUANTITIES)
    spots = np.array([99.0, 100.0, 100.0, 101.0, 250.0])
    at = {"index": spots, "strike": 100.0, "volatility": 0.7, "window": HALF_HOUR}
    table = {"forward": spots, "strike": np.full(5, 100.0), "volatility": np.full(5, 0.7),
             "time_to_expiry": np.full(5, HALF_HOUR), "is_call": np.full(5, True), "discount": np.ones(5)}  # fmt: skip
    whole = settlement.fading(names, forward=spots, time_to_expiry=HALF_HOUR, is_call=True, **at)
    right = reference(table, names)
    for name in set(names) - {"charm", "color"}:
        size = np.maximum(right.largest[name], 1e-290)
        assert np.all(np.abs(whole[name] - right.value[name]) <= 1e-10 * size), name
    for forward in (99.9, 100.0, 100.1):
        for is_call in (True, False):
            end = settlement.fading(names, forward=forward, time_to_expiry=0.0, is_call=is_call, **at)
            worth = max(forward - 100.0 if is_call else 100.0 - forward, 0.0)
            assert np.all(end["price"] == worth)
            assert all(np.all(end[name] == 0.0) for name in set(names) - {"price", "delta", "strike_delta"})
            assert np.all(end["delta"] == 0.0)
            fractions = np.concatenate([10.0 ** -np.arange(0.0, 300.0, 3.0), 1.0 - 10.0 ** -np.arange(1.0, 17.0)])
            with np.errstate(all="raise", under="ignore"):
                path = settlement.fading(names, forward=forward, time_to_expiry=HALF_HOUR * fractions[:, None],
                                         is_call=is_call, **at)  # fmt: skip
            assert all(np.all(np.isfinite(column)) for column in path.values())
            assert np.all(path["price"] >= worth * (1.0 - 1e-15))
