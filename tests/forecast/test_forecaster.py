"""Laws that every forecaster keeps: parametrised over the table, so that a new one cannot be forgotten."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.forecast.registry import CASES, MOVING, ON_SESSIONS

from greekdrift.config import FORECASTERS
from greekdrift.errors import DataError, InputError
from greekdrift.forecast.outside import Outside

every = pytest.mark.parametrize("forecaster", CASES.values(), ids=CASES.keys())
moving = pytest.mark.parametrize("forecaster", MOVING.values(), ids=MOVING.keys())
HORIZONS = (6.0, 24.0)


def test_every_name_of_the_table_is_among_the_cases():
    assert {name.partition("=")[0] for name in CASES} == set(FORECASTERS)


def test_every_name_of_the_table_is_explained():
    page = (Path(__file__).parents[2] / "docs" / "forecasters.md").read_text(encoding="utf-8")
    for name in FORECASTERS:
        assert f"| `{name}` |" in page


@pytest.fixture(scope="module")
def fitted(make_panel):
    """The predictor of a forecaster on one small panel, fitted once."""
    panel = make_panel(rows=150)

    @cache
    def predictor(forecaster):
        return forecaster.fit(panel)

    return panel, predictor


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("clock", ["elapsed", "sessions"])
def test_scenarios_are_joint_paths_from_the_last_row(name, clock, make_panel):
    forecaster = (CASES if clock == "elapsed" else ON_SESSIONS)[name]
    panel = make_panel(rows=200, clock=clock)
    horizons = (6.0, 12.0, 24.0) if clock == "elapsed" else (24.0, 72.0, 120.0)
    made = forecaster.fit(panel).predict(panel, horizons=horizons, n=64, seed=1)
    assert made.increments.shape == (64, 3, 2, len(panel.factors))
    assert made.underlyings == panel.underlyings
    assert made.factors == panel.factors
    np.testing.assert_allclose(made.weights, 1.0 / 64)
    assert np.datetime64(made.as_of.replace(tzinfo=None)) == panel.as_of[-1]
    assert np.datetime64(made.known_at.replace(tzinfo=None)) == panel.known_at[-1]
    assert forecaster.name in made.provenance
    assert "seed 1" in made.provenance


@every
def test_same_seed_same_bytes_other_seed_other_draw(forecaster, fitted):
    panel, predictor_of = fitted
    predictor = predictor_of(forecaster)
    one, two, other = (predictor.predict(panel, horizons=(6.0, 24.0), n=50, seed=seed) for seed in (3, 3, 4))
    assert one.increments.tobytes() == two.increments.tobytes()
    assert (one.increments.tobytes() == other.increments.tobytes()) == (forecaster.name == "clock")


@every
def test_a_fitted_predictor_does_not_see_past_the_origin(forecaster, make_panel):
    """Fit on the past, then predict from the past: nothing that comes later changes a byte."""
    panel = make_panel(rows=220)
    changed = replace(panel, state=np.concatenate([panel.state[:200], panel.state[200:] + 0.5]))
    made = []
    for version in (panel, changed):
        history = version.until(panel.known_at[199])
        made.append(forecaster.fit(history).predict(history, horizons=(6.0, 24.0), n=40, seed=0))
    assert made[0].increments.tobytes() == made[1].increments.tobytes()


@every
def test_a_missing_value_at_the_origin_is_named(forecaster, fitted):
    panel, predictor_of = fitted
    state = panel.state.copy()
    state[-1, 1, 2] = np.nan
    with pytest.raises(DataError, match="ETH has no atm_30"):
        predictor_of(forecaster).predict(replace(panel, state=state), horizons=(6.0,), n=10, seed=0)


@every
def test_another_underlying_is_refused(forecaster, fitted, make_panel):
    _, predictor_of = fitted
    other = make_panel(rows=150, underlyings=("BTC", "SOL"))
    with pytest.raises(DataError, match="SOL"):
        predictor_of(forecaster).predict(other, horizons=(6.0,), n=10, seed=0)


@every
@pytest.mark.parametrize("horizons", [(), (0.0,), (6.0, 6.0), (12.0, 6.0), (np.nan,), (-6.0,)])
def test_wrong_horizons_are_refused(forecaster, horizons, fitted):
    panel, predictor_of = fitted
    with pytest.raises(InputError, match="horizons"):
        predictor_of(forecaster).predict(panel, horizons=horizons, n=10, seed=0)


@every
@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-1, 0), (2.5, 0), (10, -1), (10, 0.5)])
def test_draws_that_cannot_be_are_refused(forecaster, n, seed, fitted):
    panel, predictor_of = fitted
    with pytest.raises(InputError, match="whole number of at least"):
        predictor_of(forecaster).predict(panel, horizons=HORIZONS, n=n, seed=seed)


@moving
def test_holes_and_missing_rows_are_neither_bridged_nor_filled(forecaster, make_panel):
    """Rows without ETH, and half a year between two rows with a jump across it: the jump is in no scenario."""
    panel = make_panel(rows=260)
    state = panel.state.copy()
    state[120:, :, 0] += 5.0
    state[60:64, 1] = np.nan
    late = np.where(np.arange(260) >= 120, np.timedelta64(180, "D"), np.timedelta64(0, "D"))
    torn = replace(panel, state=state, as_of=panel.as_of + late, known_at=panel.known_at + late)
    made = forecaster.fit(torn).predict(torn, horizons=HORIZONS, n=300, seed=0)
    assert np.abs(made.increments[..., 0]).max() < 1.0
    assert np.all(made.increments[..., 0].std(axis=0) > 1e-4)


@moving
def test_one_row_is_no_history(forecaster, make_panel):
    with pytest.raises(DataError, match="needs 2"):
        forecaster.fit(make_panel(rows=2))


@every
@pytest.mark.parametrize("rows", [3, 12, 40])
def test_a_short_history_is_used_or_refused_with_a_remedy(forecaster, rows, make_panel):
    panel = make_panel(rows=rows)
    try:
        made = forecaster.fit(panel).predict(panel, horizons=(6.0,), n=30, seed=0)
    except DataError as error:
        refused = error
    else:
        assert np.all(np.isfinite(made.increments))
        return
    with pytest.raises(DataError, match="give"):
        raise refused


@every
def test_the_same_past_gives_the_same_predictor(forecaster, fitted, make_panel):
    """Fitted again on an equal panel, and asked something else in between: not a byte differs."""
    panel, predictor_of = fitted
    first = predictor_of(forecaster)
    first.predict(panel, horizons=(12.0,), n=7, seed=9)
    again = forecaster.fit(make_panel(rows=150))
    one, two = (made.predict(panel, horizons=HORIZONS, n=30, seed=3).increments for made in (first, again))
    assert one.tobytes() == two.tobytes()


@every
def test_a_missing_feature_is_no_news(forecaster, fitted):
    """Features of nothing but NaN beside the state."""
    panel, predictor_of = fitted
    blind = replace(panel, feature_names=("x",), features=np.full((*panel.state.shape[:2], 1), np.nan))
    wanted = predictor_of(forecaster).predict(panel, horizons=HORIZONS, n=30, seed=3).increments
    made = forecaster.fit(blind).predict(blind, horizons=HORIZONS, n=30, seed=3).increments
    assert made.tobytes() == wanted.tobytes()


@every
def test_an_underlying_that_is_missing_throughout_is_refused(forecaster, make_panel):
    panel = make_panel(rows=150)
    state = panel.state.copy()
    state[:, 1] = np.nan
    without = replace(panel, state=state)
    with pytest.raises(DataError, match=r"leave out the underlying|ETH has no forward"):
        forecaster.fit(without).predict(without, horizons=HORIZONS, n=10, seed=0)


@every
def test_an_underlying_that_comes_late_is_forecast_from_its_own_days(forecaster, make_panel):
    panel = make_panel(rows=200)
    state = panel.state.copy()
    state[:60, 1] = np.nan
    late = replace(panel, state=state)
    made = forecaster.fit(late).predict(late, horizons=HORIZONS, n=50, seed=0)
    assert np.all(np.isfinite(made.increments))


@every
def test_what_never_moved_does_not_move(forecaster, make_panel):
    panel = make_panel(rows=150)
    still = replace(panel, state=np.broadcast_to(panel.state[:1], panel.state.shape).copy())
    made = forecaster.fit(still).predict(still, horizons=HORIZONS, n=50, seed=0)
    assert np.abs(made.increments).max() < 1e-6


@every
def test_a_factor_that_never_moved_does_not_move(forecaster, make_panel):
    panel = make_panel(rows=150)
    state = panel.state.copy()
    state[..., 3] = state[0, 0, 3]
    made = forecaster.fit(replace(panel, state=state)).predict(
        replace(panel, state=state), horizons=HORIZONS, n=50, seed=0
    )
    assert np.abs(made.increments[..., 3]).max() < 1e-6
    assert np.all(np.isfinite(made.increments))


def _claiming(invariance):
    claims = {name: one for name, one in MOVING.items() if invariance in getattr(one, "invariances", ())}
    return pytest.mark.parametrize("forecaster", claims.values(), ids=claims.keys())


def test_claims_are_of_what_is_tested():
    """And a law that claims nothing at all would be an exception to look at."""
    claims = {name: set(getattr(one, "invariances", ())) for name, one in CASES.items()}
    assert set().union(*claims.values()) == {"level", "scale", "permutation"}


def _summary(forecaster, panel):
    """Deviation and quantiles of every cell, and the correlation of the returns, at 24 hours."""
    made = forecaster.fit(panel).predict(panel, horizons=HORIZONS, n=1000, seed=5).increments[:, 1]
    deviation = made.std(axis=0)
    return deviation, np.quantile(made, (0.1, 0.5, 0.9), axis=0) / deviation, np.corrcoef(made[..., 0].T)[0, 1]


def _same_law(forecaster, panel, other, *, factor=1.0, turned=False):
    deviation, quantiles, correlation = _summary(forecaster, panel)
    moved, moved_quantiles, moved_correlation = _summary(forecaster, other)
    if turned:
        moved, moved_quantiles = moved[::-1], moved_quantiles[:, ::-1]
    stretch = np.where(np.arange(moved.shape[1]) == 0, factor, 1.0)
    np.testing.assert_allclose(moved / (deviation * stretch), 1.0, atol=0.1)
    np.testing.assert_allclose(moved_quantiles, quantiles, atol=0.15)
    assert moved_correlation == pytest.approx(correlation, abs=0.1)


@_claiming("level")
def test_the_price_of_a_coin_does_not_matter(forecaster, fitted):
    panel, _ = fitted
    _same_law(forecaster, panel, replace(panel, state=panel.state + 3.0 * (np.arange(len(panel.factors)) == 0)))


@_claiming("scale")
def test_a_market_twice_as_wild_has_twice_the_returns(forecaster, fitted):
    """Every return and every volatility, the implied ones too, is twice as large."""
    panel, _ = fitted
    state = panel.state.copy()
    state[..., 0] *= 2.0
    levels = [at for at, name in enumerate(panel.factors) if name.startswith("atm_")]
    state[..., levels] += np.log(2.0)
    _same_law(forecaster, panel, replace(panel, state=state), factor=2.0)


@_claiming("permutation")
def test_the_order_of_the_underlyings_does_not_matter(forecaster, fitted):
    panel, _ = fitted
    _same_law(forecaster, panel, panel.select(panel.underlyings[::-1]), turned=True)


def test_a_forecaster_that_looks_ahead_is_caught(make_panel):
    """The leak test has teeth: a sampler that remembers the whole panel changes when only the future does."""
    panel = make_panel(rows=220)
    changed = replace(panel, state=np.concatenate([panel.state[:200], panel.state[200:] + 0.5]))
    made = []
    for version in (panel, changed):
        ahead = Outside(label="ahead", learn=_seer(version))
        history = version.until(panel.known_at[199])
        made.append(ahead.fit(history).predict(history, horizons=(6.0,), n=4, seed=0))
    assert made[0].increments.tobytes() != made[1].increments.tobytes()


def _seer(whole):
    def sample(history, hours, n, random):
        moved = whole.state[len(history)] - history.state[-1]
        return np.broadcast_to(moved, (n, len(hours), *moved.shape))

    return lambda panel: sample
