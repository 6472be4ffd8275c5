"""The compiled draws against the readable ones of `deep.network` and `deep.mixture`, bit for bit."""

import numpy as np
import pytest
import torch

from greekdrift.forecast.deep import draw_kernel
from greekdrift.forecast.deep.mixture import COMPONENTS, Mixture, joined, spread
from greekdrift.forecast.deep.network import REVERSIONS, Correction

CELLS = (2, 2, 3)


def _draws(n, *, seed=0, ties=False):
    drawn = np.random.default_rng(seed).standard_t(3, size=(n, *CELLS))
    return np.round(drawn, 1) + 0.0 if ties else drawn


def _mixtures(count, *, cells, seed=1):
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        parts = (random.dirichlet(np.ones(COMPONENTS), size=cells), random.normal(size=cells))
        deviation = random.uniform(0.2, 2.0, size=(*np.atleast_1d(cells), COMPONENTS))
        weight, centre, size = (torch.tensor(part, dtype=torch.float32) for part in (*parts, deviation))
        made.append(Mixture(weight=weight, centre=centre, deviation=size, size=torch.tensor(0.0)))
    return made


@pytest.mark.parametrize("is_bent", [False, True])
def test_bent_draws_are_those_of_the_correction(is_bent):
    random, drawn, mean = np.random.default_rng(2), _draws(40), np.random.default_rng(3).normal(size=CELLS)
    log_scale, tilt = (torch.tensor(random.normal(size=(1, *CELLS))) for _ in range(2))
    said = Correction(
        log_scale=log_scale, tilt=tilt, reversion=torch.tensor(random.normal(size=(1, *CELLS, REVERSIONS)))
    )
    gap, ratio = (
        torch.tensor(random.normal(size=(1, *CELLS[1:], REVERSIONS))),
        torch.tensor(random.normal(size=(1, *CELLS[1:]))),
    )
    width, offset = random.uniform(0.5, 1.0, CELLS), random.normal(size=CELLS)
    left = width * drawn + offset
    expected = (said.apply(torch.tensor(left[None]), gap, ratio, 1)[0].numpy() if is_bent else left) + mean
    bend = [part[0].contiguous().numpy() for part in said.affine(gap, ratio)]
    places = np.full(CELLS, -1)
    places[1, 0, 2], places[0, 1, 1] = 0, 1
    columns = np.empty((2, len(drawn)))
    draw_kernel.bent(drawn, width, offset, *bend, is_bent, mean, 1, places, columns)
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(columns, [left[:, 1, 0, 2], left[:, 0, 1, 1]])


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize(("n", "ties"), [(1, False), (2, False), (64, True), (257, False), (1000, True)])
def test_shaped_columns_are_the_joined_draws(n, ties, members):
    columns = np.ascontiguousarray(_draws(n, ties=ties).reshape(n, -1).T)
    made = _mixtures(members, cells=len(columns))
    share = np.linspace(0.1, 1.0, len(columns))
    base = torch.tensor(columns.T[None].copy())
    rows = [
        Mixture(weight=m.weight[None], centre=m.centre[None], deviation=m.deviation[None], size=m.size) for m in made
    ]
    expected = (base + torch.tensor(share) * (joined(rows, base) - base))[0].numpy().T
    grids = [one.on_grid(torch.float64) for one in made]
    order = draw_kernel.roughly_ordered(columns)
    draw_kernel.shaped(
        columns, order, share, (np.arange(n) + 0.5) / n, grids[0][0].numpy(),
        np.stack([widest.double().numpy() for _, widest, _ in grids]),
        np.stack([one.centre.double().numpy() for one in made]),
        np.stack([cumulated.numpy() for *_, cumulated in grids]),
    )  # fmt: skip
    np.testing.assert_array_equal(columns, expected)


def test_columns_go_back_to_their_cells_and_touch_no_other():
    columns, cells, mean, out = np.arange(6.0).reshape(2, 3), np.array([3, 1]), np.arange(4.0), np.full((3, 4), 9.0)
    draw_kernel.put_back(columns, cells, mean, out)
    np.testing.assert_array_equal(out[:, [3, 1]], columns.T + mean[[3, 1]])
    assert np.all(out[:, [0, 2]] == 9.0)


def test_the_spread_is_the_readable_one():
    columns = np.ascontiguousarray(_draws(301).reshape(301, -1).T)
    np.testing.assert_allclose(draw_kernel.spread(columns), spread(torch.tensor(columns.T[None]))[0], rtol=1e-13)
