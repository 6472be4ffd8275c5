"""A run's folder as it was recorded: experiment, seal and scorecard, held against each other before they are used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greekdrift.cli.experiments import forecaster_of
from greekdrift.cli.judged import other_model, trained
from greekdrift.config import Experiment
from greekdrift.config.document import Document, override, read
from greekdrift.config.problem import parse
from greekdrift.errors import ArtefactError
from greekdrift.evaluate.seal import SCORECARD, MadeModel, MadeScorecard, program, read_seal, sha256
from greekdrift.forecast import artefact
from greekdrift.forecast.forecaster import Forecaster

EXPERIMENT = "experiment.yaml"
MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run whose scorecard is the one that was sealed with this experiment."""

    path: Path
    experiment: Experiment
    scorecard: MadeScorecard
    model: MadeModel | None
    card: dict[str, Any]

    @property
    def model_folder(self) -> Path:
        """Where the run keeps its artefact."""
        return self.path / MODEL

    def judged(self) -> Forecaster:
        """The forecaster that the scorecard judged."""
        if self.scorecard.artefact is not None:
            return trained(self.model_folder, learnt_until=None if self.model is None else self.model.learnt_until)
        own = forecaster_of(self.experiment.forecaster, self.experiment)
        return own if own.name == self.scorecard.judged else other_model(self.scorecard.judged, self.experiment)


def recorded(path: Path) -> Recorded:
    """What a run's folder holds; one without a sealed scorecard, or with anything changed since, is refused."""
    seal = read_seal(path)
    if seal.scorecard is None:
        raise ArtefactError(
            f"{path} has no scorecard that this version made: greekdrift evaluate --config FILE --out {path}"
        )
    experiment = _experiment(path)
    if experiment.digest != seal.scorecard.experiment:
        raise ArtefactError(
            f"{path / EXPERIMENT} is not the experiment that the scorecard was made with (digest "
            f"{experiment.digest[:12]}…, sealed {seal.scorecard.experiment[:12]}…): evaluate again."
        )
    if not (path / SCORECARD).is_file() or sha256(path / SCORECARD) != seal.scorecard.sha256:
        raise ArtefactError(f"{path / SCORECARD} is not the scorecard that was sealed, it was changed: evaluate again.")
    card = json.loads((path / SCORECARD).read_bytes())
    return Recorded(path=path, experiment=experiment, scorecard=seal.scorecard, model=seal.model, card=card)


def _experiment(path: Path) -> Experiment:
    """The resolved experiment of a run; its paths are those that the run was made with."""
    return parse(Experiment, read(path / EXPERIMENT))


def elsewhere(experiment: Experiment, settings: Sequence[str]) -> Experiment:
    """The experiment with some settings changed, such as the place of its data."""
    document = Document(name=EXPERIMENT, values=experiment.plain())
    return parse(Experiment, override(document, settings))


def is_same_program(found: Recorded) -> bool:
    """Whether the scorecard was made by the program that is installed, of the judged forecaster as it is now."""
    return found.scorecard.program is not None and found.scorecard.program == program(found.judged())


def promotable(found: Recorded) -> MadeModel:
    """The run's model, if it was made of what the scorecard judged, by this program; every other is refused."""
    path, card, model = found.path, found.scorecard, found.model
    if model is None or not found.model_folder.is_dir():
        raise ArtefactError(
            f"{path} has no model that this version trained: greekdrift train --config FILE --out {path}"
        )
    address = artefact.digest(found.model_folder)
    artefact.load_guarded(found.model_folder, digest=model.artefact)
    if card.artefact is not None and card.artefact != address:
        raise ArtefactError(f"{path}: the scorecard judged artefact {card.artefact[:12]}…, its model is another one.")
    if card.artefact is None and card.judged != forecaster_of(found.experiment.forecaster, found.experiment).name:
        raise ArtefactError(
            f"{path}: the scorecard judged {card.judged}, the model is a {found.experiment.forecaster.use}: evaluate "
            "again without --model."
        )
    if model.data != card.data:
        raise ArtefactError(
            f"{path}: the model learnt from data {model.data[:12]}…, the scorecard was made on {card.data[:12]}…: "
            "train and evaluate on the same."
        )
    if model.learning != card.learning:
        raise ArtefactError(
            f"{path}: model and scorecard are not of one forecaster, seed and data: train and evaluate one experiment."
        )
    if not is_same_program(found) or (card.artefact is None and model.program != card.program):
        raise ArtefactError(
            f"{path}: scorecard and model were not both made by the program that is installed (evaluation or "
            "forecaster changed since): evaluate and train again."
        )
    return model
