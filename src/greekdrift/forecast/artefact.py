"""A predictor as files: arrays as safetensors, everything else as JSON, under a manifest of SHA-256 digests.

    manifest.json       {"format", "version", "kind", "files": {name: sha256}}
    config.json         canonical JSON: numbers, text, lists
    arrays.safetensors  every array of the predictor

Bytes are read once and checked against the manifest before anything is parsed; the kind is a key of `PREDICTORS`, so
that a file can name no code. There is no pickle anywhere. A predictor read back makes the same bytes as the one
that was written.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from greekdrift.book import canonical
from greekdrift.config.table import resolve
from greekdrift.errors import ArtefactError, nearest
from greekdrift.forecast import packed
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.regime import Classifier

FORMAT = "greekdrift-predictor"
VERSION = 1
MANIFEST, CONFIG, ARRAYS = "manifest.json", "config.json", "arrays.safetensors"
LARGEST = 512 * 1024 * 1024

PREDICTORS: Mapping[str, str] = {
    "boosted": "forecast.boosted:BoostedPredictor",
    "calibrated": "forecast.calibrated:CalibratedPredictor",
    "clock": "forecast.clock:ClockPredictor",
    "direct": "forecast.direct:DirectPredictor",
    "historical": "forecast.historical:HistoricalPredictor",
    "filtered": "forecast.econometric:FilteredPredictor",
    "garch": "forecast.garch:GarchPredictor",
    "gaussian": "forecast.gaussian:GaussianPredictor",
    "pool": "forecast.ensemble:PoolPredictor",
    "pool_common": "forecast.ensemble:CommonPoolPredictor",
    "student": "forecast.student:StudentPredictor",
    "drift_net": "forecast.deep.predictor:DriftNetPredictor",
}
"""Kinds of predictors that a file may hold; each is resolved when it is used."""

CLASSIFIERS: Mapping[str, str] = {"variance_doubling": "forecast.regime:Classifier"}
"""Kinds of regime models that a file may hold."""

_KINDS = {**PREDICTORS, **CLASSIFIERS}


@runtime_checkable
class Packable(Protocol):
    """A predictor of many parts that says itself how it is taken apart and put together."""

    def pack(self) -> tuple[dict[str, Any], dict[str, ndarray]]:
        """Plain values and arrays."""
        ...

    @classmethod
    def unpack(cls, config: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Self:
        """The predictor of these values and arrays."""
        ...


def save(predictor: Predictor | Classifier, folder: str | Path) -> str:
    """Writes the files of a predictor or regime model into a folder; its digest, that of the manifest."""
    kind, config, arrays = taken_apart(predictor)
    contents = {
        CONFIG: canonical(config),
        ARRAYS: save_arrays({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}),
    }
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = canonical({"format": FORMAT, "version": VERSION, "kind": kind, "files": files})
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return hashlib.sha256(contents[MANIFEST]).hexdigest()


def taken_apart(predictor: Predictor | Classifier) -> tuple[str, dict[str, Any], dict[str, ndarray]]:
    """Kind, plain values and arrays of a predictor or regime model; what is of no kind of ours is refused."""
    kind = getattr(predictor, "kind", None)
    if kind not in _KINDS:
        raise ArtefactError(f"a {type(predictor).__name__} cannot be saved; kinds: {', '.join(_KINDS)}.")
    config, arrays = predictor.pack() if isinstance(predictor, Packable) else packed.pack(predictor)
    return kind, config, arrays


def put_together(
    kind: str, config: Mapping[str, Any], arrays: Mapping[str, ndarray], *, kinds: Mapping[str, str] = PREDICTORS
) -> Any:
    """The predictor of a kind of `kinds` from plain values and arrays; the inverse of `taken_apart`."""
    made = resolve(kinds, kind)
    return made.unpack(config, arrays) if issubclass(made, Packable) else packed.unpack(made, config, arrays)


def load(folder: str | Path) -> Predictor:
    """The predictor of a folder; anything missing, changed or of another schema is refused."""
    loaded: Predictor = _load(Path(folder), PREDICTORS)
    return loaded


def load_classifier(folder: str | Path) -> Classifier:
    """The regime model of a folder; anything missing, changed or of another schema is refused."""
    loaded: Classifier = _load(Path(folder), CLASSIFIERS)
    return loaded


def _load(place: Path, kinds: Mapping[str, str]) -> Any:
    manifest = _manifest(place, kinds)
    contents = {name: _checked(place / name, digest) for name, digest in manifest["files"].items()}
    config = _json(contents[CONFIG], place / CONFIG)
    try:
        arrays = _finite(load_arrays(contents[ARRAYS]))
        loaded = put_together(manifest["kind"], config, arrays, kinds=kinds)
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as problem:
        raise ArtefactError(
            f"{place} does not hold a {manifest['kind']} that this version can read "
            f"({type(problem).__name__}: {problem}); train it again."
        ) from problem
    return loaded


def _finite(arrays: dict[str, ndarray]) -> dict[str, ndarray]:
    """The arrays, if all are numbers; only a recorded past may have missing values."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and "past" not in name.split(".") and not np.all(np.isfinite(array)):
            raise ValueError(f"{name} is not finite")
    return arrays


def digest(folder: str | Path) -> str:
    """SHA-256 of the manifest, which names every byte of the predictor."""
    return hashlib.sha256(_read(Path(folder) / MANIFEST)).hexdigest()


def _manifest(place: Path, kinds: Mapping[str, str]) -> dict[str, Any]:
    manifest = _json(_read(place / MANIFEST), place / MANIFEST)
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise ArtefactError(
            f"{place / MANIFEST} is of format {manifest.get('format')!r} version {manifest.get('version')!r}, "
            f"expected {FORMAT} {VERSION}; train the model again with this version."
        )
    if not isinstance(manifest.get("kind"), str) or manifest["kind"] not in kinds:
        hint = nearest(str(manifest.get("kind")), kinds)
        raise ArtefactError(f"{place / MANIFEST} is of kind {manifest.get('kind')!r}, which does not fit here; {hint}")
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) != {CONFIG, ARRAYS}:
        raise ArtefactError(f"{place / MANIFEST} must list exactly {CONFIG} and {ARRAYS}.")
    return manifest


def _checked(path: Path, expected: object) -> bytes:
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtefactError(
            f"{path} has SHA-256 {found[:12]}…, the manifest says {str(expected)[:12]}…: it was changed."
        )
    return content


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise ArtefactError(f"{path} is larger than {LARGEST} bytes; that is no model of this package.")
        return path.read_bytes()
    except OSError as problem:
        raise ArtefactError(
            f"{path} cannot be read ({problem.strerror}); name the folder of a saved model."
        ) from problem


def _json(content: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise ArtefactError(f"{path} is not JSON ({type(problem).__name__}); the file is damaged.") from problem
    if not isinstance(value, dict):
        raise ArtefactError(f"{path} must hold one JSON object.")
    return value
