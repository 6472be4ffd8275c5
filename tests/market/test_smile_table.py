"""The table of smiles against the pricer that it stands for."""

import numpy as np
import pytest

from greekdrift.errors import InputError
from greekdrift.greeks import compute
from greekdrift.market.bates_world import BTC
from greekdrift.market.heston import option_values, smile
from greekdrift.market.smile_table import LONGEST, SHORTEST, VARIANCES, SmileTable, table_of


@pytest.fixture(scope="module")
def table() -> SmileTable:
    return table_of(BTC)


def test_volatilities_and_values_are_those_of_the_pricer(table: SmileTable) -> None:
    """Of options of more than 1e-6 of the forward: within 2e-4 of volatility; values within 3e-5 of the forward."""
    rng = np.random.default_rng(3)
    worst_volatility = worst_value = 0.0
    for _ in range(40):
        years = float(np.exp(rng.uniform(np.log(2.0 / 8760.0), np.log(1.2))))
        variance, regime = float(np.exp(rng.uniform(np.log(0.03), np.log(2.5)))), int(rng.integers(2))
        curve = table.curve(years=years, variance=variance, regime=regime)
        k = rng.uniform(-6.0, 6.0, 25) * curve.deviation
        strike, is_call = np.exp(k), k >= 0.0
        given = {"forward": 1.0, "strike": strike, "is_call": is_call}
        exact = option_values(BTC, years=years, variance=variance, regime=regime, **given)
        volatility = np.sqrt(curve.total_variance(k) / years)
        value = compute(("price",), volatility=volatility, time_to_expiry=years, **given)["price"]
        worst_value = max(worst_value, float(np.max(np.abs(value - exact))))
        told = exact > 1e-6
        true = smile(BTC, k[told], years=years, variance=variance, regime=regime)
        worst_volatility = max(worst_volatility, float(np.max(np.abs(true - volatility[told]))))
    assert worst_volatility < 2e-4
    assert worst_value < 3e-5


def test_corners_are_the_smile_one_deviation_either_way(table: SmileTable) -> None:
    rng = np.random.default_rng(4)
    years, variance = np.exp(rng.uniform(-8.0, 0.0, 50)), np.exp(rng.uniform(-3.5, 1.0, 50))
    regime = rng.integers(0, 2, 50)
    found = table.corners(years, variance, regime)
    for at in range(50):
        curve = table.curve(years=float(years[at]), variance=float(variance[at]), regime=int(regime[at]))
        three = 0.5 * np.log(curve.total_variance(np.array([0.0, -1.0, 1.0]) * curve.deviation))
        np.testing.assert_allclose(found[:, at], three, atol=1e-9)
        assert curve.deviation == pytest.approx(np.exp(found[0, at]), rel=1e-9)


def test_wings_go_on_without_a_step_and_below_the_bound_of_lee(table: SmileTable) -> None:
    for years, variance, regime in ((0.001, 0.2, 0), (0.05, 0.1, 1), (1.0, 1.0, 0)):
        curve = table.curve(years=years, variance=variance, regime=regime)
        for end in curve.ends:
            near = curve.total_variance((end + np.array([-1e-7, 1e-7])) * curve.deviation)
            assert near[0] == pytest.approx(near[1], rel=1e-5)
        far = curve.total_variance(np.array([-6.0, -5.0, 5.0, 6.0]))
        assert far[0] > far[1]
        assert far[3] >= far[2]
        assert max(far[0] - far[1], far[3] - far[2]) <= 1.9 + 1e-9


def test_edges(table: SmileTable) -> None:
    low, high = (table.curve(years=0.1, variance=v, regime=0).deviation for v in VARIANCES)
    assert table.curve(years=0.1, variance=0.0, regime=0).deviation == low
    assert table.curve(years=0.1, variance=100.0, regime=0).deviation == high
    for years in (0.9 * SHORTEST, 1.1 * LONGEST, np.nan):
        with pytest.raises(InputError, match="smiles are tabulated from"):
            table.curve(years=years, variance=0.2, regime=0)
    assert table_of(BTC) is table
