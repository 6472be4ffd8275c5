"""What an evaluation is asked to judge: other data in place of the experiment's, a trained model, a list of names."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from greekdrift.cli.console import escape, say
from greekdrift.cli.experiments import component_named, forecaster_of, source_of
from greekdrift.config import FORECASTERS, Component, Experiment, evaluation_of
from greekdrift.config.table import Options
from greekdrift.errors import ArtefactError, ConfigError, DataError, nearest
from greekdrift.evaluate.fixed import Fixed
from greekdrift.features.panel import Panel
from greekdrift.forecast import artefact
from greekdrift.forecast.forecaster import Forecaster
from greekdrift.units import datetime64, from_datetime64, instant, stamp

BURN_IN = timedelta(days=33)
"""History before the first origin where the experiment's own start does not fit the data."""
LEAST_BEFORE, LEAST_AFTER = 60, 20
"""Snapshots that a start needs before and after it."""
CHAINS = ("root", "underlyings", "drop", "tolerance_minutes", "known_after_minutes", "since", "until")
"""Options of the Parquet source, which a folder of chains is read with."""


def on_data(experiment: Experiment, folder: Path, *, given: Iterable[str] = ()) -> Experiment:
    """The experiment on the chains of a folder (or file) in place of its own data.

    Options of the experiment's own Parquet source stay. Without `--set data.underlyings` (in `given`) its symbols
    are kept where the folder has all of them, else they are the folder's.
    """
    if not folder.exists():
        raise DataError(f"--data {folder}: there is no such folder or file; name one with *chain*.parquet files in it.")
    own = experiment.data.options if experiment.data.use == "parquet" else {}
    kept = {name: value for name, value in own.items() if name in CHAINS}
    is_given = any(one.startswith("data.underlyings") for one in given)
    found = experiment.but(data=Component(use="parquet", **{**kept, "root": str(folder)}))
    if is_given or "underlyings" not in kept:
        return found
    listed = _symbols(found)
    missing = [name for name in kept["underlyings"] if name not in listed]
    if not missing:
        return found
    say(f"{escape(str(folder))} has no {', '.join(missing)}; judged on what it has: {', '.join(listed)}")
    return experiment.but(data=Component(use="parquet", **{**kept, "root": str(folder), "underlyings": list(listed)}))


def _symbols(experiment: Experiment) -> tuple[str, ...]:
    """All symbols of the experiment's folder."""
    options = {name: value for name, value in experiment.data.options.items() if name != "underlyings"}
    symbols: tuple[str, ...] = source_of(experiment.but(data=Component(use="parquet", **options))).underlyings
    return symbols


def in_time(experiment: Experiment, panel: Panel, *, given: Iterable[str] = ()) -> Experiment:
    """The experiment with start, end and horizons that the panel can carry; what was changed is said.

    What `--set` gave stays as it is. Another start is 33 days after the first snapshot, or after two fifths of them
    where the data are shorter. Horizons and checks below the spacing of the snapshots cannot be observed.
    """
    words = [one.partition("=")[0] for one in given]
    changed: dict[str, Any] = {}
    settings = evaluation_of(experiment)
    span = f"{stamp(from_datetime64(panel.known_at[0]))} … {stamp(from_datetime64(panel.known_at[-1]))}"
    if not {"evaluation", "evaluation.start"} & set(words) and not _fits(panel, settings.start):
        start = _start(panel)
        changed["start"] = stamp(start)
        say(
            f"[yellow]the experiment starts its test on {stamp(settings.start)}, which does not fit data of {span}[/]: "
            f"origins from {changed['start']} on; choose with --set evaluation.start=…"
        )
        if settings.end is not None and settings.end <= start:
            changed["end"] = None
    if not {"evaluation", "evaluation.horizons"} & set(words):
        changed |= _hours(settings, panel.step_hours)
    if not changed:
        return experiment
    options = {**experiment.evaluation.options, **changed}
    return experiment.but(evaluation=Options(**{name: value for name, value in options.items() if value is not None}))


def _fits(panel: Panel, start: datetime) -> bool:
    before = int(np.sum(panel.known_at < datetime64(start)))
    return before >= LEAST_BEFORE and len(panel) - before >= LEAST_AFTER


def _start(panel: Panel) -> datetime:
    first = from_datetime64(panel.known_at[0])
    if _fits(panel, first + BURN_IN) and 2 * int(np.sum(panel.known_at < datetime64(first + BURN_IN))) <= len(panel):
        return first + BURN_IN
    return from_datetime64(panel.known_at[2 * len(panel) // 5])


def _hours(settings: Any, step: float) -> dict[str, Any]:
    """Horizons and checks that snapshots of this spacing can show, where these are others."""
    kept = {
        name: tuple(hours for hours in getattr(settings, name) if hours >= step - settings.tolerance_hours)
        for name in ("horizons", "checks")
    }
    lost = sorted({*settings.horizons, *settings.checks} - {*kept["horizons"], *kept["checks"]})
    if not lost:
        return {}
    if not kept["horizons"]:
        raise DataError(
            f"the snapshots are {step:g} h apart and the longest horizon is {settings.horizons[-1]:g} h; "
            "give longer ones with --set evaluation.horizons=[…]."
        )
    say(f"snapshots are {step:g} h apart: left out {', '.join(f'{hours:g}' for hours in lost)} h")
    changed: dict[str, Any] = {name: list(hours) for name, hours in kept.items()}
    if settings.headline_hours is not None and settings.headline_hours not in kept["horizons"]:
        changed["headline_hours"] = None
    return changed


def trained(folder: Path, *, learnt_until: str | None) -> Fixed:
    """The predictor of an artefact's folder, and until when it learnt: by its run, or by `--learnt-until`."""
    predictor = artefact.load(folder)
    until = learnt_until or _learnt_until(folder)
    if until is None:
        raise ArtefactError(
            f"{folder}: its run does not say what it had learnt from, so that no time is known to be unseen; "
            "say it with --learnt-until 2026-02-01T00:00Z."
        )
    return Fixed(predictor=predictor, learnt_until=instant(until), digest=artefact.digest(folder))


def _learnt_until(folder: Path) -> str | None:
    try:
        told = json.loads((folder.resolve().parent / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    until = told.get("learnt_until") if isinstance(told, dict) else None
    return until if isinstance(until, str) else None


def after(experiment: Experiment, model: Fixed) -> Experiment:
    """The experiment with origins only after what a trained model has learnt from."""
    settings = evaluation_of(experiment)
    start = max(settings.start, model.learnt_until + timedelta(microseconds=1))
    if start != settings.start:
        say(f"{escape(model.name)} learnt until {stamp(model.learnt_until)}: origins only after it")
    return experiment.but(evaluation=Options(**{**experiment.evaluation.options, "start": stamp(start)}))


def other_model(name: str, experiment: Experiment) -> Forecaster:
    """A forecaster by its name in the table, or a filtered historical law such as `fhs:harit`."""
    component = component_named(name, experiment)
    if component is None:
        raise ArtefactError(
            f'"{name}" is neither a folder with a trained model nor a forecaster; {nearest(name, FORECASTERS)}'
        )
    return forecaster_of(component, experiment)


def chosen(forecasters: Mapping[str, Forecaster], only: str | None) -> dict[str, Forecaster]:
    """Those that `--only` names; all where it names none."""
    if only is None:
        return dict(forecasters)
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in forecasters]
    if unknown or not wanted:
        word = unknown[0] if unknown else only
        raise ConfigError(f'--only {only}: the experiment has no "{word}"; {nearest(word, forecasters)}')
    return {name: one for name, one in forecasters.items() if name in wanted}


def by_name(made: Sequence[Forecaster]) -> dict[str, Forecaster]:
    """Forecasters by the name that they give themselves; two of one name are refused."""
    found: dict[str, Forecaster] = {}
    for one in made:
        if one.name in found and repr(one) != repr(found[one.name]):
            raise ConfigError(
                f'two forecasters of the experiment are called "{one.name}" and could not be told apart in a table; '
                "leave one out."
            )
        found[one.name] = one
    return found
