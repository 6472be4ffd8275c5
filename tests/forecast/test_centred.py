from dataclasses import replace

import numpy as np
import pytest
from tests.forecast.test_mean_regression import _market

from greekdrift.config import FORECASTERS, Component, build
from greekdrift.errors import ConfigError, InputError
from greekdrift.forecast.artefact import load, save
from greekdrift.forecast.centred import Centred
from greekdrift.score import crps

HOURS = (24.0, 72.0, 120.0)


@pytest.fixture(scope="module")
def reverting():
    """A market that reverts, a law centred on it and its base's scenarios from the same origin."""
    panel = _market(reverts=0.1, rows=1200, seed=5)
    made = Centred().fit(panel)
    return panel, made, made.base.predict(panel, horizons=HOURS, n=300, seed=2)


def test_scenarios_are_the_base_s_around_the_mean_and_narrower(reverting):
    panel, predictor, base = reverting
    made = predictor.predict(panel, horizons=HOURS, n=300, seed=2)
    hours = np.array(HOURS)
    mean, width = predictor.means.mean(panel, hours), predictor.means.width(hours)
    assert np.all(width[:, 1:4] < 1.0)
    np.testing.assert_allclose(made.increments.mean(axis=0), base.increments.mean(axis=0) + mean, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(made.increments.std(axis=0), base.increments.std(axis=0) * width[:, None], rtol=1e-9)
    assert made.provenance == "centred:fhs:hari seed 2"


def test_the_forward_keeps_every_byte(reverting):
    panel, predictor, base = reverting
    made = predictor.predict(panel, horizons=HOURS, n=300, seed=2)
    assert made.increments[..., 0].tobytes() == base.increments[..., 0].tobytes()


def test_where_no_mean_is_borne_out_it_is_the_base(make_panel):
    panel = make_panel(rows=60)
    predictor = Centred().fit(panel)
    assert not predictor.means.shares.any()
    made, base = (one.predict(panel, horizons=(6.0, 24.0), n=50, seed=1) for one in (predictor, predictor.base))
    assert made.increments.tobytes() == base.increments.tobytes()


def test_on_unseen_time_a_reverting_market_is_forecast_better():
    panel = _market(reverts=0.1, rows=1700, seed=6)
    predictor = Centred().fit(panel.until(panel.known_at[1100]))
    moved = panel.increments(120.0)
    losses = []
    for at in np.flatnonzero(moved.origin > 1100)[::6]:
        history = panel.until(panel.known_at[moved.origin[at]])
        asked = {"horizons": (120.0,), "n": 200, "seed": int(at)}
        drawn = (one.predict(history, **asked).increments[:, 0, 0, 1:4] for one in (predictor, predictor.base))
        losses.append([crps(one, moved.values[at, 0, 1:4]).mean() for one in drawn])
    ours, theirs = np.mean(losses, axis=0)
    assert ours < 0.97 * theirs


def test_it_is_written_and_read_back_with_its_base(reverting, tmp_path):
    panel, predictor, _ = reverting
    save(predictor, tmp_path)
    one, two = (each.predict(panel, horizons=HOURS, n=40, seed=9) for each in (predictor, load(tmp_path)))
    assert one.increments.tobytes() == two.increments.tobytes()


def test_weights_of_the_base_are_kept(reverting):
    panel, predictor, _ = reverting

    class Weighing:
        name = "weighing"

        def predict(self, history, *, horizons, n, seed):
            made = predictor.base.predict(history, horizons=horizons, n=n, seed=seed)
            weights = np.arange(1.0, n + 1.0)
            return replace(made, weights=weights / weights.sum())

    made = replace(predictor, base=Weighing()).predict(panel, horizons=HOURS, n=30, seed=0)
    plain = Weighing().predict(panel, horizons=HOURS, n=30, seed=0)
    np.testing.assert_array_equal(made.weights, plain.weights)
    shift = np.tensordot(made.weights, made.increments - plain.increments, axes=1)
    np.testing.assert_allclose(shift, predictor.means.mean(panel, np.array(HOURS)), atol=1e-12)


def test_any_forecaster_of_the_table_can_be_the_base(make_panel):
    law = build(Component(use="centred", base={"use": "student"}), FORECASTERS, seed=0)
    panel = make_panel(rows=150)
    assert law.name == "centred:student:hari"
    assert law.fit(panel).predict(panel, horizons=(6.0,), n=20, seed=0).increments.shape == (20, 1, 2, 6)


def test_wrong_words_are_answered():
    with pytest.raises(ConfigError, match="fhs"):
        Centred(base=Component(use="fsh"))
    with pytest.raises(InputError, match="refits 0"):
        Centred(refits=0)
    with pytest.raises(InputError, match="horizons"):
        Centred(horizons=(24.0, 6.0))
