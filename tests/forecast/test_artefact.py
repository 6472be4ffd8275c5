import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load, save
from tests.forecast.registry import CASES, ON_SESSIONS, SAVED

from greekdrift.errors import ArtefactError
from greekdrift.evaluate.events import examined
from greekdrift.forecast import artefact
from greekdrift.forecast.calibrated import calibrated
from greekdrift.forecast.days import of_sessions
from greekdrift.forecast.econometric import FilteredHistorical


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("clock", ["elapsed", "sessions"])
def test_a_predictor_read_back_makes_the_same_bytes(name, clock, make_panel, tmp_path):
    forecaster = (CASES if clock == "elapsed" else ON_SESSIONS)[name]
    panel = make_panel(rows=150, clock=clock)
    predictor = forecaster.fit(panel)
    digest = artefact.save(predictor, tmp_path)
    again = artefact.load(tmp_path)
    assert again.name == predictor.name
    assert artefact.digest(tmp_path) == digest
    horizons = (6.0, 24.0) if clock == "elapsed" else (24.0, 72.0)
    one, two = (made.predict(panel, horizons=horizons, n=40, seed=5) for made in (predictor, again))
    assert one.increments.tobytes() == two.increments.tobytes()


def test_the_same_predictor_gives_the_same_files(make_panel, tmp_path):
    for name in ("one", "two"):
        artefact.save(FilteredHistorical().fit(make_panel(rows=150)), tmp_path / name)
    for file in (artefact.MANIFEST, artefact.CONFIG, artefact.ARRAYS):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.fixture
def saved(make_panel, tmp_path):
    artefact.save(FilteredHistorical().fit(make_panel(rows=100)), tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", [artefact.MANIFEST, artefact.CONFIG, artefact.ARRAYS])
def test_a_missing_file_is_named(saved, file):
    (saved / file).unlink()
    with pytest.raises(ArtefactError, match=file):
        artefact.load(saved)


@pytest.mark.parametrize("file", [artefact.CONFIG, artefact.ARRAYS])
@pytest.mark.parametrize("position", [0, 9, -1])
def test_one_changed_byte_is_caught_before_anything_is_parsed(saved, file, position):
    content = bytearray((saved / file).read_bytes())
    content[position] ^= 1
    (saved / file).write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match="it was changed"):
        artefact.load(saved)


def _with_manifest(saved, **changes):
    manifest = json.loads((saved / artefact.MANIFEST).read_text())
    (saved / artefact.MANIFEST).write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"format": "other"},
        {"kind": "os:system"},
        {"kind": "forecast.clock:ClockPredictor"},
        {"kind": ["filtered"]},
        {"kind": "variance_doubling"},
        {"files": {}},
        {"files": {"../../config.json": "0"}},
        {"files": None},
    ],
)
def test_a_manifest_of_another_schema_is_refused(saved, changes):
    _with_manifest(saved, **changes)
    with pytest.raises(ArtefactError, match=artefact.MANIFEST):
        artefact.load(saved)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object_is_refused(saved, content):
    (saved / artefact.MANIFEST).write_bytes(content)
    with pytest.raises(ArtefactError):
        artefact.load(saved)


def _rewritten(saved, config=None, arrays=None):
    """Files with consistent digests but another content: what a careless or hostile writer could make."""
    import hashlib

    if config is not None:
        (saved / artefact.CONFIG).write_bytes(json.dumps(config).encode())
    if arrays is not None:
        (saved / artefact.ARRAYS).write_bytes(arrays)
    files = {
        name: hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in (artefact.CONFIG, artefact.ARRAYS)
    }
    _with_manifest(saved, files=files)


@pytest.mark.parametrize(
    "change", ["too few", "too many", "not a record", "wrong type", "no arrays", "nan", "no safetensors"]
)
def test_consistent_files_of_another_content_are_refused(saved, change):
    config = json.loads((saved / artefact.CONFIG).read_text())
    if change == "too few":
        del config["scale"]["kind"]
        _rewritten(saved, config=config)
    elif change == "too many":
        _rewritten(saved, config=config | {"surprise": 1})
    elif change == "not a record":
        _rewritten(saved, config=config | {"scale": 7})
    elif change == "wrong type":
        _rewritten(saved, config=config | {"name": 7})
    elif change == "nan":
        arrays = load((saved / artefact.ARRAYS).read_bytes())
        _rewritten(saved, arrays=save(arrays | {"residuals.size": np.nan * arrays["residuals.size"]}))
    elif change == "no arrays":
        _rewritten(saved, arrays=(8).to_bytes(8, "little") + b"{}      ")
    else:
        _rewritten(saved, arrays=b"\x80\x04K\x01.")
    with pytest.raises(ArtefactError, match="train it again"):
        artefact.load(saved)


def test_what_comes_from_outside_is_never_an_artefact(make_panel, tmp_path):
    """So no artefact, and no server that reads one, can name code."""
    panel = make_panel(rows=60)
    for forecaster in (CASES["outside=outside:resampled"], Wrapped()):
        with pytest.raises(ArtefactError, match="cannot be saved"):
            artefact.save(forecaster.fit(panel), tmp_path)


class Wrapped:
    """A forecaster from outside within one of ours."""

    def fit(self, panel):
        return calibrated(CASES["outside=outside:resampled"], panel, origins=10)


def test_a_part_of_unknown_kind_is_refused(make_panel, tmp_path):
    artefact.save(CASES["calibrated=calibrated:fhs:hari"].fit(make_panel(rows=60)), tmp_path)
    config = json.loads((tmp_path / artefact.CONFIG).read_text())
    for kind in ("os:system", "variance_doubling", ["filtered"], None):
        _rewritten(tmp_path, config=config | {"kind": kind})
        with pytest.raises(ArtefactError, match="train it again"):
            artefact.load(tmp_path)


def test_what_has_no_kind_cannot_be_saved(tmp_path):
    with pytest.raises(ArtefactError, match="cannot be saved"):
        artefact.save(object(), tmp_path)


def test_a_regime_read_back_says_the_same_without_sklearn(tmp_path):
    random = np.random.default_rng(0)
    variance = np.exp(-9.0 + np.repeat(random.normal(size=125), 8) + 0.3 * random.normal(size=1000))
    day = np.arange(1000)
    days = of_sessions(
        "X",
        day=day,
        known_at=day.astype("datetime64[D]").astype("datetime64[us]"),
        close=100.0 * np.exp(np.cumsum(np.sqrt(variance) * random.normal(size=1000))),
        variance=variance,
    )
    regime, _ = examined((days,), events=("variance_doubling",), first=500, block=40)
    digest = artefact.save(regime, tmp_path)
    again = artefact.load_regime(tmp_path)
    for name, values in regime.chances(days)["variance_doubling"].items():
        np.testing.assert_array_equal(again.chances(days)["variance_doubling"][name], values)
    assert again.events["variance_doubling"].skill == regime.events["variance_doubling"].skill
    assert artefact.save(again, tmp_path / "twice") == digest
    with pytest.raises(ArtefactError, match="does not fit here"):
        artefact.load(tmp_path)
    code = (
        "import sys; from greekdrift.forecast import artefact; "
        f"artefact.load_regime({str(tmp_path)!r}); "
        "print([m for m in ('torch', 'sklearn', 'pandas', 'mlflow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_loading_a_filtered_predictor_imports_neither_torch_nor_sklearn(saved):
    code = (
        "import sys; from greekdrift.forecast import artefact; "
        f"artefact.load({str(saved)!r}); "
        "print([m for m in ('torch', 'lightning', 'sklearn', 'mlflow') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
