"""The interface of every forecaster: `fit(panel) -> Predictor`, `predict(history) -> Scenarios`.

"Not fitted" cannot be written: only `fit` makes a predictor. The origin of a forecast is the last row of the
history; whoever calls truncates it (`panel.until(moment)`), so that a predictor cannot see past it.

A forecaster may claim `invariances`, which the common tests hold it to: "level" (the price of a coin does not matter),
"scale" (all volatilities twice as large: all returns twice as large), "permutation" (the order of the underlyings
does not matter), each of the law, not of single draws.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.book import Scenarios
from greekdrift.errors import DataError, InputError
from greekdrift.features.history import Panel
from greekdrift.units import from_datetime64, stamp


class Predictor(Protocol):
    """Makes joint scenarios of the state from a history alone."""

    @property
    def name(self) -> str:
        """Readable name, such as `fhs:hari`."""
        ...

    def predict(self, history: Panel, *, horizons: Sequence[float], n: int, seed: int) -> Scenarios:
        """`n` joint paths of increments from the last row of `history`, at `horizons` in hours."""
        ...


class Forecaster(Protocol):
    """Learns a predictor from a panel."""

    @property
    def name(self) -> str:
        """Readable name, such as `fhs:hari`."""
        ...

    def fit(self, panel: Panel) -> Predictor:
        """A predictor that knows what the panel shows and nothing else."""
        ...


def checked_horizons(horizons: Sequence[float]) -> Float[ndarray, " horizon"]:
    """The horizons as an array; they must be positive hours, increasing.

    >>> checked_horizons([6, 24])
    array([ 6., 24.])
    """
    hours = np.array(horizons, dtype=np.float64)
    if hours.ndim != 1 or hours.size == 0 or not np.all(np.isfinite(hours)) or hours[0] <= 0.0:
        raise InputError(f"horizons {list(horizons)} must be positive hours.")
    if np.any(np.diff(hours) <= 0.0):
        raise InputError(f"horizons {list(horizons)} must increase.")
    return hours


def checked_asked(horizons: Sequence[float], *, n: int, seed: int) -> Float[ndarray, " horizon"]:
    """The horizons of a prediction, as `checked_horizons`; it draws at least one path, from a seed of at least 0.

    >>> checked_asked([6, 24], n=100, seed=7)
    array([ 6., 24.])
    """
    whole: tuple[tuple[str, Any, int], ...] = (("n", n, 1), ("seed", seed, 0))
    for name, value, least in whole:
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} {value} must be a whole number of at least {least}.")
    return checked_horizons(horizons)


def checked_origin(
    history: Panel, *, underlyings: tuple[str, ...], factors: tuple[str, ...]
) -> Float[ndarray, "underlying factor"]:
    """State at the origin; refused where the history shows other axes than the fit or misses a value there."""
    if history.underlyings != underlyings or history.factors != factors:
        raise DataError(
            f"the history shows {', '.join(history.underlyings)} in {len(history.factors)} factors, the predictor was "
            f"fitted on {', '.join(underlyings)} in {len(factors)}; take a panel of the same axes or fit again."
        )
    if len(history) == 0:
        raise DataError("the history is empty; a forecast needs at least the snapshot of its origin.")
    missing = ~np.isfinite(history.state[-1])
    if missing.any():
        at, factor = (int(i) for i in np.argwhere(missing)[0])
        when = stamp(from_datetime64(history.as_of[-1]))
        raise DataError(
            f"{underlyings[at]} has no {factors[factor]} at the origin {when}; wait for a complete snapshot "
            "or forecast without that underlying."
        )
    origin: Float[ndarray, "underlying factor"] = history.state[-1]
    return origin


def scenarios(
    history: Panel,
    increments: Float[ndarray, "scenario horizon underlying factor"],
    *,
    horizons: Float[ndarray, " horizon"],
    name: str,
    seed: int,
) -> Scenarios:
    """Equally weighted scenarios from the last row of a history; an array of its own is made read-only, not copied."""
    n = increments.shape[0]
    if increments.base is None:
        increments.setflags(write=False)
    return Scenarios(
        underlyings=history.underlyings,
        factors=history.factors,
        horizons=horizons,
        increments=increments,
        weights=np.full(n, 1.0 / n),
        as_of=from_datetime64(history.as_of[-1]),
        known_at=from_datetime64(history.known_at[-1]),
        provenance=f"{name} seed {seed}",
    )
