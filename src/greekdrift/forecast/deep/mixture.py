"""The shape of each cell's law: a mixture of normals about one centre, learnt on its CRPS in closed form.

    F(x) = Σ_k w_k Φ((x − c)/s_k),   c = Σ_j ρ_j gap_j,   s_k = unit · exp(start_k + bounded output)

`unit` is how far the base law's draws of the cell lie from their mean. The mixture says how each factor at each
horizon is distributed; which values come together is the base law's to say: its draws keep their ranks
(`joined`). A bootstrap of few hundred steps has a ragged law of sums of noise that takes itself back; a mixture is
smooth.

Source: mixture density networks, Bishop (1994); CRPS of a mixture of normals, Grimit, Gneiting, Berrocal & Johnson
(2006); reordering by the ranks of an ensemble, Clark et al. (2004), Schefzik, Thorarinsdottir & Gneiting (2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from greekdrift.forecast.deep.network import REVERSIONS

START_LOGITS = (0.5, 0.5, -0.5)
START_LOG_SCALES = (-0.7, -0.1, 0.6)
"""Where the components start: a middle narrower and a tail wider than the unit."""
COMPONENTS = len(START_LOGITS)
GRID = 97
"""Points at which the distribution function is worked out before it is turned round."""
REACH = 6.0
"""Deviations of the widest component that the points span either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Weights, centre and standard deviations of each cell's components, in the state's units; what was said."""

    weight: Float[Tensor, "*cell component"]
    centre: Float[Tensor, "*cell"]
    deviation: Float[Tensor, "*cell component"]
    size: Tensor

    def crps(self, observed: Float[Tensor, "*cell"]) -> Float[Tensor, "*cell"]:
        """E|X − y| − ½ E|X − X′|, exact.

        >>> one = Mixture(weight=torch.tensor([[1.0]]), centre=torch.tensor([0.0]), deviation=torch.tensor([[1.0]]),
        ...               size=torch.tensor(0.0))
        >>> round(float(one.crps(torch.tensor([0.0]))[0]), 6)
        0.233695
        """
        away = _absolute((observed - self.centre)[..., None], self.deviation)
        both = (self.deviation[..., :, None] ** 2 + self.deviation[..., None, :] ** 2).sqrt() * sqrt(2.0 / pi)
        pairs = (self.weight[..., :, None] * self.weight[..., None, :] * both).sum(dim=(-1, -2))
        return (self.weight * away).sum(dim=-1) - 0.5 * pairs

    def quantiles(self, levels: Float[Tensor, " level"]) -> Float[Tensor, "*cell level"]:
        """Values at increasing levels, by linear interpolation of F on a grid that is dense about the centre."""
        knots, widest, cumulated = self.on_grid(levels.dtype)
        widest = widest[..., None]
        upper = torch.searchsorted(cumulated, levels.expand(*cumulated.shape[:-1], -1).contiguous()).clamp(1, GRID - 1)
        left, right = cumulated.gather(-1, upper - 1), cumulated.gather(-1, upper)
        part = ((levels - left) / (right - left).clamp(min=1e-12)).clamp(0.0, 1.0)
        return self.centre[..., None] + widest * (knots[upper - 1] + part * (knots[upper] - knots[upper - 1]))

    def on_grid(
        self, dtype: torch.dtype
    ) -> tuple[Float[Tensor, " knot"], Float[Tensor, "*cell"], Float[Tensor, "*cell knot"]]:
        """Points about the centre in widest deviations, those deviations, and F at the points."""
        knots = torch.linspace(-1.0, 1.0, GRID, dtype=dtype)
        knots = REACH * torch.sinh(3.0 * knots) / torch.sinh(torch.tensor(3.0, dtype=dtype))
        widest = self.deviation.amax(dim=-1, keepdim=True)
        scores = (widest * knots)[..., None, :] / self.deviation[..., None]
        cumulated = (self.weight[..., None] * torch.special.ndtr(scores)).sum(dim=-2)
        return knots, widest[..., 0], cumulated

    def of(self, cells: tuple[Tensor, ...]) -> "Mixture":
        """The mixtures of some cells, by their places on each axis."""
        return Mixture(
            weight=self.weight[cells], centre=self.centre[cells], deviation=self.deviation[cells], size=self.size
        )


class MixtureNetwork(nn.Module):
    """Two hidden layers on standardised inputs; shared, like the correction, by underlyings, factors and horizons."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 2 * COMPONENTS + REVERSIONS)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        x: Float[Tensor, "row horizon underlying factor input"],
        gap: Float[Tensor, "row underlying factor reversion"],
        unit: Float[Tensor, "row horizon underlying factor"],
    ) -> Mixture:
        """The mixture of every cell."""
        hidden = nn.functional.silu(self.first((x - self.mean) / self.deviation))
        said = self.last(nn.functional.silu(self.second(hidden)))
        logits, scales = said[..., :COMPONENTS], said[..., COMPONENTS : 2 * COMPONENTS]
        reversion = torch.tanh(said[..., 2 * COMPONENTS :])
        start = torch.tensor(START_LOG_SCALES, dtype=x.dtype)
        return Mixture(
            weight=torch.softmax(logits + torch.tensor(START_LOGITS, dtype=x.dtype), dim=-1),
            centre=(reversion * gap[:, None]).sum(dim=-1),
            deviation=unit[..., None] * torch.exp(start + torch.tanh(scales)),
            size=(reversion**2).mean() + 0.1 * ((logits**2).mean() + (scales**2).mean()),
        )


def spread(base: Float[Tensor, "row draw *cell"]) -> Float[Tensor, "row *cell"]:
    """√(π/2) times the mean distance of the draws from their mean: the standard deviation where they are normal."""
    return sqrt(0.5 * pi) * (base - base.mean(dim=1, keepdim=True)).abs().mean(dim=1) + 1e-12


def joined(made: Sequence[Mixture], base: Float[Tensor, "row draw *cell"]) -> Float[Tensor, "row draw *cell"]:
    """Draws that follow the mixtures cell by cell, in the order of the base law's draws.

    The i-th smallest draw of a cell becomes the mean over the mixtures of their quantiles at (i + ½)/n.
    """
    count = base.shape[1]
    levels = (torch.arange(count, dtype=base.dtype) + 0.5) / count
    order = base.movedim(1, -1).contiguous().argsort(dim=-1, stable=True)
    values = torch.stack([mixture.quantiles(levels) for mixture in made]).mean(dim=0)
    return torch.empty(order.shape, dtype=base.dtype).scatter_(-1, order, values.to(base.dtype)).movedim(-1, 1)


def _absolute(away: Tensor, deviation: Tensor) -> Tensor:
    """E|away + s Z| of a standard normal Z: 2 s φ(a/s) + a (2 Φ(a/s) − 1)."""
    score = away / deviation
    density = torch.exp(-0.5 * score**2) * (1.0 / sqrt(2.0 * pi))
    return 2.0 * deviation * density + away * (2.0 * torch.special.ndtr(score) - 1.0)
