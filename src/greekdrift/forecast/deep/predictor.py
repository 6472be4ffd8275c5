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
from greekdrift.forecast.deep import draw_kernel
from greekdrift.forecast.deep.mixture import MixtureNetwork
from greekdrift.forecast.deep.network import HEAD_GROUPS, Correction, DriftNetwork
from greekdrift.forecast.ensemble import CommonPoolPredictor, PoolPredictor
from greekdrift.forecast.examples import ratio
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.inputs import NAMES, gaps, inputs, kinds
from greekdrift.forecast.mean_regression import MeanRegression
from greekdrift.forecast.memory import Memory, Recall

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
        recall = Recall(history)
        walked = self.base.paths(history, hours, n=n, seed=seed, recall=recall)
        moved = self._moved(recall, walked, hours) if np.any(self.shares) else self._centred(recall, walked, hours)
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
            return self._said(self._seen(Recall(history), horizons), self._shares_at(horizons))

    def _said(self, seen: torch.Tensor, shares: Float[torch.Tensor, "head asked factor"]) -> Correction:
        return average([network(seen) for network in self.networks]).shrunk(shares[:HEAD_GROUPS])

    def _seen(self, recall: Recall, hours: Float[ndarray, " asked"]) -> torch.Tensor:
        scale, history = self.base.lead.scale, recall.history
        asked = np.clip(hours, self.horizons[0], self.horizons[-1])
        known = self._known(recall)
        seen = inputs(scale, self.base.lead.factors, known, history.state[-1:], history.as_of[-1:], asked)
        return torch.as_tensor(seen, dtype=torch.float32)

    def _known(self, recall: Recall) -> Memory:
        return recall.at(self.base.lead.scale.clock.memories).repeated(1)

    def _shares_at(self, hours: Float[ndarray, " asked"]) -> Float[torch.Tensor, "head asked factor"]:
        asked = np.clip(hours, self.horizons[0], self.horizons[-1])
        at = np.interp(np.log(asked), np.log(self.horizons), np.arange(self.horizons.size))
        lower = np.minimum(at.astype(np.int64), max(self.horizons.size - 2, 0))
        upper, part = np.minimum(lower + 1, self.horizons.size - 1), (at - lower)[:, None]
        shares = (1.0 - part) * self.shares[:, lower] + part * self.shares[:, upper]
        return torch.as_tensor(shares @ kinds(self.base.lead.factors).T, dtype=torch.float32)

    def _centred(self, recall: Recall, walked: ndarray, hours: ndarray) -> ndarray:
        """The base's draws about the mean."""
        if self.means is None or not np.any(self.means.shares):
            return walked
        left = self.means.around(walked, walked.mean(axis=0), 0.0, hours)
        left += self.means.mean(recall.history, hours, recall=recall)
        return left

    def _moved(self, recall: Recall, walked: ndarray, hours: ndarray) -> ndarray:
        """The base's draws about the mean, bent, and given the mixtures' shape where that is trusted.

        `walked`, which is nobody else's, is overwritten.
        """
        walked, n, cells = np.ascontiguousarray(walked), len(walked), walked.shape[1:]
        width, offset, mean = self._around(recall, walked, hours)
        with torch.inference_mode():
            seen, shares = self._seen(recall, hours), self._shares_at(hours)
            bend = self._bend(recall, seen, shares)
            share = np.broadcast_to(shares[-1].numpy()[:, None, :], cells).astype(np.float64)
            trusted = np.flatnonzero(share > 0.0)
            places = np.full(share.size, -1)
            places[trusted] = np.arange(trusted.size)
            columns = np.empty((trusted.size, n))
            forward = self.base.lead.scale.forward
            draw_kernel.bent(walked, width, offset, *bend, mean, forward, places.reshape(cells), columns)
            if trusted.size:
                grid = self._grid(recall, seen, trusted, columns, cells)
                levels, order = (np.arange(n) + 0.5) / n, draw_kernel.roughly_ordered(columns)
                draw_kernel.shaped(columns, order, share.ravel()[trusted], levels, *grid)
                draw_kernel.put_back(columns, trusted, mean.ravel(), walked.reshape(n, -1))
        return walked

    def _around(self, recall: Recall, walked: ndarray, hours: ndarray) -> tuple[ndarray, ndarray, ndarray]:
        """Width and offset of what the mean leaves of each cell's draws, and the mean itself."""
        cells = walked.shape[1:]
        if self.means is None or not np.any(self.means.shares):
            nothing = np.full(cells, draw_kernel.NOTHING)
            return np.ones(cells), nothing, nothing
        width = np.ascontiguousarray(np.broadcast_to(self.means.width(hours)[:, None, :], cells))
        offset = self.means.around(np.zeros(cells), walked.mean(axis=0), 0.0, hours)
        return width, offset, self.means.mean(recall.history, hours, recall=recall)

    def _bend(
        self, recall: Recall, seen: torch.Tensor, shares: Float[torch.Tensor, "head asked factor"]
    ) -> tuple[ndarray, ndarray, ndarray, bool]:
        """Scale, centre and tilt of the correction at each cell, and whether there is any."""
        cells = seen.shape[1:4]
        if not shares[:HEAD_GROUPS].any():
            nothing = np.zeros(cells)
            return nothing, nothing, nothing, False
        scale, known, history = self.base.lead.scale, self._known(recall), recall.history
        relative = torch.as_tensor(ratio(scale, known, history.state[-1:], history.as_of[-1:]))
        said = self._said(seen, shares)
        parts = said.affine(torch.as_tensor(gaps(scale, known)), relative)
        bend, centre, tilt = (np.ascontiguousarray(part[0].double().numpy()) for part in parts)
        return bend, centre, tilt, True

    def _grid(
        self, recall: Recall, seen: torch.Tensor, trusted: ndarray, columns: ndarray, cells: tuple[int, ...]
    ) -> tuple[ndarray, ndarray, ndarray, ndarray]:
        """The mixtures of the trusted cells on their grid: knots, widest deviations, centres, F (see `draw_kernel`)."""
        at = np.unravel_index(trusted, cells)
        some, among = np.unique(at[-1], return_inverse=True)
        unit = np.ones((1, *cells[:-1], some.size), dtype=np.float32)
        unit[0, at[0], at[1], among] = draw_kernel.spread(columns)
        gap = torch.as_tensor(gaps(self.base.lead.scale, self._known(recall))[:, :, some], dtype=torch.float32)
        few, size = seen[..., some, :], torch.as_tensor(unit)
        made = [mixture(few, gap, size).of((0, at[0], at[1], among)) for mixture in self.mixtures]
        grids = [one.on_grid(torch.float64) for one in made]
        return (
            grids[0][0].numpy(),
            np.stack([widest.double().numpy() for _, widest, _ in grids]),
            np.stack([one.centre.double().numpy() for one in made]),
            np.stack([cumulated.numpy() for *_, cumulated in grids]),
        )


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
