import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap

from greekdrift.errors import InputError
from greekdrift.score import compare


def _moving_average(seed: int, n: int, window: int) -> np.ndarray:
    shocks = np.random.default_rng(seed).normal(size=n + window - 1)
    return np.convolve(shocks, np.ones(window), mode="valid")


def test_long_run_variance_finds_the_variance_of_the_mean() -> None:
    series = _moving_average(1, 200_000, 4)
    assert compare.long_run_variance(series, lag=60) == pytest.approx(16.0, rel=0.1)
    assert compare.long_run_variance(series, lag=0) == pytest.approx(4.0, rel=0.05)


def test_diebold_mariano_by_hand() -> None:
    difference = np.array([0.5, -0.1, 0.3, 0.4, 0.2, -0.2, 0.6, 0.1])
    centred = difference - difference.mean()
    gamma = [centred[k:] @ centred[: 8 - k] / 8 for k in range(3)]
    variance = gamma[0] + 2 * (2 / 3 * gamma[1] + 1 / 3 * gamma[2])
    expected = difference.mean() / np.sqrt(variance / 8) * np.sqrt((8 + 1 - 2) / 8)
    found = compare.diebold_mariano(difference, np.zeros(8), horizon=1)
    assert found.statistic == pytest.approx(expected)
    assert (found.n, found.lag) == (8, 2)


def test_diebold_mariano_rejects_at_its_level_on_overlapping_losses() -> None:
    rejected = [
        compare.diebold_mariano(_moving_average(seed, 400, 4), np.zeros(400), horizon=4).p_value < 0.05
        for seed in range(300)
    ]
    assert 0.03 <= np.mean(rejected) <= 0.13


def test_diebold_mariano_is_antisymmetric_and_names_the_better() -> None:
    random = np.random.default_rng(0)
    worse, better = random.uniform(1, 2, 100), random.uniform(0, 1, 100)
    forth = compare.diebold_mariano(better, worse, horizon=2)
    back = compare.diebold_mariano(worse, better, horizon=2)
    assert forth.statistic == -back.statistic
    assert forth.statistic < -5
    assert forth.p_value < 1e-5


def test_a_forecast_against_itself() -> None:
    losses = np.random.default_rng(5).gamma(2.0, size=77)
    test = compare.diebold_mariano(losses, losses.copy(), horizon=4)
    assert (test.mean, test.statistic, test.p_value) == (0.0, 0.0, 1.0)
    interval = compare.block_bootstrap(losses, losses.copy(), block=8, seed=1)
    assert (interval.value, interval.lower, interval.upper) == (1.0, 1.0, 1.0)


def test_bootstrap_interval_agrees_with_the_independent_package() -> None:
    random = np.random.default_rng(6)
    common = _moving_average(7, 300, 5) ** 2
    first, second = common + random.uniform(0, 1, 300), common + random.uniform(0, 1.2, 300)
    ours = compare.block_bootstrap(first, second, block=10, seed=2, draws=5_000)
    package = CircularBlockBootstrap(10, first, second, seed=3)
    theirs = package.conf_int(lambda a, b: a.mean() / b.mean(), reps=5_000, method="percentile").ravel()
    width = theirs[1] - theirs[0]
    assert ours.value == pytest.approx(first.mean() / second.mean(), rel=1e-12)
    np.testing.assert_allclose([ours.lower, ours.upper], theirs, atol=0.1 * width)


def test_bootstrap_of_one_series_covers_its_mean() -> None:
    covered = 0
    for seed in range(200):
        interval = compare.block_bootstrap(_moving_average(seed, 300, 3) + 1.0, block=12, seed=seed, draws=400)
        covered += interval.lower <= 1.0 <= interval.upper
    assert 0.86 <= covered / 200 <= 0.99


def test_bootstrap_is_reproducible() -> None:
    losses = np.arange(1.0, 30.0)
    once, again = (compare.block_bootstrap(losses, losses[::-1], block=4, seed=9) for _ in range(2))
    assert once == again


def test_refusals() -> None:
    with pytest.raises(InputError, match="no pairs"):
        compare.diebold_mariano([1.0], [1.0, 2.0], horizon=1)
    with pytest.raises(InputError, match="below the number of origins"):
        compare.diebold_mariano([1.0, 2.0], [2.0, 1.0], horizon=4)
    with pytest.raises(InputError, match="must reach the horizon"):
        compare.diebold_mariano(np.arange(50.0), np.ones(50), horizon=4, lag=1)
    with pytest.raises(InputError, match="no variance"):
        compare.diebold_mariano(np.ones(50), np.zeros(50), horizon=1)
    with pytest.raises(InputError, match="take 1"):
        compare.block_bootstrap([1.0, 2.0], block=3, seed=0)
    with pytest.raises(InputError, match="does not exist"):
        compare.block_bootstrap([1.0, 2.0], [0.0, 0.0], block=1, seed=0)
