"""The panel and the ways to make one: from given states, or from a source by fitting every snapshot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.features.feature import Feature
from greekdrift.features.history import Increments, Instants, Panel
from greekdrift.features.states import Progress, fitted
from greekdrift.features.stored import stored_features
from greekdrift.features.table import FEATURES, with_features
from greekdrift.market.series import Series
from greekdrift.market.source import Source
from greekdrift.surface.state import FACTORS

__all__ = ["Increments", "Panel", "assemble", "build"]

Clock = Literal["elapsed", "sessions"]


def build(
    source: Source,
    *,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    features: Sequence[Feature] = FEATURES,
    histories: Mapping[str, Series] | None = None,
) -> Panel:
    """The panel of a source: one fitted state per snapshot and underlying, and the features of these states.

    `histories` are the records that features may read beside the state. `cache` is a folder for the fitted states
    and for the finished features, which are then mapped from there; `progress` is told (done, all). Timing: a row is
    known when its chain was.
    """
    states = fitted(source, cache=cache, progress=progress)
    bare = assemble(
        source.underlyings,
        FACTORS,
        as_of=states.as_of,
        known_at=states.known_at,
        state=states.values,
        step_hours=source.step_hours,
        clock=cast("Clock", source.clock),
        features=(),
        histories=histories,
    )
    return with_features(bare, features) if cache is None else stored_features(bare, features, cache=Path(cache))


def assemble(
    underlyings: Sequence[str],
    factors: Sequence[str],
    *,
    as_of: Instants,
    known_at: Instants,
    state: Float[ndarray, "row underlying factor"],
    step_hours: float,
    clock: Clock = "elapsed",
    features: Sequence[Feature] = FEATURES,
    histories: Mapping[str, Series] | None = None,
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
        histories=dict(histories or {}),
    )
    return with_features(bare, features)
