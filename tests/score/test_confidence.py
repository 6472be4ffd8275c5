import numpy as np
import pytest
from arch.bootstrap import MCS

from greekdrift.errors import InputError
from greekdrift.score import model_confidence_set


def losses(*shift: float, n: int = 300) -> np.ndarray:
    random = np.random.default_rng(4)
    common = random.normal(size=(n, 1)) ** 2
    return common + 0.6 * random.normal(size=(n, len(shift))) + np.array(shift)


def test_p_values_are_those_of_the_independent_package() -> None:
    table = losses(0.0, 0.03, 0.08, 0.12, 0.5)
    oracle = MCS(table, size=0.1, reps=4_000, block_size=8, method="R", bootstrap="cbb", seed=1)
    oracle.compute()
    expected = oracle.pvalues["Pvalue"].sort_index().to_numpy()
    found = model_confidence_set(table, block=8, seed=2, draws=4_000)
    np.testing.assert_allclose(found, expected, atol=0.04)
    assert np.argsort(found).tolist() == np.argsort(expected).tolist()


def test_the_best_is_always_in_and_a_hopeless_one_never() -> None:
    found = model_confidence_set(losses(0.0, 0.02, 2.0), block=4, seed=0, draws=500)
    assert found.max() == 1.0
    assert found[2] == 0.0


def test_equal_forecasters_stay_together() -> None:
    one = losses(0.0)
    assert model_confidence_set(np.hstack([one, one]), block=4, seed=0, draws=100).tolist() == [1.0, 1.0]


def test_the_same_seed_gives_the_same_values() -> None:
    table = losses(0.0, 0.05, 0.1)
    first, second = (model_confidence_set(table, block=6, seed=3, draws=300) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_refusals() -> None:
    with pytest.raises(InputError, match="give \\(origin, forecaster\\)"):
        model_confidence_set(np.ones(4), block=1, seed=0)
    with pytest.raises(InputError, match="no numbers"):
        model_confidence_set([[1.0, np.nan]], block=1, seed=0)
