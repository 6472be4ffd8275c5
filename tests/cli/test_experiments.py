"""The panel of an experiment that names features of its own and the records that they read."""

from pathlib import Path

import numpy as np
import pandas as pd

from greekdrift.cli.experiments import panel_of, source_of
from greekdrift.config import load_experiment
from greekdrift.features.table import FEATURES

EXPERIMENT = """
name: small
seed: 1
data: {use: simulated, days: 1}
features:
  - {use: parkinson, history: "bars/{underlying}", hours: 24.0}
  - {use: step_hours}
histories: {root: records, sets: [bars.yaml]}
venue: deribit
rules: derive_pm2
horizons: [6, 24]
forecaster: {use: historical}
evaluation: {start: 2025-01-05T00:00Z}
"""
BARS = """
name: bars
source: "made by hand"
licence: none
tables:
  - path: bars.parquet
    stamps: {column: open_at, zone: UTC, event_after_hours: 1, lag_minutes: 1}
    hole_hours: 3
    keys: {KEY: {where: {symbol: KEY}}}
    columns:
      open: {of: open, unit: USD, above: 0}
      high: {of: high, unit: USD, above: 0}
      low: {of: low, unit: USD, above: 0}
      close: {of: close, unit: USD, above: 0}
"""


def test_a_panel_carries_the_features_that_its_experiment_names(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    bare = load_experiment(tmp_path / "small.yaml").but(features=(), histories=None)
    plain = panel_of(source_of(bare), tmp_path, experiment=bare)
    assert plain.feature_names == tuple(feature.name for feature in FEATURES)
    name, first = plain.underlyings[0], plain.as_of[0]
    (tmp_path / "bars.yaml").write_text(BARS.replace("KEY", name))
    (tmp_path / "records").mkdir()
    opens = pd.date_range(pd.Timestamp(first) - pd.Timedelta(days=2), periods=24 * 7, freq="h", tz="UTC")
    prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}
    frame = pd.DataFrame({"open_at": opens.floor("h"), "symbol": name, **prices})
    frame.to_parquet(tmp_path / "records" / "bars.parquet")
    experiment = load_experiment(tmp_path / "small.yaml")
    panel = panel_of(source_of(experiment), tmp_path, experiment=experiment)
    assert panel.feature_names == (*plain.feature_names, "parkinson_24h", "log_step_hours")
    expected = np.log(8760.0 * np.log(101.0 / 99.0) ** 2 / (4.0 * np.log(2.0)))
    np.testing.assert_allclose(panel.feature("parkinson_24h")[:, 0], expected, rtol=1e-9)
    np.testing.assert_array_equal(panel.features[:, :, : len(FEATURES)], plain.features)
