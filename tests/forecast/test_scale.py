import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.forecast.econometric import FilteredHistorical
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import PRIOR, Clockwork, likeliest


def _scale_of(panel, **options):
    predictor = FilteredHistorical(**options).fit(panel)
    past = memory(moves(panel), predictor.scale.clock.memories)
    return predictor.scale.at(past, panel.state, panel.as_of)


@pytest.mark.parametrize("kind", ["hari", "haris", "harit", "ewma"])
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
