import numpy as np
import pytest

from greekdrift.errors import DataError
from greekdrift.features.history import Panel, example
from greekdrift.features.panel import assemble
from greekdrift.features.smile import Factor
from greekdrift.features.table import FEATURES, with_features


class Wrong:
    name = "wrong"
    lookback_hours = 0.0
    timing = "never"
    source = "none"

    def compute(self, panel: Panel) -> np.ndarray:
        return np.zeros(len(panel))


def test_every_feature_has_its_column_timing_and_source() -> None:
    panel = with_features(example(rows=200, underlyings=("BTC", "ETH")))
    assert panel.feature_names == tuple(feature.name for feature in FEATURES)
    for feature in FEATURES:
        np.testing.assert_array_equal(panel.feature(feature.name), feature.compute(panel))
        assert feature.timing
        assert feature.source
        assert np.isfinite(panel.feature(feature.name)[-1]).all(), feature.name


def test_features_of_a_truncated_panel_are_those_of_the_whole() -> None:
    panel = with_features(example(rows=200))
    short = panel.until(panel.known_at[119])
    np.testing.assert_array_equal(with_features(short).features, panel.features[:120])


def test_assemble_and_refusals() -> None:
    bare = example(rows=5)
    panel = assemble(
        bare.underlyings,
        bare.factors,
        as_of=bare.as_of,
        known_at=bare.known_at,
        state=bare.state,
        step_hours=6.0,
        features=(Factor(factor="basis"),),
    )
    assert panel.feature_names == ("basis",)
    with pytest.raises(DataError, match="stands twice"):
        with_features(bare, (Factor(factor="basis"), Factor(factor="basis")))
    with pytest.raises(DataError, match="wrong has shape"):
        with_features(bare, (Wrong(),))
