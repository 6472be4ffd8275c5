import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast.bootstrap import balanced, draw


def test_blocks_follow_the_links_and_have_the_mean_length():
    following = np.r_[np.arange(1, 400), -1]
    paths = draw(following, n=2000, length=40, mean_block=4.0, random=np.random.default_rng(0))
    goes_on = paths[:, 1:] == following[paths[:, :-1]]
    assert goes_on.mean() == pytest.approx(0.75, abs=0.02)


def test_nothing_is_wrapped_around_the_end_or_a_hole():
    following = np.array([1, -1, 3, -1])
    paths = draw(following, n=500, length=3, mean_block=1e12, random=np.random.default_rng(0))
    assert np.all(paths[paths[:, 0] == 0][:, 1] == 1)
    after_hole = paths[paths[:, 0] == 1][:, 1]
    assert set(after_hole) == {0, 1, 2, 3}


def test_every_step_starts_equally_many_paths():
    counts = np.bincount(balanced(7, 100, np.random.default_rng(0)), minlength=7)
    assert counts.max() - counts.min() <= 1


def test_no_step_no_draw():
    with pytest.raises(DataError, match="no complete step"):
        draw(np.empty(0, dtype=np.int64), n=1, length=1, mean_block=1.0, random=np.random.default_rng(0))


def test_steps_that_are_left_out_are_on_no_path():
    following = np.r_[np.arange(1, 50), -1]
    without = (np.arange(50) >= 20) & (np.arange(50) < 30)
    paths = draw(following, n=300, length=12, mean_block=6.0, random=np.random.default_rng(0), without=without)
    assert not np.any(without[paths])
    assert set(paths.ravel()) == set(np.flatnonzero(~without))
