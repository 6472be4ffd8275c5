"""Laws of forecasters, of paths and of forecasts of accounts, on generated inputs."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from greekdrift.book import Band
from greekdrift.features.history import HOUR, Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast.distribution import Forecast
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.memory import Moves, memory
from greekdrift.forecast.steps import links, path_of_steps
from greekdrift.forecast.student import Student

FACTORS = ("forward", "atm_7", "atm_30", "skew_30")
FORECASTERS = (
    Historical(),
    Historical(chained=True),
    FilteredHistorical(),
    FilteredHistorical(scale="haris", flat=True),
    FilteredHistorical(scale="ewma"),
)
SEEDS = st.integers(0, 2**32 - 1)
every = pytest.mark.parametrize("forecaster", FORECASTERS, ids=[one.name for one in FORECASTERS])


def _panel(seed: int, rows: int = 80) -> Panel:
    rng = np.random.default_rng(seed)
    size = np.array([0.02, 0.05, 0.03, 0.01]) * np.exp(0.3 * rng.standard_normal((rows, 2, 4)))
    hours = 6.0 * np.arange(rows) + rng.uniform(-1.0, 1.0, rows)
    as_of = np.datetime64("2026-01-01", "us") + np.round(hours * 3600e6).astype("timedelta64[us]")
    start = np.array([10.0, -0.6, -0.6, -0.05])
    return Panel(
        underlyings=("BTC", "ETH"),
        factors=FACTORS,
        feature_names=(),
        as_of=as_of,
        known_at=as_of,
        state=start + np.cumsum(size * rng.standard_normal((rows, 2, 4)), axis=0),
        features=np.empty((rows, 2, 0)),
        step_hours=6.0,
    )


def _increments(forecaster, panel, seed=0):
    return forecaster.fit(panel).predict(panel, horizons=(6.0, 18.0), n=25, seed=seed).increments


@every
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, shift=st.floats(-5.0, 5.0))
def test_the_level_of_the_price_does_not_matter(forecaster, seed, shift):
    panel = _panel(seed)
    moved = panel.state + shift * (np.arange(4) == 0)
    np.testing.assert_allclose(
        _increments(forecaster, replace(panel, state=moved)), _increments(forecaster, panel), rtol=1e-5, atol=1e-9
    )


@every
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, weeks=st.integers(1, 200))
def test_whole_weeks_later_the_forecast_is_the_same(forecaster, seed, weeks):
    panel = _panel(seed)
    later = weeks * 168 * HOUR
    moved = replace(panel, as_of=panel.as_of + later, known_at=panel.known_at + later)
    np.testing.assert_allclose(_increments(forecaster, moved), _increments(forecaster, panel), rtol=1e-9, atol=1e-12)


@every
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_order_of_underlyings_does_not_matter(forecaster, seed):
    panel = _panel(seed)
    turned = panel.select(("ETH", "BTC"))
    np.testing.assert_allclose(
        _increments(forecaster, turned), _increments(forecaster, panel)[:, :, ::-1], rtol=1e-4, atol=1e-7
    )


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.1, 10.0))
def test_twice_the_moves_of_a_factor_are_twice_its_scenarios(seed, factor):
    panel = _panel(seed)
    stretched = panel.state.copy()
    stretched[..., 3] *= factor
    for forecaster in (Historical(), FilteredHistorical(), Student()):
        base, moved = (_increments(forecaster, one)[..., 3] for one in (panel, replace(panel, state=stretched)))
        np.testing.assert_allclose(moved, factor * base, rtol=1e-6, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    is_linked=arrays(np.bool_, st.integers(1, 30)),
    n=st.integers(1, 40),
    length=st.integers(1, 10),
    mean_block=st.floats(1.0, 20.0),
)
def test_paths_are_made_of_known_steps_and_only_follow_links(seed, is_linked, n, length, mean_block):
    following = np.where(
        is_linked & (np.arange(is_linked.size) < is_linked.size - 1), np.arange(is_linked.size) + 1, -1
    )
    paths = bootstrap.draw(following, n=n, length=length, mean_block=mean_block, random=np.random.default_rng(seed))
    assert paths.shape == (n, length)
    assert paths.min() >= 0
    assert paths.max() < following.size
    starts = np.bincount(paths[:, 0], minlength=following.size)
    assert starts.max() - starts.min() <= 1


@settings(max_examples=60, deadline=None)
@given(legs=st.lists(st.floats(0.1, 60.0), min_size=1, max_size=6), step=st.floats(0.5, 24.0))
def test_paths_meet_every_horizon(legs, step):
    horizons = np.cumsum(legs)
    lengths, arrivals = path_of_steps(horizons, step)
    np.testing.assert_allclose(np.cumsum(lengths)[arrivals - 1], horizons, rtol=1e-12)
    assert np.all(np.diff(arrivals, prepend=0) >= 1)
    assert lengths.max() <= 1.5 * step + 1e-9


@settings(max_examples=40, deadline=None)
@given(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=20))
def test_links_join_neighbours_alone(gaps):
    origin = np.cumsum(gaps)
    following = links(origin, origin + 1)
    for step, onward in enumerate(following):
        assert (onward == step + 1) if step + 1 < len(gaps) and gaps[step + 1] == 1 else (onward == -1)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.1, 10.0), rows=st.integers(2, 40))
def test_memory_is_quadratic_in_the_moves_and_blind_to_missing_ones(seed, factor, rows):
    rng = np.random.default_rng(seed)
    hours = np.cumsum(rng.uniform(1.0, 10.0, rows))
    values = rng.standard_normal((rows, 1, 2))
    values[rng.random(values.shape) < 0.3] = np.nan
    given_moves = Moves(hours=hours, length=np.diff(hours, prepend=hours[0]), values=values)
    tau = np.array([5.0, 50.0])
    one, more = memory(given_moves, tau), memory(replace(given_moves, values=factor * values), tau)
    np.testing.assert_allclose(more.power, factor**2 * one.power, rtol=1e-9)
    np.testing.assert_allclose(more.news, factor * one.news, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(more.mass, one.mass)
    assert np.all(one.power >= 0.0)
    assert np.all(one.mass <= np.broadcast_to((hours - hours[0])[:, None, None, None], one.mass.shape) + 1e-9)


def _forecast(paths, width):
    band = Band(greek="vega", underlying="BTC", lower=-width, upper=width)
    made = Forecast(
        account_ids=("a",),
        quantities=(band.label,),
        horizons=6.0 * np.arange(1, paths.shape[1] + 1),
        samples=paths[:, :, None, None],
        weights=np.full(len(paths), 1.0 / len(paths)),
        now=np.zeros((1, 1)),
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        bands={"a": (band,)},
    )
    return made, band.label


PATHS = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 6)), elements=st.floats(-10.0, 10.0))


@settings(max_examples=80, deadline=None)
@given(paths=PATHS, width=st.floats(0.1, 9.0), wider=st.floats(1.0, 3.0))
def test_breaches_are_probabilities_that_grow_with_time_and_shrink_with_width(paths, width, wider):
    made, label = _forecast(paths, width)
    breach = made.time_to_breach("a", label)
    assert breach.probability.min() >= 0.0
    assert breach.probability.sum() + breach.never == pytest.approx(1.0)
    by = [made.breach_probability("a", label, within=hours) for hours in made.horizons]
    assert all(later >= earlier for earlier, later in pairwise(by))
    outside = np.abs(paths).max(axis=1) > width
    assert by[-1] == pytest.approx(outside.mean())
    wide, _ = _forecast(paths, width * wider)
    assert wide.breach_probability("a", label) <= by[-1] + 1e-12


@settings(max_examples=60, deadline=None)
@given(paths=PATHS, levels=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=5, unique=True))
def test_quantiles_increase_and_lie_among_the_samples(paths, levels):
    made, label = _forecast(paths, 1.0)
    found = made.quantile("a", label, sorted(levels))
    assert np.all(np.diff(found, axis=0) >= -1e-12)
    assert np.all((found >= paths.min(axis=0) - 1e-12) & (found <= paths.max(axis=0) + 1e-12))
    assert np.all(np.diff([made.cdf("a", label, value) for value in (-11.0, 0.0, 11.0)], axis=0) >= 0.0)
