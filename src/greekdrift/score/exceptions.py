"""Coverage backtests: whether a reserve is exceeded as often as its level says, and whether the exceptions cluster.

p = 1 − level is the share of exceptions that the level allows, T the observations, x the exceptions, 0 ln 0 = 0.
A single book has few exceptions at 99 %, so every p-value stands beside the power of its test, and books are pooled
over origins by a circular block bootstrap. Horizons that overlap make exceptions that come in rows: `every` thins them.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.typing import ArrayLike
from scipy.special import chdtrc, rel_entr, xlog1py, xlogy
from scipy.stats import binom

from greekdrift.errors import InputError
from greekdrift.score.compare import Interval, block_bootstrap
from greekdrift.score.samples import events, finite

Events = Float[ndarray, " origin"]

YELLOW, RED = 0.95, 0.9999
"""Binomial probabilities of as many exceptions or fewer from which the light is no longer green, no longer yellow."""
ALTERNATIVES = (2.0, 3.0)
"""Multiples of the nominal share at which the power is stated."""
SIZE = 0.05
"""Chance of refusing a true level that the power refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodRatio:
    """A likelihood ratio, its degrees of freedom, and the chance of one as large where the level is right."""

    statistic: float
    degrees: int
    p_value: float


class Light(StrEnum):
    """The Basel zones of a number of exceptions."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The chance that the proportion test refuses its level where the true share of exceptions is `alternative`."""

    alternative: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One book's exceptions at one level: their number, three tests, the light, and what the first test can see.

    `every` is the step of the origins used; 1 are all of them. The first entry of `power` is at the nominal share:
    the true size of the test, for a count is not as smooth as χ².
    """

    level: float
    observations: int
    exceptions: int
    proportion: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio
    light: Light
    power: tuple[Power, ...]
    every: int

    @property
    def share(self) -> float:
        """Share of the observations that are exceptions."""
        return self.exceptions / self.observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Exceptions of many books over the same origins: their share with its block-bootstrap interval.

    `together` is the largest share of the books that fail at one origin: coverage of each account is not coverage of
    all at once. Books that move together carry far less than books · origins observations; the interval knows that.
    """

    level: float
    origins: int
    books: int
    exceptions: int
    share: Interval
    together: float

    @property
    def holds_nominal(self) -> bool:
        """Whether the interval contains 1 − level."""
        return self.share.lower <= 1.0 - self.level <= self.share.upper


def exceeded(need: ArrayLike, reserve: ArrayLike) -> Float[ndarray, "..."]:
    """1 where the need is above what was reserved for it, else 0; both arrays of one shape.

    >>> exceeded([1.0, 3.0, 2.0], [2.0, 2.0, 2.0]).tolist()
    [0.0, 1.0, 0.0]
    """
    asked, held = finite(need, "need"), finite(reserve, "reserve")
    if asked.shape != held.shape:
        raise InputError(f"exceptions: needs {asked.shape} beside reserves {held.shape}; one reserve per need.")
    return np.where(asked > held, 1.0, 0.0)


def proportion(count: int, observations: int, *, level: float) -> LikelihoodRatio:
    """Kupiec's test of the proportion of failures.

    LR = −2 [(T−x) ln(1−p) + x ln p − (T−x) ln(1−p̂) − x ln p̂] ~ χ²(1),   p̂ = x/T

    Source: Kupiec (1995).

    >>> round(proportion(7, 250, level=0.99).statistic, 4)
    5.497
    """
    share = _allowed(level)
    _counted(count, observations)
    return _ratio(float(_apart(count, observations, share)), degrees=1)


def independence(happened: ArrayLike) -> LikelihoodRatio:
    """Christoffersen's test that an exception says nothing about the next observation.

    LR = −2 [(n₀₀+n₁₀) ln(1−p₂) + (n₀₁+n₁₁) ln p₂ − n₀₀ ln(1−p₀₁) − n₀₁ ln p₀₁ − n₁₀ ln(1−p₁₁) − n₁₁ ln p₁₁] ~ χ²(1)

    n_ij counts the T − 1 transitions from i to j, p₀₁ = n₀₁/(n₀₀+n₀₁), p₁₁ = n₁₁/(n₁₀+n₁₁), p₂ = (n₀₁+n₁₁)/(T−1).
    Without an exception there is nothing to tell: 0. Source: Christoffersen (1998).

    >>> round(independence([0, 1, 0, 0, 1, 1, 1, 0, 0, 0]).statistic, 4)
    0.09
    """
    hits = _series(happened)
    before, after = hits[:-1], hits[1:]
    starts = np.array([np.sum(before == 0.0), np.sum(before == 1.0)])
    ends = np.array([np.sum(after[before == 0.0]), np.sum(after[before == 1.0])])
    free = _log_likelihood(ends, starts).sum()
    tied = _log_likelihood(ends.sum(), starts.sum())
    return _ratio(2.0 * float(free - tied), degrees=1)


def conditional(happened: ArrayLike, *, level: float) -> LikelihoodRatio:
    """Christoffersen's joint test of the right share and of independence: LR = LR_proportion + LR_independence ~ χ²(2).

    >>> hits = [0, 1, 0, 0, 1, 1, 1, 0, 0, 0]
    >>> round(conditional(hits, level=0.6).statistic, 4) == round(independence(hits).statistic, 4)
    True
    """
    hits = _series(happened)
    share = proportion(int(hits.sum()), hits.size, level=level)
    return _ratio(share.statistic + independence(hits).statistic, degrees=2)


def traffic_light(count: int, observations: int, *, level: float) -> Light:
    """Green where BinomCDF(x; T, p) < 95 %, yellow where it is below 99.99 %, else red.

    Source: Basel Committee (1996), Supervisory framework for the use of backtesting. At 99 % and 250 observations
    yellow begins at 5 exceptions and red at 10.

    >>> [str(traffic_light(count, 250, level=0.99)) for count in (4, 5, 9, 10)]
    ['green', 'yellow', 'yellow', 'red']
    """
    share = _allowed(level)
    _counted(count, observations)
    reached = float(binom.cdf(count, observations, share))
    return Light.GREEN if reached < YELLOW else Light.YELLOW if reached < RED else Light.RED


def power(observations: int, *, level: float, alternative: float, size: float = SIZE) -> float:
    """Chance that `proportion` refuses its level at χ²-level `size` when the share of exceptions is `alternative`.

    Σ over the x that are refused of Binom(x; T, alternative): exact, no simulation. At `alternative` = 1 − level it is
    the true size of the test.

    >>> round(power(250, level=0.99, alternative=0.02), 2), round(power(250, level=0.995, alternative=0.01), 2)
    (0.24, 0.11)
    """
    share = _allowed(level)
    if not 0.0 <= alternative <= 1.0 or not 0.0 < size < 1.0:
        raise InputError(f"power: an alternative of {alternative:g} at size {size:g}; both are probabilities.")
    _counted(0, observations)
    counts = np.arange(observations + 1)
    refused = chdtrc(1, _apart(counts, observations, share)) < size
    return float(binom.pmf(counts, observations, alternative)[refused].sum())


def thinned(happened: ArrayLike, *, every: int) -> Events:
    """Every `every`-th origin: windows of `every` steps that do not overlap.

    >>> thinned([1, 0, 0, 1, 1], every=2).tolist()
    [1.0, 0.0, 1.0]
    """
    if every < 1:
        raise InputError(f"thinning: every {every}th origin; take 1 or more.")
    return _series(happened)[::every]


def backtest(
    happened: ArrayLike, *, level: float, every: int = 1, alternatives: tuple[float, ...] = ALTERNATIVES
) -> Backtest:
    """All tests of one book's exceptions (origin), thinned to every `every`-th; `alternatives` in nominal shares.

    >>> found = backtest(np.repeat([0, 1, 0], [98, 2, 100]), level=0.99)
    >>> found.exceptions, str(found.light), round(found.proportion.p_value, 2), found.independence.p_value < 0.05
    (2, 'green', 1.0, True)
    """
    hits, share = thinned(happened, every=every), _allowed(level)
    count = int(hits.sum())
    truths = (share, *(min(1.0, one * share) for one in alternatives))
    return Backtest(
        level=level,
        observations=hits.size,
        exceptions=count,
        proportion=proportion(count, hits.size, level=level),
        independence=independence(hits),
        conditional=conditional(hits, level=level),
        light=traffic_light(count, hits.size, level=level),
        power=tuple(
            Power(alternative=one, probability=power(hits.size, level=level, alternative=one)) for one in truths
        ),
        every=every,
    )


def pooled(happened: ArrayLike, *, level: float, block: int, seed: int, draws: int = 2_000) -> Pooled:
    """Exceptions (origin, book) of all books together, resampled in blocks of origins, all books at once.

    >>> found = pooled(np.tile([[0, 0], [1, 0], [0, 0], [0, 0]], (5, 1)), level=0.95, block=4, seed=0)
    >>> str(found.share), found.together
    ('0.125 [0.125, 0.125]', 0.5)
    """
    _allowed(level)
    hits = events(happened)
    if hits.ndim != 2 or 0 in hits.shape:
        raise InputError(f"pooled exceptions of shape {hits.shape}; give (origin, book).")
    shares = hits.mean(axis=1)
    return Pooled(
        level=level,
        origins=hits.shape[0],
        books=hits.shape[1],
        exceptions=int(hits.sum()),
        share=block_bootstrap(shares, block=block, seed=seed, draws=draws),
        together=float(shares.max()),
    )


def _allowed(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise InputError(f"a coverage level of {level:g} must lie between 0 and 1, like 0.99.")
    return 1.0 - level


def _counted(count: int, observations: int) -> None:
    if observations < 1 or not 0 <= count <= observations:
        raise InputError(f"{count} exceptions in {observations} observations cannot be; give 0 … observations.")


def _series(happened: ArrayLike) -> Events:
    hits: Events = events(happened)
    if hits.ndim != 1 or hits.size == 0:
        raise InputError(f"exceptions of shape {hits.shape} are no series; give one 0 or 1 per origin of one book.")
    return hits


def _apart(count: ArrayLike, observations: int, share: float) -> Float[ndarray, "..."]:
    """2 T (p̂ ln(p̂/p) + (1−p̂) ln((1−p̂)/(1−p))): the likelihood ratio of a share against the one seen."""
    seen = np.asarray(count) / observations
    return 2.0 * observations * np.asarray(rel_entr(seen, share) + rel_entr(1.0 - seen, 1.0 - share))


def _log_likelihood(ends: ArrayLike, starts: ArrayLike) -> Float[ndarray, "..."]:
    """n₁ ln(n₁/n) + n₀ ln(n₀/n) with 0 ln 0 = 0."""
    hit, all_of_them = np.asarray(ends, dtype=np.float64), np.asarray(starts, dtype=np.float64)
    rate = hit / np.maximum(all_of_them, 1.0)
    return np.asarray(xlogy(hit, rate) + xlog1py(all_of_them - hit, -rate))


def _ratio(statistic: float, *, degrees: int) -> LikelihoodRatio:
    """Rounding can leave a ratio of a perfect fit just below 0."""
    positive = max(statistic, 0.0)
    return LikelihoodRatio(statistic=positive, degrees=degrees, p_value=float(chdtrc(degrees, positive)))
