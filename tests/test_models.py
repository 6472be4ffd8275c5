"""The trained models of the project: read without training, without code of their own, as their cards say."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greekdrift.config import load_venue
from greekdrift.errors import ArtefactError, InputError
from greekdrift.features.panel import Panel, assemble, build
from greekdrift.forecast.artefact import digest, load, load_regime, load_start
from greekdrift.forecast.deep.training import DriftNet
from greekdrift.market.packaged import QmomsSource
from greekdrift.market.simulate import SimulatedSource
from greekdrift.surface.state import FACTORS
from greekdrift.units import datetime64

MODELS = sorted(path for path in (Path(__file__).resolve().parents[1] / "models").iterdir() if path.is_dir())
REGIMES = [path for path in MODELS if path.name.startswith("regime-")]
STARTS = [path for path in MODELS if path.name.startswith("start-")]
FORECASTERS = [path for path in MODELS if path not in (*REGIMES, *STARTS)]


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: path.name)
def test_a_model_is_arrays_text_and_a_card(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    usual = {"novelty.json", "novelty.safetensors"}
    assert names - usual == {"CARD.md", "manifest.json", "config.json", "arrays.safetensors"}
    assert names & usual in (set(), usual)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 << 20
    card = (folder / "CARD.md").read_text()
    for word in ("Learnt from", "Seed", "Scores, out of sample", "Limits"):
        assert word in card
    named = re.search(r"Artefact: ([0-9a-f]{64})", card)
    assert named is not None
    assert named[1] == digest(folder)


@pytest.mark.parametrize("folder", FORECASTERS, ids=lambda path: path.name)
def test_a_model_is_loaded_without_the_means_to_train(folder: Path) -> None:
    assert load(folder).name == "drift_net"
    code = (
        "import sys; from greekdrift.cli import setting, serve; from greekdrift.serve import app;"
        f"setting.load_guarded({str(folder)!r});"
        "print([name for name in ('lightning', 'mlflow', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", REGIMES, ids=lambda path: path.name)
def test_a_regime_model_speaks_of_its_events_and_of_nothing_else(folder: Path) -> None:
    found = load_regime(folder)
    assert found.events["variance_doubling"].has_skill
    assert not found.events["fall"].has_skill
    with pytest.raises(ArtefactError):
        load(folder)


@pytest.mark.parametrize("folder", STARTS, ids=lambda path: path.name)
def test_a_start_is_adapted_to_chains_that_it_never_saw_and_to_none_of_its_own_time(folder: Path) -> None:
    """A short panel of its clock: means and shapes are those of the start, base law and scale of the market."""
    start = load_start(folder)
    net = DriftNet(start=str(folder), horizons=tuple(start.horizons.tolist()), draws=8, batch_draws=4, epochs=1)
    panel = _simulated(days=24.0) if start.has_calendar else _sessions(count=90)
    with pytest.raises(InputError, match="know the future"):
        net.fit(_ending(panel, datetime64(start.learnt_until) - np.timedelta64(1, "s")))
    predictor = net.fit(_ending(panel, datetime64(start.learnt_until) + np.timedelta64(365, "D")))
    np.testing.assert_array_equal(predictor.shares, start.shares)
    assert predictor.means is not None
    assert predictor.means.shares.any()
    with pytest.raises(ArtefactError):
        load(folder)


def _ending(panel: Panel, moment: np.datetime64) -> Panel:
    ahead = moment - panel.known_at[-1]
    return replace(panel, as_of=panel.as_of + ahead, known_at=panel.known_at + ahead)


def _sessions(*, count: int) -> Panel:
    panel = build(QmomsSource(venue=load_venue("equity"), underlyings=("IBM",)), features=())
    return panel.until(panel.known_at[count - 1])


def _simulated(*, days: float) -> Panel:
    source = SimulatedSource(venue=load_venue("deribit"), seed=1, days=days)
    moments = source.snapshots()
    as_of = np.array([datetime64(moment) for moment in moments])
    return assemble(
        source.underlyings,
        FACTORS,
        as_of=as_of,
        known_at=as_of + np.timedelta64(5, "m"),
        state=np.stack([source.true_state(moment).values for moment in moments]),
        step_hours=source.step_hours,
        features=(),
    )
