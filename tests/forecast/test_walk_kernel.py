"""The compiled walk is the readable one, for every scale, with and without pooled residuals."""

import numpy as np
import pytest

from greekdrift.forecast.econometric import FilteredHistorical, walk, walk_from
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import KINDS
from greekdrift.forecast.steps import path_of_steps
from greekdrift.forecast.walk_kernel import COMPILED, Picked, walked


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_readable_walk(make_panel, kind, flat):
    panel = make_panel(rows=200, seed=4)
    fitted = FilteredHistorical(scale=kind, flat=flat).fit(panel)
    assert kind in COMPILED
    scale, rng = fitted.scale, np.random.default_rng(1)
    lengths, arrivals = path_of_steps(np.array([6.0, 13.0, 48.0]), scale.clock.step_hours)
    values, n = 3.0 * fitted.residuals.values, 50
    paths = rng.integers(len(values), size=(n, lengths.size))
    underlyings = len(panel.underlyings)
    dealt = np.argsort(rng.random((n, underlyings)), axis=1)
    size = rng.uniform(0.5, 2.0, values.shape[1:])
    past = memory(moves(panel), scale.clock.memories, last_only=True)
    drawn = np.take_along_axis(values[paths], dealt[:, None, :, None], axis=2) * size
    origin = panel.state[-1]
    expected = walk(scale, past.repeated(n), np.repeat(origin[None], n, axis=0), panel.as_of[-1:], drawn, lengths)[
        :, arrivals - 1
    ]
    picked = Picked(residuals=values, paths=paths, dealt=dealt, size=size)
    found = walked(scale, past, origin, panel.as_of[-1:], picked, lengths, arrivals)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


def test_a_path_is_the_same_bits_in_any_company(make_panel):
    """Independent draws laid out for many paths or for the first few of them."""
    panel = make_panel(rows=120, seed=5)
    fitted = FilteredHistorical().fit(panel)
    lengths, _ = path_of_steps(np.array([6.0, 24.0]), fitted.scale.clock.step_hours)
    drawn = fitted.residuals.draw(n=64, length=lengths.size, random=np.random.default_rng(0))
    many, few = (walk_from(panel, fitted.scale, part, lengths) for part in (drawn, drawn[:7]))
    assert many[:7].tobytes() == few.tobytes()


def test_pooled_draws_are_the_same_laid_out_or_not(make_panel):
    fitted = FilteredHistorical(scale="haris", flat=True, pool=True).fit(make_panel(rows=120, seed=5))
    laid, picked = (
        made(n=9, length=4, random=np.random.default_rng(3)) for made in (fitted.residuals.draw, fitted.residuals.pick)
    )
    for path, step, place in np.ndindex(laid.shape[:3]):
        row = picked.residuals[picked.paths[path, step], picked.dealt[path, place]] * picked.size[place]
        np.testing.assert_array_equal(laid[path, step, place], row)
