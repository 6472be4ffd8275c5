import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import ANCHOR_DAYS, PRIOR, Clockwork, likeliest


def _scale_of(panel, **options):
    predictor = FilteredHistorical(**options).fit(panel)
    past = memory(moves(panel), predictor.scale.clock.memories)
    return predictor.scale.at(past, panel.state, panel.as_of)


@pytest.mark.parametrize("kind", ["hari", "haris", "harit", "front", "ewma"])
def test_the_scale_follows_the_true_volatility(kind, make_panel):
    panel = make_panel(rows=1500, seed=3)
    found = _scale_of(panel, scale=kind)[200:, :, 0]
    truth = np.exp(panel.state[200:, :, 1]) * np.sqrt(6.0 / 8760.0)
    assert np.corrcoef(np.log(found).ravel(), np.log(truth).ravel())[0, 1] > (0.6 if kind == "ewma" else 0.93)
    assert np.median(found / truth) == pytest.approx(1.0, abs=0.1)


def test_residuals_have_one_size_in_calm_and_wild_times(make_panel):
    panel = make_panel(rows=1500, seed=5)
    predictor = FilteredHistorical().fit(panel)
    size = np.abs(predictor.residuals.values[:, :, 0])
    level = panel.state[: len(size), :, 1]
    wild = level > np.median(level)
    assert size[wild].mean() == pytest.approx(size[~wild].mean(), rel=0.1)


def test_the_scale_has_no_unit(make_panel):
    """Returns and implied volatility times three: scales times three, whatever the underlying."""
    panel = make_panel(rows=400)
    state = panel.state.copy()
    state[..., 0] *= 3.0
    state[..., 1:3] += np.log(3.0)
    tripled = type(panel)(**{name: getattr(panel, name) for name in panel.__slots__} | {"state": state})
    np.testing.assert_allclose(_scale_of(tripled)[..., 0], 3.0 * _scale_of(panel)[..., 0], rtol=1e-5)


def test_the_front_of_the_curve_counts_where_there_is_one(make_panel):
    """A shorter pillar that stands above the implied level, as before an event, makes the scale of "harit" larger."""
    panel = make_panel(rows=300)
    front = panel.state[..., 1] + 0.3 * (np.arange(300) % 7 == 0)[:, None]
    longer = np.concatenate([panel.state, front[..., None]], axis=-1)
    fields = {name: getattr(panel, name) for name in panel.__slots__}
    eventful = type(panel)(**fields | {"factors": (*panel.factors, "atm_1"), "state": longer})
    ratio = _scale_of(eventful, scale="harit")[..., 0] / _scale_of(panel, scale="harit")[..., 0]
    is_event = np.arange(300) % 7 == 0
    assert np.median(ratio[is_event]) > 1.15 * np.median(ratio[~is_event])


def test_the_anchored_scale_begins_at_what_the_market_says_of_the_next_day(make_panel):
    """With a handful of rows "front" is the shortest implied variance, "hari" is not."""
    panel = make_panel(rows=12, seed=4)
    implied = np.exp(panel.state[..., 1]) * np.sqrt(6.0 / 8760.0)
    anchored, free = (np.log(_scale_of(panel, scale=kind)[..., 0] / implied) for kind in ("front", "hari"))
    assert np.abs(anchored.mean()) < 0.1
    assert np.abs(anchored.mean()) < np.abs(free.mean())


def test_the_anchor_gives_way_as_steps_come(make_panel):
    """Returns a third of what is implied: the constant of "front" goes there by the share that the steps have."""
    panel = make_panel(rows=1200, seed=4)
    state = panel.state.copy()
    state[..., 0] = state[:1, :, 0] + (state[..., 0] - state[:1, :, 0]) / 3.0
    quiet = type(panel)(**{name: getattr(panel, name) for name in panel.__slots__} | {"state": state})
    constants = [
        FilteredHistorical(scale="front").fit(quiet.until(quiet.known_at[rows - 1])).scale.coefficients[0]
        for rows in (100, 1200)
    ]
    for constant, steps in zip(constants, (2 * 99, 2 * 1199), strict=True):
        anchor = ANCHOR_DAYS * 4.0
        assert constant == pytest.approx(np.log((steps / 9.0 + anchor) / (steps + anchor)), abs=0.15)


def test_anchored_residuals_have_variance_one_and_mean_zero(make_panel):
    values = FilteredHistorical(scale="front").fit(make_panel(rows=400)).residuals.values[..., 0]
    np.testing.assert_allclose((values**2).mean(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-12)


def test_flat_moves_with_the_root_of_the_return_scale(make_panel):
    panel = make_panel(rows=400)
    found = _scale_of(panel, flat=True)
    ratio = found[:, 0, 3] ** 2 / found[:, 0, 0]
    np.testing.assert_allclose(ratio, ratio[0])


def test_likelihood_finds_coefficients_and_falls_back_to_the_prior():
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 0.3, 0.1, 0.5, -0.3, 0.0])
    columns = np.concatenate([np.ones((6000, 2, 1)), rng.standard_normal((6000, 2, 5))], axis=-1)
    squares = np.exp(columns @ truth) * rng.standard_t(4.0, (6000, 2)) ** 2
    prior = PRIOR["hari"]
    np.testing.assert_allclose(likeliest(columns, squares, prior=prior, prior_steps=10.0), truth, atol=0.05)
    few = likeliest(columns[:1], squares[:1], prior=prior, prior_steps=400.0)
    np.testing.assert_allclose(few[1:], prior[1:], atol=0.05)


def test_sessions_have_no_calendar_and_their_own_windows(make_panel):
    clock = Clockwork.of(make_panel(rows=5, clock="sessions"), own_steps=16.0)
    assert not clock.has_calendar
    assert clock.memories[:3].tolist() == [24.0, 120.0, 528.0]
    assert clock.hours_per_year == 252.0 * 24.0


def test_without_forward_or_implied_there_is_no_scale(make_panel):
    panel = make_panel(rows=50)
    keep = [3, 4, 5]
    bare = type(panel)(
        **{name: getattr(panel, name) for name in panel.__slots__}
        | {"state": panel.state[..., keep], "factors": tuple(panel.factors[k] for k in keep)}
    )
    with pytest.raises(DataError, match="forward and atm_7"):
        FilteredHistorical().fit(bare)


def test_an_unknown_scale_names_the_nearest(make_panel):
    with pytest.raises(ValueError, match="hari"):
        FilteredHistorical(scale="harri").fit(make_panel(rows=50))
