"""How far a trained net is trusted: head by head, horizon by horizon, kind by kind, on origins later than its own.

A share counts only if it lowers the CRPS of a kind's factors by more than `NEEDED_GAIN` standard errors of the mean
over blocks of origins twice as long as the longest target. Where nothing helps, the share is 0 and the net is its base.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from greekdrift.forecast.deep.loop import Tensors, bent
from greekdrift.forecast.deep.mixture import MixtureNetwork, joined
from greekdrift.forecast.deep.network import HEAD_GROUPS, HEAD_NAMES, DriftNetwork, energy
from greekdrift.forecast.deep.predictor import average
from greekdrift.forecast.inputs import KINDS

SHARES = (0.25, 0.5, 0.75, 1.0)
NEEDED_GAIN = 2.0
"""Standard errors by which a head must gain on later origins to be trusted."""
LEAST_BLOCKS = 5
KEPT_KINDS = ("forward", "atm")
"""Kinds that keep the base law's shape: what they gained on later origins did not reach the Greeks of books."""
ALL_HEADS = (*HEAD_NAMES, "shape")

Losses = Float[Tensor, "block horizon kind"]


def trusted(
    networks: Sequence[DriftNetwork],
    mixtures: Sequence[MixtureNetwork],
    late: Tensors,
    *,
    known: Float[Tensor, "head horizon kind"] | None = None,
) -> tuple[Float[Tensor, "head horizon kind"], Float[Tensor, "head horizon kind"]]:
    """Shares of scale, reversion, tilt and shape, and the gains in standard errors that they rest on.

    The first three one after the other, each with those before it in place; the shape against the base law itself.
    What `known` shares of the networks' start trust is trusted unless later origins gainsay it, also where there are
    too few of them to say anything.
    """
    horizons, kinds_ = late.observed.shape[1], late.kind.shape[1]
    shares, gains = (torch.zeros(len(ALL_HEADS), horizons, kinds_) for _ in range(2))
    base = late.base / late.size
    loss = _by_kind(base, late)
    if len(loss) < LEAST_BLOCKS:
        return (shares if known is None else known), gains
    needed = torch.full_like(shares, NEEDED_GAIN) if known is None else NEEDED_GAIN * (known == 0.0)
    with torch.inference_mode():
        said = average([network(late.inputs) for network in networks])
        so_far = loss
        for head in range(HEAD_GROUPS):
            tried = shares[:HEAD_GROUPS].clone()

            def of(share: float, tried: Tensor = tried, head: int = head) -> Losses:
                tried[head] = share
                return _by_kind(bent(said.shrunk(tried @ late.kind.T), late)[0], late)

            shares[head], gains[head], so_far = _chosen(so_far, of, needed[head])
        if not mixtures:
            return shares, gains
        made = [mixture(late.inputs, late.gap, late.unit) for mixture in mixtures]
        shaped = joined(made, late.base) / late.size
        shares[-1], gains[-1], _ = _chosen(
            loss, lambda share: _by_kind(base + share * (shaped - base), late), needed[-1]
        )
    shares[-1, :, [KINDS.index(kind) for kind in KEPT_KINDS]] = 0.0
    return shares, gains


def _chosen(
    loss: Losses, of: Callable[[float], Losses], needed: Float[Tensor, "horizon kind"]
) -> tuple[Tensor, Tensor, Losses]:
    """Best share of each horizon and kind or 0, its gain in standard errors, and the losses with it."""
    losses = torch.stack([of(share) for share in SHARES])
    gain = loss - losses
    error = gain.std(dim=1) / gain.shape[1] ** 0.5 + 1e-12
    best = gain.mean(dim=1).argmax(dim=0, keepdim=True)
    gains = (gain.mean(dim=1) / error).gather(0, best)[0]
    is_trusted = gains > needed
    chosen = losses.gather(0, best[:, None].expand(1, *loss.shape))[0]
    shares = torch.where(is_trusted, torch.tensor(SHARES)[best[0]], 0.0)
    return shares, gains, torch.where(is_trusted, chosen, loss)


def _by_kind(drawn: Float[Tensor, "row draw horizon underlying factor"], late: Tensors) -> Losses:
    """Mean CRPS of each kind's standardised cells, averaged over blocks of neighbouring origins."""
    cells = energy(drawn, late.observed / late.size, axes=0).mean(dim=2)
    loss = cells @ late.kind / late.kind.sum(dim=0).clamp(min=1.0)
    return torch.stack([block.mean(dim=0) for block in loss.tensor_split(max(1, len(late) // late.block))])
