"""A history that ends with a chain that has just arrived: its state is fitted and its features are computed."""

from dataclasses import replace

import numpy as np

from greekdrift.book import Chain
from greekdrift.errors import DataError
from greekdrift.features.history import Panel
from greekdrift.features.table import FEATURES, with_features
from greekdrift.surface.fit import fit
from greekdrift.surface.state import FACTORS, state
from greekdrift.units import datetime64, stamp

TAIL_DAYS = 400
"""Days of history that features look back on at the most; older rows are cut before they are computed again."""


def with_chain(history: Panel, chain: Chain) -> Panel:
    """The history that was known before a chain, and the chain as its last row.

    Timing: rows known after the chain are left out. An underlying that the chain cannot carry is missing (NaN).
    """
    if history.factors != FACTORS:
        raise DataError("the history has other factors than this version of greekdrift; build it again.")
    before = (history.known_at <= datetime64(chain.known_at)) & (history.as_of < datetime64(chain.as_of))
    start = datetime64(chain.as_of) - np.timedelta64(TAIL_DAYS, "D")
    rows = np.flatnonzero(before & (history.as_of >= start))
    if rows.size == 0:
        raise DataError(f"the history knows nothing before {stamp(chain.as_of)}; give one that reaches up to it.")
    longer = replace(
        history,
        feature_names=(),
        as_of=np.append(history.as_of[rows], datetime64(chain.as_of)),
        known_at=np.append(history.known_at[rows], datetime64(chain.known_at)),
        state=np.concatenate([history.state[rows], _state(chain, history.underlyings)[None]]),
        features=np.empty((rows.size + 1, len(history.underlyings), 0)),
    )
    return with_features(longer, FEATURES)


def _state(chain: Chain, underlyings: tuple[str, ...]) -> np.ndarray:
    found = state(fit(chain), chain)
    values = np.full((len(underlyings), len(FACTORS)), np.nan)
    for at, name in enumerate(underlyings):
        if name in found.underlyings:
            values[at] = found.values[found.underlyings.index(name)]
    return values
