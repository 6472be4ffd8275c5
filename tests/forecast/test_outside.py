import numpy as np
import pytest

from greekdrift.config import FORECASTERS, Component, build
from greekdrift.errors import ConfigError, DataError
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.outside import Outside
from greekdrift.score import crps


def still(history, horizons, n, random):
    return np.zeros((n, len(horizons), *history.state.shape[1:]))


def _made(sample, panel):
    return (
        Outside(label="mine", learn=lambda known: sample).fit(panel).predict(panel, horizons=(6.0, 24.0), n=5, seed=0)
    )


def test_ten_lines_enter_the_same_evaluation(make_panel):
    """A callable that resamples past steps is scored where history is, and about as good."""
    panel = make_panel(rows=300, volatility_of_volatility=0.0)
    mine = build(Component(use="outside", call="tests.forecast.registry:resampled"), FORECASTERS)
    day, losses = panel.increments(24.0), {}
    for forecaster in (mine, Historical()):
        found = []
        for at in range(200, len(day), 10):
            history = panel.until(panel.known_at[day.origin[at]])
            made = forecaster.fit(history).predict(history, horizons=(24.0,), n=200, seed=at)
            found.append(crps(made.increments[:, 0, :, 0], day.values[at, :, 0]).mean())
        losses[forecaster.name] = np.mean(found)
    assert losses["outside:tests.forecast.registry:resampled"] == pytest.approx(losses["historical"], rel=0.1)


def test_learn_sees_the_panel_and_the_sampler_the_history(make_panel):
    panel, seen = make_panel(rows=60), []

    def learn(known):
        seen.append(len(known))

        def sample(history, horizons, n, random):
            seen.append((len(history), horizons.tolist(), n, random.random()))
            return still(history, horizons, n, random)

        return sample

    predictor = Outside(label="mine", learn=learn).fit(panel.until(panel.known_at[39]))
    predictor.predict(panel, horizons=(6.0,), n=3, seed=4)
    assert seen == [40, (60, [6.0], 3, np.random.default_rng(4).random())]


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (lambda history, horizons, n, random: np.zeros((n, 1)), "shape"),
        (lambda history, horizons, n, random: np.full((n, 2, *history.state.shape[1:]), np.nan), "no numbers"),
        (lambda history, horizons, n, random: np.full((n, 2, *history.state.shape[1:]), -np.inf), "no numbers"),
        (7, "should return a function"),
    ],
)
def test_what_is_no_joint_sample_is_refused(sample, problem, make_panel):
    with pytest.raises(DataError, match=problem):
        _made(sample, make_panel(rows=30))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "give either learn"),
        ({"call": "a.b:c", "learn": still}, "give either learn"),
        ({"call": "no colon"}, "of the form"),
        ({"call": "package.module"}, "of the form"),
        ({"call": "os:"}, "of the form"),
        ({"call": "../x:f"}, "of the form"),
        ({"learn": 3}, "expected a function"),
    ],
)
def test_wrong_settings_are_refused(options, problem):
    with pytest.raises(ConfigError, match=problem):
        Outside(**options)


@pytest.mark.parametrize("call", ["not_there_at_all:learn", "tests.forecast.registry:not_there"])
def test_what_cannot_be_imported_is_named(call, make_panel):
    with pytest.raises(ConfigError, match="cannot be imported"):
        Outside(call=call).fit(make_panel(rows=30))
