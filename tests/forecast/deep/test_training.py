import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from greekdrift.config import load_venue
from greekdrift.errors import ArtefactError, DataError, InputError
from greekdrift.features.panel import assemble
from greekdrift.forecast import artefact
from greekdrift.forecast.centred import CentredPredictor
from greekdrift.forecast.deep.loop import Batches
from greekdrift.forecast.deep.predictor import DriftNetPredictor
from greekdrift.forecast.deep.training import DriftNet, inner_split
from greekdrift.forecast.ensemble import Pool
from greekdrift.forecast.examples import examples, residual
from greekdrift.forecast.historical import Historical
from greekdrift.forecast.inputs import kinds
from greekdrift.market.simulate import SimulatedSource
from greekdrift.score import energy
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64

QUICK = DriftNet(members=1, epochs=6, draws=16, batch_draws=8)


@pytest.fixture(scope="module")
def fitted(make_panel):
    panel = _reverting(make_panel(rows=420))
    return panel, QUICK.fit(panel)


def _reverting(panel):
    """Skew that forgets its moves within a day: what a network can learn and a bootstrap of steps cannot know."""
    state = panel.state.copy()
    state[..., 3] = -0.05 + 0.02 * np.random.default_rng(1).standard_normal(state.shape[:2])
    return replace(panel, state=state)


@pytest.mark.parametrize("centred", [False, True])
def test_it_learns_what_the_base_law_cannot_know(fitted, centred):
    panel, predictor = fitted
    if not centred:
        predictor = replace(QUICK, centred=False).fit(panel)
        assert predictor.means is None
        assert np.all(predictor.shares[1, :, 2] > 0.0)
    else:
        assert np.all(predictor.means.shares[:3, 2] > 0.0)
    base_width, width = (
        made.predict(panel, horizons=(24.0,), n=500, seed=0).increments[:, 0, 0, 3].std()
        for made in (predictor.base, predictor)
    )
    far = replace(panel, state=np.concatenate([panel.state[:-1], panel.state[-1:] + 0.06 * (np.arange(6) == 3)]))
    pulled = predictor.predict(far, horizons=(24.0,), n=500, seed=0).increments[:, 0, 0, 3].mean()
    assert pulled < -0.015
    assert width < 1.2 * base_width


def test_the_networks_learn_from_what_the_mean_leaves(fitted):
    """Around the mean of every origin the mean finds nothing more, and the draws are as much narrower as it says."""
    panel, predictor = fitted
    made = examples(predictor.base, panel, horizons=(6.0, 24.0), draws=64, seed=0)
    left = residual(made, predictor.means, panel, horizons=(6.0, 24.0))
    skew = 3
    assert np.var(left.observed[:, 1, 0, skew]) < 0.7 * np.var(made.observed[:, 1, 0, skew])
    width = predictor.means.width(np.array([6.0, 24.0]))
    assert np.all(width[:, skew] < 0.9)
    narrow = left.base.std(axis=1) / made.base.std(axis=1)
    np.testing.assert_allclose(narrow, np.broadcast_to(width[None, :, None, :], narrow.shape), rtol=1e-9)
    np.testing.assert_allclose(left.base.mean(axis=1), made.base.mean(axis=1), atol=1e-12)


def test_the_mean_is_that_of_centred(fitted):
    """With no share trusted the net is its base law about the learned mean, as `centred` makes it."""
    panel, predictor = fitted
    plain = replace(predictor, shares=np.zeros_like(predictor.shares))
    centred = CentredPredictor(name="centred", base=predictor.base, means=predictor.means)
    one, two = (made.predict(panel, horizons=(6.0, 30.0), n=50, seed=1).increments for made in (plain, centred))
    np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-15)


def test_the_return_keeps_no_learnt_drift(fitted):
    panel, predictor = fitted
    base, made = (
        one.predict(panel, horizons=(6.0, 24.0), n=800, seed=3).increments[..., 0]
        for one in (predictor.base, predictor)
    )
    np.testing.assert_allclose(made.mean(axis=0) / base.std(axis=0), base.mean(axis=0) / base.std(axis=0), atol=0.05)


def test_same_seed_same_bytes(make_panel):
    panel = _reverting(make_panel(rows=260))
    quick = replace(QUICK, epochs=2)
    one, two = (quick.fit(panel).predict(panel, horizons=(6.0, 24.0), n=30, seed=2) for _ in range(2))
    assert one.increments.tobytes() == two.increments.tobytes()
    assert np.all(np.isfinite(one.increments))


def test_where_nothing_can_be_learnt_it_is_its_base_law(make_panel):
    """Independent increments of one size: no head gains two standard errors on most kinds, so nothing moves far."""
    panel = make_panel(rows=300, volatility_of_volatility=0.0, seed=4)
    rng = np.random.default_rng(0)
    state = np.cumsum(0.01 * rng.standard_normal(panel.state.shape), axis=0) + panel.state[0]
    predictor = QUICK.fit(replace(panel, state=state))
    assert (predictor.shares > 0.0).mean() < 0.25
    if not predictor.shares.any():
        made, base = (one.predict(panel, horizons=(24.0,), n=20, seed=0) for one in (predictor, predictor.base))
        assert made.increments.tobytes() == base.increments.tobytes()


def test_with_few_origins_nothing_is_trusted(make_panel):
    assert not QUICK.fit(make_panel(rows=90)).shares.any()


def test_too_short_a_panel_is_refused(make_panel):
    with pytest.raises(DataError, match="complete origins"):
        QUICK.fit(make_panel(rows=25))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"horizons": (12.0, 6.0)}, "horizons"),
        ({"laws": ("harri",)}, "hari"),
        ({"members": 0}, "members"),
        ({"batch_draws": 40}, "batch_draws"),
        ({"draws": 1, "batch_draws": 1}, "batch_draws"),
        ({"rate": 0.0}, "rate"),
    ],
)
def test_settings_that_cannot_be_are_refused_where_they_are_made(settings, word):
    with pytest.raises(InputError, match=word):
        DriftNet(**settings)


def test_draws_of_an_origin_do_not_use_its_own_window(make_panel):
    """A move that happens once is in the draws of every origin but those that have it to forecast."""
    panel = make_panel(rows=200)
    state = panel.state.copy()
    state[100:, :, 3] += 7.0
    base = Pool().fit(replace(panel, state=state))
    made = examples(base, replace(panel, state=state), horizons=(6.0, 12.0), draws=300, seed=0)
    has_it = np.abs(made.base[:, :, 1, 0, 3]).max(axis=1) > 3.0
    must_forecast_it = (made.origin < 100) & (made.last >= 100)
    assert must_forecast_it.sum() == 2
    assert not has_it[must_forecast_it].any()
    assert has_it[~must_forecast_it].mean() > 0.8


def test_the_inner_split_purges_overlapping_targets(make_panel):
    panel = make_panel(rows=150)
    made = examples(Pool().fit(panel), panel, horizons=(6.0, 24.0), draws=2, seed=0)
    early, late = inner_split(made)
    assert made.last[early].max() <= made.origin[late].min()
    assert len(late) == pytest.approx(0.4 * len(made), abs=1)


def test_batches_are_all_rows_in_a_new_order():
    batches = Batches(50, 10, 3)
    one, two = (torch.cat(list(batches)) for _ in range(2))
    assert sorted(one.tolist()) == sorted(two.tolist()) == list(range(50))
    assert one.tolist() != two.tolist()
    assert torch.equal(torch.cat(list(Batches(50, 10, 3))), one)


class _Notebook:
    def __init__(self):
        self.settings, self.figures = {}, []

    def params(self, values):
        self.settings |= values

    def metrics(self, values, *, step=0):
        self.figures.append((step, dict(values)))


def test_a_recorder_is_told(make_panel):
    notebook = _Notebook()
    replace(QUICK, epochs=2, recorder=notebook).fit(make_panel(rows=150))
    assert notebook.settings["origins"] > 100
    names = {name for _, values in notebook.figures for name in values}
    assert {"later_loss", "trusted_scale_forward", "gain_se_reversion_skew"} <= names


def test_a_shape_is_learnt_kept_and_read_back(fitted, tmp_path):
    """Skew that is drawn anew each step: the mixture knows its law, the base law chains its noise."""
    panel, predictor = fitted
    assert np.all(predictor.shares[-1, :, 2] > 0.0)
    shapeless = replace(predictor, shares=predictor.shares * (np.arange(4) < 3)[:, None, None])
    with_shape, without = (
        one.predict(panel, horizons=(24.0,), n=400, seed=1).increments for one in (predictor, shapeless)
    )
    moved = (with_shape != without).any(axis=(0, 1, 2))
    shaped = (predictor.shares[-1, -1] @ kinds(panel.factors).T) > 0.0
    np.testing.assert_array_equal(moved, shaped)
    artefact.save(predictor, tmp_path)
    again = artefact.load(tmp_path).predict(panel, horizons=(24.0,), n=400, seed=1).increments
    assert again.tobytes() == with_shape.tobytes()


def test_an_artefact_without_shapes_or_means_is_read_as_before(make_panel):
    panel = _reverting(make_panel(rows=260))
    predictor = replace(QUICK, epochs=1, centred=False, common=False).fit(panel)
    config, arrays = replace(predictor, mixtures=()).pack()
    for name in ("mixtures", "means", "base_kind"):
        del config[name]
    arrays["shares"] = arrays["shares"][:3]
    old = DriftNetPredictor.unpack(config, arrays)
    assert old.shares.shape[0] == 4
    assert not old.shares[-1].any()
    assert np.all(np.isfinite(old.predict(panel, horizons=(24.0,), n=10, seed=0).increments))


def test_without_shape_there_are_corrections_alone(make_panel):
    predictor = replace(QUICK, epochs=2, shape=False).fit(_reverting(make_panel(rows=260)))
    assert predictor.mixtures == ()
    assert not predictor.shares[-1].any()


def test_horizons_between_and_beyond_the_trained_ones(fitted):
    panel, predictor = fitted
    made = predictor.predict(panel, horizons=(1.0, 9.0, 23.4, 72.0), n=50, seed=0)
    assert np.all(np.isfinite(made.increments))
    widths = made.increments[:, :, 0, 0].std(axis=0)
    assert all(later > earlier for earlier, later in pairwise(widths))


def test_a_net_read_back_makes_the_same_bytes_without_lightning(fitted, tmp_path):
    panel, predictor = fitted
    artefact.save(predictor, tmp_path)
    again = artefact.load(tmp_path)
    one, two = (made.predict(panel, horizons=(6.0, 24.0), n=40, seed=5) for made in (predictor, again))
    assert one.increments.tobytes() == two.increments.tobytes()
    code = (
        "import sys; from greekdrift.forecast import artefact; "
        f"artefact.load({str(tmp_path)!r}); "
        "print([m for m in ('lightning', 'sklearn', 'mlflow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_net_of_other_inputs_is_refused(fitted, tmp_path, monkeypatch):
    _, predictor = fitted
    artefact.save(predictor, tmp_path)
    monkeypatch.setattr("greekdrift.forecast.deep.predictor.NAMES", ("other",))
    with pytest.raises(ArtefactError, match="train it again"):
        artefact.load(tmp_path)


def test_sessions_of_five_underlyings(make_panel):
    panel = make_panel(rows=250, clock="sessions", underlyings=("AAPL", "AMZN", "GOOG", "MSFT", "TSLA"))
    net = replace(QUICK, horizons=(24.0, 72.0, 120.0), epochs=2)
    made = net.fit(panel).predict(panel, horizons=(24.0, 120.0), n=50, seed=0)
    assert made.increments.shape == (50, 2, 5, len(panel.factors))


def test_on_the_simulator_it_is_near_the_truth_and_better_than_history():
    """The law is known there: mean energy score within 10 % of the truth's and below that of historical simulation."""
    source = SimulatedSource(venue=load_venue("deribit"), seed=1, days=180.0)
    moments = source.snapshots()
    as_of = np.array([datetime64(moment) for moment in moments])
    panel = assemble(
        source.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.stack([source.true_state(moment).values for moment in moments]),
        step_hours=source.step_hours,
        features=(),
    )
    day = panel.increments(24.0, tolerance_hours=1.0)
    known = panel.until(panel.known_at[440])
    scale = np.std(known.increments(24.0).values, axis=0)
    predictors = (DriftNet(members=1, draws=24, epochs=12).fit(known), Historical().fit(known))
    losses = []
    for at in np.flatnonzero(day.origin > 440)[::3]:
        origin, elapsed = int(day.origin[at]), float(day.elapsed_hours[at])
        history = panel.until(panel.known_at[origin])
        made = [one.predict(history, horizons=(elapsed,), n=200, seed=origin) for one in predictors]
        made.append(source.true_scenarios(moments[origin], horizons=(elapsed,), n=200, seed=origin))
        happened = (day.values[at] / scale).ravel()
        losses.append([energy((one.increments[:, 0] / scale).reshape(200, -1), happened) for one in made])
    net, historical, truth = np.mean(losses, axis=0)
    assert net < 1.10 * truth
    assert net < historical
