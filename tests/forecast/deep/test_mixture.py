import numpy as np
import pytest
import torch
from scipy.stats import norm

from greekdrift.forecast.deep.mixture import COMPONENTS, Mixture, MixtureNetwork, joined, spread
from greekdrift.forecast.deep.network import REVERSIONS, energy


def _made(centre=0.3, cells=4, seed=0):
    random = np.random.default_rng(seed)
    weight = random.dirichlet(np.ones(3), size=cells)
    return Mixture(
        weight=torch.tensor(weight),
        centre=torch.full((cells,), centre, dtype=torch.float64),
        deviation=torch.tensor(random.uniform(0.2, 2.0, size=(cells, 3))),
        size=torch.tensor(0.0),
    )


def _cumulated(made, values):
    scores = (values - made.centre.numpy())[..., None] / made.deviation.numpy()
    return (made.weight.numpy() * norm.cdf(scores)).sum(axis=-1)


def test_crps_equals_the_integral_of_the_squared_distance():
    """∫ (F(x) − 1{x ≥ y})² dx on a fine grid."""
    made, observed = _made(), np.array([-1.5, 0.3, 0.31, 2.5])
    grid = np.linspace(-25.0, 25.0, 400_001)
    for cell, happened in enumerate(observed):
        one = Mixture(
            weight=made.weight[cell], centre=made.centre[cell], deviation=made.deviation[cell], size=made.size
        )
        distance = (_cumulated(one, grid) - (grid >= happened)) ** 2
        assert float(made.crps(torch.tensor(observed))[cell]) == pytest.approx(np.trapezoid(distance, grid), abs=2e-4)


def test_crps_is_that_of_many_draws():
    made, observed = _made(), torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64)
    levels = (torch.arange(4_000, dtype=torch.float64) + 0.5) / 4_000
    draws = made.quantiles(levels).T[None]
    np.testing.assert_allclose(made.crps(observed), energy(draws, observed[None], axes=0)[0], rtol=2e-3)


def test_quantiles_turn_the_distribution_function_round():
    made = _made()
    levels = np.array([1e-4, 0.01, 0.2, 0.5, 0.9, 0.999])
    values = made.quantiles(torch.tensor(levels)).numpy()
    for at, level in enumerate(levels):
        np.testing.assert_allclose(_cumulated(made, values[:, at]), level, rtol=0.02, atol=2e-5)
    assert np.all(np.diff(values, axis=1) > 0.0)


def test_joined_draws_have_the_mixture_s_law_and_the_base_law_s_order():
    random = torch.Generator().manual_seed(1)
    base = torch.randn(2, 301, 4, generator=random, dtype=torch.float64)
    made = _made()
    rows = Mixture(
        weight=made.weight.expand(2, -1, -1),
        centre=made.centre.expand(2, -1),
        deviation=made.deviation.expand(2, -1, -1),
        size=made.size,
    )
    drawn = joined([rows], base)
    assert torch.equal(drawn.argsort(dim=1), base.argsort(dim=1))
    levels = (torch.arange(301, dtype=torch.float64) + 0.5) / 301
    np.testing.assert_allclose(drawn.sort(dim=1).values[0], made.quantiles(levels).T)


def test_a_new_network_says_its_start_in_units_of_the_spread():
    network = MixtureNetwork(inputs=5, width=4)
    x, gap = torch.randn(2, 3, 1, 2, 5), torch.randn(2, 1, 2, REVERSIONS)
    one, two = (network(x, gap, unit * torch.ones(2, 3, 1, 2)) for unit in (1.0, 10.0))
    assert one.weight.shape == (2, 3, 1, 2, COMPONENTS)
    torch.testing.assert_close(two.deviation, 10.0 * one.deviation)
    assert not one.size.detach().any()
    assert not one.centre.any()


def test_the_spread_of_normal_draws_is_their_standard_deviation():
    draws = 3.0 * torch.randn(1, 200_000, 1, generator=torch.Generator().manual_seed(0)) + 5.0
    assert float(spread(draws)) == pytest.approx(3.0, rel=0.01)
