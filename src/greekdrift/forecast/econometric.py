"""Filtered historical simulation: the shape of the past at the scale of today, along whole paths.

Joint base-step increments are divided by the scale that was known at their start; the residuals, centred, are
redrawn in blocks (stationary bootstrap) and multiplied by the scale of the moment, which the path itself updates.
Source: Barone-Adesi, Giannopoulos & Vosper (1999). Names: `fhs:hari` (the bar), `fhs:haris`, `fhs:harit`,
`fhs:front`, `fhs:ewma`; `-flat` scales the other factors by the square root of the return's scale, `:pool` shares the
residuals of all underlyings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import InputError, nearest
from greekdrift.features.history import Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast import scale as scales
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.memory import Memory, Recall, memory, moves
from greekdrift.forecast.scale import ANCHORED, KINDS, Clockwork, Kind, Scale
from greekdrift.forecast.steps import Steps, path_of_steps, steps
from greekdrift.forecast.walk_kernel import COMPILED, MICROSECONDS_PER_HOUR, Picked, walked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """Joint standardised residuals of the past, in order, and the link to the next one (−1: none).

    `size` is their root mean square, which each underlying keeps when residuals are dealt out.
    """

    values: Float[ndarray, "step underlying factor"]
    size: Float[ndarray, "underlying factor"]
    following: Int[ndarray, " step"]
    mean_block: float
    is_pooled: bool

    def draw(
        self, *, n: int, length: int, random: np.random.Generator, without: Bool[ndarray, " step"] | None = None
    ) -> Float[ndarray, "scenario length underlying factor"]:
        """Residuals along `n` paths; pooled, each path deals the underlyings' residuals out in a random order.

        The deal keeps what happened together together, and makes the underlyings exchangeable. Steps marked in
        `without` are not drawn.
        """
        picked = self.pick(n=n, length=length, random=random, without=without)
        if not self.is_pooled:
            return picked.residuals[picked.paths]
        return np.take_along_axis(picked.residuals[picked.paths], picked.dealt[:, None, :, None], axis=2) * picked.size

    def pick(
        self, *, n: int, length: int, random: np.random.Generator, without: Bool[ndarray, " step"] | None = None
    ) -> Picked:
        """The same draws, not yet laid out: which steps, dealt to which underlyings, at which size."""
        paths = bootstrap.draw(
            self.following, n=n, length=length, mean_block=self.mean_block, random=random, without=without
        )
        dealt = np.argsort(random.random((n, self.values.shape[1])), axis=1) if self.is_pooled else None
        return self.along(paths, dealt)

    def along(
        self, paths: Int[ndarray, "scenario length"], dealt: Int[ndarray, "scenario underlying"] | None
    ) -> Picked:
        """The residuals of given steps; `dealt` says whose of them each underlying takes where they are pooled."""
        if self.is_pooled and dealt is not None:
            return Picked(residuals=self.values / self.size, paths=paths, dealt=dealt, size=self.size)
        same = np.broadcast_to(np.arange(self.values.shape[1]), (len(paths), self.values.shape[1]))
        return Picked(residuals=self.values, paths=paths, dealt=same, size=np.ones(self.size.shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredPredictor:
    """Scale and residuals; needs the history only for the state of the scale."""

    kind: ClassVar[str] = "filtered"

    name: str
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    scale: Scale
    residuals: Residuals

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.underlyings, factors=self.factors)
        return scenarios(history, self.paths(history, hours, n=n, seed=seed), horizons=hours, name=self.name, seed=seed)

    def paths(
        self,
        history: Panel,
        hours: Float[ndarray, " horizon"],
        *,
        n: int,
        seed: int,
        recall: Recall | None = None,
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """Increments of `n` paths at some horizons (hours) from the last row of a history whose axes are right.

        `recall` is of that history, where others need its sums too.
        """
        lengths, arrivals = path_of_steps(hours, self.scale.clock.step_hours)
        random = np.random.default_rng(seed)
        if self.scale.kind not in COMPILED:
            drawn = self.residuals.draw(n=n, length=lengths.size, random=random)
            return walk_from(history, self.scale, drawn, lengths)[:, arrivals - 1]
        picked = self.residuals.pick(n=n, length=lengths.size, random=random)
        past = (recall or Recall(history)).at(self.scale.clock.memories)
        return walked(self.scale, past, history.state[-1], history.as_of[-1:], picked, lengths, arrivals)


def walk_from(
    history: Panel,
    scale: Scale,
    residuals: Float[ndarray, "scenario length underlying factor"],
    lengths: Float[ndarray, " length"],
) -> Float[ndarray, "scenario length underlying factor"]:
    """Increments since the last row of a history after each step of each path."""
    n, past = len(residuals), memory(moves(history), scale.clock.memories, last_only=True)
    if scale.kind in COMPILED:
        every = np.arange(1, lengths.size + 1)
        return walked(scale, past, history.state[-1], history.as_of[-1:], Picked.of(residuals), lengths, every)
    past = past.repeated(n)
    return walk(scale, past, np.repeat(history.state[-1:], n, axis=0), history.as_of[-1:], residuals, lengths)


def walk(
    scale: Scale,
    past: Memory,
    origin: Float[ndarray, "scenario underlying factor"],
    moment: Shaped[ndarray, " scenario"],
    residuals: Float[ndarray, "scenario length underlying factor"],
    lengths: Float[ndarray, " length"],
) -> Float[ndarray, "scenario length underlying factor"]:
    """Increments since the origin after each step of each path; the scale follows the path.

    `past`, `origin` and `moment` (one for all, or one each) say where each path starts.
    """
    state, increments = origin, np.empty(residuals.shape)
    for at, length in enumerate(lengths):
        root = np.sqrt(length / scale.clock.step_hours)
        step = residuals[:, at] * scale.at(past, state, moment) * root
        state = state + step
        increments[:, at] = state - origin
        past = past.after(step, float(length), scale.clock.memories)
        moment = moment + np.timedelta64(round(length * MICROSECONDS_PER_HOUR), "us")
    return increments


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredHistorical:
    """Filtered historical simulation.

    `scale` of the return: "hari", "haris", "harit", "front" or "ewma". `flat`: the other factors move with the square
    root of it, else with an exponential average of their own over `own_steps` steps. `pool`: residuals of all
    underlyings are shared. Blocks have `mean_block` steps on average.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    scale: Kind = "hari"
    flat: bool = False
    pool: bool = False
    own_steps: float = 16.0
    mean_block: float = 4.0

    @property
    def name(self) -> str:
        """Such as `fhs:haris-flat:pool`."""
        return f"fhs:{self.scale}{'-flat' if self.flat else ''}{':pool' if self.pool else ''}"

    def fit(self, panel: Panel) -> FilteredPredictor:
        """Fits the scale on all complete base steps and keeps their residuals."""
        base = steps(panel)
        fitted, values = standardised(panel, base, kind=self.scale, flat=self.flat, own_steps=self.own_steps)
        residuals = Residuals(
            values=values,
            size=np.sqrt(np.mean(values**2, axis=0)) + 1e-16,
            following=base.following,
            mean_block=self.mean_block,
            is_pooled=self.pool,
        )
        return FilteredPredictor(
            name=self.name,
            underlyings=panel.underlyings,
            factors=panel.factors,
            scale=fitted,
            residuals=residuals,
        )


def named(law: str) -> FilteredHistorical:
    """The forecaster of a name, with or without `fhs:`.

    >>> named("haris-flat:pool") == FilteredHistorical(scale="haris", flat=True, pool=True)
    True
    """
    for scale in KINDS:
        for flat in (False, True):
            for pool in (False, True):
                made = FilteredHistorical(scale=scale, flat=flat, pool=pool)
                if made.name == f"fhs:{law.removeprefix('fhs:')}":
                    return made
    raise InputError(f'no filtered historical law "{law}"; {nearest(law, [f"{kind}-flat:pool" for kind in KINDS])}')


def standardised(
    panel: Panel, base: Steps, *, kind: Kind, flat: bool, own_steps: float
) -> tuple[Scale, Float[ndarray, "step underlying factor"]]:
    """A scale fitted on base steps, and their increments divided by the scale known at their start, centred."""
    clock = Clockwork.of(panel, own_steps=own_steps)
    past = memory(moves(panel), clock.memories)
    fitted = scales.fit(panel, past, kind=kind, flat=flat, clock=clock, origin=base.origin, target=base.target)
    today = fitted.at(past.rows(base.origin), panel.state[base.origin], panel.as_of[base.origin])
    values = base.values / (today * np.sqrt(base.elapsed / panel.step_hours)[:, None, None])
    values -= values.mean(axis=0)
    if kind in ANCHORED:
        values[..., fitted.forward] /= np.sqrt(np.mean(values[..., fitted.forward] ** 2, axis=0)) + 1e-16
    return fitted, values
