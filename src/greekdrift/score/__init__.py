"""How good a forecast was: proper scores, calibration, honest comparison, and splits that do not leak."""

from greekdrift.score.calibration import coverage, pit, reliability
from greekdrift.score.compare import block_bootstrap, diebold_mariano
from greekdrift.score.confidence import model_confidence_set
from greekdrift.score.exceptions import backtest, exceeded, pooled
from greekdrift.score.rules import brier, crps, energy, interval_score, log_score, pinball, quantile, variogram
from greekdrift.score.split import Fold, walk_forward

__all__ = [
    "Fold",
    "backtest",
    "block_bootstrap",
    "brier",
    "coverage",
    "crps",
    "diebold_mariano",
    "energy",
    "exceeded",
    "interval_score",
    "log_score",
    "model_confidence_set",
    "pinball",
    "pit",
    "pooled",
    "quantile",
    "reliability",
    "variogram",
    "walk_forward",
]
