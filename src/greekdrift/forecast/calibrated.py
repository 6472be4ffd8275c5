"""Any forecaster, its ranks calibrated on what came true: a map of the *state*, applied before the calculator.

Greeks, P&L, margin and policy all follow from the same calibrated scenarios and so cannot contradict each other.
Inside `fit` the base walks forward over the panel: it is fitted on the rows known at an instant, forecasts later
origins, and the level of each outcome in its forecast is counted by factor and horizon (`forecast.rank_map`). The
map of an underlying is shrunk to that of all of them, and that one to the identity. Outcomes that overlap count
once a horizon.

Timing: every outcome that is counted was known with the last row of the panel. Source: see `forecast.rank_map`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.config.table import Component
from greekdrift.errors import DataError, InputError
from greekdrift.features.history import Panel
from greekdrift.forecast import wrapped
from greekdrift.forecast.forecaster import Forecaster, Predictor, checked_asked, checked_horizons, scenarios
from greekdrift.forecast.rank_map import LEVELS, RankMap, identity, images, shares_below, shrunk
from greekdrift.forecast.steps import usual_horizons
from greekdrift.score import pit

FIRST_SHARE = 0.3
"""The first inner fit sees this share of the rows."""
LEAST_ROWS = 40
DRAWS = 199
"""Scenarios per inner origin: the levels k/200 are all as likely."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibratedPredictor:
    """A predictor and the map of its ranks."""

    kind: ClassVar[str] = "calibrated"

    name: str
    base: Predictor
    ranks: RankMap

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """The base's scenarios with every factor at its calibrated level, ranks kept."""
        hours = checked_asked(horizons, n=n, seed=seed)
        made = self.base.predict(history, horizons=horizons, n=n, seed=seed)
        if np.ptp(made.weights) > 1e-12:
            raise InputError(f"{self.base.name} weighs its scenarios; only equally weighted ones can be calibrated.")
        moved = self.ranks.applied(made.increments, hours)
        return scenarios(history, moved, horizons=hours, name=self.name, seed=seed)

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays: the base under its kind, and the map."""
        return wrapped.pack(self.name, self.base, ranks=self.ranks)

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The predictor of these values and arrays."""
        name, base, ranks = wrapped.unpack(config, arrays, ranks=RankMap)
        return cls(name=name, base=base, ranks=ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A forecaster of the table, calibrated.

    `base` names it as in `{use: fhs, scale: haris}`. It is fitted `refits` times on growing parts of the panel and
    forecasts at most `origins` of the later rows at `horizons` (hours; 1, 2, 4, 8 and 12 base steps where none are
    given, 1, 2, 5 and 10 sessions). The identity counts for `prior_outcomes` outcomes.
    """

    base: Component = wrapped.BASE
    horizons: tuple[float, ...] = ()
    refits: int = 4
    origins: int = 240
    prior_outcomes: float = 50.0
    seed: int = 0
    recorder: Any = None

    def __post_init__(self) -> None:
        if self.horizons:
            checked_horizons(self.horizons)
        if self.refits < 1 or self.origins < 1 or not self.prior_outcomes > 0.0:
            raise InputError(
                f"calibrated: refits {self.refits}, origins {self.origins} and prior_outcomes {self.prior_outcomes} "
                "must be positive."
            )
        wrapped.check(self.base)

    @property
    def forecaster(self) -> Forecaster:
        """The forecaster that is calibrated."""
        return wrapped.built(self.base, seed=self.seed, recorder=self.recorder)

    @property
    def invariances(self) -> tuple[str, ...]:
        """Those of the base: ranks have no unit, no level and no order."""
        return getattr(self.forecaster, "invariances", ())

    @property
    def name(self) -> str:
        """Such as `calibrated:fhs:hari`."""
        return f"calibrated:{self.forecaster.name}"

    def fit(self, panel: Panel) -> CalibratedPredictor:
        """The base on the whole panel, its ranks on an inner walk-forward."""
        return calibrated(
            self.forecaster,
            panel,
            horizons=self.horizons,
            refits=self.refits,
            origins=self.origins,
            prior_outcomes=self.prior_outcomes,
            seed=self.seed,
        )


def calibrated(
    forecaster: Forecaster,
    panel: Panel,
    *,
    horizons: Sequence[float] = (),
    refits: int = 4,
    origins: int = 240,
    prior_outcomes: float = 50.0,
    seed: int = 0,
) -> CalibratedPredictor:
    """Any forecaster, also one from outside, fitted and calibrated on a panel (see `Calibrated` for the words).

    >>> from greekdrift.features.history import example
    >>> from greekdrift.forecast.historical import Historical
    >>> panel = example(rows=120)
    >>> predictor = calibrated(Historical(), panel)
    >>> predictor.name, predictor.predict(panel, horizons=[6.0, 24.0], n=50, seed=0).increments.shape
    ('calibrated:historical', (50, 2, 1, 7))
    """
    hours = np.array(horizons or usual_horizons(panel), dtype=np.float64)
    predictor = forecaster.fit(panel)
    known = outcomes(forecaster, panel, hours, refits=refits, origins=origins, seed=seed)
    maps = [
        _images(levels, outcomes=_effective(panel, rows, hour), prior=prior_outcomes, shape=panel.state.shape[1:])
        for hour, (rows, levels) in zip(hours, known, strict=True)
    ]
    return CalibratedPredictor(
        name=f"calibrated:{forecaster.name}",
        base=predictor,
        ranks=RankMap(horizons=hours, images=np.concatenate(maps)),
    )


Outcomes = tuple[Int[ndarray, " outcome"], Float[ndarray, "outcome underlying factor"]]


def outcomes(
    forecaster: Forecaster,
    panel: Panel,
    hours: Float[ndarray, " horizon"],
    *,
    refits: int,
    origins: int,
    seed: int,
) -> tuple[Outcomes, ...]:
    """For each horizon the origins of the inner walk-forward and the level of each outcome in its forecast."""
    found: list[list[tuple[int, ndarray]]] = [[] for _ in hours]
    moves = [panel.increments(float(hour), tolerance_hours=0.25 * panel.step_hours) for hour in hours]
    place = [dict(zip(one.origin.tolist(), range(len(one)), strict=True)) for one in moves]
    for fit_row, rows in plan(panel, refits=refits, origins=origins):
        try:
            predictor = forecaster.fit(panel.until(panel.known_at[fit_row]))
        except DataError:
            continue  # too short a past for this forecaster: that part of the panel gives no evidence
        for row in rows:
            there = [at for at in range(hours.size) if row in place[at]]
            if there:
                observed = np.stack([moves[at].values[place[at][row]] for at in there])
                elapsed = np.array([moves[at].elapsed_hours[place[at][row]] for at in there])
                levels = _levels(predictor, panel.until(panel.known_at[row]), elapsed, observed, seed=seed + row)
                for at, level in zip(there, levels, strict=False):
                    found[at].append((row, level))
    shape = panel.state.shape[1:]
    return tuple(
        (np.array([row for row, _ in one], dtype=np.int64), np.array([level for _, level in one]).reshape(-1, *shape))
        for one in found
    )


def _levels(predictor: Predictor, history: Panel, elapsed: ndarray, observed: ndarray, *, seed: int) -> ndarray:
    """Level of each outcome; none where the predictor has no forecast at that origin."""
    try:
        made = predictor.predict(history, horizons=elapsed.tolist(), n=DRAWS, seed=seed)
    except DataError:
        return np.empty((0, *observed.shape[1:]))
    lower, upper = pit(made.increments, observed)
    middle: ndarray = 0.5 * (lower + upper)
    return middle


def plan(panel: Panel, *, refits: int, origins: int) -> list[tuple[int, list[int]]]:
    """The last row of each inner fit and the complete rows that are forecast from it, evenly thinned."""
    first = max(LEAST_ROWS, int(FIRST_SHARE * len(panel)))
    complete = np.flatnonzero(np.all(np.isfinite(panel.state), axis=(1, 2)))
    rows = complete[complete >= first]
    rows = rows[:: max(1, -(-rows.size // origins))]
    return [(int(part[0]), part.tolist()) for part in np.array_split(rows, refits) if part.size]


def _effective(panel: Panel, rows: Int[ndarray, " outcome"], hours: float) -> float:
    """Outcomes that do not overlap: the time that the windows cover, in horizons."""
    if rows.size == 0:
        return 0.0
    starts = panel.hours[rows]
    covered = np.minimum(np.diff(starts), hours).sum() + hours
    return float(covered / hours)


def _images(levels: ndarray, *, outcomes: float, prior: float, shape: tuple[int, ...]) -> ndarray:
    """Images of one horizon: each underlying shrunk to all of them, all of them to the identity."""
    if len(levels) == 0:
        return identity(*shape)
    own = shares_below(levels)
    line = np.broadcast_to(np.array(LEVELS)[:, None], (len(LEVELS), shape[1]))
    shared = shrunk(own.mean(axis=1), line, outcomes=outcomes, prior=prior)
    return images(shrunk(own, shared[:, None, :], outcomes=outcomes, prior=prior))[None]
