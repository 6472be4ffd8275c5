"""The fitted drift net: base law, conditional mean, networks and how far they are trusted.

    x = m̂(h) + net(x̄(h) + √(1 − R²(h)) (B − x̄(h)))

B are the pool's paths and x̄ their mean, m̂ and R² those of `forecast.mean_regression`; the net corrects or reshapes
what the mean leaves. Imports torch, never lightning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast import packed
from greekdrift.forecast.deep.mixture import MixtureNetwork, joined, spread
from greekdrift.forecast.deep.network import HEAD_GROUPS, Correction, DriftNetwork
from greekdrift.forecast.ensemble import CommonPoolPredictor, PoolPredictor
from greekdrift.forecast.examples import ratio
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.inputs import NAMES, gaps, inputs, kinds
from greekdrift.forecast.mean_regression import MeanRegression
from greekdrift.forecast.memory import Memory, memory, moves

BASES: Mapping[str, type[PoolPredictor]] = {one.kind: one for one in (PoolPredictor, CommonPoolPredictor)}
"""What a drift net may stand on."""

Net = TypeVar("Net", DriftNetwork, MixtureNetwork)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftNetPredictor:
    """Paths of `base`, corrected by a share of what the networks say on average, or given the mixtures' shape.

    `means`, where there are any, are taken for known before and added after that.
    `horizons` (hours) are those that the networks were trained on, `shares` by head (scale, reversion, tilt, shape),
    trained horizon and kind of factor (`forecast.inputs.KINDS`); all 0 is `base` itself. Where a shape is trusted it
    takes the place of the correction. Between trained horizons the shares are interpolated in ln h, outside the
    networks are asked for the nearest one.
    """

    kind: ClassVar[str] = "drift_net"

    name: str
    base: PoolPredictor
    means: MeanRegression | None = None
    networks: tuple[DriftNetwork, ...]
    mixtures: tuple[MixtureNetwork, ...]
    shares: Float[ndarray, "head horizon kind"]
    horizons: Float[ndarray, " horizon"]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` corrected paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.base.lead.underlyings, factors=self.base.lead.factors)
        walked = self.base.paths(history, hours, n=n, seed=seed)
        if self.means is None or not np.any(self.means.shares):
            moved = self._corrected(history, walked, hours)
        else:
            left = self.means.around(walked, walked.mean(axis=0), 0.0, hours)
            moved = self._corrected(history, left, hours) + self.means.mean(history, hours)
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays: the base law, the means, the shares and every network's weights."""
        base, arrays = packed.pack(self.base, path="base.")
        means = None
        if self.means is not None:
            means, mean_arrays = packed.pack(self.means, path="means.")
            arrays |= mean_arrays
        networks, weights = write_networks(self.networks, self.mixtures)
        arrays |= weights | {"shares": self.shares, "horizons": self.horizons}
        return {"name": self.name, "base": base, "base_kind": self.base.kind, "means": means, **networks}, arrays

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The predictor of these values and arrays; one that was trained on other inputs is refused."""
        networks, mixtures = read_networks(config, arrays)
        shares = arrays["shares"]
        if "mixtures" not in config:  # written before there were shapes
            shares = np.concatenate([shares, np.zeros_like(shares[:1])])
        means = config.get("means")  # absent, like the kind of the base, where it was written before there were any
        return cls(
            name=config["name"],
            base=packed.unpack(BASES[config.get("base_kind", "pool")], config["base"], arrays, path="base."),
            means=None if means is None else packed.unpack(MeanRegression, means, arrays, path="means."),
            networks=networks,
            mixtures=mixtures,
            shares=shares,
            horizons=arrays["horizons"],
        )

    def correction(self, history: Panel, horizons: Float[ndarray, " horizon"]) -> Correction:
        """What the networks say at the last row of a history, already shrunk to the trusted share."""
        with torch.inference_mode():
            return self._said(self._seen(history, self._known(history), horizons), self._shares_at(horizons))

    def _said(self, seen: torch.Tensor, shares: Float[torch.Tensor, "head asked factor"]) -> Correction:
        return average([network(seen) for network in self.networks]).shrunk(shares[:HEAD_GROUPS])

    def _seen(self, history: Panel, known: Memory, hours: Float[ndarray, " asked"]) -> torch.Tensor:
        scale = self.base.lead.scale
        asked = np.clip(hours, self.horizons[0], self.horizons[-1])
        seen = inputs(scale, self.base.lead.factors, known, history.state[-1:], history.as_of[-1:], asked)
        return torch.as_tensor(seen, dtype=torch.float32)

    def _known(self, history: Panel) -> Memory:
        return memory(moves(history), self.base.lead.scale.clock.memories, last_only=True).repeated(1)

    def _shares_at(self, hours: Float[ndarray, " asked"]) -> Float[torch.Tensor, "head asked factor"]:
        asked = np.clip(hours, self.horizons[0], self.horizons[-1])
        at = np.interp(np.log(asked), np.log(self.horizons), np.arange(self.horizons.size))
        lower = np.minimum(at.astype(np.int64), max(self.horizons.size - 2, 0))
        upper, part = np.minimum(lower + 1, self.horizons.size - 1), (at - lower)[:, None]
        shares = (1.0 - part) * self.shares[:, lower] + part * self.shares[:, upper]
        return torch.as_tensor(shares @ kinds(self.base.lead.factors).T, dtype=torch.float32)

    def _corrected(self, history: Panel, walked: ndarray, hours: ndarray) -> ndarray:
        if not np.any(self.shares):
            return walked
        scale, known = self.base.lead.scale, self._known(history)
        with torch.inference_mode():
            seen, shares = self._seen(history, known, hours), self._shares_at(hours)
            base, gap = torch.as_tensor(walked[None]), torch.as_tensor(gaps(scale, known))
            moved = base
            if shares[:HEAD_GROUPS].any():
                relative = torch.as_tensor(ratio(scale, known, history.state[-1:], history.as_of[-1:]))
                moved = self._said(seen, shares).apply(base, gap, relative, scale.forward)
            return self._shaped(seen, base, moved, gap, shares[-1])[0].numpy()

    def _shaped(
        self,
        seen: torch.Tensor,
        base: torch.Tensor,
        moved: torch.Tensor,
        gap: torch.Tensor,
        share: Float[torch.Tensor, "asked factor"],
    ) -> torch.Tensor:
        """The draws `moved`, but where a shape is trusted a share of the way from the base law to the mixtures."""
        some = torch.nonzero(share.any(dim=0)).flatten()
        if some.numel() == 0:
            return moved
        few, cells = base[..., some], seen[..., some, :]
        unit = spread(few).float()
        made = joined([mixture(cells, gap[:, :, some].float(), unit) for mixture in self.mixtures], few)
        shaped = few + share[:, None, some] * (made - few)
        moved = moved.clone() if moved is base else moved
        moved[..., some] = torch.where(share[:, None, some] > 0.0, shaped, moved[..., some])
        return moved


def average(said: Sequence[Correction]) -> Correction:
    """Mean of several corrections."""
    return Correction(
        log_scale=torch.stack([one.log_scale for one in said]).mean(dim=0),
        reversion=torch.stack([one.reversion for one in said]).mean(dim=0),
        tilt=torch.stack([one.tilt for one in said]).mean(dim=0),
    )


def write_networks(
    networks: Sequence[DriftNetwork], mixtures: Sequence[MixtureNetwork]
) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """How many networks of either kind and of which inputs, and their weights."""
    weights = {
        f"{kind}.{member}.{name}": part.numpy()
        for kind, members in (("network", networks), ("mixture", mixtures))
        for member, network in enumerate(members)
        for name, part in network.state_dict().items()
    }
    return {"members": len(networks), "mixtures": len(mixtures), "inputs": list(NAMES)}, weights


def read_networks(
    config: Mapping[str, Any], arrays: Mapping[str, ndarray]
) -> tuple[tuple[DriftNetwork, ...], tuple[MixtureNetwork, ...]]:
    """The networks of these values and weights; those that were trained on other inputs are refused."""
    if tuple(config["inputs"]) != NAMES:
        raise ValueError(f"its inputs are {config['inputs']}")
    return (
        tuple(_read(DriftNetwork, arrays, f"network.{member}.") for member in range(config["members"])),
        tuple(_read(MixtureNetwork, arrays, f"mixture.{member}.") for member in range(config.get("mixtures", 0))),
    )


def _read(kind: type[Net], arrays: Mapping[str, ndarray], prefix: str) -> Net:
    """A network from its weights, whose shapes say how wide it is."""
    weights = {
        name.removeprefix(prefix): torch.as_tensor(np.array(array, dtype=np.float32))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    width, inputs_ = weights["first.weight"].shape
    network = kind(inputs=inputs_, width=width)
    network.load_state_dict(weights)
    return network.eval()
