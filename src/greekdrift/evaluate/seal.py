"""What a run was made of, kept beside it: experiment, data, program, seed, and the SHA-256 of what came out.

    seal.json    {"scorecard": …, "model": …, "sha256": digest of both}

A changed byte of scorecard, artefact, experiment or of the seal itself is found, and so is a scorecard of another
version of the evaluation. It is no signature: who can write the folder can write another seal. What proves a scorecard
is `greekdrift reproduce`, which makes it again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from greekdrift.book import canonical, digest
from greekdrift.durable import write_durably
from greekdrift.errors import ArtefactError, InputError
from greekdrift.evaluate.stored import identity_of
from greekdrift.features.provenance import code
from greekdrift.forecast.forecaster import Forecaster

SEAL = "seal.json"
SCORECARD = "scorecard.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a part of a run rests on: digests of the experiment, of what is learnt from it, of data and program."""

    experiment: str
    learning: str
    data: str
    program: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeScorecard(Made):
    """How a scorecard was made: who was judged (`artefact`: a trained model as it is), beside whom, in what folds."""

    sha256: str
    judged: str
    artefact: str | None
    forecasters: tuple[str, ...]
    folds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeModel(Made):
    """How a model was made: its artefact, until when it learnt, and its name and version in the registry."""

    artefact: str
    learnt_until: str
    registered: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What is known of a run's scorecard and model."""

    scorecard: MadeScorecard | None = None
    model: MadeModel | None = None


def program(forecaster: Forecaster) -> str | None:
    """SHA-256 of the program that judges a forecaster and of the forecaster; None for one of another's code.

    >>> from greekdrift.forecast.clock import Clock
    >>> len(program(Clock()) or "")
    64
    """
    try:
        identity = identity_of(forecaster)
    except InputError:
        return None
    return digest([code("greekdrift.evaluate.scorecard", "greekdrift.evaluate.stored"), identity])


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_seal(run: Path) -> Seal:
    """The seal of a run's folder; blank where there is none, refused where it was changed."""
    path = run / SEAL
    if not path.is_file():
        return Seal()
    try:
        told = json.loads(path.read_bytes())
        values = {"scorecard": told["scorecard"], "model": told["model"]}
        found = TypeAdapter(Seal).validate_json(json.dumps(values), strict=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as problem:
        raise ArtefactError(f"{path} cannot be read ({type(problem).__name__}); evaluate and train again.") from None
    if told.get("sha256") != digest(values):
        raise ArtefactError(f"{path} was changed by another hand; evaluate and train again.")
    return found


def add_to_seal(run: Path, *, scorecard: MadeScorecard | None = None, model: MadeModel | None = None) -> None:
    """Puts a part of a run's seal in place of the one before; a seal that cannot be read is begun again."""
    try:
        before = read_seal(run)
    except ArtefactError:
        before = Seal()
    values: dict[str, Any] = asdict(Seal(scorecard=scorecard or before.scorecard, model=model or before.model))
    write_durably(run / SEAL, canonical({**values, "sha256": digest(values)}))
