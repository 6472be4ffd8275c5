from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from greekdrift.errors import CalculationError
from greekdrift.surface import arbitrage, svi
from greekdrift.surface.fit import fit, parameters
from greekdrift.surface.slices import expiries


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


@pytest.mark.parametrize(("n", "method"), [(1, "flat"), (2, "flat"), (3, "three_parameters"), (4, "three_parameters")])
def test_thin_slices_fall_back_and_say_so(chain, n, method):
    rows = list(expiries(chain))[3][2]
    is_out = chain.is_call[rows] == (chain.strike[rows] >= chain.forward[rows])
    out = rows[is_out]
    k = np.log(chain.strike[out] / chain.forward[out])
    few = out[np.argsort(np.abs(k))[: 3 * n : 3]]
    one = fit(chain.take(few)).slices[0]
    assert (one.method, one.n_quotes) == (method, n)
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


def test_later_expiries_stay_above_earlier_ones_where_quoted(surface):
    for name in surface.underlyings:
        slices = surface.of(name)
        for earlier, later in pairwise(slices):
            gap = arbitrage.calendar_gap(earlier, later, np.linspace(*earlier.quoted, 51))
            assert gap.min() > -1e-6


def test_the_same_chain_gives_the_same_bits(chain, surface):
    assert fit(chain).slices == surface.slices


def test_the_instant_of_expiry_is_flat(build, frame, chain):
    moment = chain.as_of - timedelta(hours=8) + timedelta(days=1)
    other = frame[[name.startswith("BTC-6FEB26-") for name in frame["name"]]]
    one = fit(build(other, as_of=moment, known_at=moment)).slices[0]
    assert one.method == "flat"
    assert np.isfinite(one.atm_volatility)
    assert np.isfinite(one.volatility(np.array([-5.0, 5.0]))).all()


def test_a_chain_without_options_and_too_few_quotes_are_refused(chain, surface):
    with pytest.raises(CalculationError, match="lists no option"):
        fit(chain.take(~chain.is_option))
    with pytest.raises(CalculationError, match="cannot carry five parameters"):
        parameters(np.zeros(3), np.ones(3), 1.0)
    with pytest.raises(CalculationError, match="has no slice for SOL"):
        surface.slice("SOL", surface.slices[0].expiry)
