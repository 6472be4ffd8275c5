"""Compression of trades: nets stay, gross never rises, and the optimum is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greekdrift.errors import BookError
from greekdrift.margin.compression import compressed, nets, network_of


def network(seed: int, *, instruments: int = 2, participants: int = 5, is_whole: bool = False) -> np.ndarray:
    random = np.random.default_rng(seed)
    gross = random.exponential(10.0, size=(instruments, participants, participants))
    gross *= random.random(gross.shape) < 0.6
    gross[:, np.arange(participants), np.arange(participants)] = 0.0
    return np.round(gross) if is_whole else gross


@settings(max_examples=60)
@given(seed=st.integers(0, 100_000), is_conservative=st.booleans(), count=st.integers(2, 7))
def test_nets_stay_and_gross_never_rises(seed: int, is_conservative: bool, count: int) -> None:
    gross = network(seed, participants=count)
    found = compressed(gross, is_conservative=is_conservative)
    np.testing.assert_allclose(nets(found), nets(gross), atol=1e-7)
    assert np.all(found >= 0.0)
    assert np.all(found.sum(axis=(1, 2)) <= gross.sum(axis=(1, 2)) + 1e-7)
    if is_conservative:
        assert np.all(found <= gross + 1e-9)
    else:
        # without bounds nothing is left but what nets must carry
        np.testing.assert_allclose(found.sum(axis=(1, 2)), np.abs(nets(gross)).sum(axis=1) / 2.0, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_no_ring_of_trades_is_left(seed: int) -> None:
    """A conservative optimum has no directed cycle, or it could be cancelled further."""
    found = compressed(network(seed, is_whole=True))
    for one in found:
        reach = one > 1e-9
        for _ in range(len(one)):
            reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
        assert not np.any(np.diagonal(reach))


@pytest.mark.parametrize("is_conservative", [True, False])
def test_whole_contracts_stay_whole(is_conservative: bool) -> None:
    for seed in range(10):
        found = compressed(network(seed, is_whole=True), is_conservative=is_conservative)
        np.testing.assert_allclose(found, np.round(found), atol=1e-9)


def test_fixed_participants_keep_their_trades() -> None:
    gross = network(4)
    fixed = np.array([True, False, False, False, False])
    for is_conservative in (True, False):
        found = compressed(gross, is_conservative=is_conservative, fixed=fixed)
        np.testing.assert_array_equal(found[:, 0, :], gross[:, 0, :])
        np.testing.assert_array_equal(found[:, :, 0], gross[:, :, 0])
        np.testing.assert_allclose(nets(found), nets(gross), atol=1e-7)


def test_trades_become_a_network_and_bad_ones_are_refused() -> None:
    trades = [("a", "b", "X", 2.0), ("a", "b", "X", 3.0), ("b", "a", "Y", 1.0)]
    found = network_of(trades, ["a", "b"], ["X", "Y"])
    assert found.tolist() == [[[0.0, 5.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]]
    with pytest.raises(BookError, match="trade 1: a trades X with itself"):
        network_of([("a", "a", "X", 1.0)], ["a"], ["X"])
    with pytest.raises(BookError, match="must be a positive number"):
        network_of([("a", "b", "X", float("nan"))], ["a", "b"], ["X"])
    with pytest.raises(BookError, match="at least 0"):
        compressed(-np.ones((1, 2, 2)))
    with pytest.raises(BookError, match="against itself"):
        compressed(np.ones((1, 2, 2)))
    assert compressed(np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert compressed(np.zeros((1, 3, 3))).sum() == 0.0
