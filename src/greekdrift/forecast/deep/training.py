"""The drift net's fit: base law, two kinds of network on top of it, and how far later origins bear them out.

The later two fifths of the origins (purged) says when to stop (`loop`) and how much to trust (`trust`); what is trusted
is then trained once more on all origins. Where nothing helps, the drift net is its base law.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.deep.loop import (
    COLUMNS,
    Loop,
    Objective,
    Recorder,
    Schedule,
    Tensors,
    bends,
    quiet,
    shapes,
)
from greekdrift.forecast.deep.mixture import MixtureNetwork, spread
from greekdrift.forecast.deep.network import DriftNetwork
from greekdrift.forecast.deep.predictor import DriftNetPredictor
from greekdrift.forecast.deep.trust import ALL_HEADS, trusted
from greekdrift.forecast.ensemble import LAWS, Pool
from greekdrift.forecast.examples import Examples, examples
from greekdrift.forecast.forecaster import checked_horizons
from greekdrift.forecast.inputs import KINDS, NAMES, kinds

Net = TypeVar("Net", DriftNetwork, MixtureNetwork)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftNet:
    """The drift net: corrections and shapes of a pool of filtered historical laws, learnt on proper scores.

    `horizons` (hours) are those that it is trained on, `laws` the pool that it corrects (`forecast.ensemble`).
    `members` networks of each kind from different seeds are averaged. The pool is drawn `draws` times per origin, of
    which each step of training sees `batch_draws`. Without `shape` the corrections are alone.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    horizons: tuple[float, ...] = (6.0, 12.0, 24.0)
    laws: tuple[str, ...] = LAWS
    shape: bool = True
    width: int = 24
    members: int = 2
    draws: int = 32
    batch_draws: int = 12
    batch: int = 48
    epochs: int = 40
    patience: int = 8
    rate: float = 1e-3
    penalty: float = 0.1
    seed: int = 0
    threads: int = 1
    recorder: Recorder | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        checked_horizons(self.horizons)
        Pool(laws=self.laws)
        for name in ("width", "members", "batch", "epochs", "patience", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"drift net: {name} {getattr(self, name)} must be at least 1.")
        if not 2 <= self.batch_draws <= self.draws:
            raise InputError(f"drift net: batch_draws {self.batch_draws} must lie between 2 and draws, {self.draws}.")
        if not (self.rate > 0.0 and self.penalty >= 0.0):
            raise InputError(f"drift net: rate {self.rate} must be positive, penalty {self.penalty} not negative.")

    @property
    def name(self) -> str:
        """`drift_net`."""
        return "drift_net"

    @property
    def schedule(self) -> Schedule:
        """What a training loop needs to know."""
        return Schedule(
            batch=self.batch,
            batch_draws=self.batch_draws,
            epochs=self.epochs,
            patience=self.patience,
            rate=self.rate,
            penalty=self.penalty,
        )

    def fit(self, panel: Panel) -> DriftNetPredictor:
        """Base law on the panel, then the networks on its complete origins."""
        base = Pool(laws=self.laws).fit(panel)
        made = examples(base, panel, horizons=self.horizons, draws=self.draws, seed=self.seed)
        early, late = inner_split(made)
        with quiet(self.threads):
            size = size_of(made, early)
            seen, later, everything = (
                tensors(made, rows, size, panel.factors) for rows in (early, late, np.arange(len(made)))
            )
            bent = self._trained(DriftNetwork, bends, seen, later)
            shaped = self._trained(MixtureNetwork, shapes, seen, later) if self.shape else ()
            shares, gains = trusted(_networks(bent), _networks(shaped), later)
            if shares[:-1].any():
                bent = self._again(DriftNetwork, bends, everything, bent)
            if shares[-1].any():
                shaped = self._again(MixtureNetwork, shapes, everything, shaped)
        self._record(len(made), shares, gains)
        return DriftNetPredictor(
            name=self.name,
            base=base,
            networks=_networks(bent),
            mixtures=_networks(shaped),
            shares=shares.numpy().astype(np.float64),
            horizons=np.array(self.horizons, dtype=np.float64),
        )

    def _trained(
        self, kind: Callable[..., Net], objective: Objective, seen: Tensors, later: Tensors
    ) -> tuple[tuple[Net, int], ...]:
        """The members, each with the number of steps after which it was best on the `later` origins."""
        return tuple(self._one(kind, objective, seen, member=member, later=later) for member in range(self.members))

    def _again(
        self, kind: Callable[..., Net], objective: Objective, seen: Tensors, tried: tuple[tuple[Net, int], ...]
    ) -> tuple[tuple[Net, int], ...]:
        """The members on more origins for as many steps as before."""
        return tuple(
            self._one(kind, objective, seen, member=member, steps=steps) for member, (_, steps) in enumerate(tried)
        )

    def _one(
        self,
        kind: Callable[..., Net],
        objective: Objective,
        seen: Tensors,
        *,
        member: int,
        later: Tensors | None = None,
        steps: int = 0,
    ) -> tuple[Net, int]:
        seed = 1000 * self.seed + member
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            network = kind(inputs=len(NAMES), width=self.width)
            standardise(network, seen.inputs)
            loop = Loop(
                network, seen, later, objective=objective, schedule=self.schedule, seed=seed, recorder=self.recorder
            )
            loop.run(steps=steps)
        return network, loop.best_steps

    def _record(self, origins: int, shares: Tensor, gains: Tensor) -> None:
        if self.recorder is None:
            return
        self.recorder.params({"origins": origins, "trained_horizons": self.horizons})
        for name, table in (("trusted", shares), ("gain_se", gains)):
            cells = {
                f"{name}_{head}_{kind}": float(table[row, :, column].mean())
                for row, head in enumerate(ALL_HEADS)
                for column, kind in enumerate(KINDS)
            }
            self.recorder.metrics(cells, step=self.epochs)


def inner_split(made: Examples, *, late_share: float = 0.4) -> tuple[ndarray, ndarray]:
    """Earlier and later origins; an earlier one whose target reaches into the later stretch is left out."""
    first_late = int(len(made) * (1.0 - late_share))
    late = np.arange(first_late, len(made))
    early = np.flatnonzero(made.last[:first_late] <= made.origin[first_late])
    return early, late


def size_of(made: Examples, rows: ndarray) -> ndarray:
    """Robust size of each factor at each horizon: 0.74 times the interquartile range, not below a tenth of the s.d."""
    observed = made.observed[rows]
    spread_ = 0.74 * np.subtract(*np.quantile(observed, (0.75, 0.25), axis=0))
    return np.maximum(spread_, 0.1 * observed.std(axis=0)) + 1e-9


def standardise(network: DriftNetwork | MixtureNetwork, seen: Tensor) -> None:
    """Sets the network's input means and deviations from what it will be trained on."""
    flat = seen.flatten(end_dim=-2)
    deviation = flat.std(dim=0)
    network.mean.copy_(flat.mean(dim=0))
    network.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))


def tensors(made: Examples, rows: ndarray, size: ndarray, factors: tuple[str, ...]) -> Tensors:
    """Some rows of examples as tensors."""
    part = made.rows(rows)
    columns = {name: torch.as_tensor(getattr(part, name), dtype=torch.float32) for name in COLUMNS if name != "unit"}
    kind = torch.as_tensor(kinds(factors), dtype=torch.float32)
    weight = (kind / kind.sum(dim=0).clamp(min=1.0)).sum(dim=1)
    return Tensors(
        **columns,
        unit=spread(columns["base"]),
        size=torch.as_tensor(size, dtype=torch.float32),
        weight=weight / weight.sum() / made.observed.shape[2],
        kind=kind,
        forward=factors.index("forward"),
        block=2 * int(np.max(made.last - made.origin)),
    )


def _networks(trained: tuple[tuple[Net, int], ...]) -> tuple[Net, ...]:
    return tuple(network for network, _ in trained)
