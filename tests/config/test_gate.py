"""The gates that the shipped experiments declare: figures that their scorecards hold, limits that can fail."""

from pathlib import Path

import pytest

from greekdrift.cli.experiments import forecaster_of
from greekdrift.config import Experiment, evaluation_of, load_experiment
from greekdrift.config.gate import COVERAGE

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "experiment"
GATED = ("demo", "deribit", "leaderboard", "simulated", "spx")


@pytest.fixture(scope="module", params=GATED)
def experiment(request: pytest.FixtureRequest) -> Experiment:
    return load_experiment(FOLDER / f"{request.param}.yaml")


def test_its_bars_are_among_its_baselines(experiment):
    names = {forecaster_of(one, experiment).name for one in experiment.baselines}
    assert {one.against for one in experiment.gate.limits if one.against} <= names
    own = forecaster_of(experiment.forecaster, experiment).name
    assert own not in {one.against for one in experiment.gate.limits}


def test_its_horizons_are_scored(experiment):
    horizons = evaluation_of(experiment).horizons
    assert {one.horizon for one in experiment.gate.limits if one.horizon is not None} <= set(horizons)


def test_every_coverage_that_it_asks_for_is_the_level_that_is_stated(experiment):
    """80 % intervals must be able to pass at 80 % and to fail on both sides of it, within 12 points."""
    asked = [one for one in experiment.gate.limits if one.metric.startswith(f"{COVERAGE} ")]
    assert asked
    for one in asked:
        level = float(one.metric.split()[1]) / 100.0
        assert level - 0.12 < one.at_least < level < one.at_most < min(level + 0.12, 1.0)


def test_no_score_may_be_worse_than_its_bar_by_more_than_its_error(experiment):
    scores = [one for one in experiment.gate.limits if one.against]
    assert "loss" in {one.metric for one in scores}
    assert all(one.at_most is not None and one.at_most <= 1.02 for one in scores)


def test_it_is_part_of_the_experiment_that_is_judged(experiment):
    assert experiment.but(gate=None).digest != experiment.digest
    assert experiment.but(gate=None).learning == experiment.learning
