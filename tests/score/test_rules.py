import numpy as np
import pytest
import scoringrules as oracle

from greekdrift.errors import InputError
from greekdrift.score import rules


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def test_crps_equals_the_independent_package(random: np.random.Generator) -> None:
    samples, observed = random.standard_t(3, size=(57, 4, 3)), random.normal(size=(4, 3))
    expected = oracle.crps_ensemble(observed, samples, m_axis=0, estimator="fair")
    np.testing.assert_allclose(rules.crps(samples, observed), expected, rtol=1e-12, atol=1e-14)


def test_crps_with_weights_equals_the_double_loop(random: np.random.Generator) -> None:
    samples, observed, weights = random.normal(size=23), 0.3, random.dirichlet(np.ones(23))
    pair = np.outer(weights, weights)
    spread = np.sum(pair * np.abs(samples[:, None] - samples)) / (1.0 - np.sum(weights**2))
    expected = weights @ np.abs(samples - observed) - 0.5 * spread
    assert rules.crps(samples, observed, weights=weights) == pytest.approx(expected, rel=1e-12)


def test_equal_weights_given_or_not_are_the_same(random: np.random.Generator) -> None:
    samples, observed, weights = random.normal(size=(40, 3)), random.normal(size=3), np.full(40, 1 / 40)
    np.testing.assert_allclose(
        rules.crps(samples, observed, weights=weights), rules.crps(samples, observed), rtol=1e-12
    )
    assert rules.energy(samples, observed, weights=weights) == pytest.approx(rules.energy(samples, observed))


def test_a_sample_without_weight_does_not_count(random: np.random.Generator) -> None:
    samples, observed = random.normal(size=(9, 2)), random.normal(size=2)
    weights = np.append(np.full(8, 1 / 8), 0.0)
    np.testing.assert_allclose(rules.crps(samples, observed, weights=weights), rules.crps(samples[:8], observed))
    assert rules.energy(samples, observed, weights=weights) == pytest.approx(rules.energy(samples[:8], observed))


def test_energy_equals_the_independent_package(random: np.random.Generator) -> None:
    samples, observed = random.normal(size=(31, 5)), random.normal(size=5)
    expected = oracle.es_ensemble(observed, samples, estimator="fair")
    assert rules.energy(samples, observed) == pytest.approx(float(expected), rel=1e-12)


def test_energy_in_one_dimension_is_crps(random: np.random.Generator) -> None:
    samples, observed = random.normal(size=(31, 1)), random.normal(size=1)
    assert rules.energy(samples, observed) == pytest.approx(rules.crps(samples, observed)[0], rel=1e-12)


def test_a_point_forecast_scores_its_distance() -> None:
    assert rules.crps([[2.0]], [0.5])[0] == 1.5
    assert rules.crps(np.full(10, 2.0), 0.5) == 1.5
    assert rules.crps([2.0, 7.0], 0.5, weights=[1.0, 0.0]) == 1.5
    assert rules.energy([[3.0, 4.0]], [0.0, 0.0]) == 5.0
    assert rules.energy([[3.0, 4.0], [9.0, 9.0]], [0.0, 0.0], weights=[1.0, 0.0]) == 5.0


def test_quantiles_equal_numpy_definition_6_and_keep_the_axes(random: np.random.Generator) -> None:
    samples, levels = random.normal(size=(20, 2, 3)), [0.01, 0.1, 0.5, 0.83, 0.99]
    expected = np.quantile(samples, levels, axis=0, method="weibull")
    np.testing.assert_allclose(rules.quantile(samples, levels), expected, rtol=1e-10)
    weighted = rules.quantile(samples, levels, weights=np.full(20, 1 / 20))
    np.testing.assert_allclose(weighted, expected, rtol=1e-10)


def test_pinball_interval_and_brier_equal_the_independent_package(random: np.random.Generator) -> None:
    low, observed, chance = random.normal(size=50), random.normal(size=50), random.uniform(size=50)
    high, event = low + random.uniform(size=50), (random.uniform(size=50) < 0.4).astype(float)
    np.testing.assert_allclose(rules.pinball(low, observed, level=0.2), oracle.quantile_score(observed, low, 0.2))
    np.testing.assert_allclose(
        rules.interval_score(low, high, observed, level=0.8), oracle.interval_score(observed, low, high, 0.2)
    )
    np.testing.assert_allclose(rules.brier(chance, event), oracle.brier_score(event, chance))


def test_log_score_is_bounded_by_its_floor() -> None:
    assert rules.log_score(0.0, 1.0, floor=0.01) == pytest.approx(-np.log(0.01))
    assert rules.log_score(1.0, 0.0, floor=0.01) == pytest.approx(-np.log(0.01))
    assert rules.log_score(0.25, 1.0) == pytest.approx(-np.log(0.25))


def test_what_is_no_number_never_passes() -> None:
    with pytest.raises(InputError, match="1 of 2 are no numbers"):
        rules.crps([np.nan, 1.0], 0.0)
    with pytest.raises(InputError, match="observed"):
        rules.crps([0.0, 1.0], np.nan)
    with pytest.raises(InputError, match="do not fit"):
        rules.crps(np.zeros((5, 2)), np.zeros(3))
    with pytest.raises(InputError, match="do not fit"):
        rules.crps(1.0, 0.0)
    with pytest.raises(InputError, match="expected \\(scenario, dimension\\)"):
        rules.energy(np.zeros((5, 2, 2)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="there are none"):
        rules.crps(np.zeros((0, 2)), np.zeros(2))
    with pytest.raises(InputError, match="sum 1"):
        rules.crps([0.0, 1.0], 0.0, weights=[0.5, 0.6])
    with pytest.raises(InputError, match=r"within \[0, 1\]"):
        rules.brier(1.2, 1.0)
    with pytest.raises(InputError, match="0 or 1"):
        rules.brier(0.5, 0.3)


def test_variogram_equals_the_independent_package(random: np.random.Generator) -> None:
    samples, observed = random.normal(size=(31, 5)), random.normal(size=5)
    both_orders = oracle.vs_ensemble(observed, samples, p=0.5, estimator="fair")
    assert rules.variogram(samples, observed) == pytest.approx(float(both_orders) / 20.0, rel=1e-12)


def test_variogram_with_weights_is_repetition_up_to_the_fair_factor(random: np.random.Generator) -> None:
    samples, observed = random.normal(size=(6, 3)), random.normal(size=3)
    counts = np.array([1, 3, 2, 1, 1, 2])
    weights = counts / counts.sum()
    repeated = np.repeat(samples, counts, axis=0)
    pairs = np.triu_indices(3, k=1)
    apart = np.abs(repeated[:, pairs[0]] - repeated[:, pairs[1]])
    size = np.sum(weights**2)
    expected = (np.abs(observed[pairs[0]] - observed[pairs[1]]) - apart.mean(axis=0)) ** 2
    expected -= apart.var(axis=0) * size / (1.0 - size)
    found = rules.variogram(samples, observed, order=1.0, weights=weights)
    assert found == pytest.approx(expected.mean(), rel=1e-12)


def test_variogram_refuses_a_single_dimension() -> None:
    with pytest.raises(InputError, match="two dimensions"):
        rules.variogram([[1.0], [2.0]], [1.0])
