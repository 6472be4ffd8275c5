"""From an experiment file to the things that it names: source, panel, forecasters, the run's folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from greekdrift.cli.console import folder, progress, say
from greekdrift.config import FORECASTERS, SOURCES, Component, Experiment, build, features_of, load_venue
from greekdrift.config.data_set import load_data_set
from greekdrift.features.feature import Feature
from greekdrift.features.panel import Panel
from greekdrift.features.panel import build as build_panel
from greekdrift.features.table import FEATURES
from greekdrift.forecast.econometric import named
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.market.parquet import ParquetSource
from greekdrift.market.series import Series
from greekdrift.market.series_store import histories
from greekdrift.market.source import Source
from greekdrift.units import counted, stamp


def source_of(experiment: Experiment) -> Source:
    """The data source, with the experiment's venue and seed."""
    source: Source = build(experiment.data, SOURCES, venue=load_venue(experiment.venue), seed=experiment.seed)
    return source


def carried(experiment: Experiment | None) -> tuple[Feature, ...]:
    """The features of an experiment's panel: those that every panel carries and, last, its own."""
    return FEATURES if experiment is None else (*FEATURES, *features_of(experiment))


def panel_of(source: Source, runs: Path, *, experiment: Experiment | None = None) -> Panel:
    """The panel of a source with an experiment's own features; fitted states are kept in the folder of runs."""
    read = {} if experiment is None else histories_of(experiment, cache=runs / "cache")
    lacking = sorted({*source.partial} - {*source.snapshots()}) if isinstance(source, ParquetSource) else []
    if lacking:
        say(
            f"[yellow]left out, without one of {', '.join(source.underlyings)}[/]: "
            f"{counted(len(lacking), 'snapshot')}, the last of {stamp(lacking[-1])}"
        )
    with progress(f"fitting the surfaces of {counted(len(source.snapshots()), 'snapshot')}") as advance:
        panel = build_panel(
            source, cache=runs / "cache", progress=advance, features=carried(experiment), histories=read
        )
    say(panel.describe())
    return panel


def histories_of(experiment: Experiment, *, cache: Path | None = None) -> dict[str, Series]:
    """The records that an experiment names for its features, by "set/key"; with a cache folder, mapped from there."""
    if experiment.histories is None:
        return {}
    sets = [load_data_set(path) for path in experiment.histories.sets]
    return histories(sets, experiment.histories.root, cache=cache)


def component_named(name: str, experiment: Experiment | None = None) -> Component | None:
    """The forecaster of a name, the experiment's own where it has one; None where no forecaster is called so.

    A name is a key of the table, or a filtered historical law as scorecards call it, such as `fhs:haris-flat:pool`.

    >>> component_named("fhs:haris-flat:pool").options
    {'scale': 'haris', 'flat': True, 'pool': True}
    """
    if name in FORECASTERS:
        given = () if experiment is None else (experiment.forecaster, *experiment.baselines)
        return next((one for one in given if one.use == name), Component(use=name))
    if name.startswith("fhs:"):
        law = named(name)
        return Component.model_validate({"use": "fhs", "scale": law.scale, "flat": law.flat, "pool": law.pool})
    return None


def forecaster_of(component: Component, experiment: Experiment, *, recorder: Any = None) -> Forecaster:
    """A forecaster, with the experiment's seed where it takes one."""
    made: Forecaster = build(component, FORECASTERS, seed=experiment.seed, recorder=recorder)
    return made


def forecasters_of(experiment: Experiment, *, recorder: Any = None) -> dict[str, Forecaster]:
    """Baselines and, last, the experiment's own forecaster, by the name that they give themselves."""
    every = [forecaster_of(baseline, experiment) for baseline in experiment.baselines]
    every.append(forecaster_of(experiment.forecaster, experiment, recorder=recorder))
    return {one.name: one for one in every}


def run_folder(experiment: Experiment, runs: Path, out: Path | None) -> Path:
    """The run's folder, with the resolved experiment in it."""
    path = folder(out or runs / experiment.run_name)
    text = yaml.safe_dump(experiment.plain(), sort_keys=False, allow_unicode=True)
    (path / "experiment.yaml").write_text(text, encoding="utf-8")
    return path


def keep(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """A part of a run as JSON in its folder."""
    text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False)
    (path / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def note_run(path: Path, values: Mapping[str, Any]) -> None:
    """Facts of a run, added to what `run.json` holds already."""
    known: dict[str, Any] = {}
    if (path / "run.json").is_file():
        known = json.loads((path / "run.json").read_text(encoding="utf-8"))
    facts = {**known.get("facts", {}), **values.get("facts", {})}
    keep(path, "run", {**known, **values, "facts": facts})


def parameters(experiment: Experiment) -> dict[str, object]:
    """The experiment as flat names and values, for the experiment record.

    Nested keys are joined by dots.
    """
    return dict(_flat(experiment.plain(), ()))


def _flat(value: Any, place: Sequence[str]) -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        return [pair for key, inner in value.items() for pair in _flat(inner, (*place, str(key)))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [pair for at, inner in enumerate(value) for pair in _flat(inner, (*place, str(at)))]
    return [(".".join(place), value)]
