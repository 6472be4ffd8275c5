"""Random variance with regimes: limits, laws of a price, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from greekdrift.errors import ConfigError, InputError
from greekdrift.greeks import compute
from greekdrift.market.heston import Bates, characteristic, option_values, smile, smiles

TWO = Bates(
    reversion=5.0,
    volatility=1.1,
    correlation=-0.4,
    mean=(0.25, 0.7),
    jump_rate=(4.0, 40.0),
    jump_mean=-0.01,
    jump_deviation=0.04,
    leave=(8.0, 45.0),
)
ENTERED = replace(TWO, entry_mean=-0.06, entry_deviation=0.03)
"""Prices fall when the second regime begins."""
STRIKES = np.array([50.0, 80.0, 95.0, 100.0, 105.0, 130.0, 220.0])
CALLS = np.ones(len(STRIKES), dtype=np.bool_)


def test_two_equal_regimes_are_one() -> None:
    same = replace(TWO, mean=(0.3, 0.3), jump_rate=(9.0, 9.0))
    one = replace(same, mean=(0.3,), jump_rate=(9.0,), leave=())
    given = {"forward": 100.0, "strike": STRIKES, "years": 0.3, "variance": 0.2, "is_call": CALLS}
    np.testing.assert_allclose(option_values(same, regime=1, **given), option_values(one, **given), atol=1e-11)


@pytest.mark.parametrize("law", [TWO, ENTERED], ids=["changed", "entered"])
@pytest.mark.parametrize("years", [0.01, 0.1, 1.0])
def test_chain_of_regimes_against_a_slow_solution(years: float, law: Bates) -> None:
    single = replace(TWO, mean=(0.25,), jump_rate=(0.0,), leave=())
    for u in (0.3 - 0.5j, 4.0 - 0.5j, 25.0 - 0.5j):

        def slope(time: float, u: complex = u) -> complex:
            """D from the characteristic function of one regime: ln φ is linear in v."""
            two = [np.log(characteristic(single, np.array([u]), years=time, variance=v)[0]) for v in (1e-3, 2e-3)]
            return complex((two[1] - two[0]) / 1e-3)

        mean, rate = np.array(TWO.mean), np.array(TWO.jump_rate)
        jump = np.expm1(1j * u * TWO.jump_mean - 0.5 * (TWO.jump_deviation * u) ** 2) - 1j * u * TWO.compensator
        entry = np.exp(1j * u * law.entry_mean - 0.5 * (law.entry_deviation * u) ** 2)
        lost = 1.0 + 1j * u * law.entry_compensator
        generator = np.array([[-law.leave[0] * lost, law.leave[0] * entry], [law.leave[1], -law.leave[1]]])

        def move(time: float, a: np.ndarray) -> np.ndarray:
            at = slope(time) if time > 0.0 else 0.0
            return generator @ a + (TWO.reversion * mean * at + rate * jump) * a  # noqa: B023

        slow = solve_ivp(move, (0.0, years), np.ones(2, dtype=complex), rtol=1e-8, atol=1e-12).y[:, -1]
        for regime in range(2):
            ours = characteristic(law, np.array([u]), years=years, variance=0.3, regime=regime)[0]
            assert ours == pytest.approx(slow[regime] * np.exp(0.3 * slope(years)), abs=2e-7)


@pytest.mark.parametrize("years", [0.25 / 365.0, 7.0 / 365.0, 1.0])
@pytest.mark.parametrize("regime", [0, 1])
def test_values_hold_no_arbitrage_and_stress_costs_more(years: float, regime: int) -> None:
    strikes = 100.0 * np.exp(np.linspace(-4.0, 4.0, 41) * 0.6 * np.sqrt(years))
    given = {"forward": 100.0, "strike": strikes, "years": years, "variance": 0.3}
    calls = option_values(TWO, regime=regime, is_call=np.ones(41, dtype=np.bool_), **given)
    puts = option_values(TWO, regime=regime, is_call=np.zeros(41, dtype=np.bool_), **given)
    np.testing.assert_allclose(calls - puts, 100.0 - strikes, atol=1e-10)
    slopes = np.diff(calls) / np.diff(strikes)
    assert np.all((slopes > -1.0 - 1e-9) & (slopes < 1e-9))
    assert np.all(np.diff(slopes) > -1e-9)
    calm, stressed = (option_values(TWO, regime=r, is_call=np.ones(41, dtype=np.bool_), **given)[20] for r in (0, 1))
    assert stressed > calm


def test_without_noise_it_is_black() -> None:
    law = Bates(reversion=2.0, volatility=1e-4, correlation=0.0, mean=(0.25,))
    value = option_values(law, forward=100.0, strike=STRIKES, years=0.5, variance=0.25, is_call=CALLS)
    black = compute(("price",), forward=100.0, strike=STRIKES, volatility=0.5, time_to_expiry=0.5, is_call=CALLS)[
        "price"
    ]
    np.testing.assert_allclose(value, black, atol=1e-7)


def test_smile_leans_with_the_correlation_and_gives_back_the_values() -> None:
    k = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    for correlation in (-0.6, 0.6):
        law = replace(TWO, correlation=correlation, jump_rate=(0.0, 0.0))
        found = smile(law, k, years=0.1, variance=0.3)
        assert (found[0] > found[-1]) == (correlation < 0.0)
        given = {"forward": 1.0, "strike": np.exp(k), "is_call": k >= 0.0}
        black = compute(("price",), volatility=found, time_to_expiry=0.1, **given)["price"]
        np.testing.assert_allclose(black, option_values(law, years=0.1, variance=0.3, **given), atol=1e-12)
    assert np.isnan(smile(TWO, np.array([5.0]), years=0.01, variance=0.3)).all()


def test_no_variance_today_is_the_limit_of_little() -> None:
    given = {"forward": 100.0, "strike": STRIKES, "years": 0.1, "is_call": CALLS}
    none, little = (option_values(TWO, variance=variance, **given) for variance in (0.0, 1e-9))
    np.testing.assert_allclose(none, little, atol=1e-6)
    assert len(option_values(TWO, variance=0.1, **{**given, "strike": np.empty(0), "is_call": CALLS[:0]})) == 0


def test_refusals() -> None:
    given = {"forward": 100.0, "strike": STRIKES, "years": 0.3, "variance": 0.2, "is_call": CALLS}
    for name, value in (("forward", np.nan), ("years", 0.0), ("variance", -0.1)):
        with pytest.raises(InputError, match=name):
            option_values(TWO, **{**given, name: value})
    with pytest.raises(InputError, match="regime"):
        option_values(TWO, regime=2, **given)
    with pytest.raises(InputError, match="strike"):
        option_values(TWO, **{**given, "strike": np.array([np.nan])})
    with pytest.raises(ConfigError, match="one regime is never entered"):
        Bates(reversion=1.0, volatility=1.0, correlation=0.0, mean=(0.1,), entry_mean=-0.1)
    for change in (
        {"entry_deviation": -0.1},
        {"entry_mean": np.nan},
        {"mean": (0.2,)},
        {"correlation": -1.0},
        {"volatility": np.nan},
        {"jump_deviation": -0.1},
    ):
        with pytest.raises(ConfigError):
            replace(TWO, **change)


@pytest.mark.parametrize("regime", [0, 1])
def test_a_jump_on_entering_leaves_the_forward_alone(regime: int) -> None:
    found = characteristic(ENTERED, np.array([0.0j, -1j]), years=0.7, variance=0.3, regime=regime)
    np.testing.assert_allclose(found, 1.0, atol=1e-13)


@pytest.mark.parametrize("law", [TWO, ENTERED, replace(TWO, mean=(0.3,), jump_rate=(5.0,), leave=())])
def test_many_smiles_at_once_are_the_smiles_one_by_one(law: Bates) -> None:
    z, variance = np.array([-4.0, -1.0, 0.0, 1.0, 3.0]), np.array([0.1, 0.4])
    for years in (0.003, 0.1, 1.0):
        found = smiles(law, z, years=years, variance=variance)
        for regime in range(len(law.mean)):
            for at, v in enumerate(variance):
                k = z * found[regime, at, 2] * np.sqrt(years)
                one = smile(law, k, years=years, variance=float(v), regime=regime)
                told = np.isfinite(one)
                assert np.sum(told) >= 3
                np.testing.assert_allclose(found[regime, at][told], one[told], rtol=0.0, atol=5e-6)
