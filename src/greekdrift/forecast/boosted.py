"""Boosted quantile trees for every factor, joined by the ranks of filtered historical paths.

    y = x / (σ √(h/δ)),   q_k(inputs) = trees at level k,   k = 5, 25, 50, 75, 95 %

x is the increment of one factor over h hours, σ its scale known at the origin (a step of δ hours), the inputs those
of `forecast.inputs`: scale-free, the same for every underlying, the horizon among them. Quantiles that cross are
sorted (rearranged). The copula over factors, horizons and underlyings is empirical: a filtered historical path at
level p of a margin moves to the trees' quantile at p, linear in normal scores between the levels; beyond them the
path's own distance, stretched to the trees' width, is kept, because trees know nothing about tails. The median of
the return is 0: a learned drift of the price is not to be traded on.
Source: Meinshausen (2006) for quantile trees; Chernozhukov, Fernández-Val & Galichon (2010) for sorting; Schefzik,
Thorarinsdottir & Gneiting (2013) for the copula.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtri

from greekdrift.book import Scenarios
from greekdrift.errors import DataError, InputError
from greekdrift.features.history import Panel
from greekdrift.forecast.econometric import FilteredHistorical, FilteredPredictor
from greekdrift.forecast.forecaster import checked_asked, checked_origin, scenarios
from greekdrift.forecast.forest import Forests, forests
from greekdrift.forecast.inputs import KINDS, inputs
from greekdrift.forecast.memory import memory, moves
from greekdrift.forecast.scale import Kind
from greekdrift.forecast.steps import usual_horizons

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SCORES = ndtri(np.array(LEVELS))
MIDDLE = LEVELS.index(0.5)
LEAST_ORIGINS = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoostedPredictor:
    """Filtered historical law, and one forest for each factor and level (factors outermost)."""

    kind: ClassVar[str] = "boosted"

    name: str
    base: FilteredPredictor
    trees: Forests

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` paths with the margins of the trees, from the last row of the history."""
        hours = checked_asked(horizons, n=n, seed=seed)
        checked_origin(history, underlyings=self.base.underlyings, factors=self.base.factors)
        paths = self.base.paths(history, hours, n=n, seed=seed)
        moved = remargined(paths, self.quantiles(history, hours))
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)

    def quantiles(
        self, history: Panel, hours: Float[ndarray, " horizon"]
    ) -> Float[ndarray, "horizon underlying factor level"]:
        """Increasing quantiles of each increment from the last row of a history, at `LEVELS`."""
        scale = self.base.scale
        now = memory(moves(history), scale.clock.memories, last_only=True).repeated(1)
        state, moment = history.state[-1:], history.as_of[-1:]
        seen = _columns(inputs(scale, self.base.factors, now, state, moment, hours))[0]
        size = scale.at(now, state, moment)[0] * np.sqrt(hours / scale.clock.step_hours)[:, None, None]
        horizon, underlying, factor, _ = seen.shape
        rows = np.moveaxis(seen, 2, 0).reshape(factor, horizon * underlying, -1)
        made = self.trees.predict(np.repeat(rows, len(LEVELS), axis=0))
        levels = np.sort(made.reshape(factor, len(LEVELS), horizon, underlying), axis=1)
        levels[scale.forward] -= levels[scale.forward, MIDDLE]
        found: ndarray = levels.transpose(2, 3, 0, 1) * size[..., None]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """Quantile trees of scikit-learn (`HistGradientBoostingRegressor`) on the ranks of filtered historical paths.

    `iterations` trees of at most `leaves` leaves, each leaf with at least `leaf_share` of the examples; every tree
    goes `rate` of its way.
    """

    invariances: ClassVar[tuple[str, ...]] = ("level", "scale", "permutation")

    scale: Kind = "hari"
    iterations: int = 30
    rate: float = 0.05
    leaves: int = 6
    leaf_share: float = 0.02

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.leaves < 2 or not 0.0 < self.leaf_share < 0.5 or not 0.0 < self.rate <= 1.0:
            raise InputError(
                f"boosted: iterations {self.iterations} ≥ 1, leaves {self.leaves} ≥ 2, leaf_share {self.leaf_share} "
                f"within (0, 0.5) and rate {self.rate} within (0, 1] are needed."
            )

    @property
    def name(self) -> str:
        """Such as `boosted:hari`."""
        return f"boosted:{self.scale}"

    def fit(self, panel: Panel) -> BoostedPredictor:
        """The filtered law, then the trees of each factor on all horizons and underlyings together."""
        base = FilteredHistorical(scale=self.scale).fit(panel)
        seen, target = _examples(base, panel)
        return BoostedPredictor(name=self.name, base=base, trees=forests(self._models(seen, target)))

    def _models(self, seen: ndarray, target: ndarray) -> list[object]:
        """One fitted model for each factor and level, factors outermost."""
        from sklearn.base import clone  # noqa: PLC0415 - predicting needs no sklearn
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

        model = {
            level: HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                learning_rate=self.rate,
                max_iter=self.iterations,
                max_leaf_nodes=self.leaves,
                min_samples_leaf=max(20, int(self.leaf_share * len(target))),
                max_bins=64,
                early_stopping=False,
                random_state=0,
            )
            for level in LEVELS
        }
        with threadpool_limits(limits=1):  # sums in one order: the same bytes on every machine
            return [
                clone(model[level]).fit(seen[:, at], target[:, at]) for at in range(target.shape[1]) for level in LEVELS
            ]


def _examples(base: FilteredPredictor, panel: Panel) -> tuple[ndarray, ndarray]:
    """Inputs (example, factor, input) and standardised increments (example, factor) over all horizons and origins."""
    scale = base.scale
    known = memory(moves(panel), scale.clock.memories)
    seen, target = [], []
    for hours in usual_horizons(panel):
        window = panel.increments(hours, tolerance_hours=0.25 * panel.step_hours)
        complete = np.all(np.isfinite(window.values), axis=(1, 2))
        origin, elapsed = window.origin[complete], window.elapsed_hours[complete]
        if origin.size == 0:
            continue
        state, moment, past = panel.state[origin], panel.as_of[origin], known.rows(origin)
        size = scale.at(past, state, moment) * np.sqrt(elapsed / panel.step_hours)[:, None, None]
        columns = _columns(inputs(scale, base.factors, past, state, moment, np.array([hours])))[:, 0]
        seen.append(columns.reshape(-1, *columns.shape[2:]))
        target.append((window.values[complete] / size).reshape(-1, size.shape[-1]))
    if not seen or sum(len(part) for part in target) < LEAST_ORIGINS:
        raise DataError(
            f"{sum(len(part) for part in target)} complete increments in a panel of {len(panel)} rows; boosted trees "
            f"need {LEAST_ORIGINS}: give a longer panel or use fhs."
        )
    return np.concatenate(seen), np.concatenate(target)


def _columns(seen: ndarray) -> ndarray:
    """The inputs without the kinds of the factors: each factor has trees of its own."""
    return seen[..., : -len(KINDS)]


def remargined(
    paths: Float[ndarray, "scenario horizon underlying factor"],
    quantiles: Float[ndarray, "horizon underlying factor level"],
) -> Float[ndarray, "scenario horizon underlying factor"]:
    """Equally likely paths whose margins have other quantiles at `LEVELS`; every margin keeps its ranks."""
    n = len(paths)
    score = ndtri((np.arange(n) + 0.5) / n)
    moved = np.empty(paths.shape)
    for cell in np.ndindex(paths.shape[1:]):
        values, wanted = paths[:, *cell], quantiles[cell]
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        ends = np.interp(SCORES, score, ordered)
        inside = np.interp(score, SCORES, wanted)
        below, above = (_stretch(ends, wanted, end) for end in (0, -1))
        inside += below * np.where(score < SCORES[0], ordered - ends[0], 0.0)
        inside += above * np.where(score > SCORES[-1], ordered - ends[-1], 0.0)
        moved[order, *cell] = inside
    return moved


def _stretch(own: ndarray, wanted: ndarray, end: int) -> float:
    """How much wider the wanted half between the middle and an end is than one's own; 1 where that has no width."""
    width = own[end] - own[MIDDLE]
    return float((wanted[end] - wanted[MIDDLE]) / width) if width != 0.0 else 1.0
