from dataclasses import replace

import numpy as np
import pytest

from greekdrift.book import Scenarios
from greekdrift.config import FORECASTERS, Component, build
from greekdrift.errors import ConfigError, InputError
from greekdrift.forecast.calibrated import Calibrated, _effective, calibrated, outcomes
from greekdrift.forecast.clock import Clock
from greekdrift.forecast.gaussian import Gaussian
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.outside import Outside
from greekdrift.score import crps, pit


def _scaled(factor):
    """Chained history, every increment too small or too large by a factor."""

    def learn(panel):
        predictor = Historical(chained=True).fit(panel)
        return lambda history, hours, n, random: (
            factor
            * predictor.predict(history, horizons=hours.tolist(), n=n, seed=int(random.integers(2**31))).increments
        )

    return Outside(label="scaled", learn=learn)


def _levels(predictor, panel, first):
    day = panel.increments(24.0)
    found = []
    for at in range(first, len(day), 4):
        history = panel.until(panel.known_at[day.origin[at]])
        made = predictor.predict(history, horizons=(day.elapsed_hours[at],), n=200, seed=at)
        found.append(0.5 * np.sum(pit(made.increments[:, 0], day.values[at]), axis=0))
    return np.array(found)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_law_of_the_wrong_width_covers_better_and_scores_better_on_unseen_time(factor, make_panel):
    panel = make_panel(rows=1100, seed=21, volatility_of_volatility=0.0)
    known = panel.until(panel.known_at[700])
    plain, better = _scaled(factor).fit(known), calibrated(_scaled(factor), known, prior_outcomes=10.0)
    covered = [np.mean(np.abs(_levels(one, panel, 720) - 0.5) < 0.4) for one in (plain, better)]
    assert abs(covered[1] - 0.8) < 0.5 * abs(covered[0] - 0.8)
    day = panel.increments(24.0)
    losses = []
    for one in (plain, better):
        history = panel.until(panel.known_at[800])
        at = int(np.searchsorted(day.origin, 800))
        rows = range(at, len(day), 16)
        losses.append(
            np.mean(
                [
                    crps(
                        one.predict(
                            panel.until(panel.known_at[day.origin[row]]), horizons=(24.0,), n=200, seed=row
                        ).increments[:, 0],
                        day.values[row],
                    ).mean(axis=0)
                    / day.values.std(axis=0).mean(axis=0)
                    for row in rows
                ]
            )
        )
        assert len(history) == 801
    assert losses[1] < losses[0]


def test_a_right_law_is_left_nearly_alone(make_panel):
    panel = make_panel(rows=900, seed=22, volatility_of_volatility=0.0)
    base = Historical(chained=True)
    one = base.fit(panel).predict(panel, horizons=(24.0,), n=400, seed=0).increments
    two = calibrated(base, panel).predict(panel, horizons=(24.0,), n=400, seed=0).increments
    np.testing.assert_allclose(two[..., 0].std(axis=0), one[..., 0].std(axis=0), rtol=0.12)


def test_ranks_of_the_base_are_kept(make_panel):
    panel = make_panel(rows=300)
    made = [
        one.fit(panel).predict(panel, horizons=(6.0, 24.0), n=100, seed=1).increments
        for one in (Gaussian(), Calibrated(base=Component(use="gaussian")))
    ]
    np.testing.assert_array_equal(*[np.argsort(one, axis=0, kind="stable") for one in made])


def test_outcomes_are_counted_only_where_they_were_known(make_panel):
    """Every counted origin is after its fit, and the levels at an instant do not change with what came later."""
    panel = make_panel(rows=300)
    hours = np.array([6.0, 24.0])
    whole = outcomes(Historical(), panel, hours, refits=2, origins=1000, seed=0)
    for (rows, levels), hour in zip(whole, hours, strict=True):
        assert rows.min() >= 90
        assert len(rows) == len(levels)
        assert panel.hours[rows.max()] + hour <= panel.hours[-1] + 1.5
        assert np.all((levels > 0.0) & (levels < 1.0))


def test_no_inner_fit_sees_what_it_is_scored_on(make_panel):
    """The rows that each inner fit was shown, and the origins forecast from it: the origins come after."""
    panel, seen = make_panel(rows=200), []

    def learn(known):
        def sample(history, horizons, n, random):
            seen.append((len(known), len(history)))
            return np.zeros((n, len(horizons), *history.state.shape[1:]))

        return sample

    outcomes(Outside(label="spy", learn=learn), panel, np.array([6.0, 24.0]), refits=3, origins=1000, seed=0)
    assert len({fitted for fitted, _ in seen}) == 3
    assert all(fitted <= origin < len(panel) for fitted, origin in seen)
    assert len(seen) == len({origin for _, origin in seen})


def test_overlapping_outcomes_count_once_a_horizon(make_panel):
    panel = make_panel(rows=400)
    rows = np.arange(100, 300)
    assert _effective(panel, rows, 6.0) == pytest.approx(200.0, rel=0.05)
    assert _effective(panel, rows, 24.0) == pytest.approx(50.0, rel=0.05)
    assert _effective(panel, rows[::8], 24.0) == pytest.approx(25.0, rel=0.05)
    assert _effective(panel, rows[:0], 24.0) == 0.0


def test_a_short_past_gives_no_evidence_and_no_change(make_panel):
    panel = make_panel(rows=36)
    base = Historical(chained=True)
    one, two = (
        made.predict(panel, horizons=(6.0,), n=30, seed=0).increments
        for made in (base.fit(panel), calibrated(base, panel))
    )
    np.testing.assert_allclose(one, two, atol=1e-12)


def test_a_law_that_stands_still_goes_on_standing_still(make_panel):
    panel = make_panel(rows=200)
    made = calibrated(Clock(), panel).predict(panel, horizons=(6.0, 24.0), n=20, seed=0)
    np.testing.assert_array_equal(made.increments, 0.0)


def test_weighted_scenarios_are_refused(make_panel):
    panel = make_panel(rows=100)

    class Weighted:
        name = "weighted"

        def fit(self, known):
            return self

        def predict(self, history, *, horizons, n, seed) -> Scenarios:
            made = Historical(chained=True).fit(history).predict(history, horizons=horizons, n=n, seed=seed)
            weights = np.arange(1.0, n + 1.0)
            return replace(made, weights=weights / weights.sum())

    with pytest.raises(InputError, match="equally weighted"):
        calibrated(Weighted(), panel).predict(panel, horizons=(6.0,), n=10, seed=0)


def test_the_base_is_checked_like_any_component():
    with pytest.raises(ConfigError, match=r'base.use: "fsh" is not known; did you mean "fhs"'):
        build(Component(use="calibrated", base={"use": "fsh"}), FORECASTERS)
    with pytest.raises(ConfigError, match=r"base.scale"):
        build(Component(use="calibrated", base={"use": "fhs", "scale": "garch"}), FORECASTERS)
    with pytest.raises(ConfigError, match=r"base.scael: is no option"):
        Calibrated(base=Component(use="fhs", scael="hari"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"refits": 0},
        {"origins": 0},
        {"prior_outcomes": 0.0},
        {"horizons": (6.0, 6.0)},
        {"prior_outcomes": float("nan")},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        Calibrated(**wrong)
