"""What a walk of margin found: requirements, realised falls of excess liquidity, and what each forecaster said of them.

fall = (IM − E) after the horizon − (IM − E) at the origin: by how much the excess liquidity E − IM of an unchanged book
fell, and so what its owner needs in cash to stand where it stood. Positive is bad. USD.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from greekdrift.book import digest
from greekdrift.errors import ConfigError, InputError, nearest
from greekdrift.evaluate.settings import Settings
from greekdrift.evaluate.truth import climatology
from greekdrift.features.books import MARKET_MAKERS

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
"""Quantiles of the fall that are kept."""
MAKERS = 4 * MARKET_MAKERS
"""Random books of an underlying beside the canonical ones: 24 in all."""

Rows = Float[ndarray, "row book"]
Cells = Float[ndarray, "origin book"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """How the forecast of margin is judged; books, horizon and origins are those of the evaluation's settings.

    `makers` random books of an underlying beside the canonical ones. A reserve is `gate_share` of the quantile at
    `gate_level`. A call within the horizon is a check at which an account that began with `cushion` times its initial
    margin has less than it needs.
    """

    makers: int = MAKERS
    gate_level: float = 0.99
    gate_share: float = 0.6
    cushion: float = 1.1

    def __post_init__(self) -> None:
        if self.gate_level not in LEVELS:
            raise ConfigError(f"margin: gate_level {self.gate_level:g} is none of {list(LEVELS)}.")
        for name, least in (("makers", 0.0), ("gate_share", 0.0), ("cushion", 1.0)):
            value = getattr(self, name)
            if not (isfinite(value) and value >= least):
                raise ConfigError(f"margin: {name} {value} must be at least {least:g}.")
        if self.gate_share == 0.0:
            raise ConfigError("margin: a gate_share of 0 holds no reserve; give a positive share, such as 0.6.")

    @property
    def digest(self) -> str:
        """SHA-256 of all values."""
        return digest({field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginTruth:
    """Initial margin at each row of a panel and what came, by book, USD; NaN where unknown.

    `fall` at the end of the horizon, `peak` the largest at its checks (the end included), known only where every
    check was seen.
    """

    initial_margin: Rows
    fall: Rows
    peak: Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginScores:
    """What a forecaster said at each origin of each book; NaN where nothing was observed.

    `crps` and `quantiles` (at `LEVELS`) of the fall, USD; `call` the probability of a call within the horizon;
    `members` scenarios are behind both.
    """

    crps: Cells
    quantiles: Float[ndarray, "origin book level"]
    call: Cells
    members: int

    @classmethod
    def empty(cls, origins: int, books: int, *, members: int) -> "MarginScores":
        """Room for scores, all missing."""
        return cls(
            crps=np.full((origins, books), np.nan),
            quantiles=np.full((origins, books, len(LEVELS)), np.nan),
            call=np.full((origins, books), np.nan),
            members=members,
        )

    def arrays(self) -> dict[str, ndarray]:
        """Every array by name."""
        return {"crps": self.crps, "quantiles": self.quantiles, "call": self.call}

    def quantile(self, level: float) -> Cells:
        """The quantile at one of `LEVELS`."""
        if level not in LEVELS:
            raise InputError(f"no quantile at {level:g}; there are {', '.join(f'{one:g}' for one in LEVELS)}.")
        found: Cells = self.quantiles[..., LEVELS.index(level)]
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginResults:
    """A walk's outcome. Arrays by row hold the whole panel, those by origin its tested rows.

    `unit` is the climatological CRPS of each book's falls known before the first test, ½ E|X − X′|: losses and reserves
    are counted in it, so that every book weighs alike. `known_at` and `target_known_at` say when a row and its end
    were known. `implied` (30 days, or the panel's own level) and `realised` (exponential, 0.94 a day) are annual
    volatilities that simple rules may scale by; `place` says which underlying a book is of.
    """

    settings: Settings
    margin: MarginSettings
    rules: str
    step_hours: float
    underlyings: tuple[str, ...]
    books: tuple[str, ...]
    place: Int[ndarray, " book"]
    tested: Int[ndarray, " origin"]
    fold: Int[ndarray, " origin"]
    as_of: Shaped[ndarray, " row"]
    known_at: Shaped[ndarray, " row"]
    target_known_at: Shaped[ndarray, " row"]
    implied: Float[ndarray, "row underlying"]
    realised: Float[ndarray, "row underlying"]
    truth: MarginTruth
    scores: Mapping[str, MarginScores]
    dropped: Mapping[str, int]

    def of(self, forecaster: str) -> MarginScores:
        """Scores of one forecaster."""
        if forecaster not in self.scores:
            raise InputError(f'no margin scores of "{forecaster}"; {nearest(forecaster, self.scores)}')
        return self.scores[forecaster]

    @property
    def origin(self) -> Shaped[ndarray, " origin"]:
        """Instants of the tested rows."""
        return self.as_of[self.tested]

    @property
    def level(self) -> Float[ndarray, " origin"]:
        """Mean log implied volatility at each origin, for reading results by regime."""
        return np.log(self.implied[self.tested]).mean(axis=1)

    @property
    def is_before(self) -> Bool[ndarray, " row"]:
        """Rows whose end was known before the first test."""
        return self.target_known_at < self.known_at[self.tested[0]]

    @property
    def unit(self) -> Float[ndarray, " book"]:
        """½ E|X − X′| of each book's falls known before the first test, USD; NaN where fewer than two were."""
        return climatology(self.truth.fall[self.is_before])

    @property
    def usual_requirement(self) -> Float[ndarray, " book"]:
        """Mean initial margin of each book before the first test in its unit; NaN where it was never made there."""
        before = self.truth.initial_margin[self.is_before]
        is_there = np.isfinite(before)
        count, total = is_there.sum(axis=0), np.where(is_there, before, 0.0).sum(axis=0)
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0) / self.unit

    @property
    def need(self) -> Cells:
        """The realised fall at each origin in the book's unit."""
        return self.truth.fall[self.tested] / self.unit

    @property
    def is_called(self) -> Rows:
        """1 where a call came within the horizon, else 0; by row of the panel, NaN where a check was not seen."""
        return called(self.truth.peak, self.truth.initial_margin, cushion=self.margin.cushion)


def called(fall: Float[ndarray, "*cell"], initial_margin: Float[ndarray, "*cell"], *, cushion: float) -> ndarray:
    """1 where excess of (cushion − 1) · IM does not outlast a fall, else 0; NaN where the fall is unknown.

    >>> called(np.array([12.0, 8.0]), np.array([100.0, 100.0]), cushion=1.1).tolist()
    [1.0, 0.0]
    """
    is_there = np.isfinite(fall) & np.isfinite(initial_margin)
    return np.where(is_there, np.where(fall > (cushion - 1.0) * initial_margin, 1.0, 0.0), np.nan)
