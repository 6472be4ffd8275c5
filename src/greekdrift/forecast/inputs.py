"""What the drift net sees at an origin: few, scale-free numbers per horizon, underlying and factor.

All of them come from the decayed sums of `forecast.memory` and the state of the origin row, so that one network
serves every underlying, factor and asset class, and a hole in the history is never bridged. Timing: known with
the origin row. Each number is clipped at ±4.
"""

import re

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from greekdrift.features.calendar import hours_since_thursday, weekend_share
from greekdrift.forecast import scale as scales
from greekdrift.forecast.memory import Memory
from greekdrift.forecast.scale import DAY, MONTH, OWN, WEEK, Scale

KINDS = ("forward", "atm", "skew", "curvature", "other")
ORIGIN = ("day", "week", "implied", "bad_day", "bad_week", "front_slope", "back_slope")
SHARED = ("mean_day", "mean_week", "mean_implied")
TIME = ("log_horizon", "weekend_share", "hour_sin", "hour_cos")
OWN_NAMES = ("own_scale", "return_scale", "move_day", "move_week", "log_tenor")
NAMES = ORIGIN + SHARED + TIME + OWN_NAMES + KINDS
CLIP = 4.0
REVERSIONS = (DAY, WEEK, MONTH)
"""Memories whose average level a factor may return to."""


def kinds(factors: tuple[str, ...]) -> Float[ndarray, "factor kind"]:
    """Which kind each factor is, as ones and zeros.

    >>> kinds(("forward", "atm_7", "basis")).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    heads = [name.split("_", maxsplit=1)[0] for name in factors]
    return np.array([[float((head if head in KINDS else "other") == kind) for kind in KINDS] for head in heads])


def log_tenor(factors: tuple[str, ...]) -> Float[ndarray, " factor"]:
    """ln(days/30)/2 of a factor's pillar, 0 where it has none.

    >>> log_tenor(("forward", "atm_30", "skew_30")).tolist()
    [0.0, 0.0, 0.0]
    """
    found = [re.search(r"_(\d+)$", name) for name in factors]
    return np.array([0.0 if pillar is None else 0.5 * np.log(float(pillar[1]) / 30.0) for pillar in found])


def inputs(
    scale: Scale,
    factors: tuple[str, ...],
    memory: Memory,
    state: Float[ndarray, "row underlying factor"],
    moment: Shaped[ndarray, " row"],
    horizons: Float[ndarray, " horizon"],
) -> Float[ndarray, "row horizon underlying factor input"]:
    """`NAMES` at some rows for each horizon (hours), underlying and factor."""
    rate = scales.variances(memory, scale.clock.memories, scale.long_run)
    origin = _origin(scale, factors, memory, rate, state, moment)
    shared = np.broadcast_to(origin[..., :3].mean(axis=1, keepdims=True), (*origin.shape[:2], 3))
    per_underlying = np.concatenate([origin, shared], axis=-1)
    own = _own(scale, factors, memory, rate)
    time = _time(scale, moment, horizons)
    shape = (len(moment), len(horizons), state.shape[1], state.shape[2])
    parts = [
        np.broadcast_to(per_underlying[:, None, :, None, :], (*shape, per_underlying.shape[-1])),
        np.broadcast_to(time[:, :, None, None, :], (*shape, time.shape[-1])),
        np.broadcast_to(own[:, None], (*shape, own.shape[-1])),
        np.broadcast_to(kinds(factors), (*shape, len(KINDS))),
    ]
    return np.clip(np.concatenate(parts, axis=-1), -CLIP, CLIP)


def gaps(scale: Scale, memory: Memory) -> Float[ndarray, "row underlying factor reversion"]:
    """Average level of a day, a week and a month ago against now, for every factor but the forward.

    The decayed sum of changes is how far the level stands above its exponential average. The forward has none:
    a learned drift of the price is not to be traded on.
    """
    gap = -np.stack([memory.news[..., at, :, :] for at in REVERSIONS], axis=-1)
    gap[..., scale.forward, :] = 0.0
    return gap


def _origin(
    scale: Scale, factors: tuple[str, ...], memory: Memory, rate: ndarray, state: ndarray, moment: ndarray
) -> Float[ndarray, "row underlying input"]:
    columns = scales.regressors("hari", scale.clock, scale.places, rate, memory, state, moment)
    levels = [at for at, name in enumerate(factors) if name.startswith("atm_")]
    front, middle, back = levels[0], levels[len(levels) // 2], levels[-1]
    slopes = np.stack([state[..., middle] - state[..., front], state[..., back] - state[..., middle]], axis=-1)
    return np.concatenate([columns[..., 1:6], slopes], axis=-1)


def _own(scale: Scale, factors: tuple[str, ...], memory: Memory, rate: ndarray) -> ndarray:
    """Own and return variance against the long run, own moves of the last day and week in standard deviations."""
    against = 0.5 * np.log(rate[..., OWN, :, :] / scale.long_run)
    forward = np.broadcast_to(against[..., scale.forward][..., None], against.shape)
    moves = [memory.news[..., at, :, :] / np.sqrt(scale.long_run * scale.clock.memories[at]) for at in (DAY, WEEK)]
    tenor = np.broadcast_to(log_tenor(factors), against.shape)
    return np.stack([against, forward, *moves, tenor], axis=-1)


def _time(scale: Scale, moment: ndarray, horizons: ndarray) -> Float[ndarray, "row horizon input"]:
    log_horizon = np.broadcast_to(np.log(horizons / 24.0), (len(moment), len(horizons)))
    if not scale.clock.has_calendar:
        nothing = np.zeros(log_horizon.shape)
        return np.stack([log_horizon, nothing, nothing, nothing], axis=-1)
    share = np.stack([weekend_share(moment, float(hours)) for hours in horizons], axis=-1)
    angle = np.broadcast_to((hours_since_thursday(moment) * (2.0 * np.pi / 24.0))[:, None], log_horizon.shape)
    return np.stack([log_horizon, share, np.sin(angle), np.cos(angle)], axis=-1)
