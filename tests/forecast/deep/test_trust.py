from dataclasses import replace

import pytest
import torch

from greekdrift.forecast.deep.loop import Tensors
from greekdrift.forecast.deep.mixture import MixtureNetwork, spread
from greekdrift.forecast.deep.network import REVERSIONS, DriftNetwork
from greekdrift.forecast.deep.trust import LEAST_BLOCKS, trusted
from greekdrift.forecast.inputs import KINDS

FORWARD, SKEW = KINDS.index("forward"), KINDS.index("skew")
BLOCK = 4


def _late(rows, *, ragged, seed=0):
    """Standard normal outcomes of a return and a skew; the base law says so, or is made of few values and too wide."""
    random = torch.Generator().manual_seed(seed)
    base = torch.randn(rows, 24, 1, 1, 2, generator=random)
    base = 3.0 * base.sign() if ragged else base
    kind = torch.zeros(2, len(KINDS))
    kind[0, FORWARD], kind[1, SKEW] = 1.0, 1.0
    return Tensors(
        inputs=torch.zeros(rows, 1, 1, 2, 3),
        gap=torch.zeros(rows, 1, 2, REVERSIONS),
        ratio=torch.zeros(rows, 1, 2),
        unit=spread(base),
        base=base,
        observed=torch.randn(rows, 1, 1, 2, generator=random),
        size=torch.ones(1, 1, 2),
        weight=torch.full((2,), 0.5),
        kind=kind,
        forward=0,
        block=BLOCK,
    )


def _networks():
    return (DriftNetwork(inputs=3, width=4),), (MixtureNetwork(inputs=3, width=4),)


def test_a_shape_that_is_better_is_trusted_but_not_of_what_moves_greeks():
    shares, gains = trusted(*_networks(), _late(30 * BLOCK, ragged=True))
    assert shares[-1, 0, SKEW] > 0.0
    assert shares[-1, 0, FORWARD] == 0.0
    assert gains[-1, 0, SKEW] > 2.0
    assert gains[-1, 0, FORWARD] > 2.0
    assert not shares[:-1].any()


@pytest.mark.parametrize("rows", [(LEAST_BLOCKS - 1) * BLOCK, 8 * BLOCK, 60 * BLOCK])
def test_what_is_no_better_is_not_trusted(rows):
    shares, _ = trusted(*_networks(), _late(rows, ragged=rows < LEAST_BLOCKS * BLOCK))
    assert not shares.any()


def test_corrections_can_be_alone():
    shares, _ = trusted(_networks()[0], (), _late(60 * BLOCK, ragged=True))
    assert not shares[-1].any()


def test_what_a_start_trusts_is_kept_where_few_origins_say_nothing():
    known = torch.zeros(4, 1, len(KINDS))
    known[-1, 0, SKEW], known[0, 0, FORWARD] = 0.75, 1.0
    shares, _ = trusted(*_networks(), _late((LEAST_BLOCKS - 1) * BLOCK, ragged=False), known=known)
    assert torch.equal(shares, known)


def test_what_a_start_trusts_is_kept_by_a_gain_of_any_size_and_lost_where_there_is_none():
    """A shape of a ragged base law gains; one that is pulled far off what happens loses."""
    known = torch.zeros(4, 1, len(KINDS))
    known[-1, 0, SKEW] = 1.0
    kept, gains = trusted(*_networks(), _late(8 * BLOCK, ragged=True, seed=1), known=known)
    assert (kept[-1, 0, SKEW] > 0.0) == (gains[-1, 0, SKEW] > 0.0)
    assert kept[-1, 0, SKEW] > 0.0
    late = _late(30 * BLOCK, ragged=False)
    pulled = _networks()[1][0]
    with torch.no_grad():
        pulled.last.bias[-REVERSIONS:] = 3.0
    gone, gains = trusted(_networks()[0], (pulled,), replace(late, gap=late.gap + 5.0), known=known)
    assert gains[-1, 0, SKEW] <= 0.0
    assert not gone[-1].any()
