"""The drift net's fit: base law, conditional mean, two kinds of network on top, and how far later origins bear them.

The later two fifths of the origins (purged) says when to stop (`loop`) and how much to trust (`trust`); what is trusted
is then trained once more on all origins. Where nothing helps, the drift net is its base law about the trusted mean.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import mean_regression
from greekdrift.forecast.artefact import digest, load_start
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
from greekdrift.forecast.deep.start import Start
from greekdrift.forecast.deep.trust import ALL_HEADS, trusted
from greekdrift.forecast.ensemble import Pool, PoolPredictor
from greekdrift.forecast.examples import Examples, examples, residual
from greekdrift.forecast.forecaster import checked_horizons
from greekdrift.forecast.inputs import KINDS, NAMES, kinds
from greekdrift.forecast.mean_regression import MeanRegression
from greekdrift.forecast.steps import usual_horizons

Net = TypeVar("Net", DriftNetwork, MixtureNetwork)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftNet:
    """The drift net: corrections and shapes of a pool of filtered historical laws, learnt on proper scores.

    `horizons` (hours) are those that it is trained on, `laws` the pool that it corrects (`forecast.ensemble`), on
    `common` draws or not. `centred`: the conditional mean (`forecast.mean_regression`) comes first, and the networks
    learn from what it leaves. `members` networks of each kind from different seeds are averaged. The pool is drawn
    `draws` times per origin, of which each step of training sees `batch_draws`. Without `shape` the corrections are
    alone. `start` is a folder of networks and means that were learnt elsewhere (`deep.start`), from which it learns.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    horizons: tuple[float, ...] = (6.0, 12.0, 24.0)
    laws: tuple[str, ...] = ("hari", "front-flat:pool")
    common: bool = True
    centred: bool = True
    shape: bool = True
    start: str = ""
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
    start_digest: str = field(init=False, default="")
    """SHA-256 of the start: what tells two nets apart that start from one folder at different times."""

    def __post_init__(self) -> None:
        checked_horizons(self.horizons)
        Pool(laws=self.laws)
        if self.start:
            object.__setattr__(self, "start_digest", digest(self.start))
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
        """Base law and means on the panel, then the networks on its complete origins."""
        base = Pool(laws=self.laws, common=self.common).fit(panel)
        start = self._started(base, panel)
        made = examples(base, panel, horizons=self.horizons, draws=self.draws, seed=self.seed)
        means = self._means(panel, start)
        if means is not None and np.any(means.shares):
            made = residual(made, means, panel, horizons=self.horizons)
        early, late = inner_split(made)
        with quiet(self.threads):
            size = size_of(made, early)
            seen, later, everything = (
                tensors(made, rows, size, panel.factors) for rows in (early, late, np.arange(len(made)))
            )
            new_bent, new_shaped = self._new(start, seen)
            bent = self._trained(new_bent, bends, seen, later)
            shaped = self._trained(new_shaped, shapes, seen, later)
            known = None if start is None else start.known
            shares, gains = trusted(_networks(bent), _networks(shaped), later, known=known)
            if shares[:-1].any():
                bent = self._again(new_bent, bends, everything, bent)
            if shares[-1].any():
                shaped = self._again(new_shaped, shapes, everything, shaped)
        self._record(len(made), shares, gains)
        return DriftNetPredictor(
            name=self.name,
            base=base,
            means=means,
            networks=_networks(bent),
            mixtures=_networks(shaped),
            shares=shares.numpy().astype(np.float64),
            horizons=np.array(self.horizons, dtype=np.float64),
        )

    def _started(self, base: PoolPredictor, panel: Panel) -> Start | None:
        """What was learnt elsewhere, if it fits the panel and the net."""
        if not self.start:
            return None
        start: Start = load_start(self.start)
        start.check(panel, has_calendar=base.lead.scale.clock.has_calendar, horizons=self.horizons)
        return start

    def _means(self, panel: Panel, start: Start | None) -> MeanRegression | None:
        if not self.centred:
            return None
        return mean_regression.fit(panel, usual_horizons(panel), start=None if start is None else start.means)

    def _new(self, start: Start | None, seen: Tensors) -> tuple[tuple[DriftNetwork, ...], tuple[MixtureNetwork, ...]]:
        """The networks as training begins: those of the start, or new ones for what will be seen."""
        if start is not None:
            return start.networks, start.mixtures if self.shape else ()
        members = range(self.members)
        bent = tuple(self._made(DriftNetwork, seen, member) for member in members)
        return bent, tuple(self._made(MixtureNetwork, seen, member) for member in members) if self.shape else ()

    def _made(self, kind: Callable[..., Net], seen: Tensors, member: int) -> Net:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(self._seed_of(member))
            network = kind(inputs=len(NAMES), width=self.width)
        standardise(network, seen.inputs)
        return network

    def _seed_of(self, member: int) -> int:
        return 1000 * self.seed + member

    def _trained(
        self, new: Sequence[Net], objective: Objective, seen: Tensors, later: Tensors
    ) -> tuple[tuple[Net, int], ...]:
        """The members, each with the number of steps after which it was best on the `later` origins."""
        return tuple(self._one(network, objective, seen, member=at, later=later) for at, network in enumerate(new))

    def _again(
        self, new: Sequence[Net], objective: Objective, seen: Tensors, tried: tuple[tuple[Net, int], ...]
    ) -> tuple[tuple[Net, int], ...]:
        """The members on more origins for as many steps as before."""
        return tuple(
            self._one(network, objective, seen, member=at, steps=steps)
            for at, (network, (_, steps)) in enumerate(zip(new, tried, strict=True))
        )

    def _one(
        self,
        new: Net,
        objective: Objective,
        seen: Tensors,
        *,
        member: int,
        later: Tensors | None = None,
        steps: int = 0,
    ) -> tuple[Net, int]:
        network, seed = deepcopy(new), self._seed_of(member)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
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
