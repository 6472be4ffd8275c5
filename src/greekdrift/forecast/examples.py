"""What the drift net learns from: at each origin of the past its inputs, draws of the base law, and what happened.

The draws of an origin never use a residual of the window that they are to forecast. Rows whose windows are not
complete at every horizon are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.features.history import Panel
from greekdrift.forecast.econometric import FilteredPredictor, walk
from greekdrift.forecast.ensemble import PoolPredictor, shares
from greekdrift.forecast.inputs import gaps, inputs
from greekdrift.forecast.mean_regression import MeanRegression
from greekdrift.forecast.memory import Memory, memory, moves
from greekdrift.forecast.scale import Scale
from greekdrift.forecast.steps import path_of_steps, steps

LEAST = 24
CHUNK = 48


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Axes: row (origins in order of time), draw, horizon, underlying, factor.

    `base` are increments drawn from the pool, members in random order, `observed` what happened, both in the state's
    units; `ratio` is σ/σ_forward at the origin. `origin` and `last` are row numbers of the panel, `last` that of the
    longest target.
    """

    inputs: Float[ndarray, "row horizon underlying factor input"]
    gap: Float[ndarray, "row underlying factor reversion"]
    ratio: Float[ndarray, "row underlying factor"]
    base: Float[ndarray, "row draw horizon underlying factor"]
    observed: Float[ndarray, "row horizon underlying factor"]
    origin: Int[ndarray, " row"]
    last: Int[ndarray, " row"]

    def __len__(self) -> int:
        return len(self.origin)

    def rows(self, rows: ndarray) -> Self:
        """Some of the rows."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def examples(base: PoolPredictor, panel: Panel, *, horizons: Sequence[float], draws: int, seed: int) -> Examples:
    """All complete origins of a panel."""
    origin, observed, elapsed, last = _windows(panel, horizons)
    if len(origin) < LEAST:
        raise DataError(
            f"{len(origin)} complete origins for horizons {list(horizons)} in {len(panel)} rows; the drift net needs "
            f"{LEAST}: give a longer panel or shorter horizons."
        )
    scale = base.lead.scale
    past = memory(moves(panel), scale.clock.memories)
    hours = np.array(horizons, dtype=np.float64)
    random = np.random.default_rng(seed)
    drawn = [
        _draws(member, panel, past, origin=origin, last=last, horizons=hours, draws=count, random=random)
        for member, count in zip(base.members, shares(draws, len(base.members)), strict=True)
    ]
    known, state, moment = past.rows(origin), panel.state[origin], panel.as_of[origin]
    return Examples(
        inputs=inputs(scale, panel.factors, known, state, moment, hours),
        gap=gaps(scale, known),
        ratio=ratio(scale, known, state, moment),
        base=np.concatenate(drawn, axis=1)[:, random.permutation(draws)]
        * np.sqrt(elapsed / hours)[:, None, :, None, None],
        observed=observed,
        origin=origin,
        last=last,
    )


def residual(made: Examples, means: MeanRegression, panel: Panel, *, horizons: Sequence[float]) -> Examples:
    """The same examples once a conditional mean is known: what it leaves of draws and of what happened."""
    hours, rows = np.array(horizons, dtype=np.float64), made.origin
    known = memory(moves(panel), means.frame.clock.memories).rows(rows)
    return replace(
        made,
        base=means.around(made.base, made.base.mean(axis=1, keepdims=True), 0.0, hours),
        observed=made.observed - means.expected(known, panel.state[rows], panel.as_of[rows], hours),
    )


def ratio(scale: Scale, known: Memory, state: ndarray, moment: ndarray) -> Float[ndarray, "row underlying factor"]:
    """σ/σ_forward of the next step, 0 for the forward itself."""
    size = scale.at(known, state, moment)
    found = size / size[..., scale.forward : scale.forward + 1]
    found[..., scale.forward] = 0.0
    return found


def _windows(panel: Panel, horizons: Sequence[float]) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Origins that have a complete target at every horizon; increments, elapsed hours, row of the last target."""
    shape = (len(panel), len(horizons))
    values = np.full((*shape, *panel.state.shape[1:]), np.nan)
    elapsed, last = np.zeros(shape), np.zeros(len(panel), dtype=np.int64)
    for at, horizon in enumerate(horizons):
        found = panel.increments(horizon, tolerance_hours=0.25 * panel.step_hours)
        values[found.origin, at] = found.values
        elapsed[found.origin, at] = found.elapsed_hours
        last[found.origin] = found.target
    origin = np.flatnonzero(np.all(np.isfinite(values), axis=(1, 2, 3)))
    return origin, values[origin], elapsed[origin], last[origin]


def _draws(
    base: FilteredPredictor,
    panel: Panel,
    past: Memory,
    *,
    origin: ndarray,
    last: ndarray,
    horizons: ndarray,
    draws: int,
    random: np.random.Generator,
) -> ndarray:
    """Increments of one member at every origin, without the residuals of the window from origin to last."""
    lengths, arrivals = path_of_steps(horizons, base.scale.clock.step_hours)
    own = steps(panel)
    drawn = np.empty((len(origin), draws, len(horizons), *panel.state.shape[1:]))
    for start in range(0, len(origin), CHUNK):
        rows = origin[start : start + CHUNK]
        residuals = [
            base.residuals.draw(
                n=draws, length=lengths.size, random=random, without=(own.target > at) & (own.origin < until)
            )
            for at, until in zip(rows, last[start : start + CHUNK], strict=True)
        ]
        many = np.repeat(rows, draws)
        walked = walk(
            base.scale, past.rows(many), panel.state[many], panel.as_of[many], np.concatenate(residuals), lengths
        )
        drawn[start : start + CHUNK] = walked[:, arrivals - 1].reshape(len(rows), draws, *drawn.shape[2:])
    return drawn
