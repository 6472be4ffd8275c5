"""What a walk found, by origin: realised drifts, training scales, and every forecaster's scores."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from greekdrift.errors import InputError, nearest
from greekdrift.evaluate.settings import BANDED, QUANTITIES, Settings
from greekdrift.score.calibration import LEVELS

NO_CHANGE = "no change"
"""The naive forecast that no Greek moves: its loss is the size of the drift; it is scored for free."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Scores of one forecaster; NaN where nothing was observed.

    `crps` in the unit of each quantity; `pinball` the mean quantile loss at the ends of the central intervals at
    `LEVELS`; `energy` and `variogram` of the standardised joint increments; `factor_crps` in the unit of each factor,
    `factor_square` the fair squared error of its mean; `is_inside` and `width` of the central intervals; `pit` both
    ends of the probability integral transform; `breach_probability` within each horizon, by Greek in `BANDED`, and
    the number of scenarios (`members`) behind it; `breach_time` the ranked probability score of the first check out
    of the band: the mean fair Brier score over all checks up to the last horizon.
    """

    crps: Float[ndarray, "origin horizon book quantity"]
    pinball: Float[ndarray, "origin horizon book quantity"]
    energy: Float[ndarray, "origin horizon"]
    variogram: Float[ndarray, "origin horizon"]
    factor_crps: Float[ndarray, "origin horizon underlying factor"]
    factor_square: Float[ndarray, "origin horizon underlying factor"]
    is_inside: Float[ndarray, "origin horizon book quantity level"]
    width: Float[ndarray, "origin horizon book quantity level"]
    pit: Float[ndarray, "origin horizon book quantity end"]
    breach_probability: Float[ndarray, "origin horizon book greek"]
    breach_time: Float[ndarray, "origin book greek"]
    members: int

    @classmethod
    def empty(
        cls, origins: int, horizons: int, books: int, underlyings: int, factors: int, *, members: int
    ) -> "Scores":
        """Room for scores, all missing."""
        cells, factor = (origins, horizons, books), (origins, horizons, underlyings, factors)
        shapes = {
            "crps": (*cells, len(QUANTITIES)),
            "pinball": (*cells, len(QUANTITIES)),
            "energy": (origins, horizons),
            "variogram": (origins, horizons),
            "factor_crps": factor,
            "factor_square": factor,
            "is_inside": (*cells, len(QUANTITIES), len(LEVELS)),
            "width": (*cells, len(QUANTITIES), len(LEVELS)),
            "pit": (*cells, len(QUANTITIES), 2),
            "breach_probability": (*cells, len(BANDED)),
            "breach_time": (origins, books, len(BANDED)),
        }
        return cls(members=members, **{name: np.full(shape, np.nan) for name, shape in shapes.items()})

    def arrays(self) -> dict[str, ndarray]:
        """Every array by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "members"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Results:
    """A walk's outcome. `scale` is the training fold's climatological CRPS of each cell, ½ E|X − X′| of its drifts.

    `breach` is 1 where the Greek was outside its band at a check within the horizon, NaN where a check was not
    observed. `increment` are the realised changes of the state. `level` is the mean log 30-day (or only) volatility
    at the origin, for reading results by regime.
    """

    settings: Settings
    step_hours: float
    underlyings: tuple[str, ...]
    factors: tuple[str, ...]
    books: tuple[str, ...]
    origin: Shaped[ndarray, " origin"]
    fold: Int[ndarray, " origin"]
    level: Float[ndarray, " origin"]
    drift: Float[ndarray, "origin horizon book quantity"]
    scale: Float[ndarray, "fold horizon book quantity"]
    breach: Float[ndarray, "origin horizon book greek"]
    increment: Float[ndarray, "origin horizon underlying factor"]
    scores: Mapping[str, Scores]
    dropped: Mapping[str, int]

    def of(self, forecaster: str) -> Scores:
        """Scores of one forecaster."""
        if forecaster not in self.scores:
            raise InputError(f'no scores of "{forecaster}"; {nearest(forecaster, self.scores)}')
        return self.scores[forecaster]

    def horizon(self, hours: float) -> int:
        """Place of a horizon."""
        if hours not in self.settings.horizons:
            raise InputError(f"no scores at {hours:g} h; the horizons are {self.settings.horizons}.")
        return self.settings.horizons.index(hours)

    def cell_losses(self, forecaster: str, hours: float) -> Float[ndarray, "origin book quantity"]:
        """CRPS of each cell over its training scale; NaN where not observed or where the scale is 0."""
        at = self.horizon(hours)
        raw = np.abs(self.drift[:, at]) if forecaster == NO_CHANGE else self.of(forecaster).crps[:, at]
        scale = self.scale[self.fold, at]
        return np.divide(raw, scale, out=np.full(raw.shape, np.nan), where=scale > 0.0)

    def losses(self, forecaster: str, hours: float, quantities: tuple[str, ...] = ()) -> Float[ndarray, " origin"]:
        """One pooled loss per origin: the mean over books and quantities (the primary ones unless named)."""
        chosen = [QUANTITIES.index(name) for name in quantities or self.settings.primary]
        return mean_over_cells(self.cell_losses(forecaster, hours)[:, :, chosen])

    def book_losses(self, forecaster: str, hours: float) -> Float[ndarray, "origin book"]:
        """One loss per origin and book: the mean over the primary quantities."""
        chosen = [QUANTITIES.index(name) for name in self.settings.primary]
        cells = self.cell_losses(forecaster, hours)[:, :, chosen]
        return np.stack([mean_over_cells(cells[:, at]) for at in range(len(self.books))], axis=1)

    def quantile_losses(self, forecaster: str, hours: float) -> Float[ndarray, " origin"]:
        """Mean quantile loss per origin over its training scale, over books and primary quantities."""
        at = self.horizon(hours)
        raw, scale = self.of(forecaster).pinball[:, at], self.scale[self.fold, at]
        cells = np.divide(raw, scale, out=np.full(raw.shape, np.nan), where=scale > 0.0)
        return mean_over_cells(cells[:, :, [QUANTITIES.index(name) for name in self.settings.primary]])

    def energy(self, forecaster: str, hours: float) -> Float[ndarray, " origin"]:
        """Energy score of the joint standardised increments per origin."""
        return self.of(forecaster).energy[:, self.horizon(hours)]

    def variogram(self, forecaster: str, hours: float) -> Float[ndarray, " origin"]:
        """Variogram score of the joint standardised increments per origin."""
        return self.of(forecaster).variogram[:, self.horizon(hours)]

    def squares(
        self, forecaster: str, hours: float, underlying: str, factor: str
    ) -> tuple[Float[ndarray, " origin"], Float[ndarray, " origin"]]:
        """Squared error of the predicted mean of a factor per origin, and that of no change."""
        place = self.horizon(hours), self.underlyings.index(underlying), self.factors.index(factor)
        return self.of(forecaster).factor_square[:, *place], self.increment[:, *place] ** 2

    def factor_losses(self, forecaster: str, hours: float, underlying: str, factor: str) -> Float[ndarray, " origin"]:
        """CRPS of one factor per origin."""
        place = self.underlyings.index(underlying), self.factors.index(factor)
        return self.of(forecaster).factor_crps[:, self.horizon(hours), place[0], place[1]]

    def of_kind(self, kind: str) -> Int[ndarray, " book"]:
        """Places of the books of one kind, over all underlyings ("straddle", "market maker", …)."""
        return np.flatnonzero([kind_of(name) == kind for name in self.books])

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of books, in order."""
        return tuple(dict.fromkeys(kind_of(name) for name in self.books))


def kind_of(book: str) -> str:
    """Kind of a reference book by its name: without underlying and number.

    >>> kind_of("BTC market maker 2"), kind_of("ETH straddle")
    ('market maker', 'straddle')
    """
    words = book.split(" ")[1:]
    return " ".join(words[:-1] if words[-1].isdigit() else words)


def mean_over_cells(cells: Float[ndarray, "origin *cell"]) -> Float[ndarray, " origin"]:
    """Mean over the observed cells of each origin; NaN where none is.

    >>> mean_over_cells(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    array([ 1., nan])
    """
    flat = cells.reshape(len(cells), -1)
    is_there = np.isfinite(flat)
    count = is_there.sum(axis=1)
    total = np.where(is_there, flat, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(cells), np.nan), where=count > 0)
