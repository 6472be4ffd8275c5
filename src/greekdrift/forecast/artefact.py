"""A predictor as files: arrays as safetensors, everything else as JSON, under a manifest of SHA-256 digests.

    manifest.json       {"format", "version", "kind", "files": {name: sha256}}
    config.json         canonical JSON: numbers, text, lists
    arrays.safetensors  every array of the predictor
    novelty.json        optional, with novelty.safetensors: what was usual in the window that it learnt from

Bytes are read once and checked against the manifest before anything is parsed; the kind is a key of `PREDICTORS`, so
that a file can name no code. There is no pickle anywhere. A predictor read back makes the same bytes as the one
that was written.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

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
from greekdrift.forecast.novelty import Novelty
from greekdrift.forecast.regime import Regime

FORMAT = "greekdrift-predictor"
VERSION = 1
MANIFEST, CONFIG, ARRAYS = "manifest.json", "config.json", "arrays.safetensors"
USUAL, USUAL_ARRAYS = "novelty.json", "novelty.safetensors"
LARGEST = 512 * 1024 * 1024

PREDICTORS: Mapping[str, str] = {
    "boosted": "forecast.boosted:BoostedPredictor",
    "calibrated": "forecast.calibrated:CalibratedPredictor",
    "centred": "forecast.centred:CentredPredictor",
    "clock": "forecast.clock:ClockPredictor",
    "direct": "forecast.direct:DirectPredictor",
    "historical": "forecast.historical:HistoricalPredictor",
    "filtered": "forecast.econometric:FilteredPredictor",
    "garch": "forecast.garch:GarchPredictor",
    "gaussian": "forecast.gaussian:GaussianPredictor",
    "pool": "forecast.ensemble:PoolPredictor",
    "pool_common": "forecast.ensemble:CommonPoolPredictor",
    "pool_weighed": "forecast.ensemble:WeighedPoolPredictor",
    "pool_weighed_common": "forecast.ensemble:WeighedCommonPoolPredictor",
    "student": "forecast.student:StudentPredictor",
    "drift_net": "forecast.deep.predictor:DriftNetPredictor",
}
"""Kinds of predictors that a file may hold; each is resolved when it is used."""

REGIMES: Mapping[str, str] = {"regime": "forecast.regime:Regime"}
"""Kinds of regime models that a file may hold."""

STARTS: Mapping[str, str] = {"drift_net_start": "forecast.deep.start:Start"}
"""Kinds of what a fit elsewhere may start from."""

_KINDS = {**PREDICTORS, **REGIMES, **STARTS}

Read = TypeVar("Read")


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


def save(predictor: Predictor | Regime | Packable, folder: str | Path, *, novelty: Novelty | None = None) -> str:
    """Writes the files of a predictor, regime model or start into a folder; its digest, that of the manifest.

    `novelty` is what was usual in the window that it learnt from.
    """
    kind, config, arrays = taken_apart(predictor)
    contents = {CONFIG: canonical(config), ARRAYS: _arrays(arrays)}
    if novelty is not None:
        usual, usual_arrays = packed.pack(novelty)
        contents |= {USUAL: canonical(usual), USUAL_ARRAYS: _arrays(usual_arrays)}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = canonical({"format": FORMAT, "version": VERSION, "kind": kind, "files": files})
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name in {USUAL, USUAL_ARRAYS} - set(contents):
        (place / name).unlink(missing_ok=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)
    return hashlib.sha256(contents[MANIFEST]).hexdigest()


def _arrays(arrays: Mapping[str, ndarray]) -> bytes:
    content: bytes = save_arrays({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})
    return content


def taken_apart(predictor: Predictor | Regime | Packable) -> tuple[str, dict[str, Any], dict[str, ndarray]]:
    """Kind, plain values and arrays of a predictor, regime model or start; what is of no kind of ours is refused."""
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
    return load_guarded(folder)[0]


def load_guarded(folder: str | Path, *, digest: str | None = None) -> tuple[Predictor, Novelty | None]:
    """The predictor of a folder and what was usual where it learnt; None where its artefact does not hold that.

    With `digest` an artefact of another manifest is refused.
    """
    place = Path(folder)
    manifest, contents = _contents(place, PREDICTORS, digest)
    predictor: Predictor = _predictor(place, manifest["kind"], contents, PREDICTORS)
    if USUAL not in contents:
        return predictor, None
    return predictor, _read_as(place, "novelty", lambda: _novelty(place, contents))


def load_regime(folder: str | Path) -> Regime:
    """The regime model of a folder; anything missing, changed or of another schema is refused."""
    place = Path(folder)
    manifest, contents = _contents(place, REGIMES, None)
    loaded: Regime = _predictor(place, manifest["kind"], contents, REGIMES)
    return loaded


def load_start(folder: str | Path) -> Any:
    """The start of a folder (`forecast.deep.start`); anything missing, changed or of another schema is refused."""
    place = Path(folder)
    manifest, contents = _contents(place, STARTS, None)
    return _predictor(place, manifest["kind"], contents, STARTS)


def _contents(place: Path, kinds: Mapping[str, str], expected: str | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the bytes of its files, each held against its digest before anything is parsed."""
    manifest = _manifest(place, kinds, expected)
    return manifest, {name: _checked(place / name, digest) for name, digest in manifest["files"].items()}


def _predictor(place: Path, kind: str, contents: Mapping[str, bytes], kinds: Mapping[str, str]) -> Any:
    config = _json(contents[CONFIG], place / CONFIG)
    return _read_as(
        place, kind, lambda: put_together(kind, config, _finite(load_arrays(contents[ARRAYS])), kinds=kinds)
    )


def _novelty(place: Path, contents: Mapping[str, bytes]) -> Novelty:
    config = _json(contents[USUAL], place / USUAL)
    return packed.unpack(Novelty, config, _finite(load_arrays(contents[USUAL_ARRAYS])))


def _read_as(place: Path, kind: str, read: Callable[[], Read]) -> Read:
    try:
        return read()
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as problem:
        raise ArtefactError(
            f"{place} does not hold a {kind} that this version can read "
            f"({type(problem).__name__}: {problem}); train it again."
        ) from problem


def _finite(arrays: dict[str, ndarray]) -> dict[str, ndarray]:
    """The arrays, if all are numbers; only a recorded past may have missing values."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and "past" not in name.split(".") and not np.all(np.isfinite(array)):
            raise ValueError(f"{name} is not finite")
    return arrays


def digest(folder: str | Path) -> str:
    """SHA-256 of the manifest, which names every byte of the predictor."""
    return hashlib.sha256(_read(Path(folder) / MANIFEST)).hexdigest()


def _manifest(place: Path, kinds: Mapping[str, str], expected: str | None) -> dict[str, Any]:
    content = _read(place / MANIFEST) if expected is None else _checked(place / MANIFEST, expected)
    manifest = _json(content, place / MANIFEST)
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise ArtefactError(
            f"{place / MANIFEST} is of format {manifest.get('format')!r} version {manifest.get('version')!r}, "
            f"expected {FORMAT} {VERSION}; train the model again with this version."
        )
    if not isinstance(manifest.get("kind"), str) or manifest["kind"] not in kinds:
        hint = nearest(str(manifest.get("kind")), kinds)
        raise ArtefactError(f"{place / MANIFEST} is of kind {manifest.get('kind')!r}, which does not fit here; {hint}")
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) not in ({CONFIG, ARRAYS}, {CONFIG, ARRAYS, USUAL, USUAL_ARRAYS}):
        raise ArtefactError(
            f"{place / MANIFEST} must list {CONFIG} and {ARRAYS}, with {USUAL} and {USUAL_ARRAYS} or without."
        )
    return manifest


def _checked(path: Path, expected: object) -> bytes:
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtefactError(f"{path} has SHA-256 {found[:12]}…, expected is {str(expected)[:12]}…: it was changed.")
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
