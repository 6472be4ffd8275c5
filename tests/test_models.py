"""The trained models of the project: read without training, without code of their own, as their cards say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from greekdrift.errors import ArtefactError
from greekdrift.forecast.artefact import digest, load, load_regime

MODELS = sorted(path for path in (Path(__file__).resolve().parents[1] / "models").iterdir() if path.is_dir())
REGIMES = [path for path in MODELS if path.name.startswith("regime-")]
FORECASTERS = [path for path in MODELS if path not in REGIMES]


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
