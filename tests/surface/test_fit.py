from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from greekdrift.errors import CalculationError, InputError
from greekdrift.greeks import compute
from greekdrift.surface import arbitrage, svi
from greekdrift.surface.fit import fit, parameters, surface_of
from greekdrift.surface.slices import expiries

AS_OF = datetime(2026, 2, 5, 16, tzinfo=UTC)


def test_known_smiles_come_back_through_noise_and_spreads(chain, surface, truth):
    for one in surface.slices:
        z = np.linspace(-2.0, 2.0, 9) * one.deviation
        true = svi.volatility(z, one.time_to_expiry, truth(one.underlying, one.time_to_expiry))
        np.testing.assert_allclose(one.volatility(z), true, rtol=5e-3)
        assert one.method == "svi"
        assert 0.0 < one.rmse < 0.004
        assert one.atm_volatility == pytest.approx(float(one.volatility(np.zeros(1))[0]))
    assert [(one.underlying, one.expiry) for one in surface.slices] == [(u, e) for u, e, _ in expiries(chain)]


def test_crossed_and_missing_quotes_do_not_move_the_fit(build, frame, chain, surface):
    rows = list(expiries(chain))[3][2]
    k = np.abs(np.log(chain.strike[rows] / chain.forward[rows]))
    bad = rows[np.argsort(k)[4:12]]
    other = frame.copy()
    other.loc[bad, "mark_iv"] = 3.0
    other.loc[bad[:4], ["bid", "ask"]] = [0.2, 0.1]
    other.loc[bad[4:], "bid"] = np.nan
    found = fit(build(other, allow_crossed=True)).slices[3]
    z = np.linspace(-2.0, 2.0, 9) * found.deviation
    np.testing.assert_allclose(found.volatility(z), surface.slices[3].volatility(z), rtol=5e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_thin_slices_lean_on_ssvi_and_say_so(chain, n):
    rows = list(expiries(chain))[3][2]
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    out = rows[is_out]
    k = np.log(chain.strike[out] / chain.forward[out])
    few = out[np.argsort(np.abs(k))[: 3 * n : 3]]
    thin = fit(chain.take(few))
    one = thin.slices[0]
    assert (one.method, one.n_quotes) == ("ssvi", n)
    assert [(each.underlying, each.expiry) for each in thin.refused] == [(one.underlying, one.expiry)]
    assert thin.refused[0].reason.startswith(f"{n} usable quote{'s' * (n != 1)} cannot")
    assert (thin.refused[0].figure, thin.refused[0].limit) == (n, 5)
    np.testing.assert_allclose(one.atm_volatility, chain.mark_iv[few].mean(), rtol=0.1)
    assert arbitrage.is_butterfly_free(one)


def test_marks_serve_where_nothing_is_quoted(build, frame, surface):
    silent = frame.assign(bid=np.nan, ask=np.nan)
    found = fit(build(silent))
    assert {one.method for one in found.slices} == {"svi_marks"}
    for one, quoted in zip(found.slices, surface.slices, strict=True):
        assert one.atm_volatility == pytest.approx(quoted.atm_volatility, rel=4e-3)


def test_an_arbitrageable_smile_is_fitted_without_arbitrage():
    """Vogt's smile (Gatheral & Jacquier 2014, example 3.1) admits butterflies; what is fitted to it does not."""
    vogt = svi.Parameters(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, s=0.4153)
    k = np.linspace(-1.0, 1.2, 23)
    found = parameters(k, svi.volatility(k, 1.0, vogt), 1.0)
    deviation = float(svi.volatility(np.zeros(1), 1.0, found)[0])
    shape = {name: getattr(found, name) for name in ("a", "b", "rho", "m", "s")}
    assert arbitrage.butterfly_g(np.linspace(-5.0, 5.0, 401) * deviation, **shape).min() >= 0.0
    np.testing.assert_allclose(svi.volatility(k, 1.0, found), svi.volatility(k, 1.0, vogt), atol=0.015)


def test_an_absurd_smile_still_gives_a_clean_slice():
    k = np.linspace(-0.5, 0.5, 11)
    volatility = np.where(np.arange(11) % 2 == 0, 2.0, 0.3)
    found = parameters(k, volatility, 0.02)
    shape = {name: getattr(found, name) for name in ("a", "b", "rho", "m", "s")}
    deviation = float(np.sqrt(svi.total_variance(np.zeros(1), **shape)[0]))
    assert arbitrage.butterfly_g(np.linspace(-5.0, 5.0, 401) * deviation, **shape).min() >= 0.0


def crossing_chain(build, frame, share: float):
    """The third expiry of BTC with its volatilities cut, so that its quotes lie below the second expiry's."""
    moment = sorted({name.split("-")[1] for name in frame["name"] if name.startswith("BTC-") and name.count("-") == 3})
    other = frame.copy()
    lowered = other["name"].str.contains("BTC-13FEB26-")
    assert lowered.any(), moment
    other.loc[lowered, "mark_iv"] *= share
    return build(other.assign(bid=np.nan, ask=np.nan))


def least_rise(earlier, later) -> float:
    k = np.linspace(-5.0, 5.0, 4001) * max(earlier.deviation, later.deviation)
    return float(arbitrage.calendar_gap(earlier, later, k).min())


@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
def test_no_slice_lies_below_an_earlier_one_whatever_the_quotes(build, frame, share):
    surface = fit(crossing_chain(build, frame, share))
    assert arbitrage.check(surface) == ()
    for name in surface.underlyings:
        for earlier, later in pairwise(surface.of(name)):
            assert least_rise(earlier, later) >= 0.0
    reasons = [one.reason for one in surface.refused]
    assert bool(reasons) is (share < 0.5), reasons


def test_a_crossing_is_shared_by_both_slices(build, frame):
    """Neither the earlier nor the later expiry bears it alone."""
    free, tight = fit(crossing_chain(build, frame, 1.0)), fit(crossing_chain(build, frame, 0.5))
    earlier, later = tight.of("BTC")[1:3]
    assert earlier.rmse > 2.0 * free.of("BTC")[1].rmse
    assert later.rmse > 2.0 * free.of("BTC")[2].rmse


def test_each_slice_reports_its_quotes_and_range(surface, chain):
    for one in surface.slices:
        rows = chain.is_option & (chain.underlying == one.underlying) & (chain.time_to_expiry == one.time_to_expiry)
        assert one.n_quotes + sum(count for _, count in one.dropped) == np.sum(rows)
        assert 0.0 < one.rmse_spreads < 0.5
        assert one.arbitrage_free[0] <= min(one.quoted[0], -5.0 * one.deviation * (1.0 - 1e-12))
        assert one.arbitrage_free[1] >= max(one.quoted[1], 5.0 * one.deviation * (1.0 - 1e-12))
        assert max(one.parameters.wings) <= 2.0
    assert surface.refused == ()
    assert surface.known_at == chain.known_at


def test_an_outlier_is_dropped_and_named(build, frame, chain, surface):
    rows = list(expiries(chain))[3][2]
    k = np.abs(np.log(chain.strike[rows] / chain.forward[rows]))
    pair = rows[k == np.sort(k)[10]]
    other = frame.copy()
    other.loc[pair, "mark_iv"] *= 1.5
    found = fit(build(other)).slices[3]
    assert dict(found.dropped)["outlier"] == 1
    z = np.linspace(-2.0, 2.0, 9) * found.deviation
    np.testing.assert_allclose(found.volatility(z), surface.slices[3].volatility(z), rtol=5e-3)


def test_a_range_of_moneyness_can_be_kept_clean(chain):
    surface = fit(chain, within=(-3.0, 2.0))
    k = np.linspace(-3.0, 2.0, 4001)
    for one in surface.slices:
        assert one.arbitrage_free[0] <= -3.0
        assert arbitrage.is_butterfly_free(one, k)
    for name in surface.underlyings:
        for earlier, later in pairwise(surface.of(name)):
            assert arbitrage.calendar_gap(earlier, later, k).min() >= 0.0


def test_a_chain_known_later_than_asked_for_is_refused(build, frame):
    late = build(frame, known_at=AS_OF + timedelta(minutes=5))
    with pytest.raises(CalculationError, match="became known at"):
        fit(late, as_of=AS_OF + timedelta(minutes=4))
    assert fit(late, as_of=AS_OF + timedelta(minutes=5)).known_at == AS_OF + timedelta(minutes=5)


def test_quotes_as_arrays_in_any_order_give_the_surface_of_their_volatilities(chain, surface):
    rows = np.flatnonzero(chain.is_option & (chain.underlying == "BTC"))
    rows = np.random.default_rng(3).permutation(rows)
    forward = chain.forward[rows]
    sheet = surface_of(
        forward=forward,
        strike=chain.strike[rows],
        time_to_expiry=chain.time_to_expiry[rows],
        is_call=chain.is_call[rows],
        bid=chain.bid[rows] * forward,
        ask=chain.ask[rows] * forward,
        mark=chain.mark[rows] * forward,
    )
    slices = surface.of("BTC")
    np.testing.assert_allclose(sheet.atm_volatility, [one.atm_volatility for one in slices], rtol=1e-6)
    np.testing.assert_array_equal(sheet.n_quotes, [one.n_quotes for one in slices])
    w = sheet.total_variance(np.array([-0.1, 0.0, 0.1]))
    np.testing.assert_allclose(w[3], slices[3].total_variance(np.array([-0.1, 0.0, 0.1])), rtol=1e-5)


def test_an_expiry_without_usable_quotes_stands_between_its_neighbours():
    k = np.tile(np.linspace(-0.3, 0.3, 9), 3)
    tau = np.repeat([0.1, 0.2, 0.4], 9)
    at = {"forward": 1.0, "strike": np.exp(k), "time_to_expiry": tau, "is_call": k > 0.0}
    price = compute(["price"], volatility=0.5 + 0.1 * k * k, **at)["price"]
    price = np.where(tau == 0.2, np.nan, price)
    sheet = surface_of(**at, bid=0.99 * price, ask=1.01 * price)
    assert sheet.atm_volatility[1] == pytest.approx(0.5, rel=0.01)
    assert sheet.reasons[0] == sheet.reasons[2] == ""
    assert "0 usable quotes" in sheet.reasons[1]
    np.testing.assert_array_equal(sheet.missed, [[np.nan, np.nan], [0.0, 5.0], [np.nan, np.nan]])
    assert sheet.dropped[1] == (("not quoted", 9),)
    with pytest.raises(CalculationError, match="at least one quote"):
        surface_of(**at, bid=np.nan, ask=np.nan)


@pytest.mark.parametrize("is_coin", [False, True])
def test_prices_in_coins_are_prices_over_the_forward(is_coin):
    k = np.linspace(-0.3, 0.3, 9)
    at = {"forward": 200.0, "strike": 200.0 * np.exp(k), "time_to_expiry": 0.1, "is_call": k > 0.0}
    price = compute(["price"], volatility=0.5 + 0.1 * k * k, **at)["price"] / (200.0 if is_coin else 1.0)
    sheet = surface_of(**at, bid=0.99 * price, ask=1.01 * price, is_coin=is_coin)
    assert sheet.atm_volatility[0] == pytest.approx(0.5, rel=1e-3)
    assert sheet.n_quotes[0] == 9


def test_arrays_that_are_no_quotes_are_refused():
    at = {"forward": 1.0, "strike": np.ones(3), "is_call": True, "bid": 0.1, "ask": 0.2}
    with pytest.raises(InputError, match="do not broadcast"):
        surface_of(**at, time_to_expiry=np.ones(4))
    with pytest.raises(InputError, match="drop what has expired"):
        surface_of(**at, time_to_expiry=np.array([0.1, -0.1, np.nan]))
    with pytest.raises(InputError, match="forward"):
        surface_of(**(at | {"forward": np.nan}), time_to_expiry=0.1)
    with pytest.raises(InputError, match="no log-moneyness or no volatility"):
        parameters(np.linspace(-1.0, 1.0, 5), np.array([0.5, np.nan, 0.5, 0.5, 0.5]), 1.0)


def test_the_same_chain_gives_the_same_bits(chain, surface):
    assert fit(chain).slices == surface.slices


def test_the_instant_of_expiry_has_the_shape_of_all_expiries(build, frame, chain):
    moment = chain.as_of - timedelta(hours=8) + timedelta(days=1)
    other = frame[[name.startswith("BTC-6FEB26-") for name in frame["name"]]]
    surface = fit(build(other, as_of=moment, known_at=moment))
    one = surface.slices[0]
    assert one.method == "ssvi"
    assert "within a minute" in surface.refused[0].reason
    assert np.isfinite(one.atm_volatility)
    assert np.isfinite(one.volatility(np.array([-5.0, 5.0]))).all()


def test_a_chain_without_options_and_too_few_quotes_are_refused(chain, surface):
    with pytest.raises(CalculationError, match="lists no option"):
        fit(chain.take(~chain.is_option))
    with pytest.raises(CalculationError, match="cannot carry five parameters"):
        parameters(np.zeros(3), np.ones(3), 1.0)
    with pytest.raises(CalculationError, match="has no slice for SOL"):
        surface.slice("SOL", surface.slices[0].expiry)
