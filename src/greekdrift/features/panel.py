"""The panel and the ways to make one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.features.feature import Feature
from greekdrift.features.history import Increments, Instants, Panel
from greekdrift.features.table import FEATURES, with_features

__all__ = ["Increments", "Panel", "assemble"]


def assemble(
    underlyings: Sequence[str],
    factors: Sequence[str],
    *,
    as_of: Instants,
    known_at: Instants,
    state: Float[ndarray, "row underlying factor"],
    step_hours: float,
    clock: Literal["elapsed", "sessions"] = "elapsed",
    features: Sequence[Feature] = FEATURES,
) -> Panel:
    """A panel of given states, with its features.

    >>> moments = np.array(["2026-01-01T00:00", "2026-01-01T06:00"], dtype="datetime64[us]")
    >>> state = np.zeros((2, 1, 1))
    >>> assemble(["BTC"], ["forward"], as_of=moments, known_at=moments, state=state, step_hours=6.0, features=()).hours
    array([0., 6.])
    """
    bare = Panel(
        underlyings=tuple(underlyings),
        factors=tuple(factors),
        feature_names=(),
        as_of=as_of,
        known_at=known_at,
        state=state,
        features=np.empty((len(as_of), len(underlyings), 0)),
        step_hours=step_hours,
        clock=clock,
    )
    return with_features(bare, features)
