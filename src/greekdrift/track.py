"""The experiment record: the only module that knows MLflow.

Records go to a SQLite database beside the runs, artefacts to a folder whose place is given, telemetry is off.
Metrics are buffered and written by `log_batch`. A model is registered by the address of its logged folder
(safetensors, JSON, card), never as a pickle and never as code. Where the record is absent, down or broken the
work goes on: one line says so, and `Silent` takes its place. No decision depends on it.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from greekdrift.errors import TrackingError

EXPERIMENT = "greekdrift"
CHAMPION = "champion"
BATCH = 1000
"""MLflow's own limit of metrics in one `log_batch`."""

LONGEST_PARAMETER = 6000


@dataclass(slots=True, kw_only=True)
class Silent:
    """A record that keeps nothing: what training and evaluation get where MLflow is not at hand."""

    run_id: str | None = None

    def __enter__(self) -> Self:
        """The record itself."""
        return self

    def __exit__(self, *problem: object) -> None:
        """Nothing to close."""

    def params(self, values: Mapping[str, object]) -> None:
        """Settings of the run."""

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Figures of the run at a step."""

    def figure(self, figure: Any, name: str) -> None:
        """A matplotlib or plotly figure."""

    def text(self, text: str, name: str) -> None:
        """A text file."""

    def folder(self, path: Path, name: str) -> None:
        """A folder of files."""

    def register(self, path: Path, *, model: str, card: str) -> str | None:
        """Register an artefact folder as the champion of a model; its version, or None."""
        del path, model, card
        return None


@dataclass(slots=True, kw_only=True)
class Record(Silent):
    """A run in MLflow; the first failure is said once and ends the record, never the work."""

    client: Any
    warn: Callable[[str], None]
    is_open: bool = True
    waiting: list[Any] = field(default_factory=list)

    def __exit__(self, *problem: object) -> None:
        """Flush and close the run; FAILED where an exception passes."""
        status = "FINISHED" if problem[0] is None else "FAILED"
        self._flush()
        self._try(lambda: self.client.set_terminated(self.run_id, status))

    def params(self, values: Mapping[str, object]) -> None:
        """Settings of the run, as text."""
        entity = _mlflow().entities.Param
        entries = [entity(name, str(value)[:LONGEST_PARAMETER]) for name, value in values.items()]
        for start in range(0, len(entries), 100):
            self._try(partial(self.client.log_batch, self.run_id, params=entries[start : start + 100]))

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Figures of the run at a step, kept until a batch is full."""
        entity = _mlflow().entities.Metric
        now = int(time.time() * 1000)
        self.waiting += [entity(name, float(value), now, step) for name, value in values.items()]
        if len(self.waiting) >= BATCH:
            self._flush()

    def figure(self, figure: Any, name: str) -> None:
        """A matplotlib or plotly figure."""
        self._try(lambda: self.client.log_figure(self.run_id, figure, name))

    def text(self, text: str, name: str) -> None:
        """A text file."""
        self._try(lambda: self.client.log_text(self.run_id, text, name))

    def folder(self, path: Path, name: str) -> None:
        """A folder of files."""
        self._try(lambda: self.client.log_artifacts(self.run_id, str(path), name))

    def register(self, path: Path, *, model: str, card: str) -> str | None:
        """Log the artefact folder and make it the champion version of a registered model."""
        self.folder(path, model)
        version: list[str] = []
        self._try(lambda: version.append(self._version(model, card)))
        return version[0] if version else None

    def _version(self, model: str, card: str) -> str:
        exceptions = _mlflow().exceptions.MlflowException
        try:
            self.client.get_registered_model(model)
        except exceptions:
            self.client.create_registered_model(model)
        address = self.client.get_run(self.run_id).info.artifact_uri
        made = self.client.create_model_version(model, f"{address}/{model}", run_id=self.run_id, description=card)
        self.client.set_registered_model_alias(model, CHAMPION, made.version)
        return str(made.version)

    def _flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        for start in range(0, len(waiting), BATCH):
            self._try(partial(self.client.log_batch, self.run_id, metrics=waiting[start : start + BATCH]))

    def _try(self, act: Callable[[], object]) -> None:
        if not self.is_open:
            return
        try:
            act()
        except Exception as problem:  # noqa: BLE001  (the record may fail in any way, the work may not)
            self.is_open = False
            self.warn(f"the experiment record broke off ({_short(problem)}); the work goes on without it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The registered version that carries the alias champion, and where its artefact folder lies."""

    model: str
    version: str
    run_id: str
    source: str


def address(folder: Path) -> str:
    """The tracking address of a folder of runs: SQLite beside them.

    >>> address(Path("runs"))
    'sqlite:///runs/mlflow.db'
    """
    return f"sqlite:///{folder.as_posix()}/mlflow.db"


def open_record(
    name: str,
    *,
    uri: str,
    artefacts: Path | None = None,
    tags: Mapping[str, str] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Silent:
    """A new run in the record at `uri`, or `Silent` with one line of warning where that cannot be had.

    `artefacts` is the folder that holds the files of a record kept in a database.
    """
    warn = _print if warn is None else warn
    try:
        client = _client(uri)
        experiment = _experiment(client, artefacts)
        run = client.create_run(experiment, run_name=name, tags=dict(tags or {}))
    except Exception as problem:  # noqa: BLE001  (the record may fail in any way, the work may not)
        warn(f"no experiment record at {uri} ({_short(problem)}); the work goes on without it.")
        return Silent()
    return Record(run_id=run.info.run_id, client=client, warn=warn)


def champion(model: str, *, uri: str) -> Champion:
    """The champion of a registered model; raises `TrackingError` where there is none."""
    try:
        version = _client(uri).get_model_version_by_alias(model, CHAMPION)
    except Exception as problem:  # noqa: BLE001  (MLflow's stores raise what they like)
        raise TrackingError(f"no champion of {model} at {uri} ({_short(problem)}); train and register one.") from None
    return Champion(model=model, version=str(version.version), run_id=version.run_id, source=version.source)


def name_version(model: str, version: str, *, alias: str, uri: str, warn: Callable[[str], None] | None = None) -> bool:
    """Gives a version of a registered model an alias, taking it from another; False, after one line, where it cannot.

    What serves does not read it: the alias follows a decision that was made elsewhere.
    """
    try:
        _client(uri).set_registered_model_alias(model, alias, version)
    except Exception as problem:  # noqa: BLE001  (the record may fail in any way, the work may not)
        (_print if warn is None else warn)(
            f"the record at {uri} could not call version {version} of {model} {alias} ({_short(problem)})."
        )
        return False
    return True


def recorded(uri: str, *, limit: int = 50) -> Sequence[Mapping[str, Any]]:
    """The latest runs: id, name, status, start and metrics."""
    try:
        client = _client(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = client.search_runs([experiment.experiment_id], max_results=limit) if experiment else []
    except Exception as problem:  # noqa: BLE001  (MLflow's stores raise what they like)
        raise TrackingError(f"no experiment record at {uri} ({_short(problem)}).") from None
    return [
        {"run_id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "metrics": run.data.metrics}
        for run in runs
    ]


def _client(uri: str) -> Any:
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return _mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: Any, artefacts: Path | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    location = None if artefacts is None else artefacts.resolve().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _mlflow() -> Any:
    """MLflow, imported when a record is opened: it takes more than a second and its absence must not harm."""
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false"),
        ("GIT_PYTHON_REFRESH", "quiet"),
    ):
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _short(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0][:160]}" if lines else type(problem).__name__


def _print(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)  # noqa: T201
