"""One network's training: a lean Lightning loop on resident tensors, stopped on a later stretch of time.

Two objectives. `bends`: fair energy score of the standardised joint increments plus fair CRPS of each of them, so that
both the whole and the parts are honest. `shapes`: CRPS of each cell's mixture, exact and without draws. Every kind of
factor has the same weight, and every departure from where a network starts costs.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from greekdrift.forecast.deep.mixture import Mixture
from greekdrift.forecast.deep.network import Correction, energy

COLUMNS = ("inputs", "gap", "ratio", "unit", "base", "observed")


class Recorder(Protocol):
    """Where a training run is written down; `track` implements it."""

    def params(self, values: Mapping[str, object]) -> None:
        """Settings of the run."""
        ...

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Figures at a step."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensors:
    """Examples as resident float tensors; `size` of each factor at each horizon divides what is scored.

    `unit` is how far all draws of a cell lie from their mean (`mixture.spread`), `weight` that of each factor, `kind`
    which kind it is, `block` twice the longest target in rows.
    """

    inputs: Tensor
    gap: Tensor
    ratio: Tensor
    unit: Tensor
    base: Tensor
    observed: Tensor
    size: Tensor
    weight: Tensor
    kind: Tensor
    forward: int
    block: int

    def __len__(self) -> int:
        return int(self.observed.shape[0])

    def some(self, rows: Tensor, draws: Tensor) -> "Tensors":
        """Some origins with some of their draws."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS if name != "base"}
        return replace(self, **columns, base=self.base[rows][:, draws])


Objective = Callable[[nn.Module, Tensors], tuple[Tensor, Tensor]]
"""Loss of a network on some origins, and the size of what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How a network is trained; the constructor of `DriftNet` says what the numbers are."""

    batch: int
    batch_draws: int
    epochs: int
    patience: int
    rate: float
    penalty: float


class Batches:
    """Row numbers in a new random order every epoch, in batches; deterministic in the seed."""

    def __init__(self, rows: int, batch: int, seed: int) -> None:
        self._rows, self._batch = rows, batch
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return max(1, self._rows // self._batch)

    def __iter__(self) -> Iterator[Tensor]:
        """Every row once, the rest that fills no batch left for another epoch."""
        order = torch.randperm(self._rows, generator=self._generator)
        return iter(order[: len(self) * self._batch].chunk(len(self)))


class Loop(pl.LightningModule):
    """One network's training: batches of origins, random subsets of draws, early stopping where there is a `later`."""

    def __init__(
        self,
        network: nn.Module,
        seen: Tensors,
        later: Tensors | None,
        *,
        objective: Objective,
        schedule: Schedule,
        seed: int,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._seen, self._later, self._objective, self._schedule = seen, later, objective, schedule
        self._recorder = recorder
        self.batches = Batches(len(seen), schedule.batch, seed)
        self._generator = torch.Generator().manual_seed(seed + 1)
        self.best, self.best_steps = _copied(network), 0
        self._best_loss, self._worse = self._later_loss(), 0

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """Loss of a batch of origins."""
        drawn = torch.randperm(self._seen.base.shape[1], generator=self._generator)[: self._schedule.batch_draws]
        loss, size = self._objective(self.network, self._seen.some(rows, drawn))
        return loss + self._schedule.penalty * size

    def on_train_epoch_end(self) -> None:
        """The best network on the later origins is kept, and patience runs out."""
        if self._later is None:
            return
        loss = self._later_loss()
        if self._recorder is not None:
            self._recorder.metrics({"later_loss": loss}, step=self.current_epoch)
        if loss < self._best_loss:
            self.best, self.best_steps = _copied(self.network), self.global_step
            self._best_loss, self._worse = loss, 0
            return
        self._worse += 1
        if self._worse >= self._schedule.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, fused."""
        return torch.optim.AdamW(self.network.parameters(), lr=self._schedule.rate, weight_decay=1e-3, fused=True)

    def run(self, *, steps: int = 0) -> None:
        """Trains until patience runs out, or without a `later` for a number of steps; the network is then the best."""
        trainer = pl.Trainer(
            max_epochs=self._schedule.epochs if self._later is not None else -1,
            max_steps=-1 if self._later is not None else max(1, steps),
            barebones=True,
            accelerator="cpu",
            devices=1,
        )
        trainer.fit(self, train_dataloaders=self.batches)
        if self._later is not None:
            self.network.load_state_dict(self.best)
        self.network.eval()

    def _later_loss(self) -> float:
        if self._later is None:
            return 0.0
        few = self._later.some(torch.arange(len(self._later)), torch.arange(self._schedule.batch_draws))
        with torch.no_grad():
            return float(self._objective(self.network, few)[0])


def bends(network: nn.Module, seen: Tensors) -> tuple[Tensor, Tensor]:
    """Energy score over origins and horizons plus CRPS of the cells, of the corrected draws."""
    said: Correction = network(seen.inputs)
    drawn, observed = bent(said, seen)
    root = seen.weight.sqrt()
    cells = (energy(drawn, observed, axes=0) * seen.weight).sum(dim=(-2, -1)).mean()
    return energy(drawn * root, observed * root, axes=2).mean() + cells, said.size()


def shapes(network: nn.Module, seen: Tensors) -> tuple[Tensor, Tensor]:
    """Twice the CRPS of the cells' mixtures: in the place of `bends`, whose two parts are of like size."""
    made: Mixture = network(seen.inputs, seen.gap, seen.unit)
    cells = made.crps(seen.observed) / seen.size
    return 2.0 * (cells * seen.weight).sum(dim=(-2, -1)).mean(), made.size


def bent(said: Correction, seen: Tensors) -> tuple[Tensor, Tensor]:
    """Corrected draws and what happened, both standardised."""
    return said.apply(seen.base, seen.gap, seen.ratio, seen.forward) / seen.size, seen.observed / seen.size


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@contextmanager
def quiet(threads: int) -> Iterator[None]:
    """Lightning without adverts, torch on few threads, both as before afterwards."""
    logger = logging.getLogger("lightning.pytorch")
    level, before = logger.level, torch.get_num_threads()
    logger.setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        torch.set_num_threads(before)
        logger.setLevel(level)
