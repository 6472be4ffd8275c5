"""The panel and the ways to make one: from given states, from a source by fitting every snapshot, from histories."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from greekdrift.errors import DataError
from greekdrift.features.feature import Feature
from greekdrift.features.history import Increments, Instants, Panel
from greekdrift.features.states import Progress, fitted
from greekdrift.features.stored import stored_features
from greekdrift.features.table import FEATURES, with_features
from greekdrift.market.series import Series
from greekdrift.market.source import Source
from greekdrift.surface.state import FACTORS

__all__ = ["Increments", "Panel", "assemble", "build", "from_histories"]

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


def from_histories(
    records: Mapping[str, Series],
    factors: Mapping[str, str],
    *,
    step_hours: float,
    clock: Clock = "elapsed",
    logarithms: Collection[str] = (),
    features: Sequence[Feature] = (),
) -> Panel:
    """A panel whose rows are the events of long histories, one record an underlying: what networks learn first from.

    `factors` names the column that each factor of the state is read from; of those in `logarithms` the logarithm is
    taken. A row is known when all of its underlyings' values were, and not before an earlier row; an underlying
    without that event is missing. Corrections and late events are left out (`Series.in_order`), spacing stays.

    >>> from greekdrift.market.series import example
    >>> made = from_histories({"BTC": example(rows=3)}, {"forward": "close"}, step_hours=1.0, logarithms=["forward"])
    >>> np.exp(made.factor("forward")[:, 0]).round(6).tolist()
    [100.0, 101.0, 102.0]
    """
    names = tuple(records)
    ordered = [records[name].in_order() for name in names]
    as_of = np.unique(np.concatenate([one.event_time for one in ordered]))
    known_at = as_of.copy()
    state = np.full((len(as_of), len(names), len(factors)), np.nan)
    for at, one in enumerate(ordered):
        row = np.searchsorted(as_of, one.event_time)
        known_at[row] = np.maximum(known_at[row], one.known_at)
        for number, (factor, column) in enumerate(factors.items()):
            values = one.column(column)
            state[row, at, number] = _logarithm(values, one.name, column) if factor in logarithms else values
    return assemble(
        names,
        tuple(factors),
        as_of=as_of,
        known_at=np.maximum.accumulate(known_at),
        state=state,
        step_hours=step_hours,
        clock=clock,
        features=features,
    )


def _logarithm(values: Float[ndarray, " row"], name: str, column: str) -> Float[ndarray, " row"]:
    if np.any(values <= 0.0):
        row = int(np.argmax(values <= 0.0))
        raise DataError(f"{name}: {column} is {values[row]:g} in row {row} and has no logarithm; leave it as it is.")
    return np.log(values)
