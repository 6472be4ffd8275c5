"""Linear pool: several filtered historical laws side by side, each with its share of the paths.

The pool's distribution is the mean of its members' distributions, which a proper score never rates worse than the
mean of their scores. Source: Stone (1961); Gneiting & Ranjan (2013) for what a pool does to calibration: it is wider
than its members, so members should not be too wide.

`common` draws: all members share one balanced set of past steps, each path walked by one member. So the whole pool, not
each part of it, is balanced over the past, and with the seed of its first law alone the pool has that law's paths where
they are its own: comparisons with it carry less sampling noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast.econometric import FilteredPredictor, named
from greekdrift.forecast.forecaster import checked_horizons, checked_origin, scenarios
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.steps import path_of_steps
from greekdrift.forecast.walk_kernel import walked

LAWS = ("hari", "haris-flat:pool", "harit-flat:pool")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolPredictor:
    """Members of one panel, equally weighted."""

    kind: ClassVar[str] = "pool"

    name: str
    members: tuple[FilteredPredictor, ...]

    @property
    def lead(self) -> FilteredPredictor:
        """The first member: its axes and its scale stand for the pool's where one is needed."""
        return self.members[0]

    def paths(
        self, history: Panel, hours: Float[ndarray, " horizon"], *, n: int, seed: int
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """`n` paths, as equally many of each member as `n` allows, in random order."""
        counts = shares(n, len(self.members))
        parts = [
            member.paths(history, hours, n=count, seed=_seed_of(seed, at))
            for at, (member, count) in enumerate(zip(self.members, counts, strict=True))
            if count
        ]
        return np.concatenate(parts)[np.random.default_rng([seed, len(counts)]).permutation(n)]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_horizons(horizons)
        checked_origin(history, underlyings=self.lead.underlyings, factors=self.lead.factors)
        moved = self.paths(history, hours, n=n, seed=seed)
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommonPoolPredictor(PoolPredictor):
    """The same pool on one set of draws; each member deals residuals among the underlyings or not, as it does alone."""

    kind: ClassVar[str] = "pool_common"

    def paths(
        self, history: Panel, hours: Float[ndarray, " horizon"], *, n: int, seed: int
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """`n` paths, each along drawn steps that a member chosen at random walks at its scale."""
        random = np.random.default_rng(seed)
        lead = self.lead.residuals
        lengths, arrivals = path_of_steps(hours, self.lead.scale.clock.step_hours)
        drawn = bootstrap.draw(lead.following, n=n, length=lengths.size, mean_block=lead.mean_block, random=random)
        dealt = np.argsort(random.random((n, len(self.lead.underlyings))), axis=1)
        member_of = random.permutation(np.arange(n) % len(self.members))
        made = np.empty((n, hours.size, *history.state.shape[1:]))
        for at, member in enumerate(self.members):
            own = np.flatnonzero(member_of == at)
            past = memory(moves(history), member.scale.clock.memories, last_only=True)
            picked = member.residuals.along(drawn[own], dealt[own])
            made[own] = walked(member.scale, past, history.state[-1], history.as_of[-1:], picked, lengths, arrivals)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Linear pool of filtered historical laws, named as in `fhs:haris-flat:pool` without `fhs:`.

    `common`: the members share one set of draws.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    laws: tuple[str, ...] = LAWS
    common: bool = False

    def __post_init__(self) -> None:
        if not self.laws:
            raise InputError(f"a pool needs at least one law, such as {LAWS[0]}.")
        for law in self.laws:
            named(law)

    @property
    def name(self) -> str:
        """`pool`, with its laws where they are not the usual ones, such as `pool:hari+front-flat:pool`."""
        kind = "pool-common" if self.common else "pool"
        return kind if self.laws == LAWS else f"{kind}:{'+'.join(self.laws)}"

    def fit(self, panel: Panel) -> PoolPredictor:
        """Every member fitted on the panel."""
        made = CommonPoolPredictor if self.common else PoolPredictor
        return made(name=self.name, members=tuple(named(law).fit(panel) for law in self.laws))


def shares(n: int, members: int) -> tuple[int, ...]:
    """How many of `n` paths each member makes, the first ones one more where they do not divide.

    >>> shares(8, 3)
    (3, 3, 2)
    """
    whole, rest = divmod(n, members)
    return tuple(whole + (at < rest) for at in range(members))


def _seed_of(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])
