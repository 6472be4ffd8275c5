"""Laws of a joint fit: whatever the quotes, no butterfly, no calendar spread, wings within Lee's bound."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greekdrift.greeks import compute
from greekdrift.surface import svi
from greekdrift.surface.arbitrage import butterfly_g
from greekdrift.surface.fit import Sheet, surface_of

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TENORS = st.lists(st.floats(0.02, 800.0), min_size=1, max_size=6, unique=True)


def quoted(
    seed: int, days: list[float], level: float, noise: float, spread: float, reach: float, n: int = 12
) -> dict[str, np.ndarray]:
    """Noisy smiles around a level that itself jumps from expiry to expiry; some quotes are missing or crossed."""
    rng = np.random.default_rng(seed)
    tau = np.repeat(np.array(days) / 365.0, n)
    sigma = np.repeat(level * np.exp(noise * rng.standard_normal(len(days))), n)
    k = np.clip(reach * rng.standard_normal(tau.size) * sigma * np.sqrt(tau), -20.0, 20.0)
    sigma = np.clip(sigma * np.exp(noise * rng.standard_normal(tau.size)), 0.01, 20.0)
    at = {"forward": np.full(tau.size, 100.0), "strike": 100.0 * np.exp(k), "time_to_expiry": tau, "is_call": k > 0.0}
    price = compute(["price"], volatility=sigma, **at)["price"]
    half = spread * price * rng.uniform(0.2, 2.0, tau.size)
    bid, ask = price - half, price + half
    bid[rng.random(tau.size) < 0.1] = np.nan
    crossed = rng.random(tau.size) < 0.05
    bid[crossed], ask[crossed] = ask[crossed], bid[crossed]
    return at | {"bid": bid, "ask": ask, "mark": price}


def shapes(sheet: Sheet) -> list[dict[str, float]]:
    return [dict(zip(("a", "b", "rho", "m", "s"), row, strict=True)) for row in sheet.parameters]


def judge(sheet: Sheet, low: float = 0.0, high: float = 0.0) -> None:
    deviation = sheet.atm_volatility * np.sqrt(sheet.time_to_expiry)
    z = np.linspace(-5.0, 5.0, 2001)
    for one, width in zip(shapes(sheet), deviation, strict=True):
        k = np.concatenate([z * width, np.linspace(low, high, 501)])
        assert svi.total_variance(k, **one).min() > 0.0
        assert butterfly_g(k, **one).min() >= -1e-9
        assert one["b"] * (1.0 + abs(one["rho"])) <= 2.0 + 1e-12
    for i, (earlier, later) in enumerate(zip(shapes(sheet), shapes(sheet)[1:], strict=False)):
        k = np.concatenate([z * max(deviation[i : i + 2]), np.linspace(low, high, 501)])
        w = svi.total_variance(k, **earlier)
        assert (svi.total_variance(k, **later) - w).min() >= -1e-9 * deviation[i] ** 2
    assert np.isfinite(sheet.rmse).all()
    assert np.isfinite(sheet.atm_volatility).all()


@MANY
@given(
    seed=st.integers(0, 2**32 - 1),
    days=TENORS,
    level=st.floats(0.03, 3.0),
    noise=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    spread=st.sampled_from([0.0, 0.02, 0.5]),
    reach=st.sampled_from([0.05, 1.0, 2.0, 6.0]),
)
def test_whatever_the_quotes_the_surface_admits_no_arbitrage(seed, days, level, noise, spread, reach):
    judge(surface_of(**quoted(seed, days, level, noise, spread, reach)))


@MANY
@given(
    seed=st.integers(0, 2**32 - 1),
    days=TENORS,
    noise=st.sampled_from([0.02, 0.5]),
    low=st.floats(-3.0, -0.1),
    high=st.floats(0.1, 2.0),
)
def test_nor_over_a_range_of_moneyness_that_was_asked_for(seed, days, noise, low, high):
    judge(surface_of(**quoted(seed, days, 0.5, noise, 0.02, 1.5), within=(low, high)), low, high)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([2.0**-20, 0.25, 2.0**30]))
def test_the_order_of_rows_and_the_unit_of_prices_do_not_matter(seed, scale):
    given_ = quoted(seed, [1.0, 30.0, 200.0], 0.6, 0.05, 0.02, 1.5)
    base = surface_of(**given_)
    order = np.random.default_rng(seed).permutation(given_["strike"].size)
    money = {name: given_[name][order] * scale for name in ("forward", "strike", "bid", "ask", "mark")}
    other = surface_of(**money, **{name: given_[name][order] for name in ("time_to_expiry", "is_call")})
    np.testing.assert_allclose(other.parameters, base.parameters, rtol=1e-6, atol=1e-9)
    assert other.reasons == base.reasons
    assert other.dropped == base.dropped


def test_the_same_quotes_give_the_same_bytes():
    given_ = quoted(7, [1.0, 8.0, 30.0, 200.0], 0.6, 0.05, 0.02, 1.5)
    assert surface_of(**given_).parameters.tobytes() == surface_of(**given_).parameters.tobytes()
