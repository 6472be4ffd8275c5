"""Published SVI values, calibrations, a vendor's slices and four smiles that broke a calibrator."""

import numpy as np
import pandas as pd
import pytest

from greekdrift.surface import Parameters, arbitrage, svi
from greekdrift.surface.fit import parameters

RANGE = np.linspace(-5.0, 5.0, 401)


def named(p: Parameters) -> dict[str, float]:
    return {name: getattr(p, name) for name in ("a", "b", "rho", "m", "s")}


def least_g(shape: dict[str, float], deviations: np.ndarray = RANGE) -> float:
    deviation = np.sqrt(svi.total_variance(np.zeros(1), **shape))
    return float(arbitrage.butterfly_g(deviations * deviation, **shape).min())


@pytest.mark.shared
def test_raw_values(golden):
    for row in pd.read_csv(golden / "svi_raw_values.csv").itertuples():
        p = Parameters(a=row.a, b=row.b, rho=row.rho, m=row.m, s=row.sigma)
        k = np.array([row.log_moneyness])
        found = svi.total_variance(k, **named(p)) if row.quantity == "total_variance" else svi.volatility(k, row.t, p)
        assert found[0] == pytest.approx(row.value, abs=float(row.tol))


@pytest.mark.shared
@pytest.mark.parametrize("smile", [0, 1])
def test_calibration_recovers_the_parameters(golden, smile):
    table = pd.read_csv(golden / "svi_calibration_recovery.csv")
    rows = table[table["smile"] == smile]
    k = np.log(rows["strike"] / rows["forward"]).to_numpy()
    found = parameters(k, rows["implied_vol"].to_numpy(), float(rows["t"].iloc[0]))
    truth = rows[["true_a", "true_b", "true_rho", "true_m", "true_sigma"]].iloc[0].to_numpy()
    np.testing.assert_allclose(list(named(found).values()), truth, atol=1e-4, rtol=1e-3)


@pytest.mark.shared
def test_a_vendors_slices_are_clean_within_five_deviations(golden):
    for row in pd.read_csv(golden / "amberdata_btc_svi_slices.csv").itertuples():
        years = row.t_years_to_0800utc
        shape = {"a": row.svi_a * years, "b": row.svi_b * years}
        shape |= {"rho": row.svi_rho, "m": row.svi_m, "s": row.svi_sigma}
        atm = float(np.sqrt(svi.total_variance(np.zeros(1), **shape)[0] / years))
        assert atm == pytest.approx(row.atm_vol_measured, abs=1e-6)
        assert least_g(shape) >= 0.0


@pytest.mark.shared
@pytest.mark.parametrize(
    "smile", ["jan13_feb21_39dte", "jan24_feb21_28dte_stable", "mar03_apr17_45dte", "mar10_apr17_38dte"]
)
def test_hard_index_smiles_fit_to_half_a_point_without_butterflies(golden, smile):
    """Where quoted (-22 to +5 deviations) and within five deviations; reference fits: 0.01 to 0.5 points."""
    table = pd.read_csv(golden / "spx_smiles_2025.csv")
    rows = table[table["smile"] == smile]
    k, quoted = np.log(rows["strike"] / rows["forward"]).to_numpy(), rows["implied_vol"].to_numpy()
    years = float(rows["t_years"].iloc[0])
    found = parameters(k, quoted, years)
    fitted = svi.volatility(k, years, found)
    assert np.sqrt(np.mean((fitted - quoted) ** 2)) <= 0.005
    assert least_g(named(found)) >= 0.0
    assert arbitrage.butterfly_g(np.sort(k), **named(found)).min() >= 0.0


def test_vogts_smile_is_arbitrageable():
    """Gatheral & Jacquier (2014), example 3.1: g dips below zero although total variance is positive."""
    p = Parameters(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, s=0.4153)
    k = np.linspace(-1.5, 1.5, 301)
    g = arbitrage.butterfly_g(k, **named(p))
    assert p.minimum > 0.0
    assert g.min() < 0.0
    assert 0.5 < k[np.argmin(g)] < 1.0
