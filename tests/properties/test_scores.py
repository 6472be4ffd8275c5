"""Laws of scores: best at the truth, invariant where they must be, blind to the number of samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, norm

from greekdrift.score import brier, crps, energy, interval_score, log_score, pinball, quantile

FINITE = st.floats(-1e3, 1e3)
SAMPLES = arrays(np.float64, st.integers(2, 30), elements=FINITE)


@given(SAMPLES, FINITE, st.floats(-10, 10), st.floats(0.1, 10))
def test_crps_moves_with_location_and_scale(samples: np.ndarray, observed: float, shift: float, scale: float) -> None:
    moved = crps(scale * samples + shift, scale * observed + shift)
    assert moved == pytest.approx(scale * crps(samples, observed), rel=1e-9, abs=1e-8)


@given(SAMPLES, FINITE, st.integers(0, 2**31))
def test_scores_do_not_depend_on_the_order_of_samples(samples: np.ndarray, observed: float, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(samples)
    assert crps(shuffled, observed) == pytest.approx(crps(samples, observed), rel=1e-9, abs=1e-9)
    assert energy(shuffled[:, None], [observed]) == pytest.approx(energy(samples[:, None], [observed]), abs=1e-9)


@given(SAMPLES, FINITE, st.data())
def test_integer_weights_are_repetition_up_to_the_fair_factor(
    samples: np.ndarray, observed: float, data: st.DataObject
) -> None:
    counts = data.draw(arrays(np.int64, len(samples), elements=st.integers(1, 4)))
    weights = counts / counts.sum()
    repeated = np.repeat(samples, counts)
    distance = np.mean(np.abs(repeated - observed))
    spread = np.mean(np.abs(repeated[:, None] - repeated))
    expected = distance - 0.5 * spread / (1.0 - np.sum(weights**2))
    assert crps(samples, observed, weights=weights) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(arrays(np.float64, (9, 3), elements=st.floats(-10, 10)), st.integers(0, 2**31))
def test_energy_does_not_depend_on_the_axes(samples: np.ndarray, seed: int) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    assert energy(samples @ rotation, np.zeros(3)) == pytest.approx(energy(samples, np.zeros(3)), abs=1e-9)


@given(SAMPLES, st.floats(0.01, 0.99), st.floats(0.0, 0.5))
def test_quantiles_grow_with_the_level_and_stay_within_the_sample(
    samples: np.ndarray, level: float, more: float
) -> None:
    low, high = quantile(samples, [level, min(level + more, 1.0)])
    assert samples.min() <= low <= high <= samples.max()


def test_the_mean_of_a_fair_score_does_not_depend_on_the_number_of_samples() -> None:
    random = np.random.default_rng(1)
    observed = random.normal(size=60_000)
    few, many = (crps(random.normal(size=(n, 60_000)), observed).mean() for n in (2, 40))
    exact = 1.0 / np.sqrt(np.pi)
    assert few == pytest.approx(exact, abs=0.01)
    assert many == pytest.approx(exact, abs=0.01)
    unfair = (np.abs(random.normal(size=(2, 60_000)) - observed).mean(axis=0)).mean() - 0.25 * 2 / np.sqrt(np.pi)
    assert unfair > exact + 0.2


@settings(max_examples=20, deadline=None)
@given(st.floats(-1.0, 1.0), st.floats(0.4, 2.5), st.integers(0, 2**31))
def test_crps_and_energy_are_best_at_the_truth(shift: float, scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    observed = random.normal(size=4_000)
    grid = norm.ppf((np.arange(1, 100) - 0.5) / 99)[:, None]
    truth = crps(np.broadcast_to(grid, (99, 4_000)), observed)
    other = crps(np.broadcast_to(scale * grid + shift, (99, 4_000)), observed)
    gain = other - truth
    assert gain.mean() >= -3.5 * gain.std() / np.sqrt(4_000) - 1e-9
    if abs(shift) > 0.3 or not 0.7 < scale < 1.4:
        assert gain.mean() > 0.0


def test_the_energy_score_sees_dependence_that_margins_do_not() -> None:
    random = np.random.default_rng(2)
    root = np.linalg.cholesky([[1.0, 0.95], [0.95, 1.0]])
    observed = random.normal(size=(800, 2)) @ root.T
    joint, apart = random.normal(size=(400, 2)) @ root.T, random.normal(size=(400, 2))
    gain = np.array([energy(apart, row) - energy(joint, row) for row in observed])
    assert gain.mean() > 2.0 * gain.std() / np.sqrt(len(gain))


@given(st.floats(0.02, 0.98), st.floats(0.0, 1.0))
def test_brier_and_log_score_are_best_at_the_true_probability(truth: float, stated: float) -> None:
    for score in (brier, log_score):
        at_truth = truth * score(truth, 1.0) + (1 - truth) * score(truth, 0.0)
        at_stated = truth * score(stated, 1.0) + (1 - truth) * score(stated, 0.0)
        assert at_truth <= at_stated + 1e-12


@given(st.integers(2, 40), st.floats(0.05, 0.95))
def test_the_fair_brier_score_of_a_finite_sample_is_that_of_its_law(members: int, chance: float) -> None:
    share = np.arange(members + 1) / members
    mass = binom.pmf(np.arange(members + 1), members, chance)
    happens, fails = (brier(share, np.full(members + 1, event), members=members) for event in (1.0, 0.0))
    expected = mass @ (chance * happens + (1 - chance) * fails)
    assert expected == pytest.approx(chance * (1 - chance), rel=1e-9)


@given(st.floats(0.05, 0.95), st.floats(-2.5, 2.5))
def test_pinball_is_best_at_the_quantile(level: float, stated: float) -> None:
    law = norm.ppf((np.arange(2_001) + 0.5) / 2_001)
    truth = float(norm.ppf(level))
    assert pinball(np.full(2_001, truth), law, level=level).mean() <= (
        pinball(np.full(2_001, stated), law, level=level).mean() + 2e-3
    )


@given(st.floats(0.2, 0.9), st.floats(-3.0, 0.0), st.floats(0.0, 3.0))
def test_interval_score_is_best_at_the_central_interval(level: float, lower: float, upper: float) -> None:
    law = norm.ppf((np.arange(2_001) + 0.5) / 2_001)
    half = float(norm.ppf(0.5 + 0.5 * level))
    best = interval_score(np.full(2_001, -half), np.full(2_001, half), law, level=level).mean()
    assert best <= interval_score(np.full(2_001, lower), np.full(2_001, upper), law, level=level).mean() + 2e-2
