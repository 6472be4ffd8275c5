import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from greekdrift.forecast.rank_map import KNOTS, LEVELS, RankMap, identity, images, mapped, shares_below, shrunk

SEEDS = st.integers(0, 2**32 - 1)


def _line(cells=1):
    return np.repeat(np.array(LEVELS)[:, None], cells, axis=1)


def _map(image):
    return RankMap(horizons=np.array([24.0]), images=np.asarray(image)[None, None, None])


def test_the_identity_moves_nothing():
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((200, 1, 2, 3))
    ranks = RankMap(horizons=np.array([24.0]), images=identity(2, 3))
    np.testing.assert_allclose(ranks.applied(drawn, np.array([6.0])), drawn, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, outcomes=st.integers(1, 400), prior=st.floats(1.0, 200.0), n=st.integers(2, 60))
def test_a_learnt_map_keeps_every_rank(seed, outcomes, prior, n):
    rng = np.random.default_rng(seed)
    levels = rng.beta(*rng.uniform(0.3, 3.0, 2), size=(outcomes, 1))
    learnt = images(shrunk(shares_below(levels), _line(), outcomes=float(outcomes), prior=prior))[0]
    assert np.all(np.diff(learnt) >= 0.0)
    drawn = rng.standard_normal((n, 1, 1, 1)) ** 3
    moved = _map(learnt).applied(drawn, np.array([24.0]))
    assert np.all(np.isfinite(moved))
    order = np.argsort(drawn[:, 0, 0, 0])
    assert np.all(np.diff(moved[order, 0, 0, 0]) >= -1e-12)


@pytest.mark.parametrize(("spread", "shift"), [(1.4, 0.0), (0.6, 0.0), (1.0, 0.4), (1.2, -0.3)])
def test_a_wrong_normal_law_becomes_the_right_one(spread, shift):
    """Outcomes N(shift, spread²) against forecasts N(0, 1): levels Φ(y); much evidence moves all quantiles there."""
    rng = np.random.default_rng(1)
    outcome = shift + spread * rng.standard_normal((20_000, 1))
    learnt = images(shrunk(shares_below(ndtr(outcome)), _line(), outcomes=20_000.0, prior=50.0))[0]
    drawn = ndtri((np.arange(4000) + 0.5) / 4000)[:, None, None, None]
    moved = _map(learnt).applied(drawn, np.array([24.0]))[:, 0, 0, 0]
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    np.testing.assert_allclose(np.quantile(moved, levels), shift + spread * ndtri(levels), atol=0.08 * max(spread, 1.0))


def test_little_evidence_changes_little():
    rng = np.random.default_rng(2)
    levels = ndtr(3.0 * rng.standard_normal((10, 1)))
    little = images(shrunk(shares_below(levels), _line(), outcomes=1.0, prior=50.0))[0]
    assert np.abs(little - KNOTS).max() < 0.12


def test_horizons_between_are_interpolated_and_beyond_are_the_nearest():
    ranks = RankMap(horizons=np.array([6.0, 24.0]), images=np.stack([KNOTS, KNOTS + 1.0])[:, None, None])
    found = ranks.at(np.array([3.0, 6.0, 12.0, 24.0, 72.0]))[:, 0, 0, 0] - KNOTS[0]
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-12)


def test_beyond_the_knots_the_map_is_parallel_to_the_identity():
    moved = mapped(np.array([-6.0, -5.0, 5.0, 6.0]), 1.5 * KNOTS)
    np.testing.assert_allclose(np.diff(moved)[[0, 2]], 1.0)


def test_joint_structure_stays():
    """The copula of two factors is the same before and after, however their margins are moved."""
    rng = np.random.default_rng(3)
    common = rng.standard_normal((500, 1))
    drawn = (common + 0.5 * rng.standard_normal((500, 2)))[:, None, None, :]
    image = np.stack([2.0 * KNOTS, KNOTS + 0.4])[None, None]
    moved = RankMap(horizons=np.array([24.0]), images=image).applied(drawn, np.array([24.0]))
    ranks = [np.argsort(np.argsort(one[:, 0, 0], axis=0), axis=0) for one in (drawn, moved)]
    np.testing.assert_array_equal(*ranks)
