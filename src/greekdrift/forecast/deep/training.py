"""Training the drift net: a lean Lightning loop on resident tensors, stopped and shrunk on a later stretch of time.

The loss is the fair energy score of standardised joint increments plus the fair CRPS of each of them, so that both
the whole and the parts are honest, and a penalty on every departure from the base law. The later two fifths of the
origins (purged) says when to stop and how much of the correction to trust; where nothing helps there, the trusted
share is 0 and the drift net is its base law.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import lightning.pytorch as pl
import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.deep.network import HEAD_GROUPS, HEAD_NAMES, Correction, DriftNetwork, energy
from greekdrift.forecast.deep.predictor import DriftNetPredictor, average
from greekdrift.forecast.ensemble import LAWS, Pool
from greekdrift.forecast.examples import Examples, examples
from greekdrift.forecast.forecaster import checked_horizons
from greekdrift.forecast.inputs import KINDS, NAMES, kinds

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_BLOCKS = 5
NEEDED_GAIN = 2.0
"""Standard errors by which a head must gain on later origins to be trusted."""
_COLUMNS = ("inputs", "gap", "ratio", "base", "observed")


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
    """Examples as resident float tensors, divided by the size of each factor at each horizon."""

    inputs: Tensor
    gap: Tensor
    ratio: Tensor
    base: Tensor
    observed: Tensor
    size: Tensor
    weight: Tensor
    kind: Tensor
    forward: int
    block: int

    def __len__(self) -> int:
        return int(self.observed.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftNet:
    """The drift net: a correction of a pool of filtered historical laws, learnt on the energy score.

    `horizons` (hours) are those that it is trained on, `laws` the pool that it corrects (`forecast.ensemble`).
    `members` networks from different seeds are averaged. The pool is drawn `draws` times per origin, of which each
    step of training sees `batch_draws`.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    horizons: tuple[float, ...] = (6.0, 12.0, 24.0)
    laws: tuple[str, ...] = LAWS
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

    def fit(self, panel: Panel) -> DriftNetPredictor:
        """Base law on the panel, then the correction on its complete origins."""
        base = Pool(laws=self.laws).fit(panel)
        made = examples(base, panel, horizons=self.horizons, draws=self.draws, seed=self.seed)
        early, late = inner_split(made)
        with _quiet(self.threads):
            size = size_of(made, early)
            seen, later = (_tensors(made, rows, size, panel.factors) for rows in (early, late))
            tried = [self._trained(seen, member, later=later) for member in range(self.members)]
            shares, gains = trusted([loop.network for loop in tried], later)
            networks = tuple(loop.network for loop in tried)
            if shares.any():
                everything = _tensors(made, np.arange(len(made)), size, panel.factors)
                networks = tuple(
                    self._trained(everything, member, steps=loop.best_steps).network
                    for member, loop in enumerate(tried)
                )
        self._record(len(made), shares, gains)
        return DriftNetPredictor(
            name=self.name,
            base=base,
            networks=networks,
            shares=shares.numpy().astype(np.float64),
            horizons=np.array(self.horizons, dtype=np.float64),
        )

    def _trained(self, seen: Tensors, member: int, *, later: Tensors | None = None, steps: int = 0) -> "Loop":
        """One network, until it is no longer better on `later` origins, or for a number of steps."""
        seed = 1000 * self.seed + member
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            network = DriftNetwork(inputs=len(NAMES), width=self.width)
            standardise(network, seen.inputs)
            loop = Loop(network, seen, later, settings=self, seed=seed)
            trainer = pl.Trainer(
                max_epochs=self.epochs if later else -1,
                max_steps=-1 if later else max(1, steps),
                barebones=True,
                accelerator="cpu",
                devices=1,
            )
            trainer.fit(loop, train_dataloaders=loop.batches)
        network.load_state_dict(loop.best if later else network.state_dict())
        network.eval()
        return loop

    def _record(self, origins: int, shares: Tensor, gains: Tensor) -> None:
        if self.recorder is None:
            return
        self.recorder.params({"origins": origins, "trained_horizons": self.horizons})
        for name, table in (("trusted", shares), ("gain_se", gains)):
            cells = {
                f"{name}_{head}_{kind}": float(table[row, :, column].mean())
                for row, head in enumerate(HEAD_NAMES)
                for column, kind in enumerate(KINDS)
            }
            self.recorder.metrics(cells, step=self.epochs)


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
        self, network: DriftNetwork, seen: Tensors, later: Tensors | None, *, settings: DriftNet, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self._seen, self._later, self._settings = seen, later, settings
        self.batches = Batches(len(seen), settings.batch, seed)
        self._generator = torch.Generator().manual_seed(seed + 1)
        self.best, self.best_steps = _copied(network), 0
        self._best_loss, self._worse = self._later_loss(), 0

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """Loss of a batch of origins."""
        chosen = torch.randperm(self._seen.base.shape[1], generator=self._generator)[: self._settings.batch_draws]
        batch = _some(self._seen, rows, chosen)
        said = self.network(batch.inputs)
        return score(said, batch) + self._settings.penalty * said.size()

    def on_train_epoch_end(self) -> None:
        """The best network on the later origins is kept, and patience runs out."""
        if self._later is None:
            return
        loss = self._later_loss()
        if self._settings.recorder is not None:
            self._settings.recorder.metrics({"later_loss": loss}, step=self.current_epoch)
        if loss < self._best_loss:
            self.best, self.best_steps = _copied(self.network), self.global_step
            self._best_loss, self._worse = loss, 0
            return
        self._worse += 1
        if self._worse >= self._settings.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, fused."""
        return torch.optim.AdamW(self.network.parameters(), lr=self._settings.rate, weight_decay=1e-3, fused=True)

    def _later_loss(self) -> float:
        if self._later is None:
            return 0.0
        few = _some(self._later, torch.arange(len(self._later)), torch.arange(self._settings.batch_draws))
        with torch.no_grad():
            return float(score(self.network(few.inputs), few))


def score(said: Correction, seen: Tensors) -> Tensor:
    """Fair energy score over origins and horizons plus the fair CRPS of the cells, every kind of factor equal."""
    drawn, observed = _standardised(said, seen)
    root = seen.weight.sqrt()
    cells = energy(drawn, observed, axes=0)
    return energy(drawn * root, observed * root, axes=2).mean() + (cells * seen.weight).sum(dim=(-2, -1)).mean()


def _standardised(said: Correction, seen: Tensors) -> tuple[Tensor, Tensor]:
    return said.apply(seen.base, seen.gap, seen.ratio, seen.forward) / seen.size, seen.observed / seen.size


def inner_split(made: Examples, *, late_share: float = 0.4) -> tuple[ndarray, ndarray]:
    """Earlier and later origins; an earlier one whose target reaches into the later stretch is left out."""
    first_late = int(len(made) * (1.0 - late_share))
    late = np.arange(first_late, len(made))
    early = np.flatnonzero(made.last[:first_late] <= made.origin[first_late])
    return early, late


def size_of(made: Examples, rows: ndarray) -> ndarray:
    """Robust size of each factor at each horizon: 0.74 times the interquartile range, not below a tenth of the s.d."""
    observed = made.observed[rows]
    spread = 0.74 * np.subtract(*np.quantile(observed, (0.75, 0.25), axis=0))
    return np.maximum(spread, 0.1 * observed.std(axis=0)) + 1e-9


def standardise(network: DriftNetwork, seen: Tensor) -> None:
    """Sets the network's input means and deviations from what it will be trained on."""
    flat = seen.flatten(end_dim=-2)
    deviation = flat.std(dim=0)
    network.mean.copy_(flat.mean(dim=0))
    network.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))


def trusted(networks: Sequence[DriftNetwork], late: Tensors) -> tuple[Tensor, Tensor]:
    """How much of each head to trust at each horizon for each kind of factor, and the gain in standard errors.

    On the later origins the CRPS of a kind's factors is compared with that of the base law, one head (scale,
    reversion, tilt) after the other; the best share counts only if its gain exceeds `NEEDED_GAIN` standard errors of
    the mean over blocks of origins twice as long as the longest target, of which there must be `LEAST_BLOCKS`.
    """
    horizons, kinds_ = late.observed.shape[1], late.kind.shape[1]
    shares, gains = torch.zeros(HEAD_GROUPS, horizons, kinds_), torch.zeros(HEAD_GROUPS, horizons, kinds_)
    with torch.inference_mode():
        said = average([network(late.inputs) for network in networks])
        loss = _by_kind(said.shrunk(shares @ late.kind.T), late)
        if len(loss) < LEAST_BLOCKS:
            return shares, gains
        for head in range(HEAD_GROUPS):
            found = []
            for share in SHARES[1:]:
                tried = shares.clone()
                tried[head] = share
                found.append(_by_kind(said.shrunk(tried @ late.kind.T), late))
            losses = torch.stack(found)
            gain = loss - losses
            error = gain.std(dim=1) / gain.shape[1] ** 0.5 + 1e-12
            best = gain.mean(dim=1).argmax(dim=0, keepdim=True)
            gains[head] = (gain.mean(dim=1) / error).gather(0, best)[0]
            is_trusted = gains[head] > NEEDED_GAIN
            shares[head] = torch.where(is_trusted, torch.tensor(SHARES[1:])[best[0]], 0.0)
            chosen = losses.gather(0, best[:, None].expand(1, *loss.shape))[0]
            loss = torch.where(is_trusted, chosen, loss)
    return shares, gains


def _by_kind(said: Correction, late: Tensors) -> Float[Tensor, "block horizon kind"]:
    """Mean CRPS of each kind's cells, averaged over blocks of neighbouring origins."""
    drawn, observed = _standardised(said, late)
    cells = energy(drawn, observed, axes=0).mean(dim=2)
    loss = cells @ late.kind / late.kind.sum(dim=0).clamp(min=1.0)
    blocks = max(1, len(late) // late.block)
    return torch.stack([block.mean(dim=0) for block in loss.tensor_split(blocks)])


def _tensors(made: Examples, rows: ndarray, size: ndarray, factors: tuple[str, ...]) -> Tensors:
    part = made.rows(rows)
    columns = {name: torch.as_tensor(getattr(part, name), dtype=torch.float32) for name in _COLUMNS}
    kind = torch.as_tensor(kinds(factors), dtype=torch.float32)
    weight = (kind / kind.sum(dim=0).clamp(min=1.0)).sum(dim=1)
    return Tensors(
        **columns,
        size=torch.as_tensor(size, dtype=torch.float32),
        weight=weight / weight.sum() / made.observed.shape[2],
        kind=kind,
        forward=factors.index("forward"),
        block=2 * int(np.max(made.last - made.origin)),
    )


def _some(all_rows: Tensors, rows: Tensor, draws: Tensor) -> Tensors:
    columns = {name: getattr(all_rows, name)[rows] for name in _COLUMNS if name != "base"}
    base = all_rows.base[rows][:, draws]
    return replace(all_rows, **columns, base=base)


def _copied(network: DriftNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@contextmanager
def _quiet(threads: int) -> Iterator[None]:
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
