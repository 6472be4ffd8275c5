"""The fitted drift net: base law, network and how much of it is trusted. Imports torch, never lightning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.features.history import Panel
from greekdrift.forecast import packed
from greekdrift.forecast.deep.network import Correction, DriftNetwork
from greekdrift.forecast.ensemble import PoolPredictor
from greekdrift.forecast.examples import ratio
from greekdrift.forecast.forecaster import checked_horizons, checked_origin, scenarios
from greekdrift.forecast.inputs import NAMES, gaps, inputs, kinds
from greekdrift.forecast.memory import memory, moves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftNetPredictor:
    """Corrects paths of `base` by a share of what the networks say on average.

    `horizons` (hours) are those that the networks were trained on, `shares` by head (scale, reversion, tilt), trained
    horizon and kind of factor (`forecast.inputs.KINDS`); all 0 is `base` itself. Between trained horizons the
    shares are interpolated in ln h, outside the networks are asked for the nearest one.
    """

    kind: ClassVar[str] = "drift_net"

    name: str
    base: PoolPredictor
    networks: tuple[DriftNetwork, ...]
    shares: Float[ndarray, "head horizon kind"]
    horizons: Float[ndarray, " horizon"]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` corrected paths from the last row of the history."""
        hours = checked_horizons(horizons)
        checked_origin(history, underlyings=self.base.lead.underlyings, factors=self.base.lead.factors)
        moved = self._corrected(history, self.base.paths(history, hours, n=n, seed=seed), hours)
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays: the base law, the shares and every network's weights."""
        base, arrays = packed.pack(self.base, path="base.")
        arrays |= {"shares": self.shares, "horizons": self.horizons}
        for member, network in enumerate(self.networks):
            arrays |= {f"network.{member}.{name}": part.numpy() for name, part in network.state_dict().items()}
        config = {"name": self.name, "base": base, "members": len(self.networks), "inputs": list(NAMES)}
        return config, arrays

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The predictor of these values and arrays; one that was trained on other inputs is refused."""
        if tuple(config["inputs"]) != NAMES:
            raise ValueError(f"its inputs are {config['inputs']}")
        return cls(
            name=config["name"],
            base=packed.unpack(PoolPredictor, config["base"], arrays, path="base."),
            networks=tuple(_network(arrays, f"network.{member}.") for member in range(config["members"])),
            shares=arrays["shares"],
            horizons=arrays["horizons"],
        )

    def correction(self, history: Panel, horizons: Float[ndarray, " horizon"]) -> Correction:
        """What the networks say at the last row of a history, already shrunk to the trusted share."""
        scale = self.base.lead.scale
        known = memory(moves(history), scale.clock.memories, last_only=True).repeated(1)
        asked = np.clip(horizons, self.horizons[0], self.horizons[-1])
        seen = inputs(scale, self.base.lead.factors, known, history.state[-1:], history.as_of[-1:], asked)
        with torch.inference_mode():
            said = [network(torch.as_tensor(seen, dtype=torch.float32)) for network in self.networks]
            return average(said).shrunk(self._shares_at(asked))

    def _shares_at(self, asked: Float[ndarray, " asked"]) -> Float[torch.Tensor, "head asked factor"]:
        at = np.interp(np.log(asked), np.log(self.horizons), np.arange(self.horizons.size))
        lower = np.minimum(at.astype(np.int64), max(self.horizons.size - 2, 0))
        upper, part = np.minimum(lower + 1, self.horizons.size - 1), (at - lower)[:, None]
        shares = (1.0 - part) * self.shares[:, lower] + part * self.shares[:, upper]
        return torch.as_tensor(shares @ kinds(self.base.lead.factors).T, dtype=torch.float32)

    def _corrected(self, history: Panel, walked: ndarray, hours: ndarray) -> ndarray:
        if not np.any(self.shares):
            return walked
        scale = self.base.lead.scale
        known = memory(moves(history), scale.clock.memories, last_only=True).repeated(1)
        with torch.inference_mode():
            moved = self.correction(history, hours).apply(
                torch.as_tensor(walked[None]),
                torch.as_tensor(gaps(scale, known)),
                torch.as_tensor(ratio(scale, known, history.state[-1:], history.as_of[-1:])),
                scale.forward,
            )
        return moved[0].numpy()


def average(said: Sequence[Correction]) -> Correction:
    """Mean of several corrections."""
    return Correction(
        log_scale=torch.stack([one.log_scale for one in said]).mean(dim=0),
        reversion=torch.stack([one.reversion for one in said]).mean(dim=0),
        tilt=torch.stack([one.tilt for one in said]).mean(dim=0),
    )


def _network(arrays: Mapping[str, ndarray], prefix: str) -> DriftNetwork:
    """A network from its weights, whose shapes say how wide it is."""
    weights = {
        name.removeprefix(prefix): torch.as_tensor(np.array(array, dtype=np.float32))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    width, inputs_ = weights["first.weight"].shape
    network = DriftNetwork(inputs=inputs_, width=width)
    network.load_state_dict(weights)
    return network.eval()
