import numpy as np
import pytest
import scoringrules
import torch

from greekdrift.forecast.deep.network import HEADS, Correction, DriftNetwork, energy
from greekdrift.score import crps
from greekdrift.score import energy as slow_energy


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_energy_equals_the_readable_score():
    drawn, observed = _normal(3, 12, 2, 4), _normal(3, 2, 4, seed=1)
    found = energy(drawn, observed, axes=2)
    for row in range(3):
        slow = slow_energy(drawn[row].reshape(12, 8).numpy(), observed[row].reshape(8).numpy()) / np.sqrt(8.0)
        assert float(found[row]) == pytest.approx(slow, rel=1e-6)


def test_with_no_axes_it_is_the_fair_crps():
    drawn, observed = _normal(3, 12, 5), _normal(3, 5, seed=1)
    found = energy(drawn, observed, axes=0)
    for row in range(3):
        np.testing.assert_allclose(found[row], crps(drawn[row].numpy(), observed[row].numpy()), rtol=1e-12)
    outside = scoringrules.crps_ensemble(observed.numpy(), drawn.moveaxis(1, -1).numpy(), estimator="fair")
    np.testing.assert_allclose(found, outside, rtol=1e-9)


def test_the_score_is_fair_and_best_at_the_truth():
    """Its mean does not depend on the number of draws, and the true spread scores best in the mean."""
    observed = _normal(40_000, 3)
    few, many = (energy(_normal(40_000, n, 3, seed=n), observed, axes=1).mean() for n in (3, 9))
    assert float(few) == pytest.approx(float(many), rel=0.01)
    losses = {size: energy(size * _normal(40_000, 9, 3, seed=9), observed, axes=1).mean() for size in (0.7, 1.0, 1.4)}
    assert min(losses, key=losses.get) == 1.0


def test_an_untrained_network_is_the_identity():
    network = DriftNetwork(inputs=7, width=5)
    said = network(torch.randn(4, 3, 2, 6, 7))
    base = torch.randn(4, 8, 3, 2, 6)
    moved = said.apply(base, torch.randn(4, 2, 6, 3), torch.randn(4, 2, 6), 0)
    torch.testing.assert_close(moved, base)
    assert float(said.size().detach()) == 0.0


def _correction(seed=0, rows=2, horizons=3, underlyings=2, factors=4):
    shape = (rows, horizons, underlyings, factors)
    return Correction(
        log_scale=_normal(*shape, seed=seed),
        reversion=_normal(*shape, 3, seed=seed + 1),
        tilt=_normal(*shape, seed=seed + 2),
    )


def test_apply_is_the_written_formula():
    said, base = _correction(), _normal(2, 5, 3, 2, 4, seed=7)
    gap, ratio = _normal(2, 2, 4, 3, seed=8), _normal(2, 2, 4, seed=9)
    moved = said.apply(base, gap, ratio, 1)
    for row, draw, horizon, underlying, factor in ((0, 0, 0, 0, 0), (1, 4, 2, 1, 3), (1, 2, 1, 0, 1)):
        at = (row, horizon, underlying, factor)
        expected = (
            (said.reversion[at] * gap[row, underlying, factor]).sum()
            + torch.exp(said.log_scale[at]) * base[row, draw, horizon, underlying, factor]
            + said.tilt[at] * ratio[row, underlying, factor] * base[row, draw, horizon, underlying, 1]
        )
        torch.testing.assert_close(moved[row, draw, horizon, underlying, factor], expected)


def test_shares_act_on_their_head_horizon_and_factor_alone():
    said = _correction()
    shares = torch.zeros(3, 3, 4, dtype=torch.float64)
    shares[1, 2, 3] = 0.5
    shrunk = said.shrunk(shares)
    assert not shrunk.log_scale.any()
    assert not shrunk.tilt.any()
    torch.testing.assert_close(shrunk.reversion[:, 2, :, 3], 0.5 * said.reversion[:, 2, :, 3])
    shrunk.reversion[:, 2, :, 3] = 0.0
    assert not shrunk.reversion.any()


def test_outputs_are_bounded_whatever_the_weights():
    network = DriftNetwork(inputs=5, width=4)
    with torch.no_grad():
        network.last.weight.fill_(1e3)
        network.last.bias.fill_(1e3)
    said = network(100.0 * torch.randn(3, 2, 2, 3, 5))
    assert network.last.out_features == HEADS
    assert said.log_scale.abs().max() <= 0.7001
    assert said.reversion.abs().max() <= 1.0
    assert said.tilt.abs().max() <= 0.5001
