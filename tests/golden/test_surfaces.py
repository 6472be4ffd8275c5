"""Four smiles that broke a calibrator, kept free of arbitrage to far strikes; a term structure of weekdays."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from greekdrift.surface import Parameters, Slice, Surface, calibrate, svi
from greekdrift.surface.arbitrage import butterfly_g
from greekdrift.surface.clock import Clock
from greekdrift.surface.fit import parameters

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(
    "smile", ["jan13_feb21_39dte", "jan24_feb21_28dte_stable", "mar03_apr17_45dte", "mar10_apr17_38dte"]
)
def test_hard_index_smiles_without_arbitrage_cost_at_most_twice_the_free_error(golden, smile):
    """Free of butterflies for k in [-1, 0.5], far outside most quotes, against the fit without constraints."""
    table = pd.read_csv(golden / "spx_smiles_2025.csv")
    rows = table[table["smile"] == smile].sort_values("strike")
    k, quoted = np.log(rows["strike"] / rows["forward"]).to_numpy(), rows["implied_vol"].to_numpy()
    years = float(rows["t_years"].iloc[0])

    def error(p: Parameters) -> float:
        return float(np.sqrt(np.mean((svi.volatility(k, years, p) - quoted) ** 2)))

    free = Parameters(
        **dict(
            zip(("a", "b", "rho", "m", "s"), calibrate.free(k, quoted, np.ones(k.size), years).tolist(), strict=True)
        )
    )
    found = parameters(k, quoted, years, within=(-1.0, 0.5))
    wide = np.linspace(-1.0, 0.5, 4001)
    assert butterfly_g(wide, a=found.a, b=found.b, rho=found.rho, m=found.m, s=found.s).min() >= 0.0
    assert error(found) <= 2.0 * error(free)
    assert error(found) <= 0.0045


def test_variance_on_weekdays_alone_is_reproduced(golden):
    """Clark (2011), table 4.7: volatility at the money by day, nodes at five expiries, no variance at weekends."""
    table = pd.read_csv(golden / "clark_business_time_vols.csv")
    assert len(table) == 29

    def evening(day: str) -> datetime:
        return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)

    origin = evening(table["eval_date"].iloc[0])
    nodes = table[table["is_node"].notna()]
    slices = []
    for row in nodes.itertuples():
        years = (evening(row.expiry) - origin).days / 365.0
        flat = Parameters(a=(row.expected_atm_vol_pct / 100.0) ** 2 * years, b=0.0, rho=0.0, m=0.0, s=1.0)
        slices.append(
            Slice(
                underlying="EURUSD",
                expiry=evening(row.expiry),
                time_to_expiry=years,
                forward=1.0,
                parameters=flat,
                atm_volatility=row.expected_atm_vol_pct / 100.0,
                rmse=0.0,
                n_quotes=1,
                method="svi",
                quoted=(0.0, 0.0),
            )
        )
    surface = Surface(as_of=origin, slices=tuple(slices))
    clock = Clock(weekend=0.0)
    found = [100.0 * surface.volatility("EURUSD", np.zeros(1), evening(day), clock)[0] for day in table["expiry"]]
    np.testing.assert_allclose(found, table["expected_atm_vol_pct"], atol=5e-3 + 1e-9)
