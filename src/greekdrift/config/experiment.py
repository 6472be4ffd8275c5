"""An experiment file: data, accounts, forecaster, baselines and how they are judged.

Values stand in `configs/experiment/<name>.yaml`; a component's options are its constructor's parameters.
Paths in the file are relative to the file; paths given by `--set` are relative to the current folder.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, field_validator

from greekdrift.book import digest
from greekdrift.config.document import Document, override, read
from greekdrift.config.gate import Gate
from greekdrift.config.problem import Section, listing, parse
from greekdrift.config.table import (
    EVALUATION,
    FEATURE_KINDS,
    FORECASTERS,
    MARGIN,
    SOURCES,
    Component,
    Options,
    build,
    made,
    problems,
    unfit,
)
from greekdrift.errors import ConfigError

GIVEN = ("venue", "seed", "recorder", "progress")
"""Constructor parameters that the program fills in."""

Horizons = Annotated[tuple[float, ...], Field(min_length=1)]


class Histories(Section):
    """Records beside the chains that features may read: data sets (files of `configs/data`) and their folder."""

    root: Path
    sets: Annotated[tuple[Path, ...], Field(min_length=1)]


class Experiment(Section):
    """Everything that a run needs; its digest names the run's folder.

    `origin` is the instant of forecasts and decisions, the latest snapshot where it is absent. `features` are
    carried beside those that every panel carries, and may read `histories`. `evaluation` holds values of
    `evaluate.Settings`; its `horizons` and `seed` are the experiment's unless given. With `margin`, values of
    `evaluate.MarginSettings`, what is judged is the forecast of margin under `rules`. `gate` is what its scorecard must
    show before its model may be promoted.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    seed: int
    data: Component
    features: tuple[Component, ...] = ()
    histories: Histories | None = None
    forecaster: Component
    baselines: tuple[Component, ...] = ()
    venue: str
    rules: str
    book: Path | None = None
    horizons: Horizons
    origin: AwareDatetime | None = None
    scenarios: Annotated[int, Field(ge=16, le=100_000)] = 500
    evaluation: Options
    margin: Options | None = None
    gate: Gate | None = None
    tracking_uri: str | None = None

    @field_validator("horizons")
    @classmethod
    def _increase(cls, horizons: tuple[float, ...]) -> tuple[float, ...]:
        if horizons[0] <= 0.0 or any(later <= earlier for earlier, later in pairwise(horizons)):
            raise ConfigError(f"horizons {list(horizons)} must be positive hours, increasing")
        return horizons

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved values."""
        return digest(self.plain())

    @property
    def run_name(self) -> str:
        """Name of the run's folder: the experiment and the first digits of its digest."""
        return f"{self.name}-{self.digest[:10]}"

    def plain(self) -> dict[str, Any]:
        """Resolved values as numbers, text, lists and mappings; what an experiment may lack only where it has it."""
        values = self.model_dump(mode="json")
        seldom = {"features", "histories", "gate"}
        is_there = {name: bool(value) or name not in seldom for name, value in values.items()}
        is_there["margin"] = self.margin is not None
        return {name: value for name, value in values.items() if is_there[name]}

    @property
    def learning(self) -> str:
        """SHA-256 of what a fitted model depends on: forecaster, data, features, histories, venue and seed.

        Places of files are none of it: the digest of the data says what lay there.
        """
        values = self.model_dump(mode="json", include={"forecaster", "features", "venue", "seed"})
        data = {name: value for name, value in self.data.options.items() if name != "root"}
        return digest({**values, "data": [self.data.use, data], "sets": self._sets()})

    def _sets(self) -> list[str]:
        return [] if self.histories is None else sorted(path.name for path in self.histories.sets)

    def but(self, **changed: Any) -> Self:
        """The same experiment with some values changed."""
        return self.model_copy(update=changed)


def load_experiment(path: str | Path, overrides: Iterable[str] = (), *, check_components: bool = True) -> Experiment:
    """The experiment of a YAML file with `a.b=v` overrides applied; all problems are raised together.

    Checking the components imports the rooms that they name; a server, which trains nothing, leaves it out.
    """
    document = override(_anchored(read(path), Path(path).parent), overrides)
    experiment = parse(Experiment, document)
    if check_components:
        lines = component_problems(experiment, document)
        if lines:
            raise ConfigError(listing(document.name, lines))
    return experiment


def component_problems(experiment: Experiment, document: Document) -> list[str]:
    """What is wrong with the options of the data source and of the forecasters."""
    found = problems(experiment.data, SOURCES, document=document, place=("data",), given=GIVEN)
    for at, feature in enumerate(experiment.features):
        found += problems(feature, FEATURE_KINDS, document=document, place=("features", at))
    found += problems(experiment.forecaster, FORECASTERS, document=document, place=("forecaster",), given=GIVEN)
    for at, baseline in enumerate(experiment.baselines):
        found += problems(baseline, FORECASTERS, document=document, place=("baselines", at), given=GIVEN)
    optional = ("horizons", "seed")
    if experiment.margin is not None:
        found += unfit(experiment.margin, MARGIN, document=document, place=("margin",))
    return found + unfit(experiment.evaluation, EVALUATION, document=document, place=("evaluation",), optional=optional)


def evaluation_of(experiment: Experiment) -> Any:
    """The `evaluate.Settings` of an experiment."""
    return made(experiment.evaluation, EVALUATION, horizons=experiment.horizons, seed=experiment.seed)


def margin_of(experiment: Experiment) -> Any:
    """The `evaluate.MarginSettings` of an experiment; None where margin is not what it judges."""
    return None if experiment.margin is None else made(experiment.margin, MARGIN)


def features_of(experiment: Experiment) -> tuple[Any, ...]:
    """The features that an experiment names beside those that every panel carries."""
    return tuple(build(feature, FEATURE_KINDS) for feature in experiment.features)


def _anchored(document: Document, folder: Path) -> Document:
    """The document with the paths of the file itself made relative to its folder."""
    values = dict(document.values)
    if isinstance(values.get("book"), str):
        values["book"] = str(folder / values["book"])
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        values["data"] = {**data, "root": str(folder / data["root"])}
    histories = values.get("histories")
    if isinstance(histories, dict):
        values["histories"] = _anchored_histories(histories, folder)
    if isinstance(values.get("baselines"), list):
        values["baselines"] = [_anchored_start(one, folder) for one in values["baselines"]]
    if "forecaster" in values:
        values["forecaster"] = _anchored_start(values["forecaster"], folder)
    return Document(name=document.name, values=values, lines=document.lines)


def _anchored_start(forecaster: Any, folder: Path) -> Any:
    """A forecaster, and the one that it stands on, with the folder that it starts from relative to the file."""
    if not isinstance(forecaster, dict):
        return forecaster
    found = {name: _anchored_start(value, folder) if name == "base" else value for name, value in forecaster.items()}
    return {**found, "start": str(folder / found["start"])} if isinstance(found.get("start"), str) else found


def _anchored_histories(histories: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Root and sets relative to the file, where they are text; other values are left to be refused."""
    found = dict(histories)
    if isinstance(found.get("root"), str):
        found["root"] = str(folder / found["root"])
    if isinstance(found.get("sets"), list):
        found["sets"] = [str(folder / name) if isinstance(name, str) else name for name in found["sets"]]
    return found
