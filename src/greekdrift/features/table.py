"""The features of a panel: which there are, and how they are put beside the state."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from greekdrift.errors import DataError
from greekdrift.features.calendar import ExpiryNear, HourOfDay, WeekendShare
from greekdrift.features.feature import Feature
from greekdrift.features.history import Panel
from greekdrift.features.realised import JumpShare, Leverage, RealisedVariance, Return
from greekdrift.features.smile import CrossLevel, Factor, TermSlope, VariancePremium

FEATURES: tuple[Feature, ...] = (
    Return(hours=6.0),
    RealisedVariance(hours=24.0),
    RealisedVariance(hours=72.0),
    RealisedVariance(hours=168.0),
    RealisedVariance(hours=720.0),
    JumpShare(hours=168.0),
    Leverage(hours=24.0),
    Leverage(hours=168.0),
    Factor(factor="atm_7"),
    Factor(factor="atm_30"),
    Factor(factor="atm_180"),
    TermSlope(short_days=7, long_days=30),
    TermSlope(short_days=30, long_days=180),
    Factor(factor="skew_30"),
    Factor(factor="curvature_30"),
    VariancePremium(days=7),
    VariancePremium(days=30),
    CrossLevel(),
    Factor(factor="basis"),
    HourOfDay(wave="sin"),
    HourOfDay(wave="cos"),
    WeekendShare(hours=6.0),
    WeekendShare(hours=24.0),
    ExpiryNear(),
)
"""What every panel carries unless the caller says otherwise."""


def with_features(panel: Panel, features: Sequence[Feature] = FEATURES) -> Panel:
    """The panel with these features computed from its state.

    >>> from greekdrift.features.history import example
    >>> with_features(example(rows=60)).feature("log_rv_24h")[-1].round(1).tolist()
    [-0.4]
    """
    names = tuple(feature.name for feature in features)
    if len(set(names)) != len(names):
        raise DataError(f"features: a name stands twice in {', '.join(names)}.")
    columns = [feature.compute(panel) for feature in features]
    shape = (len(panel), len(panel.underlyings))
    for name, column in zip(names, columns, strict=True):
        if column.shape != shape:
            raise DataError(f"feature {name} has shape {column.shape}, expected {shape} (row, underlying).")
    table = np.stack(columns, axis=2) if columns else np.empty((*shape, 0))
    return replace(panel, feature_names=names, features=table)
