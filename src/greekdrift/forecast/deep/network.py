"""The drift net itself: what it computes and the score it is trained on. Torch alone, so that serving stays light.

A path of the base law (filtered historical simulation), B, is corrected factor by factor:
    X = μ + m B + c (σ/σ_forward) B_forward,   μ = Σ_k ρ_k gap_k
m = exp(tanh-bounded output) scales, ρ pulls towards the level of the last day, week and month, c tilts a factor with
the return. The noise is the bootstrapped past, so that tails and co-movement come from data; the network only
bends them. With its last layer at zero it is the identity: X = B.

Source: noise-conditioned generators trained on the energy score, Pacchiardi, Adewoyin, Dueben & Dutta (2024);
fair energy score, Gneiting & Raftery (2007) with pairs i ≠ j.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

REVERSIONS = 3
HEADS = 1 + REVERSIONS + 1
HEAD_NAMES = ("scale", "reversion", "tilt")
HEAD_GROUPS = len(HEAD_NAMES)
MOST_SCALE = 0.7
MOST_TILT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What the network says about each factor: ln m, ρ and c."""

    log_scale: Float[Tensor, "row horizon underlying factor"]
    reversion: Float[Tensor, "row horizon underlying factor reversion"]
    tilt: Float[Tensor, "row horizon underlying factor"]

    def shrunk(self, shares: Float[Tensor, "3 horizon factor"]) -> "Correction":
        """A share of each head (scale, reversion, tilt) at each horizon for each factor; 0 is the identity."""
        scale, reversion, tilt = shares[:, None, :, None, :]
        return Correction(
            log_scale=scale * self.log_scale,
            reversion=reversion[..., None] * self.reversion,
            tilt=tilt * self.tilt,
        )

    def size(self) -> Tensor:
        """Mean square of everything the network says: what the penalty counts."""
        return (self.log_scale**2).mean() + (self.reversion**2).mean() + (self.tilt**2).mean()

    def apply(
        self,
        base: Float[Tensor, "row draw horizon underlying factor"],
        gap: Float[Tensor, "row underlying factor reversion"],
        ratio: Float[Tensor, "row underlying factor"],
        forward: int,
    ) -> Float[Tensor, "row draw horizon underlying factor"]:
        """Corrected draws; `ratio` is σ/σ_forward at the origin, 0 for the forward itself."""
        scale, centre, tilt = self.affine(gap, ratio)
        tilted = tilt[:, None] * base[..., forward : forward + 1]
        return centre[:, None] + scale[:, None] * base + tilted

    def affine(
        self, gap: Float[Tensor, "row underlying factor reversion"], ratio: Float[Tensor, "row underlying factor"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """m, μ and c σ/σ_forward of each cell: what draws are multiplied by, moved by and tilted by."""
        centre = (self.reversion * gap[:, None]).sum(dim=-1)
        return torch.exp(self.log_scale), centre, self.tilt * ratio[:, None]


class DriftNetwork(nn.Module):
    """Two hidden layers on standardised inputs, shared by all underlyings, factors and horizons."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, HEADS)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Float[Tensor, "row horizon underlying factor input"]) -> Correction:
        """The correction at each row, horizon, underlying and factor; every output is bounded."""
        hidden = nn.functional.silu(self.first((x - self.mean) / self.deviation))
        said = self.last(nn.functional.silu(self.second(hidden)))
        return Correction(
            log_scale=MOST_SCALE * torch.tanh(said[..., 0]),
            reversion=torch.tanh(said[..., 1 : 1 + REVERSIONS]),
            tilt=MOST_TILT * torch.tanh(said[..., -1]),
        )


def energy(
    draws: Float[Tensor, "row draw *axes"], observed: Float[Tensor, "row *axes"], *, axes: int
) -> Float[Tensor, "row *kept"]:
    """Fair energy score over the last `axes` axes, in root mean squares over their cells.

    mean |X_i − y| − ½ mean_{i≠j} |X_i − X_j|. With `axes=0` it is the fair CRPS of every cell.
    """
    if axes == 0:
        return (draws - observed[:, None]).abs().mean(dim=1) - 0.5 * mean_difference(draws)
    left, right = torch.triu_indices(draws.shape[1], draws.shape[1], offset=1)
    distance = _norm(draws - observed[:, None], axes).mean(dim=1)
    return distance - 0.5 * _norm(draws[:, left] - draws[:, right], axes).mean(dim=1)


def mean_difference(draws: Float[Tensor, "row draw *axes"]) -> Float[Tensor, "row *axes"]:
    """Mean |X_i − X_j| over the pairs i ≠ j, from sorted draws: 2/(n(n−1)) Σ (2i − n − 1) X_(i).

    >>> float(mean_difference(torch.tensor([[1.0, 4.0, 2.0]]))[0])
    2.0
    """
    count = draws.shape[1]
    ranks = 2.0 * torch.arange(1, count + 1, dtype=draws.dtype) - count - 1.0
    ordered = draws.sort(dim=1).values.movedim(1, -1)
    return ordered @ ranks * (2.0 / (count * (count - 1.0)))


def _norm(difference: Tensor, axes: int) -> Tensor:
    flat = difference.flatten(start_dim=difference.dim() - axes)
    return (flat.square().mean(dim=-1) + 1e-12).sqrt()
