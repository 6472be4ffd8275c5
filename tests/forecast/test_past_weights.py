from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greekdrift.errors import InputError
from greekdrift.forecast.artefact import load, save
from greekdrift.forecast.econometric import named
from greekdrift.forecast.ensemble import Pool, weighed_shares
from greekdrift.forecast.past_weights import least, past_weights
from greekdrift.score import crps

LAWS = [named("hari"), named("ewma"), named("front")]


def _weights(panel, laws=LAWS, *, prior=50.0, origins=24):
    return past_weights(laws, panel, half_life_days=60.0, prior_outcomes=prior, origins=origins)


def _loss(weights, toward, between):
    return toward @ weights - 0.5 * weights @ between @ weights


@given(seed=st.integers(0, 2**32 - 1), members=st.integers(2, 4))
def test_the_least_point_is_the_least_of_the_whole_simplex(seed, members):
    """Against every point of a grid; distances of samples, so that the loss is convex."""
    random = np.random.default_rng(seed)
    centre, width = random.normal(size=members), random.uniform(0.3, 3.0, members)
    drawn = centre[:, None] + width[:, None] * random.normal(size=(members, 40))
    seen = random.normal(size=30) * 1.5
    toward = np.abs(drawn[:, :, None] - seen).mean(axis=(1, 2))
    between = np.abs(drawn[:, None, :, None] - drawn[None, :, None, :]).mean(axis=(2, 3))
    found = least(toward, between)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all(found >= 0.0)
    lowest = _loss(found, toward, between)
    steps = 10
    for part in product(range(steps + 1), repeat=members - 1):
        if sum(part) <= steps:
            other = np.array([*part, steps - sum(part)]) / steps
            assert lowest <= _loss(other, toward, between) + 1e-9


def test_the_loss_is_the_crps_of_the_pool():
    random = np.random.default_rng(4)
    drawn = np.stack([random.normal(size=400), 2.0 + 0.5 * random.normal(size=400)])
    seen, weights = 0.7, np.array([0.3, 0.7])
    toward = np.abs(drawn - seen).mean(axis=1)
    between = np.abs(drawn[:, None, :, None] - drawn[None, :, None, :]).mean(axis=(2, 3))
    share = np.repeat(weights / 400, 400)
    exact = np.sum(share * np.abs(drawn.ravel() - seen)) - 0.5 * np.sum(
        share[:, None] * share * np.abs(drawn.ravel()[:, None] - drawn.ravel())
    )
    assert _loss(weights, toward, between) == pytest.approx(exact, rel=1e-12)
    fair = crps(drawn.ravel()[:, None], np.array([seen]), weights=share)[0]
    assert exact == pytest.approx(fair, abs=0.01)


def test_laws_that_are_the_same_share_alike():
    toward, between = np.array([1.0, 1.0, 1.2]), np.ones((3, 3))
    assert least(toward, between).tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    assert least(np.ones(3), np.ones((3, 3))).tolist() == pytest.approx([1 / 3] * 3)


def test_a_law_that_is_far_too_wide_loses_its_weight(make_panel):
    class Wide:
        def __init__(self, predictor):
            self.predictor = predictor

        def predict(self, history, **asked):
            made = self.predictor.predict(history, **asked)
            return replace(made, increments=4.0 * made.increments)

    class TooWide:
        def fit(self, panel):
            return Wide(named("hari").fit(panel))

    good, bad = _weights(make_panel(rows=400), [named("hari"), TooWide()], prior=1.0)
    assert good > 0.95
    assert bad == pytest.approx(1.0 - good)


def test_few_outcomes_are_shrunk_to_equal_weights(make_panel):
    panel = make_panel(rows=300)
    free, held = (_weights(panel, prior=prior) for prior in (1e-3, 1e6))
    assert np.abs(free - 1 / 3).max() > 0.05
    assert held == pytest.approx(1 / 3, abs=1e-3)


def test_no_row_after_the_end_and_no_second_run_changes_a_weight(make_panel):
    panel = make_panel(rows=300)
    known = panel.until(panel.known_at[199])
    state = panel.state.copy()
    state[200:] *= 1.5
    changed = replace(panel, state=state)
    assert _weights(known).tobytes() == _weights(changed.until(panel.known_at[199])).tobytes()
    assert _weights(known).tobytes() == _weights(known).tobytes()
    assert _weights(known).tobytes() != _weights(changed).tobytes()


def test_the_order_of_the_laws_is_of_no_weight(make_panel):
    panel = make_panel(rows=250)
    one, other = _weights(panel), _weights(panel, LAWS[::-1])
    np.testing.assert_allclose(one, other[::-1], rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("common", [False, True])
def test_paths_are_dealt_by_weight_and_kept_in_the_artefact(common, make_panel, tmp_path):
    panel = make_panel(rows=250)
    pool = Pool(laws=("hari", "ewma"), common=common, weights="past", origins=24).fit(panel)
    again = _weights(panel, [named("hari"), named("ewma")])
    assert pool.weights.tobytes() == again.tobytes()
    assert pool.name == ("pool-common-past:hari+ewma" if common else "pool-past:hari+ewma")
    save(pool, tmp_path)
    made = [one.predict(panel, horizons=(6.0, 24.0), n=37, seed=2).increments for one in (pool, load(tmp_path))]
    assert made[0].tobytes() == made[1].tobytes()
    assert sum(weighed_shares(37, pool.weights)) == 37


@given(n=st.integers(1, 500), parts=st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_shares_are_whole_and_within_one_of_the_weights(n, parts):
    if sum(parts) == 0:
        parts = [1, *parts[1:]]
    weights = np.array(parts) / sum(parts)
    found = np.array(weighed_shares(n, weights))
    assert found.sum() == n
    assert np.all(np.abs(found - n * weights) < 1.0 + 1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"half_life_days": 0.0},
        {"prior_outcomes": -1.0},
        {"half_life_days": float("nan")},
        {"origins": 0},
        {"laws": ("hari",) * 9},
    ],
)
def test_what_cannot_be_weighed_is_refused(wrong):
    with pytest.raises(InputError):
        Pool(**{"weights": "past", **wrong})


def test_a_word_that_is_no_way_of_weighing_is_refused_in_an_experiment():
    from greekdrift.config import FORECASTERS, Component, build
    from greekdrift.errors import ConfigError

    with pytest.raises(ConfigError, match="'equal' or 'past'"):
        build(Component(use="pool", weights="best"), FORECASTERS)
