"""A history that ends with a chain that has just arrived: its state is fitted and its features are computed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from greekdrift.book import Chain
from greekdrift.errors import DataError
from greekdrift.features.feature import Feature
from greekdrift.features.history import Panel
from greekdrift.features.states import state_of
from greekdrift.features.table import FEATURES, with_features
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64, stamp


def with_chain(history: Panel, chain: Chain, *, features: Sequence[Feature] = FEATURES) -> Panel:
    """The history that was known before a chain, and the chain as its last row: a panel built with it, bit by bit.

    `features` are those that the history was built with; a history that carries others is refused, since a model
    would miss them. Timing: rows known after the chain are left out. An underlying that the chain cannot carry is
    missing (NaN).
    """
    if history.factors != FACTORS:
        raise DataError("the history has other factors than this version of greekdrift; build it again.")
    _refuse_others(history, features)
    rows = np.flatnonzero((history.known_at <= datetime64(chain.known_at)) & (history.as_of < datetime64(chain.as_of)))
    if rows.size == 0:
        raise DataError(f"the history knows nothing before {stamp(chain.as_of)}; give one that reaches up to it.")
    longer = replace(
        history,
        feature_names=(),
        as_of=np.append(history.as_of[rows], datetime64(chain.as_of)),
        known_at=np.append(history.known_at[rows], datetime64(chain.known_at)),
        state=np.concatenate([history.state[rows], state_of(chain, history.underlyings)[None]]),
        features=np.empty((rows.size + 1, len(history.underlyings), 0)),
    )
    return with_features(longer, features)


def _refuse_others(history: Panel, features: Sequence[Feature]) -> None:
    names = tuple(feature.name for feature in features)
    if history.feature_names != names:
        apart = sorted(set(history.feature_names) ^ set(names)) or ["the same in another order"]
        raise DataError(
            f"the history carries other features than are asked for ({', '.join(apart)}); give those it was built with."
        )
