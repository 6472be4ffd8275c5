"""Linear pool: several filtered historical laws side by side, each with its share of the paths.

The pool's distribution is the mean of its members' distributions, which a proper score never rates worse than the
mean of their scores. Source: Stone (1961); Gneiting & Ranjan (2013) for what a pool does to calibration: it is wider
than its members, so members should not be too wide.

`common` draws: all members share one balanced set of past steps, each path walked by one member. So the whole pool, not
each part of it, is balanced over the past, and with the seed of its first law alone the pool has that law's paths where
they are its own: comparisons with it carry less sampling noise.

Shares are equal, or `past`: those with the least CRPS of the pool on outcomes known by then (`forecast.past_weights`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import bootstrap
from greekdrift.forecast.econometric import FilteredPredictor, named
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.memory import Recall
from greekdrift.forecast.past_weights import past_weights
from greekdrift.forecast.steps import path_of_steps
from greekdrift.forecast.walk_kernel import walked

MOST_WEIGHED = 8
"""Laws that can be weighed: each set of them is looked at."""
LAWS = ("hari", "haris-flat:pool", "harit-flat:pool")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolPredictor:
    """Members of one panel, equally weighted unless a kind of pool says otherwise."""

    kind: ClassVar[str] = "pool"

    name: str
    members: tuple[FilteredPredictor, ...]

    @property
    def lead(self) -> FilteredPredictor:
        """The first member: its axes and its scale stand for the pool's where one is needed."""
        return self.members[0]

    def counts(self, n: int) -> tuple[int, ...]:
        """How many of `n` paths each member makes."""
        return shares(n, len(self.members))

    def paths(
        self,
        history: Panel,
        hours: Float[ndarray, " horizon"],
        *,
        n: int,
        seed: int,
        recall: Recall | None = None,
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """`n` paths, each member's share of them, in random order."""
        counts, recall = self.counts(n), recall or Recall(history)
        parts = [
            member.paths(history, hours, n=count, seed=_seed_of(seed, at), recall=recall)
            for at, (member, count) in enumerate(zip(self.members, counts, strict=True))
            if count
        ]
        return np.concatenate(parts)[np.random.default_rng([seed, len(counts)]).permutation(n)]

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.lead.underlyings, factors=self.lead.factors)
        moved = self.paths(history, hours, n=n, seed=seed)
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CommonPoolPredictor(PoolPredictor):
    """The same pool on one set of draws; each member deals residuals among the underlyings or not, as it does alone."""

    kind: ClassVar[str] = "pool_common"

    def members_of(self, n: int) -> Int[ndarray, " scenario"]:
        """The member of each of `n` paths, before they are shuffled."""
        return np.arange(n) % len(self.members)

    def paths(
        self,
        history: Panel,
        hours: Float[ndarray, " horizon"],
        *,
        n: int,
        seed: int,
        recall: Recall | None = None,
    ) -> Float[ndarray, "scenario horizon underlying factor"]:
        """`n` paths, each along drawn steps that a member chosen at random walks at its scale."""
        random, recall = np.random.default_rng(seed), recall or Recall(history)
        lead = self.lead.residuals
        lengths, arrivals = path_of_steps(hours, self.lead.scale.clock.step_hours)
        drawn = bootstrap.draw(lead.following, n=n, length=lengths.size, mean_block=lead.mean_block, random=random)
        dealt = np.argsort(random.random((n, len(self.lead.underlyings))), axis=1)
        member_of = random.permutation(self.members_of(n))
        made = np.empty((n, hours.size, *history.state.shape[1:]))
        for at, member in enumerate(self.members):
            own = np.flatnonzero(member_of == at)
            past = recall.at(member.scale.clock.memories)
            picked = member.residuals.along(drawn[own], dealt[own])
            made[own] = walked(member.scale, past, history.state[-1], history.as_of[-1:], picked, lengths, arrivals)
        return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeighedPoolPredictor(PoolPredictor):
    """A pool whose members have each a share of their own."""

    kind: ClassVar[str] = "pool_weighed"

    weights: Float[ndarray, " member"]

    def counts(self, n: int) -> tuple[int, ...]:
        """How many of `n` paths each member makes."""
        return weighed_shares(n, self.weights)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeighedCommonPoolPredictor(CommonPoolPredictor):
    """The same on one set of draws."""

    kind: ClassVar[str] = "pool_weighed_common"

    weights: Float[ndarray, " member"]

    def members_of(self, n: int) -> Int[ndarray, " scenario"]:
        """The member of each of `n` paths, before they are shuffled."""
        return np.repeat(np.arange(len(self.members)), weighed_shares(n, self.weights))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Linear pool of filtered historical laws, named as in `fhs:haris-flat:pool` without `fhs:`.

    `common`: the members share one set of draws. `weights`: "equal", or "past" for those that forecast best what came
    true, an outcome counting half after `half_life_days`, equal ones being worth `prior_outcomes`; at most
    `origins` rows are forecast to tell.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    laws: tuple[str, ...] = LAWS
    common: bool = False
    weights: Literal["equal", "past"] = "equal"
    half_life_days: float = 60.0
    prior_outcomes: float = 50.0
    origins: int = 120

    def __post_init__(self) -> None:
        if not self.laws:
            raise InputError(f"a pool needs at least one law, such as {LAWS[0]}.")
        if self.weights == "past" and len(self.laws) > MOST_WEIGHED:
            raise InputError(f"a pool weighs at most {MOST_WEIGHED} laws, not {len(self.laws)}; name fewer.")
        if not self.half_life_days > 0.0 or not self.prior_outcomes > 0.0 or self.origins < 1:
            raise InputError(
                f"a pool's half_life_days {self.half_life_days}, prior_outcomes {self.prior_outcomes} and origins "
                f"{self.origins} must be positive."
            )
        for law in self.laws:
            named(law)

    @property
    def name(self) -> str:
        """`pool`, with its laws where they are not the usual ones, such as `pool:hari+front-flat:pool`."""
        kind = f"pool{'-common' if self.common else ''}{'-past' if self.weights == 'past' else ''}"
        return kind if self.laws == LAWS else f"{kind}:{'+'.join(self.laws)}"

    def fit(self, panel: Panel) -> PoolPredictor:
        """Every member fitted on the panel, and its share where those are learnt."""
        laws = [named(law) for law in self.laws]
        members = tuple(law.fit(panel) for law in laws)
        if self.weights == "equal":
            made = CommonPoolPredictor if self.common else PoolPredictor
            return made(name=self.name, members=members)
        found = past_weights(
            laws,
            panel,
            half_life_days=self.half_life_days,
            prior_outcomes=self.prior_outcomes,
            origins=self.origins,
        )
        weighed = WeighedCommonPoolPredictor if self.common else WeighedPoolPredictor
        return weighed(name=self.name, members=members, weights=found)


def shares(n: int, members: int) -> tuple[int, ...]:
    """How many of `n` paths each member makes, the first ones one more where they do not divide.

    >>> shares(8, 3)
    (3, 3, 2)
    """
    whole, rest = divmod(n, members)
    return tuple(whole + (at < rest) for at in range(members))


def weighed_shares(n: int, weights: Float[ndarray, " member"]) -> tuple[int, ...]:
    """How many of `n` paths each member makes: whole shares, and what is left to the largest remainders.

    >>> weighed_shares(10, np.array([0.55, 0.25, 0.2]))
    (6, 2, 2)
    """
    exact = n * weights
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: n - int(whole.sum())]] += 1
    return tuple(whole.tolist())


def _seed_of(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])
