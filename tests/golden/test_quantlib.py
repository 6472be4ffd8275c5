"""The installed QuantLib on a dense random grid of any seed, with the 60-digit truth as the referee of disputes.

QuantLib's BlackCalculator takes ln(F/K) from the rounded ratio and Φ(−d) as 1 − Φ(d), so that its distance is off by
ε/s and its tails by ε: near the money at short times its Greeks lose digits, and a put six deviations out has four.
The tolerances below are these errors, propagated; where the two differ by more than we promise, QuantLib is wrong.
"""

import warnings

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from greekdrift.greeks import compute, implied_volatility

EPS = np.finfo(float).eps
PROMISED = {"price": 1e-11, "delta": 1e-12, "strike_delta": 1e-12}
NAMES = ("price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga", "strike_delta", "strike_gamma")
any_seed = given(seed=st.integers(0, 2**32 - 1))
few = settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@pytest.fixture(scope="module")
def quantlib():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import QuantLib

        yield QuantLib


def of_quantlib(quantlib, options) -> dict[str, np.ndarray]:
    """The spot is the forward; volga of QuantLib is vega d₁d₂/s, and ∂²V/∂σ² divides by σ."""
    rows = {name: [] for name in NAMES}
    for F, K, sigma, tau, is_call, D in zip(*(options[name].tolist() for name in (
            "forward", "strike", "volatility", "time_to_expiry", "is_call", "discount")), strict=True):  # fmt: skip
        side = quantlib.Option.Call if is_call else quantlib.Option.Put
        one = quantlib.BlackCalculator(quantlib.PlainVanillaPayoff(side, K), F, sigma * tau**0.5, D)
        rows["price"].append(one.value())
        rows["delta"].append(one.deltaForward())
        rows["gamma"].append(one.gammaForward())
        rows["vega"].append(one.vega(tau))
        rows["theta"].append(one.theta(F, tau))
        rows["rho"].append(one.rho(tau))
        rows["vanna"].append(one.vanna(F, tau))
        rows["volga"].append(one.volga(tau) * tau**0.5)
        rows["strike_delta"].append(one.strikeSensitivity())
        rows["strike_gamma"].append(one.strikeGamma())
    return {name: np.array(column) for name, column in rows.items()}


def deserved(options, got) -> dict[str, np.ndarray]:
    """Error that QuantLib's arithmetic makes of ε: of the distance ε/s, of a tail ε, of a density its slope."""
    F, K, sigma, tau, D = (options[n] for n in ("forward", "strike", "volatility", "time_to_expiry", "discount"))
    s = sigma * np.sqrt(tau)
    d = np.abs(np.log(F / K)) / s + 0.5 * s
    shift = EPS * (1.0 / s + d)
    density = got["vega"] / (F * np.sqrt(tau))
    share = EPS * (1.0 + d / s) * (1.0 + d * d)  # a density is the small difference of two terms 1 + d/s its size
    tail = D * EPS + density * shift
    rate, most = np.abs(np.log(D)) / tau, D * np.maximum(F, K) * EPS
    return {
        "price": most,
        "delta": tail,
        "gamma": share * got["gamma"],
        "vega": share * got["vega"],
        "theta": share * got["vega"] * sigma / tau + rate * most,
        "rho": tau * (most + K * tail),
        "vanna": density * np.sqrt(tau) / s * (shift + d * share),
        "volga": got["vega"] / sigma * d * (shift + d * share),
        "strike_delta": tail,
        "strike_gamma": share * got["gamma"] * (F / K) ** 2,
    }


@few
@any_seed
def test_quantlib_agrees_as_far_as_its_own_rounding_goes(seed, draw, quantlib):
    options = draw(seed, 5000)
    got, theirs = compute(NAMES, **options), of_quantlib(quantlib, options)
    slack = deserved(options, got)
    for name in NAMES:
        ratio = np.abs(got[name] - theirs[name]) / slack[name]
        worst = int(np.argmax(ratio))
        assert ratio[worst] <= 16.0, (name, {n: column[worst] for n, column in options.items()})


@few
@any_seed
def test_the_referee_decides_every_dispute_for_us(seed, draw, quantlib, reference):
    """The hundred widest disputes of each quantity: our error is within our promise, QuantLib's is the whole of it."""
    options = draw(seed, 5000)
    got, theirs = compute(NAMES, **options), of_quantlib(quantlib, options)
    for name in NAMES:
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.nan_to_num(np.abs(theirs[name] / got[name] - 1.0), nan=0.0, posinf=0.0)
        widest = np.argsort(gap)[-100:]
        right = reference({column: values[widest] for column, values in options.items()}, (name,))
        size = np.maximum(right.largest[name], np.abs(right.value[name]))
        ours = np.abs(got[name][widest] - right.value[name]) / size
        other = np.abs(theirs[name][widest] - right.value[name]) / size
        assert np.all(ours <= PROMISED.get(name, 1e-10)), name
        assert np.all(ours <= other + 1e-12), name
    assert np.max(np.abs(theirs["price"] / got["price"] - 1.0)) > 1e-3  # 100 options past eight deviations


@few
@any_seed
def test_quantlib_implies_our_volatilities_within_four_deviations(seed, quantlib):
    """`blackFormulaImpliedStdDev` out of the money, to what an error of ε F of the price does to the deviation."""
    rng = np.random.default_rng(seed)
    n, F, tau = 500, 100.0, 0.25
    s, h = np.exp(rng.uniform(np.log(0.02), np.log(1.5), n)), rng.uniform(-4.0, 4.0, n)
    strike, is_call = F * np.exp(-h * s), h <= 0.0
    at = {"forward": F, "strike": strike, "time_to_expiry": tau, "is_call": is_call, "discount": 0.97}
    price, vega = compute(("price", "vega"), **at, volatility=s / np.sqrt(tau)).values()
    found = implied_volatility(price, **at) * np.sqrt(tau)
    side = np.where(is_call, quantlib.Option.Call, quantlib.Option.Put).tolist()
    theirs = [
        quantlib.blackFormulaImpliedStdDev(side[i], strike[i], F, price[i], 0.97, 0.0, s[i] * 1.01, 1e-15, 200)
        for i in range(n)
    ]
    slack = 1e-15 + 16.0 * EPS * np.maximum(F, strike) / (vega / np.sqrt(tau))
    assert np.all(np.abs(found - theirs) <= slack)
