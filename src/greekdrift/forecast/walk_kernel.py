"""The compiled walk: paths of the state whose scale follows them, scenario by scenario, as `econometric.walk` does it.

All sums of one path stay in the first cache. What is the same for all paths is worked out before: how each memory fades
over a step, its mass (the hours that it has seen), and what the calendar adds to the scale. Equal to the readable walk
to rounding (tests/forecast/test_walk_kernel.py).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Int, Shaped
from numba.extending import register_jitable
from numpy import ndarray

from greekdrift.forecast.memory import Memory
from greekdrift.forecast.scale import CLIP, DAY, MONTH, OWN, RISKMETRICS, SLOPED, WEEK, Scale, calendar_waves
from greekdrift.greeks.compiled import strict
from greekdrift.greeks.elementary import exp, log

MICROSECONDS_PER_HOUR = 3.6e9
COMPILED = ("ewma", "hari", "haris", "harit", "front")
"""Kinds of scale that the loop knows."""
COLUMNS = 6
"""Regressors that every log-HAR has: constant, day, week, implied, bad news twice."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picked:
    """Residuals along paths, not yet laid out.

    Step t of path s takes `residuals[paths[s, t], dealt[s, u]] · size[u]` for underlying u.
    """

    residuals: Float[ndarray, "drawn underlying factor"]
    paths: Int[ndarray, "scenario length"]
    dealt: Int[ndarray, "scenario underlying"]
    size: Float[ndarray, "underlying factor"]

    @classmethod
    def of(cls, residuals: Float[ndarray, "scenario length underlying factor"]) -> "Picked":
        """Residuals that are laid out already, each for its own step."""
        n, length, underlyings, factors = residuals.shape
        return cls(
            residuals=residuals.reshape(-1, underlyings, factors),
            paths=np.arange(n * length).reshape(n, length),
            dealt=np.broadcast_to(np.arange(underlyings), (n, underlyings)),
            size=np.ones((underlyings, factors)),
        )


def walked(
    scale: Scale,
    past: Memory,
    origin: Float[ndarray, "underlying factor"],
    moment: Shaped[ndarray, "1"],
    picked: Picked,
    lengths: Float[ndarray, " length"],
    arrivals: Int[ndarray, " horizon"],
) -> Float[ndarray, "scenario horizon underlying factor"]:
    """Increments since the origin at some arrivals (numbers of steps, increasing) along paths from one moment.

    `past` are the sums at the origin, without a leading axis; the scale is of a kind that is `COMPILED`.
    """
    memories, clock = scale.clock.memories, scale.clock
    fades = np.exp(-lengths[:, None] / memories)
    mass, seen = np.empty((lengths.size, *past.mass.shape)), past.mass
    for at, length in enumerate(lengths):
        mass[at] = seen
        seen = seen * fades[at][:, None, None] + length
    prior = 0.1 * memories
    added, slope = _calendar(scale, moment, lengths)
    out = np.empty((len(picked.paths), arrivals.size, *origin.shape))
    _walk(
        np.ascontiguousarray(picked.residuals), picked.paths, np.ascontiguousarray(picked.dealt), picked.size,
        np.ascontiguousarray(origin), past.power, past.news,
        1.0 / (mass + prior[:, None, None]), prior, fades, np.sqrt(lengths / clock.step_hours), memories,
        scale.long_run, scale.coefficients[:COLUMNS] if scale.kind != "ewma" else np.zeros(COLUMNS), added, slope,
        np.array([scale.places.forward, scale.places.implied, scale.places.front]),
        np.array([scale.kind == "ewma", scale.is_flat]), np.log(clock.hours_per_year), clock.step_hours, arrivals, out,
    )  # fmt: skip
    return out


def _calendar(scale: Scale, moment: ndarray, lengths: ndarray) -> tuple[Float[ndarray, " length"], float]:
    """What the calendar adds to ln variance at each step, and the coefficient of the slope of short volatility."""
    if scale.kind in ("ewma", "hari"):
        return np.zeros(lengths.size), 0.0
    steps = np.round(lengths * MICROSECONDS_PER_HOUR).astype("timedelta64[us]")
    starts = moment + np.concatenate([[np.timedelta64(0, "us")], np.cumsum(steps[:-1])])
    waves = np.clip(np.stack(calendar_waves(scale.clock, starts), axis=-1), -CLIP, CLIP)
    slope = float(scale.coefficients[COLUMNS]) if scale.kind in SLOPED else 0.0
    return waves @ scale.coefficients[-3:], slope


@register_jitable
def _clipped(value: float) -> float:
    return min(max(value, -CLIP), CLIP)


@register_jitable
def _bad(news: float, variance: float) -> float:
    """News in standard deviations where it is bad, at most CLIP of them."""
    return max(min(news / sqrt(variance), 0.0), -CLIP)


@strict
def _walk(residuals: ndarray, paths: ndarray, dealt: ndarray, size: ndarray, origin: ndarray, power0: ndarray,
          news0: ndarray, per_mass: ndarray, prior: ndarray, fades: ndarray, roots: ndarray, memories: ndarray,
          long_run: ndarray, coefficients: ndarray, added: ndarray, slope: float, places: ndarray, flags: ndarray,
          log_hours: float, step_hours: float, arrivals: ndarray, out: ndarray) -> None:  # fmt: skip
    """See `walked`; `per_mass` is one over mass plus prior at the start of each step, axes (step, memory, …)."""
    n, length = paths.shape
    underlyings, factors = origin.shape
    forward, implied, front = places[0], places[1], places[2]
    is_ewma, is_flat = flags[0], flags[1]
    moved, own = np.empty((underlyings, factors)), np.empty((underlyings, factors))
    power, news = np.empty((5, underlyings)), np.empty((5, underlyings))
    anchored = prior[OWN] * long_run
    for path in range(n):
        moved[:] = 0.0
        own[:] = power0[OWN]
        for memory in range(5):
            for u in range(underlyings):
                power[memory, u] = power0[memory, u, forward]
                news[memory, u] = news0[memory, u, forward]
        next_arrival = 0
        for step in range(length):
            drawn, root = paths[path, step], roots[step]
            fade_own = fades[step, OWN]
            for u in range(underlyings):
                long = long_run[u, forward]
                inverse = per_mass[step, :, u, forward]
                if is_ewma:
                    hourly = (power[RISKMETRICS, u] + prior[RISKMETRICS] * long) * inverse[RISKMETRICS]
                else:
                    month = (power[MONTH, u] + prior[MONTH] * long) * inverse[MONTH]
                    week = (power[WEEK, u] + prior[WEEK] * month) * inverse[WEEK]
                    day = (power[DAY, u] + prior[DAY] * week) * inverse[DAY]
                    level = origin[u, implied] + moved[u, implied]
                    against = log(month)
                    eta = coefficients[0] + added[step]
                    eta += coefficients[1] * _clipped(log(day) - against)
                    eta += coefficients[2] * _clipped(log(week) - against)
                    eta += coefficients[3] * _clipped(2.0 * level - log_hours - against)
                    eta += coefficients[4] * _bad(news[DAY, u], month * memories[DAY])
                    eta += coefficients[5] * _bad(news[WEEK, u], month * memories[WEEK])
                    if slope != 0.0:
                        short = origin[u, front] + moved[u, front]
                        eta += slope * _clipped(2.0 * (short - level))
                    hourly = month * exp(eta)
                source, to = residuals[drawn, dealt[path, u]], size[u]
                mine, sums, inverse_own = moved[u], own[u], per_mass[step, OWN, u]
                taken = source[forward] * to[forward] * sqrt(hourly * step_hours) * root
                before = mine[forward]
                if is_flat:
                    shared = sqrt(sqrt(hourly / long) * step_hours) * root
                    for f in range(factors):
                        mine[f] += source[f] * to[f] * (shared * sqrt(long_run[u, f]))
                else:
                    start = anchored[u]
                    for f in range(factors):
                        spread = sqrt((sums[f] + start[f]) * inverse_own[f] * step_hours)
                        moving = source[f] * to[f] * spread * root
                        mine[f] += moving
                        sums[f] = sums[f] * fade_own + moving * moving
                    sums[forward] = 0.0
                mine[forward] = before + taken
                for memory in range(5):
                    power[memory, u] = power[memory, u] * fades[step, memory] + taken * taken
                    news[memory, u] = news[memory, u] * fades[step, memory] + taken
            if step + 1 == arrivals[next_arrival]:
                out[path, next_arrival] = moved
                next_arrival += 1
