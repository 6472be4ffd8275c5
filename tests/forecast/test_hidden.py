import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast import hidden

TRUTH = hidden.HiddenState(variance=(0.6e-4, 6e-4), stay=(0.985, 0.95))


def _path(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wild = np.zeros(n, dtype=int)
    for day in range(1, n):
        wild[day] = wild[day - 1] if rng.random() < TRUTH.stay[wild[day - 1]] else 1 - wild[day - 1]
    return wild, np.sqrt(np.array(TRUTH.variance)[wild]) * rng.standard_normal(n)


def test_the_estimate_finds_the_truth():
    _, returns = _path(1, 4000)
    found = hidden.fit(returns, iterations=40)
    assert found.variance == pytest.approx(TRUTH.variance, rel=0.15)
    assert found.stay == pytest.approx(TRUTH.stay, abs=0.02)


def test_each_step_raises_the_likelihood():
    """Up to the first day, whose prior is the stationary law and not a free parameter."""
    _, returns = _path(2, 1500)
    values = [_log_likelihood(hidden.fit(returns, iterations=steps), returns) for steps in (1, 3, 10, 25)]
    assert values[2] > values[1] > values[0]
    assert values[3] > values[2] - 0.01


def _log_likelihood(state, returns):
    wild = np.concatenate([[state.stationary], state.filtered(returns)[:-1]])
    prior = wild * state.stay[1] + (1.0 - wild) * (1.0 - state.stay[0])
    prior[0] = state.stationary * state.stay[1] + (1.0 - state.stationary) * (1.0 - state.stay[0])
    density = state.likelihoods(returns)
    return float(np.log(prior * density[:, 1] + (1.0 - prior) * density[:, 0]).sum())


def test_the_filter_recognises_the_state_and_is_calibrated():
    wild, returns = _path(3, 6000)
    probability = TRUTH.filtered(returns)
    assert probability[wild == 1].mean() > 0.7
    assert probability[wild == 0].mean() < 0.1
    assert probability.mean() == pytest.approx(wild.mean(), abs=0.02)


def test_the_filter_never_looks_ahead_and_survives_a_crash():
    _, returns = _path(4, 300)
    crashed = np.concatenate([returns[:200], [-0.9], returns[201:]])
    np.testing.assert_array_equal(TRUTH.filtered(returns)[:200], TRUTH.filtered(crashed)[:200])
    assert np.all(np.isfinite(TRUTH.filtered(crashed)))


def test_too_few_returns_are_refused():
    with pytest.raises(DataError, match="at least 100"):
        hidden.fit(np.zeros(50))


def test_a_missing_return_tells_nothing_and_is_no_zero():
    _, returns = _path(5, 400)
    holed = returns.copy()
    holed[200] = np.nan
    found = TRUTH.filtered(holed)
    np.testing.assert_array_equal(found[:200], TRUTH.filtered(returns)[:200])
    stays = found[199] * TRUTH.stay[1] + (1.0 - found[199]) * (1.0 - TRUTH.stay[0])
    assert found[200] == pytest.approx(stays)
    zeroed = np.where(np.isnan(holed), 0.0, holed)
    assert found[200] != TRUTH.filtered(zeroed)[200]
    assert np.all(np.isfinite(hidden.fit(holed).variance))
