"""Figures with intervals: where an interval does not exist there is none, and the figure stays."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from greekdrift.errors import CalculationError
from greekdrift.evaluate.measures import Comparison
from greekdrift.score import block_bootstrap


def test_losses_too_rare_for_an_interval_still_have_a_ratio() -> None:
    rare = np.zeros(40)
    rare[3] = 1.0
    with pytest.raises(CalculationError, match="resample"):
        block_bootstrap(2.0 * rare, rare, block=2, seed=0, draws=200)
    results = cast("Any", SimpleNamespace(step_hours=24.0))
    found = Comparison.of(results, hours=24.0, seed=0, draws=200).ratio("a", "brier", "b", 2.0 * rare, rare)
    assert found is not None
    assert found.value == 2.0
    assert (found.lower, found.upper) == (None, None)
