import sys

import numpy as np
import pytest
from arch.univariate import GARCH, StudentsT, ZeroMean

from greekdrift.errors import DataError
from greekdrift.forecast.garch import Garch, GarchLaw, fitted


def _law(**changed):
    values = {"omega": 0.02, "alpha": 0.05, "gamma": 0.1, "beta": 0.85, "long_run": 0.4} | changed
    return GarchLaw(step_hours=6.0, **{name: np.array([value]) for name, value in values.items()})


def _returns(n, *, seed=0, law=None):
    rng, law = np.random.default_rng(seed), law or _law()
    variance, made = law.long_run.copy(), []
    for shock in rng.standard_t(6.0, n) / np.sqrt(1.5):
        made.append(np.sqrt(variance) * shock)
        variance = law.after(variance, made[-1], 6.0)
    return np.array(made)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_recursion_is_that_of_arch_where_steps_are_even(asymmetric):
    returns = _returns(400)
    law = fitted(returns, step_hours=6.0, asymmetric=asymmetric, underlyings=("BTC",))
    size = np.sqrt(np.mean(returns**2))
    model = ZeroMean(
        returns[:, 0] / size, volatility=GARCH(p=1, o=int(asymmetric), q=1), distribution=StudentsT(), rescale=False
    )
    wanted = (model.fit(disp="off").conditional_volatility * size) ** 2
    variance = np.array([wanted[0]])
    for row in range(399):
        variance = law.after(variance, returns[row], 6.0)
        assert variance[0] == pytest.approx(wanted[row + 1], rel=1e-9)


def test_parameters_are_found_again():
    law = fitted(_returns(6000, seed=3), step_hours=6.0, asymmetric=True, underlyings=("BTC",))
    assert law.alpha[0] == pytest.approx(0.05, abs=0.03)
    assert law.gamma[0] == pytest.approx(0.1, abs=0.05)
    assert law.beta[0] == pytest.approx(0.85, abs=0.05)


@pytest.mark.parametrize("hours", [0.5, 3.0, 6.0, 9.0, 17.9])
@pytest.mark.parametrize("start", [0.02, 0.4, 50.0])
def test_a_quiet_step_of_any_length_leaves_a_positive_variance(hours, start):
    assert _law().after(np.array([start]), np.array([0.0]), hours)[0] > 0.0


def test_a_longer_step_forgets_more():
    law, wild = _law(), np.array([40.0])
    ends = [float(law.after(wild, np.array([np.nan]), hours)[0]) for hours in (6.0, 12.0, 24.0, 3000.0)]
    assert ends == sorted(ends, reverse=True)
    assert ends[-1] == pytest.approx(0.4, rel=0.1)


def test_a_hole_starts_again_at_the_long_run():
    law = _law()
    is_new = np.array([True, False, True, False])
    made = law.filtered(np.full((4, 1), 3.0), np.full(4, 6.0), is_new)
    np.testing.assert_array_equal(made[[0, 2], 0], 0.4)
    assert np.all(made[[1, 3]] > law.long_run)


def test_a_fall_raises_the_scale_more_than_a_rise(make_panel):
    law = _law()
    fall, rise = (law.after(np.array([0.4]), np.array([move]), 6.0) for move in (-1.0, 1.0))
    assert fall > rise


def test_the_scale_follows_the_path(make_panel):
    """Paths with a wild first day have a wilder second day."""
    panel = make_panel(rows=900, seed=16)
    made = Garch().fit(panel).predict(panel, horizons=(24.0, 48.0), n=6000, seed=0)
    first, second = made.increments[:, 0, 0, 0], np.diff(made.increments[:, :, 0, 0], axis=1)[:, 0]
    is_wild = np.abs(first) > np.quantile(np.abs(first), 0.8)
    assert np.abs(second[is_wild]).mean() > 1.1 * np.abs(second[~is_wild]).mean()


def test_residuals_have_variance_one(make_panel):
    values = Garch().fit(make_panel(rows=900)).residuals.values[..., 0]
    np.testing.assert_allclose(values.std(axis=0), 1.0, atol=0.15)


def test_too_few_steps_say_so(make_panel):
    with pytest.raises(DataError, match="needs 50"):
        Garch().fit(make_panel(rows=40))


def test_without_arch_it_says_what_to_install(make_panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "arch.univariate", None)
    with pytest.raises(DataError, match=r"greekdrift\[data\]"):
        Garch().fit(make_panel(rows=100))
