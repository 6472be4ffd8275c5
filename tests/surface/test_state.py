from dataclasses import replace

import numpy as np
import pytest

from greekdrift.errors import CalculationError, InputError
from greekdrift.surface import FACTORS, PILLARS, Parameters, State
from greekdrift.surface.state import (
    annualised_basis,
    curvature_shape,
    factors,
    pillar_weights,
    skew_shape,
    state,
    three_volatilities,
)

NO_BASIS = np.array([[0.5], [0.0]])


def by_name(slices) -> dict[str, float]:
    return dict(zip(FACTORS, factors(slices, index=100.0, forwards=NO_BASIS), strict=True))


def flat(origin, volatility: float, days: float):
    years = days / 365.0
    parameters = Parameters(a=volatility**2 * years, b=0.0, rho=0.0, m=0.0, s=0.1)
    return replace(origin, time_to_expiry=years, parameters=parameters, atm_volatility=volatility)


def test_factors_are_named_in_order():
    assert len(FACTORS) == 2 + 3 * len(PILLARS)
    assert FACTORS[0] == "forward"
    assert FACTORS[1:3] == ("atm_1", "atm_3")
    assert FACTORS[-2:] == ("curvature_180", "basis")


def test_flat_smiles_have_a_level_and_nothing_else(surface):
    origin = surface.slices[0]
    found = by_name([flat(origin, 0.5, 10), flat(origin, 0.5, 100)])
    assert found["forward"] == pytest.approx(np.log(100.0))
    for days in PILLARS:
        assert found[f"atm_{days}"] == pytest.approx(np.log(0.5))
        assert found[f"skew_{days}"] == pytest.approx(0.0, abs=1e-12)
        assert found[f"curvature_{days}"] == pytest.approx(0.0, abs=1e-12)


def test_total_variance_is_linear_between_expiries_and_volatility_flat_outside(surface):
    origin = surface.slices[0]
    found = by_name([flat(origin, 0.8, 7), flat(origin, 0.4, 90)])
    assert np.exp(found["atm_1"]) == pytest.approx(0.8)
    assert np.exp(found["atm_180"]) == pytest.approx(0.4)
    share = (30 - 7) / (90 - 7)
    variance = (1 - share) * 0.64 * 7 + share * 0.16 * 90
    assert np.exp(found["atm_30"]) == pytest.approx(np.sqrt(variance / 30))


def test_skew_and_curvature_are_log_ratios_one_deviation_away(surface):
    one = surface.slices[4]
    found = by_name([one])
    middle, down, up = three_volatilities(one)
    assert found["skew_30"] == pytest.approx(0.5 * np.log(up / down))
    assert found["curvature_30"] == pytest.approx(0.5 * np.log(up * down) - np.log(middle))
    assert found["skew_30"] < 0.0 < found["curvature_30"]


def test_the_last_hours_of_an_expiry_are_left_out_unless_alone(surface):
    origin = surface.slices[0]
    hours = [flat(origin, 3.0, 0.1), flat(origin, 0.5, 2)]
    assert factors(hours, index=1.0, forwards=NO_BASIS)[1] == pytest.approx(np.log(0.5))
    assert factors(hours[:1], index=1.0, forwards=NO_BASIS)[1] == pytest.approx(np.log(3.0))


def test_the_state_of_a_chain_has_a_row_per_underlying(chain, surface):
    found = state(surface, chain)
    assert found.underlyings == ("BTC", "ETH")
    assert np.isfinite(found.values).all()
    assert found.value("BTC", "forward") == pytest.approx(np.log(70_000.0))
    assert found.value("BTC", "basis") == pytest.approx(0.04, abs=0.005)
    assert found.value("ETH", "atm_30") > found.value("BTC", "atm_30")
    assert not found.values.flags.writeable


def test_an_error_of_the_index_does_not_reach_the_basis():
    years = np.array([0.1, 0.25, 0.5])
    assert annualised_basis(np.stack([years, 0.03 * years + 0.002])) == pytest.approx(0.03)


def test_pillar_weights_sum_to_one_and_are_flat_beyond():
    weights = pillar_weights(np.array([0.0, 0.2, 1.0, 5.0, 30.0, 365.0, 1000.0]) / 365.0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0)
    np.testing.assert_allclose(weights[[0, 1, 2], 0], 1.0)
    np.testing.assert_allclose(weights[[5, 6], -1], 1.0)
    assert weights[4, PILLARS.index(30)] == pytest.approx(1.0)


def test_shapes_are_bounded_and_mean_what_the_factors_measure():
    z = np.array([-1e9, -1.0, 0.0, 1.0, 1e9])
    np.testing.assert_allclose(skew_shape(z), [-np.sqrt(2), -1.0, 0.0, 1.0, np.sqrt(2)])
    np.testing.assert_allclose(curvature_shape(z), [2.0, 1.0, 0.0, 1.0, 2.0])


def test_wrong_words_and_instants_are_refused(chain, surface, frame, build):
    found = state(surface, chain)
    with pytest.raises(InputError, match='did you mean "atm_30"'):
        found.value("BTC", "atm30")
    with pytest.raises(InputError, match='no state of "SOL"'):
        found.value("SOL", "atm_30")
    with pytest.raises(CalculationError, match="atm_1 of BTC is nan"):
        State(as_of=chain.as_of, underlyings=("BTC",), values=np.where(np.arange(26) == 1, np.nan, 0.0)[None])
    with pytest.raises(InputError, match="26 factors"):
        State(as_of=chain.as_of, underlyings=("BTC",), values=np.zeros((1, 3)))
    with pytest.raises(CalculationError, match="at least one slice"):
        factors([], index=1.0, forwards=NO_BASIS)
    later = chain.as_of.replace(hour=17)
    with pytest.raises(InputError, match="fit this chain"):
        state(surface, build(frame, as_of=later, known_at=later))
