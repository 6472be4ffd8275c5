"""What a decision rests on: chain, book, rules, venue, model and history, from files and an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from greekdrift.book import Account, Chain, RuleSet, Venue
from greekdrift.cli.console import progress, say
from greekdrift.cli.experiments import carried, component_named, forecaster_of, panel_of, source_of
from greekdrift.config import (
    FORECASTERS,
    Component,
    Experiment,
    build,
    load_accounts,
    load_experiment,
    load_rules,
    load_venue,
)
from greekdrift.errors import ArtefactError, ConfigError, DataError, InputError, nearest
from greekdrift.features.feature import Feature
from greekdrift.features.panel import Panel
from greekdrift.forecast.artefact import load_guarded
from greekdrift.forecast.forecaster import Predictor
from greekdrift.forecast.intervals import FILE as INTERVALS
from greekdrift.forecast.intervals import Learnt, learnt_of
from greekdrift.forecast.novelty import LEAST, Novelty
from greekdrift.market.parquet import ParquetSource, read_chain
from greekdrift.market.source import Source, closest
from greekdrift.serve.promoted import PRODUCTION, in_production, load_production, place_of
from greekdrift.units import instant, stamp

HORIZONS = (6.0, 12.0, 18.0, 24.0)
SCENARIOS = 500
TRAINED = ("forecast.deep.", "forecast.boosted:")
"""Where the forecasters stand that are trained, not fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options that commands share, as they were given.

    `chains` are the chain and the history in one. With `as_of` nothing is read that was known later. Where nothing may
    be trained (`may_train`), a model is one that was, or a law that is fitted in closed form. `intervals` is the file
    or the run from which the reported intervals are taken, where it is not the model's own.
    """

    chain: Path | None = None
    chains: Path | None = None
    at: str | None = None
    as_of: str | None = None
    book: Path | None = None
    model: str | None = None
    history: Path | None = None
    config: Path | None = None
    settings: Sequence[str] = ()
    venue: str | None = None
    rules: str | None = None
    runs: Path = Path("runs")
    may_train: bool = True
    intervals: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The records that the options stand for.

    `novelty` is what was usual where a trained model learnt, `intervals` what its evaluation taught of the reported
    ones.
    """

    chain: Chain
    accounts: tuple[Account, ...]
    venue: Venue
    rules: RuleSet
    predictor: Predictor | None
    novelty: Novelty | None
    intervals: Learnt | None
    history: Panel | None
    features: tuple[Feature, ...]
    horizons: tuple[float, ...]
    scenarios: int
    seed: int


def setting(asked: Asked) -> Setting:
    """Reads everything that the options name; what an option leaves out is the experiment's."""
    check_model(asked.model, asked.runs)
    experiment = None
    if asked.config is not None:
        settings = (*asked.settings, *_until(asked))
        experiment = load_experiment(asked.config, settings, check_components=asked.model is None)
    venue = load_venue(asked.venue or (experiment.venue if experiment else "deribit"))
    rules = load_rules(asked.rules or (experiment.rules if experiment else "derive_pm2"))
    source = _source(asked, experiment, venue)
    chain = chain_of(asked, source, venue, experiment)
    history = None if source is None or asked.model is None else panel_of(source, asked.runs, experiment=experiment)
    predictor, novelty = predictor_of(asked.model, experiment, history, chain, asked.runs, may_train=asked.may_train)
    return Setting(
        chain=chain,
        accounts=_accounts(asked, experiment),
        venue=venue,
        rules=rules,
        predictor=predictor,
        novelty=novelty,
        intervals=intervals_of(asked.model, predictor, experiment, asked.runs, given=asked.intervals),
        history=history,
        features=carried(experiment),
        horizons=experiment.horizons if experiment else HORIZONS,
        scenarios=experiment.scenarios if experiment else SCENARIOS,
        seed=experiment.seed if experiment else 0,
    )


def _until(asked: Asked) -> tuple[str, ...]:
    """The setting that keeps an experiment's chain files from being read beyond `as_of`."""
    if asked.as_of is None or asked.config is None or asked.chains is not None:
        return ()
    plain = load_experiment(asked.config, asked.settings, check_components=False)
    return (f"data.until={stamp(instant(asked.as_of))}",) if plain.data.use == "parquet" else ()


def _source(asked: Asked, experiment: Experiment | None, venue: Venue) -> Source | None:
    if asked.chains is not None and (asked.chain is not None or asked.history is not None):
        other = "--chain" if asked.chain is not None else "--history"
        raise InputError(f"--chains is the chain and the past in one; leave {other} out.")
    folder = asked.chains or asked.history
    if folder is not None:
        moment = None if asked.as_of is None else instant(asked.as_of)
        return _files(folder, moment, venue)
    return None if experiment is None else source_of(experiment)


def _files(folder: Path, moment: datetime | None, venue: Venue) -> ParquetSource:
    try:
        return ParquetSource(str(folder), venue=venue, until=moment)
    except DataError:
        if moment is None:
            raise
        first = ParquetSource(str(folder), venue=venue).snapshots()[0]
        if first > moment:
            raise DataError(
                f"{folder}: nothing is known at {stamp(moment)}, the first snapshot is of {stamp(first)}; "
                "ask for a later --as-of."
            ) from None
        raise


def _known(source: Source, moment: datetime) -> Chain:
    """The latest chain that was known at an instant."""
    snapshots = source.snapshots()
    for one in reversed(snapshots):
        if one > moment:
            continue
        chain = source.chain(one)
        if chain.known_at <= moment:
            _say_age(chain, moment, 4.0 * source.step_hours)
            return chain
        say(f"the snapshot of {stamp(one)} is known at {stamp(chain.known_at)} only; --as-of that takes it")
    first = source.chain(snapshots[0])
    raise DataError(
        f"{source.name}: nothing is known at {stamp(moment)}; the first snapshot is of {stamp(first.as_of)}, known at "
        f"{stamp(first.known_at)}; ask for a later --as-of."
    )


def _say_age(chain: Chain, moment: datetime, most: float) -> None:
    """Says that the latest chain is old: nothing has come for `most` hours, some usual spacings."""
    hours = (moment - chain.known_at).total_seconds() / 3600.0
    if hours > most:
        say(
            f"[yellow]nothing newer than the snapshot of {stamp(chain.as_of)} is known at {stamp(moment)}[/]: it is "
            f"{hours:,.0f} h old, and horizons count from it"
        )


def chain_of(asked: Asked, source: Source | None, venue: Venue, experiment: Experiment | None) -> Chain:
    """The chain of a file, or of the source: at the instant asked for, the experiment's origin, or the latest."""
    if asked.as_of is not None:
        if asked.chain is not None or asked.at is not None:
            other = "--chain" if asked.chain is not None else "--at"
            raise InputError(f"--as-of takes the latest snapshot of --chains or --config; leave {other} out.")
        if source is None:
            raise ConfigError("--as-of needs many snapshots: give --chains FOLDER or --config FILE.")
        return _known(source, instant(asked.as_of))
    origin = experiment.origin if experiment else None
    moment = origin if asked.at is None else instant(asked.at)
    if asked.chain is not None:
        return read_chain(asked.chain, moment, venue=venue)
    if source is None:
        raise ConfigError(
            "no chain: give --chain FILE, or --chains, --config or --history for the latest of their snapshots."
        )
    snapshots = source.snapshots()
    return source.chain(snapshots[-1] if moment is None else closest(snapshots, moment, name=source.name))


def _accounts(asked: Asked, experiment: Experiment | None) -> tuple[Account, ...]:
    path = asked.book or (experiment.book if experiment else None)
    if path is None:
        raise ConfigError("no book: give --book FILE, or --config with a book in it.")
    return load_accounts(path)


def check_model(model: str | None, runs: Path) -> None:
    """Refuses a word that is no model before anything is read."""
    if model == PRODUCTION:
        in_production(runs)
    elif model is not None and not Path(model).is_dir() and component_named(model) is None:
        raise ArtefactError(
            f'"{model}" is neither {PRODUCTION}, a folder with a trained model nor a forecaster; '
            f"{nearest(model, (PRODUCTION, *FORECASTERS))}"
        )


def predictor_of(
    model: str | None,
    experiment: Experiment | None,
    history: Panel | None,
    chain: Chain,
    runs: Path = Path("runs"),
    *,
    may_train: bool = True,
) -> tuple[Predictor | None, Novelty | None]:
    """The predictor of an artefact, the one in production, or a forecaster fitted on what was known at the chain."""
    if model is None:
        return None, None
    if model == PRODUCTION:
        found, novelty, promotion = load_production(runs)
        say(f"model {found.name} of {promotion.run}, in production since {promotion.promoted_at}")
        return found, novelty
    if Path(model).is_dir():
        found, novelty = load_guarded(Path(model))
        say(f"model {found.name} from {model}")
        return found, novelty
    if history is None:
        raise DataError(f"{model} learns from the past; give --history FOLDER or --config FILE.")
    component = component_named(model, experiment)
    if component is None:
        raise ArtefactError(f'no forecaster is called "{model}"; {nearest(model, FORECASTERS)}')
    if "outside" in _uses(component):
        raise ConfigError(
            "outside runs code of your own and is for greekdrift evaluate alone; a decision takes a forecaster of "
            "this package or the folder of a trained model."
        )
    if not may_train and any(FORECASTERS[name].startswith(TRAINED) for name in _uses(component)):
        raise ConfigError(
            f"{model} would have to be trained, and what serves never trains: greekdrift train and promote, then "
            "--model production, or the trained folder."
        )
    forecaster = build(component, FORECASTERS) if experiment is None else forecaster_of(component, experiment)
    known = history.until(chain.known_at)
    with progress(f"fitting {forecaster.name}"):
        return forecaster.fit(known), Novelty.fit(known) if len(known) >= LEAST else None


def intervals_of(
    model: str | None,
    predictor: Predictor | None,
    experiment: Experiment | None,
    runs: Path = Path("runs"),
    *,
    given: Path | None = None,
) -> Learnt | None:
    """What an evaluation taught of a model's reported intervals: of `given`, or of what lies beside the model.

    Beside a trained folder or the run that it is of; in production, what was promoted with it; of a forecaster by name,
    the run of the experiment. None where nothing lies there; a `given` place that knows nothing of it is refused.
    """
    if predictor is None or model is None:
        return None
    if given is not None:
        path = given / INTERVALS if given.is_dir() else given
        found = learnt_of(path, predictor.name)
        if found is None:
            raise ArtefactError(
                f"{path} holds no intervals of {predictor.name}; evaluate it: greekdrift evaluate --config FILE."
            )
        return found
    if model == PRODUCTION:
        places = [place_of(runs, in_production(runs).artefact)]
    elif Path(model).is_dir():
        places = [Path(model), Path(model).resolve().parent]
    else:
        places = [] if experiment is None else [runs / experiment.run_name]
    there = [place / INTERVALS for place in places if (place / INTERVALS).is_file()]
    return learnt_of(there[0], predictor.name) if there else None


def _uses(component: Component) -> list[str]:
    """The name of a component and those of the components within it."""
    inner = [value for value in component.options.values() if isinstance(value, dict) and "use" in value]
    return [component.use, *(name for one in inner for name in _uses(Component.model_validate(one)))]
